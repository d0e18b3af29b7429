//! `pause`: waits for a while.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Run, Stop, TaskResult, View};
use crate::values::Value;
use std::time::Duration;

crate::module_args! {
    /// What `pause` takes.
    pub struct PauseArgs {
        /// How long, in minutes.
        minutes: Option<f64>;
        /// How long, in seconds.
        seconds: Option<f64>;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["pause", "ansible.builtin.pause", "ansible.legacy.pause"],
    doc: "Waits for a while.",
    args: <PauseArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    // What else happens on the host meanwhile is not known; that is often why one waits.
    writes: super::registry::anything,
};

fn plan(args: &PauseArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let (seconds, told) = match (args.minutes, args.seconds) {
        (Some(_), Some(_)) => return Err(Stop::fail("`minutes` and `seconds` exclude each other")),
        (None, None) => {
            return Err(Stop::fail("`minutes` or `seconds` is required: nobody may be there to end the pause"));
        }
        (Some(minutes), None) => (minutes * 60.0, format!("{minutes} minutes")),
        (None, Some(seconds)) => (seconds, format!("{seconds} seconds")),
    };
    if !(0.0..=1e7).contains(&seconds) {
        return Err(Stop::fail(format!("can't pause for {told}")));
    }
    let whole = seconds.max(1.0).round();
    let result = TaskResult::ok()
        .with("rc", 0)
        .with("stdout", format!("Paused for {told}"))
        .with("stderr", "")
        .with("user_input", "")
        .with("echo", true);
    if view.memory().is_some() {
        let output = view.outputs().first();
        if let Some(failed) = output.filter(|o| !o.success()) {
            return Err(Stop::fail(format!("the pause was interrupted: {}", failed.err().trim())));
        }
        return Ok(Decision::nothing(result.with("delta", output.map_or(0, |o| o.took / 1_000_000))));
    }
    let mut run = Run::argv(["sleep", &format!("{whole:.0}")]);
    run.timeout = Some(Duration::from_secs_f64(whole + 60.0));
    let action = Action::run(run, format!("wait {told}"));
    Ok(Decision::report(result.with("delta", Value::Unknown), vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::command::argv_of;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn sleeps_on_the_host() {
        let mut host = Fake::new().on_run(|_, _| Some(Output::ok("")));
        let result = host.converge("pause", json!({"minutes": 2})).result;
        assert!(!result.changed);
        assert_eq!(argv_of(&host.ran()[0]), ["sleep", "120"]);
        host.converge("pause", json!({"seconds": 0}));
        assert_eq!(argv_of(&host.ran()[1]), ["sleep", "1"]);
        assert!(host.fails("pause", json!({})).contains("is required"));
        assert!(host.fails("pause", json!({"seconds": -1})).contains("can't pause"));
    }
}
