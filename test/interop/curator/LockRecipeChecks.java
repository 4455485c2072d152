import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;

/** Who leads, who holds, who waits. */
final class LockRecipeChecks {
    private LockRecipeChecks() {}

    static void run() throws Exception {
        Curator.check("LeaderLatch: one leads, the next follows", LockRecipeChecks::leaderLatch);
        Curator.check("LeaderLatch: leadership is lost with the session and passes on", LockRecipeChecks::latchExpiry);
        Curator.check("LeaderLatch: kill-restart leaves one leader", clients -> {
            LeaderLatch a = new LeaderLatch(clients.start(), "/l-restart", "a");
            LeaderLatch b = new LeaderLatch(clients.start(), "/l-restart", "b");
            a.start();
            b.start();
            Peer.until("a leader", () -> a.hasLeadership() || b.hasLeadership());
            Peer.ask("kill-restart");
            Peer.until("one leader that both name", () -> {
                String leader = a.getLeader().getId();
                return leader.equals(b.getLeader().getId()) && a.hasLeadership() != b.hasLeadership()
                    && leader.equals(a.hasLeadership() ? "a" : "b");
            });
            a.close();
            b.close();
        });
        Curator.check("LeaderSelector: everyone gets a turn", LockRecipeChecks::leaderSelector);
        Curator.check("InterProcessMutex: excludes, is reentrant, passes on", LockRecipeChecks::mutex);
        Curator.check("InterProcessMutex: never two at once", LockRecipeChecks::mutexContention);
        Curator.check("InterProcessMutex: freed when its holder's session expires", clients -> {
            InterProcessMutex held = new InterProcessMutex(clients.start(Peer.RELAY, 3_000), "/l-dying");
            InterProcessMutex wanted = new InterProcessMutex(clients.start(), "/l-dying");
            held.acquire();
            Peer.ask("freeze");
            Peer.that(wanted.acquire(30, TimeUnit.SECONDS), "acquired after expiry");
            Peer.ask("thaw");
        });
        Curator.check("InterProcessReadWriteLock", LockRecipeChecks::readWriteLock);
        Curator.check("InterProcessSemaphoreV2", LockRecipeChecks::semaphore);
        Curator.check("InterProcessSemaphoreMutex and InterProcessMultiLock", clients -> {
            CuratorFramework a = clients.start();
            CuratorFramework b = clients.start();
            InterProcessMultiLock both = new InterProcessMultiLock(a, List.of("/l-multi1", "/l-multi2"));
            InterProcessSemaphoreMutex plain = new InterProcessSemaphoreMutex(b, "/l-plain");
            plain.acquire();
            Peer.that(!new InterProcessSemaphoreMutex(a, "/l-plain").acquire(100, TimeUnit.MILLISECONDS), "not twice");
            plain.release();
            both.acquire();
            Peer.that(!new InterProcessMutex(b, "/l-multi2").acquire(100, TimeUnit.MILLISECONDS), "one of both is held");
            both.release();
            Peer.that(new InterProcessMutex(b, "/l-multi2").acquire(30, TimeUnit.SECONDS), "free after release");
        });
        Curator.check("DistributedBarrier and DistributedDoubleBarrier", LockRecipeChecks::barriers);
    }

