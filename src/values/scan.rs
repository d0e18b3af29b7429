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
        if depth == 0 {
            if let Some(close) = close {
                let skip = usize::from(matches!(bytes[at], b'-' | b'+'));
                if text.get(at + skip..).is_some_and(|rest| rest.starts_with(close)) {
                    return (out, at + skip + close.len());
                }
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
    if tokens.last().is_some_and(|t| t.at.end <= stop - 1) && body[..stop].ends_with(['-', '+']) {
        stop -= 1;
    }
    Some(inner..stop)
}

/// Whether a text holds any template.
pub(crate) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// A text whose string literals were escaped, and where bytes were put in.
#[derive(Debug)]
pub(crate) struct Escaped {
    pub text: String,
    inserted: Vec<usize>,
}

impl Escaped {
    /// The byte of the original text that this byte of the escaped one was.
    pub(crate) fn original(&self, at: usize) -> usize {
        at - self.inserted.iter().take_while(|inserted| **inserted < at).count()
    }
}

/// Doubles the backslashes in string literals: in playbooks (not in template files) Ansible takes `'\d'` and `'\1'` as they
/// stand, and so does not know `'\n'` for a newline either. None if there is nothing to do.
pub(crate) fn escape<'t>(text: &str, tokens: impl Iterator<Item = &'t Token>) -> Option<Escaped> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut inserted = Vec::new();
    let mut copied = 0;
    for token in tokens.filter(|t| t.kind == Kind::Str) {
        let body = &text[token.at.clone()];
        let quote = body.chars().next();
        let mut chars = body.char_indices();
        while let Some((i, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            let at = token.at.start + i;
            out.push_str(&text[copied..at]);
            inserted.push(out.len());
            out.push_str("\\\\");
            copied = at + 1;
            if chars.next().map(|(_, next)| next) == quote {
                inserted.push(out.len());
                out.push('\\');
            } else if text[copied..].starts_with('\\') {
                inserted.push(out.len());
                out.push_str("\\\\");
                copied += 1;
            }
        }
    }
    if inserted.is_empty() {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(Escaped { text: out, inserted })
}

/// [`escape`] for an expression.
pub(crate) fn escape_expression(text: &str) -> Option<Escaped> {
    if !text.contains('\\') {
        return None;
    }
    escape(text, tokens(text, 0, None).0.iter())
}

/// [`escape`] for a template.
pub(crate) fn escape_template(text: &str, delimiters: &Delimiters) -> Option<Escaped> {
    if !text.contains('\\') {
        return None;
    }
    let parts = parts(text, delimiters);
    let tokens = parts.iter().flat_map(|(part, _)| match part {
        Part::Text => [].iter(),
        Part::Expression(tokens) | Part::Block(tokens) => tokens.iter(),
    });
    escape(text, tokens)
}

/// The names of the two helpers that [`relax`] puts in.
pub(crate) const ATTRIBUTE: &str = "__attribute";
pub(crate) const METHOD: &str = "__method";

/// Rewrites `a.b[c].d` so that an undefined part makes the whole undefined instead of an error, as Ansible has it. The
/// engine's own "chainable" mode would do that too, and also take `undefined == 1` for an answer. None if nothing is to
/// be rewritten.
pub(crate) fn relax(text: &str, tokens: &[Token], block: bool) -> Option<String> {
    let mut rewriter = Rewriter { text, tokens, changed: false };
    let out = rewriter.run(block);
    rewriter.changed.then_some(out)
}

/// [`relax`] for a whole template.
pub(crate) fn relax_template(text: &str, delimiters: &Delimiters) -> Option<String> {
    let mut out = String::with_capacity(text.len() * 2);
    let mut copied = 0;
    let mut changed = false;
    for (part, _) in parts(text, delimiters) {
        let (tokens, block) = match &part {
            Part::Text => continue,
            Part::Expression(tokens) => (tokens, false),
            Part::Block(tokens) => (tokens, true),
        };
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { continue };
        if let Some(new) = relax(text, tokens, block) {
            out.push_str(&text[copied..first.at.start]);
            out.push_str(&new);
            copied = last.at.end;
            changed = true;
        }
    }
    out.push_str(&text[copied..]);
    changed.then_some(out)
}

struct Rewriter<'a> {
    text: &'a str,
    tokens: &'a [Token],
    changed: bool,
}

const WORDS: &[&str] = &[
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "elif",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "loop",
    "self",
    "caller",
    "super",
    "for",
    "recursive",
];

