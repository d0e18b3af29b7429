//! Diagnostics as text for people and as JSON for machines.

use super::{Diagnostic, Severity, Span};
use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde_json::json;
use std::sync::Arc;

/// How a diagnostic is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderOptions {
    /// With ANSI colours.
    pub color: bool,
    /// The width of the terminal in columns.
    pub width: usize,
    /// The form.
    pub format: Format,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self { color: false, width: 100, format: Format::Full }
    }
}

/// The form of a rendered diagnostic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// With an excerpt of the source, labels and help.
    #[default]
    Full,
    /// `file:line:col: error: message` on one line, then help lines that begin with two blanks.
    Short,
    /// One JSON object on one line.
    Json,
}

/// One diagnostic as text, without a newline at its end.
pub fn render(diagnostic: &Diagnostic, options: RenderOptions) -> String {
    match options.format {
        Format::Full => full(diagnostic, options),
        Format::Short => short(diagnostic),
        Format::Json => to_json(diagnostic).to_string(),
    }
}

fn short(diagnostic: &Diagnostic) -> String {
    let mut out = diagnostic.to_string().replace('\n', " ");
    for help in &diagnostic.help {
        out.push_str("\n  help: ");
        out.push_str(&help.replace('\n', "\n    "));
    }
    out
}

fn full(diagnostic: &Diagnostic, options: RenderOptions) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let mut group = Group::with_title(title);

    let primary = diagnostic.span.as_ref().map(|span| (span, diagnostic.label.as_deref(), AnnotationKind::Primary));
    let others = diagnostic.labels.iter().map(|l| (&l.span, Some(l.text.as_str()), AnnotationKind::Context));
    let mut files: Vec<(&Span, Snippet<'_, _>)> = Vec::new();
    for (span, label, kind) in primary.into_iter().chain(others) {
        let annotation = kind.span(visible(span)).label(label);
        if let Some((_, snippet)) = files.iter_mut().find(|(first, _)| Arc::ptr_eq(&first.file, &span.file)) {
            *snippet = snippet.clone().annotation(annotation);
        } else {
            let snippet = Snippet::source(span.file.text.as_str()).path(span.file.name.as_str());
            files.push((span, snippet.annotation(annotation)));
        }
    }
    group = group.elements(files.into_iter().map(|(_, snippet)| snippet));
    group = group.elements(diagnostic.help.iter().map(|help| Level::HELP.message(help.as_str())));

    let renderer = if options.color { Renderer::styled() } else { Renderer::plain() };
    renderer.decor_style(DecorStyle::Ascii).term_width(options.width.max(40)).render(&[group])
}

/// What is underlined: at most the first line of the span, so that a whole play is not drawn for one word.
fn visible(span: &Span) -> std::ops::Range<usize> {
    let text = &span.file.text;
    let (mut start, mut end) = (span.start.min(text.len()), span.end.min(text.len()));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = end.max(start);
    let line = text[start..end].split('\n').next().unwrap_or_default().trim_end();
    start..start + line.len()
}

/// The diagnostic as a JSON object, for `--format json` and for event streams.
///
/// `line` and `column` count from 1 (columns in characters), `start` and `end` are byte offsets into the file.
pub fn to_json(diagnostic: &Diagnostic) -> serde_json::Value {
    let labels: Vec<_> =
        diagnostic.labels.iter().map(|l| json!({ "span": span_json(&l.span), "text": l.text })).collect();
    json!({
        "severity": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": diagnostic.code,
        "message": diagnostic.message,
        "span": diagnostic.span.as_ref().map(span_json),
        "label": diagnostic.label,
        "labels": labels,
        "help": diagnostic.help,
    })
}

fn span_json(span: &Span) -> serde_json::Value {
    let end = span.within(span.end.saturating_sub(span.start), 0);
    json!({
        "file": span.file.name,
        "line": span.line,
        "column": span.column,
        "end_line": end.line,
        "end_column": end.column,
        "start": span.start,
        "end": span.end,
    })
}
