import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;

import java.net.InetSocketAddress;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.StaticHostProvider;
import org.apache.zookeeper.client.ZKClientConfig;

/** A session's life: timeout agreed, kept, moved to another handle, closed, expired. */
final class SessionChecks {
    private static final int TICK_MS = 500;

    private SessionChecks() {}

    static void run() throws Exception {
        ZooKeeper observer = Client.connect();
        Client.make(observer, "/session");
        Peer.check("a new session has an id, a password and the timeout asked for", () -> {
            ZooKeeper zk = Client.connect(Peer.SERVER, 12_345, new Client.Events());
            Peer.that(zk.getSessionId() != 0, "a session id");
            Peer.equal(16, zk.getSessionPasswd().length, "password length");
            Peer.equal(12_345, zk.getSessionTimeout(), "timeout");
            Peer.equal(ZooKeeper.States.CONNECTED, zk.getState(), "state");
            Peer.that(zk.toString().contains("sessionid:0x" + Long.toHexString(zk.getSessionId())), "toString names it");
            Peer.that(zk.getClientConfig() != null && zk.getTestable() != null, "config and testable");
            Peer.that(zk.close(Peer.TIMEOUT_MS), "closed in time");
            Peer.equal(ZooKeeper.States.CLOSED, zk.getState(), "state");
        });
        Peer.check("every constructor leads to a session", SessionChecks::constructors);
        Peer.check("the timeout is clamped to the server's limits", () -> {
            for (int[] pair : new int[][] {{900, 2 * TICK_MS}, {10_000_000, 60_000}, {2 * TICK_MS, 2 * TICK_MS}}) {
                ZooKeeper zk = Client.connect(Peer.SERVER, pair[0], new Client.Events());
                Peer.equal(pair[1], zk.getSessionTimeout(), "timeout for " + pair[0]);
                zk.close();
            }
        });
        Peer.check("a client that would read from a read-only server is served normally", () -> {
            Client.Events events = new Client.Events();
            ZooKeeper zk = new ZooKeeper(Peer.SERVER, Client.SESSION_MS, events, true);
            events.await("state SyncConnected");
            Client.make(zk, "/session/rw");
            zk.close();
        });
        Peer.check("updateServerList keeps the session", () -> {
            ZooKeeper zk = Client.connect();
            long id = zk.getSessionId();
            zk.updateServerList(Peer.SERVER + "," + Peer.RELAY);
            Client.whenConnected(() -> zk.exists("/", false)); // it may choose the other address at once
            Peer.equal(id, zk.getSessionId(), "session");
            zk.close();
        });
        Peer.check("ephemeral nodes go when the session is closed", () -> {
            ZooKeeper zk = Client.connect();
            Client.Events events = new Client.Events();
            for (String name : List.of("/session/c1", "/session/c2")) {
                zk.create(name, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
                observer.exists(name, events);
            }
            observer.getChildren("/session", events);
            zk.close();
            events.expectAnyOrder("NodeDeleted /session/c1", "NodeDeleted /session/c2", "NodeChildrenChanged /session");
            Peer.equal(null, observer.exists("/session/c1", false), "node");
        });
        Peer.check("a silent session expires, its nodes go, a pinging one of a shorter timeout stays", () -> expiry(observer));
        Peer.check("a session moves to another handle with id and password", () -> reattach(observer));
        Peer.check("a wrong password is refused as expired and does no harm", () -> {
            ZooKeeper zk = Client.connect();
            zk.create("/session/guarded", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
            refused(zk.getSessionId(), new byte[16]);
            refused(zk.getSessionId(), new byte[0]);
            Peer.that(observer.exists("/session/guarded", false) != null, "the node is still there");
            // The attempt may cost the rightful handle its connection, never its session.
            long id = zk.getSessionId();
            Client.whenConnected(() -> zk.getData("/session/guarded", false, null));
            Peer.equal(id, zk.getSessionId(), "session");
            zk.close();
        });
        Peer.check("an unknown and a closed session are refused as expired", () -> {
            ZooKeeper zk = Client.connect();
            long id = zk.getSessionId();
            byte[] password = zk.getSessionPasswd();
            zk.close();
            refused(id, password);
            refused(id + 1_000_000, password);
        });
        Peer.check("requests already sent when a session closes are answered before it ends", () -> {
            ZooKeeper zk = Client.connect();
            CompletableFuture<Integer> last = new CompletableFuture<>();
            for (int i = 0; i < 50; i++) {
                zk.create("/session/last" + i, null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL,
                    (int rc, String path, Object ctx, String name) -> {
                        if (path.endsWith("last49")) last.complete(rc);
                    }, null);
            }
            zk.close();
            Peer.equal(0, Client.get(last), "code of the last create");
            Peer.equal(List.of("rw"), observer.getChildren("/session", false), "children");
        });
        observer.close();
    }

    private static void constructors() throws Exception {
        ZooKeeper owner = Client.connect();
        long id = owner.getSessionId();
        byte[] password = owner.getSessionPasswd();
        ZKClientConfig config = new ZKClientConfig();
        int ms = Client.SESSION_MS;
        for (int i = 0; i < 6; i++) {
            Client.Events events = new Client.Events();
            ZooKeeper zk = switch (i) {
                case 0 -> new ZooKeeper(Peer.SERVER, ms, events, config);
                case 1 -> new ZooKeeper(Peer.SERVER, ms, events, false, hosts());
                case 2 -> new ZooKeeper(Peer.SERVER, ms, events, false, hosts(), config);
                case 3 -> new ZooKeeper(Peer.SERVER, ms, events, true, config);
                case 4 -> new ZooKeeper(Peer.SERVER, ms, events, false);
                default -> new ZooKeeper(Peer.SERVER, ms, events);
            };
            events.await("state SyncConnected");
            Peer.that(!zk.getSaslClient().clientTunneledAuthenticationInProgress(), "no SASL exchange goes on");
            zk.close();
        }
        owner.close();
        for (int i = 0; i < 3; i++) {
            Client.Events events = new Client.Events();
            ZooKeeper zk = switch (i) {
                case 0 -> new ZooKeeper(Peer.SERVER, ms, events, id, password, false);
                case 1 -> new ZooKeeper(Peer.SERVER, ms, events, id, password, false, hosts());
                default -> new ZooKeeper(Peer.SERVER, ms, events, id, password, false, hosts(), config);
            };
            events.await("state Expired"); // its session was closed above
            zk.close();
        }
    }

    private static StaticHostProvider hosts() {
        String[] parts = Peer.SERVER.split(":");
        return new StaticHostProvider(List.of(new InetSocketAddress(parts[0], Integer.parseInt(parts[1]))));
    }

    /** Behind the frozen relay a session goes silent for the server; another, not behind it, only pings. */
    private static void expiry(ZooKeeper observer) throws Exception {
        ZooKeeper pinging = Client.connect(Peer.SERVER, 4 * TICK_MS, new Client.Events());
        pinging.create("/session/pinging", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Client.Events session = new Client.Events();
        ZooKeeper silent = Client.connect(Peer.RELAY, 4_000, session);
        silent.create("/session/silent", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        Client.Events events = new Client.Events();
        observer.exists("/session/silent", events);
        Client.Events unheard = new Client.Events();
        silent.exists("/session", unheard);
        long frozen = System.nanoTime();
        Peer.ask("freeze");
        events.expect("NodeDeleted /session/silent");
        long lastedMs = (System.nanoTime() - frozen) / 1_000_000;
        Peer.that(lastedMs > 2_000, "not expired long before its 4000 ms, got " + lastedMs);
        Peer.ask("thaw");
        session.await("state Expired");
        unheard.await("state Expired");
        Client.fails(Code.SESSIONEXPIRED, () -> silent.exists("/", false));
        silent.close();
        Peer.that(observer.exists("/session/pinging", false) != null, "the pinging session's node");
        pinging.getData("/session/pinging", false, null);
        pinging.close();
    }

    private static void reattach(ZooKeeper observer) throws Exception {
        Client.Events firstSession = new Client.Events();
        ZooKeeper first = Client.connect(Peer.RELAY, Client.SESSION_MS, firstSession);
        first.create("/session/moved", null, OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL);
        long id = first.getSessionId();
        byte[] password = first.getSessionPasswd();
        Peer.ask("freeze");
        Client.Events secondSession = new Client.Events();
        ZooKeeper second = new ZooKeeper(Peer.SERVER, 20_000, secondSession, id, password);
        secondSession.await("state SyncConnected");
        Peer.equal(id, second.getSessionId(), "session id");
        Peer.that(java.util.Arrays.equals(password, second.getSessionPasswd()), "the same password");
        Peer.equal(20_000, second.getSessionTimeout(), "timeout agreed anew");
        Peer.equal(List.of("/session/moved"), second.getEphemerals(), "ephemerals");
        Peer.equal(id, observer.exists("/session/moved", false).getEphemeralOwner(), "owner");
        second.setData("/session/moved", Client.bytes("x"), -1);
        Client.Events events = new Client.Events();
        observer.exists("/session/moved", events);
        second.close();
        events.expect("NodeDeleted /session/moved");
        Peer.ask("thaw");
        firstSession.await("state Expired");
        first.close();
    }

    private static void refused(long id, byte[] password) throws Exception {
        Client.Events events = new Client.Events();
        ZooKeeper zk = new ZooKeeper(Peer.SERVER, Client.SESSION_MS, events, id, password);
        events.await("state Expired");
        Client.fails(Code.SESSIONEXPIRED, () -> zk.exists("/", false));
        zk.close();
    }
}
