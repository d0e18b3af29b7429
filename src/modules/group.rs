//! `group`: groups of accounts.

use super::args::Arguments;
use super::common::accounts::{self, Group};
use super::common::outputs::{failed, gist};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, Decision, Key, Run, Stop, TaskResult, View};
use crate::values::Value;

crate::module_choices! {
    /// Whether the group is there.
    pub enum State {
        /// It is not.
        Absent = "absent",
        /// It is.
        Present = "present",
    }
}

crate::module_args! {
    /// What `group` takes.
    pub struct GroupArgs {
        /// Name.
        name: String;
        /// Whether it is there.
        state: State = State::Present;
        /// Number.
        gid: Option<i64>;
        /// Lowest number for a new group.
        gid_min: Option<i64>;
        /// Highest number for a new group.
        gid_max: Option<i64>;
        /// A service's group, with a low number.
        system: bool = false;
        /// Allow a number that another group has.
        non_unique: bool = false;
        /// With `state: absent`: remove it though it is somebody's primary group.
        force: bool = false;
        /// Look only at the host's own groups, not at those of a directory.
        local: bool = false;
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["group", "ansible.builtin.group", "ansible.legacy.group"],
    doc: "Groups of accounts.",
    args: GroupArgs::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::Accounts],
};

fn plan(args: &GroupArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if view.memory().is_some() {
        return after_acting(args, view);
    }
    let name = &args.name;
    if name.is_empty() || name.starts_with('-') || name.contains([':', '/', '\n', ' ', ',']) {
        return Err(Stop::fail(format!("`{name}` is no name of a group")));
    }
    let gid = args
        .gid
        .map(|g| u32::try_from(g).map_err(|_| Stop::fail("`gid` must be a number from 0 to 4294967295")))
        .transpose()?;
    if args.non_unique && gid.is_none() {
        return Err(Stop::fail("`non_unique` needs `gid`"));
    }
    let now = accounts::group(view, name, args.local)?;
    let result = TaskResult::ok().with("name", name.as_str()).with("state", args.state.word());
    let mut words: Vec<String> = Vec::new();
    let (shows, after) = match (args.state, now) {
        (State::Absent, None) => return Ok(Decision::nothing(result)),
        (State::Absent, Some(_)) => {
            words.push("groupdel".into());
            words.extend(args.force.then(|| "-f".to_owned()));
            (format!("remove group {name}"), None)
        }
        (State::Present, None) => {
            words.push("groupadd".into());
            for (flag, limit) in [("GID_MIN", args.gid_min), ("GID_MAX", args.gid_max)] {
                words.extend(limit.into_iter().flat_map(|l| ["-K".to_owned(), format!("{flag}={l}")]));
            }
            words.extend(args.system.then(|| "-r".to_owned()));
            (format!("create group {name}"), gid.map(|gid| Group { name: name.clone(), gid, members: Vec::new() }))
        }
        (State::Present, Some(now)) => {
            let done = result.clone().with("gid", gid.unwrap_or(now.gid)).with("system", args.system);
            let Some(gid) = gid.filter(|g| *g != now.gid) else { return Ok(Decision::nothing(done)) };
            words.push("groupmod".into());
            (format!("change group {name}: gid {} -> {gid}", now.gid), Some(Group { gid, ..now }))
        }
    };
    if args.state == State::Present
        && let Some(gid) = gid
    {
        words.extend(["-g".to_owned(), gid.to_string()]);
        words.extend(args.non_unique.then(|| "-o".to_owned()));
    }
    words.push(name.clone());
    let mut action = Action::run(Run::argv(words), shows).local().writing(vec![Key::Accounts]);
    if args.state == State::Absent || after.is_some() {
        for local in [false, true] {
            let answer = accounts::group_answer(after.as_ref());
            action = action.predict(accounts::group_question(name, local), answer);
        }
    }
    let mut result = TaskResult { changed: true, ..result };
    if args.state == State::Present {
        result = result.with("gid", gid.map_or(Value::Unknown, Value::from)).with("system", args.system);
    }
    if args.state == State::Present && gid.is_none() {
        return Ok(Decision::again(result, vec![action], Value::from(true)));
    }
    Ok(Decision::act(result, vec![action]))
}

/// The second round, for the number that groupadd chose.
fn after_acting(args: &GroupArgs, view: &View<'_>) -> Result<Decision, Stop> {
    if let Some(output) = view.outputs().iter().find(|o| !o.success()) {
        return Err(failed(gist(output), output));
    }
    let now = accounts::group(view, &args.name, args.local)?;
    let result = TaskResult::changed(true).with("name", args.name.as_str()).with("state", "present");
    Ok(Decision::nothing(result.with("gid", now.map(|g| g.gid)).with("system", args.system)))
}

#[cfg(test)]
mod tests {
    use crate::host::action::Command;
    use crate::host::{Output, Run};
    use crate::modules::testing::Fake;
    use serde_json::json;

    fn host() -> Fake {
        Fake::new()
            .probe(|p| Some(Output::ok(if p.args[1] == "web" { "web:x:1005:a\n" } else { "" })))
            .on_run(|_, _| Some(Output::ok("")))
    }

    fn words(run: &Run) -> Vec<String> {
        match &run.command {
            Command::Argv(words) => words.clone(),
            Command::Shell { .. } => Vec::new(),
        }
    }

    #[test]
    fn made_changed_and_removed() {
        let mut host = host();
        host.settled("group", json!({"name": "web"}));
        host.settled("group", json!({"name": "web", "gid": 1005}));
        host.settled("group", json!({"name": "none", "state": "absent"}));
        host.converge("group", json!({"name": "app", "system": true}));
        assert_eq!(words(&host.ran()[0]), ["groupadd", "-r", "app"]);
        let decision = host.converge("group", json!({"name": "app", "gid": 2000}));
        assert_eq!(words(&host.ran()[1]), ["groupadd", "-g", "2000", "app"]);
        assert_eq!(decision.actions[0].predicts.len(), 2);
        host.converge("group", json!({"name": "web", "gid": 7, "non_unique": true}));
        assert_eq!(words(&host.ran()[2]), ["groupmod", "-g", "7", "-o", "web"]);
        host.converge("group", json!({"name": "web", "state": "absent"}));
        assert_eq!(words(&host.ran()[3]), ["groupdel", "web"]);
        assert!(host.fails("group", json!({"name": "-x"})).contains("no name of a group"));
    }
}
