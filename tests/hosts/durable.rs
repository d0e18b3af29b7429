//! Packages whose installation the controller leaves half-way: it goes on, and the next run finds it.

use crate::common::debs::{Deb, deb, offer};
use crate::common::lab::LabHost;
use crate::lost::until;
use crate::site::{Site, Told};

const RUNNING: &str = "ls /var/lib/windlass/running 2>/dev/null; true";

/// A site with a host for this.
fn site(host: &str) -> Option<(Site, LabHost)> {
    let site = Site::new()?;
    let host = LabHost::get(host).unwrap();
    let site = site.host("it", &host, "root", &[]);
    Some((site, host))
}

/// Begins to apply, and kills the controller as soon as a command of the host prints something.
#[track_caller]
fn cut(site: &Site, host: &LabHost, when: &str) {
    let (mut child, _) = site.begin(&["--limit", "it"]);
    until(host, when);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[track_caller]
fn next(site: &Site) -> Told {
    let told = site.apply(&["--limit", "it"]);
    told.ends(0).says(&["notice", "earlier run"]);
    told
}

fn slow_debs(host: &LabHost) {
    let slow = "touch /srv/configuring; sleep 5; echo x >>/srv/configured";
    host.sh("dpkg --purge slowpoke quick 2>/dev/null; rm -f /srv/configur*");
    // It is configured after `quick`.
    offer(
        host,
        &[deb("quick", "1"), Deb { name: "slowpoke", version: "1", control: "Depends: quick", postinst: slow }],
    );
}

const HALF: &str = "ls /srv/configuring 2>/dev/null";

#[test]
fn apt_goes_on_and_the_next_run_uses_it() {
    let Some((site, host)) = site("hosts-apt") else { return };
    slow_debs(&host);
    site.tasks(
        "- name: first\n  apt: {name: slowpoke, update_cache: true}\n- name: both\n  apt: {name: [quick, slowpoke]}\n\
         - name: after\n  command: cat /srv/configured\n  register: r\n- debug: {msg: '{{ r.stdout_lines | length }} times'}",
    );
    cut(&site, &host, HALF);
    next(&site).says(&["changed it first", "1 times"]).recaps("it", &["ok=4", "changed=2"]);
    assert_eq!(host.sh(&format!("dpkg --audit; {RUNNING}")), "");

    // What is still missing is another command; it waits for the first.
    slow_debs(&host);
    host.sh("apt-get -qq update");
    site.tasks("- name: both\n  apt: {name: [quick, slowpoke]}\n- name: after\n  command: cat /srv/configured");
    cut(&site, &host, HALF);
    assert_eq!(host.sh("dpkg-query -W -f '${db:Status-Status}' quick"), "installed");
    next(&site).says(&["changed it both", "warning: an apt of an earlier run came first"]).recaps("it", &["ok=2"]);
    assert_eq!(host.sh(&format!("dpkg --audit; wc -l </srv/configured; {RUNNING}")), "1");
}

/// A package that is built in some seconds, with nothing but Python.
const BACKEND: &str = "\
import os, time, zipfile

def build_wheel(folder, settings=None, metadata=None):
    open('/srv/building', 'w').close()
    time.sleep(float(open('/srv/pause').read()))
    open('/srv/built', 'a').write('x')
    name = 'slowpoke-1.0-py3-none-any.whl'
    info = 'slowpoke-1.0.dist-info/'
    with zipfile.ZipFile(os.path.join(folder, name), 'w') as z:
        z.writestr('slowpoke.py', 'SPEED = 0\\n')
        z.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: slowpoke\\nVersion: 1.0\\n')
        z.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        z.writestr(info + 'RECORD', '')
    return name
";

#[test]
fn pip_goes_on_and_the_next_run_uses_it() {
    let Some((site, host)) = site("hosts-pip") else { return };
    site.file("slow/backend.py", BACKEND);
    site.file(
        "slow/pyproject.toml",
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n\
         [project]\nname = 'slowpoke'\nversion = '1.0'\n",
    );
    site.file("requirements.txt", "/srv/slow\n");
    site.tasks(
        "- name: python\n  apt: {name: python3-venv, update_cache: true}\n\
         - name: source\n  copy: {src: slow/, dest: /srv/slow/}\n\
         - name: list\n  copy: {src: requirements.txt, dest: /srv/requirements.txt}\n\
         - name: pause\n  copy: {content: '4', dest: /srv/pause}",
    );
    site.apply(&["--limit", "it"]).ends(0);
    host.sh("rm -rf /srv/venv /srv/building /srv/built");
    site.tasks(
        "- name: install\n  pip: {requirements: /srv/requirements.txt, virtualenv: /srv/venv, extra_args: --no-index}\n\
         - name: after\n  command: /srv/venv/bin/python -c 'import slowpoke; print(slowpoke.SPEED)'",
    );
    // While the environment is made: it has its Python, and no pip yet.
    cut(&site, &host, "ls /srv/venv/bin/python3 2>/dev/null");
    assert_eq!(host.sh("ls /srv/venv/bin/pip 2>/dev/null; true"), "", "too late");
    next(&site).says(&["changed it install"]).recaps("it", &["ok=2"]);
    assert_eq!(host.sh(&format!("cat /srv/built; {RUNNING}")), "x");

    // While it is filled.
    host.sh("/srv/venv/bin/pip -q uninstall -y slowpoke; rm -f /srv/building /srv/built");
    cut(&site, &host, "ls /srv/building 2>/dev/null");
    next(&site).says(&["changed it install"]).recaps("it", &["ok=2"]);
    assert_eq!(host.sh(&format!("cat /srv/built; {RUNNING}")), "x");

    // What ended unseen, since the shell that waited for it is gone, too: it is no answer to what is asked now.
    host.sh("/srv/venv/bin/pip -q uninstall -y slowpoke; rm -f /srv/building /srv/built; echo 2 >/srv/pause");
    cut(&site, &host, "ls /srv/building 2>/dev/null");
    host.sh("kill -KILL -$(ps -o pgid= $(ls /var/lib/windlass/running/*/ | sed -n 's/^w[.]//p') | tr -d ' ')");
    until(&host, "ls /var/lib/windlass/running/*/exit 2>/dev/null");
    host.sh("/srv/venv/bin/pip -q uninstall -y slowpoke");
    site.apply(&["--limit", "it"]).ends(0).says(&["changed it install"]).recaps("it", &["ok=2"]);
    assert_eq!(host.sh(&format!("cat /srv/built; {RUNNING}")), "xx");
}
