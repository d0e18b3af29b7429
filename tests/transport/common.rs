//! What the tests share.

use std::path::Path;
use tokio::io::AsyncReadExt;
use windlass::transport::embedded::EmbeddedHost;
use windlass::transport::{ConfigSource, ConnectContext, Exit, Link, Pipe, Target, TransportError};

/// A context that reads nothing of the person who runs the tests.
pub fn context(home: &Path) -> ConnectContext {
    let mut context = ConnectContext::new(home, "tester");
    context.config = ConfigSource::None;
    context
}

/// A target made of inventory variables.
pub fn target(name: &str, vars: &[(&str, String)]) -> Target {
    Target::from_vars(name, &|name| vars.iter().rev().find(|(n, _)| *n == name).map(|(_, v)| v.clone())).unwrap()
}

/// The target of an embedded host, with further variables.
pub fn embedded_target(host: &EmbeddedHost, more: &[(&'static str, &str)]) -> Target {
    let mut vars = host.variables();
    vars.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
    target("box", &vars)
}

/// Everything a command says, and how it ends. Its input is closed at once.
pub async fn finish(mut pipe: Pipe) -> (String, String, Exit) {
    drop(pipe.stdin);
    let mut out = Vec::new();
    pipe.stdout.read_to_end(&mut out).await.unwrap();
    let exit = pipe.exit.wait().await;
    (String::from_utf8(out).unwrap(), pipe.stderr.text(), exit)
}

/// Connects and runs one command.
pub async fn run(target: &Target, context: &ConnectContext, command: &str) -> Result<String, TransportError> {
    let link = Link::connect(target, context).await?;
    let (out, err, exit) = finish(link.open(command).await?).await;
    assert!(exit.is_success(), "{exit:?} {err}");
    link.close().await;
    Ok(out)
}
