//! A line of an INI inventory in words, as a POSIX shell would split it.

use std::ops::Range;

/// One word: its text without quotes, and where it stands in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub text: String,
    pub at: Range<usize>,
}

/// Splits a line. Quotes group, a backslash escapes, and an unquoted `#` begins a comment, also inside a word (so it is in
/// Ansible). `Err` is the offset of a quote that is not closed.
pub(super) fn split(line: &str) -> Result<Vec<Word>, usize> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '#' {
            break;
        }
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let current = word.get_or_insert(Word { text: String::new(), at: at..at });
        match c {
            '\\' => current.text.extend(chars.next().map(|(_, c)| c)),
            '\'' | '"' => loop {
                let (_, inner) = chars.next().ok_or(at)?;
                if inner == c {
                    break;
                }
                match chars.peek() {
                    Some((_, next)) if inner == '\\' && c == '"' && matches!(next, '"' | '\\') => {
                        current.text.push(*next);
                        chars.next();
                    }
                    _ => current.text.push(inner),
                }
            },
            c => current.text.push(c),
        }
        current.at.end = chars.peek().map_or(line.len(), |(at, _)| *at);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        split(line).unwrap().into_iter().map(|w| w.text).collect()
    }

    #[test]
    fn splits_as_a_shell_does() {
        assert_eq!(texts(r#"h a=1  b='x y' c="d \"e\" \n" # end"#), ["h", "a=1", "b=x y", r#"c=d "e" \n"#]);
        assert_eq!(texts("h hash=a#b c=1"), ["h", "hash=a"]);
        assert_eq!(texts(r"h a\ b=1 e="), ["h", "a b=1", "e="]);
        assert_eq!(texts(""), Vec::<String>::new());
        assert_eq!(split("h 'x"), Err(2));
        assert_eq!(split("h a='b c'").unwrap()[1].at, 2..9);
    }
}
