//! `shell`: a command line for a shell.

use super::args::Arguments;
use super::common::{exec, paths};
use super::registry::{FreeForm, Module, Needs, anything};
use crate::host::action::Command;
use crate::host::{Action, Decision, Run, Stop, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `shell` takes.
    pub struct ShellArgs {
        /// The command line, written after the module's name.
        _raw_params: Option<String>;
        /// The command line.
        cmd: Option<String>;
        /// The folder to run in.
        chdir: Option<String>;
        /// A path or glob pattern: where something is there, the command does not run.
        creates: Option<String>;
        /// A path or glob pattern: where nothing is there, the command does not run.
        removes: Option<String>;
        /// The shell, by its absolute path.
        executable: String = "/bin/sh";
        /// What the command reads.
        stdin: Option<String>;
        /// End `stdin` with a newline.
        stdin_add_newline: bool = true;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["shell", "ansible.builtin.shell", "ansible.legacy.shell"],
    doc: "A command line, run by a shell.",
    args: <ShellArgs as Arguments>::specs,
    free_form: FreeForm::Command,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: anything,
};

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = ShellArgs::from_map(map).map_err(Stop::fail)?;
    let (_, given) = exec::one_of(map, &["_raw_params", "cmd"])?;
    let script = given.to_string();
    let cmd = Value::from(&script);
    if view.memory().is_some() {
        return Ok(Decision::nothing(exec::result(cmd, view.outputs().first(), true)));
    }
    let chdir =
        args.chdir.as_deref().map(|d| paths::absolute_from(view, "chdir", d, &view.whoami().home)).transpose()?;
    let base = chdir.as_deref().unwrap_or(&view.whoami().home);
    if let Some(why) = exec::needless(view, args.creates.as_deref(), args.removes.as_deref(), base)? {
        return Ok(Decision::nothing(exec::skipped(cmd, &why)));
    }
    let mut run = shell_run(&script, &args.executable)?;
    run.chdir = chdir;
    if let Some(stdin) = &args.stdin {
        run = run.stdin(&format!("{stdin}{}", if args.stdin_add_newline { "\n" } else { "" }));
    }
    let action = Action::run(run, format!("run {}", first_line(&script)));
    Ok(Decision::report(exec::foretold(cmd), vec![action]))
}

/// The user's own text for a shell of the user's choice.
///
/// # Errors
/// A failure where the shell is not an absolute path, or the text can't be passed.
pub(super) fn shell_run(script: &str, executable: &str) -> Result<Run, Stop> {
    if !executable.starts_with('/') {
        return Err(Stop::fail(format!("`executable` must be the absolute path of a shell, not `{executable}`")));
    }
    if script.contains('\0') {
        return Err(Stop::fail("the command line holds a NUL character, which no shell can take"));
    }
    let mut run = Run::sh(script, &[]);
    if let Command::Shell { shell, .. } = &mut run.command
        && executable != "/bin/sh"
    {
        *shell = Some(executable.to_owned());
    }
    Ok(run)
}

/// The first line of a script, for a plan.
pub(super) fn first_line(script: &str) -> String {
    let mut lines = script.trim().lines();
    let first = lines.next().unwrap_or_default();
    if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn the_text_reaches_the_shell_unchanged() {
        let mut host = Fake::new().on_run(|_, _| Some(Output::ok("")));
        let script = "set -e\necho \"$HOME\" | wc -l > '/tmp/a b'\n";
        let decision =
            host.converge("shell", json!({"_raw_params": script, "executable": "/bin/bash", "chdir": "~/x"}));
        let run = &host.ran()[0];
        assert_eq!(
            run.command,
            Command::Shell { script: script.into(), shell: Some("/bin/bash".into()), args: Vec::new() }
        );
        assert_eq!(run.chdir.as_deref(), Some("/root/x"));
        assert_eq!(decision.result.data["cmd"], Value::from(script));
        assert_eq!(decision.actions[0].shows, "run set -e …");
        host.converge("shell", json!({"cmd": "true"}));
        assert!(matches!(&host.ran()[1].command, Command::Shell { shell: None, .. }));
    }

    #[test]
    fn what_a_plan_foretells_is_unknown() {
        let mut host = Fake::new();
        let decision = host.plan("shell", json!({"cmd": "true"}));
        assert!(decision.result.changed);
        assert_eq!(decision.result.data["stdout"], Value::Unknown);
    }

    #[test]
    fn bad_arguments_are_told() {
        let mut host = Fake::new();
        assert!(host.fails("shell", json!({"cmd": "true", "executable": "bash"})).contains("absolute"));
        assert!(host.fails("shell", json!({"cmd": ""})).contains("no command given"));
    }
}
