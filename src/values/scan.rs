//! The tokens of templates: to see what a text is made of without the template engine's help, which keeps its own parser
//! private.

use std::ops::Range;

/// The delimiters of a template.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Delimiters {
    pub variable: (String, String),
    pub block: (String, String),
    pub comment: (String, String),
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            variable: ("{{".into(), "}}".into()),
            block: ("{%".into(), "%}".into()),
            comment: ("{#".into(), "#}".into()),
        }
    }
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Name,
    Number,
    Str,
    Op,
}

/// A token and where it stands, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub kind: Kind,
    pub at: Range<usize>,
}

/// A stretch of a template.
#[derive(Debug)]
pub(crate) enum Part {
    /// Text, comments and raw blocks.
    Text,
    /// The inside of `{{ }}`.
    Expression(Vec<Token>),
    /// The inside of `{% %}`.
    Block(Vec<Token>),
}

/// The parts of a template in order. A text that is not well formed gives what was understood up to there: the template
/// engine says what is wrong with it.
pub(crate) fn parts(text: &str, delimiters: &Delimiters) -> Vec<(Part, Range<usize>)> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let next = [(&delimiters.variable.0, 0), (&delimiters.block.0, 1), (&delimiters.comment.0, 2)]
            .into_iter()
            .filter_map(|(open, what)| rest.find(open.as_str()).map(|i| (i, usize::MAX - open.len(), open.len(), what)))
            .min();
        let Some((i, _, len, what)) = next else { break };
        let start = at + i;
        if what == 2 {
            let end = text[start..]
                .find(&delimiters.comment.1)
                .map_or(text.len(), |e| start + e + delimiters.comment.1.len());
            out.push((Part::Text, start..end));
            at = end;
            continue;
        }
        let close = if what == 0 { &delimiters.variable.1 } else { &delimiters.block.1 };
        let mut inner = start + len;
        if text[inner..].starts_with(['-', '+']) {
            inner += 1;
        }
        let (tokens, end) = tokens(text, inner, Some(close));
        let word = |i: usize| tokens.get(i).map(|t| &text[t.at.clone()]);
        if what == 1 && word(0) == Some("raw") && tokens.len() == 1 {
            let end = find_endraw(text, end, delimiters);
            out.push((Part::Text, start..end));
            at = end;
            continue;
        }
        out.push((if what == 0 { Part::Expression(tokens) } else { Part::Block(tokens) }, start..end));
        at = end;
    }
    out
}

fn find_endraw(text: &str, from: usize, delimiters: &Delimiters) -> usize {
    let mut at = from;
    while let Some(i) = text[at..].find(&delimiters.block.0) {
        let open = at + i + delimiters.block.0.len();
        let inside = text[open..].trim_start_matches(['-', '+']).trim_start();
        if inside.starts_with("endraw") {
            return text[open..].find(&delimiters.block.1).map_or(text.len(), |e| open + e + delimiters.block.1.len());
        }
        at = open;
    }
    text.len()
}

/// The tokens from `at` up to the closing delimiter (outside of brackets and quotes) or the end, and where the next part
/// begins.
pub(crate) fn tokens(text: &str, mut at: usize, close: Option<&str>) -> (Vec<Token>, usize) {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut depth = 0usize;
    while at < bytes.len() {
        if depth == 0
            && let Some(close) = close
        {
            let skip = usize::from(matches!(bytes[at], b'-' | b'+'));
            if text.get(at + skip..).is_some_and(|rest| rest.starts_with(close)) {
                return (out, at + skip + close.len());
            }
        }
        let start = at;
        let byte = bytes[at];
        let kind = match byte {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => {
                at += 1;
                while at < bytes.len() && bytes[at] != byte {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(bytes.len());
                Kind::Str
            }
            b'0'..=b'9' => {
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
                    at += 1;
                }
                if bytes.get(at) == Some(&b'.')
                    && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
                    && out.last().is_none_or(|t: &Token| &text[t.at.clone()] != ".")
                {
                    at += 1;
                    while at < bytes.len() && bytes[at].is_ascii_alphanumeric() {
                        at += 1;
                    }
                }
                Kind::Number
            }
            b if b.is_ascii_alphabetic() || b == b'_' || b >= 0x80 => {
                while at < bytes.len() && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || bytes[at] >= 0x80)
                {
                    at += 1;
                }
                Kind::Name
            }
            _ => {
                let two = text.get(at..at + 2).unwrap_or_default();
                at += if matches!(two, "==" | "!=" | "<=" | ">=" | "//" | "**") { 2 } else { 1 };
                match byte {
                    b'(' | b'[' | b'{' => depth += 1,
                    b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                Kind::Op
            }
        };
        while !text.is_char_boundary(at) {
            at += 1;
        }
        out.push(Token { kind, at: start..at });
    }
    (out, bytes.len())
}

/// The inside of a text that is nothing but one `{{ expression }}` (and perhaps a final newline): such a text keeps the
/// expression's type.
pub(crate) fn single_expression(text: &str) -> Option<Range<usize>> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    if !body.starts_with("{{") || !body.ends_with("}}") {
        return None;
    }
    let mut inner = 2;
    if body[inner..].starts_with(['-', '+']) {
        inner += 1;
    }
    let (tokens, end) = tokens(body, inner, Some("}}"));
    if end != body.len() || tokens.is_empty() {
        return None;
    }
    let mut stop = body.len() - 2;
    // `-}}` and `+}}` trim; they are not operators.
    if tokens.last().is_some_and(|t| t.at.end < stop) && body[..stop].ends_with(['-', '+']) {
        stop -= 1;
    }
    Some(inner..stop)
}

/// Whether a text holds any template.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sees_single_expressions() {
        for text in ["{{ a }}", "{{ {'a': {}} }}", "{{ '}}' }}", "{{ a }}\n", "{{- a -}}", "{{a}}"] {
            assert!(single_expression(text).is_some(), "{text}");
        }
        for text in ["{{ a }}{{ b }}", " {{ a }}", "{{ a }} ", "x", "{{ a }}\n\n", "{{ }}"] {
            assert!(single_expression(text).is_none(), "{text}");
        }
        let text = "{{- a -}}";
        assert_eq!(text[single_expression(text).unwrap()].trim(), "a");
        assert_eq!(&"{{ 1 }}"[single_expression("{{ 1 }}").unwrap()], " 1 ");
    }
}
