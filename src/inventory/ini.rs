//! Inventories in Ansible's INI form.

use super::data::{ALL, Data, Origin, UNGROUPED};
use super::{literal, range, words};
use crate::source::{Diagnostic, Kind, Node, SourceFile, Span, suggest};
use indexmap::IndexMap;
use std::sync::Arc;

/// Reads a file into `data`; everything that is wrong is added to `found`.
pub(super) fn read(file: &Arc<SourceFile>, origin: &Origin, data: &mut Data, found: &mut Vec<Diagnostic>) {
    let mut reader =
        Reader { origin, data, found, group: UNGROUPED.to_owned(), part: Part::Hosts, awaited: IndexMap::new() };
    let mut start = 0;
    for (number, line) in file.text.split_inclusive('\n').enumerate() {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with(['#', ';']) {
            let lead = line.len() - line.trim_start().len();
            reader.line(&Span {
                file: Arc::clone(file),
                start: start + lead,
                end: start + lead + content.len(),
                line: u32::try_from(number + 1).unwrap_or(u32::MAX),
                column: u32::try_from(line[..lead].chars().count() + 1).unwrap_or(u32::MAX),
            });
        }
        start += line.len();
    }
    reader.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Hosts,
    Children,
    Vars,
    /// A section that was reported; its lines are skipped.
    Unknown,
}

/// A group that was named before it was declared.
struct Awaited {
    span: Span,
    parents: Vec<String>,
}

struct Reader<'a> {
    origin: &'a Origin,
    data: &'a mut Data,
    found: &'a mut Vec<Diagnostic>,
    group: String,
    part: Part,
    awaited: IndexMap<String, Awaited>,
}

