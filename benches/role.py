"""`scripts/bench role`: one realistic role, against Ansible, and against its own cost model."""

import argparse
import hashlib
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import tools
from farm import ROOT, STATE, Farm, clean
from table import load, median, seconds, table, verdict
from tools import Cost

HERE = ROOT / "benches/role"
TOOLS = ["ansible", "mitogen", "windlass"]


def state(name: str) -> str:
    """All that the role makes, but for the key itself, which is random."""
    lines = []
    base = STATE / name / "role"
    for folder, _, files in os.walk(base):
        for entry in sorted(files):
            path = Path(folder) / entry
            seen = path.lstat()
            content = path.read_bytes() if path.is_file() and entry != "key.pem" else b""
            # Ansible marks what it manages.
            lines.append(repr((str(path.relative_to(base)), seen.st_uid, seen.st_mode, content)))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def role(args: argparse.Namespace) -> int:
    tools.install(["ansible", "mitogen"])
    program = tools.windlass()
    rows = [(changing, delay) for delay in args.delays for changing in (True, False)]
    costs: dict = {row: defaultdict(list) for row in rows}
    facts = {}
    with Farm(1, args.delays) as farm:
        name = farm.names[0]
        for number in range(args.rounds):
            for row in rows:
                changing, delay = row
                wanted = None
                for tool in TOOLS if number % 2 == 0 else reversed(TOOLS):
                    if tool != "windlass" and number > 0 and args.quick:
                        continue
                    if changing:
                        clean([name])
                        subprocess.run(["userdel", "wlbench"], capture_output=True, check=False)
                        subprocess.run(["groupdel", "wlbench"], capture_output=True, check=False)
                    (farm.run / "cp").mkdir(exist_ok=True)
                    inventory = str(farm.inventory(delay, 1))
                    playbook = str(HERE / "playbook.yml")
                    command = ["ansible-playbook", "-i", inventory, playbook]
                    if tool == "windlass":
                        command = [str(program), "apply", "-i", inventory, "--stats", playbook]
                    cost = tools.call(command, farm, tool, delay)
                    if tool == "windlass":
                        facts[row] = counted(cost)
                    # `ansible_managed` and times differ; what is compared is the rest.
                    found = state(name)
                    if wanted not in (None, found):
                        print(f"note: {tool} left another state than the tool before it", file=sys.stderr)
                    wanted = found
                    costs[row][tool].append(cost)
                    print(f"{number + 1}/{args.rounds}  {title(row)}: {tool} {cost.wall:.2f} s", file=sys.stderr)
        subprocess.run(["userdel", "wlbench"], capture_output=True, check=False)
        clean([name])
    print(f"{load()}; {tools.versions(['ansible', 'mitogen'])}\n")
    body = []
    for row in rows:
        wall = {t: median(c, "wall") for t, c in costs[row].items()}
        trips, chain, syncs = facts[row]
        body.append([
            title(row), *[seconds(wall[t]) for t in TOOLS], verdict(wall["ansible"] / wall["windlass"], 50, True),
            verdict(wall["mitogen"] / wall["windlass"], 15 if row[1] else 10, True),
            f"{trips} (≤ 4 + {chain} + {syncs}{'' if trips <= 4 + chain + syncs else ', **missed**'})",
        ])
    print(table(["wall seconds", *TOOLS, "Ansible to Windlass", "Mitogen to it", "round trips (≤ 4 + D + syncs)"], body))
    return 0


def title(row: tuple[bool, int]) -> str:
    return f"{'everything' if row[0] else 'nothing'} to change, 1 host, {row[1]} ms"


def counted(cost: Cost) -> tuple[int, int, int]:
    found = re.search(r"(\d+) round trips? a host.*?D = (\d+),\s+(\d+) sync", cost.said, re.DOTALL)
    return tuple(map(int, found.groups())) if found else (0, 0, 0)
