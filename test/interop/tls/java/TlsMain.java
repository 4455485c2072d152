import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.FileInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.KeyStore;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.client.ZKClientConfig;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.ClientInfo;
import org.apache.zookeeper.data.Id;

/**
 * The Java client over TLS. Each line of the file is a case, `what|name|address|settings|...`, with the settings of one
 * client as `key=value;key=value`; none of them is a plain client.
 */
final class TlsMain {
    private static final int REFUSED_MS = 4000;
    private static final AtomicInteger NEXT = new AtomicInteger();

    private TlsMain() {}

    /** A client and what became of its connection. */
    static final class Handle implements AutoCloseable {
        final ZooKeeper keeper;
        final CountDownLatch connected = new CountDownLatch(1);
        final AtomicInteger disconnects = new AtomicInteger();

        Handle(String address, String settings) throws Exception {
            ZKClientConfig config = new ZKClientConfig();
            if (!settings.isEmpty()) {
                config.setProperty("zookeeper.client.secure", "true");
                config.setProperty("zookeeper.clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty");
                for (String pair : settings.split(";")) {
                    int equals = pair.indexOf('=');
                    config.setProperty("zookeeper." + pair.substring(0, equals), pair.substring(equals + 1));
                }
            }
            keeper = new ZooKeeper(address, 30_000, event -> {
                if (event.getState() == KeeperState.SyncConnected) connected.countDown();
                if (event.getState() == KeeperState.Disconnected) disconnects.incrementAndGet();
            }, config);
        }

        void await() throws Exception {
            Peer.that(connected.await(Peer.TIMEOUT_MS, TimeUnit.MILLISECONDS), "a connection");
        }

        String x509() throws Exception {
            for (ClientInfo info : keeper.whoAmI()) if (info.getAuthScheme().equals("x509")) return info.getUser();
            return "none";
        }

        @Override
        public void close() throws Exception {
            keeper.close(1000);
        }
    }

    public static void main(String[] args) throws Exception {
        Peer.begin();
        List<String[]> cases = new ArrayList<>();
        for (String line : Files.readAllLines(Path.of(args[0]))) cases.add(line.split("\\|", -1));
        // Waiting for nothing to happen takes long: all at once, then their results one by one.
        List<CompletableFuture<Void>> results = new ArrayList<>();
        for (String[] one : cases) {
            CompletableFuture<Void> result = new CompletableFuture<>();
            results.add(result);
            Thread thread = new Thread(() -> {
                try {
                    run(one);
                    result.complete(null);
                } catch (Throwable error) {
                    result.completeExceptionally(error);
                }
            });
            thread.setDaemon(true);
            thread.start();
        }
        for (int i = 0; i < cases.size(); i++) {
            CompletableFuture<Void> result = results.get(i);
            Peer.check(cases.get(i)[1], () -> {
                try {
                    result.get();
                } catch (ExecutionException error) {
                    throw error.getCause() instanceof Exception ? (Exception) error.getCause() : error;
                }
            });
        }
        Peer.end();
    }

    private static void run(String[] one) throws Exception {
        switch (one[0]) {
            case "works": works(one[2], one[3]); break;
            case "anonymous": anonymous(one[2], one[3]); break;
            case "refused": refused(one[2], one[3]); break;
            case "id": id(one[2], one[3], one[4]); break;
            case "acl": acl(one[2], one[3], one[4], one[5]); break;
            case "reload": reload(one[2], one[3], Path.of(one[4]), Path.of(one[5])); break;
            default: throw new IllegalArgumentException(one[0]);
        }
    }

    private static String newPath() {
        return "/tls-" + NEXT.incrementAndGet();
    }

    private static void works(String address, String settings) throws Exception {
        try (Handle client = new Handle(address, settings)) {
            client.await();
            String path = client.keeper.create(
                    newPath() + "-", "x".getBytes(UTF_8), Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT_SEQUENTIAL);
            Peer.equal("x", Peer.oneLine(client.keeper.getData(path, false, null)), "data");
            byte[] large = new byte[300_000];
            client.keeper.setData(path, large, -1);
            Peer.equal(large.length, client.keeper.getData(path, false, null).length, "size");
        }
    }

    private static void anonymous(String address, String settings) throws Exception {
        try (Handle client = new Handle(address, settings)) {
            client.await();
            Peer.equal("none", client.x509(), "id");
        }
    }

