//! Lookups that read files, run commands and render templates.

use super::ask::{Ask, Lookup};
use crate::source::{SourceFile, Span};
use crate::values::call::Made;
use crate::values::convert::from_template;
use crate::values::diagnose::Place;
use crate::values::error::{Signal, fail};
use crate::values::evaluation::{Evaluation, Outcome};
use crate::values::{Lookup as Found, Map, Scope, TemplateOptions, Value};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

pub(super) const LOOKUPS: &[Lookup] = &[
    Lookup { name: "file", about: "the text of files", options: &["rstrip", "lstrip"], run: file },
    Lookup { name: "unvault", about: "the text of files, decrypted if need be", options: &[], run: unvault },
    Lookup { name: "pipe", about: "what commands on the controller print", options: &[], run: pipe },
    Lookup { name: "lines", about: "the lines that commands on the controller print", options: &[], run: lines },
    Lookup {
        name: "template",
        about: "rendered template files",
        options: &[
            "template_vars",
            "trim_blocks",
            "lstrip_blocks",
            "variable_start_string",
            "variable_end_string",
            "comment_start_string",
            "comment_end_string",
        ],
        run: template,
    },
];

fn file(ask: &Ask) -> Made<Vec<Value>> {
    let (right, left) = (ask.flag_option("rstrip", true), ask.flag_option("lstrip", false));
    let mut out = Vec::new();
    for name in ask.texts()? {
        let text = ask.read(&ask.must_find(&name, "files")?)?;
        let mut text = text.as_str();
        if right {
            text = text.trim_end();
        }
        if left {
            text = text.trim_start();
        }
        out.push(Value::from(text));
    }
    Ok(out)
}

fn unvault(ask: &Ask) -> Made<Vec<Value>> {
    ask.texts()?.iter().map(|name| Ok(Value::from(ask.read(&ask.must_find(name, "files")?)?))).collect()
}

fn run(ask: &Ask, command: &str) -> Made<String> {
    let output = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .current_dir(&ask.evaluation.engine.options.directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| fail(format!("can't run '{command}': {e}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim();
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        return Err(fail(format!("'{command}' ended with {}{said}", output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn pipe(ask: &Ask) -> Made<Vec<Value>> {
    ask.texts()?.iter().map(|command| Ok(Value::from(run(ask, command)?.trim_end()))).collect()
}

fn lines(ask: &Ask) -> Made<Vec<Value>> {
    let mut out = Vec::new();
    for command in ask.texts()? {
        out.extend(run(ask, &command)?.lines().map(|line| Value::from(line.trim_end())));
    }
    Ok(out)
}

fn template(ask: &Ask) -> Made<Vec<Value>> {
    let mut options = TemplateOptions::default();
    options.trim_blocks = ask.flag_option("trim_blocks", options.trim_blocks);
    options.lstrip_blocks = ask.flag_option("lstrip_blocks", options.lstrip_blocks);
    for (name, field) in [
        ("variable_start_string", &mut options.variable_start_string),
        ("variable_end_string", &mut options.variable_end_string),
        ("comment_start_string", &mut options.comment_start_string),
        ("comment_end_string", &mut options.comment_end_string),
    ] {
        if let Some(text) = ask.text_option(name)? {
            *field = text.to_string();
        }
    }
    let evaluation = match ask.option("template_vars") {
        None | Some(Value::Null) => Arc::clone(&ask.evaluation),
        Some(Value::Map(extra)) => {
            let scope: Arc<dyn Scope> =
                Arc::new(Overlay { base: Arc::clone(&ask.evaluation.scope), extra: Arc::clone(extra) });
            Evaluation::new(&ask.evaluation.engine, &scope)
        }
        Some(other) => return Err(fail(format!("`template_vars` must be a mapping, not {}", other.describe()))),
    };
    let mut out = Vec::new();
    for name in ask.texts()? {
        let path = ask.must_find(&name, "templates")?;
        let file = Arc::new(SourceFile { name: path.display().to_string(), text: ask.read(&path)? });
        let span = Span { start: 0, end: file.text.len(), line: 1, column: 1, file: Arc::clone(&file) };
        let place = Place { text: &file.text, offset: 0, span: &span, escaped: None };
        out.push(match evaluation.template(&file.text, &options.syntax(), false, &place) {
            Outcome::Value(value) => from_template(&value)?,
            Outcome::Unknown => return Err(Signal::Unknown.error()),
            Outcome::Wait => return Err(Signal::Wait.error()),
            Outcome::Undefined(d) | Outcome::Failed(d) => return Err(Signal::Failed(Arc::from(d)).error()),
        });
    }
    Ok(out)
}

/// A scope with a few more variables in front.
struct Overlay {
    base: Arc<dyn Scope>,
    extra: Arc<Map>,
}

impl Scope for Overlay {
    fn get(&self, name: &str) -> Found {
        self.extra.get(name).map_or_else(|| self.base.get(name), |value| Found::Data(value.clone()))
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.base.names();
        names.extend(self.extra.keys().cloned());
        names
    }

    fn search_path(&self, kind: &str) -> Vec<PathBuf> {
        self.base.search_path(kind)
    }

    fn seed(&self) -> u64 {
        self.base.seed()
    }
}
