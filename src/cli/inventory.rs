//! `windlass inventory`: which hosts there are, and what is said of them.

use super::common::{Findings, InventoryArgs, Keyring, VaultArgs};
use super::{CommandError, ErrorKind, Ui};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;
use windlass::inventory::{Inventory, pretty};
use windlass::source::Diagnostic;
use windlass::values::{YamlOptions, to_yaml};

/// Show hosts, groups and their variables
#[derive(Debug, Args)]
pub struct InventoryCommandArgs {
    #[command(flatten)]
    inventory: InventoryArgs,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    what: What,
    /// With --graph: the variables too
    #[arg(long, requires = "graph", help_heading = "What to show")]
    vars: bool,
    /// YAML in place of JSON
    #[arg(short, long, conflicts_with = "graph", help_heading = "What to show")]
    yaml: bool,
    /// The folder of the playbooks, whose `group_vars` and `host_vars` count too
    #[arg(long, value_name = "FOLDER", help_heading = "What to show")]
    playbook_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "What to show")]
struct What {
    /// Groups, and all variables of all hosts, as a program for inventories prints them
    #[arg(long)]
    list: bool,
    /// The variables of one host
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// The tree of groups and hosts, below `all` or below this group
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "all")]
    graph: Option<String>,
}

pub fn run(args: &InventoryCommandArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    if args.inventory.limit.is_some() && !args.what.list {
        return Err(CommandError::usage("`--limit` goes with `--list`"));
    }
    let Keyring { config, decrypt, .. } = Keyring::open(&args.vault, false, ui)?;
    let folder = args.playbook_dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let mut findings = Findings::default();
    let inventory = args.inventory.load(&config, &decrypt, vec![folder], &mut findings)?;
    findings.show(ui)?;
    let Some(inventory) = inventory else {
        return Err(CommandError::new(ErrorKind::Bug, "nothing was loaded, and nothing was said about it"));
    };
    match show(args, &inventory) {
        Ok(text) => ui.data(text),
        Err(problem) => {
            ui.diagnostic(&problem);
            return Err(CommandError::new(ErrorKind::Playbook, "the inventory can't be shown"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(args: &InventoryCommandArgs, inventory: &Inventory) -> Result<String, Diagnostic> {
    if let Some(group) = &args.what.graph {
        return inventory.graph(group, args.vars);
    }
    let mut json = match &args.what.host {
        Some(host) => inventory.host_json(host)?,
        None => inventory.list()?,
    };
    if args.what.host.is_none()
        && let Some(limit) = &args.inventory.limit
    {
        keep(&mut json, inventory, limit)?;
    }
    if args.yaml {
        let value = serde_json::from_value(json).unwrap_or_default();
        return Ok(to_yaml(&value, YamlOptions::NICE));
    }
    Ok(pretty(&json))
}

/// Leaves only the hosts that the limit names.
fn keep(json: &mut serde_json::Value, inventory: &Inventory, limit: &str) -> Result<(), Diagnostic> {
    let hosts: Vec<String> =
        inventory.select("all", Some(limit))?.iter().map(|host| host.as_str().to_owned()).collect();
    let Some(groups) = json.as_object_mut() else { return Ok(()) };
    for (name, group) in groups.iter_mut() {
        if name == "_meta" {
            if let Some(vars) = group.get_mut("hostvars").and_then(|v| v.as_object_mut()) {
                vars.retain(|host, _| hosts.contains(host));
            }
        } else if let Some(members) = group.get_mut("hosts").and_then(|v| v.as_array_mut()) {
            members.retain(|host| host.as_str().is_some_and(|host| hosts.iter().any(|h| h == host)));
        }
    }
    Ok(())
}