    private static void refused(String address, String settings) throws Exception {
        try (Handle client = new Handle(address, settings)) {
            Peer.that(!client.connected.await(REFUSED_MS, TimeUnit.MILLISECONDS), "no connection");
        }
    }

    /** The server knows the client by the name that Java gives the certificate in `store`, with password `secret`. */
    private static void id(String address, String settings, String store) throws Exception {
        KeyStore keys = KeyStore.getInstance("PKCS12");
        keys.load(new FileInputStream(store), "secret".toCharArray());
        X509Certificate own = (X509Certificate) keys.getCertificate(keys.aliases().nextElement());
        String name = own.getSubjectX500Principal().getName();
        try (Handle client = new Handle(address, settings)) {
            client.await();
            Peer.equal(name, client.x509(), "id");
            String path = newPath() + "-" + System.nanoTime();
            client.keeper.create(path, null, Collections.singletonList(new ACL(Perms.ALL, new Id("x509", name))), CreateMode.PERSISTENT);
            client.keeper.getData(path, false, null);
        }
    }

    private static void acl(String address, String own, String other, String root) throws Exception {
        String path = newPath();
        try (Handle owner = new Handle(address, own);
                Handle stranger = new Handle(address, other);
                Handle superUser = new Handle(address, root)) {
            owner.await();
            stranger.await();
            superUser.await();
            owner.keeper.create(path, "mine".getBytes(UTF_8), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            Peer.equal("mine", Peer.oneLine(owner.keeper.getData(path, false, null)), "data");
            try {
                stranger.keeper.getData(path, false, null);
                throw new AssertionError("expected: NoAuth");
            } catch (KeeperException.NoAuthException expected) {
                // as it should be
            }
            Peer.equal("mine", Peer.oneLine(superUser.keeper.getData(path, false, null)), "data for the super user");
            stranger.keeper.addAuthInfo("x509", new byte[0]);
            Peer.that(stranger.keeper.exists("/", false) != null, "auth by x509 again does no harm");
        }
    }

    /** Clients work while the server's store is replaced: none is cut off, and a new one sees the new certificate. */
    private static void reload(String address, String settings, Path store, Path next) throws Exception {
        List<Handle> clients = new ArrayList<>();
        AtomicBoolean stop = new AtomicBoolean();
        AtomicInteger writes = new AtomicInteger();
        List<CompletableFuture<Void>> workers = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            Handle client = new Handle(address, settings);
            clients.add(client);
            client.await();
            workers.add(CompletableFuture.runAsync(() -> {
                try {
                    String path = client.keeper.create(
                            newPath() + "-", null, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
                    while (!stop.get()) {
                        client.keeper.setData(path, "x".getBytes(UTF_8), -1);
                        writes.incrementAndGet();
                    }
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            }, task -> {
                Thread thread = new Thread(task);
                thread.setDaemon(true);
                thread.start();
            }));
        }
        String before = serialAt(address);
        Path staged = store.resolveSibling("staged.pem");
        Files.copy(next, staged, StandardCopyOption.REPLACE_EXISTING);
        Files.move(staged, store, StandardCopyOption.ATOMIC_MOVE);
        Peer.until("a new connection sees the new certificate", () -> !serialAt(address).equals(before));
        int written = writes.get();
        Peer.until("clients go on", () -> writes.get() > written + 20);
        works(address, settings);
        stop.set(true);
        for (CompletableFuture<Void> worker : workers) worker.get();
        for (Handle client : clients) {
            Peer.equal(0, client.disconnects.get(), "connections lost");
            client.close();
        }
    }

    private static String serialAt(String address) throws Exception {
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, new TrustManager[] {new Anybody()}, null);
        String[] parts = address.split(":");
        try (SSLSocket socket =
                (SSLSocket) context.getSocketFactory().createSocket(parts[0], Integer.parseInt(parts[1]))) {
            socket.startHandshake();
            return ((X509Certificate) socket.getSession().getPeerCertificates()[0]).getSerialNumber().toString();
        }
    }

    private static final class Anybody implements X509TrustManager {
        @Override
        public void checkClientTrusted(X509Certificate[] chain, String type) {}

        @Override
        public void checkServerTrusted(X509Certificate[] chain, String type) {}

        @Override
        public X509Certificate[] getAcceptedIssuers() {
            return new X509Certificate[0];
        }
    }
}
