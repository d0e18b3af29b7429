//! The lab: throw-away hosts on this machine that behave as a provider's virtual machines do.
//!
//! Every host is a `systemd-nspawn` container with a disk of its own (an overlay on a shared base image), its own
//! network address, systemd as process 1, and an OpenSSH server with its own key. See `docs/lab.md` for what users
//! may expect, and `README.md` beside this file for how it is put together.
//!
//! The lab needs root on Linux. Its functions block; call them from threads of their own.

mod access;
mod cgroup;
mod delay;
mod error;
mod event;
mod exec;
mod host;
mod image;
mod lock;
mod machine;
mod names;
mod network;
mod record;
mod requirements;
mod subnet;
mod traffic;

pub use access::USERS;
pub use delay::delay_frames;
pub use error::{LabError, Result};
pub use event::{Events, LabEvent};
pub use names::{HostName, LabName, Suite};
pub use record::Traffic;
pub use requirements::is_root;
pub use traffic::Change;

use cgroup::Cgroup;
use host::Host;
use lock::Lock;
use record::{HostRecord, Layout, Record};
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use subnet::Subnet;

/// How long a host may take from its start to its first login. It takes 2 s on an idle machine.
const BOOT_LIMIT: Duration = Duration::from_secs(120);

/// How long a guest may take to shut down in good order before its processes are ended.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(15);

/// A lab, which may or may not have hosts yet.
#[derive(Debug, Clone)]
pub struct Lab {
    layout: Layout,
    name: LabName,
    /// Address of the Debian archive to build from, in place of the one this machine uses.
    pub mirror: Option<String>,
    /// The program and first arguments that, followed by two device names and milliseconds, run [`delay_frames`].
    pub delay_program: Vec<std::ffi::OsString>,
}

/// A host as it is now.
#[derive(Debug, Clone)]
pub struct HostStatus {
    pub name: HostName,
    pub suite: Suite,
    /// `None` while the lab has no network, which is after a reboot of the machine.
    pub address: Option<Ipv4Addr>,
    pub state: State,
    /// What was done to its network.
    pub traffic: Traffic,
}

/// Whether a host runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Up,
    /// All its processes are stopped by `lab net freeze`.
    Frozen,
    /// Switched off, with its disk.
    Off,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Frozen => "frozen",
            State::Off => "off",
        }
    }
}

impl Lab {
    /// The lab `name` in the state directory `root`, which must be an absolute path.
    pub fn new(root: impl Into<PathBuf>, name: LabName) -> Result<Lab> {
        let root = root.into();
        // `mount -o lowerdir=…` and `systemd-nspawn --bind=…` split at these.
        let misread = |c: char| c.is_whitespace() || c.is_control() || ",:\\\"'".contains(c);
        if root.to_str().is_none_or(|path| path.contains(misread)) {
            return Err(LabError::BadFolder(root));
        }
        Ok(Lab { layout: Layout { root }, name, mirror: None, delay_program: Vec::new() })
    }

    /// All labs in a state directory, sorted by name.
    pub fn all(root: &Path) -> Vec<LabName> {
        image::labs(&Layout { root: root.to_owned() })
    }

    pub fn name(&self) -> &LabName {
        &self.name
    }

    /// The private key that logs in to every host.
    pub fn key(&self) -> PathBuf {
        self.layout.key()
    }

    /// The host keys of all hosts, by name and address.
    pub fn known_hosts(&self) -> PathBuf {
        self.layout.known_hosts(&self.name)
    }

    /// Where what a host prints while it boots is written.
    pub fn console_log(&self, name: &HostName) -> PathBuf {
        self.layout.host(&self.name, name).join("console.log")
    }

    /// Builds the base image of a suite unless it stands.
    pub fn build(&self, suite: Suite, rebuild: bool, events: &Events) -> Result<()> {
        requirements::check()?;
        requirements::check_folder(&self.layout.root)?;
        requirements::install_missing(events)?;
        image::ensure(&self.layout, suite, self.mirror.as_deref(), rebuild, events).map(drop)
    }

