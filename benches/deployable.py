"""The site that deploys are measured on: that of the tests (`tests/deploy/site.yml`), on lab hosts."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from farm import ROOT

APP = "deployable"
DOMAIN = "deployable.test"
FIXTURE = ROOT / "tests/fixtures/deployable"

INVENTORY = """\
all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: {key}
    ansible_ssh_common_args: -F /dev/null -o IdentitiesOnly=yes -o UserKnownHostsFile={known_hosts}
    certbot_mode: selfsigned
    certbot_domains: [{domain}]
    nginx_worker_connections: 4096
  children:
    balancer:
      hosts: {{{balancer}}}
    db:
      hosts: {{{db}}}
      vars:
        postgres_database: {app}
        postgres_password: a-password-for-tests
        postgres_clients: [{clients}]
    web:
      hosts: {{{web}}}
      vars:
        django_app_name: {app}
        django_app_domains: [{domain}]
        django_app_first_release: false
        django_app_secret_key: a-key-for-tests-which-nobody-else-has-0123456789-abcdef
        django_app_database:
          {{name: {app}, user: {app}, password: a-password-for-tests, host: {db_address}, port: 5432, sslmode: require}}
        django_app_workers: 2
        django_app_worker_class: gthread
        django_app_threads: 8
        django_app_graceful_timeout: 30
"""

PLAYBOOK = """\
- name: Deployable
  hosts: web
  become: true
  deploy:
    source: app
"""

# Nothing of the application is left, no virtual environment either: what follows is a first deploy.
WIPE = """
units=$(systemctl list-units --plain --no-legend --all 'deployable@*' | sed 's/ .*//')
[ -z "$units" ] || { systemctl kill --signal=KILL $units; systemctl stop $units; systemctl reset-failed $units; } 2>/dev/null
rm -rf /srv/deployable /run/deployable/* /var/lib/windlass
"""
WIPE_DATABASE = """
echo 'DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;' |
    su postgres -c 'psql -qXd deployable' 2>/dev/null
true
"""


@dataclass
class Host:
    name: str
    address: str
    key: str
    known_hosts: str

    def sh(self, script: str) -> str:
        options = ["-F", "/dev/null", "-i", self.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        command = ["ssh", *options, "-o", f"UserKnownHostsFile={self.known_hosts}", f"root@{self.address}", script]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


class Site:
    """One host with everything (`web` has one name), or web hosts and a further one with balancer and database."""

    def __init__(self, program: Path, lab: str, web: list[str], front: str, folder: Path):
        self.program, self.folder = program, folder
        names = [*web, *([] if front in web else [front])]
        self.lab(lab, "up", *names)
        found = {h["name"]: h for h in json.loads(self.lab(lab, "list", "--json"))["hosts"]}
        hosts = {n: Host(n, *(found[n][key] for key in ("address", "key", "known_hosts"))) for n in names}
        self.web, self.front = [hosts[name] for name in web], hosts[front]
        folder.mkdir(parents=True, exist_ok=True)
        member = "{0.name}: {{ansible_host: {0.address}}}".format
        text = INVENTORY.format(
            app=APP, domain=DOMAIN, key=self.front.key, known_hosts=self.front.known_hosts, db=member(self.front),
            balancer="" if front in web else member(self.front), web=", ".join(map(member, self.web)),
            clients=", ".join(f'"{h.address}/32"' for h in self.web), db_address=self.front.address,
        )  # fmt: skip
        (folder / "hosts.yml").write_text(text)
        (folder / "deploy.yml").write_text(PLAYBOOK)

    def lab(self, lab: str, *words: str) -> str:
        done = subprocess.run([self.program, "lab", "--lab", lab, *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: windlass lab {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def command(self, *words: str) -> list[str]:
        return [str(self.program), *words, "-i", "hosts.yml", "--color", "never"]

    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WINDLASS_", "ANSIBLE_"))}
        kept.pop("SSH_AUTH_SOCK", None)
        return {**kept, "WINDLASS_ROLES_PATH": str(ROOT / "roles")}

    def set_up(self) -> None:
        """Everything but the application; what an earlier run left of that is gone."""
        for host in self.web:
            host.sh(WIPE)
        self.front.sh(WIPE_DATABASE)
        words = self.command("apply", str(ROOT / "tests/deploy/site.yml"))
        done = subprocess.run(words, cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"bench: the site can't be set up:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

    def write(self, version: str) -> None:
        """The application, in this version."""
        app = self.folder / "app"
        shutil.rmtree(app, ignore_errors=True)
        shutil.copytree(FIXTURE, app)
        for path in ("config/version.py", "pages/late.py"):
            (app / path).write_text(f'CODE = "{version}"\n')
        css = f'/* {version} */\nbody {{ background: white url("mark.svg") no-repeat; }}\n'
        (app / "pages/static/pages/site.css").write_text(css)

    def switched(self) -> float:
        """When the last of the web hosts has switched, in seconds since 1970: the time of its record."""
        return max(float(host.sh("stat -c %.Y /srv/deployable/serving") or 0) for host in self.web)
