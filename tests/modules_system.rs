//! Modules for packages, accounts, units, jobs, names, repositories, Python, Django and PostgreSQL, on real hosts: each
//! playbook is planned on a host that knows nothing of it, applied, looked at by other means, and applied again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod common;

use common::debs::{Deb, deb, offer};
use common::lab::{LabHost, suite};
use common::windlass::{Project, Run};
use serde_json::Value;
use std::time::{Duration, Instant};

const SECRET: &str = "S3cret'; \\ $(x) \"quoted\" ü";

fn project(host: &LabHost) -> Project {
    let project = Project::new(host);
    project.file("system.yml", include_str!("modules_system/system.yml"));
    project.file("undo.yml", include_str!("modules_system/undo.yml"));
    project.file("apt.yml", include_str!("modules_system/apt.yml"));
    project.file("failing.yml", include_str!("modules_system/failing.yml"));
    project.file("database.yml", include_str!("modules_system/database.yml"));
    project.file("dropped.yml", include_str!("modules_system/dropped.yml"));
    project.file("tcp.yml", include_str!("modules_system/tcp.yml"));
    project.file("moved.yml", include_str!("modules_system/moved.yml"));
    project.file("packages.yml", include_str!("modules_system/packages.yml"));
    let shop = format!("shop: {}/examples/shop\nsuite: {}\n", env!("CARGO_MANIFEST_DIR"), suite());
    project.file("group_vars/all.yml", shop);
    project
}

/// Whatever of a host a playbook could have touched.
fn looks(host: &LabHost) -> String {
    host.sh("dpkg-query -W; cat /etc/passwd /etc/group /etc/shadow /etc/hostname; readlink /etc/localtime; \
         systemctl list-unit-files --no-legend | grep -v '^session-'; \
         ls -lR /etc/systemd /etc/apt /etc/cron.d /var/spool/cron /var/lib/apt/lists /srv /usr/local; \
         find /home /root -not -path '*/.cache*' | sort; systemctl is-active cron rsync beacon postgresql; true")
}

/// A plan touches nothing; then the playbook is applied twice, and the second time nothing changes.
#[track_caller]
fn plan_and_apply(project: &Project, playbook: &str) -> Run {
    let before = looks(&project.host);
    let plan = project.plan(playbook);
    assert_eq!(before, looks(&project.host), "the plan has changed the host");
    assert!(plan.recap("changed") + plan.recap("unknown") > 0, "{}", plan.told());
    let run = project.apply(playbook);
    for task in run.with_status("changed") {
        let foretold = plan
            .results()
            .any(|r| r["task"]["name"] == task.as_str() && matches!(r["status"].as_str(), Some("changed" | "unknown")));
        assert!(foretold, "the plan did not foretell that `{task}` changes\n{}", plan.told());
    }
    project.settled(playbook);
    run
}

#[track_caller]
fn says(result: &Value, words: &str) {
    assert!(result.to_string().contains(words), "not a word of {words:?} in {result}");
}

