//! `systemd`: units of the service manager.

use super::args::Arguments;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Answer, Decision, Key, Output, Probe, Question, Run, Stop, TaskResult, View};
use crate::values::{Map, Value};

crate::module_choices! {
    /// What a unit should do.
    pub enum State {
        /// Run, with its configuration read anew.
        Reloaded = "reloaded",
        /// Run, stopped before if it ran.
        Restarted = "restarted",
        /// Run.
        Started = "started" | "running",
        /// Not run.
        Stopped = "stopped",
    }
}

crate::module_choices! {
    /// Whose units.
    pub enum Scope {
        /// The machine's.
        System = "system",
        /// The user's own.
        User = "user",
        /// All users'.
        Global = "global",
    }
}

crate::module_args! {
    /// What `systemd` takes.
    pub struct SystemdArgs {
        /// The unit; `.service` may be left out.
        name: Option<String>, ["service", "unit"];
        /// What it should do now.
        state: Option<State>;
        /// Whether it starts at boot.
        enabled: Option<bool>;
        /// Replace links that are in the way when enabling.
        force: bool = false;
        /// Whether it can't be started at all.
        masked: Option<bool>;
        /// Read all unit files anew first.
        daemon_reload: bool, ["daemon-reload"] = false;
        /// Start the manager itself anew first.
        daemon_reexec: bool, ["daemon-reexec"] = false;
        /// Whose units.
        scope: Scope = Scope::System;
        /// Do not wait until it is done.
        no_block: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &[
        "systemd",
        "systemd_service",
        "ansible.builtin.systemd",
        "ansible.builtin.systemd_service",
        "ansible.legacy.systemd",
        "ansible.legacy.systemd_service",
    ],
    doc: "Units of the service manager.",
    args: SystemdArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, |args, view| plan(args, None, view)),
    writes: super::registry::anything,
};

/// What is known of a unit.
struct Unit {
    properties: Map,
    enabled: String,
    /// What `systemctl show` complained of, if it could not say anything.
    complaint: Option<String>,
}

impl Unit {
    fn read(output: &Output) -> Self {
        let text = output.out();
        let (properties, rest) = properties(&text);
        let enabled = rest.iter().find_map(|l| l.strip_prefix("=enabled")).unwrap_or_default().trim().to_owned();
        let failed = rest.iter().any(|l| l.starts_with("=failed"));
        let complaint = failed.then(|| rest.first().cloned().unwrap_or_default());
        Self { properties, enabled, complaint }
    }

    fn get(&self, name: &str) -> &str {
        self.properties.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    fn found(&self) -> bool {
        match self.get("LoadState") {
            "" => FILE_STATES.contains(&self.enabled.as_str()),
            state => state != "not-found",
        }
    }
}

/// What `is-enabled` says of a unit that exists.
const FILE_STATES: [&str; 11] = [
    "enabled",
    "enabled-runtime",
    "linked",
    "linked-runtime",
    "masked",
    "masked-runtime",
    "static",
    "indirect",
    "disabled",
    "generated",
    "transient",
];

/// `Name=value` lines as a mapping, and the lines that are none.
fn properties(text: &str) -> (Map, Vec<String>) {
    let (mut map, mut rest) = (Map::new(), Vec::new());
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, value)) if name.starts_with(|c: char| c.is_ascii_uppercase()) && !name.contains(' ') => {
                map.insert(name.into(), value.into());
            }
            _ => rest.push(line.to_owned()),
        }
    }
    (map, rest)
}

fn unit_question(scope: Scope, name: &str) -> Question {
    Question::Probe(Probe::new(include_str!("systemd/unit.sh"), &[scope.word(), name], vec![Key::Units]))
}

