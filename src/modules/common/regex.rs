//! Regular expressions as Python's `re` reads them, over text or over bytes.
//!
//! Over bytes, every byte is one character (as Python's `bytes` patterns have it), so a file need not be UTF-8, and
//! `\w`, `\d`, `\s` mean ASCII.

use fancy_regex::{Captures, Regex};
use std::fmt::Write as _;

/// What a pattern is matched against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Text.
    Text,
    /// Bytes.
    Bytes,
}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    over: Over,
    /// Whether `^` and `$` mean lines from the first character on.
    pub multiline: bool,
}

/// One match: where it is, and what its groups are.
pub struct Found<'t>(Captures<'t, str>);

/// Bytes as text that a [`Pattern`] over bytes can be matched against: one character for each.
pub fn widen(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// The reverse of [`widen`].
pub fn narrow(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
}

impl Pattern {
    /// Reads a pattern; `multiline` and `dotall` are Python's flags.
    ///
    /// # Errors
    /// A sentence that quotes the pattern.
    pub fn new(pattern: &str, over: Over, multiline: bool, dotall: bool) -> Result<Self, String> {
        let told = |why: &dyn std::fmt::Display| format!("`{pattern}` is not a regular expression: {why}");
        let wide = if over == Over::Bytes { widen(pattern.as_bytes()) } else { pattern.to_owned() };
        let mut translator = Translator {
            chars: wide.chars().collect(),
            at: 0,
            out: String::new(),
            ascii: over == Over::Bytes,
            lines: vec![multiline],
        };
        translator.run().map_err(|e| told(&e))?;
        let multiline = translator.lines[0];
        let source = if dotall { format!("(?s){}", translator.out) } else { translator.out };
        Ok(Self { regex: Regex::new(&source).map_err(|e| told(&e))?, over, multiline })
    }

    /// The names of its groups.
    pub fn names(&self) -> Vec<String> {
        self.regex.capture_names().flatten().map(str::to_owned).collect()
    }

    /// The first match in `text`, which is [`widen`]ed where the pattern is over bytes.
    ///
    /// # Errors
    /// A sentence, where matching takes too many steps.
    pub fn find<'t>(&self, text: &'t str) -> Result<Option<Found<'t>>, String> {
        self.regex.captures(text).map(|c| c.map(Found)).map_err(|e| too_hard(&e))
    }

    /// `text` with every match replaced, and how many there were, as `re.subn` counts them.
    ///
    /// # Errors
    /// A sentence, where matching takes too many steps or the replacement can't be read.
    pub fn replace_all(&self, text: &str, replacement: &str) -> Result<(String, usize), String> {
        let (mut out, mut copied, mut at, mut count) = (String::new(), 0, 0, 0);
        let mut empty_at = None;
        while at <= text.len() {
            let Some(found) = self.regex.captures_from_pos(text, at).map_err(|e| too_hard(&e))? else { break };
            let found = Found(found);
            let (start, end) = found.span();
            if start == end && empty_at == Some(start) {
                let Some(c) = text[start..].chars().next() else { break };
                at = start + c.len_utf8();
                empty_at = None;
                continue;
            }
            out.push_str(&text[copied..start]);
            found.expand(replacement, self.over, &mut out)?;
            count += 1;
            (copied, at) = (end, end);
            empty_at = (start == end).then_some(end);
        }
        out.push_str(&text[copied..]);
        Ok((out, count))
    }

    /// What `template` (`\1`, `\g<name>`, `\n`…) becomes for a match of this pattern.
    ///
    /// # Errors
    /// A sentence, where the template can't be read.
    pub fn expand(&self, found: &Found<'_>, template: &str) -> Result<String, String> {
        let mut out = String::new();
        found.expand(template, self.over, &mut out)?;
        Ok(out)
    }
}

fn too_hard(error: &fancy_regex::Error) -> String {
    format!("the regular expression can't be matched: {error}")
}

