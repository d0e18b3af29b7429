//! The template engine's errors as diagnostics at a place in a file.

use super::catalogue;
use super::escape::Escaped;
use super::evaluation::Evaluation;
use crate::source::{Diagnostic, SourceFile, Span, suggest};
use minijinja as mj;
use std::sync::Arc;

/// Where the text that was evaluated comes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    /// The whole text of the node or file.
    pub text: &'a str,
    /// Where in it the part that was given to the engine starts.
    pub offset: usize,
    /// Where the text stands.
    pub span: &'a Span,
    /// What the engine was given instead, where string literals had to be escaped for it.
    pub escaped: Option<&'a Escaped>,
}

/// Whether an error says that something is undefined (which `default` may have wanted to catch).
pub(crate) fn is_undefined(error: &mj::Error) -> bool {
    error.kind() == mj::ErrorKind::UndefinedError
        || error.detail().is_some_and(|detail| detail.contains("` is undefined"))
        || (std::error::Error::source(error).and_then(|e| e.downcast_ref::<mj::Error>()).is_some_and(is_undefined))
}

/// The innermost error of the engine that knows where it happened.
fn innermost(error: &mj::Error) -> &mj::Error {
    match std::error::Error::source(error).and_then(|e| e.downcast_ref::<mj::Error>()) {
        Some(inner) if inner.range().is_some() => innermost(inner),
        _ => error,
    }
}

/// A diagnostic for an error of the engine.
pub(crate) fn error(error: &mj::Error, place: &Place<'_>, evaluation: &Evaluation) -> Diagnostic {
    let error = innermost(error);
    let span = span_of(error, place);
    if is_undefined(error) {
        let detail = error.detail().unwrap_or_default();
        let name = detail.split('`').nth(1).unwrap_or_default();
        return undefined_name(name, detail, &span, evaluation);
    }
    plain(error, &span)
}

/// A diagnostic for an error that has nothing to do with variables.
pub(crate) fn plain(error: &mj::Error, span: &Span) -> Diagnostic {
    let detail = error.detail().unwrap_or_default();
    let word = detail.split(' ').nth(1).unwrap_or_default();
    match error.kind() {
        mj::ErrorKind::SyntaxError | mj::ErrorKind::BadEscape => {
            let diagnostic =
                Diagnostic::error("template-syntax", format!("this template can't be read: {detail}"), span);
            diagnostic.label("here")
        }
        mj::ErrorKind::UnknownFilter => unknown("filter", word, span),
        mj::ErrorKind::UnknownTest => unknown("test", word, span),
        mj::ErrorKind::UnknownFunction => {
            let name = detail.split(' ').next().unwrap_or_default();
            match name.strip_prefix("lookup:") {
                Some(lookup) => unknown("lookup", lookup, span),
                None => unknown("function", name, span),
            }
        }
        mj::ErrorKind::UnknownMethod => method(detail, span),
        mj::ErrorKind::OutOfFuel => Diagnostic::error("template-endless", "this template runs for too long", span)
            .help("look for a loop over far more items than you expect"),
        mj::ErrorKind::InvalidOperation if detail.contains("use % operator") && detail.contains("string") => {
            Diagnostic::error("template-percent", "formatting with % is not supported in templates", span)
                .help("write '%s-%s' | format(a, b) instead of '%s-%s' % (a, b)")
        }
        mj::ErrorKind::InvalidOperation if detail.contains("use - operator on unsupported types map") => {
            Diagnostic::error("template-times", "times can't be subtracted as they are", span)
                .help("subtract their seconds: (a | to_datetime).timestamp() - (b | to_datetime).timestamp()")
        }
        kind if detail.is_empty() => Diagnostic::error("template", kind.to_string(), span),
        _ => Diagnostic::error("template", detail.to_owned(), span),
    }
}

fn method(detail: &str, span: &Span) -> Diagnostic {
    let diagnostic = Diagnostic::error("template-method", detail.to_owned(), span);
    match detail.rsplit(' ').next().unwrap_or_default() {
        "append" | "extend" | "insert" => diagnostic.help("values can't be changed in a template: write list + [item]"),
        "update" | "setdefault" | "pop" => {
            diagnostic.help("values can't be changed in a template: write mapping | combine({'key': value})")
        }
        _ => diagnostic,
    }
}

