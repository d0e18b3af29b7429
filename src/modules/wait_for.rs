//! `wait_for`: waits until a port answers, a file is there, or the reverse.

use super::args::Arguments;
use super::common::paths;
use super::common::regex::{Over, Pattern, narrow, widen};
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::{Action, Decision, Failure, Run, Stop, TaskResult, View};
use crate::values::{Map, Value};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

crate::module_choices! {
    /// What to wait for.
    pub enum State {
        /// The path is not there.
        Absent = "absent",
        /// Nothing is connected to the port any more.
        Drained = "drained",
        /// The path is there.
        Present = "present",
        /// The port answers.
        Started = "started",
        /// The port does not answer.
        Stopped = "stopped",
    }
}

crate::module_args! {
    /// What `wait_for` takes.
    pub struct WaitArgs {
        /// Whose port, seen from the host.
        host: String = "127.0.0.1";
        /// The port.
        port: Option<i64>;
        /// The path.
        path: Option<String>;
        /// What to wait for.
        state: State = State::Started;
        /// A regular expression to be found in the file, or in what the port sends.
        search_regex: Option<String>;
        /// How long at most, in seconds.
        timeout: i64 = 300i64;
        /// How long to wait for one connection, in seconds.
        connect_timeout: i64 = 5i64;
        /// How long to wait before the first look, in seconds.
        delay: i64 = 0i64;
        /// How long to wait between looks, in seconds.
        sleep: i64 = 1i64;
        /// What to say when it takes too long.
        msg: Option<String>;
        /// The states of a TCP connection that count as connected, for `drained`.
        active_connection_states: Vec<String>;
        /// Whose connections do not count, for `drained`.
        exclude_hosts: Vec<String>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["wait_for", "ansible.builtin.wait_for", "ansible.legacy.wait_for"],
    doc: "Waits until a port answers, a file is there, or the reverse.",
    args: <WaitArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // One waits for what others change.
    writes: anything,
};

/// Looks until what is wanted is so. Ends with status 100 when time is up, 101 where a tool is missing (standard error
/// names it). Standard output: the seconds it took, and what the regular expression found.
const WAIT: &str = r#"kind=$1 want=$2 host=$3 port=$4 path=$5 regex=$6 limit=$7 delay=$8 pause=$9
shift 9
connect=$1 states=$2 locals=$3 excluded=$4
start=$(date +%s) left=$limit found=
needs() { echo "the host needs $1" >&2; exit 101; }
seek() { found=$(grep -ozaP -e "(?m)$regex" -- "$1" 2>/dev/null | tr '\000' '\001'; echo x); found=${found%x}; [ -n "$found" ]; }
if [ -n "$regex" ] && ! echo a | grep -qP a 2>/dev/null; then needs 'GNU grep, for `search_regex` (package grep)'; fi
if [ "$kind" = port ]; then
  if command -v bash >/dev/null 2>&1; then by=bash
  elif command -v nc >/dev/null 2>&1 && [ -z "$regex" ]; then by=nc
  else needs 'bash, to reach a port (package bash)'; fi
  if [ "$by" = bash ] && ! command -v timeout >/dev/null 2>&1; then needs 'timeout (package coreutils)'; fi
  if [ -n "$regex" ]; then heard=$(mktemp) || exit 1; trap 'rm -f "$heard"' EXIT; trap 'exit 1' HUP INT TERM; fi
fi
look() {
  case $kind in
    path)
      if [ "$want" = no ]; then [ -e "$path" ]; return; fi
      [ -e "$path" ] || return 1
      [ -z "$regex" ] || seek "$path" ;;
    port)
      if [ "$connect" -lt "$left" ]; then within=$connect; else within=$left; fi
      [ "$within" -gt 0 ] || within=1
      if [ "$by" = nc ]; then nc -z -w "$within" "$host" "$port" </dev/null >/dev/null 2>&1; return; fi
      timeout "$within" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" >/dev/null 2>&1 || return 1
      [ -n "$regex" ] || return 0
      : >"$heard"
      timeout "$left" bash -c 'exec 3<>"/dev/tcp/$0/$1" || exit 1
        size=0
        while dd bs=4096 count=1 <&3 >>"$2" 2>/dev/null; do
          now=$(wc -c <"$2"); [ "$now" -gt "$size" ] || exit 1
          size=$now
          if grep -qzaP -e "(?m)$3" -- "$2"; then exit 0; fi
        done' "$host" "$port" "$heard" "$regex" >/dev/null 2>&1
      seek "$heard" ;;
    drained)
      cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v port="$port" -v states="$states" -v locals="$locals" -v excluded="$excluded" '
        { split($2, here, ":"); split($3, there, ":") }
        here[2] == port && index(states, " " $4 " ") && !index(excluded, " " there[1] " ") &&
          (locals == "*" || index(locals, " " here[1] " ")) { n++ }
        END { exit n ? 0 : 1 }' ;;
  esac
}
[ "$delay" -le 0 ] || sleep "$delay"
if [ "$kind" = time ]; then sleep "$limit"; echo $(($(date +%s) - start)); exit 0; fi
while left=$((limit - $(date +%s) + start)); [ "$left" -gt 0 ]; do
  if look; then is=yes; else is=no; fi
  if [ "$is" = "$want" ]; then
    echo $(($(date +%s) - start)); printf '%s' "$found"; exit 0
  fi
  sleep "$pause"
