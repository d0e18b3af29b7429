//! Running the system programs that do the lab's work (`ip`, `nft`, `mmdebstrap`…).

use super::error::{LabError, Result};
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Root's own folders of programs: they may be missing from the PATH of a user who became root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with the environment all of the lab's programs get. Its messages are read, so they must be in English.
pub(super) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", PATH).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// Runs a program to its end and returns its standard output. A failure carries its standard error.
pub(super) fn output<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<String> {
    let mut command = command(program);
    command.args(args);
    let output = command.output().map_err(|source| LabError::Spawn { program: program.to_owned(), source })?;
    check(&command, &output)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program whose output does not matter.
pub(super) fn run<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>) -> Result<()> {
    output(program, args).map(drop)
}

/// Runs a program that reads `input`.
pub(super) fn feed<S: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = S>, input: &str) -> Result<()> {
    let mut command = command(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = |source| LabError::Spawn { program: program.to_owned(), source };
    let mut child = command.spawn().map_err(spawned)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading everything tells why by its exit status.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(spawned)?;
    check(&command, &output)
}

/// `Ok` when the program succeeded.
pub(super) fn check(command: &Command, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(failure(command, &output.status.to_string(), &String::from_utf8_lossy(&output.stderr)))
}

/// The error for a program that failed.
pub(super) fn failure(command: &Command, status: &str, stderr: &str) -> LabError {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|arg| arg.to_string_lossy().into_owned()));
    LabError::Command { command: words.join(" "), status: status.to_owned(), stderr: stderr.trim().to_owned() }
}

/// Whether a program of this name is installed.
pub(super) fn installed(program: &str) -> bool {
    PATH.split(':').any(|dir| std::path::Path::new(dir).join(program).exists())
}
