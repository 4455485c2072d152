import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.apache.zookeeper.AddWatchMode;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.EventType;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.admin.ZooKeeperAdmin;
import org.apache.zookeeper.data.Stat;

/**
 * The Java client as hands of the suite: it does what it is told, line by line, and says what came of it.
 *
 * In: `id TAB verb TAB argument...`. Out: `id TAB ok TAB result`, `id TAB err TAB code`, and `event TAB client TAB what`
 * whenever a watch fires or a session changes its state. Lines are answered in any order; each client's in its own.
 */
public final class EnsembleClient {
    private static final int CONNECT_MS = 60_000;

    private interface Verb {
        String run(String[] args) throws Exception;
    }

    private static final PrintStream OUT = System.out;
    private static final Map<String, ZooKeeperAdmin> CLIENTS = new ConcurrentHashMap<>();
    private static final Map<String, Load> LOADS = new ConcurrentHashMap<>();
    private static final Map<String, ExecutorService> LANES = new ConcurrentHashMap<>();
    private static final Map<String, Verb> VERBS = Map.ofEntries(
        Map.entry("open", EnsembleClient::open),
        Map.entry("id", a -> Long.toHexString(client(a).getSessionId())),
        Map.entry("auth", a -> {
            client(a).addAuthInfo(a[1], a[2].getBytes(UTF_8));
            return "";
        }),
        Map.entry("move", a -> {
            client(a).updateServerList(a[1]);
            client(a).exists("/", false, (rc, path, context, stat) -> { }, null); // wakes it, to see its socket closed
            return "";
        }),
        Map.entry("close", a -> {
            CLIENTS.remove(a[0]).close();
            return "";
        }),
        Map.entry("create", a -> client(a).create(
            a[1], a[2].getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.valueOf(a[3]))),
        Map.entry("set", a -> {
            Stat stat = client(a).setData(a[1], a[2].getBytes(UTF_8), Integer.parseInt(a[3]));
            return String.valueOf(stat.getVersion());
        }),
        Map.entry("get", a -> new String(client(a).getData(a[1], false, null), UTF_8)),
        Map.entry("delete", a -> {
            client(a).delete(a[1], -1);
            return "";
        }),
        Map.entry("owner", a -> {
            Stat stat = client(a).exists(a[1], false);
            return stat == null ? "none" : Long.toHexString(stat.getEphemeralOwner());
        }),
        Map.entry("watch", a -> {
            Stat stat = client(a).exists(a[1], event -> event(a[0], event.getType(), event.getState(), event.getPath()));
            return stat == null ? "none" : "there";
        }),
        Map.entry("watchall", a -> {
            client(a).addWatch(a[1],
                event -> event(a[0], event.getType(), event.getState(), event.getPath()),
                AddWatchMode.PERSISTENT_RECURSIVE);
            return "";
        }),
        Map.entry("sync", a -> sync(client(a), a[1])),
        Map.entry("config", a -> new String(client(a).getConfig(false, null), UTF_8)),
        Map.entry("reconfig", a -> {
            long from = Long.parseLong(a[4], 16);
            byte[] config = client(a).reconfigure(orNull(a[1]), orNull(a[2]), orNull(a[3]), from, null);
            return new String(config, UTF_8);
        }),
        Map.entry("load", a -> {
            LOADS.put(a[0], Load.start(a[1], a[2], Integer.parseInt(a[3])));
            return "";
        }),
        Map.entry("loaded", a -> LOADS.get(a[0]).progress()),
        Map.entry("unload", a -> LOADS.remove(a[0]).stop(a[1])));

    private EnsembleClient() {}

    public static void main(String[] args) throws Exception {
        System.setOut(System.err);
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split("\t", -1);
            String[] rest = Arrays.copyOfRange(words, 2, words.length);
            LANES.computeIfAbsent(rest[0], name -> Executors.newSingleThreadExecutor())
                .execute(() -> answer(words[0], words[1], rest));
        }
        System.exit(0);
    }

    private static void answer(String id, String verb, String[] args) {
        try {
            say(id, "ok", VERBS.get(verb).run(args));
        } catch (KeeperException error) {
            say(id, "err", error.code().name());
        } catch (Exception error) {
            say(id, "err", error.toString());
        }
    }

    static void say(String... words) {
        String line = String.join("\t", words).replace("\r", "").replace("\n", "\\n");
        synchronized (OUT) {
            OUT.println(line);
            OUT.flush();
        }
    }

    private static void event(String name, EventType type, KeeperState state, String path) {
        say("event", name, type == EventType.None ? "state " + state : type + " " + path);
    }

    private static String open(String[] args) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeperAdmin zk = new ZooKeeperAdmin(args[1], Integer.parseInt(args[2]), event -> {
            event(args[0], event.getType(), event.getState(), event.getPath());
            if (event.getState() == KeeperState.SyncConnected) connected.countDown();
        });
        if (!connected.await(CONNECT_MS, TimeUnit.MILLISECONDS)) {
            zk.close();
            throw new IllegalStateException("not connected to " + args[1] + " within " + CONNECT_MS + " ms");
        }
        CLIENTS.put(args[0], zk);
        return Long.toHexString(zk.getSessionId());
    }

    static String sync(ZooKeeper zk, String path) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        int[] code = new int[1];
        zk.sync(path, (rc, p, context) -> {
            code[0] = rc;
            done.countDown();
        }, null);
        done.await();
        if (code[0] != 0) throw KeeperException.create(KeeperException.Code.get(code[0]));
        return "";
    }

    private static ZooKeeperAdmin client(String[] args) {
        return CLIENTS.get(args[0]);
    }

    private static List<String> orNull(String list) {
        return list.isEmpty() ? null : List.of(list.split(","));
    }
}