    private static void leaderLatch(Curator clients) throws Exception {
        List<LeaderLatch> latches = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            LeaderLatch latch = new LeaderLatch(clients.start(), "/l-latch", "latch" + i);
            latch.start();
            latches.add(latch);
        }
        for (int left = 3; left > 0; left--) {
            Peer.until("a leader", () -> latches.stream().anyMatch(LeaderLatch::hasLeadership));
            LeaderLatch leader = latches.stream().filter(LeaderLatch::hasLeadership).findFirst().get();
            Peer.equal(1L, latches.stream().filter(LeaderLatch::hasLeadership).count(), "leaders");
            int expected = left; // a latch takes its place in the background
            Peer.until(left + " participants", () -> leader.getParticipants().size() == expected);
            for (LeaderLatch latch : latches) Peer.equal(leader.getId(), latch.getLeader().getId(), "leader's id");
            latches.remove(leader);
            leader.close();
        }
    }

    private static void latchExpiry(Curator clients) throws Exception {
        Curator.Heard heard = new Curator.Heard();
        LeaderLatch mortal = new LeaderLatch(clients.start(Peer.RELAY, 3_000), "/l-expiry", "mortal");
        mortal.addListener(new org.apache.curator.framework.recipes.leader.LeaderLatchListener() {
            @Override
            public void isLeader() {
                heard.add("leader");
            }

            @Override
            public void notLeader() {
                heard.add("not leader");
            }
        });
        mortal.start();
        heard.await("leader");
        LeaderLatch next = new LeaderLatch(clients.start(), "/l-expiry", "next");
        next.start();
        Peer.ask("freeze");
        Peer.that(next.await(30, TimeUnit.SECONDS), "the next leads after expiry");
        heard.await("not leader");
        Peer.ask("thaw");
        Peer.until("the first to take part again", () -> next.getParticipants().size() == 2);
        next.close();
        heard.await("leader");
        mortal.close();
    }

    private static void leaderSelector(Curator clients) throws Exception {
        CountDownLatch turns = new CountDownLatch(6);
        AtomicInteger leading = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<String> leaders = Collections.synchronizedList(new ArrayList<>());
        List<LeaderSelector> selectors = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            String id = "s" + i;
            LeaderSelector selector = new LeaderSelector(clients.start(), "/l-select", new LeaderSelectorListenerAdapter() {
                @Override
                public void takeLeadership(CuratorFramework client) {
                    most.accumulateAndGet(leading.incrementAndGet(), Math::max);
                    leaders.add(id);
                    leading.decrementAndGet();
                    turns.countDown();
                }
            });
            selector.setId(id);
            selector.autoRequeue();
            selectors.add(selector);
        }
        for (LeaderSelector selector : selectors) selector.start();
        Peer.that(turns.await(30, TimeUnit.SECONDS), "six turns, got " + leaders);
        for (LeaderSelector selector : selectors) selector.close();
        Peer.equal(1, most.get(), "leaders at once");
    }

    private static void mutex(Curator clients) throws Exception {
        CuratorFramework a = clients.start();
        CuratorFramework b = clients.start();
        InterProcessMutex held = new InterProcessMutex(a, "/l-mutex");
        InterProcessMutex wanted = new InterProcessMutex(b, "/l-mutex");
        held.acquire();
        held.acquire();
        Peer.that(!wanted.acquire(200, TimeUnit.MILLISECONDS), "not acquired while held");
        held.release();
        Peer.that(held.isOwnedByCurrentThread(), "still held after one of two releases");
        CompletableFuture<Boolean> waiting = CompletableFuture.supplyAsync(() -> acquire(wanted));
        Peer.until("two participants", () -> held.getParticipantNodes().size() == 2);
        held.release();
        Peer.that(waiting.get(30, TimeUnit.SECONDS), "acquired after release");
    }

    private static boolean acquire(InterProcessMutex lock) {
        try {
            return lock.acquire(30, TimeUnit.SECONDS);
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    private static void mutexContention(Curator clients) throws Exception {
        AtomicInteger inside = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        AtomicInteger total = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            InterProcessMutex lock = new InterProcessMutex(clients.start(), "/l-contended");
            Thread thread = new Thread(() -> {
                try {
                    for (int round = 0; round < 10; round++) {
                        lock.acquire();
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        total.incrementAndGet();
                        inside.decrementAndGet();
                        lock.release();
                    }
                } catch (Exception error) {
                    throw new IllegalStateException(error);
                }
            });
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) thread.join();
        Peer.equal("1 at most, 40 in all", most.get() + " at most, " + total.get() + " in all", "holders");
    }

    private static void readWriteLock(Curator clients) throws Exception {
        InterProcessReadWriteLock a = new InterProcessReadWriteLock(clients.start(), "/l-rw");
        InterProcessReadWriteLock b = new InterProcessReadWriteLock(clients.start(), "/l-rw");
        a.readLock().acquire();
        Peer.that(b.readLock().acquire(30, TimeUnit.SECONDS), "two readers");
        b.readLock().release();
        Peer.that(!b.writeLock().acquire(200, TimeUnit.MILLISECONDS), "no writer beside a reader");
        a.readLock().release();
        Peer.that(b.writeLock().acquire(30, TimeUnit.SECONDS), "a writer alone");
        Peer.that(!a.readLock().acquire(200, TimeUnit.MILLISECONDS), "no reader beside a writer");
        b.writeLock().release();
        Peer.that(a.readLock().acquire(30, TimeUnit.SECONDS), "a reader after the writer");
        a.readLock().release();
    }

    private static void semaphore(Curator clients) throws Exception {
        InterProcessSemaphoreV2 a = new InterProcessSemaphoreV2(clients.start(), "/l-semaphore", 3);
        InterProcessSemaphoreV2 b = new InterProcessSemaphoreV2(clients.start(), "/l-semaphore", 3);
        List<Lease> leases = new ArrayList<>(a.acquire(2));
        leases.add(b.acquire());
        Peer.equal(null, b.acquire(200, TimeUnit.MILLISECONDS), "a fourth lease");
        Peer.equal(3, a.getParticipantNodes().size(), "participants");
        a.returnLease(leases.get(0));
        Lease fourth = b.acquire(30, TimeUnit.SECONDS);
        Peer.that(fourth != null, "a lease after one was returned");
        b.returnLease(fourth);
    }

    private static void barriers(Curator clients) throws Exception {
        CuratorFramework a = clients.start();
        CuratorFramework b = clients.start();
        DistributedBarrier barrier = new DistributedBarrier(a, "/l-barrier");
        barrier.setBarrier();
        Peer.that(!new DistributedBarrier(b, "/l-barrier").waitOnBarrier(100, TimeUnit.MILLISECONDS), "it holds");
        CompletableFuture<Boolean> waiting = CompletableFuture.supplyAsync(() -> {
            try {
                return new DistributedBarrier(b, "/l-barrier").waitOnBarrier(30, TimeUnit.SECONDS);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        });
        barrier.removeBarrier();
        Peer.that(waiting.get(30, TimeUnit.SECONDS), "passed");
        DistributedDoubleBarrier first = new DistributedDoubleBarrier(a, "/l-double", 2);
        DistributedDoubleBarrier second = new DistributedDoubleBarrier(b, "/l-double", 2);
        CompletableFuture<Boolean> through = CompletableFuture.supplyAsync(() -> {
            try {
                return first.enter(30, TimeUnit.SECONDS) && first.leave(30, TimeUnit.SECONDS);
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        });
        Peer.that(second.enter(30, TimeUnit.SECONDS), "entered");
        Peer.that(second.leave(30, TimeUnit.SECONDS), "left");
        Peer.that(through.get(30, TimeUnit.SECONDS), "the other, too");
    }
}
