//! Several runs' JSON as one: what `--shard` jobs of one inventory came to together.

use super::FORMAT_VERSION;
use super::recap;
use crate::engine::event::Stats;
use indexmap::IndexMap;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// Why reports can't be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A line is none of the format's.
    #[error("{name}:{line}: {what}; it must be the output of `windlass apply --json` or `plan --json`")]
    Line {
        /// Which report.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A report ends before the run did.
    #[error("{name} has no `recap`: its run did not come to its end, or the file is cut off; run that part again")]
    Unfinished {
        /// Which report.
        name: String,
    },
    /// Two reports are of the same host.
    #[error("{host} is in {first} and in {second}: these are not parts of one inventory (compare their --shard)")]
    Twice {
        /// The host.
        host: String,
        /// One report.
        first: String,
        /// The other.
        second: String,
    },
}

/// What several runs came to.
#[derive(Debug, Clone, Default)]
pub struct Merged {
    /// By host, with the report that it is in.
    pub hosts: IndexMap<Arc<str>, (Stats, String)>,
    /// Results that failed, as they stand in the reports.
    pub failures: Vec<Json>,
    /// The longest run.
    pub took: Duration,
    /// The most round trips of any host.
    pub trips: u64,
    /// Whether they only foretold.
    pub plan: bool,
}

impl Merged {
    /// Adds a report: its name and its lines.
    ///
    /// # Errors
    /// [`MergeError`].
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), MergeError> {
        let mut over = false;
        for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let wrong = |what: String| MergeError::Line { name: name.to_owned(), line: number + 1, what };
            let event: Json = serde_json::from_str(line).map_err(|e| wrong(format!("not JSON: {e}")))?;
            match event["event"].as_str() {
                None => return Err(wrong("no `event`".to_owned())),
                Some("start") if event["version"].as_u64() != Some(u64::from(FORMAT_VERSION)) => {
                    return Err(wrong(format!(
                        "version {} of the format, and this program reads {FORMAT_VERSION}",
                        event["version"]
                    )));
                }
                Some("play_start") => self.plan |= event["plan"] == true,
                Some("result") if matches!(event["status"].as_str(), Some("failed" | "unreachable")) => {
                    self.failures.push(event);
                }
                Some("recap") => {
                    over = true;
                    self.recap(name, &event)?;
                }
                Some(_) => {}
            }
        }
        if over { Ok(()) } else { Err(MergeError::Unfinished { name: name.to_owned() }) }
    }

    fn recap(&mut self, name: &str, event: &Json) -> Result<(), MergeError> {
        self.took = self.took.max(Duration::from_secs_f64(event["took"].as_f64().unwrap_or_default().max(0.0)));
        self.trips = self.trips.max(event["traffic"]["round_trips"].as_u64().unwrap_or(0));
        for (host, counts) in event["hosts"].as_object().into_iter().flatten() {
            let count = |what: &str| counts[what].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
            let stats = Stats {
                ok: count("ok"),
                changed: count("changed"),
                unreachable: count("unreachable"),
                failed: count("failed"),
                skipped: count("skipped"),
                rescued: count("rescued"),
                ignored: count("ignored"),
                unknown: count("unknown"),
            };
            if let Some((_, first)) = self.hosts.insert(host.as_str().into(), (stats, name.to_owned())) {
                return Err(MergeError::Twice { host: host.clone(), first, second: name.to_owned() });
            }
        }
        Ok(())
    }

    /// Whether a task failed anywhere.
    pub fn failed(&self) -> bool {
        self.hosts.values().any(|(s, _)| s.failed > 0)
    }

    /// Whether a host could not be reached.
    pub fn unreachable(&self) -> bool {
        self.hosts.values().any(|(s, _)| s.unreachable > 0)
    }

    /// For people: what failed, the table, the sum.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for failure in &self.failures {
            let text = |value: &Json| value.as_str().unwrap_or_default().lines().next().unwrap_or_default().to_owned();
            lines.push(format!(
                "{:12} {}  {}: {}",
                text(&failure["status"]),
                text(&failure["host"]),
                text(&failure["task"]["name"]),
                text(&failure["result"]["msg"])
            ));
        }
        let hosts: Vec<(Arc<str>, Stats)> = self.hosts.iter().map(|(h, (s, _))| (Arc::clone(h), *s)).collect();
        lines.extend(recap::table(&hosts, self.plan, false));
        lines.push(recap::summary(&hosts, self.plan, self.took));
        lines
    }

    /// For programs.
    pub fn json(&self) -> Json {
        let hosts: serde_json::Map<String, Json> = self
            .hosts
            .iter()
            .map(|(host, (stats, from))| {
                let mut counts = super::json::stats(stats);
                counts["report"] = from.as_str().into();
                (host.to_string(), counts)
            })
            .collect();
        json!({
            "version": FORMAT_VERSION, "event": "merged", "hosts": hosts, "failures": self.failures,
            "took": self.took.as_secs_f64(), "round_trips": self.trips, "plan": self.plan,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn report(host: &str, failed: u32) -> String {
        let counts = json!({"ok": 3, "changed": 1, "failed": failed});
        let mut hosts = serde_json::Map::new();
        hosts.insert(host.to_owned(), counts);
        let mut lines = vec![json!({"event": "start", "version": FORMAT_VERSION}).to_string()];
        if failed > 0 {
            lines.push(json!({"event": "result", "host": host, "status": "failed", "task": {"name": "t"}, "result": {"msg": "no"}}).to_string());
        }
        lines.push(json!({"event": "recap", "hosts": hosts, "took": 2.0, "traffic": {"round_trips": 4}}).to_string());
        lines.join("\n")
    }

    #[test]
    fn parts_add_up() {
        let mut merged = Merged::default();
        merged.add("1.json", &report("a", 0)).unwrap();
        merged.add("2.json", &report("b", 1)).unwrap();
        assert!(merged.failed() && !merged.unreachable());
        assert_eq!(merged.json()["hosts"]["b"]["report"], "2.json");
        assert_eq!(merged.failures.len(), 1);
        assert!(merged.lines()[0].contains("b  t: no"));
    }

    #[test]
    fn what_are_no_parts_is_refused() {
        let mut merged = Merged::default();
        merged.add("1.json", &report("a", 0)).unwrap();
        let said = merged.add("2.json", &report("a", 0)).unwrap_err().to_string();
        assert!(said.starts_with("a is in 1.json and in 2.json"), "{said}");
        let cut = report("c", 0).lines().next().unwrap().to_owned();
        assert!(matches!(merged.add("3.json", &cut), Err(MergeError::Unfinished { .. })));
        assert!(matches!(merged.add("4.json", "text"), Err(MergeError::Line { line: 1, .. })));
        let newer = report("d", 0).replace("\"version\":1", "\"version\":2");
        assert!(merged.add("5.json", &newer).unwrap_err().to_string().contains("version 2"));
    }
}
