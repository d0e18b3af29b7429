//! The table at the end.

use super::layout::{BOLD, DIM, bytes, duration, plural};
use crate::engine::event::{Stats, Traffic};
use anstyle::{AnsiColor, Style};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// With more hosts than this, those to which the same happened share a line.
const MANY: usize = 30;

/// The columns of Ansible's recap; `unknown` only in a plan.
fn columns(stats: &Stats, plan: bool) -> Vec<(&'static str, u32, Style)> {
    let mut out = vec![
        ("ok", stats.ok, AnsiColor::Green.on_default()),
        (if plan { "would change" } else { "changed" }, stats.changed, AnsiColor::Yellow.on_default()),
        ("unreachable", stats.unreachable, AnsiColor::Red.on_default().bold()),
        (if plan { "would fail" } else { "failed" }, stats.failed, AnsiColor::Red.on_default().bold()),
        ("skipped", stats.skipped, AnsiColor::Cyan.on_default()),
        ("rescued", stats.rescued, AnsiColor::Blue.on_default()),
        ("ignored", stats.ignored, AnsiColor::Blue.on_default()),
    ];
    if plan {
        out.push(("may change", stats.unknown, AnsiColor::Magenta.on_default()));
    }
    out
}

/// A line of the table: who, and their counts.
struct Row {
    who: String,
    stats: Stats,
    hosts: usize,
}

/// The table. Of many hosts, those with the same counts share a line, unless something went wrong on them.
pub fn table(hosts: &[(Arc<str>, Stats)], plan: bool, all: bool) -> Vec<String> {
    let mut rows: Vec<Row> = Vec::new();
    let mut shared: HashMap<Stats, usize> = HashMap::new();
    for (host, stats) in hosts {
        let alone = all || hosts.len() <= MANY || stats.failed > 0 || stats.unreachable > 0;
        if let Some(row) = shared.get(stats).filter(|_| !alone).and_then(|place| rows.get_mut(*place)) {
            row.hosts += 1;
            continue;
        }
        if !alone {
            shared.insert(*stats, rows.len());
        }
        rows.push(Row { who: host.to_string(), stats: *stats, hosts: 1 });
    }
    for row in rows.iter_mut().filter(|row| row.hosts > 1) {
        row.who = format!("{} and {}", row.who, plural(row.hosts - 1, "more host"));
    }
    let width = rows.iter().map(|row| row.who.chars().count()).max().unwrap_or(0);
    let mut widths = vec![1; 8];
    for row in &rows {
        for (place, (_, count, _)) in columns(&row.stats, plan).iter().enumerate() {
            widths[place] = widths[place].max(count.to_string().len());
        }
    }
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = columns(&row.stats, plan)
                .into_iter()
                .zip(&widths)
                .map(|((name, count, style), width)| {
                    let style = if count == 0 { DIM } else { style };
                    format!("{style}{name}={count:<width$}{style:#}")
                })
                .collect();
            format!("{:width$}  {}", row.who, cells.join("  "))
        })
        .collect()
}

/// One sentence for all hosts.
pub fn summary(hosts: &[(Arc<str>, Stats)], plan: bool, took: Duration) -> String {
    let count = |f: &dyn Fn(&Stats) -> bool| hosts.iter().filter(|(_, s)| f(s)).count();
    let total = |f: &dyn Fn(&Stats) -> u32| hosts.iter().map(|(_, s)| f(s)).sum::<u32>();
    let mut parts = Vec::new();
    let (unreachable, failed) = (count(&|s| s.unreachable > 0), count(&|s| s.failed > 0));
    let (changes, unknown) = (total(&|s| s.changed), total(&|s| s.unknown));
    if unreachable > 0 {
        parts.push(format!("{} unreachable", plural(unreachable, "host")));
    }
    if failed > 0 {
        parts.push(format!("{} {}", plural(failed, "host"), if plan { "would fail" } else { "failed" }));
    }
    parts.push(match (plan, changes) {
        (false, 0) => "nothing changed".to_owned(),
        (true, 0) if unknown > 0 => "nothing certain to change".to_owned(),
        (true, 0) => "nothing to change".to_owned(),
        (false, n) => plural(n as usize, "change"),
        (true, n) => format!("{} to make", plural(n as usize, "change")),
    });
    if unknown > 0 {
        parts.push(format!("{unknown} known only after apply"));
    }
    format!("{BOLD}{}{BOLD:#} on {} in {}", parts.join(", "), plural(hosts.len(), "host"), duration(took))
}

/// What travelled.
pub fn traffic(traffic: Traffic, took: Duration) -> String {
    format!(
        "at most {} a host after the handshake ({} only asked, {} did something; D = {}, \
         {}), {} sent, {} received, {}",
        plural(usize::try_from(traffic.trips).unwrap_or(usize::MAX), "round trip"),
        traffic.asking,
        traffic.acting,
        traffic.chain,
        plural(usize::try_from(traffic.syncs).unwrap_or(usize::MAX), "sync"),
        bytes(traffic.sent),
        bytes(traffic.received),
        duration(took)
    )
}
