//! Errors of YAML syntax in words that say what to do, with the mistakes that playbooks make most.

use super::parse::MAX_DEPTH;
use super::{Diagnostic, Node, SourceFile, Span};
use granit_parser::{ErrorKind, ScanError};
use std::sync::Arc;

/// What the parser found, explained.
pub(super) fn diagnose(file: &Arc<SourceFile>, error: &ScanError) -> Diagnostic {
    let whole = Span { file: Arc::clone(file), start: 0, end: file.text.len(), line: 1, column: 1 };
    let at = whole.within(error.marker().byte_offset().unwrap_or(0), 0);
    let place = to_line_end(&at);
    let line = line_of(&at);
    let above = previous_line(&at);

    if let Some(found) = tab(&line).or_else(|| above.as_ref().and_then(|(l, _)| tab(l))).or_else(|| next_tab(&line))
        && is_about_indentation(error.kind())
    {
        return Diagnostic::error("yaml-tab", "a tab is used for indentation", &found)
            .label("this is a tab")
            .help("YAML allows only spaces for indentation: replace the tab by spaces");
    }
    if let Some(found) = bare_template(&line) {
        return unquoted_template(&found);
    }
    let syntax = |message: &str| Diagnostic::error("yaml-syntax", message, &place);
    match error.kind() {
        ErrorKind::MappingValueNotAllowed | ErrorKind::InvalidMappingValueWhitespace => colon(&at, &line, above),
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::ExpectedBlockSequenceEntry | ErrorKind::InvalidIndentation => {
            let wanted = match error.kind() {
                ErrorKind::ExpectedBlockSequenceEntry => {
                    "this line fits neither the list above it nor what is inside the list"
                }
                _ => "this line does not line up with the keys above it",
            };
            let diagnostic = syntax(wanted)
                .label(format!("begins in column {}", at.column))
                .help("keys of one mapping, and items of one list, begin in the same column");
            match above {
                Some((_, text)) => diagnostic.also(&text, format!("this one in column {}", text.column)),
                None => diagnostic,
            }
        }
        ErrorKind::InvalidTrailingDoubleQuotedScalar | ErrorKind::InvalidTrailingSingleQuotedScalar => {
            let diagnostic = syntax("text follows the closing quote");
            match requoted(&line) {
                Some(value) => diagnostic.help(format!("quote the whole value: {value}")),
                None => diagnostic.help("put quotes around the whole value, and other quotes inside"),
            }
        }
        ErrorKind::UnknownAnchor => syntax("this alias names no anchor before it")
            .help("define it with `&NAME` above; a value that begins with `*` must be quoted"),
        ErrorKind::UnexpectedCharacter { character } => {
            syntax(&format!("a plain value can't begin with `{character}`")).help("put the value in quotes")
        }
        ErrorKind::UnknownQuotedScalarEscape => syntax("unknown escape in a double-quoted string")
            .help("write `\\\\` for one backslash, or use single quotes, where a backslash stands for itself"),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::InvalidQuotedScalarIndent | ErrorKind::UnexpectedEof => {
            syntax("a quoted string that begins before this is not closed")
                .help("add the closing quote; inside single quotes, write ' as ''")
        }
        ErrorKind::UnclosedFlowCollection { open } => syntax(&format!("this `{open}` is not closed"))
            .help("add the closing bracket; a plain value that begins with a bracket must be quoted"),
        ErrorKind::InvalidColonPlacement
        | ErrorKind::UnexpectedEofFlowSequence
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::UnexpectedEofFlowMapping
        | ErrorKind::UnexpectedEofImplicitFlowMapping
        | ErrorKind::ExpectedFlowMappingSeparator => syntax(
            "a bracket before this is not closed, or a comma is missing",
        )
        .help("separate the items with commas and close with `]` or `}`; quote a value that begins with a bracket"),
        ErrorKind::SimpleKeyExpected => syntax("this line is neither a `key: value` nor part of the value above")
            .help("is a `:` missing after the key?"),
        ErrorKind::CommentInterceptedScalar => {
            syntax("a comment stands inside a value of several lines").help("move the comment above the value")
        }
        ErrorKind::RecursionLimitExceeded => too_deep(&place),
        other => syntax(&format!("this is not valid YAML: {other}")),
    }
}

/// A mapping or list as a key: nearly always a template that lacks its quotes.
pub(super) fn complex_key(around: &Span, key: &Node) -> Diagnostic {
    let text = &around.file.text;
    if text[around.start..].starts_with("{{") {
        return unquoted_template(around);
    }
    if text[key.span.start..].starts_with("{{") {
        return unquoted_template(&key.span);
    }
    Diagnostic::error("complex-key", format!("a key must be a string, and this is {}", key.describe()), &key.span)
        .help("if it is meant as text, put it in quotes")
}

/// Lists and mappings nest too deep.
pub(super) fn too_deep(at: &Span) -> Diagnostic {
    let message = format!("lists and mappings nest more than {MAX_DEPTH} levels deep");
    Diagnostic::error("too-deep", message, at).help("flatten the data")
}

