//! Regular expressions as Python's `re` has them.

use crate::values::Value;
use crate::values::call::{Call, Made, Spec, builtin};
use crate::values::error::fail;
use fancy_regex::{Captures, Regex};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

pub(super) const FILTERS: &[Spec<Value>] = &[
    builtin(
        "regex_replace",
        "every match of a pattern replaced",
        &["value", "pattern", "replacement", "ignorecase", "multiline", "count", "mandatory_count"],
        replace,
    ),
    builtin(
        "regex_search",
        "the first match of a pattern, or its groups",
        &["value", "pattern", "*groups", "ignorecase", "multiline"],
        search,
    ),
    builtin("regex_findall", "all matches of a pattern", &["value", "pattern", "multiline", "ignorecase"], findall),
    builtin("regex_escape", "the text with all that is special in a pattern escaped", &["value", "re_type"], escape),
];

/// How a pattern is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Flags {
    pub ignorecase: bool,
    pub multiline: bool,
}

type Cache = RwLock<HashMap<(String, Flags), Arc<Regex>>>;

static COMPILED: LazyLock<Cache> = LazyLock::new(RwLock::default);

/// A compiled pattern in Python's syntax.
pub(crate) fn compile(pattern: &str, flags: Flags) -> Made<Arc<Regex>> {
    let key = (pattern.to_owned(), flags);
    if let Some(regex) = COMPILED.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(Arc::clone(regex));
    }
    let mut source = String::from(match (flags.ignorecase, flags.multiline) {
        (false, false) => "",
        (true, false) => "(?i)",
        (false, true) => "(?m)",
        (true, true) => "(?im)",
    });
    source.push_str(&translate(pattern));
    let regex = Regex::new(&source).map_err(|e| fail(format!("the pattern '{pattern}' can't be read: {e}")))?;
    let regex = Arc::new(regex);
    COMPILED.write().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&regex));
    Ok(regex)
}

/// Python's `\Z` is the engine's `\z`; its `$` also matches before a final newline.
fn translate(pattern: &str) -> String {
    let multiline = pattern.starts_with("(?m") || pattern.starts_with("(?im") || pattern.starts_with("(?sm");
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    let mut class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('Z') if !class => out.push_str("\\z"),
                Some(next) => out.extend(['\\', next]),
                None => out.push('\\'),
            },
            '[' if !class => {
                class = true;
                out.push('[');
                let mut rest = chars.clone();
                // `]` first in a class is an ordinary character.
                if rest.next() == Some('^') {
                    out.push('^');
                    chars.next();
                }
                if chars.clone().next() == Some(']') {
                    out.push_str("\\]");
                    chars.next();
                }
            }
            // A `[` or `&&` within a class is ordinary in Python.
            '[' => out.push_str("\\["),
            '&' | '~' if class => out.extend(['\\', c]),
            ']' => {
                class = false;
                out.push(']');
            }
            '$' if !class && !multiline => out.push_str("(?=\\n?\\z)"),
            c => out.push(c),
        }
    }
    out
}

fn flags(call: &Call<'_>) -> Made<Flags> {
    Ok(Flags { ignorecase: call.flag("ignorecase", false)?, multiline: call.flag("multiline", false)? })
}

/// `$` means the end of a line only under `multiline`, which the translation can't see in the pattern.
fn pattern(call: &Call<'_>) -> Made<Arc<Regex>> {
    let text = call.text("pattern")?;
    let flags = flags(call)?;
    if flags.multiline {
        let inner = Flags { ignorecase: flags.ignorecase, multiline: false };
        return compile(&format!("(?m){text}"), inner);
    }
    compile(&text, flags)
}

fn broken(error: &fancy_regex::Error) -> minijinja::Error {
    fail(format!("the pattern can't be matched: {error}"))
}

fn replace(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let regex = pattern(call)?;
    let replacement = Replacement::parse(&call.opt_text("replacement")?.unwrap_or_default());
    let limit = usize::try_from(call.int("count", Some(0))?).unwrap_or(0);
    let mandatory = usize::try_from(call.int("mandatory_count", Some(0))?).unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut count = 0;
    for captures in regex.captures_iter(&*text) {
        let captures = captures.map_err(|e| broken(&e))?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[copied..whole.start()]);
        replacement.expand(&captures, &mut out)?;
        copied = whole.end();
        count += 1;
        if limit > 0 && count == limit {
            break;
        }
    }
    out.push_str(&text[copied..]);
    if mandatory > 0 && count != mandatory {
        return Err(fail(format!(
            "'{}' should match {mandatory} times and matched {count} times",
            call.text("pattern")?
        )));
    }
    Ok(Value::from(out))
}

