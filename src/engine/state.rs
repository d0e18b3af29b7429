//! Where a host is in a play, and what it has learned there. Cheap to clone, so that the engine can look ahead.

use super::code::{Code, HandlerSet, Unit};
use super::event::{Event, Stats, TaskInfo};
use super::scope::Layer;
use super::world::Seat;
use crate::host::{Decision, Output, TaskResult};
use crate::playbook::{RoleUse, Vars};
use crate::values::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Whether a host takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Running,
    /// A task failed and nothing rescued it.
    Failed,
    /// It could not be reached.
    Unreachable,
    /// It is through, or `meta: end_host` said so.
    Ended,
}

/// The end of a step that all hosts finish together: what it came to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// The host goes on.
    Passed,
    /// It has failed.
    Failed,
}

/// A place in some code.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The code.
    pub code: Arc<Code>,
    /// The next instruction.
    pub pc: usize,
    /// Regions whose failure is held back while their `always` runs.
    pub held: Vec<usize>,
    /// What brought it here.
    pub kind: FrameKind,
    /// Which of an include's items this is.
    pub round: u32,
    /// The include's further items: code and variables.
    pub rest: std::collections::VecDeque<(Arc<Code>, Vec<Layer>)>,
    /// Variables of the include that brought it here: its item and its own `vars`.
    pub locals: Vec<Layer>,
}

impl Frame {
    /// At the beginning of `code`.
    pub fn new(code: Arc<Code>, kind: FrameKind, locals: Vec<Layer>) -> Self {
        Self { code, pc: 0, held: Vec::new(), kind, round: 0, rest: std::collections::VecDeque::new(), locals }
    }
}

/// What brought a frame here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameKind {
    /// The play.
    Main,
    /// An include.
    Include,
    /// Notified handlers.
    Handlers,
}

/// A task that is being worked on.
#[derive(Debug, Clone)]
pub struct Flight {
    /// The task.
    pub unit: Arc<Unit>,
    /// For events.
    pub info: Arc<TaskInfo>,
    /// The loop's items; one without a value if there is no loop.
    pub items: Arc<Vec<Option<Value>>>,
    /// Which one is worked on.
    pub at: usize,
    /// The results of those before.
    pub results: Vec<TaskResult>,
    /// The item that is worked on.
    pub item: ItemFlight,
    /// Whether the items themselves are not known yet: they are looked at again each time.
    pub unknown_items: bool,
    /// Whether an item was foretold but not done, or failed (which the loop tells at its end).
    pub failed: bool,
}

/// An item that is being worked on.
#[derive(Debug, Clone, Default)]
pub struct ItemFlight {
    /// Which try of `until`, from 1.
    pub attempt: u32,
    /// Time that must pass first.
    pub pause: Option<std::time::Duration>,
    /// Arguments and identity, rendered once.
    pub frozen: Option<Arc<FrozenStep>>,
    /// What the module remembers.
    pub memory: Option<Value>,
    /// What the actions of the round before said.
    pub outputs: Vec<Output>,
    /// How many rounds of actions there were.
    pub round: u32,
    /// In a plan: what the rounds before foretold.
    pub foretold: Option<TaskResult>,
    /// Whether the module may only report now.
    pub reporting: bool,
    /// Whether no shell could be had for it: why says nothing of the task, and is told also under `no_log`.
    pub refused: bool,
    /// One line for each action done.
    pub shown: Vec<String>,
    /// How long the actions took, in microseconds.
    pub took: u64,
    /// The decision whose actions are under way or done.
    pub decision: Option<Arc<Decision>>,
}

/// What is rendered once for a step.
#[derive(Debug)]
pub struct FrozenStep {
    /// The arguments.
    pub args: Map,
    /// Who does it, and where.
    pub seat: Seat,
    /// Environment variables.
    pub environment: Vec<(String, String)>,
    /// Whether it is only foretold.
    pub check: bool,
    /// Whether differences are wanted.
    pub diff: bool,
    /// For the module.
    pub frozen: crate::host::view::Frozen,
    /// Seconds that it may take.
    pub timeout: Option<f64>,
    /// Whether it must survive a lost connection (`async`).
    pub durable: bool,
    /// Whether it goes on by itself (`poll: 0`), for at most so many seconds.
    pub detached: Option<u64>,
    /// At most so many hosts do it at once.
    pub throttle: Option<usize>,
    /// Whether something in it was drawn at random. Set also later, by the templates of its files.
    pub drawn: std::sync::atomic::AtomicBool,
}

