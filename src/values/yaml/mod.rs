//! YAML text from values and back, as the filters `to_yaml`, `to_nice_yaml` and `from_yaml` need it.

mod emitter;
mod scalar;

use super::Value;
use crate::source::{Diagnostic, SourceFile, parse, parse_one};
use emitter::Emitter;
use std::sync::Arc;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct YamlOptions {
    /// Columns for each level.
    pub indent: usize,
    /// Where long lines are folded.
    pub width: usize,
    /// Keys in the order of the alphabet instead of their own.
    pub sort_keys: bool,
    /// Which collections stand in brackets.
    pub flow: Flow,
}

/// Which collections stand in brackets (PyYAML's `default_flow_style`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// None, as `to_nice_yaml` does (`False`).
    Never,
    /// Those that hold only scalars, as `to_yaml` does (`None`).
    Leaves,
    /// All (`True`).
    Always,
}

impl YamlOptions {
    /// What Ansible's `to_yaml` does.
    pub const TERSE: Self = Self { indent: 2, width: 80, sort_keys: true, flow: Flow::Leaves };
    /// What Ansible's `to_nice_yaml` does.
    pub const NICE: Self = Self { indent: 4, width: 80, sort_keys: true, flow: Flow::Never };
}

/// The value as YAML, with the newline at its end, byte by byte as PyYAML over libyaml writes it (what Ansible
/// does), except that it never makes anchors.
pub fn to_yaml(value: &Value, options: YamlOptions) -> String {
    Emitter::new(options).document(value)
}

/// One document of YAML as plain data.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn from_yaml(text: &str) -> Result<Value, Diagnostic> {
    parse_one(source(text)).map(|node| Value::from(&node)).map_err(first)
}

/// All documents of YAML as plain data.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn from_yaml_all(text: &str) -> Result<Vec<Value>, Diagnostic> {
    Ok(parse(source(text)).map_err(first)?.iter().map(Value::from).collect())
}

fn source(text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { name: "<yaml>".to_owned(), text: text.to_owned() })
}

fn first(found: Vec<Diagnostic>) -> Diagnostic {
    found.into_iter().next().unwrap_or_else(|| Diagnostic::bare("yaml-syntax", "this is not valid YAML"))
}

#[cfg(test)]
mod tests;
