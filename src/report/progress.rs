//! What is being worked on, as a few lines that a terminal keeps below the report.

use super::clean;
use super::layout::{bytes, duration, plural, shortened};
use crate::engine::event::{Event, Status, TaskInfo};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Lines beside the last.
const LINES: usize = 8;

/// Follows the events and says in a few lines where the run is, however many hosts there are.
#[derive(Debug, Default)]
pub struct Progress {
    play: String,
    hosts: usize,
    working: IndexMap<Arc<str>, (Option<Arc<TaskInfo>>, Duration)>,
    /// Large files on their way: name, bytes sent, all bytes.
    sending: HashMap<Arc<str>, (String, u64, u64)>,
    done: u64,
    changed: u64,
    failed: u64,
    unreachable: u64,
}

impl Progress {
    /// Something has happened.
    pub fn event(&mut self, event: &Event, at: Duration) {
        match event {
            Event::PlayStart { name, hosts, .. } => {
                self.play = shortened(&clean(name), 40);
                self.hosts = hosts.len();
                self.working.clear();
            }
            Event::Connecting { host } => {
                self.working.insert(Arc::clone(host), (None, at));
            }
            Event::Sending { host, file, sent, len } => {
                self.working.entry(Arc::clone(host)).or_insert((None, at));
                self.sending.insert(Arc::clone(host), (shortened(&clean(file), 40), *sent, *len));
            }
            Event::TaskStart { host, task } => {
                self.sending.remove(host);
                self.working.insert(Arc::clone(host), (Some(Arc::clone(task)), at));
            }
            Event::Result(result) => {
                if result.retry.is_some() || result.item.is_some() {
                    return;
                }
                self.working.swap_remove(&result.host);
                self.sending.remove(&result.host);
                self.done += 1;
                match result.status {
                    Status::Changed => self.changed += 1,
                    Status::Failed => self.failed += 1,
                    Status::Unreachable => self.unreachable += 1,
                    _ => {}
                }
            }
            Event::PlayEnd => {
                self.working.clear();
                self.sending.clear();
            }
            Event::BatchStart { .. } | Event::Notice { .. } | Event::Document(_) | Event::Recap { .. } => {}
        }
    }

    /// The lines to show, none wider than `width` columns: the hosts that have been at one thing for longest, and
    /// where the whole is.
    pub fn lines(&self, at: Duration, width: usize) -> Vec<String> {
        let mut working: Vec<_> = self.working.iter().collect();
        working.sort_by_key(|(host, (_, since))| (*since, Arc::clone(host)));
        let named = |task: &Option<Arc<TaskInfo>>| {
            task.as_ref().map_or_else(|| "connecting and asking".to_owned(), |t| shortened(&clean(&t.name), 60))
        };
        // Who, at what, for how long at most, and who that is where it is not plain.
        let mut rows: Vec<(String, String, String)> = Vec::new();
        let mut more = String::new();
        if working.len() <= LINES {
            for (host, (task, since)) in working {
                let what = match self.sending.get(host) {
                    Some((file, sent, len)) => format!("{file}  {}", bar(*sent, *len)),
                    None => named(task),
                };
                rows.push((host.to_string(), what, duration(at.saturating_sub(*since))));
            }
        } else {
            // Of many hosts, those at the same thing share a line.
            let mut at_once: IndexMap<String, (usize, &Arc<str>, Duration)> = IndexMap::new();
            for (host, (task, since)) in working {
                at_once.entry(named(task)).or_insert((0, host, *since)).0 += 1;
            }
            let rest: usize = at_once.values().skip(LINES).map(|(count, ..)| count).sum();
            if rest > 0 {
                more = format!("  and {} at other steps", plural(rest, "host"));
            }
            for (what, (count, host, since)) in at_once.into_iter().take(LINES) {
                let lasted = duration(at.saturating_sub(since));
                match count {
                    1 => rows.push((host.to_string(), what, lasted)),
                    _ => rows.push((plural(count, "host"), what, format!("up to {lasted} ({host})"))),
                }
            }
        }
        let column = rows.iter().map(|(who, ..)| who.chars().count()).max().unwrap_or(0).min(28);
        let mut out: Vec<String> = rows
            .into_iter()
            .map(|(who, what, lasted)| shortened_to(&format!("  {who:column$}  {what}  {lasted}"), width))
            .collect();
        if !more.is_empty() {
            out.push(shortened_to(&more, width));
        }
        let mut whole = format!("{} · {} · {} done", self.play, plural(self.hosts, "host"), plural_u64(self.done));
        for (count, what) in [(self.changed, "changed"), (self.failed, "failed"), (self.unreachable, "unreachable")] {
            if count > 0 {
                let _ = write!(whole, " · {count} {what}");
            }
        }
        let _ = write!(whole, " · {}", duration(at));
        out.push(shortened_to(&whole, width));
        out
    }
}

/// How far a file has come.
fn bar(sent: u64, len: u64) -> String {
    const WIDTH: u64 = 20;
    let part =
        |of: u64| usize::try_from((u128::from(sent.min(len)) * u128::from(of)) / u128::from(len.max(1))).unwrap_or(0);
    format!("[{:.<20}] {:>3} % of {}", "#".repeat(part(WIDTH)), part(100), bytes(len))
}

fn plural_u64(count: u64) -> String {
    plural(usize::try_from(count).unwrap_or(usize::MAX), "step")
}

fn shortened_to(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    line.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}
