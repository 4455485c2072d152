import static java.nio.charset.StandardCharsets.UTF_8;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Watcher;
import org.apache.zookeeper.WatchedEvent;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;

/** Logins by SASL of the Java client. The first argument is the mechanism that the server has: digest or kerberos. */
public final class SaslMain {
    private SaslMain() {}

    /** A handle, and the states that it went through. */
    private static final class Handle implements Watcher {
        final LinkedBlockingQueue<Event.KeeperState> states = new LinkedBlockingQueue<>();
        final ZooKeeper zk;

        /** `section` of the JAAS file; null: no login. */
        Handle(String section) throws Exception {
            ZKClientConfig config = new ZKClientConfig();
            config.setProperty("zookeeper.fips-mode", "false");
            if (section == null) config.setProperty(ZKClientConfig.ENABLE_CLIENT_SASL_KEY, "false");
            else config.setProperty(ZKClientConfig.LOGIN_CONTEXT_NAME_KEY, section);
            zk = new ZooKeeper(Peer.SERVER, 30_000, this, config);
        }

        @Override
        public void process(WatchedEvent event) {
            if (event.getType() == Event.EventType.None) states.add(event.getState());
        }

        /** Skips what comes before `state`. */
        void await(Event.KeeperState state) throws Exception {
            Event.KeeperState got = states.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
            while (got != null && got != state) got = states.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
            Peer.that(got == state, "state " + state + " to come");
        }

        static Handle loggedIn(String section) throws Exception {
            Handle handle = new Handle(section);
            handle.await(Event.KeeperState.SaslAuthenticated);
            return handle;
        }

        static Handle anonymous() throws Exception {
            Handle handle = new Handle(null);
            handle.await(Event.KeeperState.SyncConnected);
            return handle;
        }

        String ids() throws Exception {
            List<String> ids = new ArrayList<>();
            for (ClientInfo info : zk.whoAmI()) ids.add(info.getAuthScheme() + ":" + info.getUser());
            Collections.sort(ids);
            return String.join(" ", ids);
        }

        void create(String path, String scheme, String id) throws Exception {
            ACL acl = new ACL(Perms.ALL, new Id(scheme, id));
            zk.create(path, "x".getBytes(UTF_8), new ArrayList<>(List.of(acl)), CreateMode.PERSISTENT);
        }
    }

    private static void fails(Code code, Peer.Body body) throws Exception {
        try {
            body.run();
        } catch (KeeperException error) {
            Peer.equal(code, error.code(), "error");
            return;
        }
        throw new AssertionError("error: expected <" + code + ">, got <success>");
    }

    public static void main(String[] args) throws Exception {
        Peer.begin();
        if (args[0].equals("digest")) digest();
        else kerberos();
        Peer.end();
    }

    private static void digest() throws Exception {
        Peer.check("bob logs in, and is who he says", () -> {
            Handle bob = Handle.loggedIn("Bob");
            Peer.equal("ip:127.0.0.1 sasl:bob", bob.ids(), "ids");
            bob.zk.close();
        });
        Peer.check("an ACL for bob keeps out everybody else", () -> {
            Handle bob = Handle.loggedIn("Bob");
            bob.create("/bob", "sasl", "bob");
            Peer.equal("x", new String(bob.zk.getData("/bob", false, null), UTF_8), "data");
            Handle ann = Handle.loggedIn("Ann");
            fails(Code.NOAUTH, () -> ann.zk.getData("/bob", false, null));
            Handle nobody = Handle.anonymous();
            fails(Code.NOAUTH, () -> nobody.zk.getData("/bob", false, null));
            for (Handle handle : List.of(bob, ann, nobody)) handle.zk.close();
        });
        Peer.check("CREATOR_ALL is whoever has logged in", () -> {
            Handle bob = Handle.loggedIn("Bob");
            bob.zk.create("/own", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            List<ACL> acl = bob.zk.getACL("/own", null);
            Peer.equal(new ArrayList<>(List.of(new ACL(Perms.ALL, new Id("sasl", "bob")))), acl, "ACL");
            bob.zk.close();
        });
        Peer.check("a wrong password and an unknown user fail", () -> {
            for (String section : List.of("Wrong", "Unknown")) {
                Handle handle = new Handle(section);
                handle.await(Watcher.Event.KeeperState.AuthFailed);
                handle.zk.close();
            }
        });
        Peer.check("a name and a password beyond ASCII", () -> {
            Handle handle = Handle.loggedIn("Umlaut");
            Peer.equal("ip:127.0.0.1 sasl:jürgen", handle.ids(), "ids");
            handle.zk.close();
        });
        Peer.check("the super user passes every ACL", () -> {
            Handle root = Handle.loggedIn("Root");
            root.create("/locked", "digest", "a:b");
            root.zk.setData("/locked", "y".getBytes(UTF_8), -1);
            root.zk.close();
        });
        restart("Bob", "sasl:bob");
    }

    private static void kerberos() throws Exception {
        Peer.check("alice logs in with her ticket", () -> {
            Handle alice = Handle.loggedIn("Alice");
            Peer.equal("ip:127.0.0.1 sasl:alice@ZW.TEST", alice.ids(), "ids");
            alice.create("/alice", "sasl", "alice@ZW.TEST");
            Handle service = Handle.loggedIn("Service");
            Peer.equal("ip:127.0.0.1 sasl:app/host.test@ZW.TEST", service.ids(), "ids");
            fails(Code.NOAUTH, () -> service.zk.getData("/alice", false, null));
            alice.zk.close();
            service.zk.close();
        });
        Peer.check("many at once", () -> {
            List<Handle> handles = new ArrayList<>();
            for (int i = 0; i < 20; i++) handles.add(new Handle("Alice"));
            for (Handle handle : handles) handle.await(Watcher.Event.KeeperState.SaslAuthenticated);
            for (Handle handle : handles) handle.zk.close();
        });
        restart("Alice", "sasl:alice@ZW.TEST");
    }

    private static void restart(String section, String id) throws Exception {
        Peer.check("a client logs in again when the server was restarted", () -> {
            Handle handle = Handle.loggedIn(section);
            Peer.ask("kill-restart");
            handle.await(Watcher.Event.KeeperState.SaslAuthenticated);
            Peer.until("the handle to be connected again", () -> {
                try {
                    return handle.ids().contains(id);
                } catch (KeeperException.ConnectionLossException error) {
                    return false;
                }
            });
            handle.zk.close();
        });
    }
}
