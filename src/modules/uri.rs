//! `uri`: a request that the host makes, and its answer.

use super::args::Arguments;
use super::common::http::{self, Request, RequestArgs};
use super::common::{exec, paths, text};
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::{Action, Content, Decision, Failure, Output, PathKind, PathState, Run, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// How the body is written.
    pub enum BodyFormat {
        /// `name=value&…`
        Form = "form-urlencoded",
        /// JSON.
        Json = "json",
        /// As it is.
        Raw = "raw",
        /// Parts, which may be files.
        Multipart = "form-multipart",
    }
}

crate::module_choices! {
    /// Whether to go where the server sends one.
    pub enum Follow {
        /// Always.
        All = "all" | "yes",
        /// Never.
        None = "none" | "no",
        /// Where the method is GET or HEAD.
        Safe = "safe",
    }
}

crate::module_args! {
    /// What `uri` takes.
    pub struct UriArgs {
        /// Where to.
        url: String;
        /// The method.
        method: String = "GET";
        /// What is sent.
        body: Option<Value>;
        /// How it is written.
        body_format: BodyFormat = BodyFormat::Raw;
        /// A file whose content is sent.
        src: Option<String>;
        /// `src` is on the host.
        remote_src: bool = false;
        /// The answers that are a success.
        status_code: Vec<String>;
        /// Put the answer's content into the result.
        return_content: bool = false;
        /// Put it into this file on the host.
        dest: Option<String>;
        /// Ask for it even where the file in `dest` is not older.
        force: bool = false;
        /// Whether to go where the server sends one.
        follow_redirects: Follow = Follow::Safe;
        /// A path or glob pattern: where something is there, no request is made.
        creates: Option<String>;
        /// A path or glob pattern: where nothing is there, no request is made.
        removes: Option<String>;
        /// How long the server may be silent, in seconds.
        timeout: i64 = 30i64;
        /// A socket on the host, in place of the network.
        unix_socket: Option<String>;
        /// Authorities on the host, in PEM.
        ca_path: Option<String>;
    } + request: RequestArgs
}

/// The module.
pub static MODULE: Module = Module {
    names: &["uri", "ansible.builtin.uri", "ansible.legacy.uri"],
    doc: "A request that the host makes, and its answer.",
    args: <UriArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // What a request does to the world is not known.
    writes: anything,
};

/// Asks. `$WINDLASS_DIR` holds `curl` (the request) and `body`. Prints lines of `name=value`, an empty line, the header
/// lines, and the content where `$3` says so.
const ASK: &str = r#"body=$1 since=$2 show=$3 dest=$4 mode=$5 owner=$6 group=$7 good=$8
command -v curl >/dev/null 2>&1 || { echo 'the host needs curl to make requests (package curl)' >&2; exit 101; }
set --
case $body in
  '') ;;
  .) set -- --data-binary "@$WINDLASS_DIR/body" ;;
  *) [ -r "$body" ] || { echo "can't read the source file $body" >&2; exit 101; }
    set -- --data-binary "@$body" ;;
esac
[ -z "$since" ] || set -- "$@" -z "$since"
out=$WINDLASS_DIR/answer headers=$WINDLASS_DIR/headers
: >"$out"; : >"$headers"
said=$(curl -K "$WINDLASS_DIR/curl" -D "$headers" -o "$out" \
  -w 'status=%{http_code}\nredirects=%{num_redirects}\nurl=%{url_effective}\n' "$@" 2>"$WINDLASS_DIR/errors")
rc=$?
echo "curl=$rc"
printf '%s\n' "$said"
[ "$rc" -eq 0 ] || echo "error=$(tr '\n' ' ' <"$WINDLASS_DIR/errors")"
status=$(printf '%s\n' "$said" | sed -n 's/^status=//p')
if [ -n "$dest" ] && [ "$rc" -eq 0 ] && [ "$status" != 304 ]; then
  case $good in *" $status "*)
    if [ -f "$dest" ] && cmp -s "$out" "$dest"; then echo changed=no
    else
      umask 077
      tmp=$(mktemp "${dest%/*}/.windlass.XXXXXXXX") || exit 1
      trap 'rm -f "$tmp"' EXIT
      trap 'exit 1' HUP INT TERM
      cat <"$out" >"$tmp" || exit 1
      [ -z "$owner" ] || chown -- "$owner" "$tmp" || exit 1
      [ -z "$group" ] || chgrp -- "$group" "$tmp" || exit 1
      chmod -- "$mode" "$tmp" && mv -f -- "$tmp" "$dest" || exit 1
      echo changed=yes
    fi ;;
  esac
