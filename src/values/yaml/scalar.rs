//! How a string may be written so that it is read as the same string.

use crate::source::plain_is_string;

/// The style of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Single,
    Double,
}

/// Where a scalar stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Inside brackets.
    pub flow: bool,
    /// As the key of a mapping, on one line.
    pub key: bool,
}

/// The plainest style that keeps `text` what it is.
pub(super) fn style(text: &str, place: Place) -> Style {
    let found = Findings::of(text);
    let multiline = found.line_breaks;
    if place.key && multiline {
        return Style::Double;
    }
    let plain = !found.edge_blank
        && !found.break_space
        && !found.space_break
        && !found.special
        && !multiline
        && !(if place.flow { found.flow_indicator } else { found.block_indicator })
        && !(text.is_empty() && (place.flow || place.key))
        && plain_is_string(text);
    if plain {
        Style::Plain
    } else if found.break_space || found.space_break || found.special {
        Style::Double
    } else {
        Style::Single
    }
}

/// Whether a character can stand unescaped.
pub(super) fn printable(c: char) -> bool {
    matches!(c, '\n' | '\u{20}'..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// Line breaks as YAML 1.1 counts them.
pub(super) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_end(c: Option<char>) -> bool {
    c.is_none_or(|c| matches!(c, ' ' | '\t' | '\0') || is_break(c))
}

#[derive(Default)]
struct Findings {
    flow_indicator: bool,
    block_indicator: bool,
    line_breaks: bool,
    special: bool,
    /// A blank or a break at either end.
    edge_blank: bool,
    /// A blank after a break.
    break_space: bool,
    /// A break after a blank.
    space_break: bool,
}

impl Findings {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        if text.starts_with("---") || text.starts_with("...") {
            found.flow_indicator = true;
            found.block_indicator = true;
        }
        let (mut after_blank, mut previous) = (true, None);
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let before_blank = is_blank_or_end(chars.peek().copied());
            let first = previous.is_none();
            let (flow, block) = match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
                    if first =>
                {
                    (true, true)
                }
                '?' if first => (true, before_blank),
                '-' if first => (before_blank, before_blank),
                ',' | '?' | '[' | ']' | '{' | '}' => (true, false),
                ':' => (true, before_blank),
                '#' => (after_blank, after_blank),
                _ => (false, false),
            };
            found.flow_indicator |= flow;
            found.block_indicator |= block;
            // The breaks that YAML 1.1 knows and 1.2 does not are escaped, so that readers of both agree.
            found.special |= !printable(c) || (is_break(c) && c != '\n');
            let last = chars.peek().is_none();
            if c == ' ' || is_break(c) {
                found.edge_blank |= first || last;
            }
            if is_break(c) {
                found.line_breaks = true;
                found.space_break |= previous == Some(' ');
            } else if c == ' ' {
                found.break_space |= previous.is_some_and(is_break);
            }
            after_blank = is_blank_or_end(Some(c));
            previous = Some(c);
        }
        found
    }
}
