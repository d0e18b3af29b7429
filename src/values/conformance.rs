//! The table of expressions with what ansible-core 2.19 makes of them. `testdata/README.md` says how it is made.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use crate::source::{Node, SourceFile, Span, parse_one};
use std::collections::HashMap;
use std::sync::Arc;

/// Variables as they stand in a file.
pub(super) struct FileScope(pub HashMap<String, Arc<Node>>);

impl FileScope {
    pub(super) fn parse(text: &str) -> Arc<dyn Scope> {
        let node = parse_one(Arc::new(SourceFile { name: "variables.yml".into(), text: text.into() })).unwrap();
        let entries = node.as_map().unwrap();
        Arc::new(Self(entries.iter().map(|e| (e.key.to_string(), Arc::new(e.value.clone()))).collect()))
    }
}

impl Scope for FileScope {
    fn get(&self, name: &str) -> Lookup {
        self.0.get(name).map_or(Lookup::Undefined, |node| Lookup::Template(Arc::clone(node)))
    }

    fn names(&self) -> Vec<Arc<str>> {
        self.0.keys().map(|k| Arc::from(k.as_str())).collect()
    }
}

/// Deep equality in which 1 and 1.0 differ, as they do in JSON, and floats may differ in the last digits.
fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    use serde_json::Value as J;
    match (a, b) {
        (J::Number(x), J::Number(y)) if x.is_f64() && y.is_f64() => {
            (x.as_f64().unwrap() - y.as_f64().unwrap()).abs() <= 1e-12 * x.as_f64().unwrap().abs().max(1.0)
        }
        (J::Array(x), J::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same(x, y)),
        (J::Object(x), J::Object(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|((k, x), (l, y))| k == l && same(x, y))
        }
        _ => a == b,
    }
}

#[test]
fn expressions_give_what_ansible_gives() {
    let scope = FileScope::parse(include_str!("testdata/variables.yml"));
    let templar = Templar::new(TemplarOptions::default());
    let mut wrong = Vec::new();
    for line in include_str!("testdata/expressions.txt").lines() {
        if line.is_empty() || line.starts_with("# ") {
            continue;
        }
        let (template, expected) = line.rsplit_once(" => ").unwrap();
        let got = templar.render_text(template, &Span::synthetic("t", template), &scope);
        let shown = match &got {
            Ok(value) => serde_json::to_string(value).unwrap(),
            Err(EvalError::Failed(d)) => format!("!error {}", d.message),
            Err(EvalError::Wait) => "!wait".into(),
        };
        let good = match (expected, &got) {
            ("!error", Err(EvalError::Failed(_))) => true,
            (_, Ok(value)) if expected != "!error" => {
                same(&serde_json::from_str(expected).unwrap(), &serde_json::to_value(value).unwrap())
            }
            _ => false,
        };
        if !good {
            wrong.push(format!("{template}\n   expected {expected}\n        got {shown}"));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
