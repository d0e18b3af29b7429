//! Variables as objects of the template engine, rendered part by part when they are used.

use super::Map;
use super::Scopes;
use super::Value;
use super::convert::{from_template, invalid, key_text};
use super::error::{Signal, fail};
use super::evaluation::{Evaluation, taint, taint_with};
use crate::source::{Diagnostic, Kind, Node};
use minijinja as mj;
use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use std::fmt::{self, Write};
use std::sync::{Arc, Weak};

pub(super) fn walk<'a>(root: &'a Node, path: &[u32]) -> Option<&'a Node> {
    let mut node = root;
    for step in path {
        let step = *step as usize;
        node = match &node.kind {
            Kind::List(items) => items.get(step)?,
            Kind::Map(entries) => &entries.get(step)?.value,
            _ => return None,
        };
    }
    Some(node)
}

/// `name.key[0]`, as a reader would write it.
pub(super) fn label(name: &str, root: &Node, path: &[u32]) -> String {
    let mut out = name.to_owned();
    let mut node = root;
    for step in path {
        let index = *step as usize;
        match &node.kind {
            Kind::Map(entries) if index < entries.len() => {
                out.push('.');
                out.push_str(&entries[index].key);
                node = &entries[index].value;
            }
            Kind::List(items) if index < items.len() => {
                let _ = write!(out, "[{index}]");
                node = &items[index];
            }
            _ => break,
        }
    }
    out
}

/// The names of a scope, as the root of an expression or as `vars`.
pub(super) struct Context(pub Weak<Evaluation>);

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("variables")
    }
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &mj::Value) -> Option<mj::Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<mj::Value> {
        self.0.upgrade()?.variable(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.0.upgrade().map(|e| e.scope.names()).unwrap_or_default();
        Enumerator::Values(names.into_iter().map(mj::Value::from).collect())
    }
}

/// Many scopes by name.
pub(super) struct ScopesObject {
    pub owner: Weak<Evaluation>,
    pub scopes: Arc<dyn Scopes>,
}

impl fmt::Debug for ScopesObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hosts' variables")
    }
}

impl Object for ScopesObject {
    fn get_value(self: &Arc<Self>, key: &mj::Value) -> Option<mj::Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<mj::Value> {
        let evaluation = self.owner.upgrade()?.other(&self.scopes, key)?;
        Some(mj::Value::from_object(Context(Arc::downgrade(&evaluation))))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.scopes.names().into_iter().map(mj::Value::from).collect())
    }
}

/// A list or mapping of a variable, whose elements are rendered one by one when they are used.
pub(crate) struct LazyNode {
    pub(super) owner: Weak<Evaluation>,
    pub(super) root: Arc<Node>,
    pub(super) path: Vec<u32>,
    pub(super) name: Arc<str>,
}

impl LazyNode {
    fn at(&self) -> Option<&Node> {
        walk(&self.root, &self.path)
    }

    fn child(&self, index: usize) -> Option<mj::Value> {
        let owner = self.owner.upgrade()?;
        let mut path = self.path.clone();
        path.push(u32::try_from(index).ok()?);
        let value = owner.node(&self.root, &path, &self.name);
        if value.as_ref().is_some_and(|v| v.kind() == ValueKind::Invalid) {
            // As with data: whoever swallows it is told afterwards.
            if let Some(signal) = value.as_ref().map(invalid).as_ref().and_then(Signal::find) {
                taint_with(signal);
            }
        }
        value
    }

    /// All of it, rendered. What is undefined in it is an error.
    pub(crate) fn force(&self) -> Result<Value, mj::Error> {
        let Some(owner) = self.owner.upgrade() else { return Err(fail("the variable's evaluation is over")) };
        let Some(node) = self.at() else { return Ok(Value::Null) };
        let one = |index: usize| -> Result<Value, mj::Error> {
            let mut path = self.path.clone();
            path.push(u32::try_from(index).unwrap_or(u32::MAX));
            if let Some(value) = owner.node(&self.root, &path, &self.name) {
                from_template(&value)
            } else {
                let label = label(&self.name, &self.root, &path);
                let diagnostic = owner.why_undefined(&label);
                Err(diagnostic
                    .map_or_else(|| fail(format!("`{label}` is undefined")), |d| Signal::Failed(Arc::new(d)).error()))
            }
        };
        match &node.kind {
            Kind::List(items) => {
                let mut out = Vec::with_capacity(items.len());
                for index in 0..items.len() {
                    match one(index)? {
                        Value::Omit => {}
                        value => out.push(value),
                    }
                }
                Ok(Value::list(out))
            }
            Kind::Map(entries) => {
                let mut out = Map::with_capacity(entries.len());
                for (index, entry) in entries.iter().enumerate() {
                    match one(index)? {
                        Value::Omit => {}
                        value => {
                            out.insert(Arc::clone(&entry.key), value);
                        }
                    }
                }
                Ok(Value::map(out))
            }
            _ => Ok(Value::from(node)),
        }
    }
}

impl fmt::Debug for LazyNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)
    }
}

impl Object for LazyNode {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match self.at().map(|node| &node.kind) {
            Some(Kind::List(_)) => ObjectRepr::Seq,
            _ => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &mj::Value) -> Option<mj::Value> {
        if let Some(key) = key.as_str() {
            return self.get_value_by_str(key);
        }
        match &self.at()?.kind {
            Kind::List(items) => key.as_usize().filter(|i| *i < items.len()).and_then(|i| self.child(i)),
            _ => self.get_value_by_str(&key_text(key)?),
        }
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<mj::Value> {
        let entries = self.at()?.as_map()?;
        let index = entries.iter().position(|e| &*e.key == key)?;
        self.child(index)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match self.at().map(|node| &node.kind) {
            Some(Kind::List(items)) => Enumerator::Seq(items.len()),
            Some(Kind::Map(entries)) => {
                Enumerator::Values(entries.iter().map(|e| mj::Value::from(Arc::clone(&e.key))).collect())
            }
            _ => Enumerator::Empty,
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        match self.at().map(|node| &node.kind) {
            Some(Kind::List(items)) => Some(items.len()),
            Some(Kind::Map(entries)) => Some(entries.len()),
            _ => Some(0),
        }
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.force() {
            Ok(value) => {
                if value.has_unknown() {
                    taint();
                }
                write!(f, "{value}")
            }
            // Text can't carry the reason; the formatter and the filters force the value before they print it, so that
            // only `~` and the like come here.
            Err(error) => {
                taint_with(Signal::find(&error).unwrap_or_else(|| {
                    Signal::Failed(Arc::new(Diagnostic::bare("template", format!("`{}`: {error}", self.name))))
                }));
                f.write_str("?")
            }
        }
    }
}
