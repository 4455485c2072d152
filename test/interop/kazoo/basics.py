"""kazoo's client itself: nodes, watches, transactions, identities, sessions."""
from kazoo.client import KazooState
from kazoo.exceptions import (
    BadVersionError, InvalidACLError, NoAuthError, NoChildrenForEphemeralsError, NodeExistsError,
    NoNodeError, NotEmptyError, RolledBackError, RuntimeInconsistency,
)
from kazoo.protocol.states import EventType, WatchedEvent, KeeperState
from kazoo.retry import KazooRetry
from kazoo.security import OPEN_ACL_UNSAFE, make_acl, make_digest_acl

from peer import RELAY, SERVER, Clients, Events, ask, check, equal, fails, until


def run():
    check("create, get, set, exists, delete and their refusals", nodes)
    check("create modes and create with stat", modes)
    check("children, with stat, ensure_path and recursive delete", children)
    check("data: null, empty and a million bytes", data)
    check("asynchronous calls", asynchronous)
    check("watches on exists, get and get_children", watches)
    check("transactions commit", transaction)
    check("transactions roll back", rollback)
    check("digest identities and ACLs", acls)
    check("chroot", chroot)
    check("four letter words and server_version", words)
    check("retry of a call that first fails", retry)
    check("a session moves to another client by id and password", reattach)
    check("an expired session is LOST and a new one follows", lost)
    check("kill-restart: SUSPENDED then CONNECTED with the same session and ephemerals", restart)


def nodes():
    with Clients() as clients:
        c = clients.start()
        equal("/kb", c.create("/kb", b"one"), "path")
        value, stat = c.get("/kb")
        equal((b"one", 0, 3), (value, stat.version, stat.data_length), "data and stat")
        equal(stat.czxid, stat.mzxid, "mzxid")
        stat = c.set("/kb", b"two", version=0)
        equal(1, stat.version, "version")
        fails(BadVersionError, c.set, "/kb", b"x", version=0)
        fails(NodeExistsError, c.create, "/kb")
        fails(NoNodeError, c.create, "/none/child")
        fails(NoNodeError, c.get, "/none")
        equal(None, c.exists("/none"), "exists of nothing")
        equal(stat, c.exists("/kb"), "stat")
        c.create("/kb/child")
        fails(NotEmptyError, c.delete, "/kb")
        fails(BadVersionError, c.delete, "/kb/child", version=3)
        c.delete("/kb/child", version=0)
        c.delete("/kb")
        fails(NoNodeError, c.delete, "/kb")
        equal("/", c.sync("/"), "sync")


def modes():
    with Clients() as clients:
        c = clients.start()
        c.create("/km")
        path, stat = c.create("/km/stat", b"abc", include_data=True)
        equal(("/km/stat", 3), (path, stat.data_length), "path and stat")
        equal(stat, c.exists("/km/stat"), "stat")
        c.create("/km/e", ephemeral=True)
        equal(c.client_id[0], c.exists("/km/e").owner_session_id, "owner")
        fails(NoChildrenForEphemeralsError, c.create, "/km/e/child")
        equal("/km/s-0000000002", c.create("/km/s-", sequence=True), "sequential path")
        path, stat = c.create("/km/es-", ephemeral=True, sequence=True, include_data=True)
        equal(("/km/es-0000000003", c.client_id[0]), (path, stat.owner_session_id), "path and owner")
        equal("/km/deep/er", c.create("/km/deep/er", makepath=True), "path")


def children():
    with Clients() as clients:
        c = clients.start()
        c.ensure_path("/kc/a/b/c")
        c.ensure_path("/kc/a/b/c")
        c.create("/kc/x")
        equal(["a", "x"], sorted(c.get_children("/kc")), "children")
        names, stat = c.get_children("/kc", include_data=True)
        equal((["a", "x"], 2, 2), (sorted(names), stat.numChildren, stat.cversion), "children and stat")
        fails(NoNodeError, c.get_children, "/none")
        c.delete("/kc", recursive=True)
        equal(None, c.exists("/kc"), "exists")


