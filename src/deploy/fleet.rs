//! The hosts of one application, worked on side by side; every step is told as an event.

use super::far::{CallError, Extra, Far};
use super::spec::Spec;
use super::survey::Survey;
use crate::engine::deploy::{Deploy, DeployHost, Deployed};
use crate::engine::event::{Event, Stats, Status, StepResult, TaskInfo};
use crate::host::{Certainty, TaskResult};
use crate::values::Value as Data;
use indexmap::IndexMap;
use serde_json::Value;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// For how long a host that was lost is tried again before the step counts as failed.
const PATIENCE: Duration = Duration::from_secs(25);

/// Who deploys, as locks and records tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// `anna@laptop`; in CI, what the job is called.
    pub owner: String,
    /// The machine, by something that stays the same while it runs.
    pub machine: String,
    /// The process.
    pub process: u32,
}

/// Why the work does not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Halt {
    /// An operation failed.
    #[error("{error}")]
    Failed {
        /// On which host.
        host: Arc<str>,
        /// At what.
        step: String,
        /// Why.
        error: CallError,
    },
    /// Something is not as it has to be.
    #[error("{message}")]
    Wrong {
        /// A word for programs.
        kind: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Halt {
    /// Something is not as it has to be.
    pub fn wrong(kind: &'static str, message: impl Into<String>) -> Self {
        Self::Wrong { kind, message: message.into() }
    }

    /// Whether the lock is somebody else's now: then this run may touch nothing any more.
    pub fn lost_lock(&self) -> bool {
        matches!(self, Self::Failed { error, .. } if error.kind() == "lost-lock")
    }

    /// A word for programs.
    pub fn kind(&self) -> &str {
        match self {
            Self::Failed { error, .. } => error.kind(),
            Self::Wrong { kind, .. } => kind,
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether it speaks against the release, and not against the network, the lock or a person's patience.
    pub fn blames_release(&self) -> bool {
        match self {
            Self::Failed { error, .. } => !matches!(
                error.kind(),
                "lost" | "lost-lock" | "busy" | "shell" | "broken" | "timeout" | "system" | "disk-full" | "preflight"
            ),
            Self::Wrong { kind, .. } => *kind == "watch",
            Self::Interrupted => false,
        }
    }
}

/// The hosts of one application.
pub struct Fleet {
    /// What the play says.
    pub spec: Spec,
    /// What was handed over. Its hosts are in `fars`.
    pub deploy: Deploy,
    /// The hosts, in the order of the play.
    pub fars: Vec<Arc<Far>>,
    /// The hosts that balance.
    pub balancers: Vec<Arc<Far>>,
    /// What the lock knows this run by.
    pub token: String,
    /// Who.
    pub who: Who,
    /// When it began.
    pub begun: Instant,
    steps: AtomicU32,
    stats: Mutex<IndexMap<Arc<str>, Stats>>,
}

/// What came of a step on each host, by place.
pub type Outcomes = Vec<(usize, Result<Value, CallError>)>;

/// What a step's answer means for people: whether something changed, and a line.
pub type Reading = fn(&Value) -> (bool, String);

impl Fleet {
    /// The hosts of a play. Nothing is connected to.
    pub fn new(deploy: Deploy, spec: Spec, who: Who) -> Self {
        let token = uuid::Uuid::now_v7().simple().to_string();
        let common = spec.common(Some(&token), &who.owner);
        let far = |host: &DeployHost| Arc::new(Far::new(host.clone(), Arc::clone(&deploy.connector), common.clone()));
        let fars = deploy.hosts.iter().map(far).collect();
        // A balancer builds nothing: what the builds' secrets are is none of its business.
        let mut plain = common.clone();
        plain.remove("secrets");
        let balancer =
            |host: &DeployHost| Arc::new(Far::new(host.clone(), Arc::clone(&deploy.connector), plain.clone()));
        let balancers = deploy.balancers.iter().map(balancer).collect();
        Self {
            spec,
            deploy,
            fars,
            balancers,
            token,
            who,
            begun: Instant::now(),
            steps: AtomicU32::new(0),
            stats: Mutex::default(),
        }
    }

    /// The name of a host.
    pub fn name(&self, place: usize) -> &Arc<str> {
        self.fars[place].name()
    }

    /// Names of hosts, for people.
    pub fn names(&self, places: &[usize]) -> String {
        places.iter().map(|&p| &**self.name(p)).collect::<Vec<_>>().join(", ")
    }

    /// All hosts.
    pub fn everyone(&self) -> Vec<usize> {
        (0..self.fars.len()).collect()
    }

    /// Of these, those that serve the web.
    pub fn web(&self, places: &[usize]) -> Vec<usize> {
        places.iter().copied().filter(|&p| self.spec.duties[p].web).collect()
    }

    /// Tells people something.
    pub fn notice(&self, host: Option<usize>, text: impl Into<String>) {
        self.deploy.tell(Event::Notice { host: host.map(|p| Arc::clone(self.name(p))), text: text.into() });
    }

    /// Whether Ctrl-C was pressed.
    ///
    /// # Errors
    /// [`Halt::Interrupted`].
    pub fn go_on(&self) -> Result<(), Halt> {
        if self.deploy.interrupt.is_cancelled() { Err(Halt::Interrupted) } else { Ok(()) }
    }

    /// Runs an operation on hosts at once, and tells how it went on each.
    pub async fn step(
        &self,
        places: &[usize],
        name: &str,
        operation: &'static str,
        parameters: &(dyn Fn(usize) -> Value + Sync),
        extra: &(dyn Fn(usize) -> Extra + Sync),
        reading: Reading,
    ) -> Outcomes {
        let info = self.info(name);
        let mut running = JoinSet::new();
        for &place in places {
            let far = Arc::clone(&self.fars[place]);
            let (parameters, extra, info) = (parameters(place), extra(place), Arc::clone(&info));
            let events = self.deploy.events.clone();
            running.spawn(async move {
                let _ = events.send(Event::TaskStart { host: Arc::clone(far.name()), task: Arc::clone(&info) });
                let begun = Instant::now();
                let outcome = patiently(&far, operation, &parameters, &extra).await;
                (place, outcome, begun.elapsed())
            });
        }
        let mut outcomes = Vec::new();
        while let Some(done) = running.join_next().await {
            let Ok((place, outcome, took)) = done else { continue };
            self.tell(place, &info, &outcome, took, reading);
            outcomes.push((place, outcome));
        }
        outcomes.sort_by_key(|(place, _)| *place);
        outcomes
    }

    /// What a step is, to those who are told of it.
    pub(super) fn info(&self, name: &str) -> Arc<TaskInfo> {
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        Arc::new(TaskInfo {
            name: format!("{} : {name}", self.spec.args.app).into(),
            action: "deploy".into(),
            span: self.deploy.call.span.clone(),
            position: vec![u32::MAX, number],
            handler: false,
        })
    }

    /// Tells how a step went on a host.
    pub(super) fn tell(
        &self,
        place: usize,
        info: &Arc<TaskInfo>,
        outcome: &Result<Value, CallError>,
        took: Duration,
        reading: Reading,
    ) {
        let host = Arc::clone(self.name(place));
        let (status, result) = match outcome {
            Ok(value) => {
                let (changed, text) = reading(value);
                let mut result = TaskResult::ok();
                result.changed = changed;
                (
                    if changed { Status::Changed } else { Status::Ok },
                    if text.is_empty() { result } else { result.msg(text) },
                )
            }
            Err(error) => {
                let mut result = TaskResult::ok().msg(error.to_string());
                result.data.insert("kind".into(), Data::from(error.kind()));
                if !error.log().is_empty() {
                    let lines = error.log().iter().map(|l| Data::from(l.as_str())).collect();
                    result.data.insert("log".into(), Data::list(lines));
                }
                let lost = matches!(error, CallError::Lost(_));
                (if lost { Status::Unreachable } else { Status::Failed }, result)
            }
        };
        // A failure is counted when the deploy ends: what was lost and came back is none.
        if !matches!(status, Status::Failed | Status::Unreachable) {
            self.count(place, status);
        }
        self.deploy.tell(Event::Result(Box::new(StepResult {
            host,
            delegated: None,
            task: Arc::clone(info),
            item: None,
            summary: false,
            status,
            result,
            certainty: Certainty::Exact,
            actions: Vec::new(),
            took,
            retry: None,
        })));
    }

    /// Counts a result of a host.
    pub fn count(&self, place: usize, status: Status) {
        let mut stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        stats.entry(Arc::clone(self.name(place))).or_default().count(status);
    }

    /// A step that must succeed on all of these hosts.
    ///
    /// # Errors
    /// The first failure, by the order of the play; Ctrl-C, before it begins.
    pub async fn all(
        &self,
        places: &[usize],
        name: &str,
        operation: &'static str,
        parameters: &(dyn Fn(usize) -> Value + Sync),
        extra: &(dyn Fn(usize) -> Extra + Sync),
        reading: Reading,
    ) -> Result<Vec<(usize, Value)>, Halt> {
        self.go_on()?;
        let mut good = Vec::new();
        let mut bad = None;
        for (place, outcome) in self.step(places, name, operation, parameters, extra, reading).await {
            match outcome {
                Ok(value) => good.push((place, value)),
                Err(error) => {
                    bad.get_or_insert(Halt::Failed {
                        host: Arc::clone(self.name(place)),
                        step: name.to_owned(),
                        error,
                    });
                }
            }
        }
        match bad {
            Some(halt) => Err(halt),
            None => Ok(good),
        }
    }

    /// What is on these hosts, or why that can't be known. Where `locking` gives parameters for the lock of a host, it is
    /// taken in the same trip if it is free, which the survey's `lock` then tells.
    pub async fn look(
        &self,
        places: &[usize],
        locking: &(dyn Fn(usize) -> Option<Value> + Sync),
    ) -> Vec<(usize, Result<Survey, CallError>)> {
        let mut running = JoinSet::new();
        for &place in places {
            let far = Arc::clone(&self.fars[place]);
            self.deploy.tell(Event::Connecting { host: Arc::clone(far.name()) });
            let lock = locking(place);
            running.spawn(async move {
                let answer = match lock {
                    Some(asked) => far.call("lock", asked, Extra::default()).await.map(|mut told| told["look"].take()),
                    // Whoever only looks has no token, so that nothing is made for it on the host.
                    None => far.call("look", serde_json::json!({ "token": null }), Extra::default()).await,
                };
                let survey = answer.and_then(|value| {
                    Survey::read(value).map_err(|e| CallError::Broken {
                        message: format!("the host tells of itself in a way that is not understood: {e}"),
                        log: Vec::new(),
                    })
                });
                (place, survey)
            });
        }
        let mut found = Vec::new();
        while let Some(done) = running.join_next().await {
            found.extend(done.ok());
        }
        found.sort_by_key(|(place, _)| *place);
        found
    }

    /// Ends all shells; what the hosts count.
    pub async fn close(&self, failed: &[usize], unreachable: &[usize], go_on: bool) -> Deployed {
        for &place in failed {
            self.count(place, Status::Failed);
        }
        for &place in unreachable {
            self.count(place, Status::Unreachable);
        }
        let mut closing = JoinSet::new();
        let mut trips = 0;
        for far in self.fars.iter().chain(&self.balancers) {
            trips = trips.max(far.trips());
            let far = Arc::clone(far);
            closing.spawn(async move { tokio::time::timeout(Duration::from_secs(3), far.close()).await });
        }
        while closing.join_next().await.is_some() {}
        let stats = self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Deployed { stats, go_on, trips }
    }
}

/// Calls, and calls again where the connection was lost: every operation can be done twice.
pub(super) async fn patiently(
    far: &Far,
    operation: &'static str,
    parameters: &Value,
    extra: &Extra,
) -> Result<Value, CallError> {
    let mut lost = None;
    let mut fresh_starts = 0;
    loop {
        let begun = Instant::now();
        match far.call(operation, parameters.clone(), extra.clone()).await {
            Err(CallError::Lost(why)) => {
                // One that was at work for a while had reached the host: patience begins with its loss. Unless all that
                // took so long was connecting, so that this has an end.
                if begun.elapsed() > PATIENCE && fresh_starts < 3 {
                    fresh_starts += 1;
                    lost = None;
                }
                if lost.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                    return Err(CallError::Lost(why));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            other => return other,
        }
    }
}

/// A reading for steps whose answer says nothing: done, so changed.
pub fn changed(_: &Value) -> (bool, String) {
    (true, String::new())
}

/// A reading for steps that only look.
pub fn fine(_: &Value) -> (bool, String) {
    (false, String::new())
}

/// No parameters.
pub fn nothing(_: usize) -> Value {
    Value::Null
}

/// Nothing beside the operation.
pub fn plain(_: usize) -> Extra {
    Extra::default()
}
