//! Values in INI inventories: Python literals where they are some, else text.
//!
//! So `80` is an integer, `1,2` a list, `'x'` the text x, `{'a': True}` a mapping; but `yes`, `0644` and `[a, b]` are text.

use crate::source::{Entry, Kind, Node, Span};

/// The node for a value as it stands after `=`.
pub(super) fn node(text: &str, span: &Span) -> Node {
    let mut reader = Reader { rest: text.trim_matches([' ', '\t']), span, depth: 0 };
    match reader.whole() {
        Some(kind) => Node::new(kind, span.clone()),
        None => Node::string(text, span.clone()),
    }
}

/// Deeper nesting is taken for text.
const MAX_DEPTH: usize = 50;

struct Reader<'a> {
    rest: &'a str,
    span: &'a Span,
    depth: usize,
}

impl Reader<'_> {
    /// One value, or several with commas between (a tuple), then perhaps a comment.
    fn whole(&mut self) -> Option<Kind> {
        let first = self.value()?;
        self.blanks();
        let kind = if self.eat(',') {
            let mut items = vec![self.node(first)];
            self.blanks();
            while !self.rest.is_empty() && !self.rest.starts_with('#') {
                let item = self.value()?;
                items.push(self.node(item));
                self.blanks();
                if !self.eat(',') {
                    break;
                }
                self.blanks();
            }
            Kind::List(items)
        } else {
            first
        };
        self.blanks();
        (self.rest.is_empty() || self.rest.starts_with('#')).then_some(kind)
    }

    fn node(&self, kind: Kind) -> Node {
        Node::new(kind, self.span.clone())
    }

    fn blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self) -> Option<Kind> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        self.blanks();
        let kind = match self.rest.chars().next()? {
            '[' => {
                self.eat('[');
                Some(Kind::List(self.items(']')?.0))
            }
            '(' => {
                self.eat('(');
                let (mut items, comma) = self.items(')')?;
                if items.len() == 1 && !comma { items.pop().map(|n| n.kind) } else { Some(Kind::List(items)) }
            }
            '{' => self.braces(),
            '0'..='9' | '.' => self.number(false),
            '-' | '+' => self.signed(),
            '\'' | '"' => self.strings(),
            c if c.is_ascii_alphabetic() || c == '_' => self.word(),
            _ => None,
        };
        self.depth -= 1;
        kind
    }

    /// Items up to the closing bracket, and whether a comma came last.
    fn items(&mut self, close: char) -> Option<(Vec<Node>, bool)> {
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            self.blanks();
            if self.eat(close) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            let item = self.value()?;
            items.push(self.node(item));
            self.blanks();
            comma = self.eat(',');
        }
    }

    /// A dict, or a set (which becomes a list).
    fn braces(&mut self) -> Option<Kind> {
        self.eat('{');
        self.blanks();
        if self.eat('}') {
            return Some(Kind::Map(Vec::new()));
        }
        let first = self.value()?;
        self.blanks();
        if !self.rest.starts_with(':') {
            let mut items = vec![self.node(first)];
            if self.eat(',') {
                items.extend(self.items('}')?.0);
            } else if !self.eat('}') {
                return None;
            }
            return Some(Kind::List(items));
        }
        let mut entries: Vec<Entry> = Vec::new();
        let mut key = first;
        loop {
            self.blanks();
            if !self.eat(':') {
                return None;
            }
            let value = self.value()?;
            let text = match &key {
                Kind::Null => "None".into(),
                _ => crate::source::text_of(&self.node(key)).ok()?,
            };
            let entry = Entry { key: text, key_span: self.span.clone(), value: self.node(value) };
            match entries.iter_mut().find(|e| e.key == entry.key) {
                Some(old) => old.value = entry.value,
                None => entries.push(entry),
            }
            self.blanks();
            let comma = self.eat(',');
            self.blanks();
            if self.eat('}') {
                return Some(Kind::Map(entries));
            }
            if !comma {
                return None;
            }
            key = self.value()?;
        }
    }

    fn signed(&mut self) -> Option<Kind> {
        let mut negative = false;
        while let Some(sign) = self.rest.chars().next().filter(|c| matches!(c, '+' | '-')) {
            negative ^= sign == '-';
            self.rest = &self.rest[1..];
            self.blanks();
        }
        self.number(negative)
    }

    fn number(&mut self, negative: bool) -> Option<Kind> {
        let bytes = self.rest.as_bytes();
        let mut end = 0;
        while end < bytes.len() {
            let sign_of_exponent = matches!(bytes[end], b'+' | b'-')
                && end > 0
                && matches!(bytes[end - 1], b'e' | b'E')
                && !self.rest.starts_with("0x");
            if !(bytes[end].is_ascii_alphanumeric() || matches!(bytes[end], b'_' | b'.') || sign_of_exponent) {
                break;
            }
            end += 1;
        }
        let (text, rest) = self.rest.split_at(end);
        // Underscores only between digits.
        if text.is_empty() || text.ends_with('_') || text.contains("__") || text.contains("_.") || text.contains("._") {
            return None;
        }
        let digits = text.replace('_', "");
        let kind = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("0x") => integer(&digits[2..], 16, negative)?,
            Some("0o") => integer(&digits[2..], 8, negative)?,
            Some("0b") => integer(&digits[2..], 2, negative)?,
            _ if digits.bytes().all(|b| b.is_ascii_digit()) => {
                if digits.starts_with('0') && digits.bytes().any(|b| b != b'0') {
                    return None;
                }
                integer(&digits, 10, negative)?
            }
            _ => {
                let float = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
                let x: f64 = if float { digits.parse().ok()? } else { return None };
                Kind::Float(if negative { -x } else { x })
            }
        };
        self.rest = rest;
        Some(kind)
    }

    fn word(&mut self) -> Option<Kind> {
        let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if rest.starts_with(['\'', '"']) && matches!(word.to_ascii_lowercase().as_str(), "r" | "u" | "b" | "rb" | "br")
        {
            return self.strings();
        }
        self.rest = rest;
        match word {
            "True" => Some(Kind::Bool(true)),
            "False" => Some(Kind::Bool(false)),
            "None" => Some(Kind::Null),
            _ => None,
        }
    }

    /// One string, or several that follow each other and are joined.
    fn strings(&mut self) -> Option<Kind> {
        let mut text = String::new();
        loop {
            self.string(&mut text)?;
            self.blanks();
            let more = self.rest.find(['\'', '"']).is_some_and(|at| {
                at <= 2 && self.rest[..at].chars().all(|c| matches!(c.to_ascii_lowercase(), 'r' | 'u' | 'b'))
            });
            if !more {
                break;
            }
        }
        Some(Kind::Str(text.into()))
    }

    fn string(&mut self, out: &mut String) -> Option<()> {
        let prefix = self.rest.find(['\'', '"'])?;
        let raw = self.rest[..prefix].contains(['r', 'R']);
        self.rest = &self.rest[prefix..];
        let quote = self.rest.chars().next()?;
        self.rest = &self.rest[1..];
        loop {
            let c = self.rest.chars().next()?;
            self.rest = &self.rest[c.len_utf8()..];
            if c == quote {
                return Some(());
            }
            if c != '\\' {
                out.push(c);
                continue;
            }
            let escaped = self.rest.chars().next()?;
            self.rest = &self.rest[escaped.len_utf8()..];
            if raw {
                out.extend(['\\', escaped]);
                continue;
            }
            match escaped {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                'a' => out.push('\u{7}'),
                'b' => out.push('\u{8}'),
                'f' => out.push('\u{c}'),
                'v' => out.push('\u{b}'),
                '\\' | '\'' | '"' => out.push(escaped),
                'x' => out.push(self.code(2)?),
                'u' => out.push(self.code(4)?),
                'U' => out.push(self.code(8)?),
                '0'..='7' => {
                    let more = self.rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
                    let digits = format!("{escaped}{}", &self.rest[..more]);
                    self.rest = &self.rest[more..];
                    out.push(char::from_u32(u32::from_str_radix(&digits, 8).ok()?)?);
                }
                'N' => return None,
                other => out.extend(['\\', other]),
            }
        }
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let code = self.rest.get(..digits)?;
        self.rest = &self.rest[digits..];
        char::from_u32(u32::from_str_radix(code, 16).ok()?)
    }
}

