//! What a module sees of a machine, and what it decides.

use super::action::{Action, Output, Source};
use super::answer::{Answer, PathState, TreeEntry};
use super::key::clean;
use super::question::{Algorithm, Probe, Question};
use crate::values::{Map, Value};
use std::cell::RefCell;
use std::sync::Arc;

/// What is known of a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    /// It can be asked.
    Pending,
    /// The answer.
    Known(Answer),
    /// It will be known only after something is applied: why.
    Unknown(Arc<str>),
}

/// Where answers come from: the engine's world, or a map in a test.
pub trait Answers {
    /// What is known now.
    fn held(&self, question: &Question) -> Held;
}

/// The controller's files and templates, for modules that send them.
pub trait Controller {
    /// A file to send. `kind` is the folder of a role in which it is looked for (`files`, `templates`).
    ///
    /// # Errors
    /// A sentence that names the places looked at.
    fn source(&self, kind: &str, path: &str) -> Result<Source, String>;

    /// All files below a folder to send, as `(path below it, file; none for a folder)`, sorted.
    ///
    /// # Errors
    /// A sentence that names the places looked at.
    fn source_tree(&self, kind: &str, path: &str) -> Result<Vec<(String, Option<Source>)>, String>;

    /// Whether `path` names a folder of the controller.
    fn is_folder(&self, kind: &str, path: &str) -> bool;

    /// The text of a file, rendered as a template with the step's variables. None if it needs a value that is known
    /// only after apply.
    ///
    /// # Errors
    /// [`Stop`]: a failure with the place in the template, or a pause where a variable is not known yet.
    fn template(&self, path: &str, options: &Map) -> Result<Option<String>, Stop>;

    /// The bytes of a file on the controller.
    ///
    /// # Errors
    /// A sentence that says what could not be read.
    fn read(&self, kind: &str, path: &str) -> Result<Vec<u8>, String>;
}

/// Why a module does not decide now.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// Questions are open; the module is called again when they are answered.
    Pause,
    /// What it needs will be known only after apply: why.
    Unknown(Arc<str>),
    /// The step fails.
    Fail(Box<Failure>),
}

/// A failed step.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Failure {
    /// What is wrong and what to do.
    pub message: String,
    /// Further result fields (`rc`, `stdout`…).
    pub data: Map,
}

impl Stop {
    /// The step fails with a message.
    pub fn fail(message: impl Into<String>) -> Self {
        Self::Fail(Box::new(Failure { message: message.into(), data: Map::new() }))
    }
}

impl From<String> for Stop {
    fn from(message: String) -> Self {
        Self::fail(message)
    }
}

/// Who runs things on the machine, as the far side said when it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// Name.
    pub user: String,
    /// Number.
    pub uid: u32,
    /// Primary group's name.
    pub group: String,
    /// Primary group's number.
    pub gid: u32,
    /// Home folder.
    pub home: String,
}

impl WhoAmI {
    /// root
    pub fn root() -> Self {
        Self { user: "root".into(), uid: 0, group: "root".into(), gid: 0, home: "/root".into() }
    }
}

/// How sure a decision is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certainty {
    /// What it says is what happens.
    Exact,
    /// It rests on something not checked: what.
    Assumed(String),
    /// Only doing it will tell.
    KnownAfterApply,
}

/// What follows the actions of a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// The result stands once all actions have succeeded.
    Done,
    /// The module makes the result from the actions' outputs ([`View::outputs`]); it acts no more. It is called also
    /// when an action failed.
    Report,
    /// The module looks again, with this memory ([`View::memory`]) and the outputs so far.
    Again(Value),
}

/// Before and after, for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// What the text before is called.
    pub before_header: String,
    /// What the text after is called.
    pub after_header: String,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

/// What a step came to. The field names are those of Ansible's results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskResult {
    /// Whether something was, or in a plan would be, changed.
    pub changed: bool,
    /// Whether it failed.
    pub failed: bool,
    /// Whether it was left out.
    pub skipped: bool,
    /// Whether nothing more is known of it than that it will be known after apply: whatever is asked of it is unknown.
    pub unknown: bool,
    /// One sentence.
    pub msg: Option<String>,
    /// Before and after.
    pub diff: Vec<Diff>,
    /// All further fields.
    pub data: Map,
}

