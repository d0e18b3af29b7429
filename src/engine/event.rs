//! What the engine tells: one stream of events, which reports consume.

use crate::host::{Certainty, TaskResult};
use crate::source::Span;
use crate::values::Value;
use std::sync::Arc;
use std::time::Duration;

/// What a step came to on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// As it should be already.
    Ok,
    /// Changed, or in a plan: would be.
    Changed,
    /// Left out by a condition.
    Skipped,
    /// Failed.
    Failed,
    /// Failed, and the playbook says that this does not matter.
    Ignored,
    /// The host could not be reached.
    Unreachable,
    /// In a plan: only doing it will tell.
    Unknown,
}

/// The task that an event is about.
#[derive(Debug, Clone)]
pub struct TaskInfo {
    /// Its rendered name, with its role (`nginx : Install nginx`).
    pub name: Arc<str>,
    /// The module's short name, or what else it is (`include_tasks`).
    pub action: Arc<str>,
    /// Where it stands.
    pub span: Span,
    /// Its place in the play, for reports that want the playbook's order.
    pub position: Vec<u32>,
    /// Whether it is a handler.
    pub handler: bool,
}

/// One event.
#[derive(Debug, Clone)]
pub enum Event {
    /// A play begins with these hosts.
    PlayStart {
        /// Its name.
        name: String,
        /// Its hosts.
        hosts: Vec<Arc<str>>,
        /// Whether it only foretells.
        plan: bool,
    },
    /// A batch of `serial` begins.
    BatchStart {
        /// Its hosts.
        hosts: Vec<Arc<str>>,
    },
    /// A connection is being made.
    Connecting {
        /// Host.
        host: Arc<str>,
    },
    /// A host begins a task that takes time (an action has begun there).
    TaskStart {
        /// Host.
        host: Arc<str>,
        /// Task.
        task: Arc<TaskInfo>,
    },
    /// A large file is on its way to a host.
    Sending {
        /// Host.
        host: Arc<str>,
        /// Its name.
        file: String,
        /// Bytes sent so far.
        sent: u64,
        /// All its bytes.
        len: u64,
    },
    /// A step, or one item of its loop, is over.
    Result(Box<StepResult>),
    /// Something a person should know; the run goes on.
    Notice {
        /// Host, if it is about one.
        host: Option<Arc<str>>,
        /// What.
        text: String,
    },
    /// A document of its own, for people and for machines: a deploy's plan, a status.
    Document(Arc<Document>),
    /// A play is over.
    PlayEnd,
    /// The run is over.
    Recap {
        /// By host, in the order of the inventory.
        hosts: Vec<(Arc<str>, Stats)>,
        /// How long it took.
        took: Duration,
        /// What travelled.
        traffic: Traffic,
    },
}

/// A document that an event carries.
#[derive(Debug, Clone)]
pub struct Document {
    /// What it is (`deploy_plan`, `deploy_status`): the type of the JSON event.
    pub kind: &'static str,
    /// For people, line by line.
    pub lines: Vec<String>,
    /// For a change request, in Markdown; empty where the lines will do.
    pub markdown: Vec<String>,
    /// For machines.
    pub data: serde_json::Value,
}

/// A step, or one item of its loop, is over on a host.
#[derive(Debug, Clone)]
pub struct StepResult {
    /// Host.
    pub host: Arc<str>,
    /// The host that did it, where it was delegated.
    pub delegated: Option<Arc<str>>,
    /// Task.
    pub task: Arc<TaskInfo>,
    /// The item's label, if it is an item of a loop.
    pub item: Option<String>,
    /// Whether it is the whole loop's result, its items having been told before.
    pub summary: bool,
    /// What it came to.
    pub status: Status,
    /// The result, without secrets where the task says `no_log`.
    pub result: TaskResult,
    /// How sure it is, in a plan.
    pub certainty: Certainty,
    /// What was, or would be, done: one line each.
    pub actions: Vec<String>,
    /// How long the actions took.
    pub took: Duration,
    /// Which try of `retries` it was, from 1, and whether another follows.
    pub retry: Option<(u32, u32)>,
}

/// Counts for one host, as in Ansible's recap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stats {
    /// Tasks that ended well, changed ones included.
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// 1 if the host could not be reached.
    pub unreachable: u32,
    /// Tasks that failed and were not rescued.
    pub failed: u32,
    /// Tasks left out.
    pub skipped: u32,
    /// Failures that a `rescue` caught.
    pub rescued: u32,
    /// Failures that were ignored.
    pub ignored: u32,
    /// In a plan: tasks of which only doing them will tell.
    pub unknown: u32,
}

/// What travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// The most round trips that any host needed after the handshake.
    pub trips: u64,
    /// The most programs that any host was sent only to ask: the longest chain of answers that others depend on.
    pub asking: u64,
    /// The most programs that any host was sent to do something.
    pub acting: u64,
    /// The longest chain of results in which each was needed for the next (D of the cost model).
    pub chain: u64,
    /// The most steps of any host whose outcome was needed here before anything else could be sent.
    pub syncs: u64,
    /// Bytes sent, all hosts.
    pub sent: u64,
    /// Bytes received, all hosts.
    pub received: u64,
}

impl Stats {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.changed += other.changed;
        self.unreachable += other.unreachable;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.rescued += other.rescued;
        self.ignored += other.ignored;
        self.unknown += other.unknown;
    }

    /// Counts one result of a task (not of a loop's item).
    pub fn count(&mut self, status: Status) {
        match status {
            Status::Ok => self.ok += 1,
            Status::Changed => {
                self.ok += 1;
                self.changed += 1;
            }
            Status::Skipped => self.skipped += 1,
            Status::Failed => self.failed += 1,
            Status::Ignored => {
                self.ok += 1;
                self.ignored += 1;
            }
            Status::Unreachable => self.unreachable += 1,
            Status::Unknown => self.unknown += 1,
        }
    }
}

/// A result as the value that `register` keeps.
pub fn to_value(result: &TaskResult) -> Value {
    if result.unknown {
        return Value::Unknown;
    }
    let mut map = result.data.clone();
    map.entry("changed".into()).or_insert(Value::Bool(result.changed));
    map.insert("failed".into(), Value::Bool(result.failed));
    if result.skipped {
        map.insert("skipped".into(), Value::Bool(true));
    }
    if let Some(msg) = &result.msg {
        map.insert("msg".into(), Value::str(msg.as_str()));
    }
    Value::map(map)
}
