//! The table at the end.

use super::layout::{BOLD, DIM, bytes, duration, plural};
use crate::engine::event::{Stats, Traffic};
use anstyle::{AnsiColor, Style};
use std::sync::Arc;
use std::time::Duration;

/// From this many hosts on, those without changes and failures are one line.
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

/// The table.
pub fn table(hosts: &[(Arc<str>, Stats)], plan: bool, all: bool) -> Vec<String> {
    let quiet = |s: &Stats| s.changed == 0 && s.failed == 0 && s.unreachable == 0 && s.unknown == 0 && s.rescued == 0;
    let fold = hosts.len() > MANY && !all;
    let shown: Vec<&(Arc<str>, Stats)> = hosts.iter().filter(|(_, s)| !fold || !quiet(s)).collect();
    let width = shown.iter().map(|(host, _)| host.chars().count()).max().unwrap_or(0);
    let mut widths = vec![1; 8];
    for (_, stats) in &shown {
        for (place, (_, count, _)) in columns(stats, plan).iter().enumerate() {
            widths[place] = widths[place].max(count.to_string().len());
        }
    }
    let mut out = Vec::new();
    for (host, stats) in &shown {
        let cells: Vec<String> = columns(stats, plan)
            .into_iter()
            .zip(&widths)
            .map(|((name, count, style), width)| {
                let style = if count == 0 { DIM } else { style };
                format!("{style}{name}={count:<width$}{style:#}")
            })
            .collect();
        out.push(format!("{host:width$}  {}", cells.join("  ")));
    }
    let folded = hosts.len() - shown.len();
    if folded > 0 {
        let what = if plan { "need no change" } else { "had nothing to change" };
        out.push(format!("{DIM}{} {what}{DIM:#}", plural(folded, "more host")));
    }
    out
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
        parts.push(format!("{} known only after apply", unknown));
    }
    format!("{BOLD}{}{BOLD:#} on {} in {}", parts.join(", "), plural(hosts.len(), "host"), duration(took))
}

/// What travelled.
pub fn traffic(traffic: Traffic, took: Duration) -> String {
    format!(
        "at most {} a host after the handshake (longest chain of results {}, waits for a result here {}), \
         {} sent, {} received, {}",
        plural(traffic.trips as usize, "round trip"),
        traffic.depth,
        traffic.syncs,
        bytes(traffic.sent),
        bytes(traffic.received),
        duration(took)
    )
}
