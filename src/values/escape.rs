//! Backslashes in string literals.

use super::scan::{Delimiters, Kind, Part, Token, parts, tokens};

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
