//! Known host keys: plain, hashed, wildcard and negated names, ports, `@revoked` and `@cert-authority`, several files.
//! The format and its meaning are those of sshd(8), section "SSH_KNOWN_HOSTS FILE FORMAT".

use super::config::{list_matches, matches};
use super::endpoint::{Endpoint, Proxy};
use super::error::{Problem, Step, TransportError};
use super::known_files::KnownFiles;
use super::target::HostKeyChecking;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};
use sha1::{Digest as _, Sha1};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The lines of several files that could be read.
#[derive(Debug, Default)]
pub(crate) struct KnownHosts {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    file: Arc<Path>,
    number: usize,
    marker: Option<Marker>,
    hosts: HostPatterns,
    key: PublicKey,
}

/// What the files say about a server's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Known,
    Unknown,
    /// Another key is on record; `other_type`: only of other types than the one shown.
    Changed {
        file: Arc<Path>,
        line: usize,
        other_type: bool,
    },
    Revoked {
        file: Arc<Path>,
        line: usize,
    },
}

/// The names under which a server is looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// `host`, or `[host]:port` where the port is not 22.
    pub lookup: String,
    /// The name without its port: a key on record for it is accepted too, and certificates name it.
    pub plain: String,
}

impl Names {
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match &endpoint.host_key_alias {
            Some(alias) => Self { lookup: alias.to_lowercase(), plain: alias.to_lowercase() },
            None => Self::new(&endpoint.hostname, endpoint.port),
        }
    }

    pub(crate) fn new(host: &str, port: u16) -> Self {
        let plain = host.to_lowercase();
        let lookup = if port == 22 { plain.clone() } else { format!("[{plain}]:{port}") };
        Self { lookup, plain }
    }
}

impl KnownHosts {
    /// What the files say about a server; those that do not exist are as good as empty.
    pub(crate) fn about<'a>(names: &Names, files: &KnownFiles, paths: impl IntoIterator<Item = &'a PathBuf>) -> Self {
        let mut known = Self::default();
        let names = [names.lookup.as_str(), names.plain.as_str()];
        for file in paths.into_iter().filter_map(|path| files.get(path)) {
            for (number, line) in file.about(&names) {
                known.lines.extend(
                    Line::parse(&file.path, number, line).filter(|line| names.iter().any(|name| line.is_for(name))),
                );
            }
        }
        known
    }

    fn of<'a>(&'a self, name: &'a str, marker: Option<Marker>) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.marker == marker && line.is_for(name))
    }

    /// The key types on record for a server, so that it is asked for one of those first: a server with keys of
    /// several types would otherwise look changed.
    pub(crate) fn algorithms(&self, names: &Names) -> Vec<Algorithm> {
        let mut types: Vec<Algorithm> = Vec::new();
        for line in self.of(&names.lookup, None).chain(self.of(&names.plain, None)) {
            let algorithm = line.key.algorithm();
            if !types.contains(&algorithm) {
                types.push(algorithm);
            }
        }
        types
    }

    /// Whether some authority is trusted to certify this server.
    pub(crate) fn has_authority(&self, names: &Names) -> bool {
        [&names.lookup, &names.plain].iter().any(|name| self.of(name, Some(Marker::CertAuthority)).next().is_some())
    }

    /// Judges what a server shows. `now` is in seconds since 1970.
    pub(crate) fn judge(&self, names: &Names, shown: &PublicKeyOrCertificate, now: u64) -> Verdict {
        let key = shown.public_key();
        let authority = shown.certificate().map(Certificate::signature_key);
        for name in [&names.lookup, &names.plain] {
            let mut revoked = self.of(name, Some(Marker::Revoked));
            if let Some(line) = revoked.find(|l| same(&l.key, &key) || authority == Some(l.key.key_data())) {
                return Verdict::Revoked { file: Arc::clone(&line.file), line: line.number };
            }
        }
        if let Some(certificate) = shown.certificate()
            && self.certifies(names, certificate, now)
        {
            return Verdict::Known;
        }
        if [&names.lookup, &names.plain].iter().any(|name| self.of(name, None).any(|line| same(&line.key, &key))) {
            return Verdict::Known;
        }
        let changed =
            |line: &Line, other_type| Verdict::Changed { file: Arc::clone(&line.file), line: line.number, other_type };
        let mut others = self.of(&names.lookup, None).peekable();
        match others.peek().copied() {
            None => Verdict::Unknown,
            Some(first) => match others.find(|line| line.key.algorithm() == key.algorithm()) {
                Some(line) => changed(line, false),
                None => changed(first, true),
            },
        }
    }

    fn certifies(&self, names: &Names, certificate: &Certificate, now: u64) -> bool {
        let trusted: Vec<_> = [&names.lookup, &names.plain]
            .iter()
            .flat_map(|name| self.of(name, Some(Marker::CertAuthority)))
            .map(|line| line.key.fingerprint(HashAlg::Sha256))
            .collect();
        let principals = certificate.valid_principals();
        certificate.cert_type() == CertType::Host
            && certificate.critical_options().is_empty()
            && (principals.is_empty() || principals.iter().any(|p| matches(&p.to_lowercase(), &names.plain)))
            && certificate.validate_at(now, &trusted).is_ok()
    }
}

fn same(a: &PublicKey, b: &PublicKey) -> bool {
    a.key_data() == b.key_data()
}

