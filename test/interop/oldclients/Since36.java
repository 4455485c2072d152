import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.ZooKeeper;

/** What came with 3.6: watches that stay. */
public final class Since36 implements OldClient.Checks {
    @Override
    public void run(String top) throws Exception {
        Peer.check("V3 a persistent recursive watch sees everything below", () -> {
            OldClient.Events events = new OldClient.Events();
            ZooKeeper zk = OldClient.connect(events);
            zk.addWatch(top, events, AddWatchMode.PERSISTENT_RECURSIVE);
            for (int i = 0; i < 2; i++) {
                String path = OldClient.make(zk, top + "/deep-" + i, CreateMode.PERSISTENT);
                events.expect("NodeCreated " + path);
                zk.setData(path, null, -1);
                events.expect("NodeDataChanged " + path);
            }
            zk.close();
        });
    }
}
