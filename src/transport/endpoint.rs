//! Where and how to connect: a target and its `ssh_config`, made definite.

use super::config::{self, Query};
use super::context::ConnectContext;
use super::error::{Problem, Step, TransportError};
use super::options::{is_safe_host, is_safe_user, split_words};
use super::secret::Secret;
use super::target::{HostKeyChecking, Target};
use std::path::PathBuf;
use std::time::Duration;

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proxy {
    None,
    /// Through these hosts, in this order (`[user@]host[:port]`).
    Jump(Vec<String>),
    /// Through the standard input and output of a command.
    Command(String),
}

/// Ways to log in, by OpenSSH's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    PublicKey,
    KeyboardInteractive,
    Password,
}

/// Where and how to connect.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// The inventory's name.
    pub name: String,
    pub hostname: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub identity_files: Vec<PathBuf>,
    pub certificate_files: Vec<PathBuf>,
    pub identities_only: bool,
    pub agent: Option<PathBuf>,
    pub methods: Vec<Method>,
    pub may_ask: bool,
    pub proxy: Proxy,
    pub checking: HostKeyChecking,
    pub host_key_alias: Option<String>,
    pub user_known_hosts: Vec<PathBuf>,
    pub global_known_hosts: Vec<PathBuf>,
    pub hash_known_hosts: bool,
    pub timeout: Duration,
    pub keepalive: Option<Duration>,
    pub keepalive_max: usize,
    pub compression: bool,
    /// `Some(true)`: IPv6 only; `Some(false)`: IPv4 only.
    pub ipv6: Option<bool>,
    /// How often a connection that failed for a passing reason is tried again.
    pub retries: u32,
    /// `-F`, also for jump hosts.
    pub config_file: Option<PathBuf>,
}

/// The key files OpenSSH tries when none is configured (hardware keys come from the agent).
pub(crate) const DEFAULT_IDENTITIES: &[&str] = &["id_rsa", "id_ecdsa", "id_ed25519"];

impl Endpoint {
    /// Where the host is, in messages.
    pub(crate) fn address(&self) -> String {
        join_port(&self.hostname, self.port)
    }

    /// What identifies the server for handshake limits and shared jump connections.
    pub(crate) fn key(&self) -> String {
        format!("{}@{} {:?} {:?} {:?}", self.user, self.address(), self.proxy, self.identity_files, self.checking)
    }

