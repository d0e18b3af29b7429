//! The one way by which a value reaches a shell.

/// `text` as one word of POSIX shell (XCU 2.2.2: inside single quotes every character stands for itself).
///
/// Words made only of harmless characters stay as they are, so that shown commands read well. NUL can't be passed to a
/// shell at all; it is dropped here and refused earlier, where the message can name the argument.
pub fn quote(text: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':' | b',' | b'+' | b'@' | b'%');
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("'\\''"),
            '\0' => {}
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

/// Several words, quoted and separated by spaces.
pub fn quote_all<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_words_stay_one_word() {
        assert_eq!(quote("plain/path-1.2"), "plain/path-1.2");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a b"), "'a b'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote("$(reboot)`x`\n;"), "'$(reboot)`x`\n;'");
        assert_eq!(quote("~root"), "'~root'");
    }
}
