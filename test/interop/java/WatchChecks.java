import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooKeeper;

/** Which watch hears what, how often, and what is heard after a lost connection. */
final class WatchChecks {
    private WatchChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        ZooKeeper other = Client.connect();
        Client.make(zk, "/watch");
        Peer.check("an exists watch hears creation, data and deletion, once each", () -> {
            Client.Events events = new Client.Events();
            zk.exists("/watch/e", events);
            Client.make(other, "/watch/e");
            events.expect("NodeCreated /watch/e");
            other.setData("/watch/e", null, -1);
            zk.exists("/watch/e", events);
            other.setData("/watch/e", null, -1);
            events.expect("NodeDataChanged /watch/e");
            zk.exists("/watch/e", events);
            other.delete("/watch/e", -1);
            events.expect("NodeDeleted /watch/e");
            events.expectNothingElse(zk);
        });
        Peer.check("a data watch hears data and deletion, not children", () -> {
            Client.Events events = new Client.Events();
            Client.make(zk, "/watch/d");
            zk.getData("/watch/d", events, null);
            Client.make(other, "/watch/d/child");
            other.setData("/watch/d", null, -1);
            events.expect("NodeDataChanged /watch/d");
            zk.getData("/watch/d", events, null);
            other.delete("/watch/d/child", -1);
            other.delete("/watch/d", -1);
            events.expect("NodeDeleted /watch/d");
        });
        Peer.check("a child watch hears children and deletion, not data", () -> childWatch(zk, other));
        Peer.check("a failed getData leaves no watch, a failed exists does", () -> {
            Client.Events events = new Client.Events();
            Client.fails(org.apache.zookeeper.KeeperException.Code.NONODE, () -> zk.getData("/watch/late", events, null));
            Client.Events created = new Client.Events();
            zk.exists("/watch/late", created);
            Client.make(other, "/watch/late");
            created.expect("NodeCreated /watch/late");
            events.expectNothingElse(zk);
        });
        Peer.check("the default watcher hears what was asked with true", () -> {
            Client.Events events = new Client.Events();
            zk.register(events);
            Client.make(zk, "/watch/default");
            zk.exists("/watch/default", true);
            zk.getChildren("/watch/default", true);
            zk.getChildren("/watch/default", true, null);
            Client.make(other, "/watch/default/child");
            events.expect("NodeChildrenChanged /watch/default");
            zk.getData("/watch/default", true, null);
            other.setData("/watch/default", null, -1);
            events.expect("NodeDataChanged /watch/default");
            events.expectNothingElse(zk);
        });
        Peer.check("one watcher at data and children hears a deletion once", () -> {
            Client.Events events = new Client.Events();
            Client.make(zk, "/watch/both");
            zk.getData("/watch/both", events, null);
            zk.getChildren("/watch/both", events);
            zk.exists("/watch/both", events);
            other.delete("/watch/both", -1);
            events.expect("NodeDeleted /watch/both");
            events.expectNothingElse(zk);
        });
        Peer.check("an event comes before the answer that shows its change", () -> eventFirst(zk, other));
        Peer.check("a persistent watch stays and hears its own node and the list of children", () -> persistent(zk, other));
        Peer.check("a recursive watch stays and hears the whole subtree", () -> recursive(zk, other));
        Peer.check("persistent watches through the default watcher and callbacks", () -> addWatchVariants(zk, other));
        Peer.check("an ordinary watch beside a persistent one", () -> {
            Client.Events ordinary = new Client.Events();
            Client.Events persistent = new Client.Events();
            Client.make(zk, "/watch/beside");
            zk.addWatch("/watch/beside", persistent, AddWatchMode.PERSISTENT);
            zk.getData("/watch/beside", ordinary, null);
            other.setData("/watch/beside", null, -1);
            other.setData("/watch/beside", null, -1);
            ordinary.expect("NodeDataChanged /watch/beside");
            persistent.expect("NodeDataChanged /watch/beside");
            persistent.expect("NodeDataChanged /watch/beside");
            ordinary.expectNothingElse(zk);
        });
        Peer.check("chroot: calls and events are relative to it", () -> chroot(zk));
        Peer.check("after a lost connection every kind of watch hears what it missed", () -> missed(other));
        zk.close();
        other.close();
    }

    private static void childWatch(ZooKeeper zk, ZooKeeper other) throws Exception {
        Client.Events events = new Client.Events();
        Client.make(zk, "/watch/c");
        zk.getChildren("/watch/c", events);
        other.setData("/watch/c", null, -1);
        Client.make(other, "/watch/c/a");
        events.expect("NodeChildrenChanged /watch/c");
        zk.getChildren("/watch/c", events, null);
        Client.make(other, "/watch/c/a/deeper");
        other.setData("/watch/c/a", null, -1);
        other.delete("/watch/c/a/deeper", -1);
        other.delete("/watch/c/a", -1);
        events.expect("NodeChildrenChanged /watch/c");
        zk.getChildren("/watch/c", events);
        other.delete("/watch/c", -1);
        events.expect("NodeDeleted /watch/c");
        events.expectNothingElse(zk);
    }

    private static void eventFirst(ZooKeeper zk, ZooKeeper other) throws Exception {
        Client.make(zk, "/watch/order", "0");
        for (int i = 1; i <= 50; i++) {
            StringBuffer heard = new StringBuffer();
            CompletableFuture<String> atAnswer = new CompletableFuture<>();
            zk.getData("/watch/order", event -> heard.append(event.getType()), null);
            String value = "" + i;
            other.setData("/watch/order", Client.bytes(value), -1);
            zk.sync("/watch/order", (rc, path, ctx) -> {}, null);
            zk.getData("/watch/order", false, (rc, path, ctx, data, stat) ->
                atAnswer.complete(Peer.oneLine(data) + " " + heard), null);
            Peer.equal(value + " NodeDataChanged", Client.get(atAnswer), "data and event heard before it");
        }
    }

    private static void persistent(ZooKeeper zk, ZooKeeper other) throws Exception {
        Client.Events events = new Client.Events();
        zk.addWatch("/watch/p", events, AddWatchMode.PERSISTENT);
        for (int round = 0; round < 2; round++) {
            Client.make(other, "/watch/p");
            other.setData("/watch/p", null, -1);
            Client.make(other, "/watch/p/a");
            other.setData("/watch/p/a", null, -1);
            Client.make(other, "/watch/p/a/b");
            other.delete("/watch/p/a/b", -1);
            other.delete("/watch/p/a", -1);
            other.delete("/watch/p", -1);
            events.expect("NodeCreated /watch/p");
            events.expect("NodeDataChanged /watch/p");
            events.expect("NodeChildrenChanged /watch/p");
            events.expect("NodeChildrenChanged /watch/p");
            events.expect("NodeDeleted /watch/p");
        }
        events.expectNothingElse(zk);
    }

    private static void recursive(ZooKeeper zk, ZooKeeper other) throws Exception {
        Client.Events events = new Client.Events();
        zk.addWatch("/watch/r", events, AddWatchMode.PERSISTENT_RECURSIVE);
        for (int round = 0; round < 2; round++) {
            Client.make(other, "/watch/r");
            Client.make(other, "/watch/r/a");
            Client.make(other, "/watch/r/a/b");
            Client.make(other, "/watch/rx");
            other.setData("/watch/r/a/b", null, -1);
            for (String path : List.of("/watch/r/a/b", "/watch/r/a", "/watch/rx", "/watch/r")) other.delete(path, -1);
            for (String event : List.of("NodeCreated /watch/r", "NodeCreated /watch/r/a", "NodeCreated /watch/r/a/b",
                "NodeDataChanged /watch/r/a/b", "NodeDeleted /watch/r/a/b", "NodeDeleted /watch/r/a",
                "NodeDeleted /watch/r")) {
                events.expect(event);
            }
        }
        events.expectNothingElse(zk);
    }

    private static void addWatchVariants(ZooKeeper zk, ZooKeeper other) throws Exception {
        Client.Events events = new Client.Events();
        zk.register(events);
        zk.addWatch("/watch/v1", AddWatchMode.PERSISTENT);
        CompletableFuture<String> second = new CompletableFuture<>();
        zk.addWatch("/watch/v2", AddWatchMode.PERSISTENT_RECURSIVE,
            (rc, path, ctx) -> second.complete(rc + " " + path + " " + ctx), "ctx");
        Peer.equal("0 /watch/v2 ctx", Client.get(second), "callback");
        CompletableFuture<String> third = new CompletableFuture<>();
        zk.addWatch("/watch/v3", events, AddWatchMode.PERSISTENT, (rc, path, ctx) -> third.complete(rc + " " + path), null);
        Peer.equal("0 /watch/v3", Client.get(third), "callback");
        for (String path : List.of("/watch/v1", "/watch/v2", "/watch/v2/a", "/watch/v3")) {
            Client.make(other, path);
            events.expect("NodeCreated " + path);
        }
    }

    private static void chroot(ZooKeeper zk) throws Exception {
        Client.make(zk, "/watch/root");
        ZooKeeper inside = Client.connect(Peer.SERVER + "/watch/root", Client.SESSION_MS, new Client.Events());
        Client.Events events = new Client.Events();
        inside.exists("/a", events);
        inside.addWatch("/", events, AddWatchMode.PERSISTENT_RECURSIVE);
        Peer.equal("/a", Client.make(inside, "/a", "x"), "path");
        Peer.that(zk.exists("/watch/root/a", false) != null, "the node outside");
        events.expect("NodeCreated /a");
        zk.setData("/watch/root/a", null, -1);
        events.expect("NodeDataChanged /a");
        Peer.equal("/s0000000001", inside.create("/s", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL), "path");
        Peer.equal(List.of("a", "s0000000001"), Client.sorted(inside.getChildren("/", false)), "children");
        inside.getChildren("/", events);
        inside.close();
        Peer.equal(List.of("a"), zk.getChildren("/watch/root", false), "children after close");
    }

    /** The relay hangs up on one handle while another changes everything that handle watches. */
    private static void missed(ZooKeeper other) throws Exception {
        Client.Events session = new Client.Events();
        ZooKeeper zk = Client.connect(Peer.RELAY, Client.SESSION_MS, session);
        Client.make(other, "/miss");
        for (String name : List.of("data", "gone", "kids", "exists", "p", "same")) Client.make(other, "/miss/" + name);
        Client.Events data = new Client.Events();
        Client.Events kids = new Client.Events();
        Client.Events exists = new Client.Events();
        Client.Events same = new Client.Events();
        Client.Events persistent = new Client.Events();
        Client.Events recursive = new Client.Events();
        zk.getData("/miss/data", data, null);
        zk.getData("/miss/gone", data, null);
        zk.getChildren("/miss/kids", kids);
        zk.exists("/miss/exists", exists);
        zk.exists("/miss/new", exists);
        zk.getData("/miss/same", same, null);
        zk.getChildren("/miss/same", same);
        zk.addWatch("/miss/p", persistent, AddWatchMode.PERSISTENT);
        zk.addWatch("/miss/p", recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        Peer.ask("freeze");
        other.setData("/miss/data", null, -1);
        other.delete("/miss/gone", -1);
        Client.make(other, "/miss/kids/a");
        other.delete("/miss/exists", -1);
        Client.make(other, "/miss/new");
        Peer.ask("thaw");
        session.await("state Disconnected");
        session.await("state SyncConnected");
        for (Client.Events events : List.of(data, kids, exists, same, persistent, recursive)) {
            events.await("state SyncConnected");
        }
        data.expectAnyOrder("NodeDataChanged /miss/data", "NodeDeleted /miss/gone");
        kids.expect("NodeChildrenChanged /miss/kids");
        exists.expectAnyOrder("NodeDeleted /miss/exists", "NodeCreated /miss/new");
        other.setData("/miss/same", null, -1);
        same.expect("NodeDataChanged /miss/same");
        Client.make(other, "/miss/same/a");
        same.expect("NodeChildrenChanged /miss/same");
        Client.make(other, "/miss/p/a");
        persistent.expect("NodeChildrenChanged /miss/p");
        recursive.expect("NodeCreated /miss/p/a");
        zk.close();
    }
}
