import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooKeeper;

/** removeWatches and removeAllWatches: the server forgets, the watcher is told, a watch that is not there is an error. */
final class WatchRemovalChecks {
    private interface Setter {
        void watch(ZooKeeper zk, String path, Client.Events events) throws Exception;
    }

    private WatchRemovalChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/remove");
        Setter data = (client, path, events) -> client.getData(path, events, null);
        Setter child = (client, path, events) -> client.getChildren(path, events);
        Setter persistent = (client, path, events) -> client.addWatch(path, events, AddWatchMode.PERSISTENT);
        Setter recursive = (client, path, events) -> client.addWatch(path, events, AddWatchMode.PERSISTENT_RECURSIVE);
        eachCall(zk, WatcherType.Data, data, "DataWatchRemoved");
        eachCall(zk, WatcherType.Children, child, "ChildWatchRemoved");
        eachCall(zk, WatcherType.Persistent, persistent, "PersistentWatchRemoved");
        eachCall(zk, WatcherType.PersistentRecursive, recursive, "PersistentWatchRemoved");
        Peer.check("removing Any removes all kinds", () -> {
            String path = Client.make(zk, "/remove/any");
            Client.Events events = new Client.Events();
            data.watch(zk, path, events);
            child.watch(zk, path, events);
            persistent.watch(zk, path, events);
            zk.removeWatches(path, events, WatcherType.Any, false);
            events.expectAnyOrder("DataWatchRemoved " + path, "ChildWatchRemoved " + path, "PersistentWatchRemoved " + path);
            touch(zk, path);
            events.expectNothingElse(zk);
        });
        Peer.check("removing one watcher leaves another on the same path", () -> {
            String path = Client.make(zk, "/remove/two");
            Client.Events first = new Client.Events();
            Client.Events second = new Client.Events();
            data.watch(zk, path, first);
            data.watch(zk, path, second);
            zk.removeWatches(path, first, WatcherType.Data, false);
            first.expect("DataWatchRemoved " + path);
            touch(zk, path);
            second.expect("NodeDataChanged " + path);
            first.expectNothingElse(zk);
        });
        Peer.check("removing one kind leaves the others", () -> {
            String path = Client.make(zk, "/remove/kinds");
            Client.Events events = new Client.Events();
            data.watch(zk, path, events);
            child.watch(zk, path, events);
            zk.removeWatches(path, events, WatcherType.Children, false);
            events.expect("ChildWatchRemoved " + path);
            touch(zk, path);
            events.expect("NodeDataChanged " + path);
            events.expectNothingElse(zk);
        });
        Peer.check("removing what is not there is refused", () -> {
            String path = Client.make(zk, "/remove/none");
            for (WatcherType type : WatcherType.values()) {
                Client.fails(Code.NOWATCHER, () -> zk.removeWatches(path, new Client.Events(), type, false));
                Client.fails(Code.NOWATCHER, () -> zk.removeAllWatches(path, type, false));
            }
            Client.Events events = new Client.Events();
            data.watch(zk, path, events);
            Client.fails(Code.NOWATCHER, () -> zk.removeWatches(path, events, WatcherType.Children, false));
            touch(zk, path);
            events.expect("NodeDataChanged " + path);
            Client.fails(Code.NOWATCHER, () -> zk.removeWatches(path, events, WatcherType.Data, false));
        });
        zk.close();
    }

    private static void eachCall(ZooKeeper zk, WatcherType type, Setter setter, String told) throws Exception {
        Peer.check("removeWatches " + type, () -> removed(zk, setter, told, "/remove/one-" + type,
            (path, events) -> zk.removeWatches(path, events, type, false)));
        Peer.check("removeAllWatches " + type, () -> removed(zk, setter, told, "/remove/all-" + type,
            (path, events) -> zk.removeAllWatches(path, type, false)));
        Peer.check("async removeWatches and removeAllWatches " + type, () -> {
            removed(zk, setter, told, "/remove/async-" + type, (path, events) -> {
                CompletableFuture<String> answer = new CompletableFuture<>();
                zk.removeWatches(path, events, type, false, (rc, asked, ctx) -> answer.complete(rc + " " + asked + " " + ctx), "c");
                Peer.equal("0 " + path + " c", Client.get(answer), "callback");
            });
            removed(zk, setter, told, "/remove/async-all-" + type, (path, events) -> {
                CompletableFuture<Integer> answer = new CompletableFuture<>();
                zk.removeAllWatches(path, type, false, (rc, asked, ctx) -> answer.complete(rc), null);
                Peer.equal(0, Client.get(answer), "callback");
            });
        });
    }

    private interface Removal {
        void remove(String path, Client.Events events) throws Exception;
    }

    private static void removed(ZooKeeper zk, Setter setter, String told, String path, Removal removal) throws Exception {
        Client.make(zk, path);
        Client.Events events = new Client.Events();
        setter.watch(zk, path, events);
        removal.remove(path, events);
        events.expect(told + " " + path);
        touch(zk, path);
        events.expectNothingElse(zk);
    }

    private static void touch(ZooKeeper zk, String path) throws Exception {
        zk.setData(path, new byte[1], -1);
        for (String name : List.of("/a", "/b")) Client.make(zk, path + name);
        zk.delete(path + "/a", -1);
    }
}
