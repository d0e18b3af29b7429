//! Text from hosts made harmless for a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with control characters written out (`\x1b`), so that no host can move the cursor or change colours.
/// Newlines and tabs stay; a carriage return is dropped where a newline follows.
pub fn clean(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| c == '\n' || c == '\t' || !(c.is_control() || is_direction(c));
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        // Writing to a string can't fail.
        let _ = match c {
            '\r' if chars.peek().is_none_or(|next| *next == '\n') => Ok(()),
            c if harmless(c) => out.write_char(c),
            c if u32::from(c) < 256 => write!(out, "\\x{:02x}", u32::from(c)),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)),
        };
    }
    Cow::Owned(out)
}

/// Characters that make text run the other way, and so hide what it says.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_out() {
        assert_eq!(clean("a\tb\nc"), "a\tb\nc");
        assert_eq!(clean("\u{1b}[31mred\u{7}"), "\\x1b[31mred\\x07");
        assert_eq!(clean("one\r\ntwo\r"), "one\ntwo");
        assert_eq!(clean("10%\r20%"), "10%\\x0d20%");
        assert_eq!(clean("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(clean("Grüße"), "Grüße");
    }
}
