import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** The server is killed with -9, or stopped in order, and started again on its files. */
final class RestartChecks {
    private RestartChecks() {}

    static void run() throws Exception {
        for (String how : List.of("kill-restart", "stop-restart")) {
            Peer.check(how + ": session, ephemerals and watches survive", () -> survives(how));
            Peer.check(how + ": data, stats, ACLs, quotas and counters survive", () -> state(how));
        }
        Peer.check("kill-restart: another handle takes the session over", Run::takeOver);
        Peer.check("kill-restart: every acknowledged write is there", Run::acknowledged);
        Peer.check("kill-restart: a session nobody comes back for expires with its nodes", Run::expires);
    }

    private static void survives(String how) throws Exception {
        String base = "/restart-" + how;
        Client.Events session = new Client.Events();
        ZooKeeper zk = Client.connect(Peer.SERVER, Client.SESSION_MS, session);
        Client.make(zk, base);
        long id = zk.getSessionId();
        zk.create(base + "/mine", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Client.Events data = new Client.Events();
        Client.Events recursive = new Client.Events();
        zk.getData(base, data, null);
        zk.addWatch(base, recursive, AddWatchMode.PERSISTENT_RECURSIVE);
        Peer.ask(how);
        session.await("state SyncConnected");
        Peer.equal(id, zk.getSessionId(), "session");
        Peer.equal(id, zk.exists(base + "/mine", false).getEphemeralOwner(), "owner of the ephemeral node");
        Peer.equal(List.of(base + "/mine"), zk.getEphemerals(), "ephemerals");
        zk.setData(base, null, -1);
        data.await("NodeDataChanged " + base);
        recursive.await("NodeDataChanged " + base);
        ZooKeeper observer = Client.connect();
        Client.Events gone = new Client.Events();
        observer.exists(base + "/mine", gone);
        zk.close();
        gone.expect("NodeDeleted " + base + "/mine");
        observer.close();
    }

    private static void state(String how) throws Exception {
        String base = "/state-" + how;
        ZooKeeper zk = Client.connectAs("ann:secret");
        Client.make(zk, base, "data");
        zk.create(base + "/closed", null, CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        zk.create(base + "/n-", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
        zk.create(base + "/box", null, OPEN_ACL_UNSAFE, CreateMode.CONTAINER);
        zk.create(base + "/ttl", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_WITH_TTL, null, 3_600_000);
        zk.setData(base, Client.bytes("new"), 0);
        zk.delete(base + "/n-0000000001", -1);
        var limits = new org.apache.zookeeper.StatsTrack();
        limits.setCountHardLimit(5);
        org.apache.zookeeper.cli.SetQuotaCommand.createQuota(zk, base, limits);
        Stat stat = zk.exists(base, false);
        Stat box = zk.exists(base + "/box", false);
        Stat closed = zk.exists(base + "/closed", false);
        var acl = zk.getACL(base + "/closed", null);
        Peer.ask(how);
        ZooKeeper after = Client.connect();
        Peer.equal(stat, after.exists(base, false), "stat");
        Peer.equal("new", Peer.oneLine(after.getData(base, false, null)), "data");
        Peer.equal(box, after.exists(base + "/box", false), "stat of the container");
        Client.fails(Code.NOAUTH, () -> after.getData(base + "/closed", false, null));
        after.addAuthInfo("digest", Client.bytes("ann:secret"));
        Peer.equal(closed, after.exists(base + "/closed", false), "stat of the closed node");
        Peer.equal(acl, after.getACL(base + "/closed", null), "acl");
        String next = after.create(base + "/n-", null, OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
        Peer.equal(base + "/n-0000000004", next, "the next sequence number");
        Peer.that(after.exists(next, false).getCzxid() > stat.getPzxid(), "zxids go on");
        Client.fails(Code.QUOTAEXCEEDED, () -> Client.make(after, base + "/over"));
        after.close();
        zk.close();
    }

    /** Checks that stop the server in the middle of something. */
    private static final class Run {
        static void takeOver() throws Exception {
            ZooKeeper first = Client.connect(Peer.RELAY, Client.SESSION_MS, new Client.Events());
            first.create("/taken", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Peer.ask("freeze");
            Peer.ask("kill-restart");
            Client.Events session = new Client.Events();
            ZooKeeper second =
                new ZooKeeper(Peer.SERVER, Client.SESSION_MS, session, first.getSessionId(), first.getSessionPasswd());
            session.await("state SyncConnected");
            Peer.equal(first.getSessionId(), second.getSessionId(), "session");
            Peer.equal(List.of("/taken"), second.getEphemerals(), "ephemerals");
            second.close();
            Peer.ask("thaw");
            first.close();
        }

        static void acknowledged() throws Exception {
            ZooKeeper zk = Client.connect();
            Client.make(zk, "/ack");
            ConcurrentLinkedQueue<String> acknowledged = new ConcurrentLinkedQueue<>();
            AtomicBoolean stop = new AtomicBoolean();
            Thread writer = new Thread(() -> {
                for (int i = 0; !stop.get(); i++) {
                    zk.create("/ack/" + i, Client.bytes("v" + i), OPEN_ACL_UNSAFE, CreateMode.PERSISTENT,
                        (int rc, String path, Object ctx, String name) -> {
                            if (rc == 0) acknowledged.add(path);
                        }, null);
                    if (i % 20 == 0) Thread.yield();
                    if (i > 20_000) break;
                }
            });
            writer.start();
            Peer.until("some writes to be acknowledged", () -> acknowledged.size() > 300);
            Peer.ask("kill");
            stop.set(true);
            writer.join();
            Peer.ask("start");
            ZooKeeper after = Client.connect();
            var there = new java.util.HashSet<>(after.getChildren("/ack", false));
            for (String path : acknowledged) Peer.that(there.contains(path.substring(5)), path + " is there");
            for (String name : there) Peer.equal("v" + name, Peer.oneLine(after.getData("/ack/" + name, false, null)), name);
            after.close();
            zk.close();
        }

        static void expires() throws Exception {
            ZooKeeper zk = Client.connect(Peer.RELAY, 2_000, new Client.Events());
            zk.create("/orphan", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Peer.ask("freeze");
            Peer.ask("kill-restart");
            ZooKeeper observer = Client.connect();
            Client.Events events = new Client.Events();
            if (observer.exists("/orphan", events) != null) events.expect("NodeDeleted /orphan");
            Peer.equal(null, observer.exists("/orphan", false), "node");
            observer.close();
            Peer.ask("thaw");
            zk.close();
        }
    }
}