#[test]
fn a_host_from_packages_to_a_django_project() {
    let Some(host) = LabHost::fresh("system") else { return };
    let project = project(&host);
    let run = plan_and_apply(&project, "system.yml");

    assert_eq!(host.sh("dpkg-query -W -f '${db:Status-Abbrev}' bc git python3-venv jq"), "ii ii ii ii ");
    let source = host.sh("cat /etc/apt/sources.list.d/backports.list");
    assert_eq!(source, format!("deb http://deb.debian.org/debian {}-backports main", suite()));
    assert!(host.sh("ls /var/lib/apt/lists").contains(&format!("{}-backports", suite())));
    assert_eq!(host.sh("hostname; cat /etc/hostname"), "flagship\nflagship");
    assert_eq!(host.sh("readlink -f /etc/localtime; date +%Z"), "/usr/share/zoneinfo/Europe/Lisbon\nWET");

    assert_eq!(host.sh("getent passwd ada"), "ada:x:4001:4000:Ada of the crew:/home/ada:/bin/bash");
    assert_eq!(host.sh("id -nG ada"), "crew sudo machines");
    assert!(host.sh("getent shadow ada").starts_with("ada:$6$saltsalt$qFmFH."));
    assert_eq!(
        host.sh("stat -c '%U:%G %a' /home/ada/.ssh/authorized_keys /home/ada/.ssh"),
        "ada:crew 600\nada:crew 700"
    );
    assert!(
        host.sh("cat /home/ada/.ssh/authorized_keys")
            .starts_with("from=\"10.0.0.0/8\",no-agent-forwarding ssh-ed25519 ")
    );
    let public = host.sh("cat /home/ada/.ssh/id_ed25519.pub");
    assert_eq!(run.result("user")["ssh_public_key"], public.as_str());
    assert_eq!(
        host.sh("getent passwd robot | cut -d: -f6-; test $(id -u robot) -lt 1000"),
        "/nonexistent:/usr/sbin/nologin"
    );
    assert_eq!(run.result("getent told")["msg"], "4001 /home/ada");

    assert_eq!(
        host.sh("systemctl is-active beacon cron; systemctl is-enabled beacon cron"),
        "active\nactive\nenabled\nenabled"
    );
    assert_eq!(host.sh("systemctl is-enabled rsync.service || true"), "masked");
    assert_eq!(run.status("restart the light"), "changed");

    let crontab = host.sh("crontab -u ada -l");
    assert!(
        crontab.contains("MAILTO=\"ada@example.org\"\n") || crontab.contains("MAILTO=ada@example.org\n"),
        "{crontab}"
    );
    assert!(crontab.contains("#Ansible: rings the bell\n*/30 * * * * echo 'glas' >/dev/null"), "{crontab}");
    assert!(host.sh("cat /etc/cron.d/nightly").contains("@daily root true"));
    assert!(host.sh("crontab -l").contains("#0 5 * * * true"));

    assert_eq!(
        host.sh("cat /srv/checkout/file /srv/tagged/file; git -C /srv/tagged rev-list --count HEAD"),
        "two\none\n1"
    );
    assert_eq!(run.result("clone")["after"], host.sh("git -C /srv/work rev-parse HEAD").as_str());

    let packages = host.sh("/srv/venv/bin/pip freeze");
    assert!(packages.contains("Django==5.2.19") && packages.contains("whitenoise==6.8.2"), "{packages}");
    let tables = "import sqlite3; print(sqlite3.connect('/srv/shop.sqlite3').execute(\
                  \"select count(*) from django_migrations where app='chandlery'\").fetchone()[0])";
    assert_eq!(host.sh(&format!("python3 -c \"{}\"", tables.replace('"', "\\\""))), "4");
    assert!(host.sh("ls /srv/static/chandlery").contains("shop"));
    says(run.result("checks"), "no issues");

    // And back.
    let run = plan_and_apply(&project, "undo.yml");
    assert_eq!(host.sh("dpkg-query -W -f '${db:Status-Status} ' bc jq libjq1 2>/dev/null || true"), "");
    assert_eq!(host.sh("ls /etc/apt/sources.list.d/backports.list /etc/cron.d/nightly 2>/dev/null || true"), "");
    assert_eq!(
        host.sh("systemctl is-active beacon; systemctl is-enabled beacon rsync; true"),
        "inactive\ndisabled\ndisabled"
    );
    assert!(!host.sh("crontab -u ada -l").contains("glas"));
    assert!(!host.sh("cat /home/ada/.ssh/authorized_keys").contains("ada@desk"));
    assert_eq!(
        host.sh("getent passwd ada | cut -d: -f7; id -nG ada; passwd -S ada | cut -d' ' -f2"),
        "/bin/sh\ncrew machines\nL"
    );
    assert_eq!(host.sh("getent passwd robot || echo none"), "none");
    assert_eq!(host.sh("cat /srv/checkout/file"), "one");
    assert!(!host.sh("/srv/venv/bin/pip freeze").contains("whitenoise"));
    assert_eq!(run.result("getent told")["msg"], true);
}

