"""`scripts/bench fleet`: sixty tasks on up to thousands of simulated hosts. What the figures mean: docs/performance.md."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from farm import ROOT
from table import load as machine
from table import seconds, table
from tools import windlass

PLAYBOOK = ROOT / "benches/w1/playbook.yml"


def program() -> Path:
    """The simulated fleet, built for release; `WINDLASS_FLEET` names another."""
    if os.environ.get("WINDLASS_FLEET"):
        return Path(os.environ["WINDLASS_FLEET"]).resolve()
    build = ["cargo", "bench", "--locked", "--quiet", "--bench", "fleet", "--no-run", "--message-format=json"]
    done = subprocess.run(build, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    built = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Path(next(b["executable"] for b in built if b.get("executable") and b["target"]["name"] == "fleet"))


class Hosts:
    """The fleet at work; `bad`: each so many'th host is silent, frozen or slow once it is told to be."""

    def __init__(self, delay: int, bad: int):
        self.folder = Path(tempfile.mkdtemp(prefix="windlass-fleet-"))
        command = [str(program()), "--folder", str(self.folder), "--delay", str(delay), "--bad", str(bad)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        (self.folder / "templates").symlink_to(PLAYBOOK.parent / "templates")
        text = PLAYBOOK.read_text()
        # Two tasks look at something that other hosts might bring about, and wait for all under `linear`.
        (self.folder / "free.yml").write_text(text.replace("  hosts: all\n", "  hosts: all\n  strategy: free\n", 1))
        self.heard()

    def heard(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench: the simulated fleet has ended")
        return line.strip()

    def say(self, words: str) -> str:
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        return self.heard()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass
class Cost:
    """What a run took: seconds, processor seconds, MiB, and how many hosts were changed and not reached."""

    wall: float
    cpu: float
    memory: float
    actions: int
    code: int
    trips: str
    # When the last host that answers was through.
    through: float = 0.0


def apply(tool: Path, fleet: Hosts, hosts: int, forks: int | None, good: bool = True) -> Cost:
    inventory = fleet.say(f"inventory {hosts}")
    fleet.say("count")
    command = [str(tool), "apply", "-i", inventory, *(["-f", str(forks)] if forks else [])]
    command += ["--stats", str(PLAYBOOK)] if good else ["--json", str(fleet.folder / "free.yml")]
    environment = {"HOME": str(fleet.folder), "PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    said = fleet.folder / "said"
    with said.open("w", encoding="utf-8") as out:
        begun = time.monotonic()
        child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        _, status, used = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
    text = said.read_text(encoding="utf-8")
    code = os.waitstatus_to_exitcode(status)
    if code not in ([0] if good else [0, 4]):
        sys.exit(f"bench: windlass ended with {code}\n{text[-3000:]}")
    actions = int(fleet.say("count").split()[0])
    trips, through = "", 0.0
    if good:
        trips = next((line.split(" round trip")[0].split()[-1] for line in text.splitlines() if " round trip" in line), "?")
    else:
        for line in text.splitlines():
            event = json.loads(line) if '"result"' in line else {}
            if event.get("event") == "result" and event["status"] != "unreachable" and is_good(event["host"]):
                through = max(through, event["at"])
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, actions, code, trips, through)


BAD = 50


def is_good(name: str) -> bool:
    return int(name[1:]) % BAD != 0


def fleet(args) -> int:
    tool = windlass()
    hosts = Hosts(args.delay, BAD)
    sizes = sorted(args.sizes or [10, 100, 1000, 5000])
    forks = ["default" if args.forks is None else str(args.forks)][0]
    print(f"\n{machine()}; {args.delay} ms; forks: {forks}\n")
    rows, first = [], None
    try:
        for size in sizes:
            hosts.say("clear")
            changing = apply(tool, hosts, size, args.forks)
            settled = apply(tool, hosts, size, args.forks)
            if settled.actions > size * 2 or changing.actions < size * 50:
                sys.exit(f"bench: {changing.actions} actions, then {settled.actions}: that is no sixty tasks")
            memory = max(changing.memory, settled.memory)
            first = first or (size, memory)
            growth = (memory - first[1]) * 1024 / (size - first[0]) if size > first[0] else None
            rows.append([
                str(size), seconds(changing.wall), seconds(settled.wall),
                f"{changing.cpu * 1000 / size:.1f}", f"{settled.cpu * 1000 / size:.1f}",
                changing.trips, settled.trips, f"{memory:.0f}", "–" if growth is None else f"{growth:.0f}",
            ])
            print(" ".join(rows[-1]), file=sys.stderr)
        head = ["hosts", "s, everything to change", "s, nothing", "ms of processor a host, everything", "nothing",
                "trips", "trips", "MiB", "KiB a further host (< 200)"]
        print(table(head, rows))
        for size in [s for s in sizes if s >= BAD][-2:][:1]:
            rows = []
            for manner in ("well", "bad"):
                hosts.say("clear")
                hosts.say(f"manner {manner}")
                cost = apply(tool, hosts, size, args.forks, good=False)
                rows.append([manner, str(size), seconds(cost.through), seconds(cost.wall)])
            hosts.say("manner well")
            print(table([f"every {BAD}th host", "hosts", "s until the others were through", "s in all"], rows))
    finally:
        hosts.close()
    return 0
