//! The ssh options that are understood: from `ansible_ssh_common_args` and friends, and by name in `ssh_config`.

use super::error::{Problem, Step, TransportError};
use std::path::PathBuf;

/// Options given on ssh's command line, in order: the first value of a keyword wins over all later ones and over
/// `ssh_config`, except that identity files add up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Overrides {
    /// Lower-case keyword and value, as in `-o Keyword=value`.
    pub options: Vec<(String, String)>,
    /// `-F`: read this file in place of the user's and the system's configuration.
    pub config_file: Option<PathBuf>,
}

impl Overrides {
    pub(crate) fn push(&mut self, keyword: &str, value: impl Into<String>) {
        self.options.push((keyword.to_ascii_lowercase(), value.into()));
    }
}

/// What Windlass makes of an OpenSSH option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Support {
    /// It acts on it.
    Used,
    /// It has no meaning here (terminals, multiplexing, logging): harmless to leave out.
    Moot,
    /// Leaving it out would change what the user asked for.
    Refused(&'static str),
}

/// Judges an option by its lower-case keyword and value.
pub(crate) fn support(keyword: &str, value: &str) -> Support {
    let off = matches!(value.to_ascii_lowercase().as_str(), "no" | "none" | "false" | "off" | "");
    match keyword {
        "hostname"
        | "user"
        | "port"
        | "identityfile"
        | "certificatefile"
        | "identitiesonly"
        | "identityagent"
        | "proxyjump"
        | "proxycommand"
        | "userknownhostsfile"
        | "globalknownhostsfile"
        | "stricthostkeychecking"
        | "hostkeyalias"
        | "connecttimeout"
        | "hashknownhosts"
        | "addressfamily"
        | "compression"
        | "batchmode"
        | "serveraliveinterval"
        | "serveralivecountmax"
        | "preferredauthentications"
        | "passwordauthentication"
        | "pubkeyauthentication"
        | "kbdinteractiveauthentication"
        | "challengeresponseauthentication"
        | "connectionattempts" => Support::Used,
        "controlmaster"
        | "controlpersist"
        | "controlpath"
        | "loglevel"
        | "logverbose"
        | "requesttty"
        | "escapechar"
        | "visualhostkey"
        | "sendenv"
        | "setenv"
        | "addkeystoagent"
        | "updatehostkeys"
        | "checkhostip"
        | "tcpkeepalive"
        | "ipqos"
        | "numberofpasswordprompts"
        | "forwardx11"
        | "forwardx11timeout"
        | "forwardx11trusted"
        | "xauthlocation"
        | "permitlocalcommand"
        | "localcommand"
        | "clearallforwardings"
        | "exitonforwardfailure"
        | "gatewayports"
        | "fingerprinthash"
        | "rekeylimit"
        | "streamlocalbindmask"
        | "streamlocalbindunlink"
        | "syslogfacility"
        | "usekeychain"
        | "stdinnull"
        | "forkafterauthentication"
        | "sessiontype"
        | "enableescapecommandline"
        | "hostbasedauthentication"
        | "hostbasedacceptedalgorithms"
        | "enablesshkeysign"
        | "permitremoteopen"
        | "gssapikeyexchange"
        | "gssapidelegatecredentials"
        | "gssapirenewalforcesrekey"
        | "gssapitrustdns"
        | "gssapiauthentication"
        | "gssapiclientidentity"
        | "gssapiserveridentity"
        | "gssapikexalgorithms"
        | "requiredrsasize"
        | "tag"
        | "ignoreunknown"
        | "securitykeyprovider"
        | "obscurekeystroketiming"
        | "channeltimeout"
        | "warnweakcrypto"
        | "nohostauthenticationforlocalhost"
        | "tunneldevice"
        | "remotecommand" => match keyword {
            "nohostauthenticationforlocalhost" if !off => {
                Support::Refused("host keys are always checked; set ansible_ssh_host_key_checking for that host")
            }
            "remotecommand" if !off => {
                Support::Refused("Windlass starts its own commands; give it a Host block without it")
            }
            _ => Support::Moot,
        },
        "forwardagent" if off => Support::Moot,
        "forwardagent" => Support::Refused("an agent is not forwarded; use ProxyJump, or a key on the host"),
        "canonicaldomains" | "canonicalizefallbacklocal" | "canonicalizemaxdots" | "canonicalizepermittedcnames" => {
            Support::Moot
        }
        "tunnel"
        | "localforward"
        | "remoteforward"
        | "dynamicforward"
        | "canonicalizehostname"
        | "proxyusefdpass"
        | "verifyhostkeydns"
        | "knownhostscommand"
        | "revokedhostkeys"
        | "pkcs11provider"
        | "bindaddress"
        | "bindinterface"
            if off =>
        {
            Support::Moot
        }
        "knownhostscommand" => Support::Refused("write its output to a file and name that in UserKnownHostsFile"),
        "revokedhostkeys" => Support::Refused("mark revoked keys with @revoked in a known_hosts file"),
        "pkcs11provider" => Support::Refused("load the key into ssh-agent (ssh-add -s)"),
        "ciphers"
        | "macs"
        | "kexalgorithms"
        | "hostkeyalgorithms"
        | "pubkeyacceptedalgorithms"
        | "pubkeyacceptedkeytypes"
        | "casignaturealgorithms" => {
            Support::Refused("Windlass offers current algorithms only, in an order of its own; remove the option")
        }
        _ => Support::Refused("remove it, or move what it does into what Windlass supports (see the documentation)"),
    }
}

