//! What the commands around releases share: who asks, which playbook is meant, and how they end.

use super::connection::ConnectionArgs;
use super::execute::{Ending, Job, OutputArgs, execute};
use super::playbook::read_books;
use super::privilege::PrivilegeArgs;
use super::workspace::{Workspace, WorkspaceArgs};
use crate::cli::exit::Exit;
use crate::cli::{CommandError, Ui};
use clap::Args;
use serde_json::Value;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use windlass::deploy::fleet::Who;
use windlass::deploy::{Folders, Releases, Request};
use windlass::engine::run::Options;

/// The playbooks that are looked for where none is named.
const USUAL: [&str; 2] = ["deploy.yml", "playbooks/deploy.yml"];

/// Who asks.
#[derive(Debug, Args)]
#[command(next_help_heading = "Deploy")]
pub struct WhoArgs {
    /// Who deploys, as locks and records name it [default: your name and this machine's]
    #[arg(long, value_name = "NAME", env = "WINDLASS_BY")]
    by: Option<String>,
    #[arg(long = "by-github-actor", env = "GITHUB_ACTOR", hide = true)]
    by_github: Option<String>,
    #[arg(long = "by-gitlab-user", env = "GITLAB_USER_LOGIN", hide = true)]
    by_gitlab: Option<String>,
    #[arg(long = "by-login", env = "USER", hide = true)]
    by_login: Option<String>,
}

impl WhoArgs {
    /// A name for people, and what tells whether this process still lives.
    pub fn who(&self) -> Who {
        let read = |path: &str| std::fs::read_to_string(path).map(|t| t.trim().to_owned()).unwrap_or_default();
        let host = read("/proc/sys/kernel/hostname");
        let named = [&self.by_github, &self.by_gitlab, &self.by_login].into_iter().flatten().find(|n| !n.is_empty());
        let owner = self.by.clone().unwrap_or_else(|| {
            let name = named.map_or("somebody", String::as_str);
            if host.is_empty() { name.to_owned() } else { format!("{name}@{host}") }
        });
        // A process number means something in its own namespace, until the next boot.
        let space = std::fs::read_link("/proc/self/ns/pid").map(|p| p.to_string_lossy().into_owned());
        let machine = match space {
            Ok(space) => format!("{} {space}", read("/proc/sys/kernel/random/boot_id")),
            Err(_) => String::new(),
        };
        Who { owner, machine, process: std::process::id() }
    }
}

/// Arguments of the commands that look for an application in a playbook.
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The application, where the playbook has several
    #[arg(value_name = "APP")]
    pub app: Option<String>,
    #[command(flatten)]
    pub base: ReleaseBase,
}

/// The same without the application.
#[derive(Debug, Args)]
pub struct ReleaseBase {
    /// The playbook with the `deploy:` play [default: deploy.yml or playbooks/deploy.yml]
    #[arg(short, long, value_name = "FILE", env = "WINDLASS_PLAYBOOK")]
    playbook: Option<PathBuf>,
    #[command(flatten)]
    who: WhoArgs,
    #[command(flatten)]
    workspace: WorkspaceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    privilege: PrivilegeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReleaseBase {
    /// Does what is asked for with the deploy plays of the playbook.
    pub fn run(&self, app: Option<&str>, request: Request, ui: &mut Ui) -> Result<ExitCode, CommandError> {
        let book = match &self.playbook {
            Some(book) => book.clone(),
            None => USUAL.iter().map(PathBuf::from).find(|p| p.is_file()).ok_or_else(|| {
                CommandError::usage("which playbook deploys the application is not known")
                    .hinted("name it with --playbook FILE, or call it deploy.yml")
            })?,
        };
        let workspace = Workspace::open(&self.workspace, !self.output.json, ui)?;
        let mut loaded = read_books(std::slice::from_ref(&book), &workspace, &self.workspace, ui)?;
        loaded.playbook.plays.retain(|play| play.deploy.is_some());
        if loaded.playbook.plays.is_empty() {
            return Err(CommandError::usage(format_args!("no play of {} says `deploy:`", book.display())));
        }
        // What is asked for is one document: no play, no counts.
        let outputs = !matches!(request, Request::Rollback(_) | Request::Maintenance { .. });
        let releases = Arc::new(releases(request, app, &self.who, &workspace));
        let job = Job {
            workspace: &workspace,
            loaded,
            connection: &self.connection,
            privilege: &self.privilege,
            output: &self.output,
            limit: self.workspace.inventory.limit.clone(),
            options: Options { shard: self.workspace.inventory.shard, ..Options::default() },
            outputs,
            markdown: false,
            watched: None,
            deployer: Some(Arc::clone(&releases)),
        };
        let ending = execute(job, ui)?;
        if app.is_some() && releases.ended().is_empty() && matches!(ending, Ending::Done(_)) {
            return Err(CommandError::usage(format_args!(
                "no play of {} deploys `{}`",
                book.display(),
                app.unwrap_or_default()
            )));
        }
        ui.annotate_failures(&releases);
        Ok(code(&releases, &ending).into())
    }
}

/// Who deploys, for a run.
pub fn releases(request: Request, app: Option<&str>, who: &WhoArgs, workspace: &Workspace) -> Releases {
    let folders = Folders { cache: workspace.cache.join("repositories"), temp: std::env::temp_dir() };
    Releases::new(request, app.map(str::to_owned), who.who(), folders, Arc::new(tell))
}

/// How a run with deploys ends: what speaks of the deploy itself weighs more than what is counted by host.
pub fn code(releases: &Releases, ending: &Ending) -> Exit {
    if matches!(ending, Ending::Interrupted) {
        return Exit::Interrupted;
    }
    let failed = releases.ended().into_iter().find_map(|e| Some((e.failure?.0, e.status)));
    match failed {
        None => crate::cli::apply::code(ending),
        Some((kind, status)) => match kind.as_str() {
            "locked" => Exit::Locked,
            "unreachable" | "lost" => Exit::Unreachable,
            "interrupted" => Exit::Interrupted,
            "deploy" | "batch" | "max_unreachable" => Exit::Playbook,
            _ if status.is_some() => Exit::Two,
            "source" | "hosts" | "host" | "rollback" | "layout" | "plan" => Exit::Error,
            _ => Exit::Two,
        },
    }
}

/// Whether a plan foretells a release.
pub fn changes(releases: &Releases) -> bool {
    releases.ended().iter().any(|e| e.changed)
}

/// Posts JSON with curl, which reads address and body from its standard input: an address may hold a secret.
fn tell(address: &str, told: &Value) -> Result<(), String> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\n', '\r'], " ");
    let config = format!(
        "url = \"{}\"\nheader = \"Content-Type: application/json\"\nmax-time = 15\nfail\nsilent\nshow-error\noutput = \"/dev/null\"\ndata = \"{}\"\n",
        quoted(address),
        quoted(&told.to_string())
    );
    let spawned = Command::new("curl")
        .args(["--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.map_err(|e| format!("curl can't be started ({e}): install it, or remove `notify`"))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(config.as_bytes()).map_err(|e| e.to_string())?;
    }
    let output = child.wait_with_output().map_err(|e| e.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let error = String::from_utf8_lossy(&output.stderr).replace(address, "the address");
    Err(error.lines().last().unwrap_or("no answer").trim().to_owned())
}
