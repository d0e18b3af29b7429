//! One evaluation: the variables it has rendered so far, what it is rendering now, and what came of it.

use super::convert::to_template;
use super::diagnose::{self, Place};
use super::engine::{self, Engine};
use super::error::{Signal, fail};
use super::escape;
use super::lazy::{Context, LazyNode, ScopesObject, label, walk};
use super::relax;
use super::scan;
use super::{Lookup, Scope, Scopes, Value};
use crate::source::{Diagnostic, Kind, Node, Span};
use minijinja as mj;
use minijinja::value::ValueKind;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Variables that stand on each other deeper than this are taken for a mistake; every level costs native stack.
const MAX_DEPTH: usize = 40;

/// What an evaluation came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Value(mj::Value),
    Undefined(Box<Diagnostic>),
    Unknown,
    Wait,
    Failed(Box<Diagnostic>),
}

impl From<Signal> for Outcome {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Wait => Self::Wait,
            Signal::Unknown => Self::Unknown,
            Signal::Failed(diagnostic) => Self::Failed(Box::new((*diagnostic).clone())),
        }
    }
}

/// Which part of which variable: the root by address (kept alive beside the key) and the way down.
type Slot = (usize, Vec<u32>);

/// A rendered part (none: undefined), and the root that its slot names.
type Rendered = (Arc<Node>, Option<mj::Value>);

/// A scope within others, by the address of those.
type OtherName = (usize, Arc<str>);

pub(crate) struct Evaluation {
    pub engine: Arc<Engine>,
    pub scope: Arc<dyn Scope>,
    rendered: Mutex<HashMap<Slot, Rendered>>,
    active: Mutex<Vec<(Slot, String, Span)>>,
    undefined: Mutex<HashMap<String, Diagnostic>>,
    others: Mutex<HashMap<OtherName, Arc<Evaluation>>>,
    draws: Mutex<HashMap<u64, u64>>,
    hint: Mutex<Option<String>>,
}

struct Frame {
    evaluation: Arc<Evaluation>,
    tainted: Option<Signal>,
    emitted: usize,
    written: usize,
    last: Option<mj::Value>,
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Something unknown was used where no error can be raised (in text, in a comparison).
pub(crate) fn taint() {
    taint_with(Signal::Unknown);
}

/// The same for any reason; a failure outweighs waiting, and waiting the unknown.
pub(crate) fn taint_with(signal: Signal) {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.last_mut() {
            match (&frame.tainted, &signal) {
                (Some(Signal::Failed(_)), _) | (Some(Signal::Wait), Signal::Unknown) => {}
                _ => frame.tainted = Some(signal),
            }
        }
    });
}

/// The evaluation that this thread is in.
pub(crate) fn current() -> Result<Arc<Evaluation>, mj::Error> {
    FRAMES
        .with_borrow(|frames| frames.last().map(|frame| Arc::clone(&frame.evaluation)))
        .ok_or_else(|| fail("no evaluation is running"))
}

