//! What `command`, `shell`, `raw` and `script` share: whether to run at all, and the result of having run.

use super::paths;
use super::text::lines_value;
use crate::host::key::{Key, clean, parent};
use crate::host::{Output, Probe, Stop, TaskResult, View};
use crate::values::{Map, Value};

/// Whether a glob pattern (`$1`) matches anything; a link that leads nowhere counts.
const MATCHES: &str = r#"IFS=
for f in $1; do
  if [ -e "$f" ] || [ -h "$f" ]; then echo yes; exit 0; fi
done
echo no"#;

/// Whether anything is at `pattern`, a path or a glob pattern, relative to `base`.
///
/// # Errors
/// As [`View::ask`].
fn there(view: &View<'_>, argument: &str, pattern: &str, base: &str) -> Result<bool, Stop> {
    let path = paths::absolute_from(view, argument, pattern, base)?;
    if !path.contains(['*', '?', '[']) {
        return Ok(view.path(&path)?.exists());
    }
    // A backslash is an ordinary character of the pattern, and would escape the next one in the shell's eyes.
    let shell_pattern = path.replace('\\', "\\\\");
    let mut folder = path.as_str();
    while folder.contains(['*', '?', '[']) {
        folder = parent(folder).unwrap_or("/");
    }
    let output = view.probe(Probe::new(MATCHES, &[&shell_pattern], vec![Key::Below(clean(folder))]))?;
    Ok(output.out().trim() == "yes")
}

/// Why a command does not run: what `creates` names is there, or what `removes` names is not.
///
/// # Errors
/// As [`View::ask`].
pub fn needless(
    view: &View<'_>,
    creates: Option<&str>,
    removes: Option<&str>,
    base: &str,
) -> Result<Option<String>, Stop> {
    let created = creates.map(|p| there(view, "creates", p, base));
    let present = removes.map(|p| there(view, "removes", p, base));
    if let (Some(path), Some(true)) = (creates, created.transpose()?) {
        return Ok(Some(format!("{path} exists")));
    }
    if let (Some(path), Some(false)) = (removes, present.transpose()?) {
        return Ok(Some(format!("{path} does not exist")));
    }
    Ok(None)
}

/// The result of a command that did not run, because `why`.
pub fn skipped(cmd: Value, why: &str) -> TaskResult {
    let stdout = format!("skipped, since {why}");
    let lines = lines_value(&stdout);
    TaskResult::ok()
        .msg(format!("did not run the command, since {why}"))
        .with("cmd", cmd)
        .with("rc", 0)
        .with("stdout", stdout)
        .with("stdout_lines", lines)
        .with("stderr", "")
        .with("stderr_lines", Value::list(Vec::new()))
        .with("start", Value::Null)
        .with("end", Value::Null)
        .with("delta", Value::Null)
}

/// The result that is foretold of a command.
pub fn foretold(cmd: Value) -> TaskResult {
    // A command that succeeds counts as a change, whatever it says.
    let mut result = TaskResult::changed(true).with("changed", true).with("cmd", cmd);
    for field in ["rc", "stdout", "stdout_lines", "stderr", "stderr_lines", "start", "end", "delta"] {
        result = result.with(field, Value::Unknown);
    }
    result
}

/// The result of a command that ran; an exit status other than 0 is a failure.
pub fn result(cmd: Value, output: Option<&Output>, strip_ends: bool) -> TaskResult {
    let Some(output) = output else {
        let mut result = TaskResult::changed(false).msg("the command was not run").with("cmd", cmd);
        result.failed = true;
        return result;
    };
    let strip = |text: String| if strip_ends { text.trim_end_matches(['\r', '\n']).to_owned() } else { text };
    let (stdout, stderr) = (strip(output.out()), strip(output.err()));
    let mut result = TaskResult::changed(true)
        .with("cmd", cmd)
        .with("rc", output.rc)
        .with("start", moment(output.started))
        .with("end", moment(output.started + i64::try_from(output.took).unwrap_or(0)))
        .with("delta", span(output.took))
        .with("stdout_lines", lines_value(&stdout))
        .with("stderr_lines", lines_value(&stderr))
        .with("stdout", stdout)
        .with("stderr", stderr);
    if output.truncated {
        result = result.with("truncated", true);
    }
    if output.timed_out {
        result.failed = true;
        return result.msg("the command did not end in time and was stopped");
    }
    if output.rc != 0 {
        result.failed = true;
        return result.msg("non-zero return code");
    }
    result.with("msg", "")
}

/// A time as results show it, in UTC: `2026-11-21 18:09:00.000000`.
fn moment(micros: i64) -> Value {
    jiff::Timestamp::from_microsecond(micros)
        .map(|t| t.to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
        .map_or(Value::Null, Value::from)
}

/// A length of time as results show it: `0:00:00.000000`.
fn span(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let days = match days {
        0 => String::new(),
        1 => "1 day, ".to_owned(),
        n => format!("{n} days, "),
    };
    format!("{days}{}:{:02}:{:02}.{:06}", rest / 3600, rest % 3600 / 60, rest % 60, micros % 1_000_000)
}

/// The one command of a playbook that several arguments can give: which of them, and its value.
///
/// # Errors
/// A failure where none or more than one is given.
pub fn one_of<'a>(map: &'a Map, names: &[&'static str]) -> Result<(&'static str, &'a Value), Stop> {
    let mut given = names.iter().filter_map(|&n| {
        map.get(n).filter(|v| !matches!(v, Value::Null | Value::Omit) && v.as_str() != Some("")).map(|v| (n, v))
    });
    match (given.next(), given.next()) {
        (Some(one), None) => Ok(one),
        (Some((a, _)), Some((b, _))) => {
            Err(Stop::fail(format!("`{a}` and `{b}` exclude each other: give one command")))
        }
        (None, _) => Err(Stop::fail("no command given: write it after the module's name, or in `cmd`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_python_shows_them() {
        assert_eq!(moment(1_700_000_000_123_456), Value::from("2023-11-14 22:13:20.123456"));
        assert_eq!(span(3_723_000_004), "1:02:03.000004");
        assert_eq!(span(86_400_000_000), "1 day, 0:00:00.000000");
    }
}
