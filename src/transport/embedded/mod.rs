//! An SSH server inside the program: a throw-away "host" on 127.0.0.1 for tests and demonstrations, without root.
//!
//! **It is no jail.** Commands run by the real `/bin/sh` as the user who runs Windlass, with nothing but another home
//! folder and working directory: they can read and change everything that user can. Only clients with the key (or the
//! password) it was started with get in, and only from this machine.
//!
//! Programs see `WINDLASS_EMBEDDED=1`, by which the layer above knows that another identity (`become`) is not to be had.

mod server;
mod session;

use super::secret::Secret;
use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};
use russh::{MethodKind, MethodSet};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The marker in the environment of every command an embedded host runs.
pub const MARKER: &str = "WINDLASS_EMBEDDED";

/// How an embedded host behaves; the default lets in one generated key.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The port (0: any free one).
    pub port: u16,
    /// Host keys; empty: one Ed25519 key is made.
    pub host_keys: Vec<PrivateKey>,
    /// Certificates of the host keys.
    pub host_certificates: Vec<Certificate>,
    /// Keys let in beside the generated one.
    pub authorized_keys: Vec<PublicKey>,
    /// Authorities whose user certificates are let in, for the login names they list.
    pub user_authorities: Vec<PublicKey>,
    /// A password let in, by the password method and keyboard-interactive.
    pub password: Option<Secret>,
    /// Methods that are all needed, in this order (empty: any one does).
    pub required: Vec<MethodKind>,
    /// The methods offered (`None`: those that can succeed).
    pub methods: Option<Vec<MethodKind>>,
    /// Whether it opens TCP connections for its clients, as a jump host does. Off unless asked for.
    pub tcp_forwarding: bool,
    /// Channels at a time in one connection (0: no limit), like sshd's `MaxSessions`.
    pub max_sessions: usize,
    /// Bytes after which keys are exchanged anew (`None`: 1 GiB).
    pub rekey_after: Option<usize>,
}

/// A running embedded host; dropping it ends it and its connections.
#[derive(Debug)]
pub struct EmbeddedHost {
    port: u16,
    host_key: PublicKey,
    client_key: PathBuf,
    known_hosts: PathBuf,
    home: PathBuf,
    _stop: DropGuard,
}

impl EmbeddedHost {
    /// Starts one with default options; everything it writes itself lies below `root`.
    ///
    /// # Errors
    /// When the folders or files cannot be made, or no port is free.
    pub async fn start(root: &Path) -> io::Result<Self> {
        Self::start_with(root, Options::default()).await
    }

    /// Starts one. Below `root` it makes `home/` (home and working directory of every session) and `ssh/` with
    /// `id_ed25519` (the key it lets in) and `known_hosts`; a key that is already there stays.
    ///
    /// # Errors
    /// As [`EmbeddedHost::start`].
    pub async fn start_with(root: &Path, options: Options) -> io::Result<Self> {
        let root = std::path::absolute(root)?;
        let (home, keys) = (root.join("home"), root.join("ssh"));
        for folder in [&home, &keys] {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let (client_key, client_public) = client_key(&keys.join("id_ed25519"))?;
        let mut host_keys = options.host_keys.clone();
        if host_keys.is_empty() {
            host_keys.push(generate()?);
        }
        let host_key =
            host_keys.first().map(|key| key.public_key().clone()).ok_or_else(|| io::Error::other("no key"))?;
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let port = listener.local_addr()?.port();
        let known_hosts = keys.join("known_hosts");
        let mut lines = String::new();
        for key in &host_keys {
            lines += &["[127.0.0.1]:", &port.to_string(), " ", &openssh(key.public_key())?, "\n"].concat();
        }
        std::fs::write(&known_hosts, lines)?;

        let mut methods = vec![MethodKind::PublicKey];
        if options.password.is_some() {
            methods.extend([MethodKind::KeyboardInteractive, MethodKind::Password]);
        }
        let methods = options.methods.clone().unwrap_or(methods);
        let mut config = russh::server::Config {
            methods: MethodSet::from(options.required.first().map_or(methods.as_slice(), std::slice::from_ref)),
            // It is reached from this machine only: nothing is gained by making a wrong key wait.
            auth_rejection_time: Duration::from_millis(20),
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: host_keys,
            certificates: options.host_certificates.clone(),
            inactivity_timeout: None,
            nodelay: true,
            ..russh::server::Config::default()
        };
        if let Some(bytes) = options.rekey_after {
            config.limits.rekey_read_limit = bytes;
            config.limits.rekey_write_limit = bytes;
        }
        let policy = server::Policy { home: home.clone(), client_key: client_public, methods, options };
        let stop = CancellationToken::new();
        tokio::spawn(server::run(listener, Arc::new(config), Arc::new(policy), stop.clone()));
        Ok(Self { port, host_key, client_key, known_hosts, home, _stop: stop.drop_guard() })
    }

    /// The port it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its (first) host key.
    pub fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    /// The private key file it lets in.
    pub fn client_key(&self) -> &Path {
        &self.client_key
    }

    /// A known_hosts file with its keys.
    pub fn known_hosts(&self) -> &Path {
        &self.known_hosts
    }

    /// Home and working directory of its sessions.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The inventory variables by which it is reached (the user name is the caller's choice).
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let quoted = self.known_hosts.display().to_string().replace('\'', r"'\''");
        vec![
            ("ansible_host", "127.0.0.1".into()),
            ("ansible_port", self.port.to_string()),
            ("ansible_ssh_private_key_file", self.client_key.display().to_string()),
            ("ansible_ssh_common_args", format!("-o IdentitiesOnly=yes -o 'UserKnownHostsFile=\"{quoted}\"'")),
        ]
    }
}

fn generate() -> io::Result<PrivateKey> {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).map_err(io::Error::other)
}

fn openssh(key: &PublicKey) -> io::Result<String> {
    key.to_openssh().map_err(io::Error::other)
}

/// The key in the file, which is made if it is not there.
fn client_key(path: &Path) -> io::Result<(PathBuf, PublicKey)> {
    if path.exists() {
        let key = russh::keys::load_secret_key(path, None).map_err(io::Error::other)?;
        return Ok((path.to_owned(), key.public_key().clone()));
    }
    let key = generate()?;
    let text = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok((path.to_owned(), key.public_key().clone()))
}
