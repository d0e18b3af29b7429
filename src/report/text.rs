//! The report for people: one line a result, details below it.

use super::crowd::{Crowd, Kind, MANY};
use super::layout::{BOLD, DIM, HOST_WIDTH, STATUS_WIDTH, bytes, duration, plural, shortened, style, word};
use super::{Report, Sink, clean, detail, recap};
use crate::engine::event::{Event, Status, StepResult, TaskInfo};
use crate::values::{Redactor, Value};
use anstyle::AnsiColor;
use indexmap::IndexMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// After so long without a word, what is still at work is named.
const SILENCE: Duration = Duration::from_secs(15);
/// As long as this passes between two lines about one large file.
const BETWEEN: Duration = Duration::from_secs(5);
/// Action lines below a result, unless more is asked for.
const ACTIONS: usize = 12;

/// How much the report tells.
#[derive(Debug, Clone, Default)]
pub struct TextOptions {
    /// 0: changes, failures and notices; 1: also what was in order or left out; 2: also whole results; 3: also
    /// connections.
    pub verbosity: u8,
    /// Failures only.
    pub quiet: bool,
    /// Show what differs.
    pub diff: bool,
    /// Show what travelled.
    pub stats: bool,
    /// Show every result's output, as for a single command.
    pub outputs: bool,
    /// Something else shows what is being worked on, so that a long silence needs no words.
    pub live: bool,
}

/// The report for people.
pub struct TextReport {
    options: TextOptions,
    redactor: Arc<Redactor>,
    plan: bool,
    width: usize,
    /// What each host is at, and since when.
    working: IndexMap<Arc<str>, (Option<Arc<TaskInfo>>, Duration)>,
    /// The task of which each host told an item last.
    items: HashMap<Arc<str>, Vec<u32>>,
    /// When each host's large file was last spoken of, and the bytes that had been sent.
    sending: HashMap<Arc<str>, (Duration, u64)>,
    spoke: Duration,
    /// Results that may share a line, where the play has many hosts.
    crowd: Crowd,
    many: bool,
}

impl TextReport {
    /// A report that masks what `redactor` knows.
    pub fn new(options: TextOptions, redactor: Arc<Redactor>) -> Self {
        Self {
            options,
            redactor,
            plan: false,
            width: 0,
            working: IndexMap::new(),
            items: HashMap::new(),
            sending: HashMap::new(),
            spoke: Duration::ZERO,
            crowd: Crowd::default(),
            many: false,
        }
    }

    fn say(&mut self, at: Duration, text: &str, sink: &mut dyn Sink) {
        self.spoke = at;
        sink.line(&self.redactor.redact(text));
    }

    fn play(&mut self, name: &str, hosts: &[Arc<str>], at: Duration, sink: &mut dyn Sink) {
        self.width = hosts.iter().map(|h| h.chars().count()).max().unwrap_or(0).min(HOST_WIDTH);
        self.items.clear();
        self.working.clear();
        self.many = hosts.len() > MANY;
        if hosts.is_empty() {
            let text = format!("{BOLD}play {}{BOLD:#}: no host matches, nothing to do", shortened(&clean(name), 120));
            self.say(at, &text, sink);
        } else if !self.options.quiet && !self.options.outputs {
            let what = if self.plan { "plan of play" } else { "play" };
            let names = named(hosts);
            self.say(at, &format!("{BOLD}{what} {}{BOLD:#}: {names}", shortened(&clean(name), 120)), sink);
        }
    }

    /// The line of a result, cut in two where the host stands.
    fn row(&self, result: &StepResult) -> (String, String) {
        let (status, style) = match result.retry {
            Some(_) => ("retrying", AnsiColor::Cyan.on_default()),
            None => (word(result.status, self.plan), style(result.status)),
        };
        let before = format!("{style}{status:STATUS_WIDTH$}{style:#} ");
        let mut line = title(&result.task);
        if let Some(item) = &result.item {
            let _ = write!(line, "  ({})", shortened(&clean(item), 80));
        }
        if let Some((attempt, limit)) = result.retry {
            let _ = write!(line, "  {DIM}try {attempt} of {limit} failed{DIM:#}");
        } else if let Some(brief) = detail::brief(result, self.plan, self.options.verbosity > 0) {
            let _ = write!(line, "  {DIM}{brief}{DIM:#}");
        }
        if result.took >= Duration::from_secs(2) || self.options.verbosity >= 2 && !result.took.is_zero() {
            let _ = write!(line, "  {DIM}{}{DIM:#}", duration(result.took));
        }
        (before, line)
    }

    /// Whether a result may share a line with those of other hosts.
    fn shares(&self, result: &StepResult) -> bool {
        self.many
            && self.options.verbosity == 0
            && !self.options.outputs
            && !self.options.diff
            && result.retry.is_none()
            && result.delegated.is_none()
            && !matches!(result.status, Status::Failed | Status::Unreachable)
    }