impl Reader<'_> {
    fn line(&mut self, line: &Span) {
        let text = &line.file.text[line.start..line.end];
        if let Some((group, part)) = section(text) {
            self.section(group, part, line);
        } else if text.starts_with('[') && text.ends_with(']') {
            self.part = Part::Unknown;
            self.error(
                "bad-section",
                "this is no section of an inventory",
                line,
                "write [group], [group:children] or [group:vars], without blanks",
            );
        } else {
            match self.part {
                Part::Hosts => self.hosts(text, line),
                Part::Children => self.child(text, line),
                Part::Vars => self.variable(text, line),
                Part::Unknown => {}
            }
        }
    }

    fn error(&mut self, code: &'static str, message: impl Into<String>, span: &Span, help: impl Into<String>) {
        self.found.push(Diagnostic::error(code, message, span).help(help));
    }

    fn section(&mut self, group: &str, part: Option<&str>, line: &Span) {
        self.part = match part {
            None | Some("hosts") => Part::Hosts,
            Some("children") => Part::Children,
            Some("vars") => Part::Vars,
            Some(other) => {
                self.part = Part::Unknown;
                let help = match suggest(other, ["hosts", "children", "vars"]) {
                    Some(near) => format!("did you mean [{group}:{near}]?"),
                    None => "write [group], [group:children] or [group:vars]".to_owned(),
                };
                self.error("bad-section", format!("a group has no part `{other}`"), line, help);
                return;
            }
        };
        group.clone_into(&mut self.group);
        if self.part == Part::Vars {
            if !self.data.groups.contains_key(group) {
                self.awaited
                    .entry(group.to_owned())
                    .or_insert_with(|| Awaited { span: line.clone(), parents: Vec::new() });
            }
            // Its variables are kept with the group, which is declared later or reported.
            self.data.group(group);
            return;
        }
        self.data.group(group);
        if let Some(awaited) = self.awaited.shift_remove(group) {
            for parent in awaited.parents {
                self.adopt(&parent, group, &awaited.span);
            }
        }
    }

    fn adopt(&mut self, parent: &str, child: &str, span: &Span) {
        if self.data.adopt(parent, child).is_err() {
            self.error(
                "group-cycle",
                format!("the group `{child}` would contain itself through `{parent}`"),
                span,
                "remove it from the children of one of the groups between",
            );
        }
    }

    fn hosts(&mut self, text: &str, line: &Span) {
        let words = match words::split(text) {
            Ok(words) => words,
            Err(at) => {
                self.error(
                    "open-quote",
                    "this quote is not closed",
                    &line.within(at, 1),
                    "close it, or put a backslash before it if it is part of the value",
                );
                return;
            }
        };
        let Some((pattern, rest)) = words.split_first() else { return };
        let at = line.within(pattern.at.start, pattern.at.len());
        let (names, port) = match range::expand(&pattern.text) {
            Ok(expanded) => expanded,
            Err(problem) => {
                self.error("bad-host", problem, &at, "see `web[01:10]`, `db-[a:c].example.org`, `[2001:db8::5]:22`");
                return;
            }
        };
        let port = port.map(|port| (port, Node::new(Kind::Int(i64::from(port)), at.clone())));
        let mut vars = Vec::new();
        for word in rest {
            let at = line.within(word.at.start, word.at.len());
            let Some((name, value)) = word.text.split_once('=') else {
                self.error(
                    "bad-variable",
                    format!("`{}` is no `name=value`", word.text),
                    &at,
                    "write `name=value` without blanks around `=`, and quote a value with blanks: name='a b'",
                );
                continue;
            };
            let value_at = at.within(name.len() + 1, (at.end - at.start).saturating_sub(name.len() + 1));
            vars.push((name.to_owned(), Arc::new(literal::node(value, &value_at))));
        }
        for name in names {
            let host = self.data.host(&name, port.as_ref().map(|(p, n)| (*p, n)), Some(self.origin));
            for (name, value) in &vars {
                host.set(name, Arc::clone(value));
            }
            self.data.join(&name, &self.group);
        }
    }

    fn child(&mut self, text: &str, line: &Span) {
        let name = text.split('#').next().unwrap_or(text).trim_end();
        if name.contains([':', ']', ' ', '\t']) {
            self.error(
                "bad-group",
                format!("`{name}` is no name of a group"),
                line,
                "name one group a line; variables belong under [group:vars]",
            );
            return;
        }
        let parent = self.group.clone();
        if self.data.groups.contains_key(name) && !self.awaited.contains_key(name) {
            self.adopt(&parent, name, line);
        } else {
            let awaited = self
                .awaited
                .entry(name.to_owned())
                .or_insert_with(|| Awaited { span: line.clone(), parents: Vec::new() });
            awaited.parents.push(parent);
        }
    }

    fn variable(&mut self, text: &str, line: &Span) {
        let Some((name, value)) = text.split_once('=') else {
            self.error("bad-variable", "this is no `name = value`", line, "a variable of a group is `name = value`");
            return;
        };
        let lead = text.len() - value.trim_start().len();
        let value = value.trim();
        let at = line.within(lead.min(text.len()), value.len());
        let group = self.group.clone();
        self.data.group(&group).set(name.trim(), Arc::new(literal::node(value, &at)));
    }

    fn finish(mut self) {
        let awaited = std::mem::take(&mut self.awaited);
        for (name, Awaited { span, parents }) in awaited {
            if name == ALL {
                continue;
            }
            let message = if parents.is_empty() {
                format!("variables for a group `{name}` that is not declared")
            } else {
                format!("the group `{name}` is not declared")
            };
            let groups: Vec<&str> = self.data.groups.keys().map(AsRef::as_ref).filter(|g| *g != name).collect();
            let near = suggest(&name, groups);
            let mut problem = Diagnostic::error("unknown-group", message, &span);
            if let Some(near) = near {
                problem = problem.help(format!("did you mean `{near}`?"));
            }
            self.found.push(problem.help(format!("declare it with a line [{name}]")));
        }
    }
}

/// `[group]` or `[group:part]`, perhaps with a comment behind.
fn section(text: &str) -> Option<(&str, Option<&str>)> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    let rest = rest.trim_start();
    if !(rest.is_empty() || rest.starts_with('#')) {
        return None;
    }
    let (group, part) = match inner.split_once(':') {
        Some((group, part)) => (group, Some(part)),
        None => (inner, None),
    };
    let word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_');
    let valid = !group.is_empty() && !group.contains(char::is_whitespace) && part.is_none_or(word);
    valid.then_some((group, part))
}
