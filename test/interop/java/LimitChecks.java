import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;

/** Sizes: data at the limit of a frame and over it, many children, a long path, many clients. */
final class LimitChecks {
    private static final int FRAME_MAX = 1_048_575;
    /** Request header, path with its length, data length, version. */
    private static final int SET_DATA_OVERHEAD = 8 + 4 + "/limit/big".length() + 4 + 4;

    private LimitChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = wide();
        Client.make(zk, "/limit");
        Peer.check("data of a million bytes comes back as it went", () -> {
            byte[] data = randomBytes(1_000_000);
            zk.create("/limit/big", data, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Peer.that(Arrays.equals(data, zk.getData("/limit/big", false, null)), "the same bytes");
        });
        Peer.check("a request of exactly the largest frame is taken", () -> {
            byte[] data = randomBytes(FRAME_MAX - SET_DATA_OVERHEAD);
            zk.setData("/limit/big", data, -1);
            Peer.that(Arrays.equals(data, zk.getData("/limit/big", false, null)), "the same bytes");
        });
        Peer.check("a request one byte longer costs the connection, not the session", () -> {
            long session = zk.getSessionId();
            Client.fails(Code.CONNECTIONLOSS, () -> zk.setData("/limit/big", new byte[FRAME_MAX - SET_DATA_OVERHEAD + 1], -1));
            Client.whenConnected(() ->
                Peer.equal(FRAME_MAX - SET_DATA_OVERHEAD, zk.exists("/limit/big", false).getDataLength(), "dataLength"));
            Peer.equal(session, zk.getSessionId(), "session");
        });
        Peer.check("ten thousand children, listed and removed", () -> manyChildren(zk));
        Peer.check("a path of ten thousand characters and one of fifty levels", () -> {
            String name = "x".repeat(10_000);
            Client.make(zk, "/limit/" + name, "long");
            Peer.equal("long", Peer.oneLine(zk.getData("/limit/" + name, false, null)), "data");
            StringBuilder path = new StringBuilder("/limit");
            for (int i = 0; i < 50; i++) Client.make(zk, path.append("/d").append(i).toString());
            Peer.equal(49, zk.getAllChildrenNumber("/limit/d0"), "descendants");
        });
        Peer.check("a hundred sessions at once", () -> {
            ZooKeeper[] clients = new ZooKeeper[100];
            for (int i = 0; i < clients.length; i++) {
                clients[i] = new ZooKeeper(Peer.SERVER, Client.SESSION_MS, new Client.Events());
            }
            for (int i = 0; i < clients.length; i++) {
                clients[i].create("/limit/session" + i, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            }
            Thread[] closers = new Thread[clients.length]; // one close takes the client a tenth of a second
            for (int i = 0; i < clients.length; i++) closers[i] = closer(clients[i]);
            for (Thread closer : closers) closer.join();
            for (int i = 0; i < clients.length; i++) Peer.equal(null, zk.exists("/limit/session" + i, false), "session" + i);
        });
        zk.close();
    }

    /** The client, too, has a limit for what it reads; here it must not be the one that is met. */
    private static ZooKeeper wide() throws Exception {
        ZKClientConfig config = new ZKClientConfig();
        config.setProperty("jute.maxbuffer", String.valueOf(4 * FRAME_MAX));
        return new ZooKeeper(Peer.SERVER, Client.SESSION_MS, new Client.Events(), config);
    }

    private static Thread closer(ZooKeeper zk) {
        Thread thread = new Thread(() -> {
            try {
                zk.close();
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        });
        thread.start();
        return thread;
    }

    private static byte[] randomBytes(int length) {
        byte[] data = new byte[length];
        new Random(length).nextBytes(data);
        return data;
    }

    private static void manyChildren(ZooKeeper zk) throws Exception {
        int count = 10_000;
        Client.make(zk, "/limit/many");
        AtomicInteger failed = new AtomicInteger();
        CountDownLatch created = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            zk.create("/limit/many/child-", new byte[10], OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL,
                (int rc, String path, Object ctx, String name) -> {
                    if (rc != 0) failed.incrementAndGet();
                    created.countDown();
                }, null);
        }
        Peer.that(created.await(60, TimeUnit.SECONDS), "all creates answered, missing " + created.getCount());
        Peer.equal(0, failed.get(), "failed creates");
        var names = Client.sorted(zk.getChildren("/limit/many", false));
        Peer.equal(count, names.size(), "children");
        Peer.equal("child-0000000000", names.get(0), "first");
        Peer.equal("child-0000009999", names.get(count - 1), "last");
        Peer.equal(count, zk.getAllChildrenNumber("/limit/many"), "descendants");
        CountDownLatch deleted = new CountDownLatch(count);
        for (String name : names) {
            zk.delete("/limit/many/" + name, 0, (rc, path, ctx) -> {
                if (rc != 0) failed.incrementAndGet();
                deleted.countDown();
            }, null);
        }
        Peer.that(deleted.await(60, TimeUnit.SECONDS), "all deletes answered, missing " + deleted.getCount());
        Peer.equal(0, failed.get(), "failed deletes");
        var stat = zk.exists("/limit/many", false);
        Peer.equal("0 " + 2 * count, stat.getNumChildren() + " " + stat.getCversion(), "numChildren and cversion");
    }
}