#[test]
fn apt_waits_for_others_and_tells() {
    let Some(host) = LabHost::fresh("packages") else { return };
    let project = project(&host);
    plan_and_apply(&project, "apt.yml");
    assert_eq!(host.sh("dpkg-query -W -f '${db:Status-Abbrev}' bc time hello"), "ii ii ii ");

    // Another program holds the lock, for a while.
    let held = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); \
                open('/run/held', 'w'); time.sleep(6)";
    host.sh(&format!("systemd-run -q python3 -c \"{held}\"; until [ -e /run/held ]; do sleep 0.1; done"));
    let tasks = |task: &str| format!("- hosts: all\n  gather_facts: false\n  tasks:\n    - name: one\n      {task}\n");
    project.file("locked.yml", tasks("apt: {name: tree}"));
    let began = Instant::now();
    let run = project.apply("locked.yml");
    assert!(began.elapsed() > Duration::from_secs(4), "the lock was not waited for");
    assert!(run.result("one")["warnings"].to_string().contains("lock"), "{}", run.told());
    assert!(host.sh("command -v tree").ends_with("tree"));

    // A first boot that takes five seconds more.
    host.sh(
        "mkdir -p /run/cloud-init && printf '#!/bin/sh\\nsleep 5; date +%%s >/run/booted\\n' >/usr/local/bin/cloud-init && \
         chmod +x /usr/local/bin/cloud-init",
    );
    project.file("booting.yml", tasks("apt: {name: tree, state: absent, purge: true}"));
    let run = project.apply("booting.yml");
    assert!(run.result("one")["warnings"].to_string().contains("cloud-init"), "{}", run.told());
    assert_eq!(host.sh("test $(stat -c %Y /var/lib/dpkg/status) -ge $(cat /run/booted) && echo after"), "after");
    host.sh("rm -r /run/cloud-init /usr/local/bin/cloud-init");

    let run = project.apply("failing.yml");
    says(run.result("unit fails"), "the mast is broken");
    says(run.result("no such unit"), "never-heard-of");
    says(run.result("no such package"), "No package matching 'never-heard-of'");
    says(run.result("no such version"), "99");
    says(run.result("no such zone"), "Nowhere/Land");
    assert_eq!(run.recap("ignored"), 5, "{}", run.told());
}

#[test]
fn postgresql_and_its_secrets() {
    let Some(host) = LabHost::fresh("database") else { return };
    let project = project(&host);
    // All arguments of all programs, looked at while the playbooks run.
    host.sh(
        "printf 'S3cret\\npsql\\n' >/run/words; systemd-run -q --unit=watch sh -c \
         'while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr \"\\0\" \" \" | grep -aof /run/words; sleep 0.02; done >/run/seen'",
    );
    plan_and_apply(&project, "database.yml");
    plan_and_apply(&project, "tcp.yml");
    host.sh("install -d -o games /srv/dumps");
    let moved = project.apply("moved.yml");
    host.sh("systemctl stop watch");
    assert_eq!(host.sh("sort -u /run/seen"), "psql", "in somebody's arguments");
    assert_eq!(host.sh("journalctl | grep -c S3cret || true"), "0");

    let quoted = SECRET.replace('\'', "'\\''");
    let login = |user: &str, sql: &str| {
        host.sh(&format!("PGPASSWORD='{quoted}' psql -h 127.0.0.1 -U {user} -d shop -AtF ' ' -c \"{sql}\""))
    };
    assert_eq!(
        login("shop", "create table goods (name text); insert into goods values ('rope')"),
        "CREATE TABLE\nINSERT 0 1"
    );
    assert_eq!(login("reader", "select name, similarity(name, 'ropes') > 0.4 from goods"), "rope t");
    let asked = |sql: &str| host.sh(&format!("cd / && sudo -u postgres psql -d shop -AtF ' ' -c \"{sql}\""));
    assert_eq!(asked("select rolcreatedb, rolsuper, rolconnlimit from pg_roles where rolname = 'shop'"), "t f 20");
    let database = "select pg_get_userbyid(datdba), pg_encoding_to_char(encoding), shobj_description(oid, 'pg_database') \
                    from pg_database where datname = 'shop'";
    assert_eq!(asked(database), "shop UTF8 Its goods");
    assert_eq!(asked("select has_database_privilege('reader', 'shop', 'CONNECT')"), "t");

    // Over TCP.
    let stock = |database: &str, sql: &str| {
        host.sh(&format!("PGPASSWORD='{quoted}' psql -h 127.0.0.1 -U stock -d '{database}' -AtF ' ' -c \"{sql}\""))
    };
    let granted = stock(
        "stock",
        "select relacl, nspacl from pg_class c, pg_namespace n where relname = 'goods' and nspname = 'public'",
    );
    assert!(granted.contains("clerk=ar/stock") && granted.contains("clerk=U/"), "{granted}");
    assert_eq!(stock("stock", "select pg_has_role('clerk', 'stock', 'MEMBER')"), "t");
    assert_eq!(
        asked("select rolvaliduntil::date, rolconfig from pg_roles where rolname = 'clerk'"),
        "2031-01-01 {statement_timeout=5s}"
    );
    for copy in ["copy sql", "copy sql.gz", "copy sql.xz", "copied", "copy pgc", "copy dir"] {
        assert_eq!(
            stock(copy, "select name, tableowner from goods, pg_tables where tablename = 'goods'"),
            "rope stock",
            "{copy}"
        );
    }
    says(moved.result("nothing to restore from"), "there is no /srv/dumps/none.sql on the host");
    says(moved.result("not there"), "database \\\"nowhere\\\" does not exist");
    says(moved.result("no tool for it"), "bzip2 is missing on the host");
    says(moved.result("wrong password"), "password authentication failed for user \\\"chief\\\"");
    says(moved.result("nobody answers"), "Connection refused");
    let dumps = "it's.dir\nit's.pgc\nit's.sql\nit's.sql.gz\nit's.sql.xz\nit's.tar";
    assert_eq!(host.sh("ls -A /srv/dumps; find /srv/dumps -type f -perm /077"), dumps);

    let before = looks(&host);
    project.plan("dropped.yml");
    assert_eq!(before, looks(&host));
    assert_eq!(login("reader", "select count(*) from goods"), "1", "the plan has dropped nothing");
    project.apply("dropped.yml");
    let left = host.sh("cd / && sudo -u postgres psql -Atc \"select datname from pg_database where datname = 'shop' \
                        union select rolname from pg_roles where rolname in ('shop', 'reader')\"");
    assert_eq!(left, "");
    assert!(host.sh("zcat /var/lib/postgresql/shop.sql.gz").contains("rope"));
}

