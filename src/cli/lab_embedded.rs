//! `windlass lab embedded`: a host for those without root.

use super::{CommandError, ErrorKind, Ui};
use anyhow::Context as _;
use clap::Args;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use windlass::transport::embedded::{EmbeddedHost, Options};
use windlass::transport::lab::HostName;

/// Serve this machine, as yourself, over SSH on a loopback port; needs no root
///
/// For playbooks without `become`, where the lab can't run: commands run as you, with a home folder of their own. It
/// is no jail, and none of `--lab` and `--lab-dir` concerns it. Runs until it is ended by Ctrl-C or SIGTERM; what
/// commands have left running in the background then goes on running.
#[derive(Debug, Args)]
pub struct EmbeddedArgs {
    /// The folder for the host's home and keys; it is made if it is not there, and stays
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Write an inventory with the host to this file (`-` for standard output), once it can be logged in to
    #[arg(short, long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// What the inventory calls the host
    #[arg(long, value_name = "NAME", default_value = "embedded")]
    name: HostName,
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 0)]
    port: u16,
}

pub fn run(args: &EmbeddedArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let result = runtime.block_on(serve(args, ui));
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    result
}

async fn serve(args: &EmbeddedArgs, ui: &mut Ui) -> Result<ExitCode, CommandError> {
    // Before the inventory is there: who waits for it may end us at once.
    let mut terminate = signal(SignalKind::terminate()).context("can't watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("can't watch for SIGINT")?;
    let options = Options { port: args.port, ..Options::default() };
    let host = EmbeddedHost::start_with(&args.folder, options)
        .await
        .with_context(|| format!("can't start a host in `{}` on port {}", args.folder.display(), args.port))?;
    let inventory = inventory(args.name.as_str(), &host);
    match &args.inventory {
        Some(path) if path.as_os_str() == "-" => ui.data(inventory),
        Some(path) => write_whole(path, &inventory).map_err(|error| {
            CommandError::new(ErrorKind::CantCreate, format_args!("can't write `{}`: {error}", path.display()))
        })?,
        None => {}
    }
    ui.status(format_args!(
        "{}: listening on 127.0.0.1:{}, home folder `{}`",
        args.name,
        host.port(),
        host.home().display()
    ));
    tokio::select! {
        _ = terminate.recv() => Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => Err(CommandError::new(ErrorKind::Interrupted, "interrupted: the host is gone")),
    }
}

fn inventory(name: &str, host: &EmbeddedHost) -> String {
    let mut text = format!("# Written by `windlass lab embedded`.\nall:\n  hosts:\n    {name}:\n");
    for (variable, value) in host.variables() {
        // A JSON string is a YAML string in double quotes.
        let _ = writeln!(text, "      {variable}: {}", serde_json::Value::from(value));
    }
    text
}

/// Who waits for the file finds all of it or nothing.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
