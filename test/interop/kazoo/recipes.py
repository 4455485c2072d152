"""kazoo's recipes, each with several clients at once, as they are used."""
import datetime
import threading

from kazoo.exceptions import CancelledError, LockTimeout
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.recipe.partitioner import PartitionState
from kazoo.recipe.watchers import PatientChildrenWatch

from peer import RELAY, Background, Clients, Events, ask, check, equal, fails, until


def run():
    check("Lock: one holder, in the order of asking", lock)
    check("Lock: not blocking, timeout, cancel", lock_refused)
    check("Lock: freed when its holder's session expires", lock_expiry)
    check("ReadLock and WriteLock", read_write_lock)
    check("Semaphore", semaphore)
    check("Election", election)
    check("Barrier", barrier)
    check("DoubleBarrier", double_barrier)
    check("Counter from several clients", counter)
    check("Queue by priority", queue)
    check("LockingQueue", locking_queue)
    check("Party and ShallowParty", party)
    check("NonBlockingLease and MultiNonBlockingLease", lease)
    check("SetPartitioner", partitioner)
    check("TreeCache follows a subtree", tree_cache)
    check("DataWatch and ChildrenWatch", watches)
    check("DataWatch and ChildrenWatch hear what happened while disconnected", watches_after_silence)
    check("PatientChildrenWatch", patient)
    check("kill-restart: lock, party and watches go on", restart)


def lock():
    with Clients() as clients:
        everyone = [clients.start() for _ in range(4)]
        locks = [c.Lock("/kr/lock", f"holder{i}") for i, c in enumerate(everyone)]
        order, release = [], [threading.Event() for _ in locks]

        def hold(i):
            with locks[i]:
                order.append(i)
                release[i].wait(60)

        waiting = []
        for i in range(len(locks)):
            waiting.append(Background(hold, i))
            until(f"contender {i}", lambda: len(locks[0].contenders()) == i + 1)
        equal([f"holder{i}" for i in range(4)], locks[0].contenders(), "contenders")
        for i in range(len(locks)):
            until(f"holder {i}", lambda: len(order) == i + 1)
            release[i].set()
            waiting[i].join()
        equal([0, 1, 2, 3], order, "order of holders")
        equal([], locks[0].contenders(), "contenders")


def lock_refused():
    with Clients() as clients:
        a, b = clients.start(), clients.start()
        held, wanted = a.Lock("/kr/busy"), b.Lock("/kr/busy")
        equal(True, held.acquire(), "acquired")
        equal(False, wanted.acquire(blocking=False), "acquired without blocking")
        fails(LockTimeout, wanted.acquire, timeout=0.2)
        waiting = Background(wanted.acquire)
        until("two contenders", lambda: len(held.contenders()) == 2)
        wanted.cancel()
        fails(CancelledError, waiting.join)
        held.release()
        equal(True, b.Lock("/kr/busy").acquire(timeout=30), "acquired after release")


def lock_expiry():
    with Clients() as clients:
        a = clients.start(hosts=RELAY, timeout=3.0)
        b = clients.start()
        equal(True, a.Lock("/kr/dying", "a").acquire(), "acquired")
        waiting = Background(b.Lock("/kr/dying", "b").acquire)
        until("two contenders", lambda: len(b.Lock("/kr/dying").contenders()) == 2)
        ask("freeze")
        equal(True, waiting.join(), "acquired after expiry")
        ask("thaw")


def read_write_lock():
    with Clients() as clients:
        a, b, c = [clients.start() for _ in range(3)]
        first, second = a.ReadLock("/kr/rw", "r1"), b.ReadLock("/kr/rw", "r2")
        writer = c.WriteLock("/kr/rw", "w")
        equal(True, first.acquire(), "first reader")
        equal(True, second.acquire(timeout=30), "second reader beside it")
        waiting = Background(writer.acquire)
        until("a waiting writer", lambda: "w" in writer.contenders())
        first.release()
        equal(True, waiting.running, "the writer waits for the second reader")
        second.release()
        equal(True, waiting.join(), "writer")
        equal(False, first.acquire(blocking=False), "a reader beside the writer")
        writer.release()
        equal(True, first.acquire(timeout=30), "reader after the writer")


def semaphore():
    with Clients() as clients:
        a, b, c = [clients.start().Semaphore("/kr/sem", f"s{i}", max_leases=2) for i in range(3)]
        equal((True, True), (a.acquire(), b.acquire()), "two leases")
        equal(False, c.acquire(blocking=False), "a third lease")
        equal(["s0", "s1"], sorted(a.lease_holders()), "holders")
        waiting = Background(c.acquire)
        a.release()
        equal(True, waiting.join(), "the third lease after a release")
        equal(["s1", "s2"], sorted(b.lease_holders()), "holders")


