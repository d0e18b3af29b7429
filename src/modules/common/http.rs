//! Requests that a host makes: what `get_url` and `uri` share.
//!
//! All that may be secret (the URL, too: it may hold a password) reaches curl or wget in a file of theirs, never in an
//! argument list.

use super::attributes::FileAttributes;
use crate::host::Stop;
use crate::values::{Map, Value};
use std::fmt::Write as _;

crate::module_args! {
    /// What all modules take that make requests and put the answer into a file.
    pub struct RequestArgs {
        /// The user to log in as.
        url_username: Option<String>, ["username", "user"];
        /// The password.
        url_password: Option<String>, ["password"];
        /// Send user and password at once, unasked.
        force_basic_auth: bool = false;
        /// Further header lines, by name.
        headers: Option<Value>;
        /// What the request says it is made by.
        http_agent: String = "ansible-httpget";
        /// Use the proxy that the host's environment names.
        use_proxy: bool = true;
        /// Check the server's certificate.
        validate_certs: bool = true;
        /// A client's certificate on the host, in PEM.
        client_cert: Option<String>;
        /// Its key on the host, where it is not in the same file.
        client_key: Option<String>;
    } + attributes: FileAttributes
}

/// One request.
pub struct Request<'a> {
    /// Where to.
    pub url: &'a str,
    /// What is shared.
    pub args: &'a RequestArgs,
    /// GET or another; none leaves it to the tool.
    pub method: Option<&'a str>,
    /// Header lines beside those of the arguments.
    pub headers: Vec<(String, String)>,
    /// Whether to go where the server sends one.
    pub follow: bool,
    /// How long the server may be silent, in seconds.
    pub timeout: i64,
    /// Authorities on the host, in PEM.
    pub ca_path: Option<&'a str>,
    /// A socket on the host, in place of the network.
    pub unix_socket: Option<&'a str>,
}

/// Names and values of header lines.
///
/// # Errors
/// A failure where one can't be a header line.
pub fn header_lines(headers: Option<&Value>) -> Result<Vec<(String, String)>, Stop> {
    let pairs: Vec<(String, String)> = match headers {
        None | Some(Value::Null | Value::Omit) => Vec::new(),
        Some(Value::Map(map)) => map.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect(),
        Some(Value::Str(text)) => text
            .split(',')
            .filter(|p| !p.trim().is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once(':').ok_or_else(|| {
                    Stop::fail("`headers` must be a mapping, or a string like `name:value,name:value`")
                })?;
                Ok((name.trim().to_owned(), value.trim().to_owned()))
            })
            .collect::<Result<_, Stop>>()?,
        Some(other) => return Err(Stop::fail(format!("`headers` must be a mapping, not {}", other.describe()))),
    };
    for (name, value) in &pairs {
        let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            return Err(Stop::fail(format!("{name:?} can't be the name of a header line")));
        }
        if value.contains(['\n', '\r', '\0']) {
            return Err(Stop::fail(format!("the value of the header `{name}` holds a line break")));
        }
    }
    Ok(pairs)
}

impl Request<'_> {
    /// # Errors
    /// A failure where a part of the request can't be.
    pub fn check(&self) -> Result<(), Stop> {
        let scheme = self.url.split_once("://").map(|(s, _)| s.to_ascii_lowercase()).unwrap_or_default();
        if !["http", "https", "ftp", "file"].contains(&scheme.as_str()) {
            return Err(Stop::fail("`url` must begin with http://, https://, ftp:// or file://"));
        }
        let args = self.args;
        let all = [
            ("url", Some(self.url)),
            ("url_username", args.url_username.as_deref()),
            ("url_password", args.url_password.as_deref()),
            ("http_agent", Some(args.http_agent.as_str())),
            ("client_cert", args.client_cert.as_deref()),
            ("client_key", args.client_key.as_deref()),
            ("ca_path", self.ca_path),
            ("unix_socket", self.unix_socket),
        ];
        for (name, value) in all {
            if value.is_some_and(|v| v.contains(['\n', '\r', '\0'])) {
                return Err(Stop::fail(format!("`{name}` holds a line break or a NUL")));
            }
        }
        header_lines(args.headers.as_ref()).map(|_| ())
    }

    fn all_headers(&self) -> Result<Vec<(String, String)>, Stop> {
        let mut lines = header_lines(self.args.headers.as_ref())?;
        for (name, value) in &self.headers {
            if !lines.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                lines.push((name.clone(), value.clone()));
            }
        }
        Ok(lines)
    }

    /// The request as curl's configuration (its `-K`).
    ///
    /// # Errors
    /// As [`Request::check`].
    pub fn curl(&self) -> Result<String, Stop> {
        self.check()?;
        let mut out = String::new();
        let mut flag = |name: &str| {
            let _ = writeln!(out, "{name}");
        };
        flag("silent");
        flag("show-error");
        flag("globoff");
        if self.follow {
            flag("location");
        }
        if !self.args.validate_certs {
            flag("insecure");
        }
        if self.args.url_username.is_some() {
            // Unasked, or as the server asks for it.
            flag(if self.args.force_basic_auth { "basic" } else { "anyauth" });
        }
        if self.method == Some("HEAD") {
            flag("head");
        }
        let mut set = |name: &str, value: &str| {
            let _ = writeln!(out, "{name} = {}", curl_quoted(value));
        };
        set("url", self.url);
        set("proto", "=http,https,ftp,file");
        set("proto-redir", "=http,https,ftp");
        set("max-redirs", "10");
        let seconds = self.timeout.max(1).to_string();
        // The limit is on silence, not on the whole: a large file may take its time.
        set("connect-timeout", &seconds);
        set("speed-limit", "1");
        set("speed-time", &seconds);
        set("user-agent", &self.args.http_agent);
        if let Some(method) = self.method.filter(|m| *m != "HEAD") {
            set("request", method);
        }
        if !self.args.use_proxy {
            set("noproxy", "*");
        }
        if let Some(user) = &self.args.url_username {
            set("user", &format!("{user}:{}", self.args.url_password.as_deref().unwrap_or_default()));
        }
        for (name, value) in [
            ("cert", self.args.client_cert.as_deref()),
            ("key", self.args.client_key.as_deref()),
            ("cacert", self.ca_path),
            ("unix-socket", self.unix_socket),
        ] {
            if let Some(value) = value {
                set(name, value);
            }
        }
        for (name, value) in self.all_headers()? {
            // curl sends an empty header only when it is written with a semicolon.
            let line = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
            set("header", &line);
        }
        Ok(out)
    }

    /// The request as wget's configuration, for hosts without curl.
    ///
    /// # Errors
    /// As [`Request::check`].
    pub fn wget(&self) -> Result<String, Stop> {
        self.check()?;
        let mut out = String::from("tries = 2\n");
        let mut set = |name: &str, value: &str| {
            let _ = writeln!(out, "{name} = {value}");
        };
        set("timeout", &self.timeout.max(1).to_string());
        set("user_agent", &self.args.http_agent);
        if !self.args.validate_certs {
            set("check_certificate", "off");
        }
        if !self.args.use_proxy {
            set("use_proxy", "off");
        }
        for (name, value) in [
            ("http_user", &self.args.url_username),
            ("http_password", &self.args.url_password),
            ("certificate", &self.args.client_cert),
            ("private_key", &self.args.client_key),
        ] {
            if let Some(value) = value {
                set(name, value);
            }
        }
        if self.args.force_basic_auth {
            set("auth_no_challenge", "on");
        }
        for (name, value) in self.all_headers()? {
            set("header", &format!("{name}: {value}"));
        }
        Ok(out)
    }
}

