import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** All create modes, each through every create call, and the sequence counter. */
final class CreateModeChecks {
    private static final long TTL_MS = 3_600_000;

    private CreateModeChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/modes");
        for (CreateMode mode : CreateMode.values()) {
            Peer.check("create " + mode + " in every way", () -> everyWay(zk, mode));
        }
        Peer.check("a sequence number is the parent's count of creations, ten digits", () -> {
            Client.make(zk, "/modes/seq");
            Peer.equal("/modes/seq/n-0000000000", sequential(zk, "/modes/seq/n-"), "first");
            Peer.equal("/modes/seq/n-0000000001", sequential(zk, "/modes/seq/n-"), "second");
            zk.delete("/modes/seq/n-0000000001", -1);
            Peer.equal("/modes/seq/n-0000000002", sequential(zk, "/modes/seq/n-"), "not reused");
            Client.make(zk, "/modes/seq/plain");
            Peer.equal("/modes/seq/0000000004", sequential(zk, "/modes/seq/"), "a plain child counts, empty prefix");
            Peer.equal("/modes/seq/m-0000000005", sequential(zk, "/modes/seq/m-"), "shared between prefixes");
            Client.fails(Code.NODEEXISTS, () -> Client.make(zk, "/modes/seq/n-0000000002"));
            Peer.equal("/modes/seq/m-0000000006", sequential(zk, "/modes/seq/m-"), "a refused create counts nothing");
        });
        Peer.check("containers and TTL nodes may have children", () -> {
            zk.create("/modes/box", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
            Client.make(zk, "/modes/box/child");
            zk.create("/modes/ttl", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, TTL_MS);
            Client.make(zk, "/modes/ttl/child");
            zk.create("/modes/box/short", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Peer.equal(List.of("child", "short"), Client.sorted(zk.getChildren("/modes/box", false)), "children");
        });
        Peer.check("the longest TTL is accepted", () -> {
            zk.create("/modes/long", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 0xFFFFFFFFFFL);
            Peer.equal(0L, zk.exists("/modes/long", false).getEphemeralOwner(), "ephemeralOwner");
        });
        zk.close();
    }

    private static String sequential(ZooKeeper zk, String prefix) throws Exception {
        return zk.create(prefix, null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
    }

    private static void everyWay(ZooKeeper zk, CreateMode mode) throws Exception {
        String base = "/modes/" + mode;
        Client.make(zk, base);
        if (!mode.isTTL()) {
            created(zk, mode, base, "plain", 0, zk.create(base + "/plain", new byte[3], OPEN_ACL_UNSAFE, mode), null);
        }
        Stat stat = new Stat();
        String path = mode.isTTL()
            ? zk.create(base + "/stat", new byte[3], OPEN_ACL_UNSAFE, mode, stat, TTL_MS)
            : zk.create(base + "/stat", new byte[3], OPEN_ACL_UNSAFE, mode, stat);
        created(zk, mode, base, "stat", mode.isTTL() ? 0 : 1, path, stat);
        if (!mode.isTTL()) {
            CompletableFuture<String> named = new CompletableFuture<>();
            zk.create(base + "/async", new byte[3], OPEN_ACL_UNSAFE, mode,
                (rc, asked, ctx, name) -> named.complete(rc + " " + asked + " " + ctx + " " + name), "ctx");
            String expected = "0 " + base + "/async ctx " + base + "/async" + (mode.isSequential() ? "0000000002" : "");
            Peer.equal(expected, Client.get(named), "string callback");
        }
        CompletableFuture<Stat> second = new CompletableFuture<>();
        CompletableFuture<String> name2 = new CompletableFuture<>();
        org.apache.zookeeper.AsyncCallback.Create2Callback callback = (rc, asked, ctx, name, made) -> {
            name2.complete(name);
            second.complete(made);
        };
        if (mode.isTTL()) zk.create(base + "/async2", new byte[3], OPEN_ACL_UNSAFE, mode, callback, null, TTL_MS);
        else zk.create(base + "/async2", new byte[3], OPEN_ACL_UNSAFE, mode, callback, null);
        created(zk, mode, base, "async2", mode.isTTL() ? 1 : 3, Client.get(name2), Client.get(second));
    }

    private static void created(
        ZooKeeper zk, CreateMode mode, String base, String name, int number, String path, Stat stat) throws Exception {
        String suffix = mode.isSequential() ? String.format("%010d", number) : "";
        Peer.equal(base + "/" + name + suffix, path, "path");
        Stat seen = zk.exists(path, false);
        Peer.equal(mode.isEphemeral() ? zk.getSessionId() : 0L, seen.getEphemeralOwner(), "ephemeralOwner");
        Peer.equal(3, seen.getDataLength(), "dataLength");
        if (stat != null) Peer.equal(seen, stat, "stat");
    }
}
