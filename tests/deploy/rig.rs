//! The site that deploys are tested on: one host with everything, or three web hosts behind a balancer.
//!
//! ```ignore
//! let Some(rig) = Rig::one() else { return };
//! let load = rig.load();
//! rig.deploy(&App::new().version("2"), &[]).ends(0);
//! load.stop().assert_clean();
//! rig.assert_serves("2");
//! ```
//!
//! Hosts stay up between tests and between runs. The first test sets the site up (`site.yml`, about a minute a host) and
//! keeps a copy of its state on the hosts; every other test begins by going back to that copy, in about two seconds:
//! version 1 serves, nothing else is there, and what tests leave behind is gone. There are two sites of one host, so that
//! two tests run side by side, and one of three, which wants the machine for itself; a site is one test's at a time, also
//! where each test is a process of its own.

#![allow(dead_code)]

use crate::app::App;
use crate::base;
use crate::common::lab::{LabHost, available, find, lab_name, succeed, windlass_lab};
use crate::load::{Config, Load};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The application: of its units and folders.
pub const APP: &str = "deployable";
/// The site's name.
pub const SITE: &str = "deployable.test";

/// The hosts that are a whole site.
const ONES: [&str; 2] = ["deploy-one", "deploy-two"];

/// A site that nobody else uses until this is dropped.
pub struct Rig {
    /// The web hosts, called by their lab names in the inventory, too.
    pub web: Vec<LabHost>,
    /// Where the database is.
    pub db: LabHost,
    /// What visitors talk to: the balancer, if there is one.
    pub front: LabHost,
    /// Lines below `deploy:` of the playbook, beside `source`.
    pub settings: String,
    folder: tempfile::TempDir,
    inventory: String,
    _locks: Vec<File>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub out: String,
    pub err: String,
    pub took: Duration,
}

