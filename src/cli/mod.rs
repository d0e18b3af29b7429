//! The command line: one file a command. Each has a `clap::Args` struct whose comments are the help, and
//! `run(args, &mut Ui) -> Result<ExitCode, CommandError>`. To add one: a file, a `mod` line, a variant and an arm here.
//!
//! This is the only layer that knows the terminal, the environment and the process's end. Every variable of the
//! environment that windlass reads is an `env = …` of some argument, and so stands in the help.

mod annotate;
#[allow(dead_code)]
mod apply;
mod common;
mod connector;
mod deploy;
mod error;
mod exec;
mod exit;
mod inventory;
mod lab;
mod lab_delay;
mod lab_embedded;
mod maintenance;
mod plan;
mod releases;
mod report;
mod rollback;
mod run;
mod saved;
mod status;
mod ui;
mod unlock;

use clap::{ArgAction, Args, Parser, Subcommand};
pub use error::{CommandError, ErrorKind};
use exit::Exit;
use std::process::ExitCode;
pub use ui::Ui;
use ui::{Annotations, Color, Printer};

/// Ansible-style playbooks and zero-downtime Django deploys for plain virtual machines, over SSH
#[derive(Debug, Parser)]
#[command(name = "windlass", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
struct GlobalArgs {
    /// Tell more; twice or more often: still more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Tell errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", hide_possible_values = false)]
    color: Color,
    /// Mark errors for a CI service, so that it shows them beside the files
    #[arg(long, global = true, value_name = "SERVICE", env = "WINDLASS_ANNOTATIONS")]
    annotations: Option<Annotations>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Apply(Box<apply::ApplyArgs>),
    Plan(Box<plan::PlanArgs>),
    Deploy(Box<deploy::DeployArgs>),
    Rollback(Box<rollback::RollbackArgs>),
    Releases(Box<releases::ReleasesArgs>),
    Status(Box<status::StatusArgs>),
    Exec(Box<exec::ExecArgs>),
    Maintenance(Box<maintenance::MaintenanceArgs>),
    Unlock(Box<unlock::UnlockArgs>),
    Run(Box<run::RunArgs>),
    Inventory(Box<inventory::InventoryCommandArgs>),
    Report(report::ReportArgs),
    Lab(lab::LabArgs),
    #[command(name = "lab-delay", hide = true)]
    LabDelay(lab_delay::LabDelayArgs),
}

/// Runs windlass. What the process should end with is the value.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => {
            Ui::new(Printer::Default, Color::Auto).clap(&message);
            return if message.use_stderr() { Exit::Usage } else { Exit::Ok }.into();
        }
    };
    let printer = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => Printer::Quiet,
        (false, 0) => Printer::Default,
        (false, level) => Printer::Verbose(level),
    };
    let mut ui = Ui::new(printer, cli.global.color).annotated(cli.global.annotations);
    // A panic is a bug of ours: the default hook has told where, and the code tells it apart from every other failure.
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| dispatch(cli.command, &mut ui)));
    match result {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            ui.error(&error);
            error.kind.exit().into()
        }
        Err(_) => {
            let error = CommandError::new(ErrorKind::Bug, "windlass met an error of its own and stopped");
            ui.error(&error.hinted("please report it with the lines above and what you ran"));
            Exit::Bug.into()
        }
    }
}

fn dispatch(command: Command, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    match command {
        Command::Apply(args) => apply::run(&args, ui),
        Command::Plan(args) => plan::run(&args, ui),
        Command::Deploy(args) => deploy::run(&args, ui),
        Command::Rollback(args) => rollback::run(&args, ui),
        Command::Releases(args) => releases::run(&args, ui),
        Command::Status(args) => status::run(&args, ui),
        Command::Exec(args) => exec::run(&args, ui),
        Command::Maintenance(args) => maintenance::run(&args, ui),
        Command::Unlock(args) => unlock::run(&args, ui),
        Command::Run(args) => run::run(&args, ui),
        Command::Inventory(args) => inventory::run(&args, ui),
        Command::Report(args) => report::run(&args, ui),
        Command::Lab(args) => lab::run(args, ui),
        Command::LabDelay(args) => lab_delay::run(&args, ui),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
