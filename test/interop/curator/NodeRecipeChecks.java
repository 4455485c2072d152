import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.atomic.AtomicValue;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicInteger;
import org.apache.curator.framework.recipes.atomic.DistributedAtomicLong;
import org.apache.curator.framework.recipes.nodes.GroupMember;
import org.apache.curator.framework.recipes.nodes.PersistentNode;
import org.apache.curator.framework.recipes.nodes.PersistentTtlNode;
import org.apache.curator.framework.recipes.queue.SimpleDistributedQueue;
import org.apache.curator.framework.recipes.shared.SharedCount;
import org.apache.curator.framework.recipes.shared.SharedCountListener;
import org.apache.curator.framework.recipes.shared.SharedCountReader;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.RetryNTimes;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.data.Stat;

/** Nodes that are kept alive, shared numbers, queues, discovery. */
final class NodeRecipeChecks {
    private NodeRecipeChecks() {}

    static void run() throws Exception {
        Curator.check("PersistentNode comes back when deleted and after expiry", NodeRecipeChecks::persistentNode);
        Curator.check("PersistentTtlNode keeps touching its node", NodeRecipeChecks::persistentTtlNode);
        Curator.check("GroupMember", clients -> {
            GroupMember a = new GroupMember(clients.start(), "/n-group", "a", Curator.bytes("1"));
            GroupMember b = new GroupMember(clients.start(), "/n-group", "b", Curator.bytes("2"));
            a.start();
            b.start();
            Peer.until("both members", () -> a.getCurrentMembers().keySet().equals(java.util.Set.of("a", "b")));
            b.close();
            Peer.until("one member", () -> a.getCurrentMembers().size() == 1);
            a.close();
        });
        Curator.check("DistributedAtomicLong from several clients", NodeRecipeChecks::atomicLong);
        Curator.check("DistributedAtomicInteger: compare and set", clients -> {
            DistributedAtomicInteger number =
                new DistributedAtomicInteger(clients.start(), "/n-int", new RetryNTimes(100, 10));
            Peer.that(number.initialize(5), "initialized");
            Peer.that(!number.initialize(6), "not twice");
            Peer.that(number.compareAndSet(5, 7).succeeded(), "5 to 7");
            Peer.that(!number.compareAndSet(5, 8).succeeded(), "not 5 any more");
            AtomicValue<Integer> value = number.subtract(3);
            Peer.equal("7 4", value.preValue() + " " + value.postValue(), "before and after");
        });
        Curator.check("SharedCount tells its listeners", clients -> {
            SharedCount a = new SharedCount(clients.start(), "/n-count", 3);
            SharedCount b = new SharedCount(clients.start(), "/n-count", 0);
            Curator.Heard heard = new Curator.Heard();
            b.addListener(new SharedCountListener() {
                @Override
                public void countHasChanged(SharedCountReader count, int value) {
                    heard.add("count " + value);
                }

                @Override
                public void stateChanged(CuratorFramework client, ConnectionState state) {}
            });
            a.start();
            b.start();
            Peer.equal(3, b.getCount(), "seed");
            a.setCount(4);
            heard.await("count 4");
            var stale = b.getVersionedValue();
            Peer.that(b.trySetCount(stale, 5), "set from the newest version");
            Peer.that(!b.trySetCount(stale, 6), "not set from a stale version");
            a.close();
            b.close();
        });
        Curator.check("SimpleDistributedQueue", clients -> {
            SimpleDistributedQueue in = new SimpleDistributedQueue(clients.start(), "/n-queue");
            SimpleDistributedQueue out = new SimpleDistributedQueue(clients.start(), "/n-queue");
            for (int i = 0; i < 10; i++) in.offer(Curator.bytes("item" + i));
            Peer.equal("item0", Peer.oneLine(out.peek()), "peek");
            for (int i = 0; i < 10; i++) Peer.equal("item" + i, Peer.oneLine(out.take()), "take");
            Peer.equal(null, out.poll(), "empty");
            in.offer(Curator.bytes("late"));
            Peer.equal("late", Peer.oneLine(out.poll(30, TimeUnit.SECONDS)), "poll");
        });
        Curator.check("ServiceDiscovery", NodeRecipeChecks::discovery);
    }

