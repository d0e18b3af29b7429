//! The bars below the report, where standard error is a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

/// A place for a few lines that are drawn anew as the run goes on. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Terminal {
    bars: MultiProgress,
    lines: Arc<Mutex<Vec<ProgressBar>>>,
    live: bool,
}

impl Terminal {
    /// The terminal at standard error, if it is one and something may be drawn there.
    pub fn new(wanted: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let live = wanted && !dumb && std::io::stderr().is_terminal();
        let target = if live { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        Self { bars: MultiProgress::with_draw_target(target), lines: Arc::default(), live }
    }

    /// Whether anything is drawn.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Draws these lines in place of those before.
    pub fn draw(&self, texts: &[String]) {
        if !self.live {
            return;
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        while lines.len() > texts.len() {
            if let Some(bar) = lines.pop() {
                bar.finish_and_clear();
                self.bars.remove(&bar);
            }
        }
        while lines.len() < texts.len() {
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            lines.push(self.bars.add(ProgressBar::new_spinner().with_style(style)));
        }
        for (bar, text) in lines.iter().zip(texts) {
            bar.set_message(text.clone());
            bar.tick();
        }
    }

    /// Does something else with the terminal while the lines are away.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bars.suspend(work)
    }

    /// Takes the lines away.
    pub fn clear(&self) {
        self.draw(&[]);
    }
}
