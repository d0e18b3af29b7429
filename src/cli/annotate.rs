//! Errors as GitHub Actions' workflow commands (`::error file=…,line=…::message`), which it shows beside the files.

use windlass::engine::event::{Status, StepResult};
use windlass::report::clean;
use windlass::source::{Diagnostic, Severity, Span};

/// A finding in a file.
pub fn diagnostic(diagnostic: &Diagnostic) -> String {
    let level = if diagnostic.severity == Severity::Error { "error" } else { "warning" };
    let help = diagnostic.help.first().map(|h| format!("\nhelp: {h}")).unwrap_or_default();
    command(level, diagnostic.span.as_ref(), None, &format!("{}{help}", diagnostic.message))
}

/// An error without a place.
pub fn error(message: &str) -> String {
    command("error", None, Some("windlass"), message)
}

/// A task that failed; a deploy's own steps are told when it has ended.
pub fn result(result: &StepResult) -> Option<String> {
    let failed = matches!(result.status, Status::Failed | Status::Unreachable);
    if !failed || result.retry.is_some() || &*result.task.action == "deploy" {
        return None;
    }
    let said = result.result.msg.clone().or_else(|| result.result.data.get("msg").map(ToString::to_string));
    let message = said.unwrap_or_else(|| "failed".to_owned());
    let title = format!("{}: {}", result.host, result.task.name);
    Some(command("error", Some(&result.task.span), Some(&title), &message))
}

fn command(level: &str, span: Option<&Span>, title: Option<&str>, message: &str) -> String {
    let mut properties = Vec::new();
    // What stands on the command line is in no file.
    if let Some(span) = span.filter(|s| !s.file.name.starts_with('-') && s.file.name != "HOSTS") {
        properties.push(format!("file={}", property(&span.file.name)));
        properties.push(format!("line={},col={}", span.line, span.column));
    }
    properties.extend(title.map(|title| format!("title={}", property(title))));
    let space = if properties.is_empty() { "" } else { " " };
    format!("::{level}{space}{}::{}", properties.join(","), data(&clean(message)))
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&clean(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_before_its_end() {
        let span = Span::synthetic("roles/a,b/main.yml", "x");
        let line = command("error", Some(&span), Some("web1: a, b"), "100% wrong\n::set-output");
        assert_eq!(
            line,
            "::error file=roles/a%2Cb/main.yml,line=1,col=1,title=web1%3A a%2C b::100%25 wrong%0A::set-output"
        );
        assert_eq!(error("x"), "::error title=windlass::x");
        let span = Span::synthetic("--limit", "x");
        assert_eq!(command("error", Some(&span), None, "x"), "::error::x");
    }
}