/// The formatter has written a value.
pub(crate) fn emitted(value: &mj::Value, bytes: usize) {
    FRAMES.with_borrow_mut(|frames| {
        if let Some(frame) = frames.last_mut() {
            frame.emitted += 1;
            frame.written += bytes;
            frame.last = if frame.emitted == 1 { Some(value.clone()) } else { None };
        }
    });
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Evaluation {
    pub(crate) fn new(engine: &Arc<Engine>, scope: &Arc<dyn Scope>) -> Arc<Self> {
        Arc::new(Self {
            engine: Arc::clone(engine),
            scope: Arc::clone(scope),
            rendered: Mutex::default(),
            active: Mutex::default(),
            undefined: Mutex::default(),
            others: Mutex::default(),
            draws: Mutex::default(),
            hint: Mutex::default(),
        })
    }

    /// Runs `work` with this evaluation as the current one; also tells whether something unknown was used.
    fn enter<T>(
        self: &Arc<Self>,
        work: impl FnOnce(mj::Value) -> Result<T, mj::Error>,
    ) -> (Result<T, mj::Error>, Frame) {
        let frame = Frame { evaluation: Arc::clone(self), tainted: None, emitted: 0, written: 0, last: None };
        FRAMES.with_borrow_mut(|frames| frames.push(frame));
        let result = work(mj::Value::from_object(Context(Arc::downgrade(self))));
        let frame = FRAMES.with_borrow_mut(Vec::pop);
        let frame =
            frame.unwrap_or(Frame { evaluation: Arc::clone(self), tainted: None, emitted: 0, written: 0, last: None });
        (result, frame)
    }

    /// Runs `work` with this evaluation as the current one.
    pub(crate) fn within<T>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, mj::Error>,
    ) -> (Result<T, mj::Error>, Option<Signal>) {
        let (result, frame) = self.enter(|_| work());
        (result, frame.tainted)
    }

    /// A text of a file, templated if it holds a template.
    pub(crate) fn text(self: &Arc<Self>, text: &Arc<str>, span: &Span) -> Outcome {
        if !scan::is_template(text) {
            return Outcome::Value(mj::Value::from(Arc::clone(text)));
        }
        if let Some(inside) = scan::single_expression(text) {
            return self.expression(
                &text[inside.clone()],
                true,
                &Place { text, offset: inside.start, span, escaped: None },
            );
        }
        self.template(text, &engine::syntax_default(), true, &Place { text, offset: 0, span, escaped: None })
    }

    /// A bare expression; with `literal`, backslashes in its strings stand for themselves.
    pub(crate) fn expression(self: &Arc<Self>, source: &str, literal: bool, place: &Place<'_>) -> Outcome {
        let escaped = if literal { escape::escape_expression(source) } else { None };
        let place = &Place { escaped: escaped.as_ref(), ..*place };
        let source = escaped.as_ref().map_or(source, |e| &e.text);
        let compiled = match engine::expression(source) {
            Ok(compiled) => compiled,
            Err(error) => return Outcome::Failed(Box::new(diagnose::error(&error, place, self))),
        };
        let (mut result, mut frame) = self.enter(|context| compiled.strict.eval(context));
        if result.as_ref().is_err_and(diagnose::is_undefined)
            && let Some(relaxed) = compiled.relaxed()
        {
            (result, frame) = self.enter(|context| relaxed.eval(context));
        }
        if let (None, Some(signal)) = (result.as_ref().err().and_then(Signal::find), frame.tainted.take()) {
            return Outcome::from(signal);
        }
        match result {
            Ok(value) if value.is_undefined() => {
                // Only an error carries the name of what is undefined: printing the value makes one.
                let text = format!("{{{{{source}}}}}");
                let (printed, _) = self.enter(|context| engine::render(&engine::syntax_default(), "", &text, context));
                let moved = Place { offset: place.offset.saturating_sub(2), ..*place };
                Outcome::Undefined(Box::new(match printed {
                    Err(error) => diagnose::error(&error, &moved, self),
                    Ok(_) => diagnose::undefined(place, source.trim()),
                }))
            }
            Ok(value) => Self::finish(value),
            Err(error) => self.outcome(&error, place),
        }
    }

    /// A template of text and expressions. With `native`, one that puts out exactly one value and nothing else is that
    /// value.
    pub(crate) fn template(
        self: &Arc<Self>,
        text: &str,
        syntax: &engine::Syntax,
        native: bool,
        place: &Place<'_>,
    ) -> Outcome {
        let escaped = if native { escape::escape_template(text, &syntax.delimiters) } else { None };
        let place = &Place { escaped: escaped.as_ref(), ..*place };
        let text = escaped.as_ref().map_or(text, |e| &e.text);
        let name = if native { String::new() } else { place.span.file.name.clone() };
        let (mut result, mut frame) = self.enter(|context| engine::render(syntax, &name, text, context));
        if result.as_ref().is_err_and(diagnose::is_undefined)
            && engine::forgives(text)
            && let Some(relaxed) = relax::relax_template(text, &syntax.delimiters)
        {
            let (again, second) = self.enter(|context| engine::render(syntax, &name, &relaxed, context));
            // Offsets in the rewritten text mean nothing to a reader: the first error stays.
            if again.is_ok() || !again.as_ref().is_err_and(diagnose::is_undefined) {
                (result, frame) = (again, second);
            }
        }
        if let (None, Some(signal)) = (result.as_ref().err().and_then(Signal::find), frame.tainted.take()) {
            return Outcome::from(signal);
        }
        match result {
            Ok(text) if native && frame.emitted == 1 && frame.written == text.len() && frame.last.is_some() => {
                Self::finish(frame.last.unwrap_or_default())
            }
            Ok(text) => Outcome::Value(mj::Value::from(text)),
            Err(error) => self.outcome(&error, place),
        }
    }

    fn finish(value: mj::Value) -> Outcome {
        if value.kind() == ValueKind::Invalid {
            return Signal::find(&super::convert::invalid(&value)).unwrap_or(Signal::Unknown).into();
        }
        Outcome::Value(value)
    }

    fn outcome(self: &Arc<Self>, error: &mj::Error, place: &Place<'_>) -> Outcome {
        if let Some(signal) = Signal::find(error) {
            signal.into()
        } else {
            let diagnostic = Box::new(diagnose::error(error, place, self));
            if diagnose::is_undefined(error) { Outcome::Undefined(diagnostic) } else { Outcome::Failed(diagnostic) }
        }
    }

    /// What was found out about a variable that came out undefined.
    pub(crate) fn why_undefined(&self, name: &str) -> Option<Diagnostic> {
        lock(&self.undefined).get(name).cloned()
    }

    /// The variable `name`, as an expression sees it.
    pub(crate) fn variable(self: &Arc<Self>, name: &str) -> Option<mj::Value> {
        match self.scope.get(name) {
            Lookup::Undefined if name == "vars" => Some(mj::Value::from_object(Context(Arc::downgrade(self)))),
            Lookup::Undefined => None,
            Lookup::Data(value) => Some(to_template(&value)),
            Lookup::Wait => Some(Signal::Wait.value()),
            Lookup::Template(node) => self.node(&node, &[], &Arc::from(name)),
            Lookup::Scopes(scopes) => {
                Some(mj::Value::from_object(ScopesObject { owner: Arc::downgrade(self), scopes }))
            }
        }
    }

    /// A node of a variable, rendered when it is used; none if it comes out undefined.
    pub(crate) fn node(self: &Arc<Self>, root: &Arc<Node>, path: &[u32], name: &Arc<str>) -> Option<mj::Value> {
        let node = walk(root, path)?;
        match (&node.kind, node.tag.as_deref()) {
            (Kind::Null, _) => Some(mj::Value::from(())),
            (Kind::Bool(b), _) => Some(mj::Value::from(*b)),
            (Kind::Int(i), _) => Some(mj::Value::from(*i)),
            (Kind::Float(x), _) => Some(mj::Value::from(*x)),
            (_, Some("unsafe")) => Some(to_template(&Value::from(node))),
            (Kind::List(_) | Kind::Map(_), _) => Some(mj::Value::from_object(LazyNode {
                owner: Arc::downgrade(self),
                root: Arc::clone(root),
                path: path.to_vec(),
                name: Arc::clone(name),
            })),
            (Kind::Str(text), None) if !scan::is_template(text) => Some(mj::Value::from(Arc::clone(text))),
            (Kind::Str(text), tag) => {
                let slot: Slot = (Arc::as_ptr(root) as usize, path.to_vec());
                if let Some((_, value)) = lock(&self.rendered).get(&slot) {
                    return value.clone();
                }
                if let Some(looped) = self.enter_variable(&slot, name, &node.span) {
                    return Some(looped);
                }
                let outcome =
                    if tag == Some("vault") { self.vault(text, &node.span) } else { self.text(text, &node.span) };
                lock(&self.active).pop();
                let value = match outcome {
                    Outcome::Value(value) => Some(value),
                    Outcome::Undefined(diagnostic) => {
                        lock(&self.undefined).insert(label(name, root, path), *diagnostic);
                        None
                    }
                    Outcome::Unknown => Some(Signal::Unknown.value()),
                    Outcome::Wait => return Some(Signal::Wait.value()),
                    Outcome::Failed(diagnostic) => Some(Signal::Failed(Arc::from(diagnostic)).value()),
                };
                lock(&self.rendered).insert(slot, (Arc::clone(root), value.clone()));
                value
            }
        }
    }

    /// Notes that a variable is being rendered; an error value if it already is, or if this goes too deep.
    fn enter_variable(&self, slot: &Slot, name: &Arc<str>, span: &Span) -> Option<mj::Value> {
        let mut active = lock(&self.active);
        let again = active.iter().position(|(other, ..)| other == slot);
        let deep = FRAMES.with_borrow(Vec::len) >= MAX_DEPTH;
        if again.is_none() && !deep {
            active.push((slot.clone(), name.to_string(), span.clone()));
            return None;
        }
        let from = again.unwrap_or(0);
        let chain = active[from..].iter().map(|(_, name, _)| format!("`{name}`")).chain([format!("`{name}`")]);
        let chain = chain.collect::<Vec<_>>().join(" → ");
        let diagnostic = if again.is_some() {
            let mut diagnostic =
                Diagnostic::error("variable-cycle", format!("`{name}` is defined by itself: {chain}"), span)
                    .label("here");
            for (_, other, at) in active[from..].iter().skip(1) {
                diagnostic = diagnostic.also(at, format!("through `{other}`"));
            }
            diagnostic.help("give one of them another name, or a value of its own")
        } else {
            Diagnostic::error(
                "variable-depth",
                format!("variables stand on each other more than {MAX_DEPTH} deep: {chain}"),
                span,
            )
        };
        Some(Signal::Failed(Arc::new(diagnostic)).value())
    }

    pub(crate) fn vault(&self, text: &str, span: &Span) -> Outcome {
        match self.engine.decrypt(text) {
            Ok(plain) => Outcome::Value(mj::Value::from(plain)),
            Err(message) => {
                Outcome::Failed(Box::new(Diagnostic::error("vault", message, span).label("can't be decrypted")))
            }
        }
    }

    /// The evaluation of another scope that is reached from this one (`hostvars`).
    pub(crate) fn other(&self, scopes: &Arc<dyn Scopes>, name: &str) -> Option<Arc<Evaluation>> {
        let key = (Arc::as_ptr(scopes).cast::<()>() as usize, Arc::<str>::from(name));
        if let Some(evaluation) = lock(&self.others).get(&key) {
            return Some(Arc::clone(evaluation));
        }
        let evaluation = Evaluation::new(&self.engine, &scopes.scope(name)?);
        lock(&self.others).insert(key, Arc::clone(&evaluation));
        Some(evaluation)
    }

    /// Remembers what `undef()` was told, for the message.
    pub(crate) fn set_hint(&self, hint: String) {
        *lock(&self.hint) = Some(hint);
    }

    /// What the last `undef()` was told.
    pub(crate) fn take_hint(&self) -> Option<String> {
        lock(&self.hint).take()
    }

    /// A number that is the same whenever the same step draws it again: `what` says what it is for.
    pub(crate) fn draw(&self, what: &str) -> u64 {
        let key = super::random::mix(what.as_bytes(), self.scope.seed() ^ self.engine.options.seed);
        let mut draws = lock(&self.draws);
        let count = draws.entry(key).or_insert(0);
        *count += 1;
        super::random::mix(&count.to_le_bytes(), key)
    }
}