/// Where a host is.
#[derive(Debug, Clone)]
pub struct HostState {
    /// Innermost last.
    pub frames: Vec<Frame>,
    /// Whether it takes part.
    pub standing: Standing,
    /// Results and `set_fact`.
    pub registered: Arc<Map>,
    /// Facts as `setup` names them, with `ansible_` in front.
    pub facts: Arc<Map>,
    /// `vars_files`, lowest first.
    pub vars_files: Arc<Vec<Arc<Vars>>>,
    /// `include_vars`, lowest first.
    pub include_vars: Vec<Layer>,
    /// Roles whose variables the whole play sees since they were included with `public`.
    pub public_roles: Vec<Arc<RoleUse>>,
    /// Handlers to run: their set (0 is the play's) and their place in it.
    pub notified: BTreeSet<(u32, usize)>,
    /// What the hosts are to remember of them until they have run.
    pub owed: Vec<super::handlers::Owed>,
    /// Whether it was stopped before the end of the play.
    pub stopped: bool,
    /// The handler that runs.
    pub handling: Option<(u32, usize)>,
    /// Handlers of roles that were included.
    pub late_handlers: Vec<Arc<HandlerSet>>,
    /// Whether there may be more of them: a result is not known.
    pub maybe_notified: bool,
    /// Uses of roles that have run.
    pub roles_done: Vec<Arc<RoleUse>>,
    /// What a `rescue` is told of the failure (`ansible_failed_task`, `ansible_failed_result`).
    pub failure: Option<Arc<Map>>,
    /// The task that is being worked on.
    pub flight: Option<Flight>,
    /// Counts.
    pub stats: Stats,
    /// What has happened, to be told.
    pub events: Vec<Event>,
    /// Whether the task that `--start-at-task` names has been reached.
    pub started: bool,
    /// Whether notified handlers run though the host has failed.
    pub flushing_failed: bool,
    /// The task at this place is done, and waits for the other hosts to have done it.
    pub settling: Option<Settling>,
    /// How many failures for all this host has heeded.
    pub fatal_seen: usize,
    /// Whether it fails because another host did.
    pub along: bool,
    /// Only for looking ahead: a step was passed that other hosts have not finished.
    pub behind: bool,
    /// How results depend on each other.
    pub depths: super::depth::Depths,
    /// Only for looking ahead: steps without an answer are taken as doing nothing.
    pub speculative: bool,
}

impl HostState {
    /// At the beginning of `code`.
    pub fn new(code: Arc<Code>, registered: Arc<Map>, facts: Arc<Map>, started: bool) -> Self {
        Self {
            frames: vec![Frame::new(code, FrameKind::Main, Vec::new())],
            standing: Standing::Running,
            registered,
            facts,
            vars_files: Arc::default(),
            include_vars: Vec::new(),
            public_roles: Vec::new(),
            notified: BTreeSet::new(),
            owed: Vec::new(),
            stopped: false,
            handling: None,
            late_handlers: Vec::new(),
            maybe_notified: false,
            roles_done: Vec::new(),
            failure: None,
            flight: None,
            stats: Stats::default(),
            events: Vec::new(),
            started,
            flushing_failed: false,
            settling: None,
            fatal_seen: 0,
            along: false,
            behind: false,
            depths: super::depth::Depths::default(),
            speculative: false,
        }
    }

    /// Its place, comparable with that of other hosts in the same play.
    pub fn position(&self) -> Vec<u32> {
        let mut position: Vec<u32> =
            self.frames.iter().flat_map(|f| [f.round, u32::try_from(f.pc).unwrap_or(u32::MAX)]).collect();
        // A task that is done, and still held, lies behind all that it may have brought, and before the next one.
        if self.frames.is_empty() || self.settling.is_some() {
            position.push(u32::MAX);
        }
        position
    }

    /// The innermost frame.
    pub fn frame(&mut self) -> Option<&mut Frame> {
        self.frames.last_mut()
    }

    /// Goes on to the next instruction.
    pub fn step(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.pc += 1;
        }
    }

    /// Keeps a variable.
    pub fn register(&mut self, name: &Arc<str>, value: Value) {
        Arc::make_mut(&mut self.registered).insert(Arc::clone(name), value);
    }

    /// Whether code of handlers is running.
    pub fn in_handlers(&self) -> bool {
        self.frames.iter().any(|f| f.kind == FrameKind::Handlers)
    }

    /// Goes no further, whatever would come. A failure that nothing can catch any more counts.
    pub fn stop(&mut self) {
        if self.standing == Standing::Running {
            self.stopped = true;
            self.standing = if self.settling == Some(Settling::Failed) {
                self.stats.failed += 1;
                Standing::Failed
            } else {
                Standing::Ended
            };
            self.frames.clear();
        }
    }

    /// A task failed here: goes on where that is caught. False if nothing catches it. `released` is the region whose
    /// `always` has just ended with a failure held back.
    pub fn fail(&mut self, mut released: Option<usize>) -> bool {
        self.flight = None;
        while let Some(frame) = self.frames.last_mut() {
            match frame.code.catch(frame.pc, released.take()) {
                Some((target, None)) => {
                    frame.pc = target;
                    self.stats.rescued += 1;
                    return true;
                }
                Some((target, Some(region))) => {
                    frame.pc = target;
                    frame.held.push(region);
                    return true;
                }
                None => {
                    self.frames.pop();
                }
            }
        }
        self.standing = Standing::Failed;
        false
    }
}
