//! The report for programs: one JSON object a line. `docs/json.md` describes it.

use super::{Report, Sink};
use crate::engine::event::{Event, Stats, Status, StepResult, TaskInfo, Traffic, to_value};
use crate::host::Certainty;
use crate::values::Redactor;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;

/// The version of the format. It grows when a field goes or changes its meaning, not when one is added.
pub const FORMAT_VERSION: u32 = 1;

/// The report for programs.
pub struct JsonReport {
    redactor: Arc<Redactor>,
    diff: bool,
    started: bool,
}

impl JsonReport {
    /// A report that masks what `redactor` knows, with differences or without.
    pub fn new(redactor: Arc<Redactor>, diff: bool) -> Self {
        Self { redactor, diff, started: false }
    }

    fn write(&self, event: &str, at: Duration, fields: Json, sink: &mut dyn Sink) {
        let mut line = json!({ "event": event, "at": seconds(at) });
        if let (Json::Object(line), Json::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        // Secrets are masked in each string, so that a mask can't break the syntax.
        self.mask(&mut line);
        sink.line(&line.to_string());
    }

    fn mask(&self, json: &mut Json) {
        match json {
            Json::String(text) => {
                if let std::borrow::Cow::Owned(masked) = self.redactor.redact(text) {
                    *text = masked;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.mask(item)),
            Json::Object(map) => map.values_mut().for_each(|item| self.mask(item)),
            _ => {}
        }
    }

    fn result(&self, result: &StepResult) -> Json {
        let (certainty, why) = match &result.certainty {
            Certainty::Exact => ("exact", None),
            Certainty::Assumed(why) => ("assumed", Some(why.as_str())),
            Certainty::KnownAfterApply => ("known_after_apply", None),
        };
        let mut data = serde_json::to_value(to_value(&result.result)).unwrap_or_default();
        if let Json::Object(data) = &mut data {
            data.retain(|name, _| !name.starts_with("_ansible"));
        }
        let mut out = json!({
            "host": &*result.host,
            "delegated_to": result.delegated.as_deref(),
            "task": task(&result.task),
            "item": result.item,
            "summary": result.summary,
            "status": status(result.status),
            "certainty": certainty,
            "assumed": why,
            "actions": result.actions,
            "took": seconds(result.took),
            "retry": result.retry.map(|(attempt, limit)| json!({ "attempt": attempt, "limit": limit })),
            "result": data,
        });
        if self.diff {
            let diff: Vec<Json> = result
                .result
                .diff
                .iter()
                .map(|d| {
                    json!({
                        "before_header": d.before_header, "after_header": d.after_header,
                        "before": d.before, "after": d.after,
                    })
                })
                .collect();
            out["diff"] = Json::Array(diff);
        }
        out
    }
}

impl Report for JsonReport {
    fn event(&mut self, event: &Event, at: Duration, sink: &mut dyn Sink) {
        if !self.started {
            self.started = true;
            let fields = json!({ "version": FORMAT_VERSION, "windlass": env!("CARGO_PKG_VERSION") });
            self.write("start", at, fields, sink);
        }
        match event {
            Event::PlayStart { name, hosts, plan } => {
                self.write("play_start", at, json!({ "name": name, "hosts": names(hosts), "plan": plan }), sink);
            }
            Event::BatchStart { hosts } => self.write("batch_start", at, json!({ "hosts": names(hosts) }), sink),
            Event::Connecting { host } => self.write("connecting", at, json!({ "host": &**host }), sink),
            Event::TaskStart { host, task: info } => {
                self.write("task_start", at, json!({ "host": &**host, "task": task(info) }), sink);
            }
            // For people who wait: nothing that a program would need.
            Event::Sending { .. } => {}
            Event::Result(result) => self.write("result", at, self.result(result), sink),
            Event::Notice { host, text } => {
                self.write("notice", at, json!({ "host": host.as_deref(), "text": text }), sink);
            }
            Event::Document(document) => self.write(document.kind, at, json!({ "document": document.data }), sink),
            Event::PlayEnd => self.write("play_end", at, json!({}), sink),
            Event::Recap { hosts, took, traffic } => {
                let hosts: serde_json::Map<String, Json> =
                    hosts.iter().map(|(host, s)| (host.to_string(), stats(s))).collect();
                let fields = json!({ "hosts": hosts, "took": seconds(*took), "traffic": travelled(*traffic) });
                self.write("recap", at, fields, sink);
            }
        }
    }

    fn tick(&mut self, _at: Duration, _sink: &mut dyn Sink) {}
}

fn names(hosts: &[Arc<str>]) -> Vec<&str> {
    hosts.iter().map(|h| &**h).collect()
}

fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

fn status(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Changed => "changed",
        Status::Skipped => "skipped",
        Status::Failed => "failed",
        Status::Ignored => "ignored",
        Status::Unreachable => "unreachable",
        Status::Unknown => "unknown",
    }
}

fn task(task: &TaskInfo) -> Json {
    json!({
        "name": &*task.name,
        "action": &*task.action,
        "handler": task.handler,
        "position": task.position,
        "file": task.span.file.name,
        "line": task.span.line,
        "column": task.span.column,
    })
}

pub(super) fn stats(stats: &Stats) -> Json {
    json!({
        "ok": stats.ok,
        "changed": stats.changed,
        "unreachable": stats.unreachable,
        "failed": stats.failed,
        "skipped": stats.skipped,
        "rescued": stats.rescued,
        "ignored": stats.ignored,
        "unknown": stats.unknown,
    })
}

fn travelled(traffic: Traffic) -> Json {
    json!({
        "round_trips": traffic.trips,
        "asking": traffic.asking,
        "acting": traffic.acting,
        "chain": traffic.chain,
        "syncs": traffic.syncs,
        "bytes_sent": traffic.sent,
        "bytes_received": traffic.received,
    })
}