impl Found<'_> {
    /// Where the match begins and ends.
    pub fn span(&self) -> (usize, usize) {
        self.0.get(0).map_or((0, 0), |m| (m.start(), m.end()))
    }

    /// Where a named group begins and ends, if it took part.
    pub fn group(&self, name: &str) -> Option<(usize, usize)> {
        self.0.name(name).map(|m| (m.start(), m.end()))
    }

    /// Where the groups begin and end, from the first; none for one that took no part.
    pub fn groups(&self) -> Vec<Option<(usize, usize)>> {
        (1..self.0.len()).map(|i| self.0.get(i).map(|m| (m.start(), m.end()))).collect()
    }

    fn push_group(&self, name: &str, out: &mut String) -> Result<(), String> {
        let group = match name.parse::<usize>() {
            Ok(i) if i < self.0.len() => self.0.get(i),
            Ok(i) => return Err(format!("the replacement names group {i}, and the pattern has none")),
            Err(_) => self.0.name(name),
        };
        out.push_str(group.map_or("", |m| m.as_str()));
        Ok(())
    }

    fn expand(&self, template: &str, over: Over, out: &mut String) -> Result<(), String> {
        let template = if over == Over::Bytes { widen(template.as_bytes()) } else { template.to_owned() };
        let mut rest = template.as_str();
        while let Some(i) = rest.find('\\') {
            out.push_str(&rest[..i]);
            rest = &rest[i + 1..];
            let Some(c) = rest.chars().next() else {
                return Err("the replacement ends with a lone backslash; write `\\\\` for one".into());
            };
            if let Some(named) = rest.strip_prefix("g<") {
                let end = named.find('>').ok_or("the replacement has `\\g<` without its `>`")?;
                self.push_group(&named[..end], out)?;
                rest = &named[end + 1..];
                continue;
            }
            let digits = rest.bytes().take(3).take_while(u8::is_ascii_digit).count();
            let octal = rest.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
            if c == '0' || (octal == 3 && digits == 3) {
                let len = octal.clamp(1, if c == '0' { 2.max(octal) } else { 3 });
                out.push(char::from(u8::try_from(u32::from_str_radix(&rest[..len], 8).unwrap_or(0)).unwrap_or(b'?')));
                rest = &rest[len..];
            } else if digits > 0 {
                let len = digits.min(2);
                self.push_group(&rest[..len], out)?;
                rest = &rest[len..];
            } else {
                match c {
                    'n' => out.push('\n'),
                    't' => out.push('\t'),
                    'r' => out.push('\r'),
                    'a' => out.push('\x07'),
                    'b' => out.push('\x08'),
                    'f' => out.push('\x0c'),
                    'v' => out.push('\x0b'),
                    '\\' => out.push('\\'),
                    c if c.is_ascii_alphabetic() => {
                        return Err(format!("the replacement has `\\{c}`, which means nothing; write `\\\\{c}`"));
                    }
                    c => out.extend(['\\', c]),
                }
                rest = &rest[c.len_utf8()..];
            }
        }
        out.push_str(rest);
        Ok(())
    }
}