    /// Tells what was held back.
    fn release(&mut self, at: Duration, sink: &mut dyn Sink) {
        let width = self.width;
        for (Kind { before, after, details, .. }, who, which) in self.crowd.take() {
            let which = if which.is_empty() { which } else { format!("  {DIM}{which}{DIM:#}") };
            self.say(at, &format!("{before}{BOLD}{who:width$}{BOLD:#}  {after}{which}"), sink);
            for line in details {
                self.say(at, &line, sink);
            }
        }
    }

    /// Whether a result has a line.
    fn shows(&self, result: &StepResult) -> bool {
        let verbosity = self.options.verbosity;
        let failed = matches!(result.status, Status::Failed | Status::Unreachable);
        if result.retry.is_some() {
            return !self.options.quiet;
        }
        if result.summary && (verbosity == 0 || self.items.get(&result.host) == Some(&result.task.position)) {
            // Its items have been told. A loop fails as a whole where its items could not be made out.
            return failed && self.items.get(&result.host) != Some(&result.task.position);
        }
        if self.options.quiet {
            return failed;
        }
        if self.options.outputs || wants_to_be_heard(result) {
            return result.status != Status::Skipped || verbosity > 0;
        }
        match result.status {
            Status::Ok | Status::Skipped => verbosity > 0 || !detail::warnings(&result.result).is_empty(),
            _ => true,
        }
    }

    fn result(&mut self, result: &StepResult, at: Duration, sink: &mut dyn Sink) {
        if result.retry.is_none() && result.item.is_none() {
            self.working.swap_remove(&result.host);
        }
        let shown = self.shows(result);
        if result.item.is_some() {
            self.items.insert(Arc::clone(&result.host), result.task.position.clone());
        }
        if !shown {
            return;
        }
        let (before, after) = self.row(result);
        let details = self.details(result);
        if self.shares(result) {
            let position = result.task.position.clone();
            self.crowd.hold(Kind { position, before, after, details }, &result.host, at);
            return;
        }
        let mut host = result.host.to_string();
        if let Some(other) = &result.delegated {
            host = format!("{host} → {other}");
        }
        let width = self.width;
        self.say(at, &format!("{before}{BOLD}{host:width$}{BOLD:#}  {after}"), sink);
        for line in details {
            self.say(at, &line, sink);
        }
    }

    fn details(&self, result: &StepResult) -> Vec<String> {
        let indent = " ".repeat(STATUS_WIDTH + 1);
        let mut out: Vec<String> = Vec::new();
        let verbosity = self.options.verbosity;
        if result.retry.is_some() && verbosity < 2 {
            return out;
        }
        if matches!(result.status, Status::Failed | Status::Unreachable) {
            let red = AnsiColor::Red.on_default();
            let text = detail::failure(result);
            let last = text.len() - 1;
            for (place, line) in text.into_iter().enumerate() {
                let style = if place == last { DIM } else { red };
                out.push(format!("{indent}{style}{line}{style:#}"));
            }
        } else if self.options.outputs || wants_to_be_heard(result) {
            out.extend(detail::output(&result.result).into_iter().map(|line| format!("{indent}{line}")));
        }
        let yellow = AnsiColor::Yellow.on_default();
        out.extend(
            detail::warnings(&result.result).into_iter().map(|line| format!("{indent}{yellow}{line}{yellow:#}")),
        );
        // What an action is stands in the plan; afterwards, only who asks wants to know.
        if (self.plan && result.status != Status::Ok) || verbosity >= 1 {
            let most = if verbosity >= 1 { usize::MAX } else { ACTIONS };
            for action in result.actions.iter().take(most) {
                out.push(format!("{indent}{DIM}- {}{DIM:#}", shortened(&clean(action), 200)));
            }
            if result.actions.len() > most {
                out.push(format!("{indent}{DIM}- … and {} more{DIM:#}", result.actions.len() - most));
            }
        }
        if self.options.diff {
            for line in result.result.diff.iter().flat_map(detail::diff) {
                let style = match line.as_bytes().first() {
                    Some(b'+') => AnsiColor::Green.on_default(),
                    Some(b'-') => AnsiColor::Red.on_default(),
                    Some(b'@') => AnsiColor::Cyan.on_default(),
                    _ => anstyle::Style::new(),
                };
                out.push(format!("{indent}{style}{line}{style:#}"));
            }
        }
        if verbosity >= 2 {
            let lines = detail::everything(&result.result);
            out.extend(lines.into_iter().map(|line| format!("{indent}{DIM}{line}{DIM:#}")));
        }
        out
    }

