//! `async` with `poll: 0`: a command that goes on by itself on the host, for `async_status` to look at.
//!
//! A job is a file `JID` below `~/.ansible_async` (or `$ANSIBLE_ASYNC_DIR`, as in Ansible), which says whether it is
//! finished, and a folder `JID.d` with all that it read and said. Nothing of it travels in an argument list but the
//! words of `command`.

use super::state::FrozenStep;
use crate::host::action::{Command, Content, Stdin};
use crate::host::{Action, ActionKind, Decision, Run, TaskResult};
use crate::values::Value;

/// Starts a job. `$1` its file, `$2` its id, `$3` its time limit in seconds, `$4` `argv` or the shell for its script.
const START: &str = r#"j=$1 id=$2 limit=$3 kind=$4
shift 4
mask=$(umask)
umask 077
mkdir -p "${j%/*}" "$j.d" && cp "$WINDLASS_DIR/job" "$j.d/job" && cp "$WINDLASS_DIR/stdin" "$j.d/in" || exit 1
state() { printf '{"started": true, "finished": %s, "ansible_job_id": "%s"}\n' "$1" "$id" >"$j.new" && mv "$j.new" "$j"; }
date +%s >"$j.d/start" || exit 1
if [ "$kind" = known ]; then date +%s >"$j.d/end"; : >"$j.d/o"; : >"$j.d/e"; echo 0 >"$j.d/rc"; state true; exit; fi
if [ "$kind" != argv ]; then cp "$WINDLASS_DIR/script" "$j.d/script" || exit 1; set -- "$kind" "$j.d/script" "$@"; fi
state false || exit 1
command -v setsid >/dev/null 2>&1 || { echo 'the host needs setsid (package util-linux)' >&2; exit 1; }
setsid sh -c 'j=$1 id=$2 limit=$3 mask=$4
shift 4
exec >"$j.d/o" 2>"$j.d/e" <"$j.d/in"
( umask "$mask"; exec timeout -k 5 "$limit" "$@" )
rc=$?
date +%s >"$j.d/end"
echo "$rc" >"$j.d/rc.new" && mv "$j.d/rc.new" "$j.d/rc"
printf "{\"started\": true, \"finished\": true, \"ansible_job_id\": \"%s\", \"rc\": %s}\n" "$id" "$rc" >"$j.new" && mv "$j.new" "$j"
' windlass "$j" "$id" "$limit" "$mask" "$@" </dev/null >/dev/null 2>&1 &
echo $! >"$j.d/pid"
"#;

/// The decision to start what `decision` would do and not to wait for it. `home` is the identity's.
///
/// # Errors
/// What the module would do is more than one command.
pub fn detach(decision: Decision, frozen: &FrozenStep, seconds: u64, home: &str) -> Result<Decision, String> {
    let digits: u64 = u64::from_str_radix(frozen.frozen.nonce.get(..12).unwrap_or_default(), 16).unwrap_or(0);
    let id = format!("j{digits:015}.{}", frozen.frozen.now % 100_000);
    let folder =
        frozen.environment.iter().find(|(name, _)| name == "ANSIBLE_ASYNC_DIR").map(|(_, value)| value.as_str());
    let folder = match folder.unwrap_or("~/.ansible_async") {
        path if path.starts_with("~/") => format!("{home}/{}", &path[2..]),
        path => path.trim_end_matches('/').to_owned(),
    };
    let file = format!("{folder}/{id}");
    let started = TaskResult::changed(true)
        .with("ansible_job_id", id.as_str())
        .with("started", true)
        .with("finished", false)
        .with("results_file", file.as_str());
    let mut job = vec![("limit", Value::from(i64::try_from(seconds).unwrap_or(i64::MAX)))];
    let limit = seconds.to_string();
    let mut words = vec![file.as_str(), id.as_str(), limit.as_str()];
    let (mut shows, mut old) = ("note that there is nothing to run".to_owned(), Run::argv(["true"]));
    let mut actions = decision.actions.into_iter();
    match (actions.next(), actions.next()) {
        (None, _) => {
            words.push("known");
            job.push(("result", super::event::to_value(&decision.result)));
        }
        (Some(Action { kind: ActionKind::Run(run), shows: shown, .. }), None) if run.attach.is_empty() => {
            shows = format!("{shown}, without waiting for it");
            old = run;
            let strip = frozen.args.get("strip_empty_ends").cloned().unwrap_or(Value::Bool(true));
            job.extend([("cmd", decision.result.data.get("cmd").cloned().unwrap_or_default()), ("strip", strip)]);
        }
        _ => return Err("this can't be done without waiting for it: use a `poll` above 0".to_owned()),
    }
    let mut attach = Vec::new();
    match &old.command {
        _ if words.len() == 4 => {}
        Command::Argv(argv) => {
            words.push("argv");
            words.extend(argv.iter().map(String::as_str));
        }
        Command::Shell { script, shell, args } => {
            words.push(shell.as_deref().unwrap_or("/bin/sh"));
            words.extend(args.iter().map(String::as_str));
            attach.push(("script".to_owned(), Content::text(script)));
        }
    }
    let stdin = match &old.stdin {
        Stdin::Empty => Content::text(""),
        Stdin::Content(content) => content.clone(),
    };
    let told = serde_json::to_string(&Value::map(job.into_iter().map(|(k, v)| (k.into(), v)).collect()))
        .map_err(|e| e.to_string())?;
    attach.extend([("stdin".to_owned(), stdin), ("job".to_owned(), Content::text(&told))]);
    let mut run = Run::sh(START, &words);
    run.attach = attach;
    (run.chdir, run.env, run.umask) = (old.chdir, old.env, old.umask);
    Ok(Decision::act(started, vec![Action::run(run, shows)]))
}
