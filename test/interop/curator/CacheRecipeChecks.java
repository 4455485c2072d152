import java.util.List;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.framework.recipes.watch.PersistentWatcher;

/** Local copies that follow the server, before and after a lost connection. */
final class CacheRecipeChecks {
    private CacheRecipeChecks() {}

    static void run() throws Exception {
        Curator.check("CuratorCache follows a subtree by a recursive watch", CacheRecipeChecks::curatorCache);
        Curator.check("CuratorCache catches up after silence", CacheRecipeChecks::afterSilence);
        Curator.check("CuratorCache goes on over kill-restart", clients -> {
            CuratorFramework client = clients.start();
            client.create().forPath("/c-restart", Curator.bytes("0"));
            Curator.Heard heard = new Curator.Heard();
            CuratorCache cache = cacheOf(client, "/c-restart", heard);
            heard.await("created /c-restart 0");
            Peer.ask("kill-restart");
            client.setData().forPath("/c-restart", Curator.bytes("1"));
            heard.await("changed /c-restart 1");
            client.create().forPath("/c-restart/a", Curator.bytes("2"));
            heard.await("created /c-restart/a 2");
            cache.close();
        });
        Curator.check("CuratorCache of a single node", clients -> {
            CuratorFramework client = clients.start();
            Curator.Heard heard = new Curator.Heard();
            CuratorCache cache = CuratorCache.build(client, "/c-single", CuratorCache.Options.SINGLE_NODE_CACHE);
            cache.listenable().addListener((type, old, data) -> heard.add(type + " " + (data == null ? old : data).getPath()));
            cache.start();
            client.create().creatingParentsIfNeeded().forPath("/c-single/child");
            heard.await("NODE_CREATED /c-single");
            client.setData().forPath("/c-single", Curator.bytes("x"));
            heard.await("NODE_CHANGED /c-single");
            client.delete().deletingChildrenIfNeeded().forPath("/c-single");
            heard.await("NODE_DELETED /c-single");
            cache.close();
        });
        Curator.check("PathChildrenCache", CacheRecipeChecks::pathChildrenCache);
        Curator.check("TreeCache", CacheRecipeChecks::treeCache);
        Curator.check("NodeCache", clients -> {
            CuratorFramework client = clients.start();
            CuratorFramework other = clients.start();
            NodeCache cache = new NodeCache(client, "/c-node");
            cache.start(true);
            Peer.equal(null, cache.getCurrentData(), "nothing yet");
            other.create().forPath("/c-node", Curator.bytes("1"));
            Peer.until("the first value", () -> cache.getCurrentData() != null);
            other.setData().forPath("/c-node", Curator.bytes("2"));
            Peer.until("the second value", () -> "2".equals(Peer.oneLine(cache.getCurrentData().getData())));
            cache.close();
        });
        Curator.check("PersistentWatcher", clients -> {
            CuratorFramework client = clients.start(Peer.RELAY, Curator.SESSION_MS);
            CuratorFramework other = clients.start();
            Curator.Heard heard = new Curator.Heard();
            PersistentWatcher watcher = new PersistentWatcher(client, "/c-watch", true);
            watcher.getListenable().addListener(event -> heard.add(event.getType() + " " + event.getPath()));
            Curator.Heard reset = new Curator.Heard();
            watcher.getResetListenable().addListener(() -> reset.add("set"));
            watcher.start();
            reset.await("set");
            other.create().creatingParentsIfNeeded().forPath("/c-watch/a");
            heard.await("NodeCreated /c-watch/a");
            Peer.ask("cut");
            reset.await("set");
            other.create().forPath("/c-watch/b");
            heard.await("NodeCreated /c-watch/b");
            watcher.close();
        });
    }

    private static CuratorCache cacheOf(CuratorFramework client, String path, Curator.Heard heard) {
        CuratorCache cache = CuratorCache.build(client, path);
        cache.listenable().addListener(CuratorCacheListener.builder()
            .forCreates(data -> heard.add("created " + text(data)))
            .forChanges((old, data) -> heard.add("changed " + text(data)))
            .forDeletes(data -> heard.add("deleted " + data.getPath()))
            .forInitialized(() -> heard.add("initialized"))
            .build());
        cache.start();
        return cache;
    }