/// The decision for these arguments; `service` uses it, too, with the seconds between stop and start.
///
/// # Errors
/// As [`View::ask`], and failures that name the unit.
pub fn plan(args: &SystemdArgs, sleep: Option<i64>, view: &View<'_>) -> Result<Decision, Stop> {
    check(args)?;
    let reloaded = view.memory().is_some();
    let mut actions = Vec::new();
    for (wanted, verb) in [(args.daemon_reload, "daemon-reload"), (args.daemon_reexec, "daemon-reexec")] {
        if wanted && !reloaded {
            let run = Run::sh(include_str!("systemd/act.sh"), &[args.scope.word(), verb, "", ""]);
            actions.push(Action::run(run, format!("systemctl {verb}")).writing(vec![Key::Units]).local());
        }
    }
    if reloaded && let Some(output) = view.outputs().iter().find(|o| !o.success()) {
        return Err(super::common::outputs::failed(
            format!("failure {} during daemon-reload: {}", output.rc, output.err().trim()),
            output,
        ));
    }
    let Some(name) = &args.name else {
        let result = TaskResult::ok().with("name", Value::Null).with("status", Value::map(Map::new()));
        return Ok(Decision::act(result, actions));
    };
    let question = unit_question(args.scope, name);
    let asked = view.ask(question.clone());
    let state = args.state.map(|_| {
        let reads = vec![Key::Volatile, Key::Units];
        view.probe(Probe::new(include_str!("systemd/state.sh"), &[args.scope.word(), name], reads))
    });
    let Answer::Output(said) = asked? else { return Err(Stop::fail("internal error: an answer of the wrong kind")) };
    if said.rc == 127 {
        return Err(Stop::fail("the host has no systemctl: services are managed through systemd"));
    }
    let unit = Unit::read(&said);
    if !unit.found() && !actions.is_empty() {
        // The manager may not have seen the unit's file yet.
        let foretold = TaskResult::changed(true).with("name", name.as_str());
        return Ok(Decision::again(foretold, actions, Value::from(true)));
    }
    let mut status = unit.properties.clone();
    let (mut changed, mut result) = (false, TaskResult::ok().with("name", name.as_str()));

    if let Some(masked) = args.masked
        && masked != (unit.enabled == "masked")
    {
        changed = true;
        let verb = if masked { "mask" } else { "unmask" };
        actions.push(file_action(args, name, verb));
    }
    if (args.enabled.is_some() || args.state.is_some()) && !unit.found() {
        return Err(missing(name, &unit));
    }
    if unit.get("LoadState") == "error" || unit.get("LoadState") == "bad-setting" {
        let why = unit.get("LoadError");
        return Err(Stop::fail(format!("Error loading unit file '{name}': {why}")));
    }
    if let Some(wanted) = args.enabled {
        let fixed = matches!(unit.enabled.as_str(), "static" | "generated" | "transient");
        let enabled = unit.enabled == "enabled" || (fixed && wanted);
        if enabled != wanted {
            changed = true;
            let verb = if wanted { "enable" } else { "disable" };
            let action = file_action(args, name, verb);
            actions.push(foretell(action, question, &said, &unit, wanted));
        }
        result = result.with("enabled", wanted);
    }
    if let Some(wanted) = args.state {
        let now = match state {
            Some(Ok(output)) => Some(properties(&output.out()).0),
            // Whether it runs can't be known before apply; that it runs afterwards can.
            Some(Err(Stop::Unknown(_))) if matches!(wanted, State::Restarted | State::Reloaded) => None,
            Some(Err(stop)) => return Err(stop),
            None => None,
        };
        let active = now.as_ref().map(|s| s.get("ActiveState").map(ToString::to_string).unwrap_or_default());
        if active.as_deref() == Some("") {
            return Err(offline(name, &unit));
        }
        status.extend(now.unwrap_or_default());
        let runs = active.as_deref().is_some_and(|a| matches!(a, "active" | "activating"));
        let verb = match wanted {
            State::Started => (!runs).then_some("start"),
            State::Stopped => (runs || active.as_deref() == Some("deactivating")).then_some("stop"),
            State::Restarted => Some(if active.is_some() && !runs { "start" } else { "restart" }),
            State::Reloaded => Some(match &active {
                Some(_) if runs => "reload",
                Some(_) => "start",
                None => "reload-or-start",
            }),
        };
        if let Some(verb) = verb {
            changed = true;
            let pause = sleep.map(|s| s.to_string()).unwrap_or_default();
            actions.push(run_action(args, name, verb, &pause));
        }
        result = result.with("state", if wanted == State::Stopped { "stopped" } else { "started" });
    }
    result.changed = changed;
    Ok(Decision::act(result.with("status", Value::map(status)), actions))
}