impl TaskResult {
    /// Nothing changed.
    pub fn ok() -> Self {
        Self::default()
    }

    /// Changed or not.
    pub fn changed(changed: bool) -> Self {
        Self { changed, ..Self::default() }
    }

    /// The same with a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.data.insert(name.into(), value.into());
        self
    }

    /// The same with a message.
    #[must_use]
    pub fn msg(mut self, text: impl Into<String>) -> Self {
        self.msg = Some(text.into());
        self
    }

    /// The same with a diff.
    #[must_use]
    pub fn diff(mut self, diff: Diff) -> Self {
        self.diff.push(diff);
        self
    }
}

/// What a module decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The result, or the one that is foretold where `next` is not [`Next::Done`]; a field known only after apply is
    /// [`Value::Unknown`].
    pub result: TaskResult,
    /// How sure it is.
    pub certainty: Certainty,
    /// What to do, in order.
    pub actions: Vec<Action>,
    /// What follows.
    pub next: Next,
    /// Files to write on the controller once the step is done; only where there are no actions.
    pub saves: Vec<Save>,
}

/// A file to write on the controller.
#[derive(Debug, Clone, PartialEq)]
pub struct Save {
    /// Where.
    pub path: std::path::PathBuf,
    /// What.
    pub bytes: Arc<[u8]>,
    /// One line for a plan.
    pub shows: String,
}

impl Decision {
    /// Nothing to do.
    pub fn nothing(result: TaskResult) -> Self {
        Self { result, certainty: Certainty::Exact, actions: Vec::new(), next: Next::Done, saves: Vec::new() }
    }

    /// These actions, whose success makes `result` true. Without actions it is the same as [`Decision::nothing`].
    pub fn act(result: TaskResult, actions: Vec<Action>) -> Self {
        Self { result, certainty: Certainty::Exact, actions, next: Next::Done, saves: Vec::new() }
    }

    /// These actions; the module then makes the result from their outputs. `foretold` is shown in a plan.
    pub fn report(foretold: TaskResult, actions: Vec<Action>) -> Self {
        Self { result: foretold, certainty: Certainty::KnownAfterApply, actions, next: Next::Report, saves: Vec::new() }
    }

    /// These actions; the module then looks again.
    pub fn again(foretold: TaskResult, actions: Vec<Action>, memory: Value) -> Self {
        Self {
            result: foretold,
            certainty: Certainty::KnownAfterApply,
            actions,
            next: Next::Again(memory),
            saves: Vec::new(),
        }
    }
}

/// What is frozen for a step, so that a second call decides the same.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The time, seconds since 1970.
    pub now: i64,
    /// A number that no other step has, in hexadecimal.
    pub nonce: String,
}

/// What a module sees of a machine. It asks through this and nothing else.
pub struct View<'a> {
    answers: &'a dyn Answers,
    controller: &'a dyn Controller,
    whoami: &'a WhoAmI,
    frozen: &'a Frozen,
    memory: Option<&'a Value>,
    outputs: &'a [Output],
    wants_diff: bool,
    asked: RefCell<Vec<Question>>,
    relied: RefCell<Vec<Question>>,
}

impl<'a> View<'a> {
    /// A view for one call of a module.
    pub fn new(
        answers: &'a dyn Answers,
        controller: &'a dyn Controller,
        whoami: &'a WhoAmI,
        frozen: &'a Frozen,
    ) -> Self {
        Self {
            answers,
            controller,
            whoami,
            frozen,
            memory: None,
            outputs: &[],
            wants_diff: false,
            asked: RefCell::default(),
            relied: RefCell::default(),
        }
    }

    /// The same view for a later round: what the module remembered, and what its actions so far said.
    #[must_use]
    pub fn round(mut self, memory: Option<&'a Value>, outputs: &'a [Output]) -> Self {
        self.memory = memory;
        self.outputs = outputs;
        self
    }

