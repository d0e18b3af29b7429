//! Text as Python takes it apart, since results and line-wise edits are defined by that.

use crate::host::Stop;
use crate::values::Value;

/// The words of a command line, as Python's `shlex.split` has them: quotes and backslashes as in POSIX sh, and nothing
/// else that a shell would do.
///
/// # Errors
/// What is not closed.
pub fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\\' => {
                let next = chars.next().ok_or("nothing follows the last backslash")?;
                word.get_or_insert_default().push(next);
            }
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a single quote is not closed")? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or("a double quote is not closed")? {
                        '"' => break,
                        '\\' => match chars.next().ok_or("a double quote is not closed")? {
                            c @ ('"' | '\\') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The lines of a text without their ends, as `str.splitlines` has them.
pub fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        let ends =
            matches!(c, '\n' | '\r' | '\x0b' | '\x0c' | '\x1c' | '\x1d' | '\x1e' | '\u{85}' | '\u{2028}' | '\u{2029}');
        if ends {
            lines.push(&text[start..i]);
            start = i + c.len_utf8();
            if c == '\r' && chars.peek().is_some_and(|(_, c)| *c == '\n') {
                chars.next();
                start += 1;
            }
        }
    }
    if start < text.len() {
        lines.push(&text[start..]);
    }
    lines
}

/// The same as a value, for the `…_lines` of a result.
pub fn lines_value(text: &str) -> Value {
    Value::list(lines(text).into_iter().map(Value::from).collect())
}

/// A value as Python's `json.dumps` writes it: spaces after separators, and only ASCII.
///
/// # Errors
/// A failure where the value is known only after apply.
pub fn json(value: &Value) -> Result<String, Stop> {
    if value.has_unknown() {
        return Err(Stop::Unknown("the content is known only after apply".into()));
    }
    let mut out = String::new();
    write_json(value, &mut out);
    Ok(out)
}

fn write_json(value: &Value, out: &mut String) {
    use std::fmt::Write as _;
    let string = |text: &str, out: &mut String| {
        let quoted = serde_json::Value::from(text).to_string();
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    };
    match value {
        Value::Null | Value::Omit | Value::Unknown => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(_) | Value::Float(_) => out.push_str(&value.to_string()),
        Value::Str(text) => string(text, out),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            out.push('{');
            for (i, (key, item)) in map.iter().enumerate() {
                out.push_str(if i > 0 { ", " } else { "" });
                string(key, out);
                out.push_str(": ");
                write_json(item, out);
            }
            out.push('}');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_shlex_splits_them() {
        let split = |line: &str| words(line);
        assert_eq!(
            split("echo 'a b' \"c \\\" \\x\" d\\ e''").as_deref(),
            Ok(&["echo".to_owned(), "a b".into(), "c \" \\x".into(), "d e".into()][..])
        );
        assert_eq!(split("a ''").map(|w| w.len()), Ok(2));
        assert_eq!(split("a;b|c $(d) #e").map(|w| w.join("/")), Ok("a;b|c/$(d)/#e".into()));
        assert!(split("'a").is_err() && split("\"a").is_err() && split("a\\").is_err());
        assert_eq!(split(" \n").map(|w| w.len()), Ok(0));
    }

    #[test]
    fn lines_as_python_splits_them() {
        assert_eq!(lines("a\r\nb\rc\n\nd"), ["a", "b", "c", "", "d"]);
        assert_eq!(lines("a\n"), ["a"]);
        assert!(lines("").is_empty());
    }
}