/// An argument that is not understood.
#[derive(Debug)]
pub(crate) struct ArgumentError {
    option: String,
    advice: String,
}

impl ArgumentError {
    fn new(option: &str, advice: &str) -> Self {
        Self { option: option.to_owned(), advice: advice.to_owned() }
    }

    pub(crate) fn at(self, host: &str, origin: &str) -> TransportError {
        let problem =
            Problem::UnsupportedOption { origin: origin.to_owned(), option: self.option, advice: self.advice };
        TransportError::new(host, Step::Variables, problem)
    }
}

/// Reads ssh command-line arguments as a shell would split them.
pub(crate) fn parse_arguments(text: &str, into: &mut Overrides) -> Result<(), ArgumentError> {
    let words = split_words(text).ok_or_else(|| ArgumentError::new(text, "a quote in it is never closed"))?;
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|rest| !rest.is_empty() && !rest.starts_with('-')) else {
            return Err(ArgumentError::new(&word, "only options are expected there"));
        };
        let mut rest = letters;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            if "oJipFlE".contains(letter) {
                let value = if rest.is_empty() { words.next() } else { Some(rest.to_owned()) };
                let flag = format!("-{letter}");
                let value = value.ok_or_else(|| ArgumentError::new(&flag, "it needs a value"))?;
                with_value(letter, &value, into)?;
                break;
            }
            match letter {
                // Quiet, verbose, no terminal, no X11 or agent forwarding, no command's input: all as it is anyway.
                'q' | 'v' | 'T' | 'x' | 'a' | 'n' => {}
                'C' => into.push("compression", "yes"),
                '4' => into.push("addressfamily", "inet"),
                '6' => into.push("addressfamily", "inet6"),
                _ => {
                    let advice = "supported are -o, -J, -i, -p, -l, -F, -C, -4, -6, -q, -v, -T, -x, -a and -n";
                    return Err(ArgumentError::new(&format!("-{letter}"), advice));
                }
            }
        }
    }
    Ok(())
}

fn with_value(letter: char, value: &str, into: &mut Overrides) -> Result<(), ArgumentError> {
    match letter {
        'o' => {
            let (keyword, value) = split_option(value)
                .ok_or_else(|| ArgumentError::new(value, "an option is written -o Keyword=value"))?;
            match support(&keyword.to_ascii_lowercase(), &value) {
                Support::Used => {
                    into.push(&keyword, value);
                }
                Support::Moot => {}
                Support::Refused(advice) => return Err(ArgumentError::new(&keyword, advice)),
            }
        }
        'J' => into.push("proxyjump", value),
        'i' => into.push("identityfile", value),
        'p' => into.push("port", value),
        'l' => into.push("user", value),
        'F' => {
            into.config_file.get_or_insert_with(|| PathBuf::from(value));
        }
        _ => {} // -E names a log file.
    }
    Ok(())
}

