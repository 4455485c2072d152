"""Logins by SASL of kazoo, with pure-sasl."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "kazoo"))

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl

from peer import SERVER, check, equal, fails, finish, until


def handle(user, password):
    options = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
    return KazooClient(hosts=SERVER, sasl_options=options)


def bob_logs_in():
    bob = handle("bob", "bobsecret")
    bob.start()
    bob.create("/kazoo", b"x", acl=[make_acl("sasl", "bob", all=True)])
    equal(b"x", bob.get("/kazoo")[0], "data")
    equal("bob", bob.get_acls("/kazoo")[0][0].id.id, "id in the ACL")
    stranger = KazooClient(hosts=SERVER)
    stranger.start()
    fails(NoAuthError, stranger.get, "/kazoo")
    for client in (bob, stranger):
        client.stop()
        client.close()


def failures():
    for user, password in (("bob", "guess"), ("eve", "bobsecret")):
        client = handle(user, password)
        client.start_async()
        until(f"{user} to be given up", client._connection.connection_stopped.is_set)
        equal(False, client.connected, "connected")
        client.stop()
        client.close()


check("bob logs in, and an ACL keeps out everybody else", bob_logs_in)
check("a wrong password and an unknown user fail", failures)
finish()
