import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.retry.RetryUntilElapsed;

/** Clients that are closed at the end of a check, and things that were heard. */
final class Curator implements AutoCloseable {
    static final int SESSION_MS = 30_000;

    private final List<CuratorFramework> clients = new ArrayList<>();

    CuratorFramework start() throws Exception {
        return start(Peer.SERVER, SESSION_MS);
    }

    CuratorFramework start(String address, int sessionMs) throws Exception {
        CuratorFramework client = CuratorFrameworkFactory.builder()
            .connectString(address)
            .sessionTimeoutMs(sessionMs)
            .connectionTimeoutMs(15_000)
            .retryPolicy(new RetryUntilElapsed(60_000, 100))
            .maxCloseWaitMs(500)
            .build();
        client.start();
        clients.add(client);
        Peer.that(client.blockUntilConnected(30, TimeUnit.SECONDS), "connected");
        return client;
    }

    @Override
    public void close() {
        for (CuratorFramework client : clients) client.close();
    }

    interface Body {
        void run(Curator clients) throws Exception;
    }

    /** A check with clients of its own. */
    static void check(String name, Body body) throws Exception {
        Peer.check(name, () -> {
            try (Curator clients = new Curator()) {
                body.run(clients);
            }
        });
    }

    /** Whatever listeners are told, as text, in the order of its coming. */
    static final class Heard {
        private final BlockingQueue<String> queue = new LinkedBlockingQueue<>();

        void add(String text) {
            queue.add(text);
        }

        String next() throws InterruptedException {
            return queue.poll(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS);
        }

        /** Skips what comes before. */
        void await(String expected) throws InterruptedException {
            List<String> seen = new ArrayList<>();
            while (seen.isEmpty() || !expected.equals(seen.get(seen.size() - 1))) {
                String got = next();
                Peer.that(got != null, "<" + expected + "> to come, heard " + seen);
                seen.add(got);
            }
        }
    }

    static byte[] bytes(String text) {
        return text.getBytes(java.nio.charset.StandardCharsets.UTF_8);
    }
}
