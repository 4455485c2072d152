import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.Arrays;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.AddWatchMode;
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
            closeAll(clients);
            for (int i = 0; i < clients.length; i++) Peer.equal(null, zk.exists("/limit/session" + i, false), "session" + i);
        });
        Peer.check("three thousand ephemeral nodes go with their session", () -> manyEphemerals(zk));
        Peer.check("five thousand watches are set again on a new connection", LimitChecks::manyWatches);
        Peer.check("a hundred sessions hear one change", () -> {
            Client.make(zk, "/limit/heard");
            Client.Events events = new Client.Events();
            ZooKeeper[] clients = new ZooKeeper[100];
            for (int i = 0; i < clients.length; i++) {
                clients[i] = new ZooKeeper(Peer.SERVER, Client.SESSION_MS, new Client.Events());
                clients[i].getData("/limit/heard", events, null);
            }
            zk.setData("/limit/heard", null, -1);
            for (int i = 0; i < clients.length; i++) events.expect("NodeDataChanged /limit/heard");
            closeAll(clients);
        });
        zk.close();
    }

    private static void manyEphemerals(ZooKeeper zk) throws Exception {
        int count = 3_000;
        ZooKeeper owner = Client.connect();
        Client.make(zk, "/limit/ephemerals");
        CountDownLatch created = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            owner.create("/limit/ephemerals/" + i, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL,
                (int rc, String path, Object ctx, String name) -> created.countDown(), null);
        }
        Peer.that(created.await(60, TimeUnit.SECONDS), "all creates answered, missing " + created.getCount());
        Peer.equal(count, owner.getEphemerals("/limit/ephemerals").size(), "ephemerals");
        Client.Events events = new Client.Events();
        zk.addWatch("/limit/ephemerals", events, AddWatchMode.PERSISTENT_RECURSIVE);
        owner.close();
        for (int i = 0; i < count; i++) Peer.that(events.next().startsWith("NodeDeleted /limit/ephemerals/"), "a deletion");
        Peer.equal(0, zk.exists("/limit/ephemerals", false).getNumChildren(), "children left");
    }

    /** More paths than the client puts into one request. */
    private static void manyWatches() throws Exception {
        int count = 5_000;
        Client.Events session = new Client.Events();
        ZooKeeper watching = Client.connect(Peer.RELAY, Client.SESSION_MS, session);
        ZooKeeper other = Client.connect();
        Client.make(other, "/limit/watched");
        String prefix = "/limit/watched/" + "n".repeat(100);
        Set<String> heard = ConcurrentHashMap.newKeySet();
        CountDownLatch left = new CountDownLatch(count);
        CountDownLatch set = new CountDownLatch(count);
        for (int i = 0; i < count; i++) {
            watching.exists(prefix + i, event -> {
                if (event.getPath() != null && heard.add(event.getType() + event.getPath())) left.countDown();
            }, (rc, path, ctx, stat) -> set.countDown(), null);
        }
        Peer.that(set.await(60, TimeUnit.SECONDS), "all watches set, missing " + set.getCount());
        Peer.ask("freeze");
        for (int i = 0; i < count; i += 2) make(other, prefix + i);
        other.sync("/limit");
        Peer.ask("thaw");
        session.await("state SyncConnected");
        for (int i = 1; i < count; i += 2) make(other, prefix + i);
        Peer.that(left.await(60, TimeUnit.SECONDS), "every watch to hear its node's creation, missing " + left.getCount());
        Peer.that(heard.stream().allMatch(event -> event.startsWith("NodeCreated/")), "creations only");
        watching.close();
        other.close();
    }

    private static void make(ZooKeeper zk, String path) {
        zk.create(path, null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, (int rc, String asked, Object ctx, String name) -> {}, null);
    }

    /** The client, too, has a limit for what it reads; here it must not be the one that is met. */
    private static ZooKeeper wide() throws Exception {
        ZKClientConfig config = new ZKClientConfig();
        config.setProperty("jute.maxbuffer", String.valueOf(4 * FRAME_MAX));
        return new ZooKeeper(Peer.SERVER, Client.SESSION_MS, new Client.Events(), config);
    }

    /** At once, because one close takes the client a tenth of a second. */
    private static void closeAll(ZooKeeper[] clients) throws InterruptedException {
        Thread[] closers = new Thread[clients.length];
        for (int i = 0; i < clients.length; i++) closers[i] = closer(clients[i]);
        for (Thread closer : closers) closer.join();
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
