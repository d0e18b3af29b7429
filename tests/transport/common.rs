//! What the tests share.

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::RsaKeypair;
use russh::keys::{Algorithm, PrivateKey};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
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

/// A new key; of RSA, always the same one, since it takes long to make.
pub fn key(algorithm: Algorithm) -> PrivateKey {
    static RSA: OnceLock<PrivateKey> = OnceLock::new();
    match algorithm {
        Algorithm::Rsa { .. } => RSA.get_or_init(|| RsaKeypair::random(&mut safe_rng(), 2048).unwrap().into()).clone(),
        other => PrivateKey::random(&mut safe_rng(), other).unwrap(),
    }
}

/// Writes a private key file.
pub fn key_file(folder: &Path, name: &str, key: &PrivateKey) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, key.to_openssh(LineEnding::LF).unwrap()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Runs futures at the same time on this task.
pub async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, done) in &mut pinned {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(value) => *done = Some(value),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    pinned.into_iter().map(|(_, done)| done.unwrap()).collect()
}
