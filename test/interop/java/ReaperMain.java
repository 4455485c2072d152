import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooKeeper;

/** The server removes used, empty containers and TTL nodes past their time. Its first round is a minute after its start. */
public final class ReaperMain {
    private static final int ROUND_MS = 180_000;

    public static void main(String[] args) throws Exception {
        Peer.begin();
        ZooKeeper zk = Client.connect();
        Client.Events events = new Client.Events();
        zk.create("/used", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        Client.make(zk, "/used/child");
        zk.delete("/used/child", -1);
        zk.create("/unused", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        zk.create("/full", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        Client.make(zk, "/full/child");
        zk.create("/ttl", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 1000);
        zk.create("/ttl-long", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 3_600_000);
        zk.create("/ttl-full", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 1000);
        Client.make(zk, "/ttl-full/child");
        String sequential =
            zk.create("/ttl-seq", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL_WITH_TTL, null, 1000);
        Client.make(zk, "/plain");
        zk.exists("/used", events);
        // Each check has its own deadline; the wait for the first round, which is longer, comes before them.
        Peer.until("the reaper's first round", ROUND_MS, () -> zk.exists("/used", false) == null);
        Peer.check("a container that was used and is empty is removed, with an event", () ->
            events.expect("NodeDeleted /used"));
        Peer.check("TTL nodes past their time are removed", () -> {
            Peer.until("/ttl to go", () -> zk.exists("/ttl", false) == null);
            Peer.until(sequential + " to go", () -> zk.exists(sequential, false) == null);
        });
        Peer.check("containers never used or not empty, TTL nodes with children or time left, and plain nodes stay", () -> {
            for (String path : new String[] {"/unused", "/full", "/ttl-long", "/ttl-full", "/plain"}) {
                Peer.that(zk.exists(path, false) != null, path + " is still there");
            }
        });
        zk.close();
        Peer.end();
    }
}