    private static void persistentNode(Curator clients) throws Exception {
        CuratorFramework observer = clients.start();
        CuratorFramework mortal = clients.start(Peer.RELAY, 3_000);
        PersistentNode node = new PersistentNode(mortal, CreateMode.EPHEMERAL, false, "/n-persistent", Curator.bytes("x"));
        node.start();
        Peer.that(node.waitForInitialCreate(30, TimeUnit.SECONDS), "created");
        long first = observer.checkExists().forPath("/n-persistent").getCzxid();
        observer.delete().forPath("/n-persistent");
        Peer.until("it to come back", () -> newer(observer, first));
        long second = observer.checkExists().forPath("/n-persistent").getCzxid();
        Curator.Heard gone = new Curator.Heard();
        observer.checkExists().usingWatcher((org.apache.zookeeper.Watcher) event -> gone.add(event.getType().name()))
            .forPath("/n-persistent");
        Peer.ask("freeze");
        gone.await("NodeDeleted");
        Peer.ask("thaw");
        Peer.until("it to come back with a new session", () -> newer(observer, second));
        Peer.equal("x", Peer.oneLine(observer.getData().forPath("/n-persistent")), "data");
        node.close();
        Peer.equal(null, observer.checkExists().forPath("/n-persistent"), "after close");
    }

    private static boolean newer(CuratorFramework client, long czxid) throws Exception {
        Stat stat = client.checkExists().forPath("/n-persistent");
        return stat != null && stat.getCzxid() > czxid;
    }

    private static void persistentTtlNode(Curator clients) throws Exception {
        CuratorFramework client = clients.start();
        PersistentTtlNode node = new PersistentTtlNode(client, "/n-ttl", 4_000, Curator.bytes("x"));
        node.start();
        Peer.that(node.waitForInitialCreate(30, TimeUnit.SECONDS), "created");
        Peer.equal("x", Peer.oneLine(client.getData().forPath("/n-ttl")), "data");
        Peer.until("its child", () -> client.getChildren().forPath("/n-ttl").size() == 1);
        String child = "/n-ttl/" + client.getChildren().forPath("/n-ttl").get(0);
        Peer.equal(0L, client.checkExists().forPath(child).getEphemeralOwner(), "owner of the child");
        int version = client.checkExists().forPath(child).getVersion();
        Peer.until("the child to be touched", () -> client.checkExists().forPath(child).getVersion() > version);
        node.close();
    }

    private static void atomicLong(Curator clients) throws Exception {
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            DistributedAtomicLong number = new DistributedAtomicLong(clients.start(), "/n-long", new RetryNTimes(1000, 5));
            Thread thread = new Thread(() -> {
                try {
                    for (int round = 0; round < 20; round++) Peer.that(number.increment().succeeded(), "incremented");
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        DistributedAtomicLong number = new DistributedAtomicLong(clients.start(), "/n-long", new RetryNTimes(10, 10));
        Peer.equal(60L, number.get().postValue(), "sum");
    }

    private static void discovery(Curator clients) throws Exception {
        ServiceInstance<Void> instance =
            ServiceInstance.<Void>builder().name("web").id("one").address("host").port(80).build();
        ServiceDiscovery<Void> server = ServiceDiscoveryBuilder.builder(Void.class)
            .client(clients.start()).basePath("/n-services").thisInstance(instance).build();
        server.start();
        ServiceDiscovery<Void> client =
            ServiceDiscoveryBuilder.builder(Void.class).client(clients.start()).basePath("/n-services").build();
        client.start();
        Peer.until("the service", () -> client.queryForInstance("web", "one") != null);
        Peer.equal(List.of("web"), List.copyOf(client.queryForNames()), "names");
        Peer.equal(80, client.queryForInstance("web", "one").getPort(), "port");
        server.unregisterService(instance);
        Peer.equal(0, client.queryForInstances("web").size(), "instances after it left");
        server.close();
        client.close();
    }
}
