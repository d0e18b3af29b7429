//! `windlass lab`: throw-away hosts on this machine.

use super::lab_embedded::{self, EmbeddedArgs};
use super::{CommandError, ErrorKind, Ui};
use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use windlass::transport::lab::{Change, HostName, HostStatus, Lab, LabEvent, LabName, Suite, USERS};

/// Rehearse on throw-away hosts on this machine
///
/// Each host behaves as a provider's virtual machine does: its own disk and address, systemd, and OpenSSH. Users of
/// every host, all with the lab's key: `root`; `deploy` (sudo without a password); `ops` (sudo with the password
/// `lab-ops`). Needs root on Debian or Ubuntu; `docs/lab.md` tells more.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// The lab to work with: labs have their own networks, and do not meet
    #[arg(long, global = true, value_name = "NAME", default_value = "default", env = "WINDLASS_LAB")]
    lab: LabName,
    /// Where images and the hosts' disks are kept
    #[arg(
        long,
        global = true,
        value_name = "FOLDER",
        default_value = "/var/tmp/windlass-lab",
        env = "WINDLASS_LAB_DIR"
    )]
    lab_dir: PathBuf,
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    Up(UpArgs),
    List(ListArgs),
    Ssh(SshArgs),
    Net(NetArgs),
    Down(DownArgs),
    Build(BuildArgs),
    Embedded(EmbeddedArgs),
}

/// Start hosts, and return when one can work with them
///
/// Hosts that run are left alone; hosts that are switched off boot with their old disks. The first time, this builds
/// the base image, which takes about a minute.
#[derive(Debug, Args)]
struct UpArgs {
    /// Names of hosts, or a number N for h1 to hN
    #[arg(value_name = "NAME|N", default_value = "1")]
    names: Vec<String>,
    /// The Debian release of new hosts [default: bookworm]
    #[arg(short, long, value_parser = suite_parser())]
    suite: Option<Suite>,
    /// Write an inventory of all hosts of the lab to this file (`-` for standard output)
    #[arg(short, long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    #[command(flatten)]
    mirror: MirrorArgs,
}

#[derive(Debug, Args)]
struct MirrorArgs {
    /// The Debian archive for base images [default: the one this machine uses]
    #[arg(long, value_name = "URL", env = "WINDLASS_LAB_MIRROR")]
    mirror: Option<String>,
}

/// Show the hosts
#[derive(Debug, Args)]
struct ListArgs {
    /// Print an inventory in YAML instead
    #[arg(long, conflicts_with_all = ["json", "all"])]
    inventory: bool,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
    /// Show the hosts of all labs
    #[arg(short, long)]
    all: bool,
}

