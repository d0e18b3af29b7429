//! A plan in Markdown, to be posted on a change request: told once, at its end.

use super::layout::plural;
use super::{Report, Sink, clean, detail};
use crate::engine::event::{Event, Stats, Status, StepResult};
use crate::source::markdown as md;
use crate::values::Redactor;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// The most characters: GitHub takes 65,536 in a comment.
const MOST: usize = 60_000;
/// Lines of differences of one file.
const DIFF_LINES: usize = 60;

/// One task's changes, with the hosts on which they are the same.
#[derive(Debug, Default)]
struct Change {
    title: String,
    status: Option<Status>,
    hosts: Vec<Arc<str>>,
    actions: Vec<String>,
    diff: Vec<String>,
}

/// The report for change requests.
pub struct MarkdownReport {
    redactor: Arc<Redactor>,
    diff: bool,
    play: String,
    plays: IndexMap<String, Vec<Change>>,
    documents: Vec<String>,
    failures: Vec<String>,
    notices: Vec<String>,
}

impl MarkdownReport {
    /// A report that masks what `redactor` knows; with what differs in files, if asked for.
    pub fn new(redactor: Arc<Redactor>, diff: bool) -> Self {
        Self {
            redactor,
            diff,
            play: String::new(),
            plays: IndexMap::new(),
            documents: Vec::new(),
            failures: Vec::new(),
            notices: Vec::new(),
        }
    }

    fn result(&mut self, result: &StepResult) {
        let failed = matches!(result.status, Status::Failed | Status::Unreachable);
        if result.retry.is_some() || result.summary && !failed {
            return;
        }
        let name = clean(&result.task.name).into_owned();
        let item = result.item.as_ref().map(|i| format!(" ({})", clean(i))).unwrap_or_default();
        let title = format!("{}{name}{item}", if result.task.handler { "handler " } else { "" });
        if failed {
            let lines = detail::failure(result);
            let why = lines.first().map(|l| md::text(l)).unwrap_or_default();
            let at = md::code(&result.task.span.to_string());
            self.failures.push(format!("- **{}**: {}: {why} ({at})", md::text(&result.host), md::text(&title)));
            return;
        }
        if !matches!(result.status, Status::Changed | Status::Unknown) {
            return;
        }
        let actions: Vec<String> = result.actions.iter().map(|a| clean(a).into_owned()).collect();
        let diff: Vec<String> =
            if self.diff { result.result.diff.iter().flat_map(detail::diff).collect() } else { Vec::new() };
        let changes = self.plays.entry(self.play.clone()).or_default();
        let same = |c: &&mut Change| {
            c.title == title && c.actions == actions && c.diff == diff && c.status == Some(result.status)
        };
        match changes.iter_mut().find(same) {
            Some(change) => change.hosts.push(Arc::clone(&result.host)),
            None => changes.push(Change {
                title,
                status: Some(result.status),
                hosts: vec![Arc::clone(&result.host)],
                actions,
                diff,
            }),
        }
    }

    fn whole(&self, hosts: &[(Arc<str>, Stats)]) -> String {
        let count = |of: fn(&Stats) -> u32| hosts.iter().filter(|(_, s)| of(s) > 0).count();
        let mut words = Vec::new();
        for (number, what) in [
            (count(|s| s.changed), "would change"),
            (count(|s| s.failed), "would fail"),
            (count(|s| s.unreachable), "could not be reached"),
        ] {
            if number > 0 {
                words.push(format!("{} {what}", plural(number, "host")));
            }
        }
        let summary = if words.is_empty() {
            format!("No changes on {}.", plural(hosts.len(), "host"))
        } else {
            format!("Of {}: {}.", plural(hosts.len(), "host"), words.join(", "))
        };
        let mut out = vec!["## Windlass plan".to_owned(), summary];
        if !self.failures.is_empty() {
            out.push(format!("### Failures\n\n{}", self.failures.join("\n")));
        }
        out.extend(self.documents.iter().cloned());
        for (name, changes) in &self.plays {
            out.push(format!("### Play {}", md::text(name)));
            let number = plural(changes.len(), "change");
            let list: Vec<String> = changes.iter().map(entry).collect();
            out.push(format!("<details><summary>{number}</summary>\n\n{}\n\n</details>", list.join("\n")));
        }
        if !self.notices.is_empty() {
            out.push(format!("### Notices\n\n{}", self.notices.join("\n")));
        }
        out.join("\n\n")
    }
}

