import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.StatsTrack;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.cli.DelQuotaCommand;
import org.apache.zookeeper.cli.SetQuotaCommand;
import org.apache.zookeeper.data.Stat;
import java.util.List;

/** Quotas as the tools keep them, in nodes below /zookeeper/quota, and their enforcement. */
final class QuotaChecks {
    private QuotaChecks() {}

    static void run() throws Exception {
        ZooKeeper zk = Client.connect();
        Client.make(zk, "/quota");
        Peer.check("the stats node follows creations, data and deletions", () -> {
            Client.make(zk, "/quota/stats", "12345");
            Client.make(zk, "/quota/stats/old", "1");
            SetQuotaCommand.createQuota(zk, "/quota/stats", limits(100, -1, -1, -1));
            stats(zk, "/quota/stats", 2, 6);
            Client.make(zk, "/quota/stats/a", "123");
            stats(zk, "/quota/stats", 3, 9);
            Client.make(zk, "/quota/stats/a/b", "1234");
            stats(zk, "/quota/stats", 4, 13);
            zk.setData("/quota/stats/a", Client.bytes("1"), -1);
            stats(zk, "/quota/stats", 4, 11);
            zk.delete("/quota/stats/a/b", -1);
            stats(zk, "/quota/stats", 3, 7);
            Client.make(zk, "/quota/stats-not", "123");
            stats(zk, "/quota/stats", 3, 7);
        });
        Peer.check("a hard limit of nodes refuses the next create, in a multi too", () -> {
            Client.make(zk, "/quota/count");
            SetQuotaCommand.createQuota(zk, "/quota/count", limits(-1, 3, -1, -1));
            Client.make(zk, "/quota/count/a");
            Client.make(zk, "/quota/count/a/b");
            Client.fails(Code.QUOTAEXCEEDED, () -> Client.make(zk, "/quota/count/c"));
            Client.fails(Code.QUOTAEXCEEDED, () -> zk.create("/quota/count/a/e", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL));
            Client.fails(Code.QUOTAEXCEEDED, () -> zk.multi(List.of(
                Op.create("/quota/beside", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.create("/quota/count/c", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT))));
            Peer.equal(null, zk.exists("/quota/beside", false), "the part outside");
            stats(zk, "/quota/count", 3, 0);
            zk.delete("/quota/count/a/b", -1);
            Client.make(zk, "/quota/count/c");
        });
        Peer.check("a hard limit of bytes refuses creates and growth, not shrinking", () -> {
            Client.make(zk, "/quota/bytes", "12345");
            SetQuotaCommand.createQuota(zk, "/quota/bytes", limits(-1, -1, -1, 10));
            Client.fails(Code.QUOTAEXCEEDED, () -> Client.make(zk, "/quota/bytes/a", "123456"));
            Client.make(zk, "/quota/bytes/a", "12345");
            stats(zk, "/quota/bytes", 2, 10);
            Client.fails(Code.QUOTAEXCEEDED, () -> zk.setData("/quota/bytes/a", Client.bytes("123456"), -1));
            zk.setData("/quota/bytes/a", Client.bytes("123"), -1);
            zk.setData("/quota/bytes", Client.bytes("1234567"), -1);
            stats(zk, "/quota/bytes", 2, 10);
            Client.make(zk, "/quota/bytes/empty");
        });
        Peer.check("a soft limit only warns", () -> {
            Client.make(zk, "/quota/soft");
            SetQuotaCommand.createQuota(zk, "/quota/soft", limits(1, -1, 1, -1));
            Client.make(zk, "/quota/soft/a", "12345");
            stats(zk, "/quota/soft", 2, 5);
        });
        Peer.check("a limit counts again after it was raised and ends with its removal", () -> {
            Client.make(zk, "/quota/raise");
            SetQuotaCommand.createQuota(zk, "/quota/raise", limits(-1, 1, -1, -1));
            Client.fails(Code.QUOTAEXCEEDED, () -> Client.make(zk, "/quota/raise/a"));
            SetQuotaCommand.createQuota(zk, "/quota/raise", limits(-1, 2, -1, -1));
            Client.make(zk, "/quota/raise/a");
            Client.fails(Code.QUOTAEXCEEDED, () -> Client.make(zk, "/quota/raise/b"));
            DelQuotaCommand.delQuota(zk, "/quota/raise", limits(-1, 1, -1, -1));
            Client.make(zk, "/quota/raise/b");
        });
        Peer.check("updates of the stats node are silent", () -> {
            String path = "/zookeeper/quota/quota/stats/zookeeper_stats";
            Client.Events events = new Client.Events();
            Stat before = new Stat();
            zk.getData(path, events, before);
            Client.make(zk, "/quota/stats/silent", "1");
            Stat after = new Stat();
            zk.getData(path, false, after);
            Peer.equal(before.getVersion() + " " + before.getMzxid(), after.getVersion() + " " + after.getMzxid(), "stat");
            events.expectNothingElse(zk);
        });
        zk.close();
    }

    private static StatsTrack limits(long count, long countHard, long bytes, long bytesHard) {
        StatsTrack track = new StatsTrack();
        track.setCount(count);
        track.setCountHardLimit(countHard);
        track.setBytes(bytes);
        track.setByteHardLimit(bytesHard);
        return track;
    }

    private static void stats(ZooKeeper zk, String path, long count, long bytes) throws Exception {
        byte[] data = zk.getData("/zookeeper/quota" + path + "/zookeeper_stats", false, null);
        StatsTrack track = new StatsTrack(data);
        Peer.equal(count + " nodes " + bytes + " bytes", track.getCount() + " nodes " + track.getBytes() + " bytes", "usage");
    }
}
