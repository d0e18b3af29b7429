//! What a whole run shares.

use super::event::Event;
use super::machine::Connector;
use super::scope::Layer;
use super::watch::Watch;
use crate::inventory::{Inventory, Shard};
use crate::playbook::LoadContext;
use crate::values::{Map, Templar, Value};
use indexmap::IndexMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Which engine works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineKind {
    /// Looks ahead, predicts, and batches.
    #[default]
    Ahead,
    /// One step at a time, nothing predicted: the reference that the other must agree with.
    Plain,
}

/// What a person asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Foretell only.
    pub plan: bool,
    /// Show differences.
    pub diff: bool,
    /// How much is told (0 to 4).
    pub verbosity: u8,
    /// Only tasks with these tags.
    pub tags: Vec<String>,
    /// No tasks with these tags.
    pub skip_tags: Vec<String>,
    /// `-e`, lowest first.
    pub extra_vars: Vec<Layer>,
    /// Only the hosts of this part of the inventory.
    pub shard: Option<Shard>,
    /// How many hosts are worked on at once.
    pub forks: usize,
    /// The name of the task to start at.
    pub start_at: Option<String>,
    /// Which engine works.
    pub engine: EngineKind,
    /// Raise privileges unless the playbook says otherwise.
    pub become_: bool,
    /// To whose (`root`).
    pub become_user: Option<String>,
    /// How (`sudo`).
    pub become_method: Option<String>,
    /// Run notified handlers also on hosts that failed.
    pub force_handlers: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plan: false,
            diff: false,
            verbosity: 0,
            tags: Vec::new(),
            skip_tags: Vec::new(),
            extra_vars: Vec::new(),
            shard: None,
            forks: 50,
            start_at: None,
            engine: EngineKind::Ahead,
            become_: false,
            become_user: None,
            become_method: None,
            force_handlers: false,
        }
    }
}

/// What the inventory says of a host.
#[derive(Debug, Clone, Default)]
pub struct HostBase {
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// `inventory_hostname`, `group_names` and the like.
    pub magic: Arc<Map>,
}

/// Asks a person.
pub type Prompt = dyn Fn(&str, bool) -> Option<String> + Send + Sync;

/// What a whole run shares.
pub struct Shared {
    /// What a person asked for.
    pub options: Options,
    /// All hosts of the inventory, in its order.
    pub hosts: IndexMap<Arc<str>, HostBase>,
    /// `groups`.
    pub groups: Value,
    /// Renders templates.
    pub templar: Arc<Templar>,
    /// Reads includes.
    pub loader: Arc<LoadContext>,
    /// Opens machines.
    pub connector: Arc<dyn Connector>,
    /// Where events go.
    pub events: mpsc::UnboundedSender<Event>,
    /// When the run began, seconds since 1970: the time of all its steps.
    pub started: i64,
    /// Names the run; goes into every nonce.
    pub id: String,
    /// `ansible_version`.
    pub version: Value,
    /// The home folder on the controller, for `~` in names of files to send.
    pub home: Option<PathBuf>,
    /// Which hosts there are.
    pub inventory: Arc<Inventory>,
    /// Answers `vars_prompt`: the question, whether typing is hidden; none where nobody can be asked.
    pub prompt: Arc<Prompt>,
    /// Who looks on, and may say no.
    pub watch: Option<Arc<dyn Watch>>,
    /// Hosts that are worked on at once.
    pub slots: tokio::sync::Semaphore,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("id", &self.id).field("hosts", &self.hosts.len()).finish_non_exhaustive()
    }
}

impl Shared {
    /// Tells an event; nobody waits for it.
    pub fn tell(&self, event: Event) {
        // A report that has gone away is no reason to stop.
        let _ = self.events.send(event);
    }
}

/// The version of Ansible's language that is followed, as playbooks ask for it.
pub fn language_version() -> Value {
    Value::from_pairs([
        ("full", Value::from("2.19.0")),
        ("major", Value::from(2)),
        ("minor", Value::from(19)),
        ("revision", Value::from(0)),
        ("string", Value::from("2.19.0")),
    ])
}
