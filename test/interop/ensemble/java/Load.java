import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.ConnectionLossException;
import org.apache.zookeeper.KeeperException.NodeExistsException;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/**
 * Sessions that write as long as they are let, each below a node of its own, and that keep what was acknowledged.
 *
 * Each holds one ephemeral for its whole life, creates numbered children, and counts in its own node with conditional
 * writes. A lost connection leaves an outcome open; the client library re-attaches the session by itself.
 */
final class Load {
    private static final int SESSION_MS = 30_000;
    private static final int PAUSE_MS = 4;

    private final List<Writer> writers = new ArrayList<>();
    private volatile boolean stopping = false;

    private Load() {}

    static Load start(String servers, String root, int count) throws Exception {
        Load load = new Load();
        for (int i = 0; i < count; i++) {
            Writer writer = load.new Writer(servers, root + "/w" + i);
            load.writers.add(writer);
            writer.start();
        }
        return load;
    }

    /** Acknowledged writes so far, of all, and of the session that has the fewest. */
    String progress() {
        int total = 0;
        int fewest = Integer.MAX_VALUE;
        for (Writer writer : writers) {
            total += writer.countAcknowledged;
            fewest = Math.min(fewest, writer.countAcknowledged);
        }
        return total + " " + fewest;
    }

    /** Ends it, and writes what is known to `file`: one line per outcome. Sessions are closed. */
    String stop(String file) throws Exception {
        stopping = true;
        try (PrintWriter out = new PrintWriter(file, UTF_8)) {
            for (Writer writer : writers) {
                writer.join();
                writer.report(out);
                writer.zk.close();
            }
        }
        return progress();
    }

    private final class Writer extends Thread {
        private final String home;
        private final ZooKeeper zk;
        private final List<String> lines = new ArrayList<>();
        private volatile int countAcknowledged = 0;
        private long sessionFirst = 0;
        private int version = 0;
        private int countOpen = 0;
        private long longestWaitMs = 0;
        private String failure = "";

        Writer(String servers, String home) throws Exception {
            super("writer " + home);
            this.home = home;
            this.zk = new ZooKeeper(servers, SESSION_MS, event -> {});
        }

        @Override
        public void run() {
            try {
                begin();
                for (int i = 0; !stopping; i++) {
                    long startedAt = System.nanoTime();
                    if (i % 2 == 0) child(home + "/n" + i, "value " + i);
                    else count();
                    longestWaitMs = Math.max(longestWaitMs, (System.nanoTime() - startedAt) / 1_000_000);
                    Thread.sleep(PAUSE_MS);
                }
            } catch (Exception error) {
                failure = error.toString();
            }
        }

        private void begin() throws Exception {
            again(() -> zk.create(home, "0".getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT));
            again(() -> zk.create(home + "/alive", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL));
            sessionFirst = zk.getSessionId();
        }

        private interface Call {
            void run() throws Exception;
        }

        private void again(Call call) throws Exception {
            while (!stopping) {
                try {
                    call.run();
                    return;
                } catch (NodeExistsException error) {
                    return; // ours, of a try whose answer was lost
                } catch (ConnectionLossException error) {
                    Thread.sleep(20);
                }
            }
        }

        private void child(String path, String value) throws Exception {
            try {
                zk.create(path, value.getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                lines.add("ok\t" + path + "\t" + value);
                countAcknowledged++;
            } catch (ConnectionLossException error) {
                lines.add("open\t" + path + "\t" + value);
            }
        }

        /** The value is the version it was written on, so a write that got lost or was done twice shows. */
        private void count() throws Exception {
            try {
                Stat stat = zk.setData(home, String.valueOf(version + 1).getBytes(UTF_8), version);
                version = stat.getVersion();
                countAcknowledged++;
            } catch (ConnectionLossException error) {
                countOpen++;
                learnVersion();
            }
        }

        /** Behind a sync: the write whose answer was lost may still be on its way to the server we talk to now. */
        private void learnVersion() throws Exception {
            again(() -> {
                EnsembleClient.sync(zk, home);
                Stat stat = new Stat();
                zk.getData(home, false, stat);
                int seen = stat.getVersion();
                if (seen != version && seen != version + 1) {
                    throw new IllegalStateException(home + " has version " + seen + " after version " + version);
                }
                version = seen;
            });
        }

        private void report(PrintWriter out) {
            for (String line : lines) out.println(line);
            out.println(String.join("\t", "count", home, String.valueOf(version), String.valueOf(countOpen)));
            if (failure.isEmpty() && zk.getSessionId() != sessionFirst) failure = "another session";
            out.println(String.join("\t", "session", home, Long.toHexString(sessionFirst),
                String.valueOf(longestWaitMs), failure));
        }
    }
}