/// A value in curl's configuration: in double quotes, where a backslash escapes.
fn curl_quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t"))
}

/// A URL for people, its password hidden.
pub fn masked(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rsplit_once('@').and_then(|(login, host)| Some((login.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{scheme}://{user}:********@{host}{}", &rest[end..]),
        None => url.to_owned(),
    }
}

/// The last part of a URL's path, as a file's name.
pub fn file_name(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, r)| r);
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    match path.split_once('/').map(|(_, p)| p.rsplit('/').next().unwrap_or_default()) {
        None | Some("" | "." | "..") => "index.html",
        Some(name) => name,
    }
}

/// What a script said in lines of `name=value`, up to an empty line.
pub fn said(output: &str) -> Map {
    output
        .lines()
        .take_while(|l| !l.is_empty())
        .filter_map(|l| l.split_once('='))
        .map(|(k, v)| (k.into(), Value::from(v)))
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::modules::args::Arguments as _;

    fn request<'a>(args: &'a RequestArgs, url: &'a str) -> Request<'a> {
        Request {
            url,
            args,
            method: Some("GET"),
            headers: vec![("Content-Type".into(), "a/b".into())],
            follow: true,
            timeout: 10,
            ca_path: None,
            unix_socket: None,
        }
    }

    fn args(pairs: serde_json::Value) -> RequestArgs {
        let map: Value = serde_json::from_value(pairs).unwrap();
        RequestArgs::from_map(map.as_map().unwrap()).unwrap()
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let args = args(serde_json::json!({"headers": {"X-A": "a\"\\b", "content-type": "x"}, "password": "p\"w",
            "username": "u"}));
        let text = request(&args, "https://h/a\"b").curl().unwrap();
        assert!(text.contains("url = \"https://h/a\\\"b\"\n"));
        assert!(text.contains("header = \"X-A: a\\\"\\\\b\"\n"));
        assert!(text.contains("user = \"u:p\\\"w\"\n"));
        assert!(!text.contains("a/b"), "a header of the user's own wins");
    }

    #[test]
    fn line_breaks_are_refused() {
        for pairs in [
            serde_json::json!({"headers": {"X": "a\r\nY: b"}}),
            serde_json::json!({"headers": {"X: y": "a"}}),
            serde_json::json!({"username": "a\noutput = /etc/passwd"}),
        ] {
            let args = args(pairs);
            assert!(request(&args, "http://h/").curl().is_err());
            assert!(request(&args, "http://h/").wget().is_err());
        }
        assert!(request(&args(serde_json::json!({})), "gopher://h/").curl().is_err());
    }

    #[test]
    fn urls_for_people_and_files() {
        assert_eq!(masked("https://u:p@h:1/x@y"), "https://u:********@h:1/x@y");
        assert_eq!(masked("https://h/u:p@x"), "https://h/u:p@x");
        assert_eq!(file_name("http://h/a/b.tgz?x=/y"), "b.tgz");
        assert_eq!(
            (file_name("http://h"), file_name("http://h/a/"), file_name("http://h/..")),
            ("index.html", "index.html", "index.html")
        );
    }
}
