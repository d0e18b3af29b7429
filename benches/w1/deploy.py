"""W1 for pyinfra: the same sixty steps as playbook.yml."""

from pathlib import Path

from pyinfra import host
from pyinfra.operations import files, server

HERE = Path(__file__).parent
base = f"/var/tmp/windlass-bench/h/{host.name}/w1"

for i in range(20):
    files.directory(
        name=f"Directory d{i:02}", path=f"{base}/d{i:02}", user="root", group="adm" if i % 2 else "root", mode="750"
    )
for i in range(20):
    files.template(
        name=f"Config t{i:02}",
        src=str(HERE / f"templates/t{i:02}.conf.j2"),
        dest=f"{base}/d{i:02}/t{i:02}.conf",
        user="root",
        group="root",
        mode="644",
        create_remote_dir=False,
        jinja_env_kwargs={"trim_blocks": True},
        app_name="webshop",
        app_port=8100,
        app_peers=["10.0.0.1", "10.0.0.2", "10.0.0.3"],
    )
for i in range(10):
    files.line(
        name=f"Sysctl line {i}",
        path=f"{base}/sysctl.conf",
        line=rf"^net\.core\.key{i}\s*=.*$",
        replace=f"net.core.key{i} = {1000 + i}",
    )
for i in range(5):
    files.link(name=f"Link l{i}", path=f"{base}/l{i}.conf", target=f"{base}/d{i:02}/t{i:02}.conf")
for i in range(3):
    server.shell(name=f"Check stat {i}", commands=[f"stat {base}/d{i:02}/t{i:02}.conf"])
server.shell(name="Check command 0", commands=["cat /proc/sys/kernel/hostname"])
server.shell(name="Check command 1", commands=[f'[ "$(grep -c net.core {base}/sysctl.conf)" = 10 ]'])