/// "There is no such filter", with the nearest name.
pub(crate) fn unknown(what: &str, name: &str, span: &Span) -> Diagnostic {
    let mut diagnostic = Diagnostic::error(
        match what {
            "filter" => "unknown-filter",
            "test" => "unknown-test",
            "lookup" => "unknown-lookup",
            _ => "unknown-function",
        },
        format!("there is no {what} `{name}`"),
        span,
    );
    let names = catalogue::names(what);
    if let Some(near) = suggest(name, &names) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    diagnostic
}

/// A diagnostic for an undefined expression that the engine could not name.
pub(crate) fn undefined(place: &Place<'_>, source: &str) -> Diagnostic {
    Diagnostic::error("undefined-variable", format!("`{source}` is undefined"), place.span)
}

fn undefined_name(name: &str, detail: &str, span: &Span, evaluation: &Evaluation) -> Diagnostic {
    if name.is_empty() {
        if let Some(hint) = evaluation.take_hint() {
            return Diagnostic::error("undefined-variable", hint, span).label("must be given a value");
        }
        let message = if detail.is_empty() { "a value here is undefined" } else { detail };
        return Diagnostic::error("undefined-variable", message.to_owned(), span);
    }
    // A variable that exists, but whose own template uses something undefined: say that, and where it was used.
    if let Some(inner) = evaluation.why_undefined(name) {
        return inner.also(span, format!("used here, through `{name}`"));
    }
    let root = name.split(['.', '[']).next().unwrap_or(name);
    if let Some(inner) = evaluation.why_undefined(root) {
        return inner.also(span, format!("used here, through `{root}`"));
    }
    let mut diagnostic =
        Diagnostic::error("undefined-variable", format!("`{name}` is undefined"), span).label("not defined");
    let names = evaluation.scope.names();
    if names.iter().any(|n| &**n == root) {
        diagnostic.label = Some("not there".to_owned());
        if root != name {
            diagnostic = diagnostic
                .help(format!("`{root}` is defined, but has no such part; `| default(…)` can stand in for it"));
        }
    } else if let Some(near) = suggest(root, &names) {
        diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
    }
    diagnostic
}

/// The place of an error of the engine.
pub(crate) fn span_of(error: &mj::Error, place: &Place<'_>) -> Span {
    let range = error.range();
    // An included template: its name carries its path and text.
    if let Some((path, text)) = error.name().and_then(|n| n.strip_prefix('\u{1}')).and_then(|n| n.split_once('\u{0}'))
        && !path.is_empty()
        && path != place.span.file.name
    {
        let file = Arc::new(SourceFile { name: path.to_owned(), text: text.to_owned() });
        let whole = Span { file, start: 0, end: 0, line: 1, column: 1 };
        let range = range.unwrap_or(0..0);
        return whole.within(range.start, range.end.saturating_sub(range.start));
    }
    match range {
        Some(range) => {
            let original = |at: usize| place.offset + place.escaped.map_or(at, |e| e.original(at));
            locate(place.span, place.text, original(range.start)..original(range.end))
        }
        None => place.span.clone(),
    }
}

/// The place of a part of a scalar's text in the file. The text of a scalar is not always what the file shows (escapes,
/// folded and indented lines), so that this looks for the nearest thing that is.
pub(crate) fn locate(span: &Span, text: &str, range: std::ops::Range<usize>) -> Span {
    let raw = span.file.text.get(span.start..span.end).unwrap_or_default();
    let len = range.end.saturating_sub(range.start);
    if range.start > text.len() || text.is_empty() {
        return span.clone();
    }
    if let Some(at) = raw.find(text) {
        return span.within(at + range.start, len);
    }
    let start = floor(text, range.start);
    let line_start = text[..start].rfind('\n').map_or(0, |i| i + 1);
    let line_end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    let line = text[line_start..line_end].trim();
    let lead = text[line_start..line_end].len() - text[line_start..line_end].trim_start().len();
    if !line.is_empty() {
        // The same line may come more than once: take the one of the same rank.
        let rank = text[..line_start].matches(line).count();
        if let Some((at, _)) = raw.match_indices(line).nth(rank) {
            return span.within(at + start.saturating_sub(line_start + lead), len.min(line_end - start));
        }
    }
    let snippet = text.get(start..floor(text, range.end.min(line_end))).unwrap_or_default();
    match raw.find(snippet) {
        Some(at) if !snippet.is_empty() => span.within(at, snippet.len()),
        _ => span.clone(),
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
