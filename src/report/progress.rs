//! What is being worked on, as a few lines that a terminal keeps below the report.

use super::clean;
use super::layout::{bytes, duration, plural, shortened};
use crate::engine::event::{Event, Status, TaskInfo};
use indexmap::IndexMap;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Hosts that have a line of their own.
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
        let column = working.iter().take(LINES).map(|(host, _)| host.chars().count()).max().unwrap_or(0).min(28);
        let mut out: Vec<String> = working
            .iter()
            .take(LINES)
            .map(|(host, (task, since))| {
                let lasted = duration(at.saturating_sub(*since));
                let what = match self.sending.get(*host) {
                    Some((file, sent, len)) => format!("{file}  {}", bar(*sent, *len)),
                    None => shortened(&clean(task.as_ref().map_or("connecting and asking", |t| &*t.name)), 60),
                };
                shortened_to(&format!("  {host:column$}  {what}  {lasted}"), width)
            })
            .collect();
        if working.len() > LINES {
            out.push(shortened_to(&format!("  and {}", plural(working.len() - LINES, "more host")), width));
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