done
exit 100
"#;

fn plan(args: &WaitArgs, view: &View<'_>) -> Result<Decision, Stop> {
    check(args)?;
    let pattern = args.search_regex.as_deref().map(|r| Pattern::new(r, Over::Bytes, true, false)).transpose()?;
    if view.memory().is_some() {
        return report(args, view, pattern.as_ref());
    }
    let path = args.path.as_deref().map(|p| paths::absolute(view, "path", p)).transpose()?;
    let kind = match (&path, args.port, args.state) {
        (_, _, State::Drained) => "drained",
        (Some(_), ..) => "path",
        (None, Some(_), _) => "port",
        (None, None, _) => "time",
    };
    let want = if matches!(args.state, State::Started | State::Present) { "yes" } else { "no" };
    let port = args.port.unwrap_or(0);
    let port_text = if kind == "drained" { format!("{port:04X}") } else { port.to_string() };
    let (mut states, mut locals, mut excluded) = (String::new(), String::new(), String::new());
    if kind == "drained" {
        states = codes(&args.active_connection_states)?;
        locals = addresses("host", std::slice::from_ref(&args.host))?;
        excluded = addresses("exclude_hosts", &args.exclude_hosts)?;
    }
    let number = |n: i64| n.max(0).to_string();
    let words = [
        kind,
        want,
        &args.host,
        &port_text,
        path.as_deref().unwrap_or_default(),
        args.search_regex.as_deref().unwrap_or_default(),
        &number(args.timeout),
        &number(args.delay),
        &number(args.sleep.max(1)),
        &number(args.connect_timeout.max(1)),
        &states,
        &locals,
        &excluded,
    ];
    let mut run = Run::sh(WAIT, &words);
    let whole = args.timeout.max(0) + args.delay.max(0) + args.connect_timeout.max(0) + args.sleep.max(1) + 60;
    run.timeout = Some(Duration::from_secs(whole.unsigned_abs()));
    let mut shows = format!("wait until {} is {}", subject(args), args.state.word());
    if let Some(regex) = &args.search_regex {
        let _ = write!(shows, " and matches {regex}");
    }
    let foretold = fields(args).with("elapsed", Value::Unknown);
    Ok(Decision::report(foretold, vec![Action::run(run, shows)]))
}

fn check(args: &WaitArgs) -> Result<(), Stop> {
    if args.port.is_some() && args.path.is_some() {
        return Err(Stop::fail("`port` and `path` exclude each other"));
    }
    if args.path.is_some() && matches!(args.state, State::Stopped | State::Drained) {
        return Err(Stop::fail(format!("`state: {}` is for a port, not for a path", args.state.word())));
    }
    if args.state == State::Drained && args.port.is_none() {
        return Err(Stop::fail("`state: drained` needs `port`"));
    }
    if !args.exclude_hosts.is_empty() && args.state != State::Drained {
        return Err(Stop::fail("`exclude_hosts` is for `state: drained`"));
    }
    if let Some(port) = args.port.filter(|p| !(1..=65535).contains(p)) {
        return Err(Stop::fail(format!("`port` must be from 1 to 65535, not {port}")));
    }
    if args.port.is_some() && (args.host.is_empty() || args.host.contains(['/', '\0', ' ', '\n'])) {
        return Err(Stop::fail(format!("`host` must be a name or an address, not {:?}", args.host)));
    }
    codes(&args.active_connection_states).map(|_| ())
}

