import java.util.Arrays;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.OpResult;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** What came with 3.4: multi. */
public final class Since34 implements OldClient.Checks {
    @Override
    public void run(String top) throws Exception {
        Peer.check("V3 a multi is all or nothing", () -> {
            ZooKeeper zk = OldClient.connect(new OldClient.Events());
            String path = top + "/multi";
            List<OpResult> results = zk.multi(Arrays.asList(
                Op.create(path, OldClient.bytes("x"), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(path, OldClient.bytes("y"), 0),
                Op.check(path, 1)));
            Peer.equal(path, ((OpResult.CreateResult) results.get(0)).getPath(), "path");
            Peer.equal(1, ((OpResult.SetDataResult) results.get(1)).getStat().getVersion(), "version");
            OldClient.fails(KeeperException.Code.BADVERSION,
                () -> zk.multi(Arrays.asList(Op.delete(path, -1), Op.check(top, 99))));
            Peer.equal(1, zk.exists(path, false).getVersion(), "version");
            zk.close();
        });
    }
}
