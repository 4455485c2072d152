"""Concurrent writers on kazoo, for kill.mjs.

One process, several sessions. A command per line on standard input:
  {"round": 7, "seed": 1}   answered when all sessions are there; then every session writes until the connection breaks
  {"collect": true}         comes next: when every session is back and every request has its outcome, one line with
                            all of them goes to standard output
  {"close": true}           every session is closed; the process ends

An outcome is "ok" (acknowledged), "refused" (the server answered with an error: nothing may have happened) or "unknown"
(the connection broke: it happened or it did not, but not half). At most one request is under way on a path, so the
order of the list is the order of what happened to a path. kazoo itself repeats nothing here.
"""
import json
import logging
import random
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionClosedError, ConnectionLoss, KazooException, SessionExpiredError
from kazoo.retry import KazooRetry

OUTSTANDING_MAX = 6
UNKNOWN = (ConnectionLoss, ConnectionClosedError, SessionExpiredError)


def stat_of(stat):
    return {"czxid": stat.czxid, "mzxid": stat.mzxid, "version": stat.version, "owner": stat.ephemeralOwner}


class Session:
    def __init__(self, hosts, name, timeout_s):
        self.name = name
        self.states = []
        self.suspended = threading.Event()
        self.lock = threading.Condition()
        self.under_way = 0
        self.busy = set()
        self.outcomes = []
        self.count = 0
        retry = KazooRetry(max_tries=-1, delay=0.02, backoff=1.3, max_delay=0.15)
        self.client = KazooClient(hosts=hosts, timeout=timeout_s, connection_retry=retry)
        self.client.add_listener(self.on_state)
        self.client.start(timeout=60)
        self.session_id = self.client.client_id[0]

    def on_state(self, state):
        self.states.append(state)
        if state != KazooState.CONNECTED:
            self.suspended.set()

    def send(self, kind, paths, call, read=None, **facts):
        """Starts a request and records its outcome when it has one."""
        record = {"kind": kind, "session": self.name, "n": self.count, "paths": paths, **facts}
        self.count += 1
        with self.lock:
            while self.under_way >= OUTSTANDING_MAX and not self.suspended.is_set():
                self.lock.wait(0.05)
            self.under_way += 1
            self.busy.update(paths)

        def done(result):
            try:
                self.judge(record, result, read)
            except Exception as failure:  # kazoo would swallow it
                record["outcome"], record["error"] = "broken", repr(failure)
            with self.lock:
                self.outcomes.append(record)
                if record["outcome"] != "unknown":  # an unknown outcome keeps its paths out of play
                    self.busy.difference_update(paths)
                self.under_way -= 1
                self.lock.notify_all()

        call().rawlink(done)

    @staticmethod
    def judge(record, result, read):
        error = result.exception
        if error is None:
            record["outcome"] = "ok"
            if read is not None:
                read(record, result.value)
        elif isinstance(error, UNKNOWN):
            record["outcome"] = "unknown"
        elif isinstance(error, KazooException):
            record["outcome"], record["error"] = "refused", type(error).__name__
        else:
            record["outcome"], record["error"] = "broken", repr(error)

    def write_until_killed(self, round_number, seed):
        """The workload of one round. Own nodes live below /kill/rN/<session>; shared ones below /kill/rN/shared."""
        rng = random.Random("%d/%s" % (seed, self.name))
        own = "/kill/r%d/%s" % (round_number, self.name)
        shared = "/kill/r%d/shared" % round_number
        self.outcomes = []
        self.busy = set()
        nodes = {}  # own paths that exist as far as is known -> version
        counters = {}  # shared path -> version seen last
        ephemerals = []
        fresh = 0
        while not self.suspended.is_set():
            data = ("%s %d %d " % (self.name, round_number, self.count)).encode() + b"x" * rng.choice((0, 0, 50, 3000))
            text = data.decode()
            free = [p for p in list(nodes) if p not in self.busy]
            dice = rng.random()
            if dice < 0.22 or len(free) < 4:
                path = "%s/n%d" % (own, fresh)
                fresh += 1
                self.create(path, data, nodes)
            elif dice < 0.32:
                prefix = "%s/seq/s-" % own if rng.random() < 0.5 else "%s/seq/s-" % shared
                call = lambda: self.client.create_async(prefix, data, sequence=True, include_data=True)
                self.send("sequential", [], call, self.read_created, data=text, prefix=prefix)
            elif dice < 0.50:
                path = rng.choice(free)
                expected = rng.choice((-1, nodes[path], nodes[path]))
                self.set(path, data, expected, nodes)
            elif dice < 0.56:  # refused: wrong version
                path = rng.choice(free)
                self.set(path, data, nodes[path] + 7, nodes)
            elif dice < 0.60:  # refused: exists already
                self.create(rng.choice(free), data, nodes)
            elif dice < 0.62:  # refused: no parent
                self.create("%s/missing/x%d" % (own, self.count), data, {})
            elif dice < 0.72:
                path = rng.choice(free)
                wrong = rng.random() < 0.3
                version = nodes[path] + (5 if wrong else 0)
                if not wrong:
                    del nodes[path]
                call = lambda: self.client.delete_async(path, version)
                self.send("delete", [path], call, version=version)
            elif dice < 0.82:
                fresh = self.multi(rng, own, fresh, free, nodes, data)
            elif dice < 0.88:
                path = "%s/e%d" % (own, fresh)
                fresh += 1
                ephemerals.append(path)
                call = lambda: self.client.create_async(path, data, ephemeral=True, include_data=True)
                self.send("create", [path], call, self.read_created, data=text, ephemeral=True)
            elif dice < 0.90 and ephemerals:
                path = ephemerals.pop(0)
                if path not in self.busy:
                    self.send("delete", [path], lambda: self.client.delete_async(path), version=-1)
            elif dice < 0.95:  # everyone writes these; only the version decides who wins
                path = "%s/c%d" % (shared, rng.randrange(3))
                expected = counters.get(path, 0)
                call = lambda: self.client.set_async(path, data, expected)
                read = lambda record, stat: record.update(stat=stat_of(stat))
                self.send("counter", [], call, read, path=path, version=expected, data=text)
                watcher = self.client.get_async(path)

                def learned(result, path=path):
                    if result.exception is None:
                        counters[path] = result.value[1].version

                watcher.rawlink(learned)
            else:  # everyone tries to create the same name; one may win
                path = "%s/race%d" % (shared, rng.randrange(1000))
                call = lambda: self.client.create_async(path, data, include_data=True)
                self.send("race", [], call, self.read_created, path=path, data=text)

    @staticmethod
    def read_created(record, value):
        record["path"], record["stat"] = value[0], stat_of(value[1])

    def create(self, path, data, nodes):
        def read(record, value):
            self.read_created(record, value)
            nodes[path] = 0

        call = lambda: self.client.create_async(path, data, include_data=True)
        self.send("create", [path], call, read, data=data.decode())

    def set(self, path, data, expected, nodes):
        def read(record, stat):
            record["stat"] = stat_of(stat)
            if path in nodes:
                nodes[path] = stat.version

        call = lambda: self.client.set_async(path, data, expected)
        self.send("set", [path], call, read, data=data.decode(), version=expected)

    def multi(self, rng, own, fresh, free, nodes, data):
        """Two creates, a setData, a check and a delete that stand or fall together; one in three is made to fail."""
        first, second = "%s/m%d" % (own, fresh), "%s/m%d" % (own, fresh + 1)
        changed, gone = rng.sample(free, 2)
        fails = rng.random() < 0.33
        version, gone_version = nodes[changed], nodes.pop(gone)
        transaction = self.client.transaction()
        transaction.create(first, data)
        transaction.set_data(changed, data, version)
        transaction.create(second, data)
        transaction.check(changed, version + 1)
        transaction.delete(gone, gone_version + (3 if fails else 0))

        def read(record, results):
            errors = [type(r).__name__ for r in results if isinstance(r, Exception)]
            if errors:
                record["outcome"], record["error"] = "refused", errors[-1]
                nodes[gone] = gone_version
                return
            record["stat"] = stat_of(results[1])
            nodes[changed] = results[1].version
            nodes[first] = nodes[second] = 0

        paths = [first, second, changed, gone]
        facts = {"data": data.decode(), "version": version, "goneVersion": gone_version, "fails": fails}
        self.send("multi", paths, transaction.commit_async, read, **facts)
        return fresh + 2

    def settle(self):
        """Waits until the connection is back and nothing is under way."""
        with self.lock:
            while self.under_way > 0:
                self.lock.wait(0.05)
        self.client.sync("/")  # waits for the reconnect; kazoo queues requests meanwhile