    /// The same view for a run that shows diffs, or not (the default).
    #[must_use]
    pub fn diffing(mut self, wanted: bool) -> Self {
        self.wants_diff = wanted;
        self
    }

    /// Whether a diff of file contents will be shown: only then is the former content worth a question.
    pub fn wants_diff(&self) -> bool {
        self.wants_diff
    }

    /// Any question. The answer is of the question's kind.
    ///
    /// # Errors
    /// [`Stop::Pause`] while the answer is open, [`Stop::Unknown`] where only apply will tell, and a failure where the
    /// host could not say.
    pub fn ask(&self, question: Question) -> Result<Answer, Stop> {
        match self.answers.held(&question) {
            Held::Pending => {
                self.asked.borrow_mut().push(question);
                Err(Stop::Pause)
            }
            Held::Unknown(why) => {
                self.relied.borrow_mut().push(question);
                Err(Stop::Unknown(why))
            }
            Held::Known(answer) => {
                self.relied.borrow_mut().push(question);
                match answer {
                    Answer::Refused(why) => Err(Stop::fail(why)),
                    answer => Ok(answer),
                }
            }
        }
    }

    /// What is at a path, a link at the end not followed.
    ///
    /// # Errors
    /// As [`View::ask`].
    pub fn path(&self, path: &str) -> Result<PathState, Stop> {
        self.path_with(path, false, None)
    }

    /// What is at a path.
    ///
    /// # Errors
    /// As [`View::ask`].
    pub fn path_with(&self, path: &str, follow: bool, digest: Option<Algorithm>) -> Result<PathState, Stop> {
        match self.ask(Question::Path { path: clean(path), follow, digest })? {
            Answer::Path(state) => Ok(state),
            _ => Err(wrong_kind()),
        }
    }

    /// The bytes of a file; none if there is none.
    ///
    /// # Errors
    /// As [`View::ask`].
    pub fn content(&self, path: &str) -> Result<Option<Arc<[u8]>>, Stop> {
        match self.ask(Question::Content { path: clean(path) })? {
            Answer::Content(bytes) => Ok(bytes),
            _ => Err(wrong_kind()),
        }
    }

    /// All entries below a folder; none if there is no such folder.
    ///
    /// # Errors
    /// As [`View::ask`].
    pub fn tree(&self, path: &str, digest: Option<Algorithm>) -> Result<Option<Arc<Vec<TreeEntry>>>, Stop> {
        match self.ask(Question::Tree { path: clean(path), digest })? {
            Answer::Tree(entries) => Ok(entries),
            _ => Err(wrong_kind()),
        }
    }

    /// What a read-only script says.
    ///
    /// # Errors
    /// As [`View::ask`]; an exit status other than 0 is no error here.
    pub fn probe(&self, probe: Probe) -> Result<Output, Stop> {
        match self.ask(Question::Probe(probe))? {
            Answer::Output(output) => Ok(output),
            _ => Err(wrong_kind()),
        }
    }

    /// The controller's files and templates.
    pub fn controller(&self) -> &dyn Controller {
        self.controller
    }

    /// Who runs things on the machine.
    pub fn whoami(&self) -> &WhoAmI {
        self.whoami
    }

    /// The step's time, seconds since 1970: the same at every call.
    pub fn now(&self) -> i64 {
        self.frozen.now
    }

    /// The step's own number, in hexadecimal: the same at every call.
    pub fn nonce(&self) -> &str {
        &self.frozen.nonce
    }

    /// What the module remembered when it asked to look again.
    pub fn memory(&self) -> Option<&Value> {
        self.memory
    }

    /// What the actions of the round before said, in order; empty in the first round. Shorter than the list of actions
    /// if one failed.
    pub fn outputs(&self) -> &[Output] {
        self.outputs
    }

    /// For the engine: the open questions of this call, and those whose answers it has seen.
    pub fn finish(self) -> (Vec<Question>, Vec<Question>) {
        (self.asked.into_inner(), self.relied.into_inner())
    }
}

fn wrong_kind() -> Stop {
    Stop::fail("internal error: an answer of the wrong kind; please report it")
}
