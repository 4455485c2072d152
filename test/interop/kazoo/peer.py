"""The program's side of the line protocol with the runner, and what the checks share.

A check runs on a thread of its own with a deadline, so one that hangs fails alone and the rest still run.
"""
import os
import queue
import sys
import threading
import time
import traceback

from kazoo.client import KazooClient

SERVER = os.environ["ZW_SERVER"]
RELAY = os.environ["ZW_RELAY"]
TIMEOUT_S = 30
CHECK_TIMEOUT_S = 120

_count = 0


def _say(line):
    print(line, flush=True)


def ask(what):
    """Has the runner act on the server and returns when that is done."""
    _say(f"ask {what}")
    answer = sys.stdin.readline().strip()
    if answer != "done":
        raise RuntimeError(f"the runner said {answer!r}")


def check(name, body):
    global _count
    _count += 1
    _say(f"begin {name}")
    failure = []

    def run():
        try:
            body()
        except BaseException as error:  # whatever it is, it is this check's failure
            traceback.print_exc()
            last = traceback.extract_tb(error.__traceback__)
            ours = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in last if "/kazoo/" not in f.filename
                    or os.path.dirname(f.filename) == os.path.dirname(__file__)]
            failure.append(f"{type(error).__name__}: {error} at {' '.join(ours)}".replace("\n", " "))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(CHECK_TIMEOUT_S)
    if thread.is_alive():
        failure.append(f"not finished after {CHECK_TIMEOUT_S} s")
    _say(f"not ok {name} :: {failure[0]}" if failure else f"ok {name}")


def finish():
    _say(f"end {_count}")
    sys.stdout.flush()
    os._exit(0)  # a library's stray thread must not keep us


def equal(expected, got, what):
    if expected != got:
        raise AssertionError(f"{what}: expected <{expected}>, got <{got}>")


def fails(error, call, *args, **kwargs):
    try:
        got = call(*args, **kwargs)
    except error:
        return
    raise AssertionError(f"expected <{error.__name__}>, got <{got}>")


def until(what, condition):
    """For what no event announces. Polls; the deadline is for the hopeless case only."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.02)


class Clients:
    """Started clients that are stopped at the end of the block."""

    def __enter__(self):
        self.list = []
        return self

    def __exit__(self, *_):
        for client in self.list:
            client.stop()
            client.close()

    def start(self, hosts=SERVER, **options):
        client = KazooClient(hosts, **{"timeout": 30.0, **options})
        client.start(timeout=TIMEOUT_S)
        self.list.append(client)
        return client


class Events:
    """Records whatever a listener or watch is called with."""

    def __init__(self):
        self.queue = queue.Queue()

    def add(self, event):
        self.queue.put(event)

    def next(self):
        return self.queue.get(timeout=TIMEOUT_S)

    def wait_for(self, wanted):
        seen = []
        while True:
            try:
                seen.append(self.next())
            except queue.Empty:
                raise AssertionError(f"expected <{wanted}> to come, got <{seen}>") from None
            if seen[-1] == wanted:
                return


class Background:
    """A call on a thread of its own, whose result or error is asked for later."""

    def __init__(self, call, *args, **kwargs):
        self.result = None
        self.error = None

        def run():
            try:
                self.result = call(*args, **kwargs)
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    @property
    def running(self):
        return self.thread.is_alive()

    def join(self):
        self.thread.join(TIMEOUT_S)
        if self.running:
            raise AssertionError("a call in the background never returned")
        if self.error:
            raise self.error
        return self.result
