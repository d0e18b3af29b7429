"""The tools that are measured: how each is installed and called, and what a call costs."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from farm import CACHE, ROOT, Farm

PACKAGES = {"ansible": ["ansible-core"], "mitogen": ["ansible-core", "mitogen"], "pyinfra": ["pyinfra"]}


@dataclass
class Cost:
    """What one call took: seconds, seconds of processor time of everything it started here, KiB, trips."""

    wall: float
    cpu: float
    memory_kib: int
    trips: int = 0
    bytes: int = 0
    said: str = field(default="", repr=False)


def install(names: list[str]) -> None:
    """A virtual environment a tool, in the cache."""
    for name in names:
        home = CACHE / name
        if (home / "ready").exists():
            continue
        print(f"installing {' and '.join(PACKAGES[name])} from PyPI", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin/pip"), "-q", "install", *PACKAGES[name]], check=True)
        (home / "ready").touch()


def versions(names: list[str]) -> str:
    found = []
    for name in names:
        pip = [str(CACHE / name / "bin/pip"), "list", "--format", "json"]
        listed = {p["name"].lower(): p["version"] for p in json.loads(subprocess.check_output(pip))}
        found += [f"{p} {listed[p]}" for p in PACKAGES[name] if f"{p} {listed[p]}" not in found]
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.split(",")[0]
    return ", ".join([*found, ssh])


def windlass() -> Path:
    """The program, built for release; `WINDLASS` names another."""
    if os.environ.get("WINDLASS"):
        return Path(os.environ["WINDLASS"]).resolve()
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=ROOT)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/windlass"


def environment(tool: str, farm: Farm) -> dict[str, str]:
    """No tool sees the user's settings."""
    venv = CACHE / ("ansible" if tool == "windlass" else tool) / "bin"
    env = {
        "PATH": f"{venv}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(farm.run / "home"),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }
    if tool in ("ansible", "mitogen"):
        # Its best settings: one connection a host, modules through its standard input, all hosts at once.
        env |= {
            "ANSIBLE_CONFIG": str(farm.run / "ansible.cfg"),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": "10",
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(farm.run / "cp"),
            "ANSIBLE_GATHERING": "explicit",
        }
    if tool == "mitogen":
        package = next((CACHE / "mitogen/lib").glob("python*/site-packages/ansible_mitogen"))
        env |= {"ANSIBLE_STRATEGY_PLUGINS": str(package / "plugins/strategy"), "ANSIBLE_STRATEGY": "mitogen_linear"}
    return env


def call(command: list[str], farm: Farm, tool: str, delay: int, may_fail: bool = False) -> Cost:
    """Runs it and measures."""
    farm.trips(delay)
    # OpenSSH's masters outlive the play: told to go, and counted.
    after = f"for s in {farm.run}/cp/*; do ssh -O exit -S $s x; done" if tool == "ansible" else ":"
    measure = [sys.executable, "-S", str(ROOT / "benches/measure.py"), "--after", after, "--", *command]
    with tempfile.TemporaryFile("w+", errors="replace") as said, tempfile.TemporaryFile("w+") as cost:

        def costs_on_3() -> None:
            os.dup2(cost.fileno(), 3)

        subprocess.run(
            measure,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env=environment(tool, farm),
            cwd=farm.run,
            preexec_fn=costs_on_3,
            close_fds=False,
            check=True,
        )
        said.seek(0)
        cost.seek(0)
        text, counted = said.read(), json.load(cost)
    code = counted.pop("code")
    if code != 0 and not may_fail:
        sys.exit(f"bench: {' '.join(command)}\nended with status {code} and said:\n{text[-4000:]}")
    trips, size = farm.trips(delay)
    return Cost(**counted, trips=trips, bytes=size, said=text)
