//! Chains of attributes that forgive what is undefined on the way.

use super::scan::{Delimiters, Kind, Part, Token, parts};

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
    use crate::values::scan::tokens;

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
