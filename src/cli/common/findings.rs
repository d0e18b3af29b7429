//! Diagnostics on their way to the terminal: all of them, before any host is touched.

use crate::cli::{CommandError, ErrorKind, Ui};
use windlass::source::{Diagnostic, Severity};

/// What is wrong with the files of a run.
#[derive(Debug, Default)]
pub struct Findings(Vec<Diagnostic>);

impl Findings {
    /// Keeps a value, or what is wrong instead of it.
    pub fn take<T>(&mut self, result: Result<T, Vec<Diagnostic>>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(found) => {
                self.add(found);
                None
            }
        }
    }

    /// Adds findings; what two playbooks share is told once.
    pub fn add(&mut self, found: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in found {
            if !self.0.contains(&diagnostic) {
                self.0.push(diagnostic);
            }
        }
    }

    /// Shows all of them. Where one is an error, so is the result.
    pub fn show(self, ui: &mut Ui) -> Result<(), CommandError> {
        let errors: Vec<&Diagnostic> = self.0.iter().filter(|d| d.severity == Severity::Error).collect();
        let kind = if errors.iter().all(|d| is_on_command_line(d)) { ErrorKind::Usage } else { ErrorKind::Playbook };
        let errors = errors.len();
        for diagnostic in &self.0 {
            ui.diagnostic(diagnostic);
        }
        match errors {
            0 => Ok(()),
            1 => Err(CommandError::new(kind, "1 error found; no host was touched")),
            n => Err(CommandError::new(kind, format_args!("{n} errors found; no host was touched"))),
        }
    }
}

/// Whether what is wrong stands in an option (`-e`, `--limit`), and not in a file.
fn is_on_command_line(diagnostic: &Diagnostic) -> bool {
    diagnostic.span.as_ref().is_some_and(|span| span.file.name.starts_with('-') || span.file.name == "HOSTS")
}
