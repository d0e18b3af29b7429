//! Where all hosts of a batch are: what barriers, `run_once` and `hostvars` look at.

use super::event::Stats;
use super::hold::{Failure, Rules};
use super::places::{Bells, Places};
use super::state::Standing;
use crate::host::TaskResult;
use crate::playbook::Play;
use crate::values::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

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

impl Snapshot {
    /// Of a host that has done nothing yet.
    pub fn outside() -> Self {
        Self {
            position: Vec::new(),
            standing: Standing::Ended,
            registered: Arc::default(),
            facts: Arc::default(),
            stats: Stats::default(),
        }
    }
}

/// What `run_once` came to.
#[derive(Debug, Clone)]
pub struct Once {
    /// The result.
    pub result: TaskResult,
    /// Whether it failed.
    pub failed: bool,
}

/// Facts for a host that another one found out.
#[derive(Debug, Clone)]
pub struct Gift {
    /// The facts.
    pub facts: Arc<Map>,
    /// Whether they were set by `set_fact`.
    pub set: bool,
}

impl Gift {
    /// Adds them to what a host has.
    pub fn add(&self, registered: &mut Arc<Map>, facts: &mut Arc<Map>) {
        let own = Arc::make_mut(if self.set { registered } else { facts });
        own.extend(self.facts.iter().map(|(k, v)| (Arc::clone(k), v.clone())));
    }
}

