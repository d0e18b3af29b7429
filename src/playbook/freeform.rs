//! `key=value` pairs and command lines behind a module's name.

use crate::source::{Diagnostic, Entry, Node, Span};
use std::sync::Arc;

/// A word of the line, quotes and all, and where it starts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub start: usize,
    pub text: &'a str,
}

/// Splits at white space outside of quotes and of template blocks.
///
/// # Errors
/// What is left open.
pub(super) fn split(line: &str) -> Result<Vec<Word<'_>>, &'static str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote: Option<u8> = None;
    let mut blocks: Vec<(&[u8], &'static str)> = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let here = &bytes[at..];
        let mut step = 1;
        if let Some((close, _)) = blocks.last() {
            if here.starts_with(close) {
                step = close.len();
                blocks.pop();
            }
        } else if let Some((close, what)) = opening(here) {
            blocks.push((close, what));
            step = 2;
            start.get_or_insert(at);
        } else if let Some(open) = quote {
            if bytes[at] == b'\\' {
                step = 2;
            } else if bytes[at] == open {
                quote = None;
            }
        } else {
            match bytes[at] {
                c @ (b'"' | b'\'') => {
                    quote = Some(c);
                    start.get_or_insert(at);
                }
                b' ' | b'\t' | b'\n' | b'\r' => {
                    if let Some(from) = start.take() {
                        words.push(Word { start: from, text: &line[from..at] });
                    }
                }
                b'\\' => {
                    start.get_or_insert(at);
                    step = 2;
                }
                _ => {
                    start.get_or_insert(at);
                }
            }
        }
        at += step;
    }
    if let Some((_, what)) = blocks.last() {
        return Err(what);
    }
    if quote.is_some() {
        return Err("a quote");
    }
    if let Some(from) = start {
        words.push(Word { start: from, text: &line[from..] });
    }
    Ok(words)
}

fn opening(here: &[u8]) -> Option<(&'static [u8], &'static str)> {
    match here.get(..2)? {
        b"{{" => Some((b"}}", "`{{`")),
        b"{%" => Some((b"%}", "`{%`")),
        b"{#" => Some((b"#}", "`{#`")),
        _ => None,
    }
}

/// What stands behind a module's name.
#[derive(Debug, Default)]
pub(super) struct FreeForm {
    /// The pairs.
    pub pairs: Vec<Entry>,
    /// What is no pair, as it stands, with the words one blank apart where a pair stood between them.
    pub rest: Option<Node>,
}

/// Reads `node`'s text. `is_key` says which names count as keys; a word `x=y` with another name belongs to the rest.
///
/// # Errors
/// A quote or a template that is left open.
pub(super) fn parse(node: &Node, is_key: &dyn Fn(&str) -> bool) -> Result<FreeForm, Diagnostic> {
    let text = node.as_str().unwrap_or_default();
    let words = split(text).map_err(|what| {
        Diagnostic::error("open-quote", format!("{what} is opened here and never closed"), &node.span)
            .help("close it, or write the arguments as a mapping, one `key: value` a line")
    })?;
    let shift = offset(node);
    let mut out = FreeForm::default();
    let mut rest = String::new();
    let mut last_end = None;
    let mut first = None;
    for word in &words {
        if let Some((key, value)) = pair(word.text).filter(|(key, _)| is_key(key)) {
            let key_span = node.span.within(shift + word.start, key.len());
            let value_span = node.span.within(shift + word.start + key.len() + 1, value.len());
            out.pairs.push(Entry {
                key: Arc::from(key),
                key_span,
                value: Node::string(&unescape(&unquote(value)), value_span),
            });
            last_end = None;
            continue;
        }
        first.get_or_insert(word.start);
        match last_end {
            // What stands between two words that both stay is kept: newlines mean something to a shell.
            Some(end) => rest.push_str(&text[end..word.start]),
            None if !rest.is_empty() => rest.push(' '),
            None => {}
        }
        rest.push_str(word.text);
        last_end = Some(word.start + word.text.len());
    }
    out.rest = first.map(|start| Node {
        span: if start == 0 { node.span.clone() } else { node.span.within(shift + start, rest.len()) },
        tag: node.tag.clone(),
        kind: crate::source::Kind::Str(rest.into()),
    });
    Ok(out)
}

/// How far into its span a scalar's text begins (quotes stand in the span, and not in the text).
fn offset(node: &Node) -> usize {
    let Span { file, start, end, .. } = &node.span;
    usize::from(file.text.get(*start..*end).is_some_and(|t| t.starts_with(['"', '\''])))
}

