//! `windlass plan`: what `apply` would do.

use super::common::releases::{WhoArgs, changes, code as releases_code, releases};
use super::common::{Ending, Job, PlaybookArgs, check_start, execute, listing};
use super::deploy::DeployFlags;
use super::exit::Exit;
use super::saved::Making;
use super::{CommandError, Ui};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use windlass::deploy::Request;
use windlass::engine::run::Options;

/// Show what `apply` would change, and change nothing
///
/// Hosts are asked, and nothing on them is changed, except by commands that say `check_mode: false`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    book: PlaybookArgs,
    /// End with 0 if nothing has to change, with 1 on an error, with 2 if there are changes
    #[arg(long, help_heading = "Output")]
    detailed_exitcode: bool,
    /// Tell the plan in Markdown, to be posted on a change request
    #[arg(long, help_heading = "Output", conflicts_with_all = ["json", "stats"])]
    markdown: bool,
    /// Save the plan, for `windlass apply FILE`
    #[arg(short, long = "out", value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,
    #[command(flatten)]
    release: DeployFlags,
    #[command(flatten)]
    who: WhoArgs,
}

pub fn run(args: &PlanArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let book = &args.book;
    let looks = book.listing.any();
    if args.out.is_some() && book.workspace.inventory.shard.is_some() {
        return Err(CommandError::usage("-o saves a plan of all hosts: leave --shard out"));
    }
    let making = args.out.as_deref().filter(|_| !looks).map(|out| Making::begin(out, book.output.diff)).transpose()?;
    let workspace = book.workspace(making.as_ref().map(Making::started), ui)?;
    let loaded = book.load(&workspace, ui)?;
    let mut options = Options { plan: true, shard: book.workspace.inventory.shard, ..Options::default() };
    book.selection.apply(&mut options)?;
    check_start(&options, &loaded.playbook)?;
    if looks {
        if args.out.is_some() {
            return Err(CommandError::usage("-o saves a plan, and a listing makes none"));
        }
        return listing::show(&book.listing, &loaded, &options, book.limit(), ui);
    }
    let prepared = making.as_ref().map(|making| making.prepare(&workspace, &loaded)).transpose()?;
    let releases = Arc::new(releases(Request::Deploy(args.release.request()), None, &args.who, &workspace));
    let job = Job {
        watched: making.as_ref().map(Making::watched),
        deployer: Some(Arc::clone(&releases)),
        markdown: args.markdown,
        ..book.job(&workspace, loaded, options)
    };
    let ending = execute(job, ui)?;
    if let (Some(making), Some(prepared)) = (making, prepared) {
        making.save(&prepared, book, &workspace, &ending, &releases, ui)?;
    }
    ui.annotate_failures(&releases);
    let code = match &ending {
        Ending::Done(outcome) if args.detailed_exitcode => {
            if outcome.unreachable() || outcome.failed() || releases.ended().iter().any(|e| e.failure.is_some()) {
                Exit::Error
            } else if outcome.changed() || changes(&releases) {
                Exit::Two
            } else {
                Exit::Ok
            }
        }
        ending => releases_code(&releases, ending),
    };
    Ok(code.into())
}
