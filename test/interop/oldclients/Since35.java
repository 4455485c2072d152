import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.WatcherType;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** What came with 3.5: a create that answers a Stat, containers, TTL znodes, and watches that are taken back. */
public final class Since35 implements OldClient.Checks {
    @Override
    public void run(String top) throws Exception {
        Peer.check("V3 a create answers a Stat; containers and TTL znodes are made", () -> {
            ZooKeeper zk = OldClient.connect(new OldClient.Events());
            Stat stat = new Stat();
            zk.create(top + "/stat", OldClient.bytes("four"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT, stat);
            Peer.equal(4, stat.getDataLength(), "length");
            OldClient.make(zk, top + "/container", CreateMode.CONTAINER);
            zk.create(top + "/ttl", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 3_600_000);
            Peer.equal(0L, zk.exists(top + "/ttl", false).getEphemeralOwner(), "owner");
            zk.close();
        });
        Peer.check("V3 a watch is taken back", () -> {
            OldClient.Events events = new OldClient.Events();
            ZooKeeper zk = OldClient.connect(events);
            zk.getData(top, events, null);
            zk.removeWatches(top, events, WatcherType.Data, false);
            events.expect("DataWatchRemoved " + top);
            OldClient.fails(KeeperException.Code.NOWATCHER,
                () -> zk.removeWatches(top, events, WatcherType.Data, false));
            zk.close();
        });
    }
}