def election():
    with Clients() as clients:
        elections = [clients.start().Election("/kr/election", f"e{i}") for i in range(3)]
        leaders, step_down = Events(), [threading.Event() for _ in elections]

        def lead(i):
            leaders.add(i)
            step_down[i].wait(60)

        running = []
        for i, e in enumerate(elections):
            running.append(Background(e.run, lead, i))
            until(f"contender {i}", lambda: len(elections[0].contenders()) == i + 1)
        equal(0, leaders.next(), "first leader")
        elections[1].cancel()
        running[1].join()
        step_down[0].set()
        equal(2, leaders.next(), "leader after the first, one gave up")
        step_down[2].set()
        for thread in running:
            thread.join()


def barrier():
    with Clients() as clients:
        a, b = clients.start(), clients.start()
        a.Barrier("/kr/barrier").create()
        equal(False, b.Barrier("/kr/barrier").wait(0.1), "passed while it is there")
        waiting = [Background(c.Barrier("/kr/barrier").wait, 30) for c in (a, b)]
        equal(True, a.Barrier("/kr/barrier").remove(), "removed")
        equal([True, True], [w.join() for w in waiting], "passed")
        equal(False, a.Barrier("/kr/barrier").remove(), "removed again")


def double_barrier():
    with Clients() as clients:
        c = clients.start()
        c.ensure_path("/kr/double")
        barriers = [clients.start().DoubleBarrier("/kr/double", 3, f"d{i}") for i in range(3)]
        entering = [Background(b.enter) for b in barriers[:2]]
        until("two inside", lambda: len(c.get_children("/kr/double")) == 2)
        equal(True, all(e.running for e in entering), "both wait for the third")
        barriers[2].enter()
        for e in entering:
            e.join()
        equal([True] * 3, [b.participating for b in barriers], "participating")
        leaving = [Background(b.leave) for b in barriers]
        for thread in leaving:
            thread.join()
        equal([], c.get_children("/kr/double"), "left behind")


def counter():
    with Clients() as clients:
        counters = [clients.start().Counter("/kr/counter") for _ in range(3)]

        def add(c):
            for _ in range(20):
                c += 1

        for thread in [Background(add, c) for c in counters]:
            thread.join()
        equal(60, counters[0].value, "sum")
        c = counters[1]
        c -= 10
        equal((50, 60, 50), (c.value, c.pre_value, c.post_value), "value, before and after")
        f = clients.list[0].Counter("/kr/float", default=1.5)
        f += 2.0
        equal(3.5, f.value, "float")
        curator = clients.list[0].Counter("/kr/curator", support_curator=True)
        curator += 7
        equal(b"\x00\x00\x00\x07", clients.list[0].get("/kr/curator")[0], "bytes as Curator has them")


def queue():
    with Clients() as clients:
        a, b = [clients.start().Queue("/kr/queue") for _ in range(2)]
        for value, priority in ((b"later", 200), (b"first", 50), (b"second", 50), (b"middle", 100)):
            a.put(value, priority)
        equal(4, len(b), "length")
        got = [b.get(), a.get(), b.get(), a.get(), a.get()]
        equal([b"first", b"second", b"middle", b"later", None], got, "values")


def locking_queue():
    with Clients() as clients:
        a, b = [clients.start().LockingQueue("/kr/locking") for _ in range(2)]
        a.put_all([b"one", b"two"])
        a.put(b"urgent", 1)
        equal(b"urgent", a.get(30), "first")
        equal(b"one", b.get(30), "second, for another")
        equal((True, True), (a.holds_lock(), b.holds_lock()), "both hold")
        equal(True, a.consume(), "consumed")
        equal(True, b.release(), "released")
        equal([b"one", b"two"], [take(a), take(a)], "what was released comes again")
        waiting = Background(b.get, 30)
        a.put(b"late")
        equal(b"late", waiting.join(), "a waiting get")
        equal(True, b.consume(), "consumed")
        equal(None, a.get(0.1), "empty")


def take(locking_queue):
    value = locking_queue.get(30)
    locking_queue.consume()
    return value


def party():
    with Clients() as clients:
        for kind in ("Party", "ShallowParty"):
            a, b = clients.start(), clients.start()
            pa, pb = getattr(a, kind)(f"/kr/{kind}", "a"), getattr(b, kind)(f"/kr/{kind}", "b")
            pa.join()
            pb.join()
            equal((["a", "b"], 2), (sorted(pa), len(pb)), "members")
            pa.leave()
            equal(["b"], sorted(pa), "members")
            b.stop()
            until("the party to be empty", lambda: len(pa) == 0)


def lease():
    with Clients() as clients:
        a, b = clients.start(), clients.start()
        hour = datetime.timedelta(hours=1)
        equal(True, bool(a.NonBlockingLease("/kr/lease", hour, identifier="a")), "first")
        equal(False, bool(b.NonBlockingLease("/kr/lease", hour, identifier="b")), "another")
        equal(True, bool(a.NonBlockingLease("/kr/lease", hour, identifier="a")), "renewed")
        later = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + 2 * hour
        equal(True, bool(b.NonBlockingLease("/kr/lease", hour, "b", utcnow=lambda: later)), "after its time")
        got = [bool(a.MultiNonBlockingLease(2, "/kr/multi", hour, identifier=name)) for name in "xyz"]
        equal([True, True, False], got, "two of three")