fi
echo "headers=$(wc -c <"$headers" | tr -d ' ')"
echo
cat "$headers"
[ "$show" = no ] || cat "$out"
exit 0
"#;

fn plan(args: &UriArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let method = args.method.to_ascii_uppercase();
    if method.is_empty() || !method.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(Stop::fail(format!("`method` must be one word like GET or POST, not `{}`", args.method)));
    }
    let good = args
        .status_code
        .iter()
        .map(|c| c.parse::<i64>().map_err(|_| Stop::fail(format!("`status_code` must be integers, not `{c}`"))))
        .collect::<Result<Vec<_>, _>>()?;
    let good = if good.is_empty() { vec![200] } else { good };
    if args.body.is_some() && args.src.is_some() {
        return Err(Stop::fail("`body` and `src` exclude each other"));
    }
    let (body, content_type) = body(args, view)?;
    let request = Request {
        url: &args.url,
        args: &args.request,
        method: Some(&method),
        headers: content_type.map(|t| ("Content-Type".to_owned(), t)).into_iter().collect(),
        follow: match args.follow_redirects {
            Follow::All => true,
            Follow::None => false,
            Follow::Safe => matches!(method.as_str(), "GET" | "HEAD"),
        },
        timeout: args.timeout,
        ca_path: args.ca_path.as_deref(),
        unix_socket: args.unix_socket.as_deref(),
    };
    request.check()?;
    let dest = args.dest.as_deref().map(|d| paths::absolute(view, "dest", d)).transpose()?;
    if view.memory().is_some() {
        return report(args, view, &good, dest.as_deref());
    }
    let at_dest = dest.as_deref().map(|d| view.path_with(d, true, None));
    let home = &view.whoami().home;
    if let Some(why) = exec::needless(view, args.creates.as_deref(), args.removes.as_deref(), home)? {
        return Ok(Decision::nothing(TaskResult::ok().with("stdout", format!("skipped, since {why}"))));
    }
    let now = at_dest.transpose()?.unwrap_or_else(PathState::absent);
    let target = match (&dest, now.kind) {
        (Some(dest), PathKind::Directory) => format!("{dest}/{}", http::file_name(&args.url)),
        (Some(dest), _) => now.real.clone().unwrap_or_else(|| dest.clone()),
        (None, _) => String::new(),
    };
    let before = if now.kind == PathKind::File { now } else { PathState::absent() };
    let attributes = &args.request.attributes;
    let mode = format!("{:04o}", attributes.final_mode(&before, 0o644)?);
    let kept = |wanted: &Option<String>, number: Option<u32>| {
        wanted.clone().or_else(|| number.map(|n| n.to_string())).unwrap_or_default()
    };
    let codes = format!(" {} ", good.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let remote = match (&args.src, args.remote_src) {
        (Some(src), true) => Some(paths::absolute(view, "src", src)?),
        _ => None,
    };
    let sent = match (&remote, &body) {
        (Some(path), _) => path.as_str(),
        (None, Some(_)) => ".",
        (None, None) => "",
    };
    let since = if dest.is_some() && before.exists() && !args.force { target.as_str() } else { "" };
    let show = if dest.is_some() && !args.return_content { "no" } else { "yes" };
    let owner = kept(&attributes.owner, before.uid);
    let group = kept(&attributes.group, before.gid);
    let mut run = Run::sh(ASK, &[sent, since, show, &target, &mode, &owner, &group, &codes]);
    run.attach = vec![("curl".to_owned(), Content::text(&request.curl()?))];
    run.attach.extend(body.map(|b| ("body".to_owned(), b)));
    let shows = format!("{method} {}", http::masked(&args.url));
    let mut actions = vec![Action::run(run, shows).tolerant()];
    if before.exists() {
        actions.extend(attributes.change(&target, &before, true)?);
    }
    let foretold = TaskResult::changed(dest.is_some())
        .with("url", http::masked(&args.url))
        .with("status", Value::Unknown)
        .with("content", Value::Unknown)
        .with("json", Value::Unknown);
    Ok(Decision::report(foretold, actions))
}

