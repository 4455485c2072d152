import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;

/** Every asynchronous call: result code, path and context as given, result as the blocking call has it. */
final class AsyncChecks {
    private AsyncChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/async");
        Client.make(zk, "/async/a", "data");
        Client.make(zk, "/async/a/child");
        Peer.check("async exists", () -> {
            equal("0 /async/a ctx 4", ask(f -> zk.exists("/async/a", false, (rc, path, ctx, stat) ->
                f.complete(rc + " " + path + " " + ctx + " " + stat.getDataLength()), "ctx")));
            equal("-101 null", ask(f -> zk.exists("/async/none", new Client.Events(), (rc, path, ctx, stat) ->
                f.complete(rc + " " + stat), null)));
        });
        Peer.check("async getData", () -> {
            equal("0 /async/a data 4", ask(f -> zk.getData("/async/a", false, (rc, path, ctx, data, stat) ->
                f.complete(rc + " " + path + " " + Peer.oneLine(data) + " " + stat.getDataLength()), null)));
            equal("-101 null", ask(f -> zk.getData("/async/none", new Client.Events(), (rc, path, ctx, data, stat) ->
                f.complete(rc + " " + data), null)));
        });
        Peer.check("async setData", () -> {
            equal("0 1", ask(f -> zk.setData("/async/a", Client.bytes("data"), 0, (rc, path, ctx, stat) ->
                f.complete(rc + " " + stat.getVersion()), null)));
            equal("-103", ask(f -> zk.setData("/async/a", null, 0, (rc, path, ctx, stat) -> f.complete("" + rc), null)));
        });
        Peer.check("async getChildren, both kinds", () -> {
            equal("0 [child]", ask(f -> zk.getChildren("/async/a", false,
                (int rc, String path, Object ctx, List<String> names) -> f.complete(rc + " " + names), null)));
            equal("0 [child]", ask(f -> zk.getChildren("/async/a", new Client.Events(),
                (int rc, String path, Object ctx, List<String> names) -> f.complete(rc + " " + names), null)));
            equal("0 [child] 1", ask(f -> zk.getChildren("/async/a", false,
                (int rc, String path, Object ctx, List<String> names, Stat stat) ->
                    f.complete(rc + " " + names + " " + stat.getNumChildren()), null)));
            equal("-101 null", ask(f -> zk.getChildren("/async/none", new Client.Events(),
                (int rc, String path, Object ctx, List<String> names, Stat stat) -> f.complete(rc + " " + names), null)));
        });
        Peer.check("async getACL and setACL", () -> {
            List<ACL> readOnly = Client.acl(new ACL(ZooDefs.Perms.READ | ZooDefs.Perms.ADMIN, new Id("world", "anyone")));
            equal("0 1", ask(f -> zk.setACL("/async/a/child", readOnly, 0, (rc, path, ctx, stat) ->
                f.complete(rc + " " + stat.getAversion()), null)));
            equal("0 true 1", ask(f -> zk.getACL("/async/a/child", new Stat(), (rc, path, ctx, acl, stat) ->
                f.complete(rc + " " + acl.equals(readOnly) + " " + stat.getAversion()), null)));
            equal("-102", ask(f -> zk.setData("/async/a/child", null, -1, (rc, path, ctx, stat) ->
                f.complete("" + rc), null)));
        });
        Peer.check("async sync", () ->
            equal("0 /async/a", ask(f -> zk.sync("/async/a", (rc, path, ctx) -> f.complete(rc + " " + path), null))));
        Peer.check("async getEphemerals and getAllChildrenNumber", () -> {
            zk.create("/async/e", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            equal("0 [/async/e]", ask(f -> zk.getEphemerals((rc, ctx, paths) -> f.complete(rc + " " + paths), null)));
            equal("0 []", ask(f -> zk.getEphemerals("/no", (rc, ctx, paths) -> f.complete(rc + " " + paths), null)));
            equal("0 /async/a 1", ask(f -> zk.getAllChildrenNumber("/async/a", (rc, path, ctx, number) ->
                f.complete(rc + " " + path + " " + number), null)));
        });
        Peer.check("async getConfig", () -> {
            equal("0 []", ask(f -> zk.getConfig(false, (rc, path, ctx, data, stat) ->
                f.complete(rc + " [" + Peer.oneLine(data) + "]"), null)));
            equal("0 []", ask(f -> zk.getConfig(new Client.Events(), (rc, path, ctx, data, stat) ->
                f.complete(rc + " [" + Peer.oneLine(data) + "]"), null)));
        });
        Peer.check("async delete", () -> {
            equal("-111", ask(f -> zk.delete("/async/a", -1, (rc, path, ctx) -> f.complete("" + rc), null)));
            equal("0 /async/e", ask(f -> zk.delete("/async/e", 0, (rc, path, ctx) -> f.complete(rc + " " + path), null)));
        });
        Peer.check("a pipeline is answered in its order", () -> pipeline(zk));
        zk.close();
    }

    /** Writes and reads mixed, none waiting for another: each read sees the write before it. */
    private static void pipeline(ZooKeeper zk) throws Exception {
        int count = 500;
        Client.make(zk, "/async/pipe");
        List<String> answers = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch left = new CountDownLatch(2 * count);
        for (int i = 0; i < count; i++) {
            zk.setData("/async/pipe", Client.bytes("v" + i), i, (rc, path, ctx, stat) -> {
                answers.add("set " + rc + " " + (stat == null ? "-" : stat.getVersion()));
                left.countDown();
            }, null);
            zk.getData("/async/pipe", false, (rc, path, ctx, data, stat) -> {
                answers.add("get " + rc + " " + Peer.oneLine(data));
                left.countDown();
            }, null);
        }
        Peer.that(left.await(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS), "all answers, missing " + left.getCount());
        for (int i = 0; i < count; i++) {
            Peer.equal("set 0 " + (i + 1), answers.get(2 * i), "answer " + 2 * i);
            Peer.equal("get 0 v" + i, answers.get(2 * i + 1), "answer " + (2 * i + 1));
        }
    }

    private interface Start {
        void begin(CompletableFuture<String> answer) throws Exception;
    }

    private static String ask(Start start) throws Exception {
        CompletableFuture<String> answer = new CompletableFuture<>();
        start.begin(answer);
        return Client.get(answer);
    }

    private static void equal(String expected, String got) {
        Peer.equal(expected, got, "callback");
    }
}
