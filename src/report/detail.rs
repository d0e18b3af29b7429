//! What stands below a result's line: why it failed, what was printed, what differs.

use super::clean;
use super::layout::shortened;
use crate::engine::event::{Status, StepResult};
use crate::host::{Certainty, Diff, TaskResult};
use crate::values::Value;
use similar::TextDiff;

/// Lines of a failed command's output that are shown, from its end.
const TAIL: usize = 20;
/// Lines of one difference that are shown.
const DIFF_LINES: usize = 120;
/// Larger texts are not compared.
const DIFF_BYTES: usize = 1 << 20;

/// Why it failed: the message, the output's end, and where the task stands.
pub fn failure(result: &StepResult) -> Vec<String> {
    let mut out = Vec::new();
    let data = &result.result.data;
    if let Some(text) = message(&result.result) {
        out.extend(clean(&text).lines().map(str::to_owned));
    }
    if let Some(Value::Str(text)) = data.get("censored") {
        out.push(text.to_string());
    }
    if let Some(rc) = data.get("rc").and_then(Value::as_int)
        && rc != 0
    {
        out.push(format!("exit code: {rc}"));
    }
    for (stream, other) in [("stderr", "module_stderr"), ("stdout", "module_stdout")] {
        if let Some(text) = data.get(stream).or_else(|| data.get(other)).and_then(Value::as_str) {
            out.extend(tail(stream, text));
        }
    }
    out.push(format!("at {}", result.task.span));
    out
}

/// The message of a result.
pub fn message(result: &TaskResult) -> Option<String> {
    match (&result.msg, result.data.get("msg")) {
        (Some(msg), _) if !msg.is_empty() => Some(msg.clone()),
        (_, Some(Value::Null) | None) => None,
        (_, Some(msg)) => Some(msg.to_string()),
    }
}

/// What the module wants people to know though nothing failed: that it had to wait, that it passed something over.
pub fn warnings(result: &TaskResult) -> Vec<String> {
    let all = result.data.get("warnings").and_then(Value::as_list).unwrap_or_default();
    all.iter().map(|w| format!("warning: {}", shortened(&clean(&w.to_string()), 300))).collect()
}

/// The end of what a command printed, each line after the stream's name.
fn tail(stream: &str, text: &str) -> Vec<String> {
    let text = clean(text.trim_end());
    if text.is_empty() {
        return Vec::new();
    }
    let lines: Vec<&str> = text.lines().collect();
    let skipped = lines.len().saturating_sub(TAIL);
    let mut out = Vec::new();
    if skipped > 0 {
        out.push(format!("{stream}: … {skipped} lines before these"));
    }
    out.extend(lines[skipped..].iter().map(|line| format!("{stream}: {}", shortened_end(line))));
    out
}

fn shortened_end(line: &str) -> String {
    if line.chars().count() <= 400 {
        return line.to_owned();
    }
    line.chars().take(399).chain(['…']).collect()
}

/// A few words to stand behind a task's name.
pub fn brief(result: &StepResult, plan: bool, verbose: bool) -> Option<String> {
    let assumed = |why: &str| if verbose { format!("assumed: {why}") } else { "assumed".to_owned() };
    let text = match result.status {
        Status::Skipped => {
            let data = &result.result.data;
            data.get("skip_reason").or_else(|| data.get("skipped_reason")).map(Value::to_string)
        }
        Status::Unknown => match &result.certainty {
            Certainty::Assumed(why) => Some(format!("known after apply: {why}")),
            _ => Some("known after apply".to_owned()),
        },
        Status::Changed if plan => match &result.certainty {
            Certainty::Assumed(why) => Some(assumed(why)),
            _ => None,
        },
        Status::Ok if plan => match &result.certainty {
            Certainty::KnownAfterApply => Some("known after apply".to_owned()),
            Certainty::Assumed(why) => Some(assumed(why)),
            Certainty::Exact => None,
        },
        Status::Ignored => message(&result.result),
        _ => None,
    };
    text.map(|t| shortened(&clean(&t), 160)).filter(|t| !t.is_empty())
}

/// What a result says for itself, for `debug` and for single commands: its message, the output, or all of its data.
pub fn output(result: &TaskResult) -> Vec<String> {
    let mut out = Vec::new();
    let data = &result.data;
    if data.contains_key("stdout") {
        for stream in ["stdout", "stderr"] {
            if let Some(text) = data.get(stream).and_then(Value::as_str) {
                out.extend(clean(text.trim_end()).lines().map(str::to_owned));
            }
        }
        return out;
    }
    // A message of several values reads better as data.
    match (&result.msg, data.get("msg")) {
        (Some(msg), _) => out.extend(clean(msg).lines().map(str::to_owned)),
        (None, Some(Value::Str(msg))) => out.extend(clean(msg).lines().map(str::to_owned)),
        (None, Some(msg)) => out.extend(pretty(msg)),
        (None, None) => {}
    }
    for (name, value) in data.iter().filter(|(name, _)| !name.starts_with('_') && &***name != "msg") {
        let mut lines = match value {
            Value::Str(text) if !text.contains('\n') => vec![clean(text).into_owned()],
            value => pretty(value),
        };
        lines[0] = format!("{name}: {}", lines[0]);
        out.append(&mut lines);
    }
    out
}

/// A value as indented JSON, at least one line.
fn pretty(value: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    let lines: Vec<String> = clean(&text).lines().map(str::to_owned).collect();
    if lines.is_empty() { vec![String::new()] } else { lines }
}

/// Everything a result holds, for `-vv`.
pub fn everything(result: &TaskResult) -> Vec<String> {
    let value = crate::engine::event::to_value(result);
    pretty(&value)
}

/// A difference as unified lines, each with what begins it: `+`, `-`, `@` or a blank.
pub fn diff(diff: &Diff) -> Vec<String> {
    let mut out = vec![format!("--- {}", shown(&diff.before_header)), format!("+++ {}", shown(&diff.after_header))];
    if diff.before.len().max(diff.after.len()) > DIFF_BYTES {
        out.push(format!("(too large to compare: {} and {} bytes)", diff.before.len(), diff.after.len()));
        return out;
    }
    if is_binary(&diff.before) || is_binary(&diff.after) {
        out.push("(binary content differs)".to_owned());
        return out;
    }
    let compared = TextDiff::from_lines(&diff.before, &diff.after);
    let unified = compared.unified_diff().context_radius(3).missing_newline_hint(true).to_string();
    let lines: Vec<&str> = unified.lines().collect();
    out.extend(lines.iter().take(DIFF_LINES).map(|l| clean(l).into_owned()));
    if lines.len() > DIFF_LINES {
        out.push(format!("… {} more lines", lines.len() - DIFF_LINES));
    }
    out
}

fn shown(header: &str) -> String {
    if header.is_empty() { "(nothing)".to_owned() } else { clean(header).replace('\n', " ") }
}

fn is_binary(text: &str) -> bool {
    text.chars().take(8000).any(|c| c == '\0' || c == '\u{fffd}')
}
