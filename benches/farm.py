"""The hosts of the benchmarks: one sshd of our own on loopback addresses, as root, and a proxy that adds a delay."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".bench"
PORT = 2222
# What hosts keep lies below this, by host, so that ten hosts on one machine do not meet.
STATE = Path("/var/tmp/windlass-bench/h")

SSHD = """\
{listen}
HostKey {run}/host_key
AuthorizedKeysFile {run}/login.pub
PidFile {run}/sshd.pid
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
LogLevel ERROR
# Ten tools' connections at once; a real host has an sshd of its own.
MaxStartups 200
MaxSessions 100
Subsystem sftp internal-sftp
# A login without anyone's profile: what a heavy one costs is no tool's doing.
SetEnv HOME={run}/home PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
"""

CLIENT = """\
Host *
    User root
    IdentityFile {run}/login
    IdentitiesOnly yes
    UserKnownHostsFile {run}/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    ControlPath none
"""


class Farm:
    """Hosts `h01`, `h02`… on 127.77.0.1, 127.77.0.2…; the same again behind a delay, at another port."""

    def __init__(self, hosts: int, delays: list[int]):
        self.run = CACHE / "run"
        self.names = [f"h{i:02}" for i in range(1, hosts + 1)]
        self.delays = delays
        self.config = self.run / "ssh_config"
        self.processes: list[subprocess.Popen] = []

    def address(self, name: str) -> str:
        return f"127.77.0.{int(name[1:])}"

    def port(self, delay: int) -> int:
        return PORT + (0 if delay == 0 else 1 + self.delays.index(delay))

    def __enter__(self) -> "Farm":
        if os.geteuid() != 0:
            sys.exit("bench: the hosts' files belong to root: run it as root, on a machine that may be written to")
        sshd = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
        if not sshd:
            sys.exit("bench: there is no sshd: apt-get install openssh-server")
        (self.run / "home").mkdir(parents=True, exist_ok=True)
        (self.run / "ansible.cfg").touch()
        for key in ("host_key", "login"):
            if not (self.run / key).exists():
                keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(self.run / key)]
                subprocess.run(keygen, check=True)
        ports = [PORT] + [self.port(d) for d in self.delays if d]
        host_key = " ".join((self.run / "host_key.pub").read_text().split()[:2])
        known = [f"[{self.address(n)}]:{port} {host_key}\n" for n in self.names for port in ports]
        (self.run / "known_hosts").write_text("".join(known))
        listen = "\n".join(f"ListenAddress {self.address(n)}:{PORT}" for n in self.names)
        (self.run / "sshd_config").write_text(SSHD.format(listen=listen, run=self.run))
        self.config.write_text(CLIENT.format(run=self.run))
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.start([sshd, "-D", "-f", str(self.run / "sshd_config")])
        for delay in filter(None, self.delays):
            self.trips_file(delay).write_text("")
            pairs = [f"{self.address(n)}:{self.port(delay)}={self.address(n)}:{PORT}" for n in self.names]
            self.start([sys.executable, str(ROOT / "benches/delay.py"), str(self.trips_file(delay)), str(delay), *pairs])
        self.wait()
        return self

    def start(self, command: list[str]) -> None:
        # A group of its own: Ctrl-C is for the tool that runs.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.run / "home"), "LANG": "C.UTF-8"}
        self.processes.append(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, process_group=0, env=environment)
        )

    def wait(self) -> None:
        for _ in range(100):
            if all(self.ssh(self.names[-1], d, "true").returncode == 0 for d in [0, *filter(None, self.delays)]):
                return
            if any(p.poll() is not None for p in self.processes):
                break
            time.sleep(0.1)
        sys.exit(f"bench: the sshd at {self.address(self.names[-1])}:{PORT} can't be reached; is the port taken?")

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait()

    def ssh_command(self, name: str, delay: int, *options: str) -> list[str]:
        return ["ssh", "-F", str(self.config), *options, "-p", str(self.port(delay)), self.address(name)]

    def ssh(self, name: str, delay: int, command: str) -> subprocess.CompletedProcess:
        return subprocess.run([*self.ssh_command(name, delay), command], capture_output=True, check=False)

    def inventory(self, delay: int, count: int, python: bool = False) -> Path:
        """An INI inventory, which Ansible and Windlass read; `python`: what pyinfra reads."""
        names = self.names[:count]
        if python:
            data = {"ssh_user": "root", "ssh_key": str(self.run / "login"), "ssh_port": self.port(delay)}
            data["ssh_known_hosts_file"] = str(self.run / "known_hosts")
            data["ssh_strict_host_key_checking"] = "yes"
            path = self.run / f"inventory_{delay}_{count}.py"
            path.write_text("hosts = " + repr([(n, {**data, "ssh_hostname": self.address(n)}) for n in names]) + "\n")
            return path
        lines = [f"{n} ansible_host={self.address(n)} ansible_port={self.port(delay)}\n" for n in names]
        variables = f"""
[all:vars]
ansible_user=root
ansible_python_interpreter=/usr/bin/python3
ansible_ssh_common_args=-F {self.config}
"""
        path = self.run / f"inventory_{delay}_{count}.ini"
        path.write_text("".join(lines) + variables)
        return path

    def trips_file(self, delay: int) -> Path:
        return self.run / f"trips_{delay}"

    def trips(self, delay: int) -> tuple[int, int]:
        """Round trips of whole conversations and bytes since the last call, of all connections that ended."""
        if not delay:
            return 0, 0
        # The last connection's end is written when both its directions have ended.
        time.sleep(delay / 1000 * 2 + 0.05)
        rows = [list(map(int, line.split())) for line in self.trips_file(delay).read_text().splitlines()]
        self.trips_file(delay).write_text("")
        return sum(r[0] for r in rows), sum(r[1] + r[2] for r in rows)


def clean(names: list[str]) -> None:
    """Everything is to be changed again."""
    for name in names:
        shutil.rmtree(STATE / name, ignore_errors=True)
