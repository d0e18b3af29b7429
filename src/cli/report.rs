//! `windlass report merge`: the JSON of several jobs as one.

use super::exit::Exit;
use super::{CommandError, ErrorKind, Ui};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use windlass::report::Merged;

/// Work with what runs reported
#[derive(Debug, Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Debug, Subcommand)]
enum ReportCommand {
    Merge(MergeArgs),
}

/// Join the JSON of jobs that shared an inventory by `--shard`
///
/// Ends as one job over all hosts would have: with 4 if a host could not be reached, with 2 if a task failed.
#[derive(Debug, Args)]
struct MergeArgs {
    /// Files with the output of `--json`
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ReportArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let ReportCommand::Merge(args) = &args.command;
    let mut merged = Merged::default();
    for file in &args.files {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|e| CommandError::new(ErrorKind::Failed, format_args!("{name} can't be read: {e}")))?;
        merged.add(&name, &text).map_err(|e| CommandError::new(ErrorKind::Failed, e))?;
    }
    if args.json {
        ui.data(merged.json());
    } else {
        merged.lines().iter().for_each(|line| ui.report(line));
    }
    let exit = match (merged.unreachable(), merged.failed()) {
        (true, _) => Exit::Unreachable,
        (false, true) => Exit::Two,
        (false, false) => Exit::Ok,
    };
    Ok(exit.into())
}