    /// Asks `ssh_config` and puts everything together.
    pub(crate) async fn of(target: &Target, context: &ConnectContext) -> Result<Self, TransportError> {
        let query = query(target, context);
        let settings = config::resolve(context, &query).await?;
        let bad = |keyword: &str, value: &str, reason: &str| {
            let problem = Problem::Config {
                place: format!("ssh configuration of {}", target.host),
                reason: format!("{keyword} {value}: {reason}"),
                advice: "correct it in ~/.ssh/config or in the inventory".into(),
            };
            TransportError::new(&target.name, Step::Config, problem)
        };
        let flag = |keyword: &str, default: bool| settings.get(keyword).map_or(default, is_on);
        let seconds = |keyword: &str| match settings.get(keyword) {
            None | Some("none") => Ok(None),
            Some(value) => parse_time(value)
                .map(|time| (time > 0).then(|| Duration::from_secs(time)))
                .ok_or_else(|| bad(keyword, value, "not a time")),
        };

        let hostname = settings.get("hostname").unwrap_or(&target.host).to_owned();
        if !is_safe_host(&hostname) {
            return Err(bad("HostName", &hostname, "not a host name or address"));
        }
        let user = settings.get("user").unwrap_or(&context.local_user).to_owned();
        if !is_safe_user(&user) {
            return Err(bad("User", &user, "not a user name that can be used safely"));
        }
        let port = settings.get("port").unwrap_or("22");
        let port = port.parse().ok().filter(|p| *p != 0).ok_or_else(|| bad("Port", port, "not a port number"))?;
        let host_key_alias = settings.get("hostkeyalias").map(str::to_owned);
        let tokens = Tokens {
            context,
            target: &target.host,
            hostname: &hostname,
            port,
            user: &user,
            alias: host_key_alias.as_deref(),
        };
        let path = |keyword: &str, value: &str| {
            tokens.expand(value).map(|text| context.expand_home(&text)).map_err(|reason| bad(keyword, value, &reason))
        };
        let paths = |keyword: &str| {
            let all = settings.all(keyword).filter(|value| !value.eq_ignore_ascii_case("none"));
            all.map(|value| path(keyword, value)).collect::<Result<Vec<_>, _>>()
        };
        let path_list = |keyword: &str, default: Vec<PathBuf>| match settings.get(keyword) {
            None => Ok(default),
            Some(value) if value.eq_ignore_ascii_case("none") => Ok(Vec::new()),
            Some(value) => split_words(value)
                .ok_or_else(|| bad(keyword, value, "an open quote"))?
                .iter()
                .map(|word| path(keyword, word))
                .collect(),
        };

        let mut identity_files = paths("identityfile")?;
        if settings.get("identityfile").is_none() {
            identity_files = DEFAULT_IDENTITIES.iter().map(|name| context.home.join(".ssh").join(name)).collect();
        }
        let agent = match settings.get("identityagent") {
            None | Some("SSH_AUTH_SOCK" | "$SSH_AUTH_SOCK") => context.agent_socket.clone(),
            Some(value) if value.eq_ignore_ascii_case("none") => None,
            Some(value) if value.starts_with('$') => {
                return Err(bad("IdentityAgent", value, "name the socket's path, or SSH_AUTH_SOCK"));
            }
            Some(value) => Some(path("IdentityAgent", value)?),
        };
        let given = |keyword: &str| settings.get(keyword).filter(|value| !value.eq_ignore_ascii_case("none"));
        let proxy = if let Some(jumps) = given("proxyjump") {
            Proxy::Jump(jumps.split(',').map(|jump| jump.trim().to_owned()).collect())
        } else if let Some(command) = given("proxycommand") {
            Proxy::Command(tokens.expand(command).map_err(|reason| bad("ProxyCommand", command, &reason))?)
        } else {
            Proxy::None
        };
        let checking = settings.get("stricthostkeychecking").unwrap_or("ask");
        let checking = HostKeyChecking::parse(checking)
            .ok_or_else(|| bad("StrictHostKeyChecking", checking, "not one of yes, accept-new, no"))?;
        let known = |names: [&str; 2], folder: PathBuf| names.map(|name| folder.join(name)).to_vec();
        let ssh = context.home.join(".ssh");

        Ok(Self {
            name: target.name.clone(),
            port,
            password: target.password.clone(),
            certificate_files: paths("certificatefile")?,
            identities_only: flag("identitiesonly", false),
            identity_files,
            agent,
            methods: methods(&settings),
            may_ask: !flag("batchmode", false),
            proxy,
            checking,
            user_known_hosts: path_list("userknownhostsfile", known(["known_hosts", "known_hosts2"], ssh))?,
            global_known_hosts: path_list(
                "globalknownhostsfile",
                known(["ssh_known_hosts", "ssh_known_hosts2"], "/etc/ssh".into()),
            )?,
            hash_known_hosts: flag("hashknownhosts", false),
            timeout: match target.connect_timeout {
                Some(timeout) => timeout,
                None => seconds("connecttimeout")?.unwrap_or(context.limits.connect_timeout),
            },
            keepalive: Some(seconds("serveraliveinterval")?.unwrap_or(context.limits.keepalive)),
            keepalive_max: settings.get("serveralivecountmax").and_then(|v| v.parse().ok()).unwrap_or(3),
            compression: flag("compression", false),
            ipv6: match settings.get("addressfamily") {
                Some("inet6") => Some(true),
                Some("inet") => Some(false),
                _ => None,
            },
            retries: match target.retries {
                Some(retries) => retries,
                None => settings.get("connectionattempts").and_then(|v| v.parse::<u32>().ok()).unwrap_or(1).max(1) - 1,
            },
            config_file: query.config_file,
            host_key_alias,
            hostname,
            user,
        })
    }
}