struct Translator {
    chars: Vec<char>,
    at: usize,
    out: String,
    ascii: bool,
    /// For each open group, whether `^` and `$` mean lines.
    lines: Vec<bool>,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek(0) {
            self.at += 1;
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => self.group()?,
                ')' => {
                    if self.lines.len() > 1 {
                        self.lines.pop();
                    }
                    self.out.push(')');
                }
                // In Python, `$` matches before a final newline, too.
                '$' if self.multiline() => self.out.push_str("(?m:$)"),
                '$' => self.out.push_str(r"(?=\n?\z)"),
                '^' if self.multiline() => self.out.push_str("(?m:^)"),
                '{' => self.brace(),
                c => self.out.push(c),
            }
        }
        Ok(())
    }

    fn multiline(&self) -> bool {
        self.lines.last().copied().unwrap_or(false)
    }

    /// `{` begins a repetition only where one follows.
    fn brace(&mut self) {
        let end = self.chars[self.at..].iter().position(|&c| c == '}');
        let inner: String = end.map_or(String::new(), |e| self.chars[self.at..self.at + e].iter().collect());
        let (low, high) = inner.split_once(',').unwrap_or((&inner, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if inner.is_empty() || !digits(low) || !digits(high) {
            self.out.push_str("\\{");
            return;
        }
        let low = if low.is_empty() { "0" } else { low };
        let comma = if inner.contains(',') { "," } else { "" };
        let _ = write!(self.out, "{{{low}{comma}{high}}}");
        self.at += inner.chars().count() + 1;
    }

    fn group(&mut self) -> Result<(), String> {
        self.lines.push(self.multiline());
        if self.peek(0) != Some('?') {
            self.out.push('(');
            return Ok(());
        }
        if self.peek(1) == Some('#') {
            let end = self.chars[self.at..].iter().position(|&c| c == ')').ok_or("a comment is not closed")?;
            self.at += end + 1;
            self.lines.pop();
            return Ok(());
        }
        let mut flags = String::new();
        while let Some(c) = self.peek(1 + flags.len()).filter(|c| "aiLmsux-".contains(*c)) {
            flags.push(c);
        }
        let closing = self.peek(1 + flags.len());
        if flags.is_empty() || !matches!(closing, Some(':' | ')')) {
            self.out.push('(');
            return Ok(());
        }
        self.at += 2 + flags.len();
        let (on, off) = flags.split_once('-').unwrap_or((&flags, ""));
        let kept = |part: &str| part.chars().filter(|c| "isx".contains(*c)).collect::<String>();
        let global = closing == Some(')');
        if on.contains('a') {
            self.ascii = true;
        }
        if global {
            // A flag for all that follows: it belongs to the group around it.
            self.lines.pop();
        }
        if let Some(top) = self.lines.last_mut() {
            *top = (*top || on.contains('m')) && !off.contains('m');
        }
        let (on, off) = (kept(on), kept(off));
        let minus = if off.is_empty() { String::new() } else { format!("-{off}") };
        match (global, on.is_empty() && off.is_empty()) {
            (true, true) => {}
            (true, false) => {
                let _ = write!(self.out, "(?{on}{minus})");
            }
            (false, _) => {
                let _ = write!(self.out, "(?{on}{minus}:");
            }
        }
        Ok(())
    }

    fn class(&mut self) -> Result<(), String> {
        self.out.push('[');
        if self.peek(0) == Some('^') {
            self.at += 1;
            self.out.push('^');
        }
        let start = self.at;
        loop {
            let c = self.peek(0).ok_or("a `[` is not closed")?;
            self.at += 1;
            match c {
                ']' if self.at - 1 > start => break,
                '\\' => self.escape(true)?,
                // All of these would mean something else to the engine: nested classes and set operations.
                '[' | ']' | '&' | '~' | '^' | ' ' | '#' => self.literal(c),
                '-' if self.peek(0) == Some('-') || self.out.ends_with('-') => self.literal(c),
                c => self.out.push(c),
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn literal(&mut self, c: char) {
        let _ = write!(self.out, "\\x{{{:x}}}", u32::from(c));
    }

    fn escape(&mut self, class: bool) -> Result<(), String> {
        let c = self.peek(0).ok_or("it ends with a lone backslash")?;
        self.at += 1;
        let word = "0-9A-Za-z_";
        let space = r" \t\n\r\x0b\x0c";
        let set = match c {
            'd' | 'D' => "0-9",
            'w' | 'W' => word,
            _ => space,
        };
        match c {
            'd' | 'w' | 's' if self.ascii && class => self.out.push_str(&set.replace(' ', r"\x20")),
            'd' | 'w' | 's' if self.ascii => {
                let _ = write!(self.out, "[{}]", set.replace(' ', r"\x20"));
            }
            'D' | 'W' | 'S' if self.ascii => {
                let _ = write!(self.out, "[^{}]", set.replace(' ', r"\x20"));
            }
            'd' | 'w' | 's' | 'D' | 'W' | 'S' => self.out.extend(['\\', c]),
            'b' if class => self.out.push_str(r"\x08"),
            'b' if self.ascii => {
                let _ = write!(self.out, "(?:(?<![{word}])(?=[{word}])|(?<=[{word}])(?![{word}]))");
            }
            'B' if self.ascii && !class => {
                let _ = write!(self.out, "(?:(?<![{word}])(?![{word}])|(?<=[{word}])(?=[{word}]))");
            }
            'b' | 'B' | 'A' if !class => self.out.extend(['\\', c]),
            'Z' if !class => self.out.push_str(r"\z"),
            'n' | 'r' | 't' => self.out.extend(['\\', c]),
            'a' => self.literal('\x07'),
            'f' => self.literal('\x0c'),
            'v' => self.literal('\x0b'),
            'x' => self.number(2)?,
            'u' if !self.ascii => self.number(4)?,
            'U' if !self.ascii => self.number(8)?,
            '0'..='9' => {
                let octal = self.chars[self.at - 1..].iter().take(3).take_while(|c| ('0'..='7').contains(*c)).count();
                if c == '0' || class || octal == 3 {
                    if octal == 0 {
                        return Err(format!("`\\{c}` means nothing in it"));
                    }
                    let text: String = self.chars[self.at - 1..self.at - 1 + octal].iter().collect();
                    self.at += octal - 1;
                    self.code(u32::from_str_radix(&text, 8).unwrap_or(0))?;
                } else {
                    self.out.extend(['\\', c]);
                    if let Some(next) = self.peek(0).filter(char::is_ascii_digit) {
                        self.at += 1;
                        self.out.push(next);
                    }
                }
            }
            c if c.is_ascii_alphabetic() => return Err(format!("`\\{c}` means nothing in it")),
            c => self.literal(c),
        }
        Ok(())
    }

    fn number(&mut self, digits: usize) -> Result<(), String> {
        let text: String = self.chars[self.at..].iter().take(digits).collect();
        let code = Some(&text)
            .filter(|t| t.len() == digits && t.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|t| u32::from_str_radix(t, 16).ok())
            .ok_or_else(|| format!("an escape needs {digits} hexadecimal digits"))?;
        self.at += digits;
        self.code(code)
    }

    fn code(&mut self, code: u32) -> Result<(), String> {
        let c = char::from_u32(code).ok_or("an escape names no character")?;
        self.literal(c);
        Ok(())
    }
}

#[cfg(test)]
#[path = "regex_tests.rs"]
mod tests;