fn entry(change: &Change) -> String {
    let hosts: Vec<String> = change.hosts.iter().map(|h| md::text(h)).collect();
    let may = if change.status == Some(Status::Unknown) { " (only apply will tell)" } else { "" };
    let mut out = format!("- **{}**{may}: {}", md::text(&change.title), hosts.join(", "));
    for action in &change.actions {
        out.extend(["\n  - ", &md::text(action)]);
    }
    if !change.diff.is_empty() {
        let mut lines: Vec<String> = change.diff.iter().take(DIFF_LINES).cloned().collect();
        if change.diff.len() > DIFF_LINES {
            lines.push(format!("… and {} more lines", change.diff.len() - DIFF_LINES));
        }
        let block = md::block("diff", &lines);
        out.push_str("\n\n");
        out.push_str(&block.lines().map(|l| format!("  {l}")).collect::<Vec<_>>().join("\n"));
        out.push('\n');
    }
    out
}

/// No longer than a comment may be; what is open is closed.
fn cut(text: &str) -> String {
    if text.len() <= MOST {
        return text.to_owned();
    }
    let mut end = MOST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let kept = text[..end].rfind('\n').map_or("", |at| &text[..at]);
    let fence = if (kept.matches("\n```").count() + kept.matches("\n  ```").count()) % 2 == 1 { "\n```" } else { "" };
    let open = kept.matches("<details>").count().saturating_sub(kept.matches("</details>").count());
    format!(
        "{kept}{fence}{}\n\n(cut off here: the whole plan is in the job's log or in `windlass plan`)",
        "\n\n</details>".repeat(open)
    )
}

impl Report for MarkdownReport {
    fn event(&mut self, event: &Event, _: Duration, sink: &mut dyn Sink) {
        match event {
            Event::PlayStart { name, .. } => self.play = clean(name).into_owned(),
            Event::Result(result) => self.result(result),
            Event::Notice { host, text } => {
                let host = host.as_ref().map(|h| format!("**{}**: ", md::text(h))).unwrap_or_default();
                self.notices.push(format!("- {host}{}", md::text(&clean(text))));
            }
            Event::Document(document) => {
                let lines = if document.markdown.is_empty() {
                    vec![md::block("", &document.lines)]
                } else {
                    document.markdown.clone()
                };
                self.documents.push(lines.iter().map(|l| clean(l).into_owned()).collect::<Vec<_>>().join("\n"));
            }
            Event::Recap { hosts, .. } => {
                let text = self.redactor.redact(&self.whole(hosts)).into_owned();
                cut(&text).lines().for_each(|line| sink.line(line));
            }
            Event::BatchStart { .. }
            | Event::Connecting { .. }
            | Event::TaskStart { .. }
            | Event::Sending { .. }
            | Event::PlayEnd => {}
        }
    }

    fn tick(&mut self, _: Duration, _: &mut dyn Sink) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_and_closed() {
        let long = format!("<details><summary>x</summary>\n\n```diff\n{}", "+ line\n".repeat(20_000));
        let text = cut(&long);
        assert!(
            text.len() < 65_000 && text.contains("+ line\n```\n\n</details>\n\n(cut off here"),
            "{}",
            &text[text.len() - 200..]
        );
        assert_eq!(cut("short"), "short");
    }

    #[test]
    fn a_run_without_changes_says_so() {
        let report = MarkdownReport::new(Arc::new(Redactor::new()), false);
        assert_eq!(report.whole(&[("web1".into(), Stats::default())]), "## Windlass plan\n\nNo changes on 1 host.");
        let stats = Stats { changed: 2, ..Stats::default() };
        let mut report = report;
        let change = Change {
            title: "nginx : Write |".into(),
            hosts: vec!["web1".into()],
            actions: vec!["create /x".into()],
            diff: vec!["+a".into()],
            ..Change::default()
        };
        report.plays.insert("Web".into(), vec![change]);
        let text = report.whole(&[("web1".into(), stats)]);
        assert!(text.contains("Of 1 host: 1 host would change."), "{text}");
        assert!(text.contains("- **nginx : Write \\|**: web1\n  - create /x\n\n  ```diff\n  +a\n  ```"), "{text}");
    }
}
