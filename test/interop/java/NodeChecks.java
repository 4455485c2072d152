import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** The blocking calls on nodes, and what Stat says after each. */
final class NodeChecks {
    private NodeChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/nodes");
        Peer.check("create returns the path and getData the data", () -> {
            Peer.equal("/nodes/a", Client.make(zk, "/nodes/a", "one"), "path");
            Peer.equal("one", Peer.oneLine(zk.getData("/nodes/a", false, null)), "data");
        });
        Peer.check("a new node's stat", () -> newStat(zk));
        Peer.check("null data stays null and empty data stays empty", () -> {
            zk.create("/nodes/null", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            zk.create("/nodes/empty", new byte[0], OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            Peer.equal(null, zk.getData("/nodes/null", false, null), "null data");
            Peer.equal(0, zk.getData("/nodes/empty", false, null).length, "empty data");
            zk.setData("/nodes/empty", null, -1);
            Peer.equal(null, zk.getData("/nodes/empty", false, null), "data set to null");
        });
        Peer.check("create is refused for each reason", () -> createRefused(zk));
        Peer.check("delete checks version and children", () -> deleteRefused(zk));
        Peer.check("exists gives null or the stat", () -> {
            Peer.equal(null, zk.exists("/nodes/none", false), "stat of nothing");
            Client.make(zk, "/nodes/exists", "four");
            Stat stat = zk.exists("/nodes/exists", false);
            Peer.equal(4, stat.getDataLength(), "dataLength");
            Stat same = new Stat();
            zk.getData("/nodes/exists", false, same);
            Peer.equal(stat, same, "stat of exists and of getData");
        });
        Peer.check("setData counts versions and refuses a wrong one", () -> setData(zk));
        Peer.check("both getChildren agree and the parent's stat counts", () -> children(zk));
        Peer.check("getAllChildrenNumber counts descendants", () -> {
            for (String path : List.of("/nodes/tree", "/nodes/tree/a", "/nodes/tree/b", "/nodes/tree/a/c")) {
                Client.make(zk, path);
            }
            Peer.equal(3, zk.getAllChildrenNumber("/nodes/tree"), "descendants");
            Peer.equal(0, zk.getAllChildrenNumber("/nodes/tree/b"), "descendants of a leaf");
            Client.fails(Code.NONODE, () -> zk.getAllChildrenNumber("/nodes/none"));
            Peer.that(zk.getAllChildrenNumber("/") > 6, "the root counts everything, its own system nodes too");
        });
        Peer.check("getEphemerals lists this session's nodes by prefix", () -> ephemerals(zk));
        Peer.check("sync returns, also for a missing node", () -> {
            zk.sync("/nodes");
            zk.sync("/nodes/none");
        });
        Peer.check("getConfig reads the config node", () -> config(zk));
        Peer.check("names outside ASCII and odd names survive", () -> {
            for (String name : List.of("grüße", "数据", "a b", "...", "a:b@c%20", "\"quoted\"", "-", "x.y..z")) {
                Client.make(zk, "/nodes/" + name, name);
                Peer.equal(name, Peer.oneLine(zk.getData("/nodes/" + name, false, null)), name);
                Peer.that(zk.getChildren("/nodes", false).contains(name), name + " among the children");
            }
        });
        Peer.check("the root and the system nodes are there and stay", () -> {
            Peer.that(zk.getChildren("/", false).contains("zookeeper"), "/zookeeper");
            Peer.equal(List.of("config", "quota"), Client.sorted(zk.getChildren("/zookeeper", false)), "below /zookeeper");
            Client.fails(Code.BADARGUMENTS, () -> zk.delete("/zookeeper", -1));
            Client.fails(Code.BADARGUMENTS, () -> zk.delete("/zookeeper/quota", -1));
            Client.fails(Code.NODEEXISTS, () -> Client.make(zk, "/zookeeper"));
            Client.fails(Code.NODEEXISTS, () -> Client.make(zk, "/"));
            Stat before = zk.setData("/", Client.bytes("root"), -1);
            Peer.equal("root", Peer.oneLine(zk.getData("/", false, null)), "the root's data");
            Peer.equal(before.getVersion() + 1, zk.setData("/", new byte[0], before.getVersion()).getVersion(), "version");
        });
        Peer.check("every write has a zxid above the last", () -> {
            long last = 0;
            for (int i = 0; i < 20; i++) {
                Stat stat = zk.setData("/nodes/a", new byte[0], -1);
                Peer.that(stat.getMzxid() > last, "mzxid above " + last + ", got " + stat.getMzxid());
                last = stat.getMzxid();
            }
        });
        Peer.check("whoAmI names the address", () -> {
            var info = zk.whoAmI();
            Peer.equal(1, info.size(), "identities");
            Peer.equal("ip 127.0.0.1", info.get(0).getAuthScheme() + " " + info.get(0).getUser(), "identity");
        });
        Peer.check("a refused reconfig says why", () -> {
            var admin = new org.apache.zookeeper.admin.ZooKeeperAdmin(Peer.SERVER, Client.SESSION_MS, event -> {});
            Client.fails(Code.RECONFIGDISABLED, () -> admin.reconfigure("", "", "server.1=a:1:2;3", -1, null));
            admin.close();
        });
        zk.close();
    }

    private static void newStat(ZooKeeper zk) throws Exception {
        Stat made = new Stat();
        long before = System.currentTimeMillis();
        zk.create("/nodes/stat", Client.bytes("12345"), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, made);
        Stat stat = zk.exists("/nodes/stat", false);
        Peer.equal(stat, made, "stat from create and from exists");
        Peer.equal(stat.getCzxid(), stat.getMzxid(), "mzxid");
        Peer.equal(stat.getCzxid(), stat.getPzxid(), "pzxid");
        Peer.equal(stat.getCtime(), stat.getMtime(), "mtime");
        Peer.equal("0 0 0", stat.getVersion() + " " + stat.getCversion() + " " + stat.getAversion(), "versions");
        Peer.equal(0L, stat.getEphemeralOwner(), "ephemeralOwner");
        Peer.equal(5, stat.getDataLength(), "dataLength");
        Peer.equal(0, stat.getNumChildren(), "numChildren");
        Peer.that(Math.abs(stat.getCtime() - before) < 60_000, "ctime is wall clock, got " + stat.getCtime());
    }

    private static void createRefused(ZooKeeper zk) throws Exception {
        Client.make(zk, "/nodes/refused");
        zk.create("/nodes/short-lived", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Client.fails(Code.NODEEXISTS, () -> Client.make(zk, "/nodes/refused"));
        Client.fails(Code.NONODE, () -> Client.make(zk, "/nodes/none/child"));
        Client.fails(Code.NOCHILDRENFOREPHEMERALS, () -> Client.make(zk, "/nodes/short-lived/child"));
        Client.fails(Code.INVALIDACL, () -> zk.create("/nodes/acl", null, List.of(), CreateMode.PERSISTENT));
    }

    private static void deleteRefused(ZooKeeper zk) throws Exception {
        Client.make(zk, "/nodes/delete");
        Client.make(zk, "/nodes/delete/child");
        Client.fails(Code.NOTEMPTY, () -> zk.delete("/nodes/delete", -1));
        Client.fails(Code.BADVERSION, () -> zk.delete("/nodes/delete/child", 1));
        Client.fails(Code.BADVERSION, () -> zk.delete("/nodes/delete", 7));
        Client.fails(Code.NONODE, () -> zk.delete("/nodes/delete/none", -1));
        Client.fails(Code.NONODE, () -> zk.delete("/nodes/none/none", -1));
        zk.delete("/nodes/delete/child", 0);
        zk.delete("/nodes/delete", -1);
        Peer.equal(null, zk.exists("/nodes/delete", false), "stat after delete");
    }

    private static void setData(ZooKeeper zk) throws Exception {
        Client.make(zk, "/nodes/set", "0");
        Stat first = zk.exists("/nodes/set", false);
        for (int i = 0; i < 3; i++) {
            Stat stat = zk.setData("/nodes/set", Client.bytes("value" + i), i);
            Peer.equal(i + 1, stat.getVersion(), "version");
            Peer.equal(first.getCzxid(), stat.getCzxid(), "czxid stays");
            Peer.equal(first.getCtime(), stat.getCtime(), "ctime stays");
            Peer.that(stat.getMzxid() > first.getMzxid(), "mzxid grows");
            Peer.that(stat.getMtime() >= first.getMtime(), "mtime does not go back");
        }
        Client.fails(Code.BADVERSION, () -> zk.setData("/nodes/set", null, 2));
        Client.fails(Code.NONODE, () -> zk.setData("/nodes/none", null, -1));
        Peer.equal("value2", Peer.oneLine(zk.getData("/nodes/set", false, null)), "data after refusals");
        Peer.equal(4, zk.setData("/nodes/set", null, -1).getVersion(), "version after any");
    }

    private static void children(ZooKeeper zk) throws Exception {
        Client.make(zk, "/nodes/parent");
        Stat stat = new Stat();
        Peer.equal(List.of(), zk.getChildren("/nodes/parent", false, stat), "no children");
        Client.make(zk, "/nodes/parent/b");
        Client.make(zk, "/nodes/parent/a");
        Stat last = new Stat();
        zk.create("/nodes/parent/c", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, last);
        Peer.equal(List.of("a", "b", "c"), Client.sorted(zk.getChildren("/nodes/parent", false, stat)), "children");
        Peer.equal(List.of("a", "b", "c"), Client.sorted(zk.getChildren("/nodes/parent", false)), "children");
        Peer.equal("3 3", stat.getNumChildren() + " " + stat.getCversion(), "numChildren and cversion");
        Peer.equal(last.getCzxid(), stat.getPzxid(), "pzxid is the last child's czxid");
        zk.delete("/nodes/parent/a", -1);
        Stat after = zk.exists("/nodes/parent", false);
        Peer.equal("2 4", after.getNumChildren() + " " + after.getCversion(), "numChildren and cversion after delete");
        Peer.that(after.getPzxid() > stat.getPzxid(), "pzxid grows with a delete");
        Peer.equal("0 " + after.getCzxid(), after.getVersion() + " " + after.getMzxid(), "the node itself is untouched");
        Client.fails(Code.NONODE, () -> zk.getChildren("/nodes/none", false));
        Client.fails(Code.NONODE, () -> zk.getChildren("/nodes/none", false, new Stat()));
    }

    private static void ephemerals(ZooKeeper zk) throws Exception {
        ZooKeeper own = Client.connect();
        Peer.equal(List.of(), own.getEphemerals(), "none yet");
        for (String path : List.of("/nodes/e-a1", "/nodes/e-a2", "/nodes/e-b")) {
            own.create(path, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        }
        zk.create("/nodes/e-a3", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        List<String> all = List.of("/nodes/e-a1", "/nodes/e-a2", "/nodes/e-b");
        Peer.equal(all, Client.sorted(own.getEphemerals()), "all");
        Peer.equal(all, Client.sorted(own.getEphemerals("/")), "below the root");
        Peer.equal(all.subList(0, 2), Client.sorted(own.getEphemerals("/nodes/e-a")), "by prefix");
        Peer.equal(List.of(), own.getEphemerals("/other"), "by a prefix of none");
        own.delete("/nodes/e-b", -1);
        Peer.equal(all.subList(0, 2), Client.sorted(own.getEphemerals()), "after a delete");
        own.close();
    }

    private static void config(ZooKeeper zk) throws Exception {
        Stat stat = new Stat();
        byte[] config = zk.getConfig(false, stat);
        Peer.equal("", Peer.oneLine(config), "a single server's configuration");
        Peer.equal(-1, stat.getAversion(), "aversion");
        Peer.equal("", Peer.oneLine(zk.getConfig(new Client.Events(), null)), "configuration with a watch");
        Client.fails(Code.NOAUTH, () -> zk.setData(ZooDefs.CONFIG_NODE, null, -1));
    }
}