/// The states of Linux's `/proc/net/tcp` (include/net/tcp_states.h).
const STATES: [(&str, &str); 6] = [
    ("ESTABLISHED", "01"),
    ("SYN_SENT", "02"),
    ("SYN_RECV", "03"),
    ("FIN_WAIT1", "04"),
    ("FIN_WAIT2", "05"),
    ("TIME_WAIT", "06"),
];

fn codes(names: &[String]) -> Result<String, Stop> {
    let mut out = String::from(" ");
    for (_, code) in STATES.iter().filter(|_| names.is_empty()) {
        let _ = write!(out, "{code} ");
    }
    for name in names {
        let known = STATES.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        let (_, code) = known.ok_or_else(|| {
            let all: Vec<_> = STATES.iter().map(|(n, _)| *n).collect();
            Stop::fail(format!("`active_connection_states` knows {}, not `{name}`", all.join(", ")))
        })?;
        let _ = write!(out, "{code} ");
    }
    Ok(out)
}

/// Addresses as `/proc/net/tcp` and `tcp6` write them; `*` for all of them.
fn addresses(argument: &str, hosts: &[String]) -> Result<String, Stop> {
    let mut out = String::from(" ");
    for host in hosts {
        let address: IpAddr = host
            .parse()
            .or_else(|_| if host == "localhost" { Ok(IpAddr::from([127, 0, 0, 1])) } else { Err(()) })
            .map_err(|()| {
                Stop::fail(format!("`{argument}` must be an IP address with `state: drained`, not `{host}`"))
            })?;
        if address.is_unspecified() {
            return Ok("*".to_owned());
        }
        let words = |octets: &[u8]| -> String {
            octets.chunks(4).flat_map(|w| w.iter().rev()).map(|b| format!("{b:02X}")).collect()
        };
        match address {
            IpAddr::V4(v4) => {
                let _ = write!(out, "{} {} ", words(&v4.octets()), words(&v4.to_ipv6_mapped().octets()));
            }
            IpAddr::V6(v6) => {
                let _ = write!(out, "{} ", words(&v6.octets()));
            }
        }
    }
    Ok(out)
}

fn subject(args: &WaitArgs) -> String {
    match (&args.path, args.port) {
        (Some(path), _) => path.clone(),
        (None, Some(port)) => format!("{}:{port}", args.host),
        (None, None) => "the time".to_owned(),
    }
}

fn fields(args: &WaitArgs) -> TaskResult {
    TaskResult::ok()
        .with("state", args.state.word())
        .with("port", args.port)
        .with("path", args.path.clone())
        .with("search_regex", args.search_regex.clone())
}