fn check(args: &SystemdArgs) -> Result<(), Stop> {
    let wants = args.state.is_some() || args.enabled.is_some() || args.masked.is_some();
    match &args.name {
        None if wants => return Err(Stop::fail("`name` is needed with `state`, `enabled` and `masked`")),
        Some(name) if name.contains(['*', '?', '[']) => {
            return Err(Stop::fail(format!("`{name}`: patterns are not supported, name one unit at a time")));
        }
        Some(name) if name.trim().is_empty() => return Err(Stop::fail("`name` is empty")),
        _ => {}
    }
    if !wants && !args.daemon_reload && !args.daemon_reexec {
        return Err(Stop::fail("one of `state`, `enabled`, `masked`, `daemon_reload` and `daemon_reexec` is needed"));
    }
    if args.scope == Scope::Global && args.state.is_some() {
        return Err(Stop::fail("`state` can't be used with `scope: global`: no manager runs there"));
    }
    Ok(())
}

fn missing(name: &str, unit: &Unit) -> Stop {
    match &unit.complaint {
        Some(complaint) if !complaint.is_empty() => offline_with(name, complaint),
        _ => Stop::fail(format!("Could not find the requested service {name}: host")),
    }
}

fn offline(name: &str, unit: &Unit) -> Stop {
    offline_with(name, unit.complaint.as_deref().unwrap_or("systemctl says nothing of it"))
}

fn offline_with(name: &str, complaint: &str) -> Stop {
    Stop::fail(format!(
        "the state of {name} can't be told, since systemd does not answer on this host (a chroot, or a container without it?): {complaint}"
    ))
}

fn options(args: &SystemdArgs) -> Vec<&'static str> {
    let mut options = Vec::new();
    options.extend(args.no_block.then_some("--no-block"));
    options.extend(args.force.then_some("--force"));
    options
}

fn run_action(args: &SystemdArgs, name: &str, verb: &str, pause: &str) -> Action {
    let mut words = vec![args.scope.word(), verb, pause, name];
    words.extend(options(args));
    Action::run(Run::sh(include_str!("systemd/act.sh"), &words), format!("{verb} {name}"))
}

/// Enabling and masking make and remove links, and the manager reads its units anew.
fn file_action(args: &SystemdArgs, name: &str, verb: &str) -> Action {
    let mut words = vec![args.scope.word(), verb, "", name];
    words.extend(args.force.then_some("--force"));
    let action = Action::run(Run::sh(include_str!("systemd/act.sh"), &words), format!("{verb} {name}")).local();
    match args.scope {
        Scope::User => action,
        _ => {
            let levels = ["0", "1", "2", "3", "4", "5", "6", "S"].map(|l| Key::below(&format!("/etc/rc{l}.d")));
            let own = [Key::below("/etc/systemd"), Key::below("/run/systemd"), Key::below("/etc/init.d")];
            action.writing(own.into_iter().chain(levels).collect())
        }
    }
}