impl Line {
    /// A line of a file, unless it says nothing, or nothing that is understood.
    fn parse(file: &Arc<Path>, number: usize, line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().peekable();
        let first = words.peek().copied().filter(|word| !word.starts_with('#'))?;
        let marker = if first.starts_with('@') {
            words.next();
            Some(first.parse().ok()?)
        } else {
            None
        };
        let (hosts, kind, key) = (words.next()?, words.next()?, words.next()?);
        // A line with a key type that is not understood cannot decide anything, and must not hide other lines.
        let (Ok(hosts), Ok(key)) = (hosts.parse(), PublicKey::from_openssh(&format!("{kind} {key}"))) else {
            tracing::debug!(file = %file.display(), line = number, "known_hosts line not understood");
            return None;
        };
        Some(Self { file: Arc::clone(file), number, marker, hosts, key })
    }

    fn is_for(&self, name: &str) -> bool {
        match &self.hosts {
            HostPatterns::Patterns(patterns) => {
                let patterns: Vec<String> = patterns.iter().map(|pattern| pattern.to_lowercase()).collect();
                list_matches(patterns.iter().map(String::as_str), name)
            }
            HostPatterns::HashedName { salt, hash } => hashed(salt, name).is_some_and(|own| own == *hash),
        }
    }
}

fn hashed(salt: &[u8], name: &str) -> Option<[u8; 20]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// What was decided about a server's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Full,
    /// The key changed and the user turned checking off: passwords must not be sent.
    NoPassword,
}

/// Judges a server's key and applies the policy: refuses, records, or lets it pass.
pub(crate) fn check(known: &KnownHosts, endpoint: &Endpoint, shown: &PublicKeyOrCertificate) -> Result<Trust, Problem> {
    let names = Names::of(endpoint);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let key = shown.public_key();
    let key_type = if shown.certificate().is_some() {
        format!("certificate for {}", key.algorithm())
    } else {
        key.algorithm().to_string()
    };
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let name = names.lookup.clone();
    match (known.judge(&names, shown, now), endpoint.checking) {
        (Verdict::Known, _) | (Verdict::Unknown, HostKeyChecking::Off) => Ok(Trust::Full),
        (Verdict::Revoked { file, line }, _) => {
            Err(Problem::HostKeyRevoked { name, key_type, fingerprint, file: file.display().to_string(), line })
        }
        (Verdict::Changed { .. }, HostKeyChecking::Off) => Ok(Trust::NoPassword),
        (Verdict::Changed { file, line, other_type }, _) => {
            let file = file.display().to_string();
            let note = if other_type { " (of another type, which it no longer shows)" } else { "" };
            let forget = format!("ssh-keygen -R '{name}' -f {file}");
            Err(Problem::HostKeyChanged { name, key_type, fingerprint, file, line, note: note.into(), forget })
        }
        (Verdict::Unknown, HostKeyChecking::Strict) => {
            Err(Problem::HostKeyUnknown { record: how_to_record(endpoint, &key), name, key_type, fingerprint })
        }
        (Verdict::Unknown, HostKeyChecking::AcceptNew) => match endpoint.user_known_hosts.first() {
            None => Ok(Trust::Full),
            Some(file) => match record(file, &names.lookup, &key, endpoint.hash_known_hosts) {
                Ok(()) => Ok(Trust::Full),
                Err(error) => Err(Problem::HostKeyNotRecorded {
                    name,
                    file: file.display().to_string(),
                    reason: error.to_string(),
                }),
            },
        },
    }
}

/// The command that records a server's key. ssh-keyscan goes through no proxy, and knows no aliases.
fn how_to_record(endpoint: &Endpoint, key: &PublicKey) -> String {
    let Endpoint { hostname, port, user, .. } = endpoint;
    match endpoint.user_known_hosts.first() {
        Some(file) if endpoint.proxy == Proxy::None && endpoint.host_key_alias.is_none() => {
            format!("ssh-keyscan -p {port} -t {} {hostname} >> {}", scan_type(key), file.display())
        }
        _ => format!("log in once by ssh -p {port} {user}@{hostname}, as your ssh configuration reaches it"),
    }
}

/// ssh-keyscan's word for a key type.
fn scan_type(key: &PublicKey) -> &'static str {
    match key.algorithm() {
        Algorithm::Rsa { .. } => "rsa",
        Algorithm::Ecdsa { .. } => "ecdsa",
        _ => "ed25519",
    }
}

/// Appends a line under a lock, since other runs (and other hosts of this one) may append at the same time.
fn record(path: &Path, name: &str, key: &PublicKey, hash: bool) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
    file.lock()?;
    let mut text = String::new();
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    if last != [b'\n'] {
        text.push('\n');
    }
    text.push_str(&if hash { hashed_name(name)? } else { name.to_owned() });
    let mut plain = key.clone();
    plain.set_comment("");
    text.push(' ');
    text.push_str(plain.to_openssh().map_err(io::Error::other)?.trim_end());
    text.push('\n');
    file.write_all(text.as_bytes())?;
    file.unlock()
}

/// `|1|salt|hash`. The salt only has to differ from line to line; it is no secret.
fn hashed_name(name: &str) -> io::Result<String> {
    let salt = Sha1::digest([uuid::Uuid::now_v7().into_bytes(), uuid::Uuid::now_v7().into_bytes()].concat());
    let hash = hashed(&salt, name).ok_or_else(|| io::Error::other("the host name cannot be hashed"))?;
    Ok(format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash)))
}

/// The verdict as the error of a host (for callers outside of a handshake).
impl Problem {
    pub(crate) fn at_host_key(self, host: &str) -> TransportError {
        TransportError::new(host, Step::HostKey, self)
    }
}

#[cfg(test)]
#[path = "known_hosts_tests.rs"]
mod tests;
