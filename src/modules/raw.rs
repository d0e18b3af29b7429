//! `raw`: a command line for the login shell's plainest equivalent, without anything around it.

use super::args::Arguments;
use super::common::exec;
use super::registry::{FreeForm, Module, Needs, anything};
use super::shell::{first_line, shell_run};
use crate::host::{Action, Decision, Stop, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `raw` takes.
    pub struct RawArgs {
        /// The command line, written after the module's name.
        _raw_params: Option<String>;
        /// The shell, by its absolute path.
        executable: String = "/bin/sh";
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["raw", "ansible.builtin.raw", "ansible.legacy.raw"],
    doc: "A command line, run as it is.",
    args: <RawArgs as Arguments>::specs,
    free_form: FreeForm::Command,
    free_keys: false,
    needs: Needs::Host,
    plan,
    writes: anything,
};

/// The fields that `raw` returns.
const FIELDS: [&str; 6] = ["rc", "stdout", "stdout_lines", "stderr", "stderr_lines", "msg"];

fn plan(map: &Map, view: &View<'_>) -> Result<Decision, Stop> {
    let args = RawArgs::from_map(map).map_err(Stop::fail)?;
    let script = exec::one_of(map, &["_raw_params"])?.1.to_string();
    let only_raw = |mut result: crate::host::TaskResult| {
        result.data.retain(|name, _| FIELDS.contains(&&**name));
        result
    };
    if view.memory().is_some() {
        return Ok(Decision::nothing(only_raw(exec::result(Value::Null, view.outputs().first(), false))));
    }
    let run = shell_run(&script, &args.executable)?;
    let action = Action::run(run, format!("run {}", first_line(&script)));
    Ok(Decision::report(only_raw(exec::foretold(Value::Null)), vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use crate::values::Value;
    use serde_json::json;

    #[test]
    fn output_is_given_as_it_came() {
        let mut host = Fake::new().on_run(|_, _| Some(Output::ok("a\r\nb\n")));
        let decision = host.converge("raw", json!({"_raw_params": "cat /etc/issue"}));
        assert!(decision.result.changed);
        assert_eq!(decision.result.data["stdout"], Value::from("a\r\nb\n"));
        assert_eq!(decision.result.data["stdout_lines"], Value::from(vec!["a", "b"]));
        assert!(!decision.result.data.contains_key("cmd"));
    }

    #[test]
    fn a_failure_is_reported() {
        let mut host = Fake::new().on_run(|_, _| Some(Output::failed(3, "")));
        let decision = host.converge("raw", json!({"_raw_params": "exit 3"}));
        assert!(decision.result.failed);
        assert_eq!(decision.result.data["rc"], Value::from(3));
    }
}
