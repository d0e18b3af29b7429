"""`scripts/bench files`: one large file to four hosts, and a tree of 2,000 small ones, beside `cat` and `tar` over ssh."""

import argparse
import random
import re
import sys
from collections import defaultdict
from pathlib import Path

import tools
from farm import STATE, Farm, clean
from table import load, median, seconds, table, verdict
from tools import Cost

HOSTS = 4
LARGE = 50 << 20
SMALL = 2000


def sources(folder: Path) -> tuple[Path, Path]:
    """The same bytes every time."""
    large, tree = folder / "large.bin", folder / "tree"
    draw = random.Random(1)
    if not large.exists() or large.stat().st_size != LARGE:
        large.write_bytes(draw.randbytes(LARGE))
    if not tree.exists():
        for number in range(SMALL):
            path = tree / f"d{number % 40:02}" / f"f{number:04}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(f"line {draw.randrange(10**9)}\n" for _ in range(30)))
    return large, tree


PLAYBOOK = """\
- hosts: all
  gather_facts: false
  tasks:
    - name: Send
      ansible.builtin.copy:
        src: {src}
        dest: /var/tmp/windlass-bench/h/{{{{ inventory_hostname }}}}/{dest}
        mode: "{mode}"
"""


def same(path: Path, other: Path) -> bool:
    if path.is_file():
        return other.is_file() and path.read_bytes() == other.read_bytes()
    return all(same(entry, other / entry.name) for entry in path.iterdir())


def files(args: argparse.Namespace) -> int:
    program = tools.windlass()
    costs: dict = defaultdict(lambda: defaultdict(list))
    with Farm(HOSTS, [0]) as farm:
        large, tree = sources(farm.run)
        work = {"large": (large, "large.bin", HOSTS), "tree": (tree, "tree", 1)}
        for what, (source, dest, _) in work.items():
            src = f"{source}/" if source.is_dir() else str(source)
            (farm.run / f"{what}.yml").write_text(PLAYBOOK.format(src=src, dest=dest, mode="0644" if what == "large" else "preserve"))
        for number in range(args.rounds):
            for what, (source, dest, hosts) in work.items():
                names = farm.names[:hosts]
                for tool in ["ssh", "windlass"] if number % 2 == 0 else ["windlass", "ssh"]:
                    clean(names)
                    for name in names:
                        (STATE / name).mkdir(parents=True)
                    for again in (False, True):
                        cost = send(farm, program, tool, what, source, dest, names, again)
                        wrong = [n for n in names if not same(source, STATE / n / dest)]
                        if wrong:
                            raise SystemExit(f"bench: {tool} left other bytes on {', '.join(wrong)}\n{cost.said[-2000:]}")
                        row = f"{'50 MB file to 4 hosts' if what == 'large' else '2,000 small files to 1 host'}, {'again' if again else 'first'}"
                        costs[row][tool].append(cost)
                        print(f"{number + 1}/{args.rounds}  {row}: {tool} {cost.wall:.2f} s", file=sys.stderr)
        clean(farm.names)
    report(costs)
    return 0


def send(farm: Farm, program: Path, tool: str, what: str, source: Path, dest: str, names: list[str], again: bool) -> Cost:
    if tool == "windlass":
        inventory = str(farm.inventory(0, len(names)))
        command = [str(program), "apply", "-i", inventory, "--stats", str(farm.run / f"{what}.yml")]
        return tools.call(command, farm, tool, 0)
    lines = []
    for name in names:
        ssh = " ".join(farm.ssh_command(name, 0))
        target = STATE / name / dest
        if what == "large":
            remote = f"sha256sum {target}" if again else f"cat >{target} && sha256sum {target}"
            lines.append(f"{ssh} '{remote}' <{'/dev/null' if again else source} &\n")
        else:
            digests = f"find {target} -type f -exec sha256sum {{}} +"
            remote = digests if again else f"mkdir {target} && tar -xf - -C {target} && {digests}"
            feed = "" if again else f"tar -cf - -C {source} . | "
            lines.append(f"{feed}{ssh} '{remote}' {'</dev/null' if again else ''} &\n")
    return tools.call(["sh", "-c", "".join(lines) + "wait"], farm, "ssh", 0)


def trips(cost: Cost) -> int:
    """As `--stats` tells them."""
    found = re.search(r"(\d+) round trips? a host", cost.said)
    return int(found.group(1)) if found else 0


def report(costs: dict) -> None:
    body = []
    for row, by_tool in costs.items():
        wall = {t: median(c, "wall") for t, c in by_tool.items()}
        memory = median(by_tool["windlass"], "memory_kib") / 1024
        cpu = median(by_tool["windlass"], "cpu") / max(median(by_tool["ssh"], "cpu"), 0.01)
        body.append([
            row, seconds(wall["ssh"]), seconds(wall["windlass"]), verdict(wall["windlass"] / wall["ssh"], 1.1),
            f"{cpu:.2f}", f"{memory:.0f}", str(max(trips(c) for c in by_tool["windlass"])),
        ])
    print(f"{load()}\n")
    print(table(["wall seconds", "by hand over ssh", "windlass", "ratio", "processor time to ssh", "memory, MiB", "round trips a host"], body))