def settle(session):
    while True:
        try:
            return session.settle()
        except ConnectionLoss:  # the server was killed again while we waited
            continue


def main():
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)  # lost connections are the point here
    hosts, name, count, timeout_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    sessions = [Session(hosts, "%s%d" % (name, i), timeout_s) for i in range(count)]
    tell({"sessions": [{"name": s.name, "id": str(s.session_id)} for s in sessions]})
    for line in sys.stdin:
        command = json.loads(line)
        if "close" in command:
            break
        work = lambda s: s.write_until_killed(command["round"], command["seed"])
        for s in sessions:
            settle(s)
            s.suspended.clear()
        tell({"started": True})  # only now may the server be killed: a loss seen before this would go unnoticed
        threads = [threading.Thread(target=work, args=(s,)) for s in sessions]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        sys.stdin.readline()  # the server is up for good now; before, it may still be killed while it starts
        for s in sessions:
            settle(s)
        tell({
            "outcomes": [o for s in sessions for o in s.outcomes],
            "sessions": [
                {"name": s.name, "id": str(s.client.client_id[0]), "zxid": s.client.last_zxid, "states": s.states}
                for s in sessions
            ],
        })
        for s in sessions:
            s.states = []
    for s in sessions:
        s.client.stop()
    tell({"closed": True})


def tell(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


main()
