"""Where the time of a deploy goes: `scripts/bench steps`. One lab host, nothing else on the site, no load.

Beside seconds by the clock, which follow whatever else the machine does, it counts processor time: what the host used, by
the `cpu.stat` of its cgroup, and what the program used.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from deployable import APP, PLAYBOOK, Site
from table import load, table


@dataclass
class Run:
    what: str
    switch: float
    whole: float
    host: float
    program: float
    steps: dict[str, float] = field(default_factory=dict)


def used(site: Site) -> float:
    """Seconds of processor time of the host so far."""
    return int(site.web[0].sh("sed -n 's/^usage_usec //p' /sys/fs/cgroup/cpu.stat")) / 1e6


def own() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(site: Site, what: str, words: list[str], asking: float) -> Run:
    before, mine, began = used(site), own(), time.time()
    command = site.command(*words, "--json")
    done = subprocess.run(command, cwd=site.folder, env=site.environment(), capture_output=True, text=True, check=False)
    whole, mine = time.time() - began, own() - mine
    host = used(site) - before - asking
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(words)} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-2000:]}")
    result = Run(what, site.switched() - began, whole, host, mine)
    for line in done.stdout.splitlines():
        event = json.loads(line)
        task = event.get("task", "")
        name = task.get("name", "") if isinstance(task, dict) else task
        if event["event"] == "result" and name.startswith(f"{APP} : ") and event.get("took"):
            result.steps[name[len(APP) + 3 :]] = event["took"]
    print(f"{what}: {result.switch:.1f} s to the switch, {whole:.1f} s; host {host:.1f} s, program {mine:.1f} s", file=sys.stderr)
    return result


def cells(runs: list[Run]) -> list[str]:
    return [f"{statistics.median(getattr(r, n) for r in runs):.1f}" for n in ("switch", "whole", "host", "program")]


def steps(args: argparse.Namespace) -> int:
    program = Path(os.environ.get("WINDLASS") or sys.exit("bench: WINDLASS names the program to measure"))
    site = Site(program, args.lab, ["steps-one"], "steps-one", Path("/var/tmp/windlass-bench/steps"))
    rows: list[list[str]] = []
    told: list[list[str]] = []
    for watched in (3, 0):
        (site.folder / "deploy.yml").write_text(f"{PLAYBOOK}    healthy_for: {watched}\n")
        site.set_up()
        before = used(site)
        asking = used(site) - before
        site.write("0")
        first = run(site, "first deploy", ["deploy", "deploy.yml"], asking)
        later, back = [], []
        for number in range(1, args.rounds + 1):
            site.write(str(number))
            later.append(run(site, f"deploy {number}", ["deploy", "deploy.yml"], asking))
            back.append(run(site, f"rollback {number}", ["rollback"], asking))
        share = statistics.median(r.whole for r in later) / first.whole
        spent = statistics.median(r.host + r.program for r in later) / (first.host + first.program)
        watching = f"`healthy_for: {watched}`"
        rows += [
            [f"{watching}: first deploy", *cells([first]), ""],
            [f"{watching}: deploy, same requirements", *cells(later), f"{share:.0%} of the time, {spent:.0%} of the processor's"],
            [f"{watching}: rollback", *cells(back), ""],
        ]  # fmt: skip
        told += [[f"{watching}: {name}", f"{took:.2f}"] for name, took in later[-1].steps.items()]
    print(f"{load()}\n")
    print(table(["seconds", "to the switch", "as a whole", "processor: host", "processor: program", ""], rows))
    print(table(["step of the last deploy", "seconds"], told))
    site.lab(args.lab, "down", "steps-one")
    return 0
