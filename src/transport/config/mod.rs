//! `ssh_config`: what it says about one host, by OpenSSH itself or by an own parser.

mod openssh;
mod parser;
mod pattern;

pub(crate) use pattern::{list_matches, matches};

use super::context::{ConfigSource, ConnectContext};
use super::error::{Problem, Step, TransportError};
use super::options::{self, Support};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The options that hold for one host: lower-case keywords in the order of their precedence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings(pub Vec<(String, String)>);

impl Settings {
    /// The value of a keyword: the first one given.
    pub(crate) fn get(&self, keyword: &str) -> Option<&str> {
        self.all(keyword).next()
    }

    /// All values of a keyword.
    pub(crate) fn all(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(k, _)| k == keyword).map(|(_, v)| v.as_str())
    }
}

/// A question to `ssh_config`.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    /// The host's name in the inventory, for messages.
    pub name: String,
    /// The host as the user writes it: what `Host` patterns are compared with.
    pub host: String,
    /// Options that win over the configuration.
    pub overrides: Vec<(String, String)>,
    /// `-F`.
    pub config_file: Option<PathBuf>,
}

impl Query {
    fn error(&self, place: impl Into<String>, reason: impl Into<String>, advice: impl Into<String>) -> TransportError {
        let problem = Problem::Config { place: place.into(), reason: reason.into(), advice: advice.into() };
        TransportError::new(&self.name, Step::Config, problem)
    }
}

/// The settings for a host: read once for equal questions.
pub(crate) async fn resolve(context: &ConnectContext, query: &Query) -> Result<Settings, TransportError> {
    let key = format!("{}\0{:?}\0{:?}", query.host, query.overrides, query.config_file);
    let settings = context.settings.get(&key, |_| true, read(context, query)).await;
    settings.map(|settings| (*settings).clone()).map_err(|mut error| {
        error.host.clone_from(&query.name);
        error
    })
}

async fn read(context: &ConnectContext, query: &Query) -> Result<Settings, TransportError> {
    // Both are how people tell ssh to read no configuration.
    let none =
        query.config_file.as_ref().is_some_and(|file| file.as_os_str() == "none" || file == Path::new("/dev/null"));
    let files = match &query.config_file {
        _ if none || context.config == ConfigSource::None => Vec::new(),
        Some(file) => vec![context.expand_home(&file.to_string_lossy())],
        None => vec![context.home.join(".ssh/config"), PathBuf::from("/etc/ssh/ssh_config")],
    };
    if let Some(file) = &query.config_file
        && let Some(path) = files.first()
        && !path.is_file()
    {
        return Err(query.error(file.display().to_string(), "there is no such file", "check the path after -F"));
    }
    // A plain configuration means the same to both, and starting a program takes longer than all the rest of reading it.
    if let Some(settings) = plain(context, query, &files) {
        return check(query, settings);
    }
    if let ConfigSource::OpenSsh(program) = &context.config
        && files.iter().any(|file| file.is_file())
        && let Some(settings) = openssh::read(context, program, query).await?
    {
        return check(query, settings);
    }
    check(query, parser::read(context, query, &files)?)
}

/// The settings, where the own parser understands all of the files: `Host`, `Include`, and options that Windlass knows. None
/// where anything else is in them (`Match`, variables of the environment, what is refused), and where OpenSSH would refuse
/// the user's file since others can write it: it is then for OpenSSH to say.
fn plain(context: &ConnectContext, query: &Query, files: &[PathBuf]) -> Option<Settings> {
    let own = files.first().filter(|_| query.config_file.is_none());
    if let Some(found) = own.and_then(|file| std::fs::metadata(file).ok()) {
        let owner = found.uid();
        if found.mode() & 0o022 != 0 || owner != 0 && owner != rustix::process::getuid().as_raw() {
            return None;
        }
    }
    let settings = parser::read(context, query, files).ok()?;
    settings.0.iter().all(|(_, value)| !value.contains("${")).then_some(settings)
}

/// Refuses what OpenSSH would do and Windlass does not, where leaving it out would be less safe or plainly wrong.
fn check(query: &Query, settings: Settings) -> Result<Settings, TransportError> {
    // `ssh -G` prints the defaults of its algorithm lists and the like; only these say something when they appear.
    const TELLING: &[&str] = &[
        "knownhostscommand",
        "revokedhostkeys",
        "pkcs11provider",
        "proxyusefdpass",
        "verifyhostkeydns",
        "nohostauthenticationforlocalhost",
        "bindaddress",
        "bindinterface",
    ];
    for (keyword, value) in &settings.0 {
        if TELLING.contains(&keyword.as_str())
            && let Support::Refused(advice) = options::support(keyword, value)
        {
            let reason = format!("{keyword} {value} is not supported");
            return Err(query.error(format!("ssh_config for {}", query.host), reason, advice));
        }
    }
    Ok(settings)
}