def partitioner():
    with Clients() as clients:
        things = ("t1", "t2", "t3", "t4")

        def join(name):
            return clients.start().SetPartitioner("/kr/parts", things, identifier=name, time_boundary=0.2)

        alone = join("p1")
        settle(alone)
        equal(sorted(things), sorted(alone), "all for one")
        second = join("p2")
        settle(alone, second)
        equal((2, 2), (len(list(alone)), len(list(second))), "half each")
        equal(sorted(things), sorted(list(alone) + list(second)), "together all")
        second.finish()
        until("the first to be asked to release", lambda: alone.state != PartitionState.ACQUIRED)
        settle(alone)
        equal(sorted(things), sorted(alone), "all again")


def settle(*members):
    def step():
        for member in members:
            equal(False, member.failed, "failed")
            if member.release:
                member.release_set()
            elif member.allocating:
                member.wait_for_acquire(0.1)
        shares = sum(len(list(member)) for member in members)
        return all(member.acquired for member in members) and shares == 4

    until("the partitions to be taken", step)


def tree_cache():
    with Clients() as clients:
        c, other = clients.start(), clients.start()
        other.ensure_path("/kr/tree/a")
        events = Events()
        cache = TreeCache(c, "/kr/tree")
        cache.listen(lambda event: events.add((event.event_type, event.event_data.path if event.event_data else None)))
        cache.start()
        events.wait_for((TreeEvent.INITIALIZED, None))
        equal(["a"], list(cache.get_children("/kr/tree")), "children")
        other.create("/kr/tree/a/b", b"1")
        events.wait_for((TreeEvent.NODE_ADDED, "/kr/tree/a/b"))
        other.set("/kr/tree/a/b", b"2")
        events.wait_for((TreeEvent.NODE_UPDATED, "/kr/tree/a/b"))
        equal(b"2", cache.get_data("/kr/tree/a/b").data, "data")
        other.delete("/kr/tree/a/b")
        events.wait_for((TreeEvent.NODE_REMOVED, "/kr/tree/a/b"))
        equal(None, cache.get_data("/kr/tree/a/b"), "data")
        cache.close()


def watches():
    with Clients() as clients:
        c, other = clients.start(), clients.start()
        seen, kids = Events(), Events()
        c.DataWatch("/kr/watched", lambda data, stat: seen.add(data))
        equal(None, seen.next(), "nothing there")
        other.create("/kr/watched", b"0", makepath=True)
        seen.wait_for(b"0")
        c.ChildrenWatch("/kr/watched", lambda names: kids.add(sorted(names)))
        equal([], kids.next(), "no children")
        for i in range(1, 6):
            other.set("/kr/watched", str(i).encode())
            seen.wait_for(str(i).encode())
            other.create(f"/kr/watched/{i}")
            kids.wait_for([str(j) for j in range(1, i + 1)])
        other.delete("/kr/watched", recursive=True)
        seen.wait_for(None)


def watches_after_silence():
    with Clients() as clients:
        c, other = clients.start(hosts=RELAY), clients.start()
        seen, kids = Events(), Events()
        other.create("/kr/silence", b"0", makepath=True)
        c.DataWatch("/kr/silence", lambda data, stat: seen.add(data))
        c.ChildrenWatch("/kr/silence", lambda names: kids.add(names))
        seen.wait_for(b"0")
        kids.wait_for([])
        ask("freeze")
        other.set("/kr/silence", b"1")
        other.create("/kr/silence/a")
        ask("thaw")
        seen.wait_for(b"1")
        kids.wait_for(["a"])


def patient():
    with Clients() as clients:
        c = clients.start()
        c.ensure_path("/kr/patient/a")
        names, changed = PatientChildrenWatch(c, "/kr/patient", time_boundary=0.1).start().get(timeout=30)
        equal(["a"], names, "children")
        c.create("/kr/patient/b")
        changed.get(timeout=30)


def restart():
    with Clients() as clients:
        a, b = clients.start(), clients.start()
        held = a.Lock("/kr/kept", "a")
        held.acquire()
        party = a.Party("/kr/kept-party", "a")
        party.join()
        seen = Events()
        a.create("/kr/kept-data", b"0")
        a.DataWatch("/kr/kept-data", lambda data, stat: seen.add(data))
        waiting = Background(b.Lock("/kr/kept", "b").acquire)
        until("two contenders", lambda: len(held.contenders()) == 2)
        ask("kill-restart")
        b.retry(b.set, "/kr/kept-data", b"1")
        seen.wait_for(b"1")
        equal(["a", "b"], b.retry(held.contenders), "contenders")
        equal(["a"], b.retry(lambda: list(party)), "party")
        held.release()
        equal(True, waiting.join(), "the waiting lock")