    private static String text(ChildData data) {
        return data.getPath() + " " + Peer.oneLine(data.getData());
    }

    private static void curatorCache(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        CuratorFramework other = clients.start();
        other.create().creatingParentsIfNeeded().forPath("/c-tree/a", Curator.bytes("1"));
        Curator.Heard heard = new Curator.Heard();
        CuratorCache cache = cacheOf(client, "/c-tree", heard);
        heard.await("initialized");
        Peer.equal("/c-tree/a 1", text(cache.get("/c-tree/a").get()), "what was there before");
        for (String path : List.of("/c-tree/a/b", "/c-tree/a/b/c")) {
            other.create().forPath(path, Curator.bytes("2"));
            heard.await("created " + path + " 2");
        }
        for (int i = 0; i < 20; i++) {
            other.setData().forPath("/c-tree/a/b/c", Curator.bytes("v" + i));
            heard.await("changed /c-tree/a/b/c v" + i);
        }
        other.delete().deletingChildrenIfNeeded().forPath("/c-tree/a");
        heard.await("deleted /c-tree/a");
        Peer.equal(1, cache.size(), "what is left");
        cache.close();
    }

    private static void afterSilence(Curator clients) throws Exception {
        CuratorFramework client = clients.start(Peer.RELAY, Curator.SESSION_MS);
        CuratorFramework other = clients.start();
        other.create().creatingParentsIfNeeded().forPath("/c-silence/old", Curator.bytes("0"));
        Curator.Heard heard = new Curator.Heard();
        CuratorCache cache = cacheOf(client, "/c-silence", heard);
        heard.await("initialized");
        Peer.ask("freeze");
        other.create().forPath("/c-silence/new", Curator.bytes("1"));
        other.delete().forPath("/c-silence/old");
        Peer.ask("thaw");
        Peer.until("the new node", () -> cache.get("/c-silence/new").isPresent());
        Peer.until("the old node's end", () -> !cache.get("/c-silence/old").isPresent());
        cache.close();
    }

    private static void pathChildrenCache(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        CuratorFramework other = clients.start();
        other.create().creatingParentsIfNeeded().forPath("/c-children/a", Curator.bytes("1"));
        Curator.Heard heard = new Curator.Heard();
        PathChildrenCache cache = new PathChildrenCache(client, "/c-children", true);
        cache.getListenable().addListener((source, event) ->
            heard.add(event.getType() + (event.getData() == null ? "" : " " + text(event.getData()))));
        cache.start(PathChildrenCache.StartMode.POST_INITIALIZED_EVENT);
        heard.await("INITIALIZED");
        Peer.equal(1, cache.getCurrentData().size(), "children");
        other.create().forPath("/c-children/b", Curator.bytes("2"));
        heard.await("CHILD_ADDED /c-children/b 2");
        other.setData().forPath("/c-children/b", Curator.bytes("3"));
        heard.await("CHILD_UPDATED /c-children/b 3");
        other.delete().forPath("/c-children/a");
        heard.await("CHILD_REMOVED /c-children/a 1");
        cache.close();
    }

    private static void treeCache(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        CuratorFramework other = clients.start();
        other.create().creatingParentsIfNeeded().forPath("/c-old/a", Curator.bytes("1"));
        Curator.Heard heard = new Curator.Heard();
        TreeCache cache = TreeCache.newBuilder(client, "/c-old").build();
        cache.getListenable().addListener((source, event) ->
            heard.add(event.getType() + (event.getData() == null ? "" : " " + text(event.getData()))));
        cache.start();
        heard.await("INITIALIZED");
        other.create().forPath("/c-old/a/b", Curator.bytes("2"));
        heard.await("NODE_ADDED /c-old/a/b 2");
        other.setData().forPath("/c-old/a/b", Curator.bytes("3"));
        heard.await("NODE_UPDATED /c-old/a/b 3");
        other.delete().forPath("/c-old/a/b");
        heard.await("NODE_REMOVED /c-old/a/b 3");
        cache.close();
    }
}
