//! The only place that writes to the terminal.
//!
//! Standard output carries data that somebody may pipe on; everything else goes to standard error. Colours never carry
//! meaning alone, and `NO_COLOR`, `CLICOLOR_FORCE` and dumb terminals are honoured.

use super::annotate;
use super::error::CommandError;
use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use std::fmt::Display;
use std::io::{self, Write};
use windlass::deploy::Releases;
use windlass::engine::event::StepResult;
use windlass::source::{Diagnostic, RenderOptions, render};
use windlass::values::Redactor;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// How much is told on standard error. Errors always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Printer {
    /// Errors only (`-q`).
    Quiet,
    /// What happens.
    Default,
    /// Details too (`-v`); `-vv` and more are for commands to interpret.
    Verbose(u8),
}

/// Whose annotations are written beside what is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Annotations {
    /// GitHub Actions' workflow commands, on standard error.
    Github,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The terminal, as commands see it.
pub struct Ui {
    out: AutoStream<io::Stdout>,
    err: AutoStream<io::Stderr>,
    printer: Printer,
    annotations: Option<Annotations>,
}

impl Ui {
    pub fn new(printer: Printer, color: Color) -> Ui {
        let choice = |auto: ColorChoice| match color {
            Color::Auto => auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let (out, err) = (io::stdout(), io::stderr());
        let out_choice = choice(AutoStream::choice(&out));
        let err_choice = choice(AutoStream::choice(&err));
        Ui { out: AutoStream::new(out, out_choice), err: AutoStream::new(err, err_choice), printer, annotations: None }
    }

    /// Also writes what a CI service shows beside the files.
    pub fn annotated(self, annotations: Option<Annotations>) -> Ui {
        Ui { annotations, ..self }
    }

    pub fn printer(&self) -> Printer {
        self.printer
    }

    /// How many `-v` there were.
    pub fn verbosity(&self) -> u8 {
        match self.printer {
            Printer::Verbose(level) => level,
            Printer::Quiet | Printer::Default => 0,
        }
    }

    /// One line of a run's report.
    pub fn report(&mut self, line: &str) {
        let _ = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
    }

    /// What is wrong in a file, with an excerpt. Warnings only where they are wanted.
    pub fn diagnostic(&mut self, diagnostic: &Diagnostic) {
        if diagnostic.severity == windlass::source::Severity::Warning && self.printer < Printer::Default {
            return;
        }
        let color = self.err.current_choice() != ColorChoice::Never;
        let text = render(diagnostic, RenderOptions { color, ..RenderOptions::default() });
        let _ = writeln!(self.err, "{text}\n");
        if self.annotations.is_some() {
            let line = annotate::diagnostic(diagnostic);
            let _ = writeln!(self.err, "{line}");
        }
    }

    /// Data: text for standard output, ended by a newline if it has none. A reader that has gone away is no error.
    pub fn data(&mut self, text: impl Display) {
        let text = text.to_string();
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
        let _ = write!(self.out, "{text}{end}").and_then(|()| self.out.flush());
    }

    /// What is being done.
    pub fn status(&mut self, text: impl Display) {
        if self.printer >= Printer::Default {
            let _ = writeln!(self.err, "{text}");
        }
    }

    /// What only a reader who asked for details wants.
    pub fn detail(&mut self, text: impl Display) {
        if self.printer >= Printer::Verbose(1) {
            let _ = writeln!(self.err, "{DIM}{text}{DIM:#}");
        }
    }

    pub fn warn(&mut self, text: impl Display) {
        if self.printer >= Printer::Default {
            let _ = writeln!(self.err, "{WARNING}warning:{WARNING:#} {text}");
        }
    }

    /// What to do next, after success.
    pub fn hint(&mut self, text: impl Display) {
        if self.printer >= Printer::Default {
            let _ = writeln!(self.err, "{HINT}hint:{HINT:#} {text}");
        }
    }

    /// An error and its hints, each on a line of its own after a blank one.
    pub fn error(&mut self, error: &CommandError) {
        let _ = writeln!(self.err, "{ERROR}error:{ERROR:#} {}", error.message);
        for (index, hint) in error.hints.iter().enumerate() {
            let blank = if index == 0 { "\n" } else { "" };
            let _ = writeln!(self.err, "{blank}{HINT}hint:{HINT:#} {hint}");
        }
        if self.annotations.is_some() {
            let _ = writeln!(self.err, "{}", annotate::error(&error.message));
        }
    }

    /// A task that failed, where annotations are wanted.
    pub fn annotate_result(&mut self, result: &StepResult, redactor: &Redactor) {
        if self.annotations.is_some()
            && let Some(line) = annotate::result(result)
        {
            let _ = writeln!(self.err, "{}", redactor.redact(&line));
        }
    }

    /// Deploys that failed, where annotations are wanted.
    pub fn annotate_failures(&mut self, releases: &Releases) {
        if self.annotations.is_none() {
            return;
        }
        for (_, reason) in releases.ended().into_iter().filter_map(|e| e.failure) {
            let _ = writeln!(self.err, "{}", annotate::error(&reason));
        }
    }

    /// Help, the version, or an error of the command line, as clap has it.
    pub fn clap(&mut self, message: &clap::Error) {
        let text = message.render();
        let _ = if message.use_stderr() {
            write!(self.err, "{}", text.ansi())
        } else {
            write!(self.out, "{}", text.ansi()).and_then(|()| self.out.flush())
        };
    }
}