/// `at` begins with `{{`; it is the key if the template is one, else the value runs to the end of the line.
fn unquoted_template(at: &Span) -> Diagnostic {
    let mut rest = to_line_end(at);
    let line = &rest.file.text[rest.start..rest.end];
    if let Some(end) = line.find("}}").map(|i| i + 2)
        && line[end..].starts_with(':')
    {
        rest.end = rest.start + end;
    }
    let text = &rest.file.text[rest.start..rest.end];
    let text = text.split(" #").next().unwrap_or(text).trim_end();
    let quoted = if text.contains('"') { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") };
    Diagnostic::error("unquoted-template", "a value that begins with `{{` must be quoted", &rest.within(0, text.len()))
        .label("YAML takes `{` for the start of a mapping")
        .help(format!("write it as {quoted}"))
}

/// A second `: ` in a line, or a line that goes deeper under a key that has a value.
fn colon(at: &Span, line: &Span, above: Option<(Span, Span)>) -> Diagnostic {
    let text = &line.file.text[line.start..line.end];
    let before = &text[..at.start.saturating_sub(line.start).min(text.len())];
    let place = line.within(before.len(), 1);
    let in_value = before.trim_start().trim_start_matches("- ").contains(": ");
    if in_value {
        return Diagnostic::error("yaml-syntax", "a second `:` in one line", &place)
            .label("YAML takes this for another key")
            .help("put the value in quotes");
    }
    let diagnostic = Diagnostic::error("yaml-syntax", "a key can't stand here", &place);
    match above {
        Some((_, above)) if above.column < line.column + indent(text) => diagnostic
            .also(&above, "this already has a value, or is indented less")
            .help("line the key up with the keys of its mapping"),
        _ => diagnostic.help("check the indentation, and that brackets and quotes above are closed"),
    }
}

fn is_about_indentation(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::InvalidIndentation
            | ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedBlockSequenceEntry
            | ErrorKind::MappingValueNotAllowed
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::UnexpectedCharacter { character: '\t' }
    )
}

fn indent(text: &str) -> u32 {
    u32::try_from(text.len() - text.trim_start_matches(' ').len()).unwrap_or(0)
}

/// The whole line in which `at` stands, from its first column.
fn line_of(at: &Span) -> Span {
    let text = &at.file.text;
    let start = text[..at.start].rfind('\n').map_or(0, |i| i + 1);
    let end = text[start..].find('\n').map_or(text.len(), |i| start + i);
    Span { file: Arc::clone(&at.file), start, end, line: at.line, column: 1 }
}

/// From `at` to the end of its line.
fn to_line_end(at: &Span) -> Span {
    let end = line_of(at).end;
    let text = at.file.text[at.start..end].trim_end();
    Span { end: at.start + text.len(), ..at.clone() }
}

/// The nearest line above that has content: the whole line, and its content without indentation.
fn previous_line(at: &Span) -> Option<(Span, Span)> {
    let mut line = line_of(at);
    while line.start > 0 {
        line = line_of(&line.within(0, 0).shifted_up()?);
        let text = &line.file.text[line.start..line.end];
        let content = text.trim();
        if !content.is_empty() && !content.starts_with('#') {
            let lead = text.len() - text.trim_start().len();
            let content = line.within(lead, content.len());
            return Some((line, content));
        }
    }
    None
}

impl Span {
    /// The last byte of the line above this line's start.
    fn shifted_up(&self) -> Option<Span> {
        let start = self.start.checked_sub(1)?;
        Some(Span { file: Arc::clone(&self.file), start, end: start, line: self.line - 1, column: 1 })
    }
}

/// A tab among the white space that a line begins with.
fn tab(line: &Span) -> Option<Span> {
    let text = &line.file.text[line.start..line.end];
    let lead = &text[..text.len() - text.trim_start().len()];
    lead.find('\t').filter(|_| lead.len() < text.len()).map(|i| line.within(i, 1))
}

/// The parser may stop at the end of the line before the tab.
fn next_tab(line: &Span) -> Option<Span> {
    let next = line.file.text.get(line.end + 1..)?;
    let len = next.find('\n').unwrap_or(next.len());
    tab(&Span { start: line.end + 1, end: line.end + 1 + len, line: line.line + 1, ..line.clone() })
}

/// `{{` at the begin of an unquoted value in this line.
fn bare_template(line: &Span) -> Option<Span> {
    let text = &line.file.text[line.start..line.end];
    for lead in [": {{", "- {{"] {
        if let Some(i) = text.find(lead)
            && !text[..i].contains(['"', '\'', '#'])
        {
            return Some(line.within(i + 2, 2));
        }
    }
    text.trim_start().starts_with("{{").then(|| line.within(text.len() - text.trim_start().len(), 2))
}

/// `"{{ x }}" rest` as one quoted string.
fn requoted(line: &Span) -> Option<String> {
    let text = line.file.text[line.start..line.end].trim_end();
    let start = text.find(['"', '\''])?;
    let quote = text[start..].chars().next()?;
    let other = if quote == '"' { '\'' } else { '"' };
    let inner: String = text[start..].chars().filter(|c| *c != quote).collect();
    if inner.contains('\\') {
        return None;
    }
    if inner.contains(other) { None } else { Some(format!("{quote}{inner}{quote}")) }
}
