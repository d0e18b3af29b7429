//! `fail`: fails with a message.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Stop, View};
use crate::values::{Map, Value};

crate::module_args! {
    /// What `fail` takes.
    pub struct FailArgs {
        /// The message.
        msg: Value = "Failed as requested from task";
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["fail", "ansible.builtin.fail", "ansible.legacy.fail"],
    doc: "Fails with a message.",
    args: <FailArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Controller,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(args: &FailArgs, _view: &View<'_>) -> Result<Decision, Stop> {
    Err(Stop::fail(args.msg.to_string()))
}

#[cfg(test)]
mod tests {
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn fails_with_its_message() {
        assert_eq!(Fake::new().fails("fail", json!({})), "Failed as requested from task");
        assert_eq!(Fake::new().fails("fail", json!({"msg": "no disk"})), "no disk");
    }
}
