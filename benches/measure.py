#!/usr/bin/env python3
"""Runs a command and tells what it and everything it started have cost, as one line of JSON on descriptor 3.

    measure.py [--after COMMAND] -- COMMAND…

Processes that leave their parent (OpenSSH's ControlPersist masters) are waited for, too: this process adopts them.
`--after` is run by the shell before they are (to end such masters); neither its time nor its processor time counts.

Wall time ends when the command does. Memory is the largest sum of the proportional set sizes of all processes alive
together, and at least what the command itself held at its highest.
"""

import ctypes
import json
import os
import subprocess
import sys
import threading
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(pid: int) -> list[int]:
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="ascii") as file:
                    todo.extend(map(int, file.read().split()))
        except OSError:
            continue
        found.append(one)
    return found


def field(path: str, name: str) -> int:
    """A line of `/proc/PID/status` or `smaps_rollup`, in KiB."""
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                if line.startswith(name):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


class Memory(threading.Thread):
    """Samples often at first, seldom later: reading is work for the machine that is measured."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.pid, self.peak, self.over = pid, 0, threading.Event()

    def run(self) -> None:
        begun = time.monotonic()
        while not self.over.wait(0.01 if time.monotonic() - begun < 2 else 0.2):
            alive = descendants(self.pid)
            together = sum(field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in alive)
            alone = field(f"/proc/{self.pid}/status", "VmHWM:")
            self.peak = max(self.peak, together, alone)


def main() -> int:
    arguments = sys.argv[1:]
    after = None
    if arguments[0] == "--after":
        after, arguments = arguments[1], arguments[2:]
    assert arguments[0] == "--"
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    begun = time.monotonic()
    child = subprocess.Popen(arguments[1:], close_fds=True)
    memory = Memory(child.pid)
    memory.start()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begun
    memory.over.set()
    memory.join()
    cpu = used.ru_utime + used.ru_stime
    if after:
        subprocess.run(after, shell=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    while True:
        try:
            _, _, used = os.wait4(-1, 0)
        except ChildProcessError:
            break
        cpu += used.ru_utime + used.ru_stime
    code = os.waitstatus_to_exitcode(status)
    cost = {"wall": wall, "cpu": cpu, "memory_kib": memory.peak, "code": code}
    os.write(3, (json.dumps(cost) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
