"""W1: sixty steps of directories, templates, lines, links and checks; by each tool, and by hand over plain ssh."""

import hashlib
import json
import os
import subprocess
from pathlib import Path

import tools
from farm import CACHE, ROOT, STATE, Farm, clean
from tools import Cost

HERE = ROOT / "benches/w1"
CURVE = ("-o", "KexAlgorithms=curve25519-sha256")
BY_HAND = ["ssh", "ssh curve25519"]


def contents() -> list[str]:
    python = CACHE / "ansible/bin/python"
    return json.loads(subprocess.check_output([str(python), str(HERE / "render.py")]))


def check_script(base: str, files: list[str]) -> str:
    """Looks at everything that W1 looks at, with as few processes as a person would take."""
    folders = " ".join(f"{base}/d{i:02}" for i in range(20))
    configs = " ".join(f"{base}/d{i:02}/t{i:02}.conf" for i in range(20))
    return f"""\
export LC_ALL=C
stat -c '%n %a %U %G %F' {folders} {configs} {base}/sysctl.conf
sha256sum {configs}
for i in 0 1 2 3 4 5 6 7 8 9; do
    grep -qx "net.core.key$i = 100$i" {base}/sysctl.conf || echo "line $i is missing"
done
readlink {" ".join(f"{base}/l{i}.conf" for i in range(5))}
stat {base}/d00/t00.conf
stat {base}/d01/t01.conf
stat {base}/d02/t02.conf
cat /proc/sys/kernel/hostname
[ "$(grep -c net.core {base}/sysctl.conf)" = 10 ]
"""


FIX = r"""set -e
export LC_ALL=C
own() { # PATH MODE OWNER GROUP
    [ "$(stat -c '%a %U %G' "$1")" = "$2 $3 $4" ] || { chown "$3:$4" "$1"; chmod "$2" "$1"; }
}
folder() { [ -d "$1" ] || mkdir -p "$1"; own "$@"; }
file() { # PATH DIGEST, its content on standard input
    if [ "$(sha256sum 2>/dev/null <"$1")" = "$2  -" ]; then cat >/dev/null
    else cat >"$1.new"; mv "$1.new" "$1"; fi
    own "$1" 644 root root
}
line() { # PATH PATTERN LINE
    [ -e "$1" ] || { : >"$1"; chmod 644 "$1"; }
    if grep -qxF "$3" "$1"; then :
    elif grep -q "$2" "$1"; then sed -i "s/$2.*/$3/" "$1"
    else printf '%s\n' "$3" >>"$1"; fi
}
link() { [ "$(readlink "$2")" = "$1" ] || ln -sfn "$1" "$2"; }
"""


def fix_script(base: str, files: list[str]) -> str:
    """Looks, and mends what is not as it should be, step by step."""
    text = FIX
    for i in range(20):
        text += f"folder {base}/d{i:02} 750 root {'adm' if i % 2 else 'root'}\n"
    for i, content in enumerate(files):
        digest = hashlib.sha256(content.encode()).hexdigest()
        text += f"file {base}/d{i:02}/t{i:02}.conf {digest} <<'END'\n{content}END\n"
    for i in range(10):
        text += f"line {base}/sysctl.conf '^net\\.core\\.key{i} *=' 'net.core.key{i} = {1000 + i}'\n"
    for i in range(5):
        text += f"link {base}/d{i:02}/t{i:02}.conf {base}/l{i}.conf\n"
    for i in range(3):
        text += f"stat {base}/d{i:02}/t{i:02}.conf\n"
    return text + f'cat /proc/sys/kernel/hostname\n[ "$(grep -c net.core {base}/sysctl.conf)" = 10 ]\n'


def state(name: str) -> str:
    """A digest of all that W1 makes on a host: what tools are held to."""
    digest = hashlib.sha256()
    base = STATE / name / "w1"
    for folder, folders, files in os.walk(base):
        folders.sort()
        for entry in sorted([*folders, *files]):
            path = Path(folder) / entry
            seen = path.lstat()
            what = [str(path.relative_to(base)), seen.st_uid, seen.st_gid]
            if path.is_symlink():
                what.append(os.readlink(path).replace(name, "HOST"))
            else:
                what += [seen.st_mode, path.read_bytes() if path.is_file() else b""]
            digest.update(repr(what).encode())
    return digest.hexdigest()


class W1:
    """The calls of W1."""

    def __init__(self, farm: Farm, program: Path):
        self.farm, self.program, self.files = farm, program, contents()
        for name in farm.names:
            base = str(STATE / name / "w1")
            for kind, script in (("check", check_script), ("fix", fix_script)):
                (farm.run / f"{kind}.{name}.sh").write_text(script(base, self.files))
        first = farm.names[0]
        clean([first])
        self.by_hand("fix", 1, 0, ())
        self.wanted = state(first)

    def by_hand(self, kind: str, count: int, delay: int, options: tuple[str, ...]) -> Cost:
        """Each host's script over an ssh of its own, all together."""
        farm = self.farm
        lines = [
            " ".join(farm.ssh_command(n, delay, *options)) + f" sh <{farm.run}/{kind}.{n}.sh &\n"
            for n in farm.names[:count]
        ]
        if count == 1:
            lines = ["exec " + lines[0].removesuffix(" &\n")]
        return tools.call(["sh", "-c", "".join(lines) + ("" if count == 1 else "wait")], farm, "ssh", delay)

    def command(self, tool: str, count: int, delay: int) -> list[str]:
        farm, playbook = self.farm, str(HERE / "playbook.yml")
        if tool == "pyinfra":
            return ["pyinfra", "-y", str(farm.inventory(delay, count, python=True)), str(HERE / "deploy.py")]
        inventory = str(farm.inventory(delay, count))
        if tool == "windlass":
            return [str(self.program), "apply", "-i", inventory, "--stats", playbook]
        return ["ansible-playbook", "-i", inventory, playbook]

    def run(self, tool: str, changing: bool, count: int, delay: int) -> Cost:
        """One call, with what it left looked at."""
        names = self.farm.names[:count]
        if changing:
            clean(names)
        if tool in BY_HAND:
            kind = "fix" if changing else "check"
            cost = self.by_hand(kind, count, delay, CURVE if tool != "ssh" else ())
        else:
            (self.farm.run / "cp").mkdir(exist_ok=True)
            cost = tools.call(self.command(tool, count, delay), self.farm, tool, delay)
        wrong = [n for n in names if state(n) != self.wanted]
        if wrong:
            raise SystemExit(f"bench: {tool} left {', '.join(wrong)} in another state than the script\n{cost.said[-3000:]}")
        return cost

    def prepare(self, count: int) -> None:
        """Nothing is to be changed."""
        self.by_hand("fix", count, 0, ())
