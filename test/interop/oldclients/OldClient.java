import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * What clients of every version have done since 3.3. Compiled against an old jar and run with each: what came with later
 * versions is in classes of its own, named on the command line.
 */
public final class OldClient {
    static final int SESSION_MS = 20_000;

    interface Call {
        void run() throws Exception;
    }

    /** The checks that came with one version. */
    public interface Checks {
        void run(String top) throws Exception;
    }

    /** Events as they come: "Type path", or "state State" for the session's own. */
    static final class Events implements Watcher {
        private final LinkedBlockingQueue<String> queue = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            boolean ofSession = event.getType() == Event.EventType.None;
            queue.add(ofSession ? "state " + event.getState() : event.getType() + " " + event.getPath());
        }

        void expect(String event) throws InterruptedException {
            Peer.equal(event, queue.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS), "next event");
        }

        /** Skips the session's own. */
        void await(String event) throws InterruptedException {
            for (String got = ""; !event.equals(got); ) {
                got = queue.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
                Peer.that(event.equals(got) || (got != null && got.startsWith("state ")), event + " to come, not " + got);
            }
        }
    }

    private OldClient() {}

    /** Arguments: a path for this version's znodes, then the names of classes with checks. */
    public static void main(String[] args) throws Exception {
        Peer.begin();
        String top = args[0];
        checkRequests(top);
        checkWatches(top);
        checkSessions(top);
        for (int i = 1; i < args.length; i++) {
            ((Checks) Class.forName(args[i]).getDeclaredConstructor().newInstance()).run(top);
        }
        Peer.end();
    }

    static ZooKeeper connect(Events events) throws Exception {
        ZooKeeper zk = new ZooKeeper(Peer.SERVER, SESSION_MS, events);
        events.expect("state SyncConnected");
        return zk;
    }

    static byte[] bytes(String text) {
        return text.getBytes(UTF_8);
    }

    static String make(ZooKeeper zk, String path, CreateMode mode) throws Exception {
        return zk.create(path, bytes("first"), Ids.OPEN_ACL_UNSAFE, mode);
    }

    static void fails(KeeperException.Code code, Call call) throws Exception {
        try {
            call.run();
        } catch (KeeperException error) {
            Peer.equal(code, error.code(), "error");
            return;
        }
        throw new AssertionError("no error, expected " + code);
    }

    private static void checkRequests(String top) throws Exception {
        Peer.check("V3 requests are answered, and refused with the right codes", () -> {
            ZooKeeper zk = connect(new Events());
            Peer.equal(top, make(zk, top, CreateMode.PERSISTENT), "path created");
            Stat stat = new Stat();
            Peer.equal("first", new String(zk.getData(top, false, stat), UTF_8), "data");
            Peer.equal(0, stat.getVersion(), "version");
            Peer.equal(1, zk.setData(top, bytes("second"), 0).getVersion(), "version");
            fails(KeeperException.Code.BADVERSION, () -> zk.setData(top, bytes("third"), 0));
            fails(KeeperException.Code.NODEEXISTS, () -> make(zk, top, CreateMode.PERSISTENT));
            fails(KeeperException.Code.NONODE, () -> zk.getData(top + "/none", false, null));
            Peer.equal(null, zk.exists(top + "/none", false), "Stat of nothing");
            List<String> names = new ArrayList<>();
            for (int i = 0; i < 2; i++) names.add(make(zk, top + "/seq-", CreateMode.PERSISTENT_SEQUENTIAL));
            Peer.equal(List.of(top + "/seq-0000000000", top + "/seq-0000000001"), names, "sequential names");
            fails(KeeperException.Code.NOTEMPTY, () -> zk.delete(top, -1));
            for (String name : names) zk.delete(name, 0);
            Peer.equal(Collections.emptyList(), zk.getChildren(top, false), "children");
            Peer.equal(Ids.OPEN_ACL_UNSAFE, zk.getACL(top, new Stat()), "ACL");
            zk.close();
        });
        Peer.check("V3 an ACL lets in whoever has the digest, and nobody else", () -> {
            ZooKeeper ann = connect(new Events());
            ann.addAuthInfo("digest", bytes("ann:secret"));
            String path = top + "/private";
            ann.create(path, bytes("x"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            ZooKeeper bob = connect(new Events());
            fails(KeeperException.Code.NOAUTH, () -> bob.getData(path, false, null));
            bob.addAuthInfo("digest", bytes("ann:secret"));
            Peer.equal("x", new String(bob.getData(path, false, null), UTF_8), "data");
            ann.close();
            bob.close();
        });
    }

    private static void checkWatches(String top) throws Exception {
        Peer.check("V3 watches fire once, in order", () -> {
            Events events = new Events();
            ZooKeeper zk = connect(events);
            ZooKeeper other = connect(new Events());
            String path = top + "/watched";
            zk.exists(path, events);
            zk.getChildren(top, events);
            make(other, path, CreateMode.PERSISTENT);
            events.expect("NodeCreated " + path);
            events.expect("NodeChildrenChanged " + top);
            zk.getData(path, events, null);
            other.setData(path, bytes("a"), -1);
            other.setData(path, bytes("b"), -1);
            events.expect("NodeDataChanged " + path);
            zk.getData(path, events, null);
            other.delete(path, -1);
            events.expect("NodeDeleted " + path);
            zk.close();
            other.close();
        });
    }

    private static void checkSessions(String top) throws Exception {
        Peer.check("V3 a session with its watches and ephemerals goes on over a restart of the server", () -> {
            Events events = new Events();
            ZooKeeper zk = connect(events);
            long id = zk.getSessionId();
            String path = make(zk, top + "/alive", CreateMode.EPHEMERAL);
            zk.exists(top + "/later", events);
            Peer.ask("kill-restart");
            Peer.until("it is connected again", () -> {
                try {
                    return zk.exists(path, false) != null;
                } catch (KeeperException.ConnectionLossException error) {
                    return false;
                }
            });
            Peer.equal(id, zk.getSessionId(), "session");
            ZooKeeper other = connect(new Events());
            make(other, top + "/later", CreateMode.PERSISTENT);
            events.await("NodeCreated " + top + "/later");
            zk.close();
            Peer.equal(null, other.exists(path, false), "Stat of an ephemeral whose session was closed");
            other.close();
        });
        Peer.check("V3 another handle takes a session over by id and password", () -> {
            ZooKeeper zk = connect(new Events());
            String path = make(zk, top + "/taken", CreateMode.EPHEMERAL);
            Events events = new Events();
            ZooKeeper heir = new ZooKeeper(Peer.SERVER, SESSION_MS, events, zk.getSessionId(), zk.getSessionPasswd());
            events.expect("state SyncConnected");
            Peer.equal(zk.getSessionId(), heir.exists(path, false).getEphemeralOwner(), "owner");
            heir.close();
        });
    }
}
