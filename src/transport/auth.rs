//! Logging in: agent, key files, certificates, keyboard-interactive, password; several in a row where the server asks.

use super::context::ConnectContext;
use super::endpoint::{DEFAULT_IDENTITIES, Endpoint, Method};
use super::error::{Problem, Step, TransportError};
use super::keys::{self, Loaded};
use super::pause::Pause;
use super::secret::Secret;
use super::ssh::HostHandle;
use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{AgentAuthError, MethodKind, MethodSet, Signer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixStream;

/// One thing to try.
enum Attempt {
    /// A key the agent holds, perhaps with a certificate from a file.
    Agent(PublicKey, Option<Certificate>, String),
    /// A key from a file, perhaps with its certificate.
    File(Arc<PrivateKey>, Option<Certificate>, PathBuf),
    /// A key from a file whose passphrase is asked for when its turn comes.
    Locked(Option<Certificate>, PathBuf),
    KeyboardInteractive(Secret),
    Password(Secret),
}

impl Attempt {
    fn kind(&self) -> MethodKind {
        match self {
            Self::Agent(..) | Self::File(..) | Self::Locked(..) => MethodKind::PublicKey,
            Self::KeyboardInteractive(_) => MethodKind::KeyboardInteractive,
            Self::Password(_) => MethodKind::Password,
        }
    }

    fn describe(&self) -> String {
        let with = |certificate: &Option<Certificate>| if certificate.is_some() { " with certificate" } else { "" };
        match self {
            Self::Agent(key, certificate, comment) => {
                format!("agent key {}{} ({comment})", keys::describe(key), with(certificate))
            }
            Self::File(key, certificate, path) => {
                format!("key file {} ({}){}", path.display(), key.algorithm(), with(certificate))
            }
            Self::Locked(certificate, path) => {
                format!("key file {} (with a passphrase){}", path.display(), with(certificate))
            }
            Self::KeyboardInteractive(_) => "keyboard-interactive".into(),
            Self::Password(_) => "password".into(),
        }
    }
}

struct Login<'a> {
    endpoint: &'a Endpoint,
    context: &'a ConnectContext,
    agent: Option<AgentClient<UnixStream>>,
    tried: Vec<String>,
    offered: Vec<String>,
    notes: Vec<String>,
    locked: Option<PathBuf>,
    pause: &'a Pause,
}

/// Logs in, or says what was tried and what the server would accept. Without `passwords`, none is sent.
pub(crate) async fn log_in(
    handle: &mut HostHandle,
    endpoint: &Endpoint,
    context: &ConnectContext,
    passwords: bool,
    pause: &Pause,
) -> Result<(), TransportError> {
    let mut login = Login {
        endpoint,
        context,
        agent: None,
        tried: Vec::new(),
        offered: Vec::new(),
        notes: Vec::new(),
        locked: None,
        pause,
    };
    let mut attempts = login.attempts(passwords).await;
    let mut accepted: Option<MethodSet> = None;
    loop {
        let next = attempts.iter().position(|a| accepted.as_ref().is_none_or(|set| set.contains(&a.kind())));
        let result = match next.map(|index| attempts.remove(index)) {
            Some(attempt) => {
                login.tried.push(attempt.describe());
                login.run(handle, attempt).await
            }
            // Nothing to try: asking for nothing tells what the server would accept.
            None if accepted.is_none() => handle.authenticate_none(&endpoint.user).await.map_err(|e| e.to_string()),
            None => return Err(login.failed()),
        };
        match result {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                if handle.is_closed() || (remaining_methods.is_empty() && !partial_success) {
                    login.notes.push(
                        "the server closed the connection, perhaps after too many attempts: set IdentitiesOnly yes \
                         in ~/.ssh/config or give one key file"
                            .into(),
                    );
                    return Err(login.failed());
                }
                if partial_success {
                    login.notes.push(format!("the server accepted {}, and wants more", login.last()));
                }
                login.offered = remaining_methods.iter().map(|kind| <&str>::from(kind).to_owned()).collect();
                accepted = Some(remaining_methods);
            }
            Err(reason) => {
                login.notes.push(format!("{}: {reason}", login.last()));
                if handle.is_closed() {
                    return Err(login.failed());
                }
            }
        }
    }
}