    /// Ensures that the named hosts run, and returns when each can be logged in to and its systemd has settled. A
    /// host that runs is left alone; one that is switched off boots with its old disk; a new one is made of `suite` (by default Debian 12).
    pub fn up(&self, names: &[HostName], suite: Option<Suite>, events: &Events) -> Result<Vec<HostStatus>> {
        requirements::check()?;
        requirements::check_folder(&self.layout.root)?;
        requirements::install_missing(events)?;
        let path = self.layout.record(&self.name);
        let all_exist = |record: &Record| names.iter().all(|name| record.hosts.contains_key(name));
        let image = |events| {
            let new = suite.unwrap_or_default();
            image::ensure(&self.layout, new, self.mirror.as_deref(), false, events).map(|image| (new, image))
        };
        if !all_exist(&Record::load(&path)?.unwrap_or_default()) {
            image(events)?; // before the lock: it may take a minute, in which others can use the lab
        }

        let lock = self.lock(events)?;
        let mut record = Record::load(&path)?.unwrap_or_default();
        record.save(&path)?;
        let subnet = machine::claim(&path, record.subnet)?;
        record.subnet = Some(subnet);
        self.recover(&record, subnet, events)?;
        network::ensure(subnet)?;
        for name in names {
            match (record.hosts.get(name), suite) {
                (Some(host), Some(suite)) if host.suite != suite => events(LabEvent::Note {
                    text: format!("{name}: stays {}: take it down first to make it {suite}", host.suite),
                }),
                (Some(_), _) => {}
                (None, _) => {
                    let (suite, image) = image(events)?;
                    self.add(&mut record, name, suite, &image)?;
                }
            }
        }
        access::write_known_hosts(&self.layout, &self.name, &record, subnet)?;
        for name in names {
            let (host, traffic) = (self.host(&record, name, subnet)?, self.entry(&record, name)?.traffic);
            if host.up() && (traffic.cut || host.cgroup.frozen()) {
                let how = if traffic.cut { "cut off" } else { "frozen" };
                return Err(LabError::Disturbed { name: name.to_string(), how });
            }
        }
        let started = Instant::now();
        for name in record.hosts.keys() {
            let host = self.host(&record, name, subnet)?;
            if host.up() && !host.cgroup.frozen() {
                let _ = host.learn_names(&record); // a convenience; the host may be shutting down
            }
        }
        for name in names {
            let host = self.host(&record, name, subnet)?;
            if !host.up() {
                host.clear_away()?;
                if let Some(entry) = record.hosts.get_mut(name) {
                    entry.traffic = Traffic::default();
                }
                let entry = self.entry(&record, name)?;
                events(LabEvent::Starting { host: name.clone(), suite: entry.suite });
                host.start(entry, &record)?;
            }
        }
        record.save(&path)?;
        drop(lock);

        let ready = |name: &HostName| -> Result<()> {
            let host = self.host(&record, name, subnet)?;
            let state = host.wait_ready(BOOT_LIMIT)?;
            let (host, address) = (name.clone(), host.address());
            events(LabEvent::Ready { host, address, state, took: started.elapsed() });
            Ok(())
        };
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let waiting: Vec<_> = names.iter().map(|name| scope.spawn(move || ready(name))).collect();
            waiting.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        results.into_iter().collect::<Result<Vec<()>>>()?;
        Ok(self.hosts()?.into_iter().filter(|host| names.contains(&host.name)).collect())
    }

    /// The hosts in the order of their creation. Needs no root.
    pub fn hosts(&self) -> Result<Vec<HostStatus>> {
        let path = self.layout.record(&self.name);
        let Some(record) = Record::load(&path)? else { return Ok(Vec::new()) };
        let subnet = machine::claimed(&path);
        let group = Cgroup::of_lab(&host::cgroup_name(&self.layout, &self.name)).ok();
        let status = |(name, host): (&HostName, &HostRecord)| {
            let group = group.as_ref().map(|group| group.child(name.as_str()));
            let state = match group {
                Some(group) if group.populated() && group.frozen() => State::Frozen,
                Some(group) if group.populated() => State::Up,
                _ => State::Off,
            };
            HostStatus {
                name: name.clone(),
                suite: host.suite,
                address: subnet.map(|subnet| subnet.address(host.number)),
                state,
                traffic: if state == State::Off { Traffic::default() } else { host.traffic },
            }
        };
        Ok(record.hosts.iter().map(status).collect())
    }

    /// An inventory of all hosts in YAML, usable as it stands.
    pub fn inventory(&self) -> Result<String> {
        let hosts: Vec<_> = self.hosts()?.into_iter().filter_map(|host| Some((host.name, host.address?))).collect();
        Ok(access::inventory(&self.layout, &self.name, &hosts))
    }

    /// The OpenSSH client, ready to log in to a host; a remote command can be appended.
    pub fn ssh(&self, user: &str, name: &HostName) -> Result<Command> {
        let host = self.status(name)?;
        let address = host
            .address
            .filter(|_| host.state != State::Off)
            .ok_or_else(|| LabError::NotRunning { name: name.to_string() })?;
        Ok(access::ssh(&self.layout, &self.name, user, address))
    }

    /// Changes what a host's network, or all of the host, does.
    pub fn net(&self, name: &HostName, change: &Change, events: &Events) -> Result<()> {
        requirements::check()?;
        self.status(name)?; // a lab that does not exist gets no lock
        let _lock = self.lock(events)?;
        if self.status(name)?.state == State::Off {
            return Err(LabError::NotRunning { name: name.to_string() });
        }
        let path = self.layout.record(&self.name);
        let mut record = Record::load(&path)?.unwrap_or_default();
        let Some(subnet) = machine::claimed(&path) else { return Err(self.no_such_host(name, &record)) };
        let host = self.host(&record, name, subnet)?;
        let mut traffic = self.entry(&record, name)?.traffic;
        let result = traffic::apply(&host, change, &mut traffic, &self.delay_program);
        if let Some(entry) = record.hosts.get_mut(name) {
            entry.traffic = traffic;
        }
        record.save(&path)?;
        result
    }

