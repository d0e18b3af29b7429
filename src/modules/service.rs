//! `service`: services by whatever manager the host has, which is systemd.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use super::systemd::{self, State, SystemdArgs};
use crate::host::{Decision, Stop, View};

crate::module_args! {
    /// What `service` takes: what `systemd` takes, and the following.
    pub struct ServiceArgs {
        /// Seconds between stop and start when restarting.
        sleep: Option<i64>;
        /// The service manager.
        r#use: String = "auto";
    } + systemd: SystemdArgs
}

/// The module.
pub static MODULE: Module = Module {
    names: &["service", "ansible.builtin.service", "ansible.legacy.service"],
    doc: "Services by the host's service manager.",
    args: ServiceArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: super::registry::anything,
};

fn plan(args: &ServiceArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if !matches!(
        args.r#use.as_str(),
        "auto" | "systemd" | "ansible.builtin.systemd" | "ansible.builtin.systemd_service"
    ) {
        return Err(Stop::fail(format!(
            "`use: {}` is not supported: services are managed through systemd",
            args.r#use
        )));
    }
    if args.systemd.name.is_none() {
        return Err(Stop::fail("argument `name` is required"));
    }
    if args.sleep.is_some_and(|s| s < 0) {
        return Err(Stop::fail("`sleep` must not be negative"));
    }
    let sleep = args.sleep.filter(|_| args.systemd.state == Some(State::Restarted));
    systemd::plan(&args.systemd, sleep, view)
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::host::action::Command;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn it_is_systemd_with_a_pause() {
        let mut host = Fake::new()
            .probe(|_| Some(Output::ok("LoadState=loaded\nActiveState=active\n=enabled enabled\n")))
            .on_run(|_, _| Some(Output::ok("")));
        host.settled("service", json!({"name": "cron", "state": "started", "enabled": true}));
        host.converge("service", json!({"name": "cron", "state": "restarted", "sleep": 3}));
        assert!(matches!(&host.ran()[0].command, Command::Shell { args, .. } if args[1..3] == ["restart", "3"]));
        assert!(host.fails("service", json!({"name": "cron", "use": "runit"})).contains("not supported"));
        assert!(host.fails("service", json!({"state": "started"})).contains("required"));
    }
}