fn report(args: &WaitArgs, view: &View<'_>, pattern: Option<&Pattern>) -> Result<Decision, Stop> {
    let Some(output) = view.outputs().first() else {
        return Err(Stop::fail("the wait was not begun"));
    };
    let subject = subject(args);
    let fail = |message: String, elapsed: u64| {
        let mut failure = Failure { message, data: Map::new() };
        failure.data.insert("elapsed".into(), elapsed.into());
        Err(Stop::Fail(Box::new(failure)))
    };
    let took = output.took / 1_000_000;
    if output.rc == 100 || output.timed_out {
        let what = match (&args.search_regex, args.state) {
            (Some(regex), _) => format!("search string {regex} in {subject}"),
            (None, State::Stopped) => format!("{subject} to stop"),
            (None, State::Absent) => format!("{subject} to be absent"),
            (None, State::Drained) => format!("{subject} to drain"),
            (None, _) if args.path.is_some() => format!("file {subject}"),
            (None, _) => subject,
        };
        let told = args.msg.clone().unwrap_or_else(|| format!("Timeout when waiting for {what}"));
        return fail(told, took);
    }
    if !output.success() {
        return fail(format!("can't wait for {subject}: {}", output.err().trim()), took);
    }
    let newline = output.stdout.iter().position(|&b| b == b'\n').unwrap_or(output.stdout.len());
    let (first, found) = output.stdout.split_at(newline);
    let elapsed = String::from_utf8_lossy(first).trim().parse::<u64>().unwrap_or(took);
    let mut result = fields(args).with("elapsed", elapsed);
    let (mut groups, mut named) = (Vec::new(), Map::new());
    if let Some(pattern) = pattern {
        let first = found.get(1..).unwrap_or_default().split(|&b| b == 1).next().unwrap_or_default();
        let wide = widen(first);
        if let Some(found) = pattern.find(&wide)? {
            let text = |span: Option<(usize, usize)>| {
                span.map(|(a, b)| String::from_utf8_lossy(&narrow(&wide[a..b])).into_owned()).into()
            };
            groups = found.groups().into_iter().map(text).collect::<Vec<Value>>();
            for name in pattern.names() {
                let span = found.group(&name);
                named.insert(name.into(), text(span));
            }
        }
    }
    result = result.with("match_groups", Value::list(groups)).with("match_groupdict", named);
    Ok(Decision::nothing(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Output;
    use crate::modules::command::argv_of;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host(output: Output) -> Fake {
        Fake::new().on_run(move |_, _| Some(output.clone()))
    }

    #[test]
    fn waits_once_and_reports() {
        let mut host = host(Output::ok("3\n"));
        let result = host.converge("wait_for", json!({"port": 8000, "host": "db1", "timeout": 9})).result;
        assert!(!result.changed && !result.failed);
        assert_eq!(result.data["elapsed"], Value::from(3));
        let words = argv_of(&host.ran()[0]);
        assert_eq!(&words[..10], ["port", "yes", "db1", "8000", "", "", "9", "0", "1", "5"]);
        assert_eq!(host.rounds(), 0);
    }

    #[test]
    fn groups_of_what_was_found() {
        let mut host = host(Output::ok("0\nready v12\u{1}ready v13\u{1}"));
        let args = json!({"path": "/l", "search_regex": "ready v(?P<v>\\d+)"});
        let result = host.converge("wait_for", args).result;
        assert_eq!(result.data["match_groups"], Value::from(vec!["12"]));
        assert_eq!(result.data["match_groupdict"].get("v"), Some(&Value::from("12")));
    }

    #[test]
    fn too_late_is_a_failure_in_its_own_words() {
        let mut host = host(Output::failed(100, ""));
        assert_eq!(host.fails("wait_for", json!({"port": 1})), "Timeout when waiting for 127.0.0.1:1");
        assert_eq!(host.fails("wait_for", json!({"path": "/x"})), "Timeout when waiting for file /x");
        assert_eq!(host.fails("wait_for", json!({"path": "/x", "msg": "no x"})), "no x");
        let args = json!({"port": 1, "state": "stopped"});
        assert_eq!(host.fails("wait_for", args), "Timeout when waiting for 127.0.0.1:1 to stop");
    }

    #[test]
    fn a_missing_tool_is_named() {
        let mut host = host(Output::failed(101, "the host needs bash, to reach a port (package bash)\n"));
        assert!(host.fails("wait_for", json!({"port": 1})).contains("package bash"));
    }

    #[test]
    fn addresses_as_the_kernel_writes_them() {
        let text = addresses("host", &["127.0.0.1".into(), "::1".into()]).unwrap_or_default();
        assert_eq!(text, " 0100007F 0000000000000000FFFF00000100007F 00000000000000000000000001000000 ");
        assert_eq!(addresses("host", &["0.0.0.0".into()]).unwrap_or_default(), "*");
        assert!(addresses("host", &["db1".into()]).is_err());
    }

    #[test]
    fn bad_arguments_are_told() {
        let mut host = Fake::new();
        for (args, what) in [
            (json!({"port": 1, "path": "/x"}), "exclude"),
            (json!({"path": "/x", "state": "drained"}), "for a port"),
            (json!({"state": "drained"}), "needs `port`"),
            (json!({"port": 0}), "65535"),
            (json!({"port": 1, "exclude_hosts": ["a"]}), "exclude_hosts"),
            (json!({"port": 1, "state": "drained", "active_connection_states": ["X"]}), "not `X`"),
            (json!({"port": 1, "host": "a/../b"}), "address"),
        ] {
            let message = host.fails("wait_for", args);
            assert!(message.contains(what), "{message}");
        }
    }
}
