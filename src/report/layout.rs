//! Words, colours and columns of the text report.

use crate::engine::event::Status;
use anstyle::{AnsiColor, Style};

/// Dim text: what explains.
pub const DIM: Style = Style::new().dimmed();
/// Headers.
pub const BOLD: Style = Style::new().bold();

/// The width of the status column, that of its longest word.
pub const STATUS_WIDTH: usize = 12;
/// Longer names of hosts push their line to the right.
pub const HOST_WIDTH: usize = 28;

/// A status as a word, in a plan or not.
pub fn word(status: Status, plan: bool) -> &'static str {
    match (status, plan) {
        (Status::Ok, _) => "ok",
        (Status::Changed, false) => "changed",
        (Status::Changed, true) => "would change",
        (Status::Skipped, _) => "skipped",
        (Status::Failed, false) => "failed",
        (Status::Failed, true) => "would fail",
        (Status::Ignored, _) => "ignored",
        (Status::Unreachable, _) => "unreachable",
        (Status::Unknown, _) => "may change",
    }
}

/// The colour of a status; the word says the same.
pub fn style(status: Status) -> Style {
    match status {
        Status::Ok => AnsiColor::Green.on_default(),
        Status::Changed => AnsiColor::Yellow.on_default(),
        Status::Skipped => AnsiColor::Cyan.on_default().dimmed(),
        Status::Failed | Status::Unreachable => AnsiColor::Red.on_default().bold(),
        Status::Ignored => AnsiColor::Blue.on_default(),
        Status::Unknown => AnsiColor::Magenta.on_default(),
    }
}

/// A duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`.
pub fn duration(duration: std::time::Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A number of bytes as people say it.
#[allow(clippy::cast_precision_loss, reason = "one decimal is shown")]
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.1} GB", count as f64 / 1e9),
    }
}

/// `1 host`, `2 hosts`.
pub fn plural(count: usize, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// At most `most` characters of one line, an ellipsis where more was.
pub fn shortened(text: &str, most: usize) -> String {
    let line = text.trim().replace('\n', " ");
    if line.chars().count() <= most {
        return line;
    }
    let mut short: String = line.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn amounts_read_as_people_say_them() {
        assert_eq!(duration(Duration::from_millis(420)), "0.4 s");
        assert_eq!(duration(Duration::from_secs(59)), "59 s");
        assert_eq!(duration(Duration::from_secs(185)), "3 min 05 s");
        assert_eq!(duration(Duration::from_secs(7260)), "2 h 01 min");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_500_000), "1.5 MB");
        assert_eq!(plural(1, "host"), "1 host");
        assert_eq!(plural(0, "host"), "0 hosts");
        assert_eq!(shortened(" one\ntwo ", 20), "one two");
        assert_eq!(shortened("abcdef", 4), "abc…");
    }
}