/// Beyond 64 bits it stays text.
fn integer(digits: &str, base: u32, negative: bool) -> Option<Kind> {
    if !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, base).ok()?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Kind::Int)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::Value;

    fn read(text: &str) -> String {
        format!("{:?}", Value::from(&node(text, &Span::synthetic("t", text))))
    }

    /// The right side is what `ansible-inventory` 2.19.14 made of the left, but that Ansible has integers without bounds.
    #[test]
    fn reads_what_ansible_reads() {
        for (text, value) in [
            ("80", "80"),
            ("-5", "-5"),
            ("1_000", "1000"),
            ("0x1f", "31"),
            ("0o17", "15"),
            ("0644", "'0644'"),
            ("007", "'007'"),
            ("00", "0"),
            ("1e3", "1000.0"),
            ("1.50", "1.5"),
            ("3 # three", "3"),
            ("True", "True"),
            ("true", "'true'"),
            ("yes", "'yes'"),
            ("None", "None"),
            ("", "''"),
            ("two words # no comment", "'two words # no comment'"),
            ("'three' # comment", "'three'"),
            ("\"it's\"", "\"it's\""),
            ("\"a\" \"b\"", "'ab'"),
            ("'a\\nb'", "'a\\nb'"),
            ("r'a\\nb'", "'a\\\\nb'"),
            ("\"un", "'\"un'"),
            ("[1, 2] # list", "[1, 2]"),
            ("[1,2,x]", "'[1,2,x]'"),
            ("['a', [True, None]]", "['a', [True, None]]"),
            ("(1,2)", "[1, 2]"),
            ("(1)", "1"),
            ("80,443", "[80, 443]"),
            ("80,", "[80]"),
            ("a,b", "'a,b'"),
            ("{'x': 'y', 1: 2}", "{'x': 'y', '1': 2}"),
            ("{\"a\": true}", "'{\"a\": true}'"),
            ("{1, 2}", "[1, 2]"),
            ("{}", "{}"),
            ("{{ x }}", "'{{ x }}'"),
            ("10.0.0.1", "'10.0.0.1'"),
            ("1.2.3", "'1.2.3'"),
            ("v1", "'v1'"),
            ("12ab", "'12ab'"),
            ("a=b", "'a=b'"),
            ("99999999999999999999", "'99999999999999999999'"),
            ("'\\x41\\u00e9\\101\\q'", "'AéA\\\\q'"),
        ] {
            assert_eq!(read(text), value, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_text() {
        let deep = "[".repeat(100_000);
        assert_eq!(read(&deep), format!("'{deep}'"));
    }
}
