//! `windlass run`: one module on some hosts.

use super::common::{ConnectionArgs, Job, OutputArgs, PrivilegeArgs, Workspace, WorkspaceArgs, execute};
use super::{CommandError, Ui};
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use windlass::engine::run::Options;
use windlass::inventory::HostName;
use windlass::playbook::{LoadContext, Playbook, load_plays};
use windlass::source::{Diagnostic, Entry, Kind, Node, SourceFile, Span, parse_one};

/// Run one module on some hosts
///
/// For example `windlass run web -a 'systemctl is-active nginx'`, or
/// `windlass run all -b -m apt -a 'name=nginx state=present'`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Hosts: a host, a group or a pattern, such as `web:!web3`
    #[arg(value_name = "HOSTS")]
    hosts: String,
    /// The module
    #[arg(short, long = "module-name", visible_alias = "module", value_name = "MODULE", default_value = "command")]
    module: String,
    /// Its arguments: `name=value …`, a command line for modules that take one, or JSON
    #[arg(short, long, value_name = "ARGS", allow_hyphen_values = true)]
    args: Option<String>,
    /// Only foretell what would change
    #[arg(short = 'C', long)]
    check: bool,
    /// List the hosts, and do nothing
    #[arg(long)]
    list_hosts: bool,
    #[command(flatten)]
    workspace: WorkspaceArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    privilege: PrivilegeArgs,
    #[command(flatten)]
    output: OutputArgs,
}

pub fn run(args: &RunArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let workspace = Workspace::open(&args.workspace, !args.output.json, ui)?;
    let folders = vec![PathBuf::from(".")];
    let read = |context: &LoadContext, findings: &mut super::common::Findings| findings.take(play(args, context));
    let loaded = workspace.load(&args.workspace, folders, read, ui)?;
    let limit = args.workspace.inventory.limit.clone();
    let hosts = loaded.inventory.select(&args.hosts, limit.as_deref());
    let mut hosts = hosts.map_err(|problem| CommandError::usage(problem.message))?;
    if hosts.is_empty() {
        return Err(CommandError::usage(format_args!("no host matches `{}`", args.hosts))
            .hinted("list what there is with `windlass inventory --graph`"));
    }
    hosts.retain(|host| args.workspace.inventory.shard.is_none_or(|shard| shard.holds(host.as_str())));
    if args.list_hosts {
        ui.data(hosts.iter().map(HostName::as_str).collect::<Vec<_>>().join("\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let job = Job {
        workspace: &workspace,
        loaded,
        connection: &args.connection,
        privilege: &args.privilege,
        output: &args.output,
        limit,
        options: Options { plan: args.check, shard: args.workspace.inventory.shard, ..Options::default() },
        outputs: true,
        markdown: false,
        watched: None,
        deployer: None,
    };
    Ok(super::apply::code(&execute(job, ui)?).into())
}

/// The play that these arguments stand for. Its places are the options themselves, so that errors point at them.
fn play(args: &RunArgs, context: &LoadContext) -> Result<Playbook, Vec<Diagnostic>> {
    let text = |origin: &str, text: &str| Node::string(text, Span::synthetic(origin, text));
    let module = text("-m", &args.module);
    let arguments = match args.args.as_deref() {
        None => Node::new(Kind::Null, module.span.clone()),
        Some(json) if json.trim_start().starts_with('{') => {
            parse_one(Arc::new(SourceFile { name: "-a".to_owned(), text: json.to_owned() }))?
        }
        Some(line) => text("-a", line),
    };
    let entry = |key: &str, key_span: &Span, value: Node| Entry { key: key.into(), key_span: key_span.clone(), value };
    let task = Node::new(Kind::Map(vec![entry(&args.module, &module.span, arguments)]), module.span.clone());
    let hosts = text("HOSTS", &args.hosts);
    let span = hosts.span.clone();
    let play = Kind::Map(vec![
        entry("hosts", &span, hosts),
        entry("gather_facts", &span, Node::new(Kind::Bool(false), span.clone())),
        entry("tasks", &span, Node::new(Kind::List(vec![task]), module.span.clone())),
    ]);
    load_plays(&[Node::new(play, span)], Path::new("."), context)
}