/// Log in to a host, or run a command on it
#[derive(Debug, Args)]
struct SshArgs {
    /// The host, and the user if not root
    #[arg(value_name = "[USER@]NAME")]
    host: String,
    /// A command, as `ssh` takes it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Make a host's network slow, narrow or dead
#[derive(Debug, Args)]
struct NetArgs {
    #[arg(value_name = "NAME")]
    host: HostName,
    #[command(subcommand)]
    change: NetChange,
}

#[derive(Debug, Subcommand)]
enum NetChange {
    /// Hold every packet, each way: the round trip grows by twice that
    Delay {
        /// Milliseconds
        #[arg(value_name = "MS")]
        milliseconds: f64,
    },
    /// Limit what the host receives
    Rate {
        /// Kilobits per second
        #[arg(value_name = "KBIT", value_parser = clap::value_parser!(u32).range(8..))]
        kbit: u32,
    },
    /// Pull the cable: packets are lost, and nobody says so
    Cut,
    /// Stop all of the host's processes: connections are accepted, and nothing answers
    Freeze,
    /// Undo all of these
    Clear,
}

/// Remove hosts, or all of the lab
///
/// Without names, all hosts and their network go, and nothing is left but base images, the key and caches.
#[derive(Debug, Args)]
struct DownArgs {
    /// Hosts to remove [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<HostName>,
    /// Only switch them off: `lab up` boots them again with their disks
    #[arg(short, long)]
    keep: bool,
    /// Remove base images, the key and caches too
    #[arg(long, conflicts_with_all = ["keep", "names"])]
    images: bool,
}

/// Build base images ahead of time
#[derive(Debug, Args)]
struct BuildArgs {
    /// The Debian releases
    #[arg(value_name = "SUITE", default_value = "bookworm", value_parser = suite_parser())]
    suites: Vec<Suite>,
    /// Build anew what stands already
    #[arg(long)]
    rebuild: bool,
    #[command(flatten)]
    mirror: MirrorArgs,
}

fn suite_parser() -> impl TypedValueParser<Value = Suite> {
    PossibleValuesParser::new(Suite::ALL.map(Suite::as_str)).try_map(|name| name.parse::<Suite>())
}

pub fn run(args: LabArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let root = std::path::absolute(&args.lab_dir).context("can't find the lab's folder")?;
    let mut lab = Lab::new(&root, args.lab)?;
    match args.command {
        LabCommand::Up(args) => up(&mut lab, args, ui),
        LabCommand::List(args) => list(&lab, &root, &args, ui),
        LabCommand::Ssh(args) => ssh(&lab, args),
        LabCommand::Net(args) => net(&mut lab, &args, ui),
        LabCommand::Down(args) => down(&lab, &args, ui),
        LabCommand::Embedded(args) => lab_embedded::run(&args, ui),
        LabCommand::Build(args) => {
            lab.mirror = args.mirror.mirror;
            with_events(ui, |events| args.suites.iter().try_for_each(|suite| lab.build(*suite, args.rebuild, events)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Shows the lab's events as they come.
fn with_events<T, E>(ui: &mut Ui, work: impl FnOnce(&(dyn Fn(LabEvent) + Sync)) -> Result<T, E>) -> Result<T, E> {
    let ui = Mutex::new(ui);
    work(&|event| {
        if let Ok(mut ui) = ui.lock() {
            if event.is_detail() { ui.detail(event) } else { ui.status(event) }
        }
    })
}

fn up(lab: &mut Lab, args: UpArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let names = host_names(&args.names)?;
    lab.mirror = args.mirror.mirror;
    with_events(ui, |events| lab.up(&names, args.suite, events))?;
    match args.inventory {
        Some(path) if path.as_os_str() == "-" => ui.data(lab.inventory()?),
        Some(path) => std::fs::write(&path, lab.inventory()?).map_err(|error| {
            CommandError::new(ErrorKind::CantCreate, format_args!("can't write `{}`: {error}", path.display()))
        })?,
        None => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// A single number stands for as many hosts.
fn host_names(words: &[String]) -> Result<Vec<HostName>, CommandError> {
    if let [word] = words
        && let Ok(count) = word.parse::<u8>()
    {
        if count == 0 {
            return Err(CommandError::usage("0 hosts are none").hinted("`windlass lab down` removes hosts"));
        }
        return Ok((1..=count).map(|n| format!("h{n}").parse()).collect::<Result<_, _>>()?);
    }
    let mut names: Vec<HostName> = Vec::new();
    for word in words {
        let name = word.parse()?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn list(lab: &Lab, root: &std::path::Path, args: &ListArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    if args.inventory {
        ui.data(lab.inventory()?);
        return Ok(ExitCode::SUCCESS);
    }
    let labs = if args.all {
        Lab::all(root).into_iter().map(|name| Lab::new(root, name)).collect::<Result<_, _>>()?
    } else {
        vec![lab.clone()]
    };
    let mut hosts = Vec::new();
    for lab in &labs {
        hosts.extend(lab.hosts()?.into_iter().map(|host| (lab, host)));
    }
    if args.json {
        let hosts: Vec<_> = hosts.iter().map(|(lab, host)| json(lab, host)).collect();
        ui.data(format_args!("{:#}", serde_json::json!({ "version": 1, "hosts": hosts })));
    } else if hosts.is_empty() {
        ui.status("no hosts");
        ui.hint("`windlass lab up` starts one");
    } else {
        ui.data(table(&hosts, args.all));
    }
    Ok(ExitCode::SUCCESS)
}

fn json(lab: &Lab, host: &HostStatus) -> serde_json::Value {
    serde_json::json!({
        "lab": lab.name(),
        "name": host.name,
        "address": host.address,
        "suite": host.suite,
        "state": host.state.as_str(),
        "network": host.traffic,
        "users": USERS.map(|(user, _)| user),
        "key": lab.key(),
        "known_hosts": lab.known_hosts(),
        "console": lab.console_log(&host.name),
    })
}

fn table(hosts: &[(&Lab, HostStatus)], with_lab: bool) -> String {
    let mut rows = vec![["LAB", "NAME", "ADDRESS", "SUITE", "STATE", "USERS"].map(str::to_owned)];
    for (lab, host) in hosts {
        let address = host.address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let users = USERS.map(|(user, _)| user).join(",");
        rows.push([lab.name().to_string(), host.name.to_string(), address, host.suite.to_string(), state(host), users]);
    }
    let first = usize::from(!with_lab);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> =
            (first..6).map(|column| format!("{:width$}", row[column], width = widths[column])).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// `up`, `off` or `frozen`, and what was done to the network.
fn state(host: &HostStatus) -> String {
    let mut words = vec![host.state.as_str().to_owned()];
    words.extend(host.traffic.delay_ms.map(|ms| format!("delay {ms} ms")));
    words.extend(host.traffic.rate_kbit.map(|kbit| format!("rate {kbit} kbit/s")));
    words.extend(host.traffic.cut.then(|| "cut".to_owned()));
    words.join(", ")
}

fn ssh(lab: &Lab, args: SshArgs) -> Result<ExitCode, CommandError> {
    let (user, name) = args.host.split_once('@').unwrap_or(("root", &args.host));
    if user.is_empty() || user.starts_with('-') {
        return Err(CommandError::usage(format_args!("`{}` names no user", args.host)));
    }
    let mut command = lab.ssh(user, &name.parse()?)?;
    if !args.command.is_empty() {
        command.arg("--").args(args.command);
    }
    command.stdin(std::process::Stdio::inherit());
    // In our place: its terminal, its signals and its exit code are the caller's.
    Err(CommandError::new(ErrorKind::Failed, format_args!("can't run `ssh`: {}", command.exec())))
}

fn net(lab: &mut Lab, args: &NetArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let change = match args.change {
        NetChange::Delay { milliseconds } if (0.0..=60_000.0).contains(&milliseconds) => Change::Delay(milliseconds),
        NetChange::Delay { milliseconds } => {
            return Err(CommandError::usage(format_args!("a delay of {milliseconds} ms is not between 0 and 60000")));
        }
        NetChange::Rate { kbit } => Change::Rate(kbit),
        NetChange::Cut => Change::Cut,
        NetChange::Freeze => Change::Freeze,
        NetChange::Clear => Change::Clear,
    };
    let own = std::env::current_exe().context("can't find the program windlass itself runs from")?;
    lab.delay_program = vec![own.into(), "lab-delay".into()];
    with_events(ui, |events| lab.net(&args.host, &change, events))?;
    Ok(ExitCode::SUCCESS)
}

fn down(lab: &Lab, args: &DownArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let names = (!args.names.is_empty()).then_some(args.names.as_slice());
    with_events(ui, |events| lab.down(names, args.keep, events))?;
    if args.images {
        lab.remove_images()?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_number_stands_for_hosts_and_names_count_once() {
        let names = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            host_names(&words).map(|names| names.iter().map(HostName::to_string).collect::<Vec<_>>())
        };
        assert_eq!(names(&["3"]).unwrap(), ["h1", "h2", "h3"]);
        assert_eq!(names(&["web1", "db1", "web1"]).unwrap(), ["web1", "db1"]);
        assert_eq!(names(&["0"]).unwrap_err().kind, ErrorKind::Usage);
        assert_eq!(names(&["web1", "2"]).unwrap_err().kind, ErrorKind::Usage, "a number among names is a bad name");
    }
}