impl Rig {
    /// One host with database and application. `None` where the lab can't run.
    pub fn one() -> Option<Rig> {
        let (name, lock) = available().then(|| {
            let _turn = lock("turn");
            loop {
                let free = ONES.iter().find_map(|name| {
                    let lock = lock_file(name);
                    lock.try_lock().is_ok().then_some((*name, lock))
                });
                if let Some(found) = free {
                    break found;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        })?;
        Some(Rig::get("one", &[name], name, false, vec![lock]))
    }

    /// Three web hosts, and a fourth host that balances and has the database.
    pub fn three() -> Option<Rig> {
        // Four hosts under load are all that a small machine can do: nobody else's.
        let locks = available().then(|| {
            let _turn = lock("turn");
            ONES.iter().map(|name| lock(name)).collect()
        })?;
        Some(Rig::get("three", &["deploy-web1", "deploy-web2", "deploy-web3"], "deploy-front", true, locks))
    }

    fn get(name: &str, web: &[&str], db: &str, balanced: bool, locks: Vec<File>) -> Rig {
        let lab = lab_name();
        let mut names = web.to_vec();
        if !web.contains(&db) {
            names.push(db);
        }
        succeed(&mut windlass_lab(&lab, &[&["up"], names.as_slice()].concat()));
        for name in &names {
            succeed(&mut windlass_lab(&lab, &["net", name, "clear"]));
        }
        let web: Vec<LabHost> = web.iter().map(|name| find(&lab, name)).collect();
        for host in &web {
            // What a test that was killed left behind (`differ.rs`).
            let _ = Command::new("ip").args(["route", "del", "unreachable", &host.address]).output();
        }
        let db = find(&lab, db);
        let front = if balanced { db.clone() } else { web[0].clone() };
        let inventory = base::inventory(&web, &db, balanced);
        let folder = tempfile::Builder::new().prefix(&format!("rig-{name}-")).tempdir().unwrap();
        let rig = Rig { web, db, front, settings: String::new(), folder, inventory, _locks: locks };
        rig.base();
        rig
    }

    /// Sets the site up, or takes it back to how it was set up.
    fn base(&self) {
        let wanted = base::digest(&self.inventory);
        let hosts = self.hosts();
        let there = each(&hosts, |host| host.sh("cat /root/rig/base 2>/dev/null || true"));
        if !there.iter().all(|digest| *digest == wanted) {
            eprintln!("setting the site up: this takes a minute or more");
            each(&hosts, |host| host.sh(base::WIPE));
            App::new().write_to(&self.path().join("first"));
            let site = root().join("tests/deploy/site.yml").display().to_string();
            let source = format!("django_app_source={}", self.path().join("first").display());
            self.windlass(&["apply", &site, "-e", &source]).ends(0);
            self.db.sh("mkdir -p /root/rig && su postgres -c 'pg_dump deployable' > /root/rig/base.sql");
            each(&self.web, |host| host.sh(base::COPY));
            each(&hosts, |host| host.sh(&format!("mkdir -p /root/rig; echo {wanted} > /root/rig/base")));
        }
        self.reset();
    }

    /// Takes everything back to how it was set up: version 1 serves.
    pub fn reset(&self) {
        each(&self.web, |host| host.sh(base::BACK));
        self.db.sh(base::RESTORE);
        each(&self.hosts(), |host| {
            host.sh("[ ! -x /usr/local/sbin/deployable-release ] || deployable-release follow
                     sed -i '/# windlass: out/{s/ down;/;/;s/ # windlass: .*//}' /etc/nginx/sites-enabled/*.conf
                     systemctl reload-or-restart nginx")
        });
        self.wait_until_it_answers();
    }

    /// Waits until the site answers on every host.
    pub fn wait_until_it_answers(&self) {
        for host in &self.hosts() {
            wait_for(host);
        }
    }

    /// All hosts, each once.
    pub fn hosts(&self) -> Vec<LabHost> {
        let mut hosts = self.web.clone();
        if !hosts.iter().any(|host| host.name == self.db.name) {
            hosts.push(self.db.clone());
        }
        hosts
    }

    /// The folder with playbook and inventory, and the source in `app`.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where [`Rig::deploy`] writes the application.
    pub fn source(&self) -> PathBuf {
        self.path().join("app")
    }

    /// `windlass ARGS -i hosts.yml` in the rig's folder, with `deploy.yml` written, not yet run.
    pub fn command(&self, args: &[&str]) -> Command {
        std::fs::write(self.path().join("hosts.yml"), &self.inventory).unwrap();
        let settings: String = self.settings.lines().map(|line| format!("    {line}\n")).collect();
        let source = if self.settings.starts_with("git:") { "" } else { "    source: app\n" };
        let playbook = format!("- name: Deployable\n  hosts: web\n  become: true\n  deploy:\n{source}{settings}");
        std::fs::write(self.path().join("deploy.yml"), playbook).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).args(["-i", "hosts.yml", "--color", "never"]).current_dir(self.path());
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("WINDLASS_") || n.starts_with("ANSIBLE_")) {
            command.env_remove(name);
        }
        command.env_remove("SSH_AUTH_SOCK").env("WINDLASS_ROLES_PATH", root().join("roles"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end.
    pub fn windlass(&self, args: &[&str]) -> Told {
        let begun = Instant::now();
        Told::of(self.command(args).output().unwrap(), begun)
    }

    /// Deploys this application: `windlass deploy deploy.yml ARGS`.
    pub fn deploy(&self, app: &App, args: &[&str]) -> Told {
        app.write_to(&self.source());
        self.windlass(&[&["deploy", "deploy.yml"], args].concat())
    }

    /// Deploys the repository that the settings name.
    pub fn deploy_git(&self, args: &[&str]) -> Told {
        self.windlass(&[&["deploy", "deploy.yml"], args].concat())
    }

    /// The same, not waited for.
    pub fn begin_deploy(&self, app: &App, args: &[&str]) -> (Child, Instant) {
        app.write_to(&self.source());
        let mut command = self.command(&[&["deploy", "deploy.yml"], args].concat());
        (command.spawn().unwrap(), Instant::now())
    }

    /// The usual load on the front: 200 requests a second of all kinds.
    pub fn load(&self) -> Load {
        Load::start(self.load_config())
    }

    pub fn load_config(&self) -> Config {
        Config::site(SITE, address(&self.front))
    }

    /// The record of a web host; `None` where nothing serves.
    pub fn record(&self, host: usize) -> Option<serde_json::Value> {
        let text = self.web[host].sh("cat /srv/deployable/serving 2>/dev/null || true");
        if text.is_empty() { None } else { Some(serde_json::from_str(&text).unwrap()) }
    }

    /// The release that the record of a web host names; empty where nothing serves.
    pub fn serving(&self, host: usize) -> String {
        self.record(host).map_or_else(String::new, |record| record["release"].as_str().unwrap().to_owned())
    }

    /// What `/version` says on a web host: `release`, `code`, `django`.
    #[track_caller]
    pub fn version(&self, host: usize) -> serde_json::Value {
        let (status, body) = get(&self.web[host], "/version?n=1").unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// The instances of the application that run on a web host, by release.
    pub fn running(&self, host: usize) -> Vec<String> {
        let units = self.web[host].sh(
            "systemctl list-units --plain --no-legend --state=active,activating,deactivating 'deployable@*' | sed 's/ .*//'",
        );
        let release = |unit: &str| Some(unit.strip_prefix("deployable@")?.strip_suffix(".service")?.to_owned());
        units.lines().filter_map(release).collect()
    }

    /// All web hosts serve this version of the application, and record, link, process and answer agree on each.
    #[track_caller]
    pub fn assert_serves(&self, version: &str) {
        let mut releases: Vec<String> = Vec::new();
        for (index, host) in self.web.iter().enumerate() {
            let release = self.serving(index);
            let says = self.version(index);
            assert_eq!(says["code"], version, "{} runs other code: {says}", host.name);
            assert_eq!(says["release"], release.as_str(), "{}: its record names {release}: {says}", host.name);
            let link = host.sh("readlink /srv/deployable/current.sock");
            assert_eq!(link, format!("/run/deployable/{release}.sock"), "{}: current.sock", host.name);
            // The old one may still be ending its requests.
            let begun = Instant::now();
            while self.running(index) != [release.clone()] {
                let running = self.running(index);
                assert!(begun.elapsed() < Duration::from_secs(40), "{}: {running:?} run beside {release}", host.name);
                std::thread::sleep(Duration::from_millis(500));
            }
            releases.push(release);
        }
        assert!(releases.windows(2).all(|pair| pair[0] == pair[1]), "different releases serve: {releases:?}");
    }

    /// Gives the releases of a web host a disk of their own with so many megabytes free, until the next reset.
    pub fn small_disk(&self, host: usize, megabytes: usize) {
        self.web[host].sh(&format!(
            "set -eu; cd /srv/deployable; used=$(du -sm releases | cut -f1); mkdir -p /mnt/small
             mount -t tmpfs -o size=$((used + {megabytes}))m,mode=755 tmpfs /mnt/small
             cp -a releases/. /mnt/small
             mount --bind /mnt/small releases
             umount -l /mnt/small"
        ));
    }

    /// Cuts a web host off, freezes it, or undoes that: `windlass lab net HOST cut|freeze|clear…`.
    pub fn net(&self, host: usize, how: &[&str]) {
        let host = &self.web[host];
        succeed(&mut windlass_lab(&host.lab, &[&["net", &host.name], how].concat()));
    }

    /// Reboots a web host and waits until the site answers there.
    pub fn reboot(&self, host: usize) {
        let host = &self.web[host];
        // The kernel is the machine's, so its boot id says nothing.
        let started = "systemctl show --property=UserspaceTimestampMonotonic";
        let before = host.sh(started);
        let _ = host.ssh("root").arg("systemctl reboot").output();
        let begun = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = host.ssh("root").arg(started).output().unwrap();
            let now = String::from_utf8_lossy(&now.stdout).trim_end().to_owned();
            if !now.is_empty() && now != before {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{} did not come back", host.name);
        }
        wait_for(host);
    }
}

impl Told {
    pub fn of(output: Output, begun: Instant) -> Told {
        Told {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: begun.elapsed(),
        }
    }

    #[track_caller]
    pub fn ends(&self, code: i32) -> &Told {
        assert!(self.code == code, "exit code {} and not {code}\n{}{}", self.code, self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Told {
        for word in words {
            let found = self.out.contains(word) || self.err.contains(word);
            assert!(found, "{word:?} is missing in\n{}{}", self.out, self.err);
        }
        self
    }

    #[track_caller]
    pub fn says_not(&self, words: &[&str]) -> &Told {
        for word in words {
            let found = self.out.contains(word) || self.err.contains(word);
            assert!(!found, "{word:?} must not be in\n{}{}", self.out, self.err);
        }
        self
    }
}

fn lock_file(name: &str) -> File {
    File::create(std::env::temp_dir().join(format!("windlass-rig-{}-{name}.lock", lab_name()))).unwrap()
}

/// Who holds `turn` is the next to get a site: a test that wants all of them is not overtaken for ever.
fn lock(name: &str) -> File {
    let file = lock_file(name);
    file.lock().unwrap();
    file
}

/// Whether also those tests run that take long.
pub fn everything() -> bool {
    std::env::var("WINDLASS_DEPLOY_FAULTS").is_ok_and(|value| value == "all")
}

/// Waits until the site answers on a host.
fn wait_for(host: &LabHost) {
    let begun = Instant::now();
    loop {
        match get(host, "/healthz/") {
            Ok((200, _)) => return,
            other => assert!(begun.elapsed() < Duration::from_secs(30), "{}: {other:?}", host.name),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One plain request to port 8080 of a host.
pub fn get(host: &LabHost, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&(address(host), 8080).into(), Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {SITE}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| std::io::Error::other("no answer"))?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(|| std::io::Error::other("no HTTP"))?, body.to_owned()))
}

pub fn address(host: &LabHost) -> IpAddr {
    host.address.parse().unwrap()
}

/// Does something on all hosts at once.
pub fn each<T: Send>(hosts: &[LabHost], what: impl Fn(&LabHost) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = hosts.iter().map(|host| scope.spawn(|| what(host))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
