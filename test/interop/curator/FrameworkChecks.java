import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.api.transaction.CuratorTransactionResult;
import org.apache.curator.framework.api.transaction.OperationType;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryUntilElapsed;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.data.Stat;

/** The fluent client: creation with all its options, background calls, transactions, watches, states. */
final class FrameworkChecks {
    private FrameworkChecks() {}

    static void run() throws Exception {
        Curator.check("create with parents, containers, TTL, protection and stat", FrameworkChecks::create);
        Curator.check("create or set, delete with children, quietly and guaranteed", clients -> {
            CuratorFramework client = clients.start();
            client.create().orSetData().forPath("/f-set", Curator.bytes("1"));
            client.create().orSetData().forPath("/f-set", Curator.bytes("2"));
            Peer.equal("2", Peer.oneLine(client.getData().forPath("/f-set")), "data");
            client.create().creatingParentsIfNeeded().forPath("/f-set/a/b/c");
            client.delete().guaranteed().deletingChildrenIfNeeded().forPath("/f-set");
            Peer.equal(null, client.checkExists().forPath("/f-set"), "stat");
            client.delete().quietly().forPath("/f-set");
        });
        Curator.check("compressed data", clients -> {
            CuratorFramework client = clients.start();
            byte[] data = new byte[2_000_000];
            client.create().compressed().forPath("/f-zip", data);
            Peer.equal(data.length, client.getData().decompressed().forPath("/f-zip").length, "length");
        });
        Curator.check("background calls", FrameworkChecks::background);
        Curator.check("a transaction commits", FrameworkChecks::transaction);
        Curator.check("a transaction rolls back", clients -> {
            CuratorFramework client = clients.start();
            client.create().forPath("/f-roll");
            try {
                client.transaction().forOperations(
                    client.transactionOp().create().forPath("/f-roll/a"),
                    client.transactionOp().check().withVersion(4).forPath("/f-roll"));
                throw new AssertionError("error: expected <BadVersion>, got <success>");
            } catch (KeeperException.BadVersionException expected) {
                Peer.equal(List.of(), client.getChildren().forPath("/f-roll"), "children");
            }
        });
        Curator.check("a namespace is a prefix", clients -> {
            CuratorFramework client = clients.start();
            CuratorFramework inside = client.usingNamespace("f-space");
            inside.create().creatingParentsIfNeeded().forPath("/a/b", Curator.bytes("x"));
            Peer.equal("x", Peer.oneLine(client.getData().forPath("/f-space/a/b")), "data");
        });
        Curator.check("authorisation and ACLs", FrameworkChecks::acl);
        Curator.check("watches that stay, one level and recursive, and their removal", FrameworkChecks::watches);
        Curator.check("states: SUSPENDED and RECONNECTED over kill-restart", clients -> {
            CuratorFramework client = clients.start();
            Curator.Heard states = heardStates(client);
            client.create().withMode(CreateMode.EPHEMERAL).forPath("/f-restart");
            long session = client.getZookeeperClient().getZooKeeper().getSessionId();
            Peer.ask("kill-restart");
            states.await(ConnectionState.SUSPENDED.name());
            states.await(ConnectionState.RECONNECTED.name());
            Peer.equal(session, client.checkExists().forPath("/f-restart").getEphemeralOwner(), "owner");
        });
        Curator.check("states: LOST after expiry, then a new session", clients -> {
            CuratorFramework observer = clients.start();
            CuratorFramework client = clients.start(Peer.RELAY, 3_000);
            Curator.Heard states = heardStates(client);
            client.create().withMode(CreateMode.EPHEMERAL).forPath("/f-lost");
            CompletableFuture<String> gone = new CompletableFuture<>();
            observer.checkExists().usingWatcher((org.apache.zookeeper.Watcher) event ->
                gone.complete(event.getType().name())).forPath("/f-lost");
            Peer.ask("freeze");
            Peer.equal("NodeDeleted", gone.get(30, TimeUnit.SECONDS), "event");
            Peer.ask("thaw");
            states.await(ConnectionState.LOST.name());
            states.await(ConnectionState.RECONNECTED.name());
            client.create().withMode(CreateMode.EPHEMERAL).forPath("/f-lost");
        });
    }

    private static Curator.Heard heardStates(CuratorFramework client) {
        Curator.Heard heard = new Curator.Heard();
        client.getConnectionStateListenable().addListener((source, state) -> heard.add(state.name()));
        return heard;
    }

    private static void create(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        Stat stat = new Stat();
        client.create().storingStatIn(stat).creatingParentContainersIfNeeded().forPath("/f-create/a/b", Curator.bytes("12"));
        Peer.equal(stat, client.checkExists().forPath("/f-create/a/b"), "stat");
        client.create().withTtl(3_600_000).withMode(CreateMode.PERSISTENT_WITH_TTL).forPath("/f-create/ttl");
        String path = client.create().withProtection().withMode(CreateMode.EPHEMERAL_SEQUENTIAL).forPath("/f-create/p-");
        Peer.that(path.matches("/f-create/_c_[-0-9a-f]+-p-0000000002"), "a protected name, got " + path);
        long session = client.getZookeeperClient().getZooKeeper().getSessionId();
        Peer.equal(session, client.checkExists().forPath(path).getEphemeralOwner(), "owner");
        String id = "0123456789";
        client.create().idempotent().forPath("/f-create/same", Curator.bytes(id));
        client.create().idempotent().forPath("/f-create/same", Curator.bytes(id));
        client.setData().idempotent().withVersion(0).forPath("/f-create/same", Curator.bytes("next"));
        client.setData().idempotent().withVersion(0).forPath("/f-create/same", Curator.bytes("next"));
        Peer.equal(1, client.checkExists().forPath("/f-create/same").getVersion(), "version");
    }