/// What the inventory says comes first, in the order in which Ansible hands it to ssh.
fn query(target: &Target, context: &ConnectContext) -> Query {
    let mut overrides = Vec::new();
    let mut add = |keyword: &str, value: String| overrides.push((keyword.to_owned(), value));
    if let Some(checking) = target.host_key_checking.or(context.host_key_checking) {
        add("stricthostkeychecking", checking.keyword().to_owned());
    }
    if let Some(port) = target.port {
        add("port", port.to_string());
    }
    for file in &target.identity_files {
        add("identityfile", file.clone());
    }
    if let Some(user) = &target.user {
        add("user", user.clone());
    }
    overrides.extend(target.overrides.options.iter().cloned());
    Query {
        name: target.name.clone(),
        host: target.host.clone(),
        overrides,
        config_file: target.overrides.config_file.clone().or_else(|| context.config_file.clone()),
    }
}

fn is_on(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "on")
}

/// A time as `ssh_config` writes it: seconds, or numbers with units (`1m30s`).
fn parse_time(text: &str) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut total, mut number) = (0u64, String::new());
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    (number.is_empty() && !text.is_empty()).then_some(total)
}

fn methods(settings: &config::Settings) -> Vec<Method> {
    let allowed = |keyword: &str| settings.get(keyword).is_none_or(|value| !matches!(value, "no" | "false"));
    let order = settings.get("preferredauthentications").unwrap_or("publickey,keyboard-interactive,password");
    let wanted = order.split(',').filter_map(|name| match name.trim() {
        "publickey" => Some(Method::PublicKey),
        "keyboard-interactive" => Some(Method::KeyboardInteractive),
        "password" => Some(Method::Password),
        _ => None,
    });
    wanted
        .filter(|method| match method {
            Method::PublicKey => allowed("pubkeyauthentication"),
            Method::KeyboardInteractive => {
                allowed("kbdinteractiveauthentication") && allowed("challengeresponseauthentication")
            }
            Method::Password => allowed("passwordauthentication"),
        })
        .collect()
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn join_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// The `%` tokens of ssh_config(5) that can be known here.
struct Tokens<'a> {
    context: &'a ConnectContext,
    target: &'a str,
    hostname: &'a str,
    port: u16,
    user: &'a str,
    alias: Option<&'a str>,
}

