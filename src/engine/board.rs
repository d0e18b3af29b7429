//! Where all hosts of a batch are: what barriers, `run_once` and `hostvars` look at.

use super::event::Stats;
use super::state::Standing;
use crate::host::TaskResult;
use crate::playbook::Play;
use crate::values::Map;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What one host shows to the others.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its place.
    pub position: Vec<u32>,
    /// Whether it takes part.
    pub standing: Standing,
    /// Its results and set facts.
    pub registered: Arc<Map>,
    /// Its facts.
    pub facts: Arc<Map>,
    /// Its counts.
    pub stats: Stats,
}

/// What `run_once` came to.
#[derive(Debug, Clone)]
pub struct Once {
    /// The result.
    pub result: TaskResult,
    /// Whether it failed.
    pub failed: bool,
}

#[derive(Debug, Default)]
struct Inner {
    hosts: HashMap<Arc<str>, Snapshot>,
    once: HashMap<Vec<u32>, Once>,
    /// Why everybody stops.
    abort: Option<String>,
    ended_play: bool,
}

/// The hosts of one batch of one play.
#[derive(Debug)]
pub struct Board {
    /// The play.
    pub play: Arc<Play>,
    /// Its rendered name.
    pub name: String,
    /// Answers to `vars_prompt`.
    pub prompted: Arc<Map>,
    /// All hosts of the play.
    pub all: Vec<Arc<str>>,
    /// Those of this batch, in order.
    pub batch: Vec<Arc<str>>,
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Board {
    /// A batch whose hosts all stand at the beginning. `others` are snapshots of hosts outside the batch.
    pub fn new(
        play: Arc<Play>,
        name: String,
        prompted: Arc<Map>,
        all: Vec<Arc<str>>,
        batch: Vec<Arc<str>>,
        others: HashMap<Arc<str>, Snapshot>,
    ) -> Self {
        Self {
            play,
            name,
            prompted,
            all,
            batch,
            inner: Mutex::new(Inner { hosts: others, ..Inner::default() }),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has moved on.
    pub fn publish(&self, host: &Arc<str>, snapshot: Snapshot) {
        let mut inner = self.lock();
        let moved = inner
            .hosts
            .get(host)
            .is_none_or(|old| old.position != snapshot.position || old.standing != snapshot.standing);
        inner.hosts.insert(Arc::clone(host), snapshot);
        drop(inner);
        if moved {
            self.changed.notify_waiters();
        }
    }

    /// What a host shows.
    pub fn snapshot(&self, host: &str) -> Snapshot {
        self.lock().hosts.get(host).cloned().unwrap_or_else(|| Snapshot {
            position: Vec::new(),
            standing: Standing::Ended,
            registered: Arc::default(),
            facts: Arc::default(),
            stats: Stats::default(),
        })
    }

    /// Whether a host has done all that comes before `position`; hosts that do not take part have.
    pub fn has_reached(&self, host: &str, position: &[u32]) -> bool {
        if !self.batch.iter().any(|h| &**h == host) {
            return true;
        }
        self.lock()
            .hosts
            .get(host)
            .is_some_and(|s| s.standing != Standing::Running || s.position.as_slice() >= position)
    }

    /// Whether all other hosts of the batch than `host` have done all that comes before `position`.
    pub fn others_reached(&self, host: &Arc<str>, position: &[u32]) -> bool {
        let inner = self.lock();
        self.batch.iter().filter(|h| *h != host).all(|h| {
            inner.hosts.get(h).is_some_and(|s| s.standing != Standing::Running || s.position.as_slice() >= position)
        })
    }

    /// The first host of the batch that still takes part: it does what is done once.
    pub fn first(&self) -> Option<Arc<str>> {
        let inner = self.lock();
        self.batch.iter().find(|h| inner.hosts.get(*h).is_none_or(|s| is_in(s.standing))).cloned()
    }

    /// The hosts of the play that have not failed.
    pub fn active(&self) -> Vec<Arc<str>> {
        let inner = self.lock();
        self.all.iter().filter(|h| inner.hosts.get(*h).is_none_or(|s| is_in(s.standing))).cloned().collect()
    }

    /// The hosts of the batch that have not failed.
    pub fn active_batch(&self) -> Vec<Arc<str>> {
        let inner = self.lock();
        self.batch.iter().filter(|h| inner.hosts.get(*h).is_none_or(|s| is_in(s.standing))).cloned().collect()
    }

    /// What a `run_once` at `position` came to, once it is done.
    pub fn once(&self, position: &[u32]) -> Option<Once> {
        self.lock().once.get(position).cloned()
    }

    /// A `run_once` is done.
    pub fn set_once(&self, position: Vec<u32>, once: Once) {
        self.lock().once.insert(position, once);
        self.changed.notify_waiters();
    }

    /// Everybody stops at the next step, without a failure; `play`: also the batches to come.
    pub fn end(&self, play: bool) {
        let mut inner = self.lock();
        inner.ended_play |= play;
        inner.abort.get_or_insert_with(|| "`meta` ended the play".to_owned());
        drop(inner);
        self.changed.notify_waiters();
    }

    /// Whether `meta: end_play` ended the play.
    pub fn play_ended(&self) -> bool {
        self.lock().ended_play
    }

    /// Everybody stops at the next step.
    pub fn abort(&self, why: String) {
        self.lock().abort.get_or_insert(why);
        self.changed.notify_waiters();
    }

    /// Why everybody stops.
    pub fn aborted(&self) -> Option<String> {
        self.lock().abort.clone()
    }

    /// How many hosts of the batch have failed or could not be reached.
    pub fn lost(&self) -> usize {
        let inner = self.lock();
        self.batch.iter().filter(|h| inner.hosts.get(*h).is_some_and(|s| !is_in(s.standing))).count()
    }

    /// Waits until `ready` holds; it is looked at again whenever a host moves.
    pub async fn wait(&self, ready: impl Fn(&Self) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if ready(self) || self.lock().abort.is_some() {
                return;
            }
            changed.await;
        }
    }
}

fn is_in(standing: Standing) -> bool {
    matches!(standing, Standing::Running | Standing::Ended)
}