    /// Switches the named hosts off and removes them; `keep` keeps their disks. `None` means all hosts and the lab's
    /// network: nothing is left of the lab then (with `keep`, its disks). Base images, key and caches stay.
    pub fn down(&self, names: Option<&[HostName]>, keep: bool, events: &Events) -> Result<()> {
        requirements::check()?;
        if names.is_none() {
            image::remove_unfinished(&self.layout)?;
        }
        let path = self.layout.record(&self.name);
        if !self.layout.lab(&self.name).exists() && machine::claimed(&path).is_none() {
            if let Some(lock) = Lock::try_take(&self.layout.lock(&self.name)) {
                lock.remove(); // of a `down` that was killed at its very end
            }
            return match names.and_then(<[HostName]>::first) {
                Some(name) => Err(self.no_such_host(name, &Record::default())),
                None => Ok(()),
            };
        }
        let lock = self.lock(events)?;
        let mut record = Record::load(&path)?.unwrap_or_default();
        let subnet = machine::claimed(&path).or(record.subnet);
        let going: Vec<HostName> = names.map_or_else(|| record.hosts.keys().cloned().collect(), <[HostName]>::to_vec);
        for name in &going {
            self.entry(&record, name)?;
        }
        if let Some(subnet) = subnet {
            let hosts = going.iter().map(|name| self.host(&record, name, subnet)).collect::<Result<Vec<Host>>>()?;
            if keep {
                std::thread::scope(|scope| {
                    for host in &hosts {
                        scope.spawn(|| host.power_off(POWER_OFF_LIMIT));
                    }
                });
            }
            for host in hosts {
                host.clear_away()?;
                if keep {
                    events(LabEvent::Stopped { host: host.name.clone() });
                } else {
                    host.remove_disk()?;
                    events(LabEvent::Removed { host: host.name.clone() });
                }
            }
        }
        if !keep {
            record.hosts.retain(|name, _| !going.contains(name));
            record.save(&path)?;
        }
        if names.is_some() {
            if let Some(subnet) = subnet {
                access::write_known_hosts(&self.layout, &self.name, &record, subnet)?;
            }
            return Ok(());
        }
        if let Some(subnet) = subnet {
            network::remove(subnet);
        }
        let group = Cgroup::of_lab(&host::cgroup_name(&self.layout, &self.name))?;
        group.destroy()?;
        group.remove_empty();
        if !keep {
            host::remove_dir(&self.layout.lab(&self.name))?;
        }
        machine::release(&path)?;
        lock.remove();
        let _ = fs::remove_dir(self.layout.labs());
        Ok(())
    }

    /// Removes base images, key and caches of the state directory, which no lab may use any more.
    pub fn remove_images(&self) -> Result<()> {
        requirements::check()?;
        let labs = Lab::all(&self.layout.root);
        if !labs.is_empty() {
            let names: Vec<&str> = labs.iter().map(LabName::as_str).collect();
            return Err(LabError::InUse { what: "base images are".into(), by: format!("labs {}", names.join(", ")) });
        }
        image::remove_all(&self.layout)
    }

    fn lock(&self, events: &Events) -> Result<Lock> {
        Lock::take(&self.layout.lock(&self.name), || {
            events(LabEvent::Waiting { what: format!("works on lab `{}`", self.name) });
        })
    }

    fn status(&self, name: &HostName) -> Result<HostStatus> {
        let hosts = self.hosts()?;
        let known = || hosts.iter().map(|host| host.name.to_string()).collect();
        hosts.iter().find(|host| host.name == *name).cloned().ok_or_else(|| LabError::NoSuchHost {
            lab: self.name.to_string(),
            name: name.to_string(),
            known: known(),
        })
    }

    fn entry<'r>(&self, record: &'r Record, name: &HostName) -> Result<&'r HostRecord> {
        record.hosts.get(name).ok_or_else(|| self.no_such_host(name, record))
    }

    fn no_such_host(&self, name: &HostName, record: &Record) -> LabError {
        LabError::NoSuchHost {
            lab: self.name.to_string(),
            name: name.to_string(),
            known: record.hosts.keys().map(HostName::to_string).collect(),
        }
    }

    fn host<'a>(&'a self, record: &Record, name: &'a HostName, subnet: Subnet) -> Result<Host<'a>> {
        Host::new(&self.layout, &self.name, name, subnet, self.entry(record, name)?.number)
    }

    fn add(&self, record: &mut Record, name: &HostName, suite: Suite, image: &str) -> Result<()> {
        let number = record.free_number().ok_or_else(|| LabError::Full { lab: self.name.to_string() })?;
        let host_key = host::make_disk(&self.layout, &self.name, name)?;
        let image = image.to_owned();
        record.hosts.insert(name.clone(), HostRecord { number, suite, image, host_key, traffic: Traffic::default() });
        record.save(&self.layout.record(&self.name))
    }

    /// Clears away what a killed run left of hosts that do not run.
    fn recover(&self, record: &Record, subnet: Subnet, events: &Events) -> Result<()> {
        for name in record.hosts.keys() {
            let host = self.host(record, name, subnet)?;
            if !host.up() && host.has_remains() {
                host.clear_away()?;
                events(LabEvent::Recovered { host: name.clone() });
            }
        }
        Ok(())
    }
}
