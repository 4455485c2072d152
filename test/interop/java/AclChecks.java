import static org.apache.zookeeper.ZooDefs.Ids.CREATOR_ALL_ACL;
import static org.apache.zookeeper.ZooDefs.Ids.OPEN_ACL_UNSAFE;
import static org.apache.zookeeper.ZooDefs.Ids.READ_ACL_UNSAFE;

import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** Who may do what: digest, ip and world identities, each permission bit, the super user. */
final class AclChecks {
    private static final Id ANYONE = new Id("world", "anyone");

    private AclChecks() {}

    static void run() throws Exception {
        ZooKeeper anonymous = Client.connect();
        ZooKeeper ann = Client.connectAs("ann:secret");
        ZooKeeper impostor = Client.connectAs("ann:guess");
        Client.make(anonymous, "/acl");
        Peer.check("a node of its creator is closed to others and to a wrong password", () -> {
            ann.create("/acl/own", Client.bytes("x"), CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            for (ZooKeeper stranger : List.of(anonymous, impostor)) {
                Client.fails(Code.NOAUTH, () -> stranger.getData("/acl/own", false, null));
                Client.fails(Code.NOAUTH, () -> stranger.exists("/acl/own", false));
                Client.fails(Code.NOAUTH, () -> stranger.setData("/acl/own", null, -1));
                Client.fails(Code.NOAUTH, () -> stranger.getChildren("/acl/own", false));
                Client.fails(Code.NOAUTH, () -> stranger.getAllChildrenNumber("/acl/own"));
                Client.fails(Code.NOAUTH, () -> stranger.getACL("/acl/own", null));
                Client.fails(Code.NOAUTH, () -> stranger.setACL("/acl/own", OPEN_ACL_UNSAFE, -1));
                Client.fails(Code.NOAUTH, () -> Client.make(stranger, "/acl/own/child"));
            }
            Client.make(ann, "/acl/own/child");
            Client.fails(Code.NOAUTH, () -> anonymous.delete("/acl/own/child", -1));
            Peer.equal("x", Peer.oneLine(ann.getData("/acl/own", false, null)), "data for its creator");
            ann.delete("/acl/own/child", -1);
        });
        Peer.check("getACL gives the list with the digest, and hides it without admin", () -> {
            Id id = new Id("digest", DigestAuthenticationProvider.generateDigest("ann:secret"));
            List<ACL> acl = Client.acl(new ACL(Perms.ALL, id), new ACL(Perms.READ, ANYONE));
            ann.create("/acl/list", null, acl, CreateMode.PERSISTENT);
            Stat stat = new Stat();
            Peer.equal(acl, ann.getACL("/acl/list", stat), "for ann");
            Peer.equal(0, stat.getAversion(), "aversion");
            List<ACL> hidden = Client.acl(new ACL(Perms.ALL, new Id("digest", "ann:x")), new ACL(Perms.READ, ANYONE));
            Peer.equal(hidden, anonymous.getACL("/acl/list", stat), "for anyone");
        });
        Peer.check("setACL counts aversion, checks it and takes effect", () -> setAcl(ann, anonymous));
        for (int perm : List.of(Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN)) {
            Peer.check("permission bit " + perm + " alone", () -> oneBit(anonymous, ann, perm));
        }
        Peer.check("ip identities, single and network", () -> {
            put(ann, "/acl/ip1", "ip", "127.0.0.1");
            put(ann, "/acl/ip2", "ip", "127.0.0.0/8");
            put(ann, "/acl/ip3", "ip", "10.0.0.0/8");
            anonymous.getData("/acl/ip1", false, null);
            anonymous.getData("/acl/ip2", false, null);
            Client.fails(Code.NOAUTH, () -> anonymous.getData("/acl/ip3", false, null));
        });
        Peer.check("unusable lists are refused", () -> {
            for (Id id : List.of(new Id("nosuch", "x"), new Id("world", "someone"), new Id("ip", "not-an-address"),
                new Id("digest", "nocolon"), new Id("auth", ""))) {
                Client.fails(Code.INVALIDACL, () -> anonymous.create("/acl/bad", null,
                    Client.acl(new ACL(Perms.ALL, id)), CreateMode.PERSISTENT));
                Client.fails(Code.INVALIDACL, () -> anonymous.setACL("/acl", Client.acl(new ACL(Perms.ALL, id)), -1));
            }
            Client.fails(Code.INVALIDACL, () -> anonymous.setACL("/acl", List.of(), -1));
        });
        Peer.check("the auth scheme stands for all identities of its creator, doubles fall out", () -> {
            ZooKeeper two = Client.connectAs("ann:secret");
            two.addAuthInfo("digest", Client.bytes("bob:other"));
            List<ACL> asked = new ArrayList<>(CREATOR_ALL_ACL);
            asked.addAll(CREATOR_ALL_ACL);
            two.create("/acl/two", null, asked, CreateMode.PERSISTENT);
            TreeSet<String> users = new TreeSet<>();
            for (ACL acl : two.getACL("/acl/two", null)) users.add(acl.getId().getId());
            Peer.equal(new TreeSet<>(List.of(DigestAuthenticationProvider.generateDigest("ann:secret"),
                DigestAuthenticationProvider.generateDigest("bob:other"))), users, "identities");
            Peer.equal(2, two.getACL("/acl/two", null).size(), "entries");
            ann.getData("/acl/two", false, null);
            two.close();
        });
        Peer.check("whoAmI names every identity", () -> {
            TreeSet<String> names = new TreeSet<>();
            for (var info : ann.whoAmI()) names.add(info.getAuthScheme() + " " + info.getUser());
            Peer.equal(new TreeSet<>(List.of("digest ann", "ip 127.0.0.1")), names, "identities");
        });
        Peer.check("the super user may do everything", () -> superUser(ann));
        Peer.check("an unknown scheme ends the handle with AuthFailed", () -> {
            Client.Events events = new Client.Events();
            ZooKeeper zk = Client.connect(Peer.SERVER, Client.SESSION_MS, events);
            zk.addAuthInfo("nosuch", Client.bytes("x"));
            events.await("state AuthFailed");
            Client.fails(Code.AUTHFAILED, () -> zk.exists("/", false));
            zk.close();
        });
        Peer.check("identities are told again on a new connection", () -> {
            Client.Events events = new Client.Events();
            ZooKeeper zk = Client.connect(Peer.RELAY, Client.SESSION_MS, events);
            zk.addAuthInfo("digest", Client.bytes("ann:secret"));
            zk.getData("/acl/own", false, null);
            Peer.ask("cut");
            events.await("state SyncConnected");
            zk.getData("/acl/own", false, null);
            zk.close();
        });
        Peer.check("a closed ephemeral node still goes with its session", () -> {
            ZooKeeper zk = Client.connectAs("ann:secret");
            zk.create("/acl/ephemeral", null, READ_ACL_UNSAFE, CreateMode.EPHEMERAL);
            Client.Events events = new Client.Events();
            anonymous.exists("/acl/ephemeral", events);
            zk.close();
            events.expect("NodeDeleted /acl/ephemeral");
        });
        for (ZooKeeper zk : List.of(anonymous, ann, impostor)) zk.close();
    }

    private static void put(ZooKeeper zk, String path, String scheme, String id) throws Exception {
        zk.create(path, null, Client.acl(new ACL(Perms.ALL, new Id(scheme, id))), CreateMode.PERSISTENT);
    }

    private static void setAcl(ZooKeeper ann, ZooKeeper anonymous) throws Exception {
        Client.make(ann, "/acl/set");
        Stat before = ann.exists("/acl/set", false);
        Stat stat = ann.setACL("/acl/set", CREATOR_ALL_ACL, 0);
        Peer.equal("1 0", stat.getAversion() + " " + stat.getVersion(), "aversion and version");
        Peer.equal(before.getMzxid(), stat.getMzxid(), "mzxid stays");
        Client.fails(Code.NOAUTH, () -> anonymous.getData("/acl/set", false, null));
        Client.fails(Code.BADVERSION, () -> ann.setACL("/acl/set", OPEN_ACL_UNSAFE, 0));
        Client.fails(Code.NONODE, () -> ann.setACL("/acl/none", OPEN_ACL_UNSAFE, -1));
        Peer.equal(2, ann.setACL("/acl/set", OPEN_ACL_UNSAFE, -1).getAversion(), "aversion");
        anonymous.getData("/acl/set", false, null);
    }

    /** Of the calls on a node where anyone has one bit only, exactly those that need it succeed. */
    private static void oneBit(ZooKeeper anonymous, ZooKeeper ann, int perm) throws Exception {
        String path = "/acl/bit" + perm;
        List<ACL> acl = new ArrayList<>(CREATOR_ALL_ACL);
        acl.add(new ACL(perm, ANYONE));
        ann.create(path, null, acl, CreateMode.PERSISTENT);
        Client.make(ann, path + "/old");
        allowed(perm == Perms.READ, () -> anonymous.getData(path, false, null));
        allowed(perm == Perms.READ, () -> anonymous.getChildren(path, false));
        allowed(perm == Perms.READ || perm == Perms.ADMIN, () -> anonymous.getACL(path, null));
        allowed(perm == Perms.WRITE, () -> anonymous.setData(path, null, -1));
        allowed(perm == Perms.CREATE, () -> Client.make(anonymous, path + "/new"));
        allowed(perm == Perms.DELETE, () -> anonymous.delete(path + "/old", -1));
        allowed(perm == Perms.ADMIN, () -> anonymous.setACL(path, OPEN_ACL_UNSAFE, -1));
    }

    private static void allowed(boolean expected, Client.Call call) throws Exception {
        if (expected) call.run();
        else Client.fails(Code.NOAUTH, call);
    }

    private static void superUser(ZooKeeper ann) throws Exception {
        ann.create("/acl/private", Client.bytes("x"), CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        ann.create("/acl/private/child", null, CREATOR_ALL_ACL, CreateMode.PERSISTENT);
        ZooKeeper root = Client.connectAs(Peer.SUPER);
        Peer.equal("x", Peer.oneLine(root.getData("/acl/private", false, null)), "data");
        Peer.equal(1, root.getACL("/acl/private", null).size(), "acl entries");
        root.delete("/acl/private/child", -1);
        root.setACL("/acl/private", OPEN_ACL_UNSAFE, -1);
        Client.fails(Code.BADARGUMENTS, () -> root.delete("/zookeeper/config", -1));
        root.close();
        ZooKeeper wrong = Client.connectAs("super:wrong");
        ann.setACL("/acl/private", CREATOR_ALL_ACL, -1);
        Client.fails(Code.NOAUTH, () -> wrong.getData("/acl/private", false, null));
        wrong.close();
    }
}
