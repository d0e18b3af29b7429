//! What commands said, as result fields and as words for a failure.

use crate::host::{Failure, Output, Stop, TaskResult};
use crate::values::{Map, Value};

/// A text's lines, as Ansible gives them beside `stdout` and `stderr`.
pub fn lines(text: &str) -> Value {
    Value::list(text.lines().map(Value::from).collect())
}

/// A result with what a command said: `stdout`, `stderr` and their lines.
#[must_use]
pub fn with_output(result: TaskResult, stdout: &str, stderr: &str) -> TaskResult {
    result
        .with("stdout", stdout)
        .with("stdout_lines", lines(stdout))
        .with("stderr", stderr)
        .with("stderr_lines", lines(stderr))
}

/// A failure with what a command said.
pub fn failed(message: impl Into<String>, output: &Output) -> Stop {
    let mut data = Map::new();
    let (out, err) = (output.out(), output.err());
    data.insert("rc".into(), output.rc.into());
    data.insert("stdout".into(), out.as_str().into());
    data.insert("stdout_lines".into(), lines(&out));
    data.insert("stderr".into(), err.as_str().into());
    data.insert("stderr_lines".into(), lines(&err));
    Stop::Fail(Box::new(Failure { message: message.into(), data }))
}

/// The part of a command's output that says most: the last lines of standard error, else of standard output.
pub fn gist(output: &Output) -> String {
    let (out, err) = (output.out(), output.err());
    let text = if err.trim().is_empty() { out } else { err };
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let gist = lines[lines.len().saturating_sub(5)..].join("; ");
    if output.timed_out {
        format!("its time limit ended it; {gist}")
    } else if gist.is_empty() {
        format!("exit status {}", output.rc)
    } else {
        gist
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gist_is_what_the_error_stream_ends_with() {
        let mut output = Output::failed(1, "a\n\nb\nc\nd\ne\nf\n");
        assert_eq!(gist(&output), "b; c; d; e; f");
        output.stderr = std::sync::Arc::from(&b""[..]);
        assert_eq!(gist(&output), "exit status 1");
    }
}