def data():
    with Clients() as clients:
        c = clients.start()
        c.create("/kd", None)
        equal(None, c.get("/kd")[0], "null")
        c.set("/kd", b"")
        equal(b"", c.get("/kd")[0], "empty")
        big = bytes(range(256)) * 3907
        c.set("/kd", big)
        equal(True, c.get("/kd")[0] == big, "the same million bytes")
        c.create("/kd/ünïcode 数据")
        equal(["ünïcode 数据"], c.get_children("/kd"), "children")


def asynchronous():
    with Clients() as clients:
        c = clients.start()
        answers = [c.create_async("/ka")]
        answers += [c.create_async(f"/ka/{i}", str(i).encode()) for i in range(100)]
        answers += [c.get_async(f"/ka/{i}") for i in range(100)]
        answers += [c.set_async("/ka", b"x"), c.get_children_async("/ka"), c.exists_async("/ka"), c.get_acls_async("/ka")]
        values = [answer.get(timeout=30) for answer in answers]
        equal([str(i).encode() for i in range(100)], [value[0] for value in values[101:201]], "data")
        equal(100, len(values[202]), "children")
        fails(NoNodeError, c.delete_async("/none").get, timeout=30)


def watches():
    with Clients() as clients:
        c, other = clients.start(), clients.start()
        events = Events()

        def event(kind, path):
            return WatchedEvent(kind, KeeperState.CONNECTED, path)

        c.exists("/kw", watch=events.add)
        other.create("/kw")
        equal(event(EventType.CREATED, "/kw"), events.next(), "event")
        c.get("/kw", watch=events.add)
        other.create("/kw/a")
        other.set("/kw", b"x")
        equal(event(EventType.CHANGED, "/kw"), events.next(), "event")
        c.get_children("/kw", watch=events.add)
        other.set("/kw", b"y")
        other.delete("/kw/a")
        equal(event(EventType.CHILD, "/kw"), events.next(), "event")
        c.get_children("/kw", watch=events.add)
        other.delete("/kw")
        equal(event(EventType.DELETED, "/kw"), events.next(), "event")


def transaction():
    with Clients() as clients:
        c = clients.start()
        t = c.transaction()
        t.create("/kt")
        t.create("/kt/s-", b"x", sequence=True)
        t.set_data("/kt", b"set", version=0)
        t.check("/kt", version=1)
        t.delete("/kt/s-0000000000", version=0)
        results = t.commit()
        equal(["/kt", "/kt/s-0000000000"], results[:2], "paths")
        equal((1, 1), (results[2].version, results[2].numChildren), "stat at that point")
        equal([True, True], results[3:], "check and delete")
        equal((b"set", 0), (c.get("/kt")[0], c.exists("/kt").numChildren), "what is there")


def rollback():
    with Clients() as clients:
        c = clients.start()
        c.create("/kr")
        t = c.transaction()
        t.create("/kr/new")
        t.check("/kr", version=7)
        t.delete("/kr")
        kinds = [type(result) for result in t.commit()]
        equal([RolledBackError, BadVersionError, RuntimeInconsistency], kinds, "results")
        equal([], c.get_children("/kr"), "children")


def acls():
    with Clients() as clients:
        c = clients.start()
        ann = clients.start(auth_data=[("digest", "ann:secret")])
        late = clients.start()
        acl = make_digest_acl("ann", "secret", all=True)
        ann.create("/kacl", b"x", acl=[acl])
        fails(NoAuthError, c.get, "/kacl")
        fails(NoAuthError, c.create, "/kacl/child")
        fails(NoAuthError, late.get, "/kacl")
        late.add_auth("digest", "ann:secret")
        equal(b"x", late.get("/kacl")[0], "data")
        got, stat = ann.get_acls("/kacl")
        equal([acl], got, "acls")
        fails(BadVersionError, ann.set_acls, "/kacl", OPEN_ACL_UNSAFE, version=4)
        equal(1, ann.set_acls("/kacl", OPEN_ACL_UNSAFE, version=0).aversion, "aversion")
        c.create("/kacl/child")
        fails(InvalidACLError, c.create, "/kacl/bad", acl=[make_acl("nosuch", "x", all=True)])


