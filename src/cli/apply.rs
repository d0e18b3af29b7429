//! `windlass apply`: make hosts as playbooks say.

use super::common::releases::{WhoArgs, code as releases_code, releases};
use super::common::{Ending, Job, PlaybookArgs, check_start, execute, listing};
use super::exit::Exit;
use super::{CommandError, Ui};
use clap::Args;
use std::process::ExitCode;
use std::sync::Arc;
use windlass::deploy::{DeployRequest, Request};
use windlass::engine::run::Options;
use windlass::plan::PlanFile;

/// Make hosts as playbooks say
///
/// Reads Ansible's playbooks, roles, inventories and vault files as they are. What is wrong in them is told before any
/// host is touched. A plan that `windlass plan -o` saved is applied exactly as it is, or not at all. Ends with 0, with 2 if a task failed on a host, with 4 if a host could not be reached; see
/// `docs/cli.md` for all codes.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    #[command(flatten)]
    book: PlaybookArgs,
    /// Only foretell what would change, as `windlass plan` does
    #[arg(short = 'C', long, help_heading = "Tasks")]
    check: bool,
    #[command(flatten)]
    who: WhoArgs,
}

pub fn run(args: &ApplyArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let book = &args.book;
    if let [file] = book.playbooks.as_slice()
        && PlanFile::is_one(file)
    {
        if args.check || book.listing.any() {
            let option = if args.check { "--check" } else { "listing" };
            return Err(CommandError::usage(format_args!(
                "a saved plan can only be applied: {option} has no meaning for it"
            ))
            .hinted("look at the plan with `windlass plan` of its playbooks"));
        }
        if book.workspace.inventory.shard.is_some() {
            return Err(CommandError::usage("a saved plan is applied whole: --shard has no meaning for it"));
        }
        return super::saved::apply(file, book, &args.who, ui);
    }
    let workspace = book.workspace(None, ui)?;
    let loaded = book.load(&workspace, ui)?;
    let mut options = Options { plan: args.check, shard: book.workspace.inventory.shard, ..Options::default() };
    book.selection.apply(&mut options)?;
    check_start(&options, &loaded.playbook)?;
    if book.listing.any() {
        return listing::show(&book.listing, &loaded, &options, book.limit(), ui);
    }
    let releases = Arc::new(releases(Request::Deploy(DeployRequest::default()), None, &args.who, &workspace));
    let job = Job { deployer: Some(Arc::clone(&releases)), ..book.job(&workspace, loaded, options) };
    let ending = execute(job, ui)?;
    ui.annotate_failures(&releases);
    Ok(releases_code(&releases, &ending).into())
}

/// As `ansible-playbook` ends: a host that can't be reached weighs more than a task that failed.
pub fn code(ending: &Ending) -> Exit {
    match ending {
        Ending::Interrupted => Exit::Interrupted,
        Ending::Done(outcome) if outcome.unreachable() => Exit::Unreachable,
        Ending::Done(outcome) if outcome.failed() => Exit::Two,
        Ending::Done(_) => Exit::Ok,
    }
}
