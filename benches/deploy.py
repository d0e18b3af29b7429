"""`scripts/bench deploy`: deploys and rollbacks under load. What the figures mean: docs/deploy-figures.md."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import tools
from deployable import APP, DOMAIN, Site
from farm import ROOT
from table import load as machine
from table import table

FIGURES = ROOT / "docs/deploy-figures.md"
MARK = "<!-- by scripts/bench deploy; what is below is written anew each time -->\n"


@dataclass
class Took:
    """A command: how long it took, to the switch and as a whole."""

    what: str
    switch: float
    whole: float


@dataclass
class Result:
    """What came of one site."""

    name: str
    first: Took
    second: Took
    quiet: list[Took] = field(default_factory=list)
    under_load: list[Took] = field(default_factory=list)
    busy: dict = field(default_factory=dict)
    rest: dict = field(default_factory=dict)
    calm: dict = field(default_factory=dict)


def client() -> Path:
    """The load client, built for release; `WINDLASS_LOAD` names another."""
    if os.environ.get("WINDLASS_LOAD"):
        return Path(os.environ["WINDLASS_LOAD"]).resolve()
    build = ["cargo", "bench", "--locked", "--quiet", "--bench", "load", "--no-run", "--message-format=json"]
    done = subprocess.run(build, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    built = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return Path(next(m["executable"] for m in built if m.get("executable") and m["target"]["name"] == "load"))


class Load:
    """The load client at work on a site."""

    def __init__(self, program: Path, site: Site, rate: int):
        self.report = Path(tempfile.mkstemp(suffix=".json")[1])
        words = [program, "--host", DOMAIN, "--address", site.front.address, "--rate", str(rate), "--json", self.report]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def say(self, words: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def stop(self) -> dict:
        said, _ = self.process.communicate("stop\n")
        report = json.loads(self.report.read_text())
        self.report.unlink()
        if report["all"]["failed"]:
            print(said, file=sys.stderr)
        return report


class Runs:
    """Deploys and rollbacks of one site, one after the other."""

    def __init__(self, site: Site):
        self.site, self.number = site, 0

    def windlass(self, what: str, words: list[str], load: Load | None) -> Took:
        began = time.time()
        command = self.site.command(*words, "--json")
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                command, cwd=self.site.folder, env=self.site.environment(), stdout=subprocess.PIPE, stderr=errors, text=True
            )  # fmt: skip
            said, window = [], False
            assert process.stdout
            for line in process.stdout:
                said.append(line)
                # From the first switch until the old release has ended on all hosts.
                if load and not window and '"task_start"' in line and f'"{APP} : switch"' in line:
                    load.say(f"begin {what}")
                    window = True
            code = process.wait()
            if load and window:
                load.say(f"end {what}")
            if code != 0:
                errors.seek(0)
                sys.exit(f"bench: {' '.join(words)} ended with {code}:\n{''.join(said[-25:])}{errors.read()}")
        took = Took(what, self.site.switched() - began, time.time() - began)
        print(f"{what}: {took.switch:.1f} s to the switch, {took.whole:.1f} s as a whole", file=sys.stderr)
        return took

    def deploy(self, load: Load | None = None) -> Took:
        self.number += 1
        self.site.write(str(self.number))
        return self.windlass(f"deploy {self.number}", ["deploy", "deploy.yml"], load)

    def rollback(self, load: Load | None = None) -> Took:
        return self.windlass(f"rollback {self.number}", ["rollback"], load)


def measure(name: str, site: Site, program: Path, rounds: int, few: int, rest: int) -> Result:
    print(f"{name}: setting the site up", file=sys.stderr)
    site.set_up()
    runs = Runs(site)
    result = Result(name, runs.deploy(), runs.deploy())
    for _ in range(few):
        result.quiet += [runs.rollback(), runs.deploy()]
    load = Load(program, site, 100)
    time.sleep(rest)
    result.rest = load.stop()
    load = Load(program, site, 100)
    for _ in range(few):
        runs.deploy(load)
        runs.rollback(load)
    result.calm = load.stop()
    load = Load(program, site, 200)
    time.sleep(5)
    for _ in range(rounds):
        result.under_load += [runs.deploy(load), runs.rollback(load)]
    time.sleep(5)
    result.busy = load.stop()
    return result


def deploy(args: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        sys.exit("bench: lab hosts need root")
    windlass, program = tools.windlass(), client()
    rounds = args.rounds or (3 if args.quick else 20)
    busy = Busy()
    sites = {
        "1 host": (["deploy-one"], "deploy-one"),
        "3 hosts behind a balancer": (["deploy-web1", "deploy-web2", "deploy-web3"], "deploy-front"),
    }
    results = []
    with tempfile.TemporaryDirectory(prefix="windlass-bench-") as folder:
        for number, (name, (web, front)) in enumerate(sites.items()):
            if str(len(web)) not in args.hosts:
                continue
            site = Site(windlass, args.lab, web, front, Path(folder) / str(number))
            results.append(measure(name, site, program, rounds, 1 if args.quick else 5, 20 if args.quick else 60))
            write(results, rounds, busy, args.note)
            if not args.keep:
                site.lab(args.lab, "down", *{*web, front})
    return int(any(r.busy["all"]["failed"] + r.calm["all"]["failed"] for r in results))


class Busy(threading.Thread):
    """How busy the machine was, from its first moment to its last."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[float] = []
        self.start()

    def run(self) -> None:
        while True:
            self.seen.append(os.getloadavg()[0])
            time.sleep(5)

    def told(self) -> str:
        return f"{min(self.seen):.0f} to {max(self.seen):.0f} while it ran"