impl Tokens<'_> {
    fn expand(&self, text: &str) -> Result<String, String> {
        let mut result = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                result.push(c);
                continue;
            }
            match chars.next() {
                Some('%') => result.push('%'),
                Some('h') => result.push_str(self.hostname),
                Some('n') => result.push_str(self.target),
                Some('p') => result.push_str(&self.port.to_string()),
                Some('r') => result.push_str(self.user),
                Some('u') => result.push_str(&self.context.local_user),
                Some('d') => result.push_str(&self.context.home.to_string_lossy()),
                Some('k') => result.push_str(self.alias.unwrap_or(self.target)),
                Some(other) => return Err(format!("the token %{other} is not supported")),
                None => return Err("it ends in a single %".into()),
            }
        }
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stderr)]
    use super::super::context::ConfigSource;
    use super::*;

    async fn endpoint(
        config: &str,
        source: ConfigSource,
        change: impl FnOnce(&mut Target),
    ) -> Result<Endpoint, TransportError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, config).unwrap();
        let mut context = ConnectContext::new("/home/me", "me");
        context.config = source;
        context.config_file = Some(file);
        let mut target = Target::ssh("web-1", "web");
        change(&mut target);
        Endpoint::of(&target, &context).await
    }

    const CONFIG: &str = "Host web\n HostName 10.0.0.9\n User deploy\n Port 2200\n IdentityFile ~/.ssh/web_%h\n \
        IdentitiesOnly yes\n ProxyJump me@bastion:2222,inner\n UserKnownHostsFile /k1 \"/k 2\"\n \
        StrictHostKeyChecking accept-new\n HostKeyAlias the-web\n ConnectTimeout 7\nHost *\n User other\n";

    fn check(endpoint: &Endpoint) {
        assert_eq!(endpoint.address(), "10.0.0.9:2200");
        assert_eq!(endpoint.user, "deploy");
        assert!(endpoint.identities_only);
        assert!(endpoint.identity_files[0].ends_with(".ssh/web_10.0.0.9"), "{:?}", endpoint.identity_files);
        assert_eq!(endpoint.proxy, Proxy::Jump(vec!["me@bastion:2222".into(), "inner".into()]));
        assert_eq!(endpoint.checking, HostKeyChecking::AcceptNew);
        assert_eq!(endpoint.host_key_alias.as_deref(), Some("the-web"));
        assert_eq!(endpoint.timeout, Duration::from_secs(7));
        assert_eq!(endpoint.user_known_hosts[0], PathBuf::from("/k1"));
    }

    #[tokio::test]
    async fn the_own_parser_gives_everything() {
        let endpoint = endpoint(CONFIG, ConfigSource::Parser, |_| ()).await.unwrap();
        check(&endpoint);
        assert_eq!(endpoint.user_known_hosts[1], PathBuf::from("/k 2"));
    }

    #[tokio::test]
    async fn openssh_gives_the_same() {
        if std::process::Command::new("ssh").arg("-V").output().is_err() {
            eprintln!("not run: there is no ssh program here");
            assert!(std::env::var_os("CI").is_none(), "continuous integration must have an ssh program");
            return;
        }
        check(&endpoint(CONFIG, ConfigSource::OpenSsh("ssh".into()), |_| ()).await.unwrap());
        let by_match = "Match host web user root\n Port 99\nMatch host web\n Port 98\n";
        let got = endpoint(by_match, ConfigSource::OpenSsh("ssh".into()), |t| t.user = Some("root".into())).await;
        assert_eq!(got.unwrap().port, 99);
    }

    #[tokio::test]
    async fn without_the_program_the_parser_reads() {
        check(&endpoint(CONFIG, ConfigSource::OpenSsh("/does/not/exist/ssh".into()), |_| ()).await.unwrap());
    }

    #[tokio::test]
    async fn the_inventory_wins() {
        for source in [ConfigSource::Parser, ConfigSource::OpenSsh("ssh".into())] {
            let got = endpoint(CONFIG, source, |target| {
                target.port = Some(1);
                target.user = Some("root".into());
                target.host_key_checking = Some(HostKeyChecking::Strict);
                target.identity_files = vec!["/mine".into()];
                target.connect_timeout = Some(Duration::from_millis(1500));
                target.overrides.push("ProxyCommand", "nc -X 5 %h %p %%");
            });
            let got = got.await.unwrap();
            assert_eq!((got.port, got.user.as_str(), got.checking), (1, "root", HostKeyChecking::Strict));
            assert_eq!(got.identity_files[0], PathBuf::from("/mine"));
            assert_eq!(got.timeout, Duration::from_millis(1500));
            assert_eq!(got.proxy, Proxy::Command("nc -X 5 10.0.0.9 1 %".into()));
        }
    }

    #[tokio::test]
    async fn nothing_configured_means_openssh_defaults() {
        let got = endpoint("", ConfigSource::Parser, |_| ()).await.unwrap();
        assert_eq!(
            (got.address().as_str(), got.user.as_str(), got.checking),
            ("web:22", "me", HostKeyChecking::Strict)
        );
        assert_eq!(got.identity_files[2], PathBuf::from("/home/me/.ssh/id_ed25519"));
        assert_eq!(got.proxy, Proxy::None);
        assert_eq!(got.methods, [Method::PublicKey, Method::KeyboardInteractive, Method::Password]);
    }

    #[tokio::test]
    async fn a_missing_config_file_is_an_error() {
        let mut context = ConnectContext::new("/home/me", "me");
        context.config_file = Some("/does/not/exist".into());
        let error = Endpoint::of(&Target::ssh("a", "a"), &context).await.unwrap_err();
        assert!(error.to_string().contains("/does/not/exist"), "{error}");
    }

    #[test]
    fn times_with_units() {
        assert_eq!(parse_time("90"), Some(90));
        assert_eq!(parse_time("1m30s"), Some(90));
        assert_eq!(parse_time("soon"), None);
    }
}