/// A replacement text of Python's: `\1`, `\g<name>`, `\n`.
enum Piece {
    Text(String),
    Group(usize),
    Name(String),
}

struct Replacement(Vec<Piece>);

impl Replacement {
    fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(i) = rest.find('\\') {
            plain.push_str(&rest[..i]);
            rest = &rest[i + 1..];
            let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
            let name = rest.strip_prefix("g<").and_then(|r| r.split_once('>'));
            if digits > 0 && !rest.starts_with('0') {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(Piece::Group(rest[..digits].parse().unwrap_or(0)));
                rest = &rest[digits..];
            } else if let Some((name, after)) = name {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.push(name.parse().map_or_else(|_| Piece::Name(name.to_owned()), Piece::Group));
                rest = after;
            } else {
                let mut chars = rest.chars();
                match chars.next() {
                    Some('n') => plain.push('\n'),
                    Some('t') => plain.push('\t'),
                    Some('r') => plain.push('\r'),
                    Some('\\') | None => plain.push('\\'),
                    Some(other) => plain.extend(['\\', other]),
                }
                rest = chars.as_str();
            }
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Self(pieces)
    }

    fn expand(&self, captures: &Captures<'_, str>, out: &mut String) -> Made<()> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Group(i) if *i < captures.len() => out.push_str(captures.get(*i).map_or("", |m| m.as_str())),
                Piece::Group(i) => return Err(fail(format!("the pattern has no group {i}"))),
                // A group that took no part is empty; an unknown one can't be told from it here.
                Piece::Name(name) => out.push_str(captures.name(name).map_or("", |m| m.as_str())),
            }
        }
        Ok(())
    }
}

fn search(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let regex = pattern(call)?;
    let Some(captures) = regex.captures(&*text).map_err(|e| broken(&e))? else { return Ok(Value::Null) };
    let groups = call.rest()?;
    let group = |m: Option<fancy_regex::Match<'_>>| m.map_or(Value::Null, |m| Value::from(m.as_str()));
    if groups.is_empty() {
        return Ok(group(captures.get(0)));
    }
    let mut out = Vec::new();
    for wanted in &groups {
        let wanted = wanted.to_string();
        if let Some(name) = wanted.strip_prefix("\\g<").and_then(|r| r.strip_suffix('>')) {
            out.push(match name.parse::<usize>() {
                Ok(i) => group(captures.get(i)),
                Err(_) => group(captures.name(name)),
            });
        } else if let Some(i) = wanted.strip_prefix('\\').and_then(|r| r.parse::<usize>().ok()) {
            if i >= captures.len() {
                return Err(fail(format!("the pattern has no group {i}")));
            }
            out.push(group(captures.get(i)));
        } else {
            return Err(fail(format!("'{wanted}' names no group; write '\\\\1' or '\\\\g<name>'")));
        }
    }
    Ok(Value::list(out))
}

fn findall(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let regex = pattern(call)?;
    let mut out = Vec::new();
    for captures in regex.captures_iter(&*text) {
        let captures = captures.map_err(|e| broken(&e))?;
        let at = |i: usize| Value::from(captures.get(i).map_or("", |m| m.as_str()));
        out.push(match captures.len() {
            1 => at(0),
            2 => at(1),
            n => Value::list((1..n).map(at).collect()),
        });
    }
    Ok(Value::list(out))
}

fn escape(call: &Call<'_>) -> Made<Value> {
    let text = call.text("value")?;
    let special: &str = match call.opt_text("re_type")?.as_deref() {
        None | Some("python") => "()[]{}?*+-|^$\\.&~# \t\n\r\u{b}\u{c}",
        Some("posix_basic") => "[].^$*\\",
        Some(other) => return Err(fail(format!("re_type can't be '{other}'; it is python or posix_basic"))),
    };
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::from(out))
}

/// Whether a text matches, for the tests `match`, `search` and `regex`.
pub(crate) fn matches(text: &str, pattern: &str, flags: Flags, how: &str) -> Made<bool> {
    let source = match how {
        "match" => format!("\\A(?:{pattern})"),
        "fullmatch" => format!("\\A(?:{pattern})\\Z"),
        _ => pattern.to_owned(),
    };
    let source = if flags.multiline { format!("(?m){source}") } else { source };
    let regex = compile(&source, Flags { ignorecase: flags.ignorecase, multiline: false })?;
    regex.is_match(text).map_err(|e| broken(&e))
}
