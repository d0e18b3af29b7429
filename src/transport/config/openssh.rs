//! `ssh -G host`: OpenSSH reads its own configuration, with `Match`, `Include` and tokens exactly as it means them.

use super::{Query, Settings};
use crate::transport::context::ConnectContext;
use crate::transport::error::TransportError;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// It takes some 30 ms; a `Match exec` in the configuration may take longer.
const TIME_LIMIT: Duration = Duration::from_secs(15);

/// Asks OpenSSH. `None`: there is no such program.
pub(super) async fn read(
    context: &ConnectContext,
    program: &Path,
    query: &Query,
) -> Result<Option<Settings>, TransportError> {
    let _turn = context.config_programs.acquire().await;
    let mut command = Command::new(program);
    command.arg("-G");
    if let Some(file) = &query.config_file {
        command.arg("-F").arg(context.expand_home(&file.to_string_lossy()));
    }
    for (keyword, value) in &query.overrides {
        command.arg("-o").arg(format!("{keyword}={}", quoted(keyword, value)));
    }
    command.arg("--").arg(&query.host);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let place = format!("{} -G {}", program.display(), query.host);
    let output = match tokio::time::timeout(TIME_LIMIT, command.output()).await {
        Err(_) => {
            let reason = format!("no answer within {} s", TIME_LIMIT.as_secs());
            return Err(query.error(place, reason, "a Match exec in your ssh configuration may hang; run it by hand"));
        }
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(Err(error)) => return Err(query.error(place, error.to_string(), "run it by hand")),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(query.error(place, said, "correct the ssh configuration or the option it names"));
    }
    let mut settings = parse(&String::from_utf8_lossy(&output.stdout));
    keep_quotes(&mut settings, &query.overrides);
    Ok(Some(settings))
}

/// OpenSSH prints lists of files without the quotes they were given in: those that options name are taken from there.
fn keep_quotes(settings: &mut Settings, overrides: &[(String, String)]) {
    for (keyword, value) in &mut settings.0 {
        if matches!(keyword.as_str(), "userknownhostsfile" | "globalknownhostsfile")
            && let Some((_, given)) = overrides.iter().find(|(name, _)| name == keyword)
        {
            value.clone_from(given);
        }
    }
}

/// Paths with blanks need quotes; a proxy command is taken as it is to the end of the line.
fn quoted(keyword: &str, value: &str) -> String {
    let path = matches!(keyword, "identityfile" | "certificatefile" | "identityagent");
    if path && value.contains(char::is_whitespace) && !value.starts_with('"') {
        format!("\"{value}\"")
    } else {
        value.to_owned()
    }
}

fn parse(text: &str) -> Settings {
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Settings(pairs.map(|(keyword, value)| (keyword.to_ascii_lowercase(), value.trim().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_options_keep_their_quotes() {
        let mut settings = parse("userknownhostsfile /it's a/k\nglobalknownhostsfile /g\n");
        keep_quotes(&mut settings, &[("userknownhostsfile".into(), "\"/it's a/k\"".into())]);
        assert_eq!(settings.get("userknownhostsfile"), Some("\"/it's a/k\""));
        assert_eq!(settings.get("globalknownhostsfile"), Some("/g"));
    }

    #[test]
    fn its_output_is_read() {
        let settings = parse("user me\nhostname h\nidentityfile ~/a\nidentityfile ~/b\nproxycommand a b  c\n");
        assert_eq!(settings.get("hostname"), Some("h"));
        assert_eq!(settings.all("identityfile").collect::<Vec<_>>(), ["~/a", "~/b"]);
        assert_eq!(settings.get("proxycommand"), Some("a b  c"));
    }
}