/// Splits `Keyword value`, `Keyword=value` or `Keyword = value`.
pub(crate) fn split_option(text: &str) -> Option<(String, String)> {
    let text = text.trim();
    let end = text.find(|c: char| c.is_whitespace() || c == '=')?;
    let (keyword, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
    (!keyword.is_empty()).then(|| (keyword.to_owned(), rest.to_owned()))
}

/// Splits words at blanks, with single quotes, double quotes and backslashes as in a shell. `None`: an open quote.
pub(crate) fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(q), c) if c == q => quote = None,
            (None, '\\') => word.get_or_insert_default().extend(chars.next()),
            (Some('"'), '\\') => {
                let next = chars.next()?;
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().push(next);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return None;
    }
    words.extend(word);
    Some(words)
}

/// Whether a host name can stand in a command line and a message: no blanks, control or shell characters.
pub(crate) fn is_safe_host(host: &str) -> bool {
    !host.is_empty()
        && !host.starts_with('-')
        && !host.chars().any(|c| c.is_whitespace() || c.is_control() || "'`\"$\\;&<>|(){}*?!#,".contains(c))
}

/// Whether a user name can stand in a command line (the same rule as OpenSSH's for names from the command line).
pub(crate) fn is_safe_user(user: &str) -> bool {
    !user.is_empty()
        && !user.starts_with('-')
        && !user.ends_with('\\')
        && !user.chars().any(|c| c.is_control() || c.is_whitespace() || "'`\";&<>|(){}$".contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn parse(text: &str) -> Result<Overrides, ArgumentError> {
        let mut overrides = Overrides::default();
        parse_arguments(text, &mut overrides).map(|()| overrides)
    }

    #[test]
    fn options_are_read_in_all_their_spellings() {
        let got =
            parse(r#"-o ProxyJump=a,b -oPort=22 -o "User me" -i '/k e y' -p2200 -l you -J c -F /cfg -C4q"#).unwrap();
        let want = [
            ("proxyjump", "a,b"),
            ("port", "22"),
            ("user", "me"),
            ("identityfile", "/k e y"),
            ("port", "2200"),
            ("user", "you"),
            ("proxyjump", "c"),
            ("compression", "yes"),
            ("addressfamily", "inet"),
        ];
        assert_eq!(got.options, want.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(got.config_file, Some(PathBuf::from("/cfg")));
    }

    #[test]
    fn a_proxy_command_keeps_its_quotes_inside() {
        let got = parse(r#"-o ProxyCommand="ssh -W %h:%p -q bastion""#).unwrap();
        assert_eq!(got.options, [("proxycommand".to_owned(), "ssh -W %h:%p -q bastion".to_owned())]);
    }

    #[test]
    fn multiplexing_options_are_moot() {
        assert_eq!(parse("-C -o ControlMaster=auto -o ControlPersist=60s").unwrap().options.len(), 1);
    }

    #[test]
    fn the_rest_is_refused_by_name() {
        for (text, name) in [
            ("-o ForwardAgent=yes", "ForwardAgent"),
            ("-A", "-A"),
            ("-L 80:a:80", "-L"),
            ("-o Ciphers=3des-cbc", "Ciphers"),
            ("-o Nonsense=1", "Nonsense"),
            ("host", "host"),
            ("-o", "-o"),
            ("-o 'User=a", "-o 'User=a"),
        ] {
            assert_eq!(parse(text).unwrap_err().option, name);
        }
        assert!(parse("-o ForwardAgent=no").is_ok());
    }

    #[test]
    fn unsafe_names_are_found() {
        assert!(is_safe_host("web-1.example.org") && is_safe_host("2001:db8::1%eth0"));
        assert!(!is_safe_host("-x") && !is_safe_host("a b") && !is_safe_host("$(id)") && !is_safe_host(""));
        assert!(is_safe_user("deploy") && is_safe_user("DOM\\user") && !is_safe_user("a;b") && !is_safe_user("-l"));
    }
}
