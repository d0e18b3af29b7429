//! Questions to the person at the terminal.

use super::terminal::Terminal;
use crate::cli::{CommandError, ErrorKind};
use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use windlass::transport::Secret;

/// Asks for a password on the terminal; typing is hidden.
pub fn password(terminal: &Terminal, prompt: &str) -> Result<Secret, CommandError> {
    match terminal.suspend(|| rpassword::prompt_password(prompt)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => Err(CommandError::new(ErrorKind::Failed, format_args!("can't ask for a password here: {error}"))
            .hinted(
                "give it in a file (`--become-password-file`, `--connection-password-file`, `--vault-password-file`)",
            )),
    }
}

/// Asks for the passphrase of a key; none where nobody can be asked.
pub fn passphrase(terminal: &Terminal, key: &Path) -> Option<Secret> {
    let prompt = format!("passphrase of {}: ", key.display());
    terminal.suspend(|| rpassword::prompt_password(prompt)).ok().map(Secret::new)
}

/// Asks a question of a playbook (`vars_prompt`); none where nobody can be asked.
pub fn question(terminal: &Terminal, prompt: &str, hidden: bool) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    terminal.suspend(|| {
        if hidden {
            return rpassword::prompt_password(prompt).ok();
        }
        let mut err = anstream::stderr();
        write!(err, "{prompt}").and_then(|()| err.flush()).ok()?;
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).ok()?;
        Some(line.trim_end_matches(['\r', '\n']).to_owned())
    })
}

/// A password from a file, or from what a program prints if the file can be executed.
pub fn password_file(path: &Path) -> Result<Secret, CommandError> {
    let failed = |why: String| {
        CommandError::new(ErrorKind::Usage, format_args!("can't read the password from `{}`: {why}", path.display()))
    };
    let about = std::fs::metadata(path).map_err(|e| failed(e.to_string()))?;
    let text = if is_program(&about) {
        let path = std::path::absolute(path).map_err(|e| failed(e.to_string()))?;
        let output = std::process::Command::new(&path)
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| failed(e.to_string()))?;
        if !output.status.success() {
            return Err(failed(format!("the program ended with {}", output.status)));
        }
        String::from_utf8(output.stdout).map_err(|e| failed(e.to_string()))?
    } else {
        std::fs::read_to_string(path).map_err(|e| failed(e.to_string()))?
    };
    // What follows the first line is not part of the password, nor is its newline.
    let first = text.lines().next().unwrap_or_default().to_owned();
    if first.is_empty() { Err(failed("it is empty".to_owned())) } else { Ok(Secret::new(first)) }
}

fn is_program(about: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.is_file() && about.permissions().mode() & 0o111 != 0
}
