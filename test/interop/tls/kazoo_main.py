"""kazoo over TLS."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kazoo"))

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import make_acl

from peer import check, equal, fails, finish

KEYS = os.environ["TLS_KEYS"]
SECURE = os.environ["TLS_SECURE"]


def handle(name, **options):
    own = {"certfile": f"{KEYS}/{name}.pem", "keyfile": f"{KEYS}/{name}.pem"} if name else {}
    return KazooClient(hosts=SECURE, use_ssl=True, ca=f"{KEYS}/ca.pem", **own, **options)


def works():
    client = handle("client")
    client.start()
    client.create("/kazoo", b"x" * 100_000, acl=[make_acl("x509", "CN=client", all=True)])
    equal(100_000, len(client.get("/kazoo")[0]), "size")
    other = handle("other")
    other.start()
    fails(NoAuthError, other.get, "/kazoo")
    for one in (client, other):
        one.stop()
        one.close()


def without_certificate():
    client = handle(None)
    fails(KazooTimeoutError, lambda: client.start(timeout=3))
    client.stop()
    client.close()


check("kazoo works, and an ACL by certificate keeps out the others", works)
check("kazoo without a certificate stays outside", without_certificate)
finish()