/// What is sent, and its type.
fn body(args: &UriArgs, view: &View<'_>) -> Result<(Option<Content>, Option<String>), Stop> {
    if let Some(src) = args.src.as_deref().filter(|_| !args.remote_src) {
        return Ok((Some(Content::File(view.controller().source("files", src).map_err(Stop::fail)?)), None));
    }
    let kind = |t: &str| Some(t.to_owned());
    let Some(body) = &args.body else { return Ok((None, None)) };
    Ok(match (args.body_format, body) {
        (BodyFormat::Json, Value::Str(text)) => (Some(Content::text(text)), kind("application/json")),
        (BodyFormat::Json, other) => (Some(Content::text(&text::json(other)?)), kind("application/json")),
        (BodyFormat::Form, other) => (Some(Content::text(&form(other)?)), kind("application/x-www-form-urlencoded")),
        (BodyFormat::Multipart, Value::Map(parts)) => {
            let boundary = format!("windlass-{}", view.nonce());
            let bytes = multipart(view, parts, &boundary)?;
            (Some(Content::Bytes(bytes.into())), kind(&format!("multipart/form-data; boundary={boundary}")))
        }
        (BodyFormat::Multipart, _) => return Err(Stop::fail("`body` must be a mapping with `form-multipart`")),
        (BodyFormat::Raw, Value::Map(_) | Value::List(_)) => {
            return Err(Stop::fail("`body` is no string; say how to write it (`body_format: json`)"));
        }
        (BodyFormat::Raw, other) => (Some(Content::text(&other.to_string())), None),
    })
}

fn form(body: &Value) -> Result<String, Stop> {
    let quoted = |text: &str| -> String {
        text.bytes()
            .map(|b| match b {
                b' ' => "+".to_owned(),
                b if b.is_ascii_alphanumeric() || b"_.-~".contains(&b) => char::from(b).to_string(),
                b => format!("%{b:02X}"),
            })
            .collect()
    };
    let pairs: Vec<(String, Value)> = match body {
        Value::Str(text) => return Ok(text.to_string()),
        Value::Map(map) => map.iter().map(|(k, v)| (k.to_string(), v.clone())).collect(),
        Value::List(items) => items
            .iter()
            .map(|item| match item.as_list() {
                Some([key, value]) => Ok((key.to_string(), value.clone())),
                _ => Err(Stop::fail("`body` must be a list of pairs with `form-urlencoded`")),
            })
            .collect::<Result<_, _>>()?,
        other => return Err(Stop::fail(format!("`body` must be a mapping, not {}", other.describe()))),
    };
    let mut out = Vec::new();
    for (key, value) in pairs {
        let values = value.as_list().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
        for value in values.iter().filter(|v| **v != Value::Null) {
            out.push(format!("{}={}", quoted(&key), quoted(&value.to_string())));
        }
    }
    Ok(out.join("&"))
}

fn multipart(view: &View<'_>, parts: &Map, boundary: &str) -> Result<Vec<u8>, Stop> {
    let mut out = Vec::new();
    let quoted = |t: &str| t.replace('\\', "\\\\").replace('"', "%22").replace(['\r', '\n'], " ");
    for (name, value) in parts {
        out.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name)).bytes());
        let field = |n: &str| value.get(n).and_then(Value::as_str);
        let content = match value {
            Value::Map(_) => match (field("content"), field("filename")) {
                (Some(text), _) => text.as_bytes().to_vec(),
                (None, Some(file)) => view.controller().read("files", file).map_err(Stop::fail)?,
                (None, None) => {
                    return Err(Stop::fail(format!("the part `{name}` needs `content` or `filename`")));
                }
            },
            Value::List(_) => return Err(Stop::fail(format!("the part `{name}` must be a string or a mapping"))),
            other => other.to_string().into_bytes(),
        };
        if let Some(file) = field("filename") {
            out.extend(format!("; filename=\"{}\"", quoted(crate::host::key::file_name(file))).bytes());
            let kind = field("mime_type").unwrap_or("application/octet-stream");
            out.extend(format!("\r\nContent-Type: {}", quoted(kind)).bytes());
        }
        out.extend(b"\r\n\r\n");
        out.extend(content);
        out.extend(b"\r\n");
    }
    out.extend(format!("--{boundary}--\r\n").bytes());
    Ok(out)
}

