//! What the lab tells while it works.

use super::{HostName, Suite};
use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

/// Something that a person who waits for the lab wants to know. `Display` gives one line without a full stop.
#[derive(Debug, Clone)]
pub enum LabEvent {
    /// Debian packages that were missing are being installed on this machine.
    Installing { packages: Vec<String> },
    /// Another windlass holds the lock.
    Waiting { what: String },
    /// A base image is being built.
    Building { suite: Suite },
    /// A step of the build, in the words of the program that does it.
    BuildStep { suite: Suite, line: String },
    /// The base image stands.
    Built { suite: Suite, took: Duration },
    /// A base image that no host needs any more was removed.
    ImageRemoved { image: String },
    /// What an interrupted run left behind was removed.
    Recovered { host: HostName },
    /// A host is being booted.
    Starting { host: HostName, suite: Suite },
    /// A host answers over SSH; `state` is what its systemd says of itself.
    Ready { host: HostName, address: Ipv4Addr, state: String, took: Duration },
    /// A host was switched off and keeps its disk.
    Stopped { host: HostName },
    /// A host is gone.
    Removed { host: HostName },
    /// Something to know, of no kind of its own.
    Note { text: String },
}

impl LabEvent {
    /// Whether only a reader who asked for details wants it.
    pub fn is_detail(&self) -> bool {
        matches!(self, LabEvent::ImageRemoved { .. })
    }
}

impl fmt::Display for LabEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LabEvent::Installing { packages } => {
                write!(f, "installing Debian packages that the lab needs: {}", packages.join(" "))
            }
            LabEvent::Waiting { what } => write!(f, "waiting for another windlass that {what}"),
            LabEvent::Building { suite } => {
                write!(f, "{suite}: building the base image (once; about a minute)")
            }
            LabEvent::BuildStep { suite, line } => write!(f, "{suite}: {line}"),
            LabEvent::Built { suite, took } => {
                write!(f, "{suite}: base image built in {:.0} s", took.as_secs_f64())
            }
            LabEvent::ImageRemoved { image } => write!(f, "{image}: old base image removed"),
            LabEvent::Recovered { host } => write!(f, "{host}: removed what an interrupted run left behind"),
            LabEvent::Starting { host, suite } => write!(f, "{host}: booting {suite}"),
            LabEvent::Ready { host, address, state, took } => {
                write!(f, "{host}: ready at {address}, {state} ({:.1} s)", took.as_secs_f64())
            }
            LabEvent::Stopped { host } => write!(f, "{host}: switched off, disk kept"),
            LabEvent::Removed { host } => write!(f, "{host}: removed"),
            LabEvent::Note { text } => f.write_str(text),
        }
    }
}

/// Where the lab sends its events; called from several threads.
pub type Events<'a> = dyn Fn(LabEvent) + Sync + 'a;
