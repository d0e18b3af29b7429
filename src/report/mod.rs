//! Reports: what a run tells, as text for people and as JSON lines for programs.
//!
//! They consume the engine's [`Event`]s and nothing else, and write to a [`Sink`], so that they know no terminal.

mod clean;
mod crowd;
mod detail;
mod json;
mod layout;
mod markdown;
mod merge;
mod progress;
mod recap;
mod text;

#[cfg(test)]
mod tests;

pub use clean::clean;
pub use json::{FORMAT_VERSION, JsonReport};
pub use markdown::MarkdownReport;
pub use merge::{MergeError, Merged};
pub use progress::Progress;
pub use text::{TextOptions, TextReport};

use crate::engine::event::Event;
use std::time::Duration;

/// Where a report goes, line by line. Lines may hold ANSI colours, which the receiver removes where none are wanted.
pub trait Sink {
    /// One line, without its newline.
    fn line(&mut self, text: &str);
}

impl Sink for Vec<String> {
    fn line(&mut self, text: &str) {
        self.push(text.to_owned());
    }
}

/// Tells a run. Times count from its start.
pub trait Report {
    /// Something has happened.
    fn event(&mut self, event: &Event, at: Duration, sink: &mut dyn Sink);

    /// Called about once a second, so that a silence can be explained.
    fn tick(&mut self, at: Duration, sink: &mut dyn Sink);
}
