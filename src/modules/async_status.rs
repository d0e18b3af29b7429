//! `async_status`: what became of a task that was started with `poll: 0`.

use super::args::Arguments;
use super::common::exec;
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::{Action, Decision, Output, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// What to do.
    pub enum Mode {
        Status = "status",
        Cleanup = "cleanup",
    }
}

crate::module_args! {
    /// What `async_status` takes.
    pub struct AsyncStatusArgs {
        /// The job: `ansible_job_id` of the result of the task that started it.
        jid: String;
        /// Tell how it is, or remove what is kept of it, without ending it.
        mode: Mode = Mode::Status;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["async_status", "ansible.builtin.async_status", "ansible.legacy.async_status"],
    doc: "What became of a task that was started with `async` and `poll: 0`.",
    args: <AsyncStatusArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: anything,
};

/// Tells of the job `$1`: its file, a word, then status, times and lengths, and the job, output and errors themselves.
const LOOK: &str = r#"d=${ANSIBLE_ASYNC_DIR:-$HOME/.ansible_async}
case $d in "~/"*) d=$HOME/${d#"~/"} ;; esac
j=${d%/}/$1
printf '%s\n' "$j"
[ -f "$j" ] || { echo missing; exit 0; }
if [ "$2" = cleanup ]; then rm -rf "$j" "$j.d" || exit 1; echo erased; exit 0; fi
if [ ! -f "$j.d/rc" ]; then
  pid=$(cat "$j.d/pid" 2>/dev/null) || pid=
  if [ -z "$pid" ] || kill -0 "$pid" 2>/dev/null; then echo running; exit 0; fi
  sleep 1
  [ -f "$j.d/rc" ] || { echo lost; exit 0; }
fi
echo done
cat "$j.d/rc" "$j.d/start" "$j.d/end" || exit 1
head -c 7340032 "$j.d/o" | wc -c; head -c 262144 "$j.d/e" | wc -c
head -c 7340032 "$j.d/o"; head -c 262144 "$j.d/e"; cat "$j.d/job"
"#;

fn plan(args: &AsyncStatusArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if args.jid.is_empty() || args.jid.starts_with('.') || !args.jid.chars().all(fits) {
        return Err(Stop::fail(format!("`{}` is no job: give the `ansible_job_id` of a result", args.jid)));
    }
    if view.memory().is_some() {
        let output = view.outputs().first().ok_or_else(|| Stop::fail("the job was not looked at"))?;
        return Ok(Decision::nothing(report(args, output)?));
    }
    let mode = if args.mode == Mode::Cleanup { "cleanup" } else { "status" };
    let shows = match args.mode {
        Mode::Cleanup => format!("forget the job {}", args.jid),
        Mode::Status => format!("look at the job {}", args.jid),
    };
    let mut foretold = TaskResult::ok().with("changed", false).with("ansible_job_id", args.jid.as_str());
    for field in ["started", "finished", "results_file", "rc", "stdout", "stdout_lines", "stderr", "stderr_lines"] {
        foretold = foretold.with(field, Value::Unknown);
    }
    let action = Action::run(Run::sh(LOOK, &[&args.jid, mode]), shows).local();
    // What the job does, it does whether it is looked at or not: what is known of the host may no longer hold.
    Ok(Decision::report(foretold, vec![action]))
}

fn report(args: &AsyncStatusArgs, output: &Output) -> Result<TaskResult, Stop> {
    if !output.success() {
        return Err(super::common::outputs::failed(format!("could not look at the job {}", args.jid), output));
    }
    let bytes: &[u8] = &output.stdout;
    let mut rest = bytes;
    let mut line = || {
        let end = rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
        let text = String::from_utf8_lossy(&rest[..end]).trim().to_owned();
        rest = rest.get(end + 1..).unwrap_or_default();
        text
    };
    let (file, word) = (line(), line());
    let base = |result: TaskResult, finished: bool| {
        result
            .with("ansible_job_id", args.jid.as_str())
            .with("results_file", file.as_str())
            .with("started", true)
            .with("finished", finished)
    };
    let failed = |why: &str| base(TaskResult { failed: true, ..TaskResult::default() }.msg(why), true);
    match word.as_str() {
        "missing" => return Ok(failed("could not find job")),
        "erased" => {
            let erased = TaskResult::ok().with("ansible_job_id", args.jid.as_str()).with("erased", file.as_str());
            return Ok(erased);
        }
        "running" => return Ok(base(TaskResult::ok().with("stdout", "").with("stderr", ""), false)),
        "lost" => return Ok(failed("the job ended without a trace: it was killed, or the host went down")),
        _ => {}
    }
    let mut number = || line().parse::<i64>().unwrap_or(0);
    let (rc, start, end, out, err) = (number(), number(), number(), number(), number());
    let mut take = |length: i64| {
        let (now, later) = rest.split_at(usize::try_from(length).unwrap_or(0).min(rest.len()));
        rest = later;
        now
    };
    let (stdout, stderr) = (take(out), take(err));
    let job: Value =
        serde_json::from_slice(rest).map_err(|e| Stop::fail(format!("{file}.d/job can't be read: {e}")))?;
    let field = |name: &str| job.as_map().and_then(|m| m.get(name)).cloned();
    if let Some(Value::Map(known)) = field("result") {
        let mut result = TaskResult::ok();
        let flag = |name: &str| matches!(known.get(name), Some(Value::Bool(true)));
        (result.changed, result.skipped) = (flag("changed"), flag("skipped"));
        result.msg = known.get("msg").map(Value::to_string);
        let own = ["changed", "skipped", "failed", "msg"];
        result.data.extend(known.iter().filter(|(k, _)| !own.contains(&&***k)).map(|(k, v)| (k.clone(), v.clone())));
        return Ok(base(result, true));
    }
    let rc = i32::try_from(rc).unwrap_or(1);
    let took = u64::try_from(end - start).unwrap_or(0);
    let limit = field("limit").and_then(|v| v.as_int()).and_then(|n| u64::try_from(n).ok()).unwrap_or(u64::MAX);
    let ran = Output {
        rc,
        stdout: stdout.into(),
        stderr: stderr.into(),
        timed_out: matches!(rc, 124 | 137) && took >= limit,
        started: start * 1_000_000,
        took: took * 1_000_000,
        ..Output::default()
    };
    let strip = field("strip").is_none_or(|v| v != Value::Bool(false));
    Ok(base(exec::result(field("cmd").unwrap_or_default(), Some(&ran), strip), true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn said(text: &'static str) -> Fake {
        Fake::new().on_run(move |_, _| Some(Output::ok(text)))
    }

    #[test]
    fn tells_what_became_of_a_job() {
        let look = json!({"jid": "j1.2"});
        let result = said("/r/j1.2\nrunning\n").converge("async_status", look.clone()).result;
        assert!(!result.changed && !result.failed);
        assert_eq!(result.data["finished"], Value::Bool(false));
        let text =
            "/r/j1.2\ndone\n0\n100\n103\n4\n2\nout\ne\n{\"cmd\": [\"a\", \"b\"], \"limit\": 60, \"strip\": true}";
        let result = said(text).converge("async_status", look.clone()).result;
        assert!(result.changed);
        assert_eq!(result.data["finished"], Value::Bool(true));
        assert_eq!(result.data["stdout"], Value::from("out"));
        assert_eq!(result.data["stderr"], Value::from("e"));
        assert_eq!(result.data["cmd"], Value::from(vec!["a", "b"]));
        assert_eq!(result.data["delta"], Value::from("0:00:03.000000"));
        let text = "/r/j1.2\ndone\n124\n100\n160\n0\n0\n{\"cmd\": \"a\", \"limit\": 60}";
        assert!(said(text).fails("async_status", look.clone()).contains("in time"));
        let text = "/r/j1.2\ndone\n3\n100\n100\n0\n0\n{\"cmd\": \"a\", \"limit\": 60}";
        assert_eq!(said(text).fails("async_status", look.clone()), "non-zero return code");
        assert_eq!(said("/r/j1.2\nmissing\n").fails("async_status", look.clone()), "could not find job");
        assert!(said("/r/j1.2\nlost\n").fails("async_status", look).contains("without a trace"));
    }

    #[test]
    fn a_job_that_had_nothing_to_run_says_why() {
        let text =
            "/r/j\ndone\n0\n1\n1\n0\n0\n{\"result\": {\"changed\": false, \"stdout\": \"skipped, since x exists\"}}";
        let result = said(text).converge("async_status", json!({"jid": "j"})).result;
        assert!(!result.changed);
        assert_eq!(result.data["stdout"], Value::from("skipped, since x exists"));
    }

    #[test]
    fn a_job_is_no_path() {
        for jid in ["../etc", "a/b", "", "..", "a b"] {
            assert!(Fake::new().fails("async_status", json!({"jid": jid})).contains("no job"), "{jid}");
        }
    }
}
