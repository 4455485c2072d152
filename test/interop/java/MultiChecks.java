import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** multi and multi-read: all or nothing for the first, each for itself for the second. */
final class MultiChecks {
    private MultiChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/multi");
        Peer.check("multi does all four kinds and later parts see earlier ones", () -> allKinds(zk));
        Peer.check("multi creates in every mode", () -> allModes(zk));
        for (int position = 0; position < 4; position++) {
            int at = position;
            Peer.check("multi that fails at position " + at + " changes nothing", () -> failsAt(zk, at));
        }
        Peer.check("multi with failed check rolls back", () -> {
            Client.make(zk, "/multi/checked");
            Client.fails(Code.BADVERSION, () -> zk.multi(List.of(
                create("/multi/after-check"), Op.check("/multi/checked", 5), Op.delete("/multi/checked", -1))));
            Peer.equal(null, zk.exists("/multi/after-check", false), "created node");
            Peer.that(zk.exists("/multi/checked", false) != null, "checked node is still there");
            Client.fails(Code.NONODE, () -> zk.multi(List.of(Op.check("/multi/none", -1), create("/multi/x"))));
            zk.multi(List.of(Op.check("/multi/checked", 0), Op.check("/multi/checked", -1)));
        });
        Peer.check("all parts of a multi share one zxid", () -> {
            zk.multi(List.of(create("/multi/z"), create("/multi/z/a"), Op.setData("/multi/z", new byte[1], 0)));
            Stat parent = zk.exists("/multi/z", false);
            Stat child = zk.exists("/multi/z/a", false);
            Peer.equal(parent.getCzxid(), child.getCzxid(), "czxid of the child");
            Peer.equal(parent.getCzxid(), parent.getMzxid(), "mzxid of the parent");
            Peer.equal(parent.getCtime(), parent.getMtime(), "mtime of the parent");
        });
        Peer.check("an empty multi gives an empty answer", () ->
            Peer.equal(List.of(), zk.multi(List.of()), "results"));
        Peer.check("async multi and both transaction commits", () -> async(zk));
        Peer.check("a multi fires the watches of its parts", () -> {
            Client.make(zk, "/multi/w");
            Client.Events events = new Client.Events();
            zk.getData("/multi/w", events, null);
            zk.exists("/multi/w2", events);
            zk.multi(List.of(Op.setData("/multi/w", new byte[1], -1), create("/multi/w2")));
            events.expectAnyOrder("NodeDataChanged /multi/w", "NodeCreated /multi/w2");
        });
        Peer.check("a multi that fails fires nothing", () -> {
            Client.Events events = new Client.Events();
            zk.exists("/multi/never", events);
            Client.fails(Code.NONODE, () -> zk.multi(List.of(create("/multi/never"), Op.delete("/multi/none", -1))));
            events.expectNothingElse(zk);
        });
        Peer.check("multi read answers each part for itself", () -> read(zk));
        Peer.check("multi of a thousand parts", () -> {
            List<Op> ops = new ArrayList<>();
            Client.make(zk, "/multi/many");
            for (int i = 0; i < 1000; i++) ops.add(create("/multi/many/" + i));
            Peer.equal(1000, zk.multi(ops).size(), "results");
            Peer.equal(1000, zk.getChildren("/multi/many", false).size(), "children");
        });
        zk.close();
    }

    private static Op create(String path) {
        return Op.create(path, new byte[0], OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    private static void allKinds(ZooKeeper zk) throws Exception {
        List<OpResult> results = zk.multi(List.of(
            create("/multi/k"),
            create("/multi/k/child"),
            Op.setData("/multi/k", Client.bytes("set"), 0),
            Op.check("/multi/k", 1),
            Op.delete("/multi/k/child", 0)));
        Peer.equal("/multi/k", ((OpResult.CreateResult) results.get(0)).getPath(), "path");
        Peer.equal("/multi/k/child", ((OpResult.CreateResult) results.get(1)).getPath(), "path");
        Stat stat = ((OpResult.SetDataResult) results.get(2)).getStat();
        Peer.equal("1 3 1", stat.getVersion() + " " + stat.getDataLength() + " " + stat.getNumChildren(), "stat at that point");
        Peer.equal(new OpResult.CheckResult(), results.get(3), "check");
        Peer.equal(new OpResult.DeleteResult(), results.get(4), "delete");
        Peer.equal("set", Peer.oneLine(zk.getData("/multi/k", false, null)), "data");
        Peer.equal(0, zk.exists("/multi/k", false).getNumChildren(), "children left");
    }

    private static void allModes(ZooKeeper zk) throws Exception {
        Client.make(zk, "/multi/modes");
        List<Op> ops = new ArrayList<>();
        for (CreateMode mode : CreateMode.values()) {
            String path = "/multi/modes/" + mode + "-";
            ops.add(mode.isTTL()
                ? Op.create(path, null, OPEN_ACL_UNSAFE, mode, 3_600_000)
                : Op.create(path, null, OPEN_ACL_UNSAFE, mode));
        }
        List<OpResult> results = zk.multi(ops);
        int number = 0;
        for (CreateMode mode : CreateMode.values()) {
            OpResult.CreateResult result = (OpResult.CreateResult) results.get(number);
            String suffix = mode.isSequential() ? String.format("%010d", number) : "";
            Peer.equal("/multi/modes/" + mode + "-" + suffix, result.getPath(), "path");
            Stat stat = zk.exists(result.getPath(), false);
            Peer.equal(mode.isEphemeral() ? zk.getSessionId() : 0L, stat.getEphemeralOwner(), "owner of " + mode);
            boolean withStat = mode.isContainer() || mode.isTTL();
            Peer.equal(withStat ? stat : null, result.getStat(), "stat of " + mode);
            number++;
        }
    }

    private static void failsAt(ZooKeeper zk, int position) throws Exception {
        String base = "/multi/fail" + position;
        Client.make(zk, base, "before");
        Client.make(zk, base + "/old");
        Stat before = zk.exists(base, false);
        List<Op> ops = new ArrayList<>(List.of(
            create(base + "/new"), Op.setData(base, Client.bytes("after"), -1), Op.delete(base + "/old", -1)));
        ops.add(position, create(base + "/missing/child"));
        try {
            zk.multi(ops);
            throw new AssertionError("error: expected <NoNode>, got <success>");
        } catch (KeeperException.NoNodeException error) {
            List<Integer> codes = new ArrayList<>();
            for (OpResult result : error.getResults()) codes.add(((OpResult.ErrorResult) result).getErr());
            List<Integer> expected = new ArrayList<>();
            for (int i = 0; i < 4; i++) expected.add(i < position ? 0 : i == position ? -101 : -2);
            Peer.equal(expected, codes, "codes of the parts");
        }
        Peer.equal(before, zk.exists(base, false), "stat of the parent");
        Peer.equal("before", Peer.oneLine(zk.getData(base, false, null)), "data");
        Peer.equal(List.of("old"), zk.getChildren(base, false), "children");
    }

    private static void async(ZooKeeper zk) throws Exception {
        CompletableFuture<String> good = new CompletableFuture<>();
        zk.multi(List.of(create("/multi/as"), Op.check("/multi/as", 0)),
            (rc, path, ctx, results) -> good.complete(rc + " " + ctx + " " + results.size()), "ctx");
        Peer.equal("0 ctx 2", Client.get(good), "callback");
        CompletableFuture<String> bad = new CompletableFuture<>();
        zk.multi(List.of(create("/multi/as2"), Op.check("/multi/as", 7)), (rc, path, ctx, results) -> {
            StringBuilder codes = new StringBuilder();
            for (OpResult result : results) codes.append(' ').append(((OpResult.ErrorResult) result).getErr());
            bad.complete(rc + codes.toString());
        }, null);
        Peer.equal("-103 0 -103", Client.get(bad), "callback");
        List<OpResult> results = zk.transaction()
            .create("/multi/tx", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .setData("/multi/tx", new byte[2], 0)
            .check("/multi/tx", 1)
            .delete("/multi/tx", 1)
            .commit();
        Peer.equal(4, results.size(), "results");
        CompletableFuture<Integer> committed = new CompletableFuture<>();
        zk.transaction().create("/multi/tx", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT)
            .commit((rc, path, ctx, list) -> committed.complete(rc), null);
        Peer.equal(0, Client.get(committed), "callback");
    }

    private static void read(ZooKeeper zk) throws Exception {
        Client.make(zk, "/multi/r", "data");
        Client.make(zk, "/multi/r/child");
        zk.create("/multi/closed", null,
            Client.acl(new ACL(ZooDefs.Perms.ADMIN, new Id("world", "anyone"))), CreateMode.PERSISTENT);
        List<OpResult> results = zk.multi(List.of(
            Op.getData("/multi/r"), Op.getData("/multi/none"), Op.getChildren("/multi/r"),
            Op.getChildren("/multi/closed"), Op.getData("/multi/r/child")));
        OpResult.GetDataResult data = (OpResult.GetDataResult) results.get(0);
        Peer.equal("data", Peer.oneLine(data.getData()), "data");
        Peer.equal(zk.exists("/multi/r", false), data.getStat(), "stat");
        Peer.equal(-101, ((OpResult.ErrorResult) results.get(1)).getErr(), "missing node");
        Peer.equal(List.of("child"), ((OpResult.GetChildrenResult) results.get(2)).getChildren(), "children");
        Peer.equal(-102, ((OpResult.ErrorResult) results.get(3)).getErr(), "closed node");
        Peer.equal(0, ((OpResult.GetDataResult) results.get(4)).getData().length, "empty data");
        CompletableFuture<String> answer = new CompletableFuture<>();
        zk.multi(List.of(Op.getChildren("/multi/r"), Op.getData("/multi/none")),
            (rc, path, ctx, list) -> answer.complete(rc + " " + list.size()), null);
        Peer.equal("-101 2", Client.get(answer), "callback, with the code the client takes from the last failed part");
    }
}