impl Rewriter<'_> {
    fn word(&self, i: usize) -> &str {
        self.tokens.get(i).map_or("", |t| &self.text[t.at.clone()])
    }

    fn run(&mut self, block: bool) -> String {
        let mut from = 0;
        let mut out = String::new();
        let mut copied = self.tokens.first().map_or(0, |t| t.at.start);
        if block {
            from = 1;
            // The target of an assignment stays as it is.
            if matches!(self.word(0), "set" | "import" | "from" | "macro" | "block" | "for" | "call") {
                let stop = match self.word(0) {
                    "set" => "=",
                    "for" => "in",
                    _ => "",
                };
                while from < self.tokens.len() && self.word(from) != stop {
                    from += 1;
                }
            }
        }
        self.range(from, self.tokens.len(), &mut out, &mut copied);
        let end = self.tokens.last().map_or(0, |t| t.at.end);
        out.push_str(&self.text[copied..end]);
        out
    }

    /// Copies the tokens `from..to`, rewriting chains.
    fn range(&mut self, from: usize, to: usize, out: &mut String, copied: &mut usize) {
        let mut i = from;
        while i < to {
            let word = self.word(i);
            // The name of a filter or test, dotted or not.
            if word == "|" || word == "is" {
                i += 1;
                if self.word(i) == "not" {
                    i += 1;
                }
                i += 1;
                while self.word(i) == "." {
                    i += 2;
                }
                continue;
            }
            let head = self.tokens[i].kind == Kind::Name
                && !WORDS.contains(&word)
                && (i == 0 || self.word(i - 1) != ".")
                && self.word(i + 1) != "=";
            if !head {
                i += 1;
                continue;
            }
            i = self.chain(i, to, out, copied);
        }
    }

    fn chain(&mut self, head: usize, to: usize, out: &mut String, copied: &mut usize) -> usize {
        let mut chain = self.word(head).to_owned();
        let mut i = head + 1;
        let mut grown = false;
        let mut method = false;
        while i < to {
            if self.word(i) == "." && i + 1 < to {
                let name = self.word(i + 1).to_owned();
                let call = self.word(i + 2) == "(";
                if call {
                    chain = format!("{METHOD}({chain}, '{name}', ");
                    i += 3;
                    method = true;
                    grown = true;
                    break;
                }
                let number = self.tokens[i + 1].kind == Kind::Number;
                chain = if number {
                    format!("{ATTRIBUTE}({chain}, {name})")
                } else {
                    format!("{ATTRIBUTE}({chain}, '{name}')")
                };
                i += 2;
                grown = true;
            } else if self.word(i) == "[" {
                let Some(end) = self.matching(i, to) else { break };
                if self.has_colon(i + 1, end) {
                    break;
                }
                let mut inside = String::new();
                let mut from = self.tokens[i + 1].at.start;
                self.range(i + 1, end, &mut inside, &mut from);
                inside.push_str(&self.text[from..self.tokens[end - 1].at.end.max(from)]);
                chain = format!("{ATTRIBUTE}({chain}, {inside})");
                i = end + 1;
                grown = true;
            } else {
                break;
            }
        }
        if !grown {
            return head + 1;
        }
        self.changed = true;
        out.push_str(&self.text[*copied..self.tokens[head].at.start]);
        out.push_str(&chain);
        *copied = self.tokens[i - 1].at.end;
        if method && self.word(i) == ")" {
            // `f(a, )` is not an argument list everywhere.
            out.truncate(out.len() - 2);
        }
        i
    }

    fn matching(&self, open: usize, to: usize) -> Option<usize> {
        let mut depth = 0;
        for i in open..to {
            match self.word(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth -= 1;
                    if depth == 0 {
                        return (i > open + 1).then_some(i);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn has_colon(&self, from: usize, to: usize) -> bool {
        let mut depth = 0;
        for i in from..to {
            match self.word(i) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                ":" if depth == 0 => return true,
                _ => {}
            }
        }
        false
    }
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

    #[test]
    fn rewrites_chains_only() {
        let relaxed = |text: &str| {
            let (tokens, _) = tokens(text, 0, None);
            relax(text, &tokens, false)
        };
        assert_eq!(relaxed("a | default(1)"), None);
        assert_eq!(relaxed("a.b|d(1)").unwrap(), "__attribute(a, 'b')|d(1)");
        assert_eq!(
            relaxed("a.b[c.d].0").unwrap(),
            "__attribute(__attribute(__attribute(a, 'b'), __attribute(c, 'd')), 0)"
        );
        assert_eq!(relaxed("a.b.upper() ~ x").unwrap(), "__method(__attribute(a, 'b'), 'upper') ~ x");
        assert_eq!(relaxed("f(k=a.b)").unwrap(), "f(k=__attribute(a, 'b'))");
        assert_eq!(relaxed("x | ansible.builtin.upper is not ansible.builtin.match('a')"), None);
        assert_eq!(relaxed("a.b[1:2]").unwrap(), "__attribute(a, 'b')[1:2]");
        assert_eq!(relaxed("1.5 + 2"), None);
        assert_eq!(
            relax_template("x {% set a.b = c.d %}{# e.f #}{{ g }}", &Delimiters::default()).unwrap(),
            "x {% set a.b = __attribute(c, 'd') %}{# e.f #}{{ g }}"
        );
    }
}
