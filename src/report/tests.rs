//! Reports of sequences of events, as whole outputs.

#![allow(clippy::unwrap_used)]

use super::{JsonReport, Progress, Report, TextOptions, TextReport};
use crate::engine::event::{Event, Stats, Status, StepResult, TaskInfo, Traffic};
use crate::host::{Certainty, Diff, TaskResult};
use crate::source::Span;
use crate::values::{Redactor, Value};
use std::sync::Arc;
use std::time::Duration;

fn task(name: &str, line: u32) -> Arc<TaskInfo> {
    let mut span = Span::synthetic("site.yml", "");
    span.line = line;
    span.column = 7;
    Arc::new(TaskInfo { name: name.into(), action: "command".into(), span, position: vec![0, line], handler: false })
}

fn result(host: &str, name: &str, status: Status) -> StepResult {
    let mut result = TaskResult::changed(status == Status::Changed);
    result.failed = status == Status::Failed;
    StepResult {
        host: host.into(),
        delegated: None,
        task: task(name, 4),
        item: None,
        summary: false,
        status,
        result,
        certainty: Certainty::Exact,
        actions: Vec::new(),
        took: Duration::ZERO,
        retry: None,
    }
}

fn told(result: StepResult) -> Event {
    Event::Result(Box::new(result))
}

fn play(hosts: &[&str], plan: bool) -> Event {
    Event::PlayStart { name: "Site".into(), hosts: hosts.iter().map(|h| Arc::from(*h)).collect(), plan }
}

fn recap(hosts: &[(&str, Stats)]) -> Event {
    Event::Recap {
        hosts: hosts.iter().map(|(h, s)| (Arc::from(*h), *s)).collect(),
        took: Duration::from_millis(1500),
        traffic: Traffic { trips: 3, asking: 1, acting: 0, chain: 2, syncs: 1, sent: 1200, received: 900 },
    }
}

fn text(options: TextOptions, events: &[Event]) -> String {
    let redactor = Arc::new(Redactor::new());
    redactor.add("s3cr3t-word");
    let mut report = TextReport::new(options, redactor);
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        report.event(event, Duration::ZERO, &mut lines);
    }
    plain(&lines)
}

fn plain(lines: &[String]) -> String {
    anstream::adapter::strip_str(&lines.join("\n")).to_string()
}

fn a_run() -> Vec<Event> {
    let mut failed = result("db1", "Migrate", Status::Failed);
    failed.result.msg = Some("non-zero return code".into());
    failed.result.data.insert("rc".into(), Value::from(3));
    failed.result.data.insert("stderr".into(), Value::from("no such table\npassword s3cr3t-word\u{1b}[2J\n"));
    let mut item = result("web1", "Install", Status::Changed);
    item.item = Some("nginx".into());
    item.actions = vec!["install nginx".into()];
    let mut whole = result("web1", "Install", Status::Changed);
    whole.summary = true;
    let mut again = result("web1", "Wait", Status::Failed);
    again.retry = Some((1, 5));
    let stats = Stats { ok: 3, changed: 1, ..Stats::default() };
    vec![
        play(&["web1", "db1"], false),
        told(result("web1", "Ping", Status::Ok)),
        told(item),
        told(whole),
        told(failed),
        told(again),
        told(result("web1", "Optional", Status::Skipped)),
        Event::Notice { host: Some("web1".into()), text: "waiting for the lock of dpkg".into() },
        Event::PlayEnd,
        recap(&[("web1", stats), ("db1", Stats { failed: 1, ..Stats::default() })]),
    ]
}