/// Key and value of `key=value`; an equals sign that is first, or behind a backslash, is none.
fn pair(word: &str) -> Option<(&str, &str)> {
    let at = word.match_indices('=').map(|(at, _)| at).find(|at| *at > 0 && word.as_bytes()[at - 1] != b'\\')?;
    Some((&word[..at], &word[at + 1..]))
}

/// Without the quotes around it.
fn unquote(value: &str) -> String {
    let inner = ['"', '\''].into_iter().find_map(|q| {
        let inner = value.strip_prefix(q)?.strip_suffix(q)?;
        (!inner.ends_with('\\')).then_some(inner)
    });
    inner.unwrap_or(value).to_owned()
}

/// Backslash sequences as Python strings have them; others stay as they are.
fn unescape(value: &str) -> String {
    if !value.contains('\\') {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let (c, used) = match tail.chars().next() {
            Some('n') => ('\n', 1),
            Some('t') => ('\t', 1),
            Some('r') => ('\r', 1),
            Some('a') => ('\u{7}', 1),
            Some('b') => ('\u{8}', 1),
            Some('f') => ('\u{c}', 1),
            Some('v') => ('\u{b}', 1),
            Some(c @ ('\\' | '\'' | '"')) => (c, 1),
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                match tail.get(1..=digits).and_then(|d| u32::from_str_radix(d, 16).ok()).and_then(char::from_u32) {
                    Some(c) => (c, digits + 1),
                    None => ('\\', 0),
                }
            }
            _ => ('\\', 0),
        };
        out.push(c);
        rest = &tail[used..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::source::{SourceFile, parse_one};

    fn read(yaml: &str, keys: &[&str]) -> (Vec<(String, String)>, Option<String>) {
        let node = parse_one(Arc::new(SourceFile { name: "t.yml".into(), text: yaml.into() })).unwrap();
        let found = parse(&node, &|k| keys.contains(&k)).unwrap();
        let pairs = found.pairs.iter().map(|e| (e.key.to_string(), e.value.as_str().unwrap().to_owned())).collect();
        (pairs, found.rest.map(|n| n.as_str().unwrap().to_owned()))
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn pairs_lose_their_quotes() {
        let (found, rest) = read("src=a dest='b c' mode=\"0644\" note=x\\ty", &["src", "dest", "mode", "note"]);
        assert_eq!(found, pairs(&[("src", "a"), ("dest", "b c"), ("mode", "0644"), ("note", "x\ty")]));
        assert_eq!(rest, None);
    }

    #[test]
    fn a_command_keeps_its_quotes_and_other_pairs() {
        let (found, rest) = read("chdir=/x ls \"a b\" A=1 creates=/y  -l", &["chdir", "creates"]);
        assert_eq!(found, pairs(&[("chdir", "/x"), ("creates", "/y")]));
        assert_eq!(rest.unwrap(), "ls \"a b\" A=1 -l");
    }

    #[test]
    fn white_space_between_words_of_a_command_stays() {
        let (_, rest) = read("|\n  if a; then\n    b   c\n  fi\n", &["chdir"]);
        assert_eq!(rest.unwrap(), "if a; then\n  b   c\nfi");
    }

    #[test]
    fn templates_are_one_word() {
        let (found, rest) = read("\"dest={{ a | default('x y') }}/z {% if b %} {{ c }} {% endif %}\"", &["dest"]);
        assert_eq!(found, pairs(&[("dest", "{{ a | default('x y') }}/z")]));
        assert_eq!(rest.unwrap(), "{% if b %} {{ c }} {% endif %}");
    }

    #[test]
    fn an_escaped_equals_sign_is_no_pair() {
        let (found, rest) = read("a\\=b =c", &["a", "a\\"]);
        assert_eq!(found, []);
        assert_eq!(rest.unwrap(), "a\\=b =c");
    }

    #[test]
    fn places_are_exact() {
        let text = "'src=a dest=b'";
        let node = parse_one(Arc::new(SourceFile { name: "t.yml".into(), text: text.into() })).unwrap();
        let found = parse(&node, &|_| true).unwrap();
        let at = |s: &Span| &text[s.start..s.end];
        assert_eq!(at(&found.pairs[1].key_span), "dest");
        assert_eq!(at(&found.pairs[1].value.span), "b");
    }

    #[test]
    fn what_is_left_open_is_said() {
        assert_eq!(split("echo 'a").unwrap_err(), "a quote");
        assert_eq!(split("echo {{ a").unwrap_err(), "`{{`");
        assert_eq!(split("echo \\'a").unwrap().len(), 2);
    }
}
