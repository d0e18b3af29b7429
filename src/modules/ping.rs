//! `ping`: whether the host can be logged in to and runs commands.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Probe, Stop, TaskResult, View};
use crate::values::Map;

crate::module_args! {
    /// What `ping` takes.
    pub struct PingArgs {
        /// What to answer; `crash` fails.
        data: String = "pong";
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["ping", "ansible.builtin.ping", "ansible.legacy.ping"],
    doc: "Whether the host can be logged in to and runs commands.",
    args: <PingArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(args: &PingArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if args.data == "crash" {
        return Err(Stop::fail("boom: `data: crash` asked for a failure"));
    }
    // The host itself must speak, else a ping would prove nothing.
    let output = view.probe(Probe::new(r#"printf %s "$1""#, &[&args.data], vec![Key::Volatile]))?;
    if output.out() != args.data {
        return Err(Stop::fail(format!("the host answered {:?}, not {:?}", output.out(), args.data)));
    }
    Ok(Decision::nothing(TaskResult::ok().with("ping", args.data.as_str())))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use crate::values::Value;
    use serde_json::json;

    #[test]
    fn the_host_answers() {
        let mut host = Fake::new().probe(|p| Some(Output::ok(&p.args[0])));
        let result = host.plan("ping", json!({})).result;
        assert_eq!(result.data["ping"], Value::from("pong"));
        assert_eq!(host.rounds(), 1);
        assert!(host.fails("ping", json!({"data": "crash"})).contains("boom"));
        let mut deaf = Fake::new().probe(|_| Some(Output::ok("")));
        assert!(deaf.fails("ping", json!({})).contains("not \"pong\""));
    }
}
