//! A YAML value that knows where it stands.

use super::Span;
use std::sync::Arc;

/// One YAML node.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// A local tag without its `!` (`vault`, `unsafe`), if it has one.
    pub tag: Option<Arc<str>>,
    /// What it is.
    pub kind: Kind,
}

/// What a node is, scalars resolved by YAML 1.1 as Ansible loads them
/// (`yes`, `on` are booleans, `0644` is 420; anything quoted is a string).
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A string.
    Str(Arc<str>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order of the file; keys are unique.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's text, exactly as written (a key `on:` stays `on`).
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A node without a tag.
    pub fn new(kind: Kind, span: Span) -> Self {
        Self { span, tag: None, kind }
    }

    /// A string node.
    pub fn string(text: &str, span: Span) -> Self {
        Self::new(Kind::Str(text.into()), span)
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The items, if this is a sequence.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The entries, if this is a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.iter().find(|e| &*e.key == key).map(|e| &e.value)
    }

    /// Whether it is a string with a template in it (`{{ }}`, `{% %}` or `{# #}`) that is to be rendered.
    pub fn is_template(&self) -> bool {
        self.tag.is_none() && self.as_str().is_some_and(|s| s.contains("{{") || s.contains("{%") || s.contains("{#"))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// What it is, in a word a message can use.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Str(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }
}