    private static void background(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        Curator.Heard heard = new Curator.Heard();
        org.apache.curator.framework.api.BackgroundCallback callback = (source, event) ->
            heard.add(event.getType() + " " + event.getResultCode() + " " + event.getPath());
        client.create().inBackground(callback).forPath("/f-back", Curator.bytes("x"));
        client.getData().inBackground(callback).forPath("/f-back");
        client.getChildren().inBackground(callback).forPath("/f-back");
        client.sync().inBackground(callback).forPath("/f-back");
        client.checkExists().inBackground(callback).forPath("/f-none");
        client.delete().inBackground(callback).forPath("/f-back");
        for (String expected : List.of("CREATE 0 /f-back", "GET_DATA 0 /f-back", "CHILDREN 0 /f-back", "SYNC 0 /f-back",
            "EXISTS -101 /f-none", "DELETE 0 /f-back")) {
            Peer.equal(expected, heard.next(), "callback");
        }
    }

    private static void transaction(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        List<CuratorTransactionResult> results = client.transaction().forOperations(
            client.transactionOp().create().forPath("/f-tx", Curator.bytes("x")),
            client.transactionOp().create().withMode(CreateMode.PERSISTENT_SEQUENTIAL).forPath("/f-tx/s-"),
            client.transactionOp().create().withMode(CreateMode.CONTAINER).forPath("/f-tx/box"),
            client.transactionOp().setData().withVersion(0).forPath("/f-tx", Curator.bytes("y")),
            client.transactionOp().check().withVersion(1).forPath("/f-tx"),
            client.transactionOp().delete().forPath("/f-tx/s-0000000000"));
        Peer.equal(6, results.size(), "results");
        Peer.equal("/f-tx/s-0000000000", results.get(1).getResultPath(), "path");
        Peer.equal(OperationType.SET_DATA, results.get(3).getType(), "type");
        Stat stat = results.get(3).getResultStat();
        Peer.equal("1 2", stat.getVersion() + " " + stat.getNumChildren(), "stat at that point");
        Peer.equal(List.of("box"), client.getChildren().forPath("/f-tx"), "children");
    }

    private static void acl(Curator clients) throws Exception {
        CuratorFramework anyone = clients.start();
        try (CuratorFramework ann = CuratorFrameworkFactory.builder()
            .connectString(Peer.SERVER)
            .retryPolicy(new RetryUntilElapsed(60_000, 100))
            .authorization("digest", Curator.bytes("ann:secret"))
            .build()) {
            ann.start();
            ann.create().withACL(ZooDefs.Ids.CREATOR_ALL_ACL).forPath("/f-acl", Curator.bytes("x"));
            try {
                anyone.getData().forPath("/f-acl");
                throw new AssertionError("error: expected <NoAuth>, got <success>");
            } catch (KeeperException.NoAuthException expected) {
                Peer.equal("x", Peer.oneLine(ann.getData().forPath("/f-acl")), "data");
            }
            ann.setACL().withVersion(0).withACL(ZooDefs.Ids.OPEN_ACL_UNSAFE).forPath("/f-acl");
            Peer.equal(ZooDefs.Ids.OPEN_ACL_UNSAFE, anyone.getACL().forPath("/f-acl"), "acl");
        }
    }

    private static void watches(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        CuratorFramework other = clients.start();
        Curator.Heard level = new Curator.Heard();
        Curator.Heard tree = new Curator.Heard();
        org.apache.zookeeper.Watcher onLevel = event -> level.add(event.getType() + " " + event.getPath());
        org.apache.zookeeper.Watcher onTree = event -> tree.add(event.getType() + " " + event.getPath());
        client.watchers().add().withMode(AddWatchMode.PERSISTENT).usingWatcher(onLevel).forPath("/f-watch");
        client.watchers().add().withMode(AddWatchMode.PERSISTENT_RECURSIVE).usingWatcher(onTree).forPath("/f-watch");
        other.create().creatingParentsIfNeeded().forPath("/f-watch/a/b");
        other.setData().forPath("/f-watch", Curator.bytes("x"));
        for (String event : List.of("NodeCreated /f-watch", "NodeChildrenChanged /f-watch", "NodeDataChanged /f-watch")) {
            Peer.equal(event, level.next(), "event of the one level");
        }
        for (String event : List.of("NodeCreated /f-watch", "NodeCreated /f-watch/a", "NodeCreated /f-watch/a/b",
            "NodeDataChanged /f-watch")) {
            Peer.equal(event, tree.next(), "event of the tree");
        }
        client.watchers().remove(onLevel).forPath("/f-watch");
        level.await("PersistentWatchRemoved /f-watch");
        other.setData().forPath("/f-watch/a", Curator.bytes("x"));
        tree.await("NodeDataChanged /f-watch/a");
        client.watchers().removeAll().forPath("/f-watch");
        tree.await("PersistentWatchRemoved /f-watch");
    }
}
