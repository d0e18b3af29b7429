//! Mappings to typed things, with every error found and not only the first.

use super::{Diagnostic, Entry, Kind, Node, Span, suggest};
use std::sync::Arc;

/// Takes a mapping apart key by key. Each `take…` notes the name as known and reports what has the wrong type;
/// [`MapReader::finish`] reports what nobody took.
///
/// ```
/// # use windlass::source::{MapReader, SourceFile, parse_one};
/// # use std::sync::Arc;
/// let text = "hosts: web\nserail: 2\n".to_owned();
/// let node = parse_one(Arc::new(SourceFile { name: "site.yml".into(), text })).unwrap();
/// let mut problems = Vec::new();
/// let mut map = MapReader::new(&node, "play", &mut problems);
/// let hosts = map.take_list_of_str("hosts");
/// let serial = map.take_int("serial");
/// map.finish(&[]);
/// assert_eq!((hosts.len(), serial), (1, None));
/// assert_eq!(problems[0].to_string(), "site.yml:2:1: error: unknown keyword `serail` in this play");
/// assert_eq!(problems[0].help, ["did you mean `serial`?"]);
/// ```
pub struct MapReader<'a, 'd> {
    what: &'static str,
    node: &'a Node,
    entries: &'a [Entry],
    taken: Vec<bool>,
    asked: Vec<&'static str>,
    diagnostics: &'d mut Vec<Diagnostic>,
}

impl<'a, 'd> MapReader<'a, 'd> {
    /// A reader over `node`, which messages call `what` (`play`, `task`). If it is no mapping, that is reported and every
    /// `take…` finds nothing.
    pub fn new(node: &'a Node, what: &'static str, diagnostics: &'d mut Vec<Diagnostic>) -> Self {
        let entries = node.as_map().unwrap_or_else(|| {
            diagnostics.push(
                Diagnostic::error(
                    "wrong-type",
                    format!("a {what} is a mapping, and this is {}", node.describe()),
                    &node.span,
                )
                .help(format!("write the {what} as `key: value` lines")),
            );
            &[]
        });
        Self { what, node, entries, taken: vec![false; entries.len()], asked: Vec::new(), diagnostics }
    }

    /// Whether it is a mapping at all.
    pub fn is_map(&self) -> bool {
        self.node.as_map().is_some()
    }

    /// The node that is read.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// The entry under `key`, as it stands.
    pub fn take_entry(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.asked.push(key);
        let at = self.entries.iter().position(|e| &*e.key == key)?;
        self.taken[at] = true;
        Some(&self.entries[at])
    }