impl Login<'_> {
    fn last(&self) -> String {
        self.tried.last().cloned().unwrap_or_else(|| "nothing".into())
    }

    /// Everything worth trying, in order. Keys that the configuration names come before the agent's other keys:
    /// a server counts attempts.
    async fn attempts(&mut self, passwords: bool) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for method in &self.endpoint.methods {
            match (method, &self.endpoint.password) {
                (Method::PublicKey, _) => attempts.extend(self.key_attempts().await),
                (_, None) => {}
                (_, Some(_)) if !passwords => {
                    self.notes.push("no password is sent, since the host key has changed".into());
                }
                (Method::KeyboardInteractive, Some(password)) => {
                    attempts.push(Attempt::KeyboardInteractive(password.clone()));
                }
                (Method::Password, Some(password)) => attempts.push(Attempt::Password(password.clone())),
            }
        }
        self.notes.dedup();
        attempts
    }

    async fn key_attempts(&mut self) -> Vec<Attempt> {
        let mut held = self.agent_keys().await;
        let mut certificates: Vec<Certificate> = Vec::new();
        for path in &self.endpoint.certificate_files {
            match russh::keys::load_openssh_certificate(path) {
                Ok(certificate) => certificates.push(certificate),
                Err(error) => self.notes.push(format!("certificate {}: {error}", path.display())),
            }
        }
        let (mut named, mut defaults) = (Vec::new(), Vec::new());
        for path in &self.endpoint.identity_files {
            let public = keys::public_key(path);
            let certificate = keys::certificate(path).or_else(|| {
                let public = public.as_ref()?;
                certificates.iter().find(|c| c.public_key() == public.key_data()).cloned()
            });
            let in_agent = public.as_ref().and_then(|public| {
                held.iter().position(|(key, own, _)| own.is_none() && key.key_data() == public.key_data())
            });
            if let Some(index) = in_agent {
                let (key, _, comment) = held.remove(index);
                if certificate.is_some() {
                    named.push(Attempt::Agent(key.clone(), certificate, comment.clone()));
                }
                named.push(Attempt::Agent(key, None, comment));
                continue;
            }
            let is_default = is_default(path);
            match self.load(path, false).await {
                Loaded::Locked if self.context.passphrase.is_some() && self.endpoint.may_ask => {
                    let list = if is_default { &mut defaults } else { &mut named };
                    if certificate.is_some() {
                        list.push(Attempt::Locked(certificate, path.clone()));
                    }
                    list.push(Attempt::Locked(None, path.clone()));
                }
                Loaded::Key(key) => {
                    let list = if is_default { &mut defaults } else { &mut named };
                    if certificate.is_some() {
                        list.push(Attempt::File(Arc::clone(&key), certificate, path.clone()));
                    }
                    list.push(Attempt::File(key, None, path.clone()));
                }
                Loaded::Missing if is_default => {}
                Loaded::Missing => self.notes.push(format!("there is no key file {}", path.display())),
                Loaded::Locked => self.is_locked(path),
                Loaded::Bad(_) if public.is_some() && path.extension().is_some_and(|e| e == "pub") => {
                    self.notes.push(format!("the agent does not hold {}", path.display()));
                }
                Loaded::Bad(reason) => self.notes.push(reason),
            }
        }
        if !self.endpoint.identities_only {
            named.extend(held.into_iter().map(|(key, certificate, comment)| Attempt::Agent(key, certificate, comment)));
        }
        named.extend(defaults);
        named
    }

    /// What the agent holds: keys, certificates with their keys, and comments.
    async fn agent_keys(&mut self) -> Vec<(PublicKey, Option<Certificate>, String)> {
        let Some(socket) = &self.endpoint.agent else { return Vec::new() };
        let asked = async {
            let mut client = AgentClient::connect_uds(socket).await?;
            let identities = client.request_identities().await?;
            Ok::<_, russh::keys::Error>((client, identities))
        };
        match asked.await {
            Ok((client, identities)) => {
                self.agent = Some(client);
                let keys = identities.into_iter().map(|identity| match identity {
                    AgentIdentity::PublicKey { key, comment } => (key, None, comment),
                    AgentIdentity::Certificate { certificate, comment } => {
                        (PublicKey::new(certificate.public_key().clone(), ""), Some(certificate), comment)
                    }
                });
                keys.collect()
            }
            Err(error) => {
                self.notes.push(format!("the agent at {} does not answer: {error}", socket.display()));
                Vec::new()
            }
        }
    }

    fn is_locked(&mut self, path: &Path) {
        self.notes.push(format!("{} has a passphrase, and is not in the agent", path.display()));
        self.locked.get_or_insert_with(|| path.to_owned());
    }

    /// Reads a key file; `ask`: also one with a passphrase. Another host may be asking just now: no time limit counts
    /// that.
    async fn load(&self, path: &Path, ask: bool) -> Loaded {
        let path = path.to_owned();
        let ask = self.context.passphrase.clone().filter(|_| ask);
        let cache = Arc::clone(&self.context.keys);
        let load = tokio::task::spawn_blocking(move || keys::load(&path, ask.as_deref(), &cache));
        self.pause.while_waiting(load).await.unwrap_or_else(|error| Loaded::Bad(error.to_string()))
    }

    async fn run(&mut self, handle: &mut HostHandle, attempt: Attempt) -> Result<AuthResult, String> {
        let user = self.endpoint.user.as_str();
        match attempt {
            Attempt::Agent(key, certificate, _) => {
                let hash = rsa_hash(handle, &key).await?;
                let client = self.agent.as_mut().ok_or("the agent is gone")?;
                let mut signer = PlainKeySigner { client, key: key.clone() };
                match certificate {
                    // An agent may hold the certificate as an identity of its own, or only the key.
                    Some(certificate) => {
                        handle.authenticate_certificate_with(user, certificate, hash, &mut signer).await
                    }
                    None => handle.authenticate_publickey_with(user, key, hash, &mut signer).await,
                }
                .map_err(|error| format!("the agent did not sign: {error}"))
            }
            Attempt::Locked(certificate, path) => match self.load(&path, true).await {
                Loaded::Key(key) => Box::pin(self.run(handle, Attempt::File(key, certificate, path))).await,
                Loaded::Bad(reason) => Err(reason),
                Loaded::Locked | Loaded::Missing => {
                    self.is_locked(&path);
                    Err("no passphrase was given".into())
                }
            },
            Attempt::File(key, Some(certificate), _) => {
                handle.authenticate_openssh_cert(user, key, certificate).await.map_err(|e| e.to_string())
            }
            Attempt::File(key, None, _) => {
                let hash = rsa_hash(handle, key.public_key()).await?;
                let key = PrivateKeyWithHashAlg::new(key, hash);
                handle.authenticate_publickey(user, key).await.map_err(|e| e.to_string())
            }
            Attempt::Password(password) => {
                handle.authenticate_password(user, password.expose()).await.map_err(|e| e.to_string())
            }
            Attempt::KeyboardInteractive(password) => self.converse(handle, &password).await,
        }
    }

    /// Answers the one hidden question with the password, and no other.
    async fn converse(&mut self, handle: &mut HostHandle, password: &Secret) -> Result<AuthResult, String> {
        const ROUNDS: usize = 5;
        let user = self.endpoint.user.as_str();
        let mut reply = handle.authenticate_keyboard_interactive_start(user, None).await.map_err(|e| e.to_string())?;
        let mut given = false;
        for _ in 0..ROUNDS {
            let prompts = match reply {
                KeyboardInteractiveAuthResponse::Success => return Ok(AuthResult::Success),
                KeyboardInteractiveAuthResponse::Failure { remaining_methods, partial_success } => {
                    return Ok(AuthResult::Failure { remaining_methods, partial_success });
                }
                KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
            };
            let mut answers = Vec::with_capacity(prompts.len());
            for prompt in &prompts {
                if prompt.echo || given {
                    self.notes.push(format!("the server asks {:?}, which has no answer here", prompt.prompt.trim()));
                    answers.push(String::new());
                } else {
                    given = true;
                    answers.push(password.expose().to_owned());
                }
            }
            reply = handle.authenticate_keyboard_interactive_respond(answers).await.map_err(|e| e.to_string())?;
        }
        Err("the server keeps asking".into())
    }

    fn failed(&mut self) -> TransportError {
        let user = self.endpoint.user.clone();
        self.notes.dedup();
        let only_passwords = !self.offered.is_empty() && !self.offered.iter().any(|method| method == "publickey");
        let advice = if let Some(path) = &self.locked {
            format!("load the key into the agent: ssh-add {}", path.display())
        } else if only_passwords && self.endpoint.password.is_none() {
            "this server accepts only passwords: set ansible_password (in a vault)".to_owned()
        } else if self.tried.is_empty() {
            "load a key into ssh-agent, or set ansible_ssh_private_key_file".to_owned()
        } else {
            format!("check ansible_user, and that one of these keys stands in ~{user}/.ssh/authorized_keys there")
        };
        let problem = Problem::Authentication {
            user,
            tried: std::mem::take(&mut self.tried),
            offered: std::mem::take(&mut self.offered),
            notes: std::mem::take(&mut self.notes),
            advice,
        };
        TransportError::new(&self.endpoint.name, Step::Authentication, problem)
    }
}