fn report(args: &UriArgs, view: &View<'_>, good: &[i64], dest: Option<&str>) -> Result<Decision, Stop> {
    let Some(output) = view.outputs().first().filter(|o| o.success() && !o.timed_out) else {
        let why = view.outputs().first().map(|o| o.err().trim().to_owned()).unwrap_or_default();
        let mut failure = Failure { message: format!("the request could not be made: {why}"), data: Map::new() };
        failure.data.insert("status".into(), Value::from(-1));
        return Err(Stop::Fail(Box::new(failure)));
    };
    let answer = Answer::read(output);
    let mut result = TaskResult::changed(answer.text("changed") == Some("yes") || view.outputs().len() > 1);
    let asked = http::masked(&args.url);
    let url = answer.text("url").map_or_else(|| asked.clone(), http::masked);
    let reached = answer.text("curl") == Some("0");
    let status = if reached { answer.text("status").and_then(|s| s.parse().ok()).unwrap_or(-1) } else { -1 };
    result = result
        // A second request that only logs in counts for curl, and is no redirection.
        .with("redirected", answer.text("redirects").is_some_and(|r| r != "0") && url != asked)
        .with("url", url)
        .with("status", status)
        .with("elapsed", output.took / 1_000_000);
    let mut msg = format!("HTTP Error {status}: {}", answer.reason);
    if !reached {
        msg = format!("Request failed: {}", answer.text("error").unwrap_or("no answer").trim());
    } else if (200..300).contains(&status) {
        msg = format!("OK ({} bytes)", answer.header("content-length").unwrap_or("unknown"));
    }
    answer.fields(&mut result.data);
    if let Some(dest) = dest {
        result = result.with("path", dest);
    }
    let is_json = answer.header("content-type").is_some_and(|t| {
        let kind = t.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let sub = kind.split('/').nth(1).unwrap_or_default();
        let suffix = sub.rsplit('+').next().unwrap_or_default();
        ["json", "javascript"].contains(&suffix)
    });
    if is_json && let Ok(json) = serde_json::from_slice::<Value>(&answer.content) {
        result = result.with("json", json);
    }
    if args.return_content {
        result = result.with("content", String::from_utf8_lossy(&answer.content).into_owned());
    }
    if !good.contains(&status) {
        let list: Vec<String> = good.iter().map(ToString::to_string).collect();
        msg = format!("Status code was {status} and not [{}]: {msg}", list.join(", "));
        result.failed = true;
    }
    Ok(Decision::nothing(result.msg(msg)))
}

/// What a server answered, taken apart.
struct Answer {
    said: Map,
    /// Of the last answer, where there were redirections; names in lower case.
    headers: Vec<(String, String)>,
    reason: String,
    content: Vec<u8>,
}

impl Answer {
    fn read(output: &Output) -> Self {
        let out = &output.stdout;
        let end = out.windows(2).position(|w| w == b"\n\n").map_or(out.len(), |i| i + 2);
        let said = http::said(&String::from_utf8_lossy(&out[..end]));
        let len = said.get("headers").and_then(Value::as_str).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
        let middle = (end + len).min(out.len());
        let block = String::from_utf8_lossy(&out[end..middle]).into_owned();
        let (mut headers, mut reason) = (Vec::new(), String::new());
        for line in block.lines().map(|l| l.trim_end_matches('\r')) {
            if line.starts_with("HTTP/") {
                headers.clear();
                line.splitn(3, ' ').nth(2).unwrap_or_default().clone_into(&mut reason);
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        Self { said, headers, reason, content: out[middle..].to_vec() }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.said.get(name).and_then(Value::as_str)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// Header lines as fields of a result, and cookies.
    fn fields(&self, data: &mut Map) {
        let mut cookies = Map::new();
        let mut joined: Map = Map::new();
        for (name, value) in &self.headers {
            let field: std::sync::Arc<str> = name.replace('-', "_").into();
            let all = match joined.get(&field) {
                Some(before) => format!("{before}, {value}"),
                None => value.clone(),
            };
            joined.insert(field, all.into());
            if name == "set-cookie"
                && let Some((key, value)) = value.split(';').next().and_then(|c| c.split_once('='))
            {
                cookies.insert(key.trim().into(), value.trim().into());
            }
        }
        for (field, value) in joined {
            // What this module says itself is not to be spoken over by a server.
            if ![
                "status",
                "url",
                "msg",
                "changed",
                "failed",
                "elapsed",
                "redirected",
                "json",
                "content",
                "path",
                "skipped",
            ]
            .contains(&&*field)
            {
                data.insert(field, value);
            }
        }
        let text: Vec<String> = cookies.iter().map(|(k, v)| format!("{k}={v}")).collect();
        data.insert("cookies_string".into(), text.join("; ").into());
        data.insert("cookies".into(), cookies.into());
    }
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