def write(results: list[Result], rounds: int, busy: Busy, note: str) -> None:
    text = f"{date.today()}; {machine()}, {busy.told()}. {note}\n\n".replace(". \n", ".\n")
    text += failures(results) + "\n" + latencies(results) + "\n" + times(results)
    print(text)
    head = FIGURES.read_text().partition(MARK)[0]
    FIGURES.write_text(head + MARK + "\n" + text)


def failures(results: list[Result]) -> str:
    head = ["under load, 200 requests a second", "deploys and rollbacks", "requests", "failed", "what failed"]
    rows = []
    for r in results:
        what = ", ".join(f"{k}: {n}" for k, n in r.busy["all"]["outcomes"].items() if k != "ok") or "–"
        count = len(r.under_load)
        rows.append([r.name, f"{count // 2} + {count // 2}", str(r.busy["all"]["requests"]), str(r.busy["all"]["failed"]), what])
    return table(head, rows)


def latencies(results: list[Result]) -> str:
    head = ["latency in ms, 100 requests a second", "median", "99 %", "99.9 %", "worst", "requests", "failed"]
    rows = []
    for r in results:
        for name, f in (("at rest", r.rest["all"]), ("inside the switch windows", r.calm["within"]), ("outside of them", r.calm["outside"])):
            figures = [f"{f[k]:.0f}" for k in ("p50_ms", "p99_ms", "p99_9_ms", "max_ms")]
            rows.append([f"{r.name}: {name}", *figures, str(f["requests"]), str(f["failed"])])
    return table(head, rows)


def times(results: list[Result]) -> str:
    head = ["seconds", "to the switch", "as a whole"]
    rows = []
    for r in results:
        middle = lambda took, what: sorted((t for t in took if t.what.startswith(what)), key=lambda t: t.switch)  # noqa: E731
        rows.append([f"{r.name}: first deploy", f"{r.first.switch:.1f}", f"{r.first.whole:.1f}"])
        share = 100 * r.second.whole / r.first.whole
        rows.append([f"{r.name}: second deploy, same requirements ({share:.0f} % of the first)", f"{r.second.switch:.1f}", f"{r.second.whole:.1f}"])
        for where, took in (("without load", r.quiet), ("under load", r.under_load)):
            for what in ("deploy", "rollback"):
                sorted_ = middle(took, what)
                if sorted_:
                    t = sorted_[len(sorted_) // 2]
                    best, worst = sorted_[0].switch, sorted_[-1].switch
                    rows.append([f"{r.name}: {what} {where}, median of {len(sorted_)}", f"{t.switch:.1f} ({best:.1f} to {worst:.1f})", f"{t.whole:.1f}"])
    return table(head, rows)