fn is_default(path: &Path) -> bool {
    const NEVER_LOADED: &[&str] = &["id_ecdsa_sk", "id_ed25519_sk", "id_xmss", "id_dsa"];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let in_ssh = path.parent().is_some_and(|folder| folder.ends_with(".ssh"));
    in_ssh && (DEFAULT_IDENTITIES.contains(&name) || NEVER_LOADED.contains(&name))
}

/// The hash an RSA signature has to use; SHA-1 is not used, as OpenSSH no longer does.
async fn rsa_hash(handle: &HostHandle, key: &PublicKey) -> Result<Option<HashAlg>, String> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    match handle.best_supported_rsa_hash().await.map_err(|error| error.to_string())? {
        Some(None) => Err("the server takes RSA keys only with SHA-1 signatures, which are unsafe".into()),
        Some(hash) => Ok(hash),
        None => Ok(Some(HashAlg::Sha512)),
    }
}

/// Signs with the agent's plain key, also for a certificate that the agent does not know.
struct PlainKeySigner<'a> {
    client: &'a mut AgentClient<UnixStream>,
    key: PublicKey,
}

impl Signer for PlainKeySigner<'_> {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        identity: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, Self::Error> {
        let plain = AgentIdentity::from(self.key.clone());
        match self.client.sign_request(&plain, hash, data.clone()).await {
            Ok(signed) => Ok(signed),
            // The agent may hold the certificate alone.
            Err(_) if matches!(identity, AgentIdentity::Certificate { .. }) => {
                Ok(self.client.sign_request(identity, hash, data).await?)
            }
            Err(error) => Err(error.into()),
        }
    }
}