    /// The value under `key`, as it stands, also if it is null.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take_entry(key).map(|e| &e.value)
    }

    /// The value under `key`; null counts as absent, as it does for Ansible's keywords.
    fn take_value(&mut self, key: &'static str) -> Option<&'a Node> {
        self.take(key).filter(|node| !node.is_null())
    }

    /// The value under `key`, whose absence (or null) is an error.
    pub fn require(&mut self, key: &'static str) -> Option<&'a Node> {
        let found = self.take_value(key);
        if found.is_none() && self.is_map() {
            let message = format!("this {} has no `{key}`", self.what);
            self.diagnostics
                .push(Diagnostic::error("missing-key", message, &self.node.span).help(format!("add `{key}:`")));
        }
        found
    }

    /// Text; numbers and booleans are taken as Ansible prints them.
    pub fn take_str(&mut self, key: &'static str) -> Option<Arc<str>> {
        let node = self.take_value(key)?;
        self.keep(key, text_of(node))
    }

    /// A boolean, or one of Ansible's words for it.
    pub fn take_bool(&mut self, key: &'static str) -> Option<bool> {
        let node = self.take_value(key)?;
        self.keep(key, bool_of(node))
    }

    /// An integer, or a string that holds one.
    pub fn take_int(&mut self, key: &'static str) -> Option<i64> {
        let node = self.take_value(key)?;
        self.keep(key, int_of(node))
    }

    /// A list of texts; a single one counts as a list of one. Empty if absent.
    pub fn take_list_of_str(&mut self, key: &'static str) -> Vec<Arc<str>> {
        let Some(node) = self.take_value(key) else { return Vec::new() };
        self.keep(key, strings_of(node)).unwrap_or_default()
    }

    /// As [`Self::take_list_of_str`], and each text is split at its commas (`tags: web, db`).
    pub fn take_words(&mut self, key: &'static str) -> Vec<Arc<str>> {
        let all = self.take_list_of_str(key);
        all.iter().flat_map(|text| text.split(',')).map(str::trim).filter(|w| !w.is_empty()).map(Arc::from).collect()
    }

    /// The items of a list as nodes; a single value counts as a list of one. Empty if absent.
    pub fn take_list(&mut self, key: &'static str) -> &'a [Node] {
        match self.take_value(key) {
            Some(node) => node.as_list().unwrap_or(std::slice::from_ref(node)),
            None => &[],
        }
    }

    /// The items of what must be a list. Empty if absent.
    pub fn take_items(&mut self, key: &'static str) -> &'a [Node] {
        let Some(node) = self.take_value(key) else { return &[] };
        self.keep(key, node.as_list().ok_or_else(|| wrong(node, "a list"))).unwrap_or(&[])
    }

    /// The entries of what must be a mapping. Empty if absent.
    pub fn take_map(&mut self, key: &'static str) -> &'a [Entry] {
        let Some(node) = self.take_value(key) else { return &[] };
        self.keep(key, node.as_map().ok_or_else(|| wrong(node, "a mapping"))).unwrap_or(&[])
    }

    /// One of a few words.
    pub fn take_choice(&mut self, key: &'static str, choices: &[&'static str]) -> Option<&'static str> {
        let node = self.take_value(key)?;
        let text = text_of(node);
        let text = self.keep(key, text)?;
        if let Some(found) = choices.iter().find(|c| **c == &*text) {
            return Some(found);
        }
        let list = choices.iter().map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
        let mut diagnostic = Diagnostic::error("bad-choice", format!("`{key}` can't be `{text}`"), &node.span)
            .help(format!("it is one of {list}"));
        if let Some(near) = suggest(&text, choices) {
            diagnostic.help.insert(0, format!("did you mean `{near}`?"));
        }
        self.diagnostics.push(diagnostic);
        None
    }

    /// A key that Ansible has and this program has not: an error if it is there, with what to do instead.
    pub fn refuse(&mut self, key: &'static str, instead: &str) {
        if let Some(entry) = self.take_entry(key) {
            let message = format!("`{key}` is not supported in a {}", self.what);
            self.diagnostics.push(Diagnostic::error("unsupported-keyword", message, &entry.key_span).help(instead));
        }
    }

    /// The entries that nobody has taken so far; they count as taken from now on.
    pub fn take_rest(&mut self) -> Vec<&'a Entry> {
        let rest = self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(e, _)| e).collect();
        self.taken.fill(true);
        rest
    }

    /// The entries that nobody has taken so far.
    pub fn rest(&self) -> impl Iterator<Item = &'a Entry> + '_ {
        self.entries.iter().zip(&self.taken).filter(|(_, taken)| !**taken).map(|(e, _)| e)
    }

    /// Adds a finding of the caller.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// The list of findings, for what is read inside this mapping.
    pub fn diagnostics(&mut self) -> &mut Vec<Diagnostic> {
        self.diagnostics
    }

    /// The value, or its error with the name of the key in it.
    fn keep<T>(&mut self, key: &str, result: Result<T, Diagnostic>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(mut diagnostic) => {
                diagnostic.message = format!("`{key}`: {}", diagnostic.message);
                self.diagnostics.push(diagnostic);
                None
            }
        }
    }

    /// Reports the keys that nobody took. `known` are names that are right here but were not asked for.
    pub fn finish(self, known: &[&str]) {
        let names: Vec<&str> = self.asked.iter().copied().chain(known.iter().copied()).collect();
        for (entry, taken) in self.entries.iter().zip(&self.taken) {
            if *taken || known.contains(&&*entry.key) {
                continue;
            }
            self.diagnostics.push(unknown_key(&entry.key, &entry.key_span, self.what, &names));
        }
    }
}

/// The message for a key that `what` does not have.
fn unknown_key(key: &str, span: &Span, what: &str, names: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::error("unknown-keyword", format!("unknown keyword `{key}` in this {what}"), span);
    if let Some(near) = suggest(key, names) {
        return diagnostic.help(format!("did you mean `{near}`?"));
    }
    let mut names: Vec<&str> = names.to_vec();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return diagnostic.help("remove it");
    }
    diagnostic.help(format!("a {what} knows: {}", names.join(", ")))
}

fn wrong(node: &Node, wanted: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(
        "wrong-type",
        format!("{wanted} is needed here, and this is {}", node.describe()),
        &node.span,
    );
    if node.is_template() { diagnostic.help("a template can't stand here: write the value itself") } else { diagnostic }
}

/// Text; numbers and booleans as Ansible prints them (`True`).
pub fn text_of(node: &Node) -> Result<Arc<str>, Diagnostic> {
    match &node.kind {
        Kind::Str(text) => Ok(Arc::clone(text)),
        Kind::Int(i) => Ok(i.to_string().into()),
        Kind::Bool(b) => Ok(if *b { "True".into() } else { "False".into() }),
        Kind::Float(x) if x.fract() == 0.0 && x.abs() < 1e16 => Ok(format!("{x:.1}").into()),
        Kind::Float(x) => Ok(x.to_string().into()),
        Kind::Null | Kind::List(_) | Kind::Map(_) => Err(wrong(node, "text")),
    }
}