#[derive(Debug, Default)]
struct Inner {
    hosts: HashMap<Arc<str>, Snapshot>,
    /// Where the hosts of the batch are that take part.
    places: Places,
    /// Who waits for what.
    bells: Bells,
    /// The names of the hosts that have not failed, of the play and of the batch; none once one of them has.
    active: Option<(Value, Value)>,
    once: HashMap<Vec<u32>, Once>,
    failures: Vec<Failure>,
    /// Facts that other hosts found out for a host (`delegate_facts`), and that it has not taken yet.
    gifts: Vec<(Arc<str>, Gift)>,
    /// Hosts whose failures `meta: clear_host_errors` has cleared, and the places where it did.
    pardoned: HashSet<Arc<str>>,
    pardons: HashSet<Vec<u32>>,
    /// How many hosts are in a task that is throttled, by its place, and who is called when one leaves it.
    inside: HashMap<Vec<u32>, (usize, Arc<Notify>)>,
    /// Why everybody stops.
    abort: Option<String>,
    ended_play: bool,
    ended: bool,
    interrupted: bool,
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
    /// What the play says of failures.
    pub rules: Rules,
    /// Special variables that are the same for all hosts and tasks of the batch.
    pub steady: OnceLock<Arc<Map>>,
    fatal: AtomicBool,
    given: AtomicBool,
    members: HashSet<Arc<str>>,
    inner: Mutex<Inner>,
    /// Everybody stops.
    stopped: Notify,
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
            members: batch.iter().cloned().collect(),
            batch,
            rules: Rules::default(),
            steady: OnceLock::new(),
            fatal: AtomicBool::new(false),
            given: AtomicBool::new(false),
            inner: Mutex::new(Inner { hosts: others, ..Inner::default() }),
            stopped: Notify::new(),
        }
    }

    /// With what the play says of failures.
    #[must_use]
    pub fn ruled(mut self, rules: Rules) -> Self {
        self.rules = rules;
        self
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A host has moved on. Only those are woken who wait for that: with thousands of hosts, each move would else wake
    /// all that stand at a barrier.
    pub fn publish(&self, host: &Arc<str>, snapshot: Snapshot) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let counts = is_in(snapshot.standing);
        let old = inner.hosts.get(host).map(|old| is_in(old.standing));
        if old != Some(counts) {
            inner.active = None;
        }
        if self.members.contains(host) {
            let runs = snapshot.standing == Standing::Running;
            inner.bells.ring(inner.places.put(host, runs.then_some(snapshot.position.as_slice())), host);
        }
        inner.hosts.insert(Arc::clone(host), snapshot);
    }

    /// What a host shows.
    pub fn snapshot(&self, host: &str) -> Snapshot {
        self.lock().hosts.get(host).cloned().unwrap_or_else(Snapshot::outside)
    }

    /// Whether a host has done all that comes before `position`; hosts that do not take part have.
    pub fn has_reached(&self, host: &str, position: &[u32]) -> bool {
        if !self.members.contains(host) {
            return true;
        }
        self.lock()
            .hosts
            .get(host)
            .is_some_and(|s| s.standing != Standing::Running || s.position.as_slice() >= position)
    }

    /// Whether all other hosts of the batch than `host` have done all that comes before `position`.
    pub fn others_reached(&self, host: &Arc<str>, position: &[u32]) -> bool {
        self.lock().places.others_reached(host, position)
    }

    /// Whether it is for this host to do what is done once at `position`: those before it in the batch take no part any
    /// more, or have passed by.
    pub fn leads(&self, host: &Arc<str>, position: &[u32]) -> bool {
        self.is_first(&self.lock(), host, position)
    }

    fn is_first(&self, inner: &Inner, host: &Arc<str>, position: &[u32]) -> bool {
        self.batch.iter().take_while(|h| *h != host).all(|h| {
            inner.hosts.get(h).is_some_and(|s| s.standing != Standing::Running || s.position.as_slice() > position)
        })
    }

    /// Keeps facts for another host.
    pub fn give(&self, host: &Arc<str>, gift: Gift) {
        let mut inner = self.lock();
        let works =
            self.members.contains(host) && inner.hosts.get(host).is_some_and(|s| s.standing == Standing::Running);
        // Nobody else tells of a host that does not work in this batch.
        if !works {
            let shown = inner.hosts.entry(Arc::clone(host)).or_insert_with(Snapshot::outside);
            gift.add(&mut shown.registered, &mut shown.facts);
        }
        inner.gifts.push((Arc::clone(host), gift));
        drop(inner);
        self.given.store(true, Ordering::Release);
    }

    /// Takes the facts that others found out for a host.
    pub fn take_gifts(&self, host: &str) -> Vec<Gift> {
        if !self.given.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut inner = self.lock();
        let (own, rest) = std::mem::take(&mut inner.gifts).into_iter().partition(|(h, _)| &**h == host);
        inner.gifts = rest;
        let own: Vec<(Arc<str>, Gift)> = own;
        own.into_iter().map(|(_, gift)| gift).collect()
    }

    /// Takes all that nobody has taken.
    pub fn left_gifts(&self) -> Vec<(Arc<str>, Gift)> {
        std::mem::take(&mut self.lock().gifts)
    }

    /// Clears the failures of all hosts of the play so far; only once at each place.
    pub fn pardon(&self, position: &[u32]) {
        let mut inner = self.lock();
        if !inner.pardons.insert(position.to_vec()) {
            return;
        }
        for host in &self.all {
            if let Some(shown) = inner.hosts.get_mut(host)
                && !is_in(shown.standing)
            {
                shown.standing = Standing::Ended;
                inner.pardoned.insert(Arc::clone(host));
                inner.active = None;
            }
        }
    }

    /// Hosts whose failures were cleared.
    pub fn pardoned(&self) -> Vec<Arc<str>> {
        self.lock().pardoned.iter().cloned().collect()
    }

    /// Notes that a host has failed.
    pub fn note_failure(&self, failure: Failure) {
        if failure.fatal {
            self.fatal.store(true, Ordering::Release);
        }
        self.lock().failures.push(failure);
    }

    /// Whether any failure was one for all.
    pub fn any_fatal(&self) -> bool {
        self.fatal.load(Ordering::Acquire)
    }

    /// How many failures for all there were before `position`, or at it, too.
    pub fn fatal_until(&self, position: &[u32], at: bool) -> usize {
        let inner = self.lock();
        let counts = |f: &&Failure| f.fatal && (f.position.as_slice() < position || at && f.position == position);
        inner.failures.iter().filter(counts).count()
    }

    /// Whether more hosts have failed up to `position` than `max_fail_percentage` allows. Hosts that could not be
    /// reached do not count, as in Ansible.
    pub fn too_many_failed(&self, position: &[u32]) -> bool {
        let Some(limit) = self.rules.max_fail else { return false };
        let inner = self.lock();
        let mut out: Vec<&Arc<str>> =
            inner.failures.iter().filter(|f| f.out && f.position.as_slice() <= position).map(|f| &f.host).collect();
        out.sort();
        out.dedup();
        exceeds(out.len(), self.batch.len(), limit)
    }

    /// Waits until fewer than `limit` hosts are in the task at `position`, and enters it. None if everybody stops.
    pub async fn enter(self: &Arc<Self>, position: &[u32], limit: usize) -> Option<Slot> {
        loop {
            let stopped = self.stopped.notified();
            tokio::pin!(stopped);
            stopped.as_mut().enable();
            let left = {
                let mut inner = self.lock();
                if inner.abort.is_some() {
                    return None;
                }
                let (inside, left) = inner.inside.entry(position.to_vec()).or_default();
                if *inside < limit {
                    *inside += 1;
                    return Some(Slot { board: Arc::clone(self), position: position.to_vec() });
                }
                Arc::clone(left)
            };
            tokio::select! {
                () = left.notified() => {}
                () = stopped => {}
            }
        }
    }

    /// The names of the hosts that have not failed, of the play and of the batch. Made once for all that ask, until one
    /// fails.
    pub fn active_names(&self) -> (Value, Value) {
        let mut inner = self.lock();
        let Inner { hosts, active, .. } = &mut *inner;
        let names = |list: &[Arc<str>]| {
            let of = list.iter().filter(|h| hosts.get(*h).is_none_or(|s| is_in(s.standing)));
            Value::list(of.map(|h| Value::Str(Arc::clone(h))).collect())
        };
        active.get_or_insert_with(|| (names(&self.all), names(&self.batch))).clone()
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
        let mut inner = self.lock();
        inner.bells.once(&position);
        inner.once.insert(position, once);
    }

    /// Everybody stops at the next step, without a failure; `play`: also the batches to come.
    pub fn end(&self, play: bool) {
        let mut inner = self.lock();
        inner.ended_play |= play;
        inner.ended = true;
        inner.abort.get_or_insert_with(|| "`meta` ended the play".to_owned());
        drop(inner);
        self.stopped.notify_waiters();
    }

    /// Whether `meta` ended the batch.
    pub fn ended(&self) -> bool {
        self.lock().ended
    }

    /// Whether `meta: end_play` ended the play.
    pub fn play_ended(&self) -> bool {
        self.lock().ended_play
    }

    /// Everybody stops at the next step.
    pub fn abort(&self, why: String) {
        self.lock().abort.get_or_insert(why);
        self.stopped.notify_waiters();
    }

    /// A person stops the run: nothing more is begun.
    pub fn interrupt(&self) {
        self.lock().interrupted = true;
        self.abort("interrupted".to_owned());
    }

    /// Whether a person has stopped the run.
    pub fn interrupted(&self) -> bool {
        self.lock().interrupted
    }

    /// Why everybody stops.
    pub fn aborted(&self) -> Option<String> {
        self.lock().abort.clone()
    }

    /// Waits until all other hosts of the batch have done what comes before `position`, where `host` itself has come; or
    /// until everybody stops.
    pub async fn wait_for_all(&self, host: &Arc<str>, position: &[u32]) {
        self.wait(|bells| Some(bells.for_all(position)), |inner| inner.places.others_reached(host, position)).await;
    }

    /// Waits until these hosts have done what comes before `position`, or everybody stops.
    pub async fn wait_for(&self, hosts: &[Arc<str>], position: &[u32]) {
        let behind = || hosts.iter().find(|host| !self.has_reached(host, position));
        while let Some(host) = behind().filter(|_| self.aborted().is_none()) {
            self.wait(|bells| Some(bells.for_host(host)), |inner| inner.places.has_reached(host, position)).await;
        }
    }

    /// Waits until what is done once at `position` is done, or it is for `host` to do it, or everybody stops.
    pub async fn wait_once(&self, host: &Arc<str>, position: &[u32]) {
        let ready = |inner: &Inner| inner.once.contains_key(position) || self.is_first(inner, host, position);
        self.wait(|bells| Some(bells.for_once(position)), ready).await;
    }

    /// Waits until everybody stops.
    pub async fn wait_for_stop(&self) {
        self.wait(|_| None, |_| false).await;
    }

    /// Waits until `ready` holds, which is looked at again when the bell rings, or until everybody stops.
    async fn wait(&self, bell: impl Fn(&mut Bells) -> Option<CancellationToken>, ready: impl Fn(&Inner) -> bool) {
        loop {
            let stopped = self.stopped.notified();
            tokio::pin!(stopped);
            stopped.as_mut().enable();
            let bell = {
                let mut inner = self.lock();
                if inner.abort.is_some() || ready(&inner) {
                    return;
                }
                bell(&mut inner.bells)
            };
            let Some(bell) = bell else {
                stopped.await;
                continue;
            };
            tokio::select! {
                () = bell.cancelled() => {}
                () = stopped => {}
            }
        }
    }
}

/// A place in a throttled task; dropping it lets the next host in.
#[derive(Debug)]
pub struct Slot {
    board: Arc<Board>,
    /// The task's place.
    pub position: Vec<u32>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some((inside, left)) = self.board.lock().inside.get_mut(&self.position) {
            *inside -= 1;
            left.notify_one();
        }
    }
}

/// Whether `failed` of `hosts` are more than `limit` percent.
pub fn exceeds(failed: usize, hosts: usize, limit: f64) -> bool {
    failed as f64 * 100.0 > limit * hosts as f64
}

fn is_in(standing: Standing) -> bool {
    matches!(standing, Standing::Running | Standing::Ended)
}