#[test]
fn changes_failures_and_notices_are_told_by_default() {
    assert_eq!(
        text(TextOptions { stats: true, ..TextOptions::default() }, &a_run()),
        "\
play Site: web1, db1
changed      web1  Install  (nginx)
failed       db1   Migrate
             non-zero return code
             exit code: 3
             stderr: no such table
             stderr: password ********\\x1b[2J
             at site.yml:4:7
retrying     web1  Wait  try 1 of 5 failed
notice       web1  waiting for the lock of dpkg

web1  ok=3  changed=1  unreachable=0  failed=0  skipped=0  rescued=0  ignored=0
db1   ok=0  changed=0  unreachable=0  failed=1  skipped=0  rescued=0  ignored=0
1 host failed, 1 change on 2 hosts in 1.5 s
at most 3 round trips a host after the handshake (1 only asked, 0 did something; D = 2, 1 sync), \
1.2 kB sent, 900 B received, 1.5 s"
    );
}

#[test]
fn warnings_of_modules_are_told() {
    let mut waited = result("web1", "Install", Status::Ok);
    waited.result = TaskResult::ok().with("warnings", Value::list(vec![Value::from("waited 8 s for dpkg's lock")]));
    assert_eq!(
        text(TextOptions::default(), &[play(&["web1"], false), told(waited)]),
        "play Site: web1\nok           web1  Install\n             warning: waited 8 s for dpkg's lock"
    );
}

#[test]
fn with_v_what_was_in_order_is_told_too_and_what_was_done() {
    let text = text(TextOptions { verbosity: 1, ..TextOptions::default() }, &a_run()[..7]);
    assert_eq!(
        text.lines().filter(|l| !l.starts_with(' ')).collect::<Vec<_>>(),
        [
            "play Site: web1, db1",
            "ok           web1  Ping",
            "changed      web1  Install  (nginx)",
            "failed       db1   Migrate",
            "retrying     web1  Wait  try 1 of 5 failed",
            "skipped      web1  Optional",
        ]
    );
    assert!(text.contains("\n             - install nginx\n"));
}

#[test]
fn quiet_tells_failures_only() {
    let text = text(TextOptions { quiet: true, ..TextOptions::default() }, &a_run());
    assert_eq!(text.lines().next(), Some("failed       db1   Migrate"));
    assert_eq!(text.lines().count(), 6);
}

#[test]
fn a_plan_says_what_would_be_done_and_how_sure_that_is() {
    let mut write = result("web1", "Config", Status::Changed);
    write.actions = vec!["write /etc/app.conf (20 bytes, mode 0644)".into()];
    let diff = Diff {
        before_header: "/etc/app.conf".into(),
        after_header: "app.conf.j2".into(),
        before: "a\nb\n".into(),
        after: "a\nc\n".into(),
    };
    write.result.diff = vec![diff];
    let mut unknown = result("web1", "Reload", Status::Unknown);
    unknown.certainty = Certainty::KnownAfterApply;
    let stats = Stats { ok: 1, changed: 1, unknown: 1, ..Stats::default() };
    let events = [play(&["web1"], true), told(write), told(unknown), recap(&[("web1", stats)])];
    assert_eq!(
        text(TextOptions { diff: true, ..TextOptions::default() }, &events),
        "\
plan of play Site: web1
would change web1  Config
             - write /etc/app.conf (20 bytes, mode 0644)
             --- /etc/app.conf
             +++ app.conf.j2
             @@ -1,2 +1,2 @@
              a
             -b
             +c
may change   web1  Reload  known after apply

web1  ok=1  would change=1  unreachable=0  would fail=0  skipped=0  rescued=0  ignored=0  may change=1
1 change to make, 1 known only after apply on 1 host in 1.5 s"
    );
}

#[test]
fn binary_and_long_differences_are_cut() {
    let diff = |before: &str, after: &str| Diff {
        before_header: "a".into(),
        after_header: String::new(),
        before: before.into(),
        after: after.into(),
    };
    assert_eq!(super::detail::diff(&diff("\0", "x")), ["--- a", "+++ (nothing)", "(binary content differs)"]);
    let long: String = "a\n".repeat(500);
    let lines = super::detail::diff(&diff("", &long));
    assert_eq!(lines.len(), 123);
    assert_eq!(lines.last().unwrap(), "… 381 more lines");
}

#[test]
fn debug_speaks_and_single_commands_show_their_output() {
    let mut debug = result("h", "Say", Status::Ok);
    debug.result = TaskResult::ok().with("_ansible_verbose_always", true).msg("two\nlines");
    let mut command = result("h", "command", Status::Changed);
    command.result = TaskResult::changed(true).with("stdout", "up 3 days\n").with("stderr", "").with("rc", 0);
    let head = play(&["h"], false);
    assert_eq!(
        text(TextOptions::default(), &[head.clone(), told(debug)]),
        "play Site: h\nok           h  Say\n             two\n             lines"
    );
    assert_eq!(
        text(TextOptions { outputs: true, ..TextOptions::default() }, &[head, told(command)]),
        "changed      h  command\n             up 3 days"
    );
}

#[test]
fn many_hosts_with_the_same_counts_share_a_line() {
    let hosts: Vec<(Arc<str>, Stats)> = (0..200)
        .map(|n| {
            let (changed, failed) = (u32::from(n == 7), u32::from(n == 8 || n == 9));
            (Arc::from(format!("h{n}")), Stats { ok: 5, changed, failed, ..Stats::default() })
        })
        .collect();
    let lines = super::recap::table(&hosts, false, false);
    assert_eq!(
        plain(&lines),
        "\
h0 and 196 more hosts  ok=5  changed=0  unreachable=0  failed=0  skipped=0  rescued=0  ignored=0
h7                     ok=5  changed=1  unreachable=0  failed=0  skipped=0  rescued=0  ignored=0
h8                     ok=5  changed=0  unreachable=0  failed=1  skipped=0  rescued=0  ignored=0
h9                     ok=5  changed=0  unreachable=0  failed=1  skipped=0  rescued=0  ignored=0"
    );
    assert_eq!(super::recap::table(&hosts, false, true).len(), 200);
}

#[test]
fn a_long_silence_is_explained() {
    let mut report = TextReport::new(TextOptions::default(), Arc::default());
    let mut lines: Vec<String> = Vec::new();
    report.event(&play(&["a", "b"], false), Duration::ZERO, &mut lines);
    for (host, at) in [("a", 1), ("b", 2)] {
        let begins = Event::TaskStart { host: host.into(), task: task("Build", 9) };
        report.event(&begins, Duration::from_secs(at), &mut lines);
    }
    lines.clear();
    report.tick(Duration::from_secs(10), &mut lines);
    assert!(lines.is_empty());
    report.tick(Duration::from_secs(20), &mut lines);
    report.tick(Duration::from_secs(21), &mut lines);
    assert_eq!(plain(&lines), "working      a  Build (19 s), and 1 other host at work");
}

#[test]
fn progress_stays_a_few_lines() {
    let mut progress = Progress::default();
    let names: Vec<String> = (0..5000).map(|n| format!("host{n}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    progress.event(&play(&hosts, false), Duration::ZERO);
    for host in &hosts {
        let begins = Event::TaskStart { host: (*host).into(), task: task("Build", 9) };
        progress.event(&begins, Duration::from_secs(1));
    }
    progress.event(&told(result("host0", "Build", Status::Changed)), Duration::from_secs(2));
    progress.event(&told(result("host1", "Build", Status::Failed)), Duration::from_secs(2));
    let lines = progress.lines(Duration::from_secs(3), 60);
    assert_eq!(
        lines,
        ["  4998 hosts  Build  up to 2.0 s (host10)", "Site · 5000 hosts · 2 steps done · 1 changed · 1 failed · 3…"]
    );
    // Some at each of many things.
    for (n, host) in hosts.iter().enumerate() {
        let begins = Event::TaskStart { host: (*host).into(), task: task(&format!("Task {}", n % 20), 9) };
        progress.event(&begins, Duration::from_secs(4) + Duration::from_millis(n as u64));
    }
    let lines = progress.lines(Duration::from_secs(10), 60);
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[0], "  250 hosts  Task 0  up to 6.0 s (host0)");
    assert_eq!(lines[8], "  and 3000 hosts at other steps");
    // Few are named.
    for host in &hosts[3..] {
        progress.event(&told(result(host, "Build", Status::Ok)), Duration::from_secs(11));
    }
    let lines = progress.lines(Duration::from_secs(12), 60);
    assert_eq!(lines[..2], ["  host0  Task 0  8.0 s", "  host1  Task 1  8.0 s"]);
    assert_eq!(lines.len(), 4);
}

#[test]
fn equal_results_of_many_hosts_share_a_line() {
    let names: Vec<String> = (0..40).map(|n| format!("host{n:02}")).collect();
    let hosts: Vec<&str> = names.iter().map(String::as_str).collect();
    let redactor = Arc::new(Redactor::new());
    let mut report = TextReport::new(TextOptions::default(), redactor);
    let mut lines: Vec<String> = Vec::new();
    let second = Duration::from_secs(1);
    report.event(&play(&hosts, false), Duration::ZERO, &mut lines);
    lines.clear();
    for host in &hosts {
        let status = if *host == "host07" { Status::Failed } else { Status::Changed };
        report.event(&told(result(host, "Build", status)), second, &mut lines);
    }
    // What went wrong is told at once, and of each host.
    assert!(lines.len() < 4 && lines[0].contains("host07"), "{lines:?}");
    lines.clear();
    report.event(&told(result("host03", "Test", Status::Changed)), second, &mut lines);
    report.tick(second, &mut lines);
    assert!(lines.is_empty(), "others may come yet: {lines:?}");
    report.tick(second * 2, &mut lines);
    let plain: Vec<String> = lines.iter().map(|l| anstream::adapter::strip_str(l).to_string()).collect();
    assert_eq!(
        plain,
        ["changed      39 hosts  Build  host00, host01, host02 and 36 more", "changed      host03  Test"]
    );
}

fn sending(sent: u64) -> Event {
    Event::Sending { host: "a".into(), file: "large.bin".into(), sent, len: 50_000_000 }
}

#[test]
fn a_large_file_has_a_bar() {
    let mut progress = Progress::default();
    progress.event(&play(&["a"], false), Duration::ZERO);
    progress.event(&sending(10_000_000), Duration::from_secs(1));
    progress.event(&sending(22_500_000), Duration::from_secs(2));
    let lines = progress.lines(Duration::from_secs(3), 80);
    assert_eq!(lines[0], "  a  large.bin  [#########...........]  45 % of 50.0 MB  2.0 s");
    progress.event(&Event::TaskStart { host: "a".into(), task: task("Send", 9) }, Duration::from_secs(3));
    assert_eq!(progress.lines(Duration::from_secs(4), 80)[0], "  a  Send  1.0 s");
}

#[test]
fn without_a_terminal_a_large_file_has_a_line_now_and_then() {
    let mut report = TextReport::new(TextOptions::default(), Arc::new(Redactor::new()));
    let mut lines: Vec<String> = Vec::new();
    for second in 1..=12 {
        report.event(&sending(second * 4_000_000), Duration::from_secs(second), &mut lines);
    }
    let wanted = "sending      a  large.bin: 48 % of 50.0 MB\nsending      a  large.bin: 88 % of 50.0 MB";
    assert_eq!(plain(&lines), wanted);
}

#[test]
fn json_lines_are_versioned_and_masked() {
    let redactor = Arc::new(Redactor::new());
    redactor.add("s3cr3t-word");
    let mut report = JsonReport::new(redactor, false);
    let mut lines: Vec<String> = Vec::new();
    for event in &a_run() {
        report.event(event, Duration::from_millis(1250), &mut lines);
    }
    let json: Vec<serde_json::Value> = lines.iter().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<&str> = json.iter().map(|j| j["event"].as_str().unwrap()).collect();
    let expected = ["start", "play_start", "result", "result", "result", "result", "result", "result", "notice"];
    assert_eq!(names[..9], expected);
    assert_eq!(names[9..], ["play_end", "recap"]);
    assert_eq!(json[0]["version"], 1);
    assert_eq!(
        json[5],
        serde_json::json!({
            "event": "result", "at": 1.25, "host": "db1", "delegated_to": null,
            "task": {"name": "Migrate", "action": "command", "handler": false, "position": [0, 4],
                     "file": "site.yml", "line": 4, "column": 7},
            "item": null, "summary": false, "status": "failed", "certainty": "exact", "assumed": null,
            "actions": [], "took": 0.0, "retry": null,
            "result": {"rc": 3, "stderr": "no such table\npassword ********\u{1b}[2J\n", "changed": false,
                       "failed": true, "msg": "non-zero return code"},
        })
    );
    assert_eq!(json[10]["hosts"]["web1"]["changed"], 1);
    assert_eq!(json[10]["traffic"]["round_trips"], 3);
}
