//! What all connections of one run share.

use super::config::Settings;
use super::error::TransportError;
use super::keys::Loaded;
use super::known_files::KnownFiles;
use super::secret::Secret;
use super::spill::Bounds;
use super::ssh::SshLink;
use super::target::HostKeyChecking;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// Where `ssh_config` is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// `PROGRAM -G host` is asked (every feature of OpenSSH's configuration, exactly); where the program does not
    /// exist, the own parser reads the files.
    OpenSsh(PathBuf),
    /// The own parser: `Host` blocks, `Include`, and the options Windlass knows; `Match` is an error.
    Parser,
    /// No configuration is read.
    None,
}

/// Limits of connecting and reading.
#[derive(Debug, Clone)]
pub struct Limits {
    /// TCP connect, proxy, handshake and login together, where neither inventory nor `ssh_config` says (10 s).
    pub connect_timeout: Duration,
    /// Handshakes at the same time with one server, or through one jump host (8: sshd refuses some beyond 10).
    pub handshakes_per_gateway: usize,
    /// Handshakes at the same time in all (64): each takes milliseconds of processor time here, and more at once would
    /// run into the time limits of each other. Servers that say nothing do not count for longer than a second.
    pub handshakes: usize,
    /// How often a server that drops the connection before its first line is tried again (4).
    pub dropped_retries: u32,
    /// The wait before the first such retry; it doubles each time (0.3 s).
    pub dropped_backoff: Duration,
    /// Silence after which the server is asked for a sign of life, where `ssh_config` does not say (15 s, 3 times).
    pub keepalive: Duration,
    /// Bytes of one command's output that may wait in memory to be read (4 MiB).
    pub unread_memory: usize,
    /// Bytes that may wait in a temporary file beyond that, before the channel is closed (1 GiB).
    pub unread_disk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            handshakes_per_gateway: 8,
            handshakes: 64,
            dropped_retries: 4,
            dropped_backoff: Duration::from_millis(300),
            keepalive: Duration::from_secs(15),
            unread_memory: 4 << 20,
            unread_disk: 1 << 30,
        }
    }
}

impl Limits {
    pub(crate) fn unread(&self) -> Bounds {
        Bounds { memory: self.unread_memory, disk: self.unread_disk }
    }
}

/// Asks for the passphrase of a private key file; `None` when there is none to be had. May be asked concurrently.
pub type AskPassphrase = dyn Fn(&Path) -> Option<Secret> + Send + Sync;

/// What all connections of one run share: who runs it, where configuration lies, limits, and connections to jump hosts.
pub struct ConnectContext {
    /// The home folder of the user who runs Windlass: `~` in paths.
    pub home: PathBuf,
    /// The name of that user: the default login name.
    pub local_user: String,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
    /// Where `ssh_config` comes from.
    pub config: ConfigSource,
    /// Read this `ssh_config` file in place of the user's and the system's (`ssh -F`).
    pub config_file: Option<PathBuf>,
    /// For every host whose inventory does not say (`ANSIBLE_HOST_KEY_CHECKING`); jump hosts included.
    pub host_key_checking: Option<HostKeyChecking>,
    /// Asks for passphrases of key files that the agent does not hold.
    pub passphrase: Option<Arc<AskPassphrase>>,
    /// Limits.
    pub limits: Limits,
    pub(crate) settings: Keyed<Settings>,
    pub(crate) jumps: Keyed<SshLink>,
    pub(crate) gates: Mutex<HashMap<String, Arc<Semaphore>>>,
    pub(crate) config_programs: Semaphore,
    /// Places for handshakes, whoever with.
    pub(crate) handshakes: Semaphore,
    pub(crate) known_files: Arc<KnownFiles>,
    /// Private keys read so far: nobody is asked twice for one passphrase, and each is deciphered once.
    pub(crate) keys: Arc<Mutex<HashMap<PathBuf, Loaded>>>,
}

impl std::fmt::Debug for ConnectContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectContext")
            .field("home", &self.home)
            .field("local_user", &self.local_user)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl ConnectContext {
    /// A context that reads the user's `ssh_config` by OpenSSH, with default limits and no agent.
    pub fn new(home: impl Into<PathBuf>, local_user: impl Into<String>) -> Self {
        Self {
            home: home.into(),
            local_user: local_user.into(),
            agent_socket: None,
            config: ConfigSource::OpenSsh(PathBuf::from("ssh")),
            config_file: None,
            host_key_checking: None,
            passphrase: None,
            limits: Limits::default(),
            settings: Keyed::default(),
            jumps: Keyed::default(),
            gates: Mutex::default(),
            config_programs: Semaphore::new(4),
            handshakes: Semaphore::new(Limits::default().handshakes),
            known_files: Arc::default(),
            keys: Arc::default(),
        }
    }

    /// The gate that bounds handshakes with one server or through one jump host.
    pub(crate) fn gate(&self, gateway: &str) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = self.limits.handshakes_per_gateway.max(1);
        Arc::clone(gates.entry(gateway.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(limit))))
    }

    /// A path as configuration writes it: `~` is the home folder.
    pub(crate) fn expand_home(&self, path: &str) -> PathBuf {
        match path.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None if path == "~" => self.home.clone(),
            None => PathBuf::from(path),
        }
    }
}

type Slot<T> = Arc<OnceCell<Result<Arc<T>, TransportError>>>;

/// Values made once per key, whoever asks first; a failure is told to all who wait for it, and then forgotten.
pub(crate) struct Keyed<T>(Mutex<HashMap<String, Slot<T>>>);

impl<T> Default for Keyed<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Keyed<T> {
    /// The value of `key`, made by `make` unless there is one that is still `good`.
    pub(crate) async fn get(
        &self,
        key: &str,
        good: impl Fn(&T) -> bool,
        make: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<Arc<T>, TransportError> {
        let slot = {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let slot = slots.entry(key.to_owned()).or_default();
            if let Some(Ok(value)) = slot.get()
                && !good(value)
            {
                *slot = Slot::default();
            }
            Arc::clone(slot)
        };
        let result = slot.get_or_init(|| async { make.await.map(Arc::new) }).await.clone();
        if result.is_err() {
            let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if slots.get(key).is_some_and(|current| Arc::ptr_eq(current, &slot)) {
                slots.remove(key);
            }
        }
        result
    }
}