/// A boolean, one of Ansible's words for it in any case (`yes no on off true false y n t f 1 0`), or the number 1 or 0.
pub fn bool_of(node: &Node) -> Result<bool, Diagnostic> {
    let word = match &node.kind {
        Kind::Bool(b) => return Ok(*b),
        Kind::Int(1) => return Ok(true),
        Kind::Int(0) => return Ok(false),
        Kind::Str(text) => text.trim().to_ascii_lowercase(),
        _ => return Err(wrong(node, "a boolean")),
    };
    match word.as_str() {
        "yes" | "on" | "true" | "y" | "t" | "1" => Ok(true),
        "no" | "off" | "false" | "n" | "f" | "0" => Ok(false),
        _ => Err(wrong(node, "a boolean").help("write `true` or `false`")),
    }
}

/// An integer, or a string that holds one in decimal.
pub fn int_of(node: &Node) -> Result<i64, Diagnostic> {
    match &node.kind {
        Kind::Int(i) => Ok(*i),
        Kind::Str(text) => text.trim().parse().map_err(|_| wrong(node, "an integer")),
        _ => Err(wrong(node, "an integer")),
    }
}

/// A list of texts; a single one counts as a list of one.
pub fn strings_of(node: &Node) -> Result<Vec<Arc<str>>, Diagnostic> {
    match &node.kind {
        Kind::List(items) => items.iter().map(text_of).collect(),
        _ => text_of(node).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::{SourceFile, parse_one};

    fn node(text: &str) -> Node {
        parse_one(Arc::new(SourceFile { name: "t.yml".into(), text: text.into() })).unwrap()
    }

    #[test]
    fn reads_types_and_takes_ansibles_words() {
        let node = node(
            "name: 5\nbecome: 'Yes'\nport: '22'\ntags: a, b\nroles: one\nwhen:\n- x\n- y\nvars: {k: 1}\nnothing:\n",
        );
        let mut problems = Vec::new();
        let mut map = MapReader::new(&node, "play", &mut problems);
        assert_eq!(map.take_str("name").as_deref(), Some("5"));
        assert_eq!(map.take_bool("become"), Some(true));
        assert_eq!(map.take_int("port"), Some(22));
        assert_eq!(map.take_words("tags"), ["a".into(), "b".into()]);
        assert_eq!(map.take_list("roles").len(), 1);
        assert_eq!(map.take_list_of_str("when").len(), 2);
        assert_eq!(map.take_map("vars").len(), 1);
        assert_eq!(map.take_str("nothing"), None);
        assert_eq!(map.take_str("absent"), None);
        map.finish(&[]);
        assert_eq!(problems, []);
    }

    #[test]
    fn every_error_is_found() {
        let node = node("become: maybe\nport: x\nvars: [1]\nstrategy: fre\nnmae: y\nzzz: 1\nserial: 2\nkept: 1\n");
        let mut problems = Vec::new();
        let mut map = MapReader::new(&node, "play", &mut problems);
        map.take_bool("become");
        map.take_int("port");
        map.take_map("vars");
        map.take_choice("strategy", &["linear", "free"]);
        map.take_str("name");
        map.require("hosts");
        map.refuse("serial", "do it otherwise");
        map.finish(&["kept"]);
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "t.yml:1:9: error: `become`: a boolean is needed here, and this is a string",
                "t.yml:2:7: error: `port`: an integer is needed here, and this is a string",
                "t.yml:3:7: error: `vars`: a mapping is needed here, and this is a list",
                "t.yml:4:11: error: `strategy` can't be `fre`",
                "t.yml:1:1: error: this play has no `hosts`",
                "t.yml:7:1: error: `serial` is not supported in a play",
                "t.yml:5:1: error: unknown keyword `nmae` in this play",
                "t.yml:6:1: error: unknown keyword `zzz` in this play",
            ]
        );
        assert_eq!(problems[3].help, ["did you mean `free`?", "it is one of `linear`, `free`"]);
        assert_eq!(problems[6].help, ["did you mean `name`?"]);
        assert!(problems[7].help[0].starts_with("a play knows: become, hosts, kept, name"));
    }

    #[test]
    fn what_is_no_mapping_is_said_once() {
        let node = node("- x\n");
        let mut problems = Vec::new();
        let mut map = MapReader::new(&node, "task", &mut problems);
        map.require("name");
        map.finish(&[]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].to_string(), "t.yml:1:1: error: a task is a mapping, and this is a list");
    }

    #[test]
    fn the_rest_is_the_callers() {
        let node = node("name: x\ndebug: {msg: hi}\n");
        let mut problems = Vec::new();
        let mut map = MapReader::new(&node, "task", &mut problems);
        map.take_str("name");
        assert_eq!(map.take_rest().iter().map(|e| &*e.key).collect::<Vec<_>>(), ["debug"]);
        map.finish(&[]);
        assert_eq!(problems, []);
    }
}