def chroot():
    with Clients() as clients:
        c = clients.start()
        c.ensure_path("/kroot/deeper")
        inside = clients.start(hosts=f"{SERVER}/kroot/deeper")
        equal("/a", inside.create("/a"), "path")
        equal(["a"], c.get_children("/kroot/deeper"), "children outside")
        equal("/s0000000001", inside.create("/s", sequence=True), "path")
        events = Events()
        inside.get("/a", watch=lambda event: events.add(event.path))
        c.set("/kroot/deeper/a", b"x")
        equal("/a", events.next(), "event's path")
        t = inside.transaction()
        t.create("/t")
        equal(["/t"], t.commit(), "transaction")


def words():
    with Clients() as clients:
        c = clients.start()
        equal("imok", c.command(b"ruok"), "ruok")
        equal((3, 9), c.server_version()[:2], "version")
        equal(True, "Mode: standalone" in c.command(b"srvr"), "srvr names the mode")
        equal(True, "zk_version" in c.command(b"mntr"), "mntr names the version")


def retry():
    with Clients() as clients:
        c, other = clients.start(), clients.start()
        tries = []

        def attempt():
            tries.append(1)
            if len(tries) == 2:
                other.create("/kretry")
            return c.get("/kretry")

        policy = KazooRetry(max_tries=10, delay=0.01, ignore_expire=False)
        policy.retry_exceptions += (NoNodeError,)
        equal(b"", policy(attempt)[0], "data")
        equal(2, len(tries), "tries")
        equal(b"", c.retry(c.get, "/kretry")[0], "data through the client's own retry")


def reattach():
    with Clients() as clients:
        observer, first = clients.start(), clients.start(hosts=RELAY)
        first.create("/kmoved", ephemeral=True)
        ask("freeze")
        second = clients.start(client_id=first.client_id)
        equal(first.client_id, second.client_id, "session")
        equal(first.client_id[0], second.exists("/kmoved").owner_session_id, "owner")
        ask("thaw")
        second.stop()
        until("the node to go", lambda: observer.exists("/kmoved") is None)


def lost():
    with Clients() as clients:
        observer = clients.start()
        c = clients.start(hosts=RELAY, timeout=3.0)
        states, gone = Events(), Events()
        c.add_listener(states.add)
        c.create("/klost", ephemeral=True)
        session = c.client_id[0]
        observer.exists("/klost", watch=gone.add)
        ask("freeze")
        equal(EventType.DELETED, gone.next().type, "event")
        ask("thaw")
        states.wait_for(KazooState.LOST)
        states.wait_for(KazooState.CONNECTED)
        equal(False, c.client_id[0] == session, "the same session again")
        c.retry(c.create, "/klost", ephemeral=True)


def restart():
    with Clients() as clients:
        c = clients.start()
        states = Events()
        c.add_listener(states.add)
        c.create("/krestart", b"kept", ephemeral=True)
        session = c.client_id
        changed = Events()
        c.get("/krestart", watch=lambda event: changed.add(event.type))
        ask("kill-restart")
        equal(KazooState.SUSPENDED, states.next(), "state")
        states.wait_for(KazooState.CONNECTED)
        equal(session, c.client_id, "session")
        value, stat = c.retry(c.get, "/krestart")
        equal((b"kept", session[0]), (value, stat.owner_session_id), "data and owner")
        c.retry(c.set, "/krestart", b"new")
