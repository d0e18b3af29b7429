//! The state that every test begins with: how a host is taken there, and what it depends on.

use crate::common::lab::LabHost;
use crate::rig::{APP, SITE, root};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;

/// Puts a web host back to the state of the copy, and leaves nothing running.
pub const BACK: &str = r#"
set -eu
units=$(systemctl list-units --plain --no-legend --all 'deployable@*' 'deployable-*@*' | sed 's/ .*//')
if [ -n "$units" ]; then
    systemctl kill --signal=KILL $units 2>/dev/null || true
    systemctl stop $units
    systemctl reset-failed $units 2>/dev/null || true
fi
while umount -q /srv/deployable/releases; do :; done
find /srv/deployable -mindepth 1 -maxdepth 1 ! -name venvs -exec rm -rf {} +
rm -rf /run/deployable/* /var/lib/windlass /etc/nginx/sites-enabled /root/.cache/windlass
for venv in /srv/deployable/venvs/* /srv/deployable/venvs/.[!.]*; do
    [ ! -e "$venv" ] || grep -qxF "${venv##*/}" /root/rig/venvs || rm -rf "$venv"
done
tar -C / -xpf /root/rig/base.tar
systemctl daemon-reload
"#;

/// Makes the copy.
pub const COPY: &str = r"
set -eu
mkdir -p /root/rig
ls -A /srv/deployable/venvs > /root/rig/venvs
cd /
tar -cf /root/rig/base.tar --exclude=srv/deployable/venvs srv/deployable etc/deployable etc/nginx/sites-enabled \
    $(ls -d etc/systemd/system/deployable* usr/local/sbin/deployable-*)
";

/// Takes away what an earlier, different set-up left, environments aside.
pub const WIPE: &str = r"
systemctl stop 'deployable@*' 2>/dev/null
[ ! -d /srv/deployable ] || find /srv/deployable -mindepth 1 -maxdepth 1 ! -name venvs -exec rm -rf {} +
rm -rf /root/rig /var/lib/windlass
if [ -d /var/lib/postgresql ]; then
    echo 'DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;' |
        su postgres -c 'psql -qXd deployable' 2>/dev/null
fi
true
";

/// Puts the database back.
pub const RESTORE: &str = "
set -eu
{
    echo 'DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION pg_database_owner;'
    grep -v '^CREATE SCHEMA public' /root/rig/base.sql
} | su postgres -c 'psql -qXo /dev/null -v ON_ERROR_STOP=1 deployable'
";

/// What makes a set-up another one than that which a host has.
pub fn digest(inventory: &str) -> String {
    let mut hasher = DefaultHasher::new();
    inventory.hash(&mut hasher);
    COPY.hash(&mut hasher);
    for folder in ["roles", "tests/deploy", "tests/fixtures/deployable"] {
        let mut files: Vec<PathBuf> = ignore::WalkBuilder::new(root().join(folder))
            .hidden(false)
            .build()
            .map(|entry| entry.unwrap().into_path())
            .filter(|path| path.is_file() && path.extension().is_none_or(|end| end != "rs" && end != "md"))
            .collect();
        files.sort();
        for file in files {
            (&file, std::fs::read(&file).unwrap()).hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}

/// The inventory of a site: `db`, `web`, and `balancer`, which may be empty.
pub fn inventory(web: &[LabHost], db: &LabHost, balanced: bool) -> String {
    let member = |host: &LabHost| format!("        {}: {{ansible_host: {}}}\n", host.name, host.address);
    let list = |hosts: &[LabHost]| hosts.iter().map(member).collect::<String>();
    let clients: Vec<String> = web.iter().map(|host| format!("\"{}/32\"", host.address)).collect();
    let balancer = if balanced { format!("\n{}", member(db)) } else { " {}\n".to_owned() };
    format!(
        r#"all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: {key}
    ansible_ssh_common_args: -F /dev/null -o IdentitiesOnly=yes -o UserKnownHostsFile={known_hosts}
    certbot_mode: selfsigned
    certbot_domains: [{SITE}]
    nginx_worker_connections: 4096
  children:
    balancer:
      hosts:{balancer}    db:
      hosts:
{db_line}      vars:
        postgres_database: {APP}
        postgres_password: a-password-for-tests
        postgres_clients: [{clients}]
    web:
      hosts:
{web_lines}      vars:
        django_app_name: {APP}
        django_app_domains: [{SITE}]
        django_app_secret_key: a-key-for-tests-which-nobody-else-has-0123456789-abcdef
        django_app_database:
          {{name: {APP}, user: {APP}, password: a-password-for-tests, host: {db_address}, port: 5432, sslmode: require}}
        # Four slow requests are always in flight: they must not take all workers.
        django_app_workers: 2
        django_app_worker_class: gthread
        django_app_threads: 8
        django_app_graceful_timeout: 30
"#,
        key = db.key.display(),
        known_hosts = db.known_hosts.display(),
        db_line = member(db),
        web_lines = list(web),
        clients = clients.join(", "),
        db_address = db.address,
    )
}
