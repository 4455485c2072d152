import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;

/** Handles, recorded events and expected errors, as the checks of the Java client use them. */
final class Client {
    static final int SESSION_MS = 30_000;

    interface Call {
        void run() throws Exception;
    }

    private Client() {}

    /** Records events in the order of their arrival, each as "Type path" or, for the session's own, "state State". */
    static final class Events implements Watcher {
        private final LinkedBlockingQueue<String> queue = new LinkedBlockingQueue<>();

        @Override
        public void process(WatchedEvent event) {
            boolean ofSession = event.getType() == Event.EventType.None;
            queue.add(ofSession ? "state " + event.getState() : event.getType() + " " + event.getPath());
        }

        String next() throws InterruptedException {
            return queue.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
        }

        /** The next event is this one. */
        void expect(String event) throws InterruptedException {
            Peer.equal(event, next(), "next event");
        }

        /** The next events are these, in any order. */
        void expectAnyOrder(String... events) throws InterruptedException {
            List<String> expected = new ArrayList<>(List.of(events));
            List<String> got = new ArrayList<>();
            for (int i = 0; i < events.length; i++) got.add(String.valueOf(next()));
            Collections.sort(expected);
            Collections.sort(got);
            Peer.equal(expected, got, "next events in any order");
        }

        /** Skips what comes before `event`. */
        void await(String event) throws InterruptedException {
            for (String got = next(); !event.equals(got); got = next()) {
                Peer.that(got != null, "event <" + event + "> to come");
            }
        }

        /** Nothing is on its way: an event caused now on the same connection is the next. */
        void expectNothingElse(ZooKeeper zk) throws Exception {
            String path = "/marker-" + System.nanoTime();
            zk.exists(path, this);
            zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            expect("NodeCreated " + path);
            zk.delete(path, -1);
        }
    }

    static ZooKeeper connect() throws Exception {
        return connect(Peer.SERVER, SESSION_MS, new Events());
    }

    static ZooKeeper connect(String address, int timeoutMs, Events events) throws Exception {
        ZooKeeper zk = new ZooKeeper(address, timeoutMs, events);
        events.await("state SyncConnected");
        return zk;
    }

    /** A handle known to the server as `user` of the digest scheme. */
    static ZooKeeper connectAs(String user) throws Exception {
        ZooKeeper zk = connect();
        zk.addAuthInfo("digest", user.getBytes(UTF_8));
        return zk;
    }

    static String make(ZooKeeper zk, String path) throws Exception {
        return make(zk, path, "");
    }

    static String make(ZooKeeper zk, String path, String data) throws Exception {
        return zk.create(path, data.getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
    }

    static byte[] bytes(String text) {
        return text.getBytes(UTF_8);
    }

    /** An ACL as a list that may be asked whether it contains null, which the client does and List.of refuses. */
    static List<ACL> acl(ACL... entries) {
        return Arrays.asList(entries);
    }

    /** Answers as soon as the handle, which may be between two connections, has one. */
    static void whenConnected(Call call) throws Exception {
        Peer.until("the handle to be connected again", () -> {
            try {
                call.run();
                return true;
            } catch (KeeperException.ConnectionLossException error) {
                return false;
            }
        });
    }

    /** The call fails with exactly this code. */
    static void fails(KeeperException.Code code, Call call) throws Exception {
        try {
            call.run();
        } catch (KeeperException error) {
            Peer.equal(code, error.code(), "error");
            return;
        }
        throw new AssertionError("error: expected <" + code + ">, got <success>");
    }

    static <T> T get(CompletableFuture<T> future) throws Exception {
        return future.get(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
    }

    static List<String> sorted(List<String> names) {
        List<String> copy = new ArrayList<>(names);
        Collections.sort(copy);
        return copy;
    }
}
