//! `script`: a script of the controller, run on the host.

use super::args::Arguments;
use super::common::{exec, paths, text};
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::key::file_name;
use crate::host::{Action, Content, Decision, Run, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `script` takes.
    pub struct ScriptArgs {
        /// The script (in `files/` of the role, or beside the playbook) and its arguments, written after the module's
        /// name.
        _raw_params: Option<String>;
        /// The same.
        cmd: Option<String>;
        /// The folder on the host to run in.
        chdir: Option<String>;
        /// A path or glob pattern: where something is there, the script does not run.
        creates: Option<String>;
        /// A path or glob pattern: where nothing is there, the script does not run.
        removes: Option<String>;
        /// The program that runs the script; by default what its first line names, else `/bin/sh`.
        executable: Option<String>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["script", "ansible.builtin.script", "ansible.legacy.script"],
    doc: "A script of the controller, run on the host.",
    args: <ScriptArgs as Arguments>::specs,
    free_form: FreeForm::Command,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: anything,
};

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = ScriptArgs::from_map(map).map_err(Stop::fail)?;
    let given = exec::one_of(map, &["_raw_params", "cmd"])?.1.to_string();
    if view.memory().is_some() {
        return Ok(Decision::nothing(fields(exec::result(Value::Null, view.outputs().first(), false))));
    }
    let (path, rest) = split(&given)?;
    let chdir =
        args.chdir.as_deref().map(|d| paths::absolute_from(view, "chdir", d, &view.whoami().home)).transpose()?;
    let base = chdir.as_deref().unwrap_or(&view.whoami().home);
    if let Some(why) = exec::needless(view, args.creates.as_deref(), args.removes.as_deref(), base)? {
        let mut result = TaskResult::ok().msg(format!("{why}: the script was not run"));
        result.skipped = true;
        return Ok(Decision::nothing(result));
    }
    let source = view.controller().source("files", &path).map_err(Stop::fail)?;
    let interpreter = match &args.executable {
        Some(executable) => {
            text::words(executable).map_err(|e| Stop::fail(format!("can't split `executable`: {e}")))?
        }
        None => interpreter(&view.controller().read("files", &path).map_err(Stop::fail)?),
    };
    // The user's own words follow as text for the shell, as they would behind a script's name. The script is given to
    // its interpreter by name, since its folder may be mounted `noexec`.
    let script = format!("script=$WINDLASS_DIR/$1; shift\n\"$@\" \"$script\"{rest}");
    let name = file_name(&path);
    let mut words = vec![name];
    words.extend(interpreter.iter().map(String::as_str));
    let mut run = Run::sh(&script, &words);
    run.attach = vec![(name.to_owned(), Content::File(source))];
    run.chdir = chdir;
    let action = Action::run(run, format!("run the script {}", given.trim()));
    Ok(Decision::report(fields(exec::foretold(Value::Null)), vec![action]))
}

fn fields(mut result: TaskResult) -> TaskResult {
    result.data.retain(|name, _| ["rc", "stdout", "stdout_lines", "stderr", "stderr_lines", "msg"].contains(&&**name));
    result
}

/// The script's path, and all that follows it, with the white space before.
fn split(line: &str) -> Result<(String, String), Stop> {
    let line = line.trim_start();
    let mut quote = None;
    let mut escaped = false;
    let end = line
        .char_indices()
        .find(|&(_, c)| {
            if escaped {
                escaped = false;
                return false;
            }
            match (quote, c) {
                (None | Some('"'), '\\') => escaped = true,
                (None, '\'' | '"') => quote = Some(c),
                (Some(q), c) if q == c => quote = None,
                (None, c) if c.is_whitespace() => return true,
                _ => {}
            }
            false
        })
        .map_or(line.len(), |(i, _)| i);
    let words = text::words(&line[..end]).map_err(|e| Stop::fail(format!("can't read the script's name: {e}")))?;
    let path = words.into_iter().next().ok_or_else(|| Stop::fail("no script given"))?;
    Ok((path, line[end..].trim_end().to_owned()))
}

/// What the first line of a script names, as the kernel reads it: a program and at most one argument.
fn interpreter(script: &[u8]) -> Vec<String> {
    let line = script.split(|&b| b == b'\n').next().unwrap_or_default();
    let named = line.strip_prefix(b"#!").and_then(|l| std::str::from_utf8(l).ok()).map(str::trim).unwrap_or_default();
    if named.is_empty() {
        return vec!["/bin/sh".to_owned()];
    }
    named.splitn(2, [' ', '\t']).map(|w| w.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::host::Output;
    use crate::host::action::Command;
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new()
            .source("my dir/up.sh", "echo hi\n")
            .source("up.py", "#!/usr/bin/env python3\nprint(1)\n")
            .on_run(|_, _| Some(Output::ok("hi\n")))
    }

    fn run_of(host: &Fake) -> (String, Vec<String>) {
        match &host.ran().last().unwrap().command {
            Command::Shell { script, args, .. } => (script.clone(), args.clone()),
            Command::Argv(_) => panic!("no shell"),
        }
    }

    #[test]
    fn the_interpreter_is_what_the_script_names() {
        let mut host = host();
        let decision = host.converge("script", json!({"_raw_params": "'my dir/up.sh' --force \"$HOME\""}));
        let (script, args) = run_of(&host);
        assert_eq!(args, ["up.sh", "/bin/sh"]);
        assert!(script.ends_with("\"$script\" --force \"$HOME\""), "{script}");
        assert_eq!(host.ran()[0].attach[0].0, "up.sh");
        assert_eq!(decision.result.data["stdout"], Value::from("hi\n"));
        assert!(decision.result.changed && !decision.result.data.contains_key("cmd"));
        host.converge("script", json!({"cmd": "up.py"}));
        assert_eq!(run_of(&host).1, ["up.py", "/usr/bin/env", "python3"]);
        host.converge("script", json!({"cmd": "up.py", "executable": "/usr/bin/python3 -I"}));
        assert_eq!(run_of(&host).1, ["up.py", "/usr/bin/python3", "-I"]);
    }

    #[test]
    fn it_is_left_out_and_told() {
        let mut host = host().file("/done", "", 0o644);
        assert!(host.plan("script", json!({"cmd": "up.py", "creates": "/done"})).result.skipped);
        assert!(host.fails("script", json!({"cmd": "none.sh"})).contains("could not find"));
        assert!(host.fails("script", json!({"cmd": "'none.sh"})).contains("not closed"));
    }
}