    /// Where nothing else shows it: a line now and then for a file that takes long.
    fn sending(&mut self, host: &Arc<str>, file: &str, (sent, len): (u64, u64), at: Duration, sink: &mut dyn Sink) {
        if self.options.live || self.options.quiet {
            return;
        }
        let (spoke, before) = *self.sending.entry(Arc::clone(host)).or_insert((at, sent));
        if sent < before {
            self.sending.insert(Arc::clone(host), (at, sent));
        } else if at.saturating_sub(spoke) >= BETWEEN {
            self.sending.insert(Arc::clone(host), (at, sent));
            let (file, share) = (shortened(&clean(file), 80), u128::from(sent) * 100 / u128::from(len.max(1)));
            let text = format!("{DIM}{:STATUS_WIDTH$} {host}  {file}: {share} % of {}{DIM:#}", "sending", bytes(len));
            self.say(at, &text, sink);
        }
    }

    fn recap(&mut self, event: &Event, at: Duration, sink: &mut dyn Sink) {
        let Event::Recap { hosts, took, traffic } = event else { return };
        if !self.options.quiet && (!self.options.outputs || self.options.verbosity > 0) {
            self.say(at, "", sink);
            for line in recap::table(hosts, self.plan, self.options.verbosity > 0) {
                self.say(at, &line, sink);
            }
            self.say(at, &recap::summary(hosts, self.plan, *took), sink);
        }
        if self.options.stats {
            self.say(at, &recap::traffic(*traffic, *took), sink);
        }
    }
}

impl Report for TextReport {
    fn event(&mut self, event: &Event, at: Duration, sink: &mut dyn Sink) {
        if !matches!(
            event,
            Event::Connecting { .. }
                | Event::TaskStart { .. }
                | Event::Sending { .. }
                | Event::Result(_)
                | Event::Notice { .. }
        ) {
            self.release(at, sink);
        }
        match event {
            Event::PlayStart { name, hosts, plan } => {
                self.plan = *plan;
                self.play(name, hosts, at, sink);
            }
            Event::BatchStart { hosts } => {
                if !self.options.quiet {
                    self.say(at, &format!("{DIM}next batch: {}{DIM:#}", named(hosts)), sink);
                }
            }
            Event::Connecting { host } => {
                self.working.insert(Arc::clone(host), (None, at));
                if self.options.verbosity >= 3 {
                    self.say(at, &format!("{DIM}connecting to {host}{DIM:#}"), sink);
                }
            }
            Event::TaskStart { host, task } => {
                self.working.insert(Arc::clone(host), (Some(Arc::clone(task)), at));
                if self.options.verbosity >= 3 {
                    self.say(at, &format!("{DIM}{:STATUS_WIDTH$} {host}  {}{DIM:#}", "begins", title(task)), sink);
                }
            }
            Event::Sending { host, file, sent, len } => self.sending(host, file, (*sent, *len), at, sink),
            Event::Result(result) => {
                self.sending.remove(&result.host);
                self.result(result, at, sink);
            }
            Event::Notice { host, text } => {
                if !self.options.quiet {
                    let yellow = AnsiColor::Yellow.on_default();
                    let host = host.as_ref().map(|h| format!(" {BOLD}{h}{BOLD:#} ")).unwrap_or_default();
                    let text = clean(text).replace('\n', " ");
                    self.say(at, &format!("{yellow}{:STATUS_WIDTH$}{yellow:#}{host} {text}", "notice"), sink);
                }
            }
            Event::Document(document) => {
                for line in &document.lines {
                    self.say(at, &clean(line), sink);
                }
            }
            Event::PlayEnd => self.working.clear(),
            Event::Recap { .. } => self.recap(event, at, sink),
        }
    }

    fn tick(&mut self, at: Duration, sink: &mut dyn Sink) {
        if self.crowd.is_due(at) {
            self.release(at, sink);
        }
        if self.options.live || self.options.quiet || at.saturating_sub(self.spoke) < SILENCE {
            return;
        }
        let Some((host, (task, since))) = self.working.iter().min_by_key(|(host, (_, since))| (*since, *host)) else {
            return;
        };
        let others = match self.working.len() - 1 {
            0 => String::new(),
            n => format!(", and {} at work", plural(n, "other host")),
        };
        let lasted = duration(at.saturating_sub(*since));
        let what = task.as_deref().map_or_else(|| "connecting and asking".to_owned(), title);
        let text = format!("{DIM}{:STATUS_WIDTH$} {host}  {what} ({lasted}){others}{DIM:#}", "working");
        self.say(at, &text, sink);
    }
}

/// A task's name, told apart where it is a handler.
fn title(task: &TaskInfo) -> String {
    let name = shortened(&clean(&task.name), 120);
    if task.handler { format!("handler {name}") } else { name }
}

/// `debug` and its like are there to be read.
fn wants_to_be_heard(result: &StepResult) -> bool {
    matches!(result.result.data.get("_ansible_verbose_always"), Some(Value::Bool(true)))
}

/// `web1, web2 and 3 more hosts`.
fn named(hosts: &[Arc<str>]) -> String {
    const MOST: usize = 6;
    let names: Vec<&str> = hosts.iter().take(MOST).map(|h| &**h).collect();
    match hosts.len().saturating_sub(MOST) {
        0 => names.join(", "),
        more => format!("{} and {}", names.join(", "), plural(more, "more host")),
    }
}