/// After enabling, the same question is answered with what was asked for.
fn foretell(action: Action, question: Question, said: &Output, unit: &Unit, wanted: bool) -> Action {
    let word = if wanted { "enabled" } else { "disabled" };
    if unit.enabled != "enabled" && unit.enabled != "disabled" {
        return action;
    }
    let text = said
        .out()
        .replace(&format!("=enabled {}", unit.enabled), &format!("=enabled {word}"))
        .replace(&format!("UnitFileState={}", unit.enabled), &format!("UnitFileState={word}"));
    action.predict(question, Answer::Output(Output::ok(&text)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::host::action::Command;
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;
    use std::cell::RefCell;
    use std::rc::Rc;

    fn words(run: &Run) -> Vec<String> {
        match &run.command {
            Command::Shell { args, .. } => args.clone(),
            Command::Argv(words) => words.clone(),
        }
    }

    /// A host with one unit that behaves.
    fn host(enabled: &str, active: &str) -> Fake {
        let unit = Rc::new(RefCell::new((enabled.to_owned(), active.to_owned())));
        let (seen, done) = (unit.clone(), unit);
        Fake::new()
            .probe(move |probe| {
                let (enabled, active) = seen.borrow().clone();
                if probe.args[1] != "nginx" {
                    return Some(Output::ok(
                        "LoadState=not-found\nActiveState=inactive\n=enabled Failed to get unit file state\n",
                    ));
                }
                Some(Output::ok(&if probe.script.contains("ActiveState") {
                    format!("ActiveState={active}\nSubState=x\n")
                } else {
                    format!("Id=nginx.service\nLoadState=loaded\nUnitFileState={enabled}\n=enabled {enabled}\n")
                }))
            })
            .on_run(move |run, _| {
                let mut unit = done.borrow_mut();
                match words(run)[1].as_str() {
                    "enable" => unit.0 = "enabled".into(),
                    "disable" | "unmask" => unit.0 = "disabled".into(),
                    "mask" => unit.0 = "masked".into(),
                    "start" | "restart" => unit.1 = "active".into(),
                    "stop" => unit.1 = "inactive".into(),
                    _ => {}
                }
                Some(Output::ok(""))
            })
    }

    fn verbs(host: &Fake) -> Vec<String> {
        host.ran().iter().map(|r| words(r)[1].clone()).collect()
    }

    #[test]
    fn started_and_enabled_once() {
        let mut host = host("disabled", "inactive");
        let args = json!({"name": "nginx", "state": "started", "enabled": true});
        let decision = host.converge("systemd", args.clone());
        assert!(decision.result.changed);
        assert_eq!(host.rounds(), 1);
        assert_eq!(decision.result.data["state"].to_string(), "started");
        assert_eq!(decision.result.data["enabled"].to_string(), "True");
        assert_eq!(decision.result.data["status"].get("ActiveState").unwrap().to_string(), "inactive");
        assert_eq!(verbs(&host), ["enable", "start"]);
        assert_eq!(decision.actions[0].predicts.len(), 1);
        host.settled("systemd", args);
        host.converge("systemd_service", json!({"name": "nginx", "state": "stopped", "enabled": false}));
        host.settled("systemd", json!({"name": "nginx", "state": "stopped", "enabled": false}));
    }

    #[test]
    fn restarts_and_reloads_always_act() {
        let mut host = host("enabled", "inactive");
        host.converge("systemd", json!({"name": "nginx", "state": "reloaded"}));
        host.converge("systemd", json!({"name": "nginx", "state": "reloaded"}));
        host.converge("systemd", json!({"name": "nginx", "state": "restarted", "no_block": true}));
        assert_eq!(verbs(&host), ["start", "reload", "restart"]);
        assert_eq!(words(&host.ran()[2])[4..], ["--no-block"]);
    }

    #[test]
    fn masks() {
        let mut host = host("enabled", "inactive");
        host.converge("systemd", json!({"name": "nginx", "masked": true}));
        host.settled("systemd", json!({"name": "nginx", "masked": true}));
        host.converge("systemd", json!({"name": "nginx", "masked": false}));
        host.settled("systemd", json!({"name": "nginx", "masked": false}));
    }

    #[test]
    fn units_that_can_not_be_enabled_count_as_enabled() {
        let mut host = host("static", "active");
        host.settled("systemd", json!({"name": "nginx", "enabled": true}));
        host.settled("systemd", json!({"name": "nginx", "enabled": false}));
    }

    #[test]
    fn missing_units_are_named() {
        let mut host = host("enabled", "active");
        let message = host.fails("systemd", json!({"name": "nonesuch", "state": "started"}));
        assert_eq!(message, "Could not find the requested service nonesuch: host");
        host.fails("systemd", json!({"name": "nonesuch", "state": "started", "daemon_reload": true}));
        assert_eq!(verbs(&host), ["daemon-reload"], "it looks again after reading the unit files anew");
        assert!(host.fails("systemd", json!({"name": "a*", "state": "started"})).contains("patterns"));
        assert!(host.fails("systemd", json!({"state": "started"})).contains("`name` is needed"));
    }

    #[test]
    fn a_reload_of_unit_files_is_no_change() {
        let mut host = host("enabled", "active");
        let decision = host.converge("systemd", json!({"daemon_reload": true}));
        assert!(!decision.result.changed);
        let decision = host.converge("systemd", json!({"name": "nginx", "state": "started", "daemon-reload": true}));
        assert!(!decision.result.changed);
        assert_eq!(verbs(&host), ["daemon-reload", "daemon-reload"]);
    }

    #[test]
    fn without_a_manager_it_says_so() {
        let mut host = Fake::new().probe(|probe| {
            Some(Output::ok(if probe.script.contains("ActiveState") {
                "System has not been booted with systemd as init system (PID 1). Can't operate.\n"
            } else {
                "System has not been booted with systemd as init system (PID 1). Can't operate.\n=failed 1\n=enabled enabled\n"
            }))
        });
        assert!(host.fails("systemd", json!({"name": "ssh", "state": "started"})).contains("has not been booted"));
        host.settled("systemd", json!({"name": "ssh", "enabled": true}));
    }
}