/// Newer packages are pending, in a repository of their own.
#[test]
fn apt_upgrades_and_tidies_up() {
    let Some(host) = LabHost::fresh("upgrades") else { return };
    let project = project(&host);
    let versions =
        || host.sh("dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}, ' 'wl-*' | sed 's/un [^,]*, //g'");
    let stage = |tag: &str| {
        let before = versions();
        project.run("plan", &["packages.yml", "-t", tag]).succeeded();
        assert_eq!(versions(), before, "the plan has changed the host");
        project.run("apply", &["packages.yml", "-t", tag]).succeeded()
    };
    let settled = |tag: &str| {
        let again = project.run("apply", &["packages.yml", "-t", tag]).succeeded();
        assert_eq!(again.with_status("changed"), Vec::<String>::new(), "{}", again.told());
    };

    offer(&host, &[deb("wl-app", "1"), deb("wl-tool", "1"), deb("wl-extra", "1")]);
    assert_eq!(stage("one").with_status("changed"), ["installed"]);
    assert_eq!(versions(), "ii wl-app 1, ii wl-tool 1, ");
    settled("one");

    let needs = |name, version, control| Deb { name, version, control, postinst: "" };
    let app = needs("wl-app", "2", "Depends: wl-lib");
    offer(&host, &[app, deb("wl-lib", "1"), deb("wl-tool", "2"), deb("wl-extra", "1")]);
    let run = stage("two");
    assert_eq!(run.with_status("changed"), ["only upgraded", "upgrade"]);
    assert_eq!(versions(), "ii wl-app 2, ii wl-lib 1, ii wl-tool 2, ");
    settled("two");

    let app = needs("wl-app", "3", "Conflicts: wl-tool\nReplaces: wl-tool\nProvides: wl-tool");
    offer(&host, &[app, deb("wl-lib", "1"), deb("wl-tool", "2")]);
    stage("three");
    assert_eq!(versions(), "ii wl-app 3, ");
    settled("three");

    let extra = |version| needs("wl-extra", version, "Depends: wl-lib");
    offer(&host, &[extra("1"), extra("2"), deb("wl-lib", "1")]);
    host.sh("apt-get -qq update");
    let run = stage("four");
    assert_eq!(run.with_status("changed"), ["file", "an older one", "removed", "what nothing needs"], "{}", run.told());
    says(run.result("not an older one"), "a newer version is installed (wl-extra 2)");
    says(run.result("no package"), "/srv/debs/Packages can't be read as a Debian package");
    assert_eq!(versions(), "ii wl-app 3, ");
}
