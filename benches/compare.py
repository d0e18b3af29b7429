"""`scripts/bench w1`: the tools, interleaved, and what came of it as tables."""

import argparse
import json
import re
import sys
from collections import defaultdict
from datetime import date

import tools
from farm import CACHE, Farm
from table import load, median, seconds, table, verdict
from tools import Cost
from w1 import BY_HAND, W1

Row = tuple[bool, int, int]  # changing, hosts, delay in milliseconds
Results = dict[Row, dict[str, list[Cost]]]


def title(row: Row) -> str:
    changing, hosts, delay = row
    what = "everything to change" if changing else "nothing to change"
    return f"{what}, {hosts} host{'s' * (hosts > 1)}, {delay} ms"


def w1(args: argparse.Namespace) -> int:
    peers = [p for p in args.peers.split(",") if p]
    tools.install(["ansible", *[p for p in peers if p != "ansible"]])
    program = tools.windlass()
    rounds = args.rounds or (3 if args.quick else 5)
    of_peers = 1 if args.quick else min(rounds, 3)
    rows: list[Row] = [(c, h, d) for h in args.hosts for d in args.delays for c in (False, True)]
    results: Results = {row: defaultdict(list) for row in rows}
    with Farm(max(args.hosts), args.delays) as farm:
        bench = W1(farm, program)
        for number in range(rounds):
            for row in rows:
                changing, hosts, delay = row
                slow = peers if number < of_peers and (hosts == 1 or not args.quick) else []
                if not changing:
                    bench.prepare(hosts)
                # Fast ones first in even rounds, last in odd ones: what warms up or slows down favours nobody.
                turn = [*BY_HAND, "windlass", *slow]
                for tool in turn if number % 2 == 0 else reversed(turn):
                    cost = bench.run(tool, changing, hosts, delay)
                    results[row][tool].append(cost)
                    print(f"{number + 1}/{rounds}  {title(row)}: {tool} {cost.wall:.2f} s", file=sys.stderr)
    report(results, peers, rounds, of_peers)
    return 0


def counted(cost: Cost) -> int:
    """Round trips after the handshake as Windlass counts them (`--stats`), of the host that had most."""
    found = re.search(r"(\d+) round trips? a host", cost.said)
    return int(found.group(1)) if found else 0


def report(results: Results, peers: list[str], rounds: int, of_peers: int) -> None:
    everyone = [*peers, *BY_HAND, "windlass"]
    print(f"{date.today()}; {load()}; {tools.versions([*peers] or ['ansible'])}")
    print(f"Medians of {rounds} rounds ({of_peers} of the peers).\n")
    have = {row: {t: c for t, c in by_tool.items() if c} for row, by_tool in results.items()}

    def cells(what: str, show) -> list[list[str]]:
        return [
            [title(row), *[show(median(have[row][t], what)) if t in have[row] else "–" for t in everyone]]
            for row in have
        ]

    print(table(["wall seconds", *everyone], cells("wall", seconds)))
    print(table(["processor seconds here", *everyone], cells("cpu", seconds)))
    print(table(["memory here, MiB", *everyone], cells("memory_kib", lambda k: f"{k / 1024:.0f}")))
    wire = [
        [title(row), *[f"{median(have[row][t], 'trips') / row[1]:.0f}" if t in have[row] else "–" for t in everyone]]
        for row in have
        if row[2]
    ]
    if wire:
        print(table(["round trips a host on the wire, login included", *everyone], wire))
    print(goals(have, peers))
    keep(results)


def goals(have: dict, peers: list[str]) -> str:
    """Each row against what it should be."""
    rows = []
    for row, by_tool in have.items():
        changing, hosts, _delay = row
        wall = {t: median(c, "wall") for t, c in by_tool.items()}
        ours = wall["windlass"]
        limit = (1.5 if changing else 1.3) if hosts == 1 else 1.5
        curve, default = ours / wall["ssh curve25519"], ours / wall["ssh"]
        cells = [title(row)]
        if changing or hosts > 1:
            cells += [f"{curve:.2f}", verdict(default, limit)]
        else:
            cells += [verdict(curve, limit), verdict(default, 1)]
        cells.append(verdict(wall["ansible"] / ours, 50, True) if "ansible" in wall else "–")
        fastest = min((wall[p] for p in peers if p in wall), default=None)
        cells.append(verdict(fastest / ours, 15 if row[2] else 10, True) if fastest else "–")
        cells.append(verdict(counted(by_tool["windlass"][-1]), 7 if changing else 4))
        if hosts > 1:
            cpu = median(by_tool["windlass"], "cpu") / median(by_tool["ssh"], "cpu")
            cells += [verdict(cpu, 1), verdict(median(by_tool["windlass"], "memory_kib") / 1024, 30)]
        else:
            cells += ["", ""]
        rows.append(cells)
    head = ["Windlass as a ratio", "to ssh curve25519", "to ssh", "Ansible to it", "fastest peer to it"]
    head += ["round trips a host", "processor time to ssh", "memory, MiB"]
    return table(head, rows)


def keep(results: Results) -> None:
    """Every single figure."""
    path = CACHE / "w1.json"
    data = {
        title(row): {t: [{k: v for k, v in vars(c).items() if k != "said"} for c in costs] for t, costs in by.items()}
        for row, by in results.items()
    }
    path.write_text(json.dumps(data, indent=1))
    print(f"Every single figure is in {path}.")
