"""
Types into a program that believes it is at a terminal.

    python3 terminal.py COMMAND ARGS... < steps.json

steps.json is a list of {"type": keys, "expect": text}: the keys are typed in one go, and the step is over when the text
has been printed behind what the step before it waited for; "run" is a command to be run to its end ahead of that. Prints one line of JSON: what was printed, the milliseconds
until the first step was over, the step that waited in vain (null: none), and how the program ended.
"""

import json
import os
import pty
import select
import subprocess
import sys
import time

WAIT_S = 30


def main():
    steps = json.load(sys.stdin)
    begun = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execvp(sys.argv[1], sys.argv[1:])
    printed = ""
    seen = 0
    first = None
    failed = None
    for step in steps:
        if "run" in step:
            subprocess.run(step["run"], stdout=subprocess.DEVNULL, check=True)
        os.write(terminal, step["type"].encode())
        end = time.monotonic() + WAIT_S
        while step["expect"] not in printed[seen:]:
            text = read(terminal, end)
            if text is None:
                failed = step
                break
            printed += text
        if failed:
            break
        seen = printed.index(step["expect"], seen) + len(step["expect"])
        if first is None:
            first = round((time.monotonic() - begun) * 1000)
    while not failed:
        text = read(terminal, time.monotonic() + WAIT_S)
        if text is None:
            break
        printed += text
    if failed:
        os.kill(pid, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print(json.dumps({"printed": printed, "firstMs": first, "failed": failed, "status": status}))


def read(terminal, end):
    """What comes before the time is over; None at the end of either."""
    if not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
        return None
    try:
        data = os.read(terminal, 65536)
    except OSError:
        return None
    return data.decode(errors="replace") if data else None


main()
