//! `tempfile`: a file or folder under a name that nothing else has.

use super::args::Arguments;
use super::common::{folders, paths};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Action, ActionKind, Content, Decision, Install, Key, PathKind, Stop, TaskResult, View};
use crate::values::Map;

crate::module_choices! {
    /// What to make.
    pub enum State {
        /// A folder.
        Directory = "directory",
        /// A file.
        File = "file",
    }
}

crate::module_args! {
    /// What `tempfile` takes.
    pub struct TempArgs {
        /// What to make.
        state: State = State::File;
        /// Where; `/tmp` by default.
        path: String = "/tmp";
        /// How its name begins.
        prefix: String = "ansible.";
        /// How its name ends.
        suffix: String = "";
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["tempfile", "ansible.builtin.tempfile", "ansible.legacy.tempfile"],
    doc: "A file or folder under a name that nothing else has.",
    args: <TempArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |map: &Map| vec![Key::below(map.get("path").and_then(|p| p.as_str()).unwrap_or("/tmp"))],
};

fn plan(args: &TempArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let folder = paths::absolute(view, "path", &args.path)?;
    if args.prefix.contains('/') || args.suffix.contains('/') {
        return Err(Stop::fail("`prefix` and `suffix` are parts of a name, and can't hold a `/`"));
    }
    // The step's own number makes the name, so that it is known before the file is made.
    let nonce = view.nonce();
    let name = format!("{}{}{}", args.prefix, nonce.get(..12).unwrap_or(nonce), args.suffix);
    let path = format!("{}/{name}", folder.trim_end_matches('/'));
    let (above, now) = (view.path_with(&folder, true, None), view.path(&path));
    if above?.kind != PathKind::Directory {
        return Err(Stop::fail(format!("the folder {folder} does not exist")));
    }
    if now?.exists() {
        return Err(Stop::fail(format!("{path} exists already; run the step again for another name")));
    }
    let (action, mode, state) = match args.state {
        State::Directory => (folders::make(&path, Some(0o700), None, None), "0700", "directory"),
        State::File => {
            let install = Install {
                path: path.clone(),
                content: Content::text(""),
                mode: 0o600,
                owner: None,
                group: None,
                replaces: false,
                backup: None,
                validate: None,
                unsafe_writes: false,
            };
            (Action::new(ActionKind::Install(install), format!("create {path}")), "0600", "file")
        }
    };
    let who = view.whoami();
    let result = TaskResult::changed(true)
        .with("path", path)
        .with("mode", mode)
        .with("state", state)
        .with("owner", &who.user)
        .with("uid", who.uid)
        .with("group", &who.group)
        .with("gid", who.gid);
    Ok(Decision::act(result, vec![action]))
}

#[cfg(test)]
mod tests {
    use crate::host::PathKind;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn makes_what_is_asked_for() {
        let mut host = Fake::new().dir("/tmp", 0o1777);
        let path =
            host.converge("tempfile", json!({"suffix": ".d", "state": "directory"})).result.data["path"].to_string();
        assert_eq!((host.state(&path).kind, host.state(&path).mode), (PathKind::Directory, 0o700));
        let path = host.converge("tempfile", json!({"prefix": "x"})).result.data["path"].to_string();
        assert_eq!((host.state(&path).kind, host.state(&path).mode), (PathKind::File, 0o600));
        assert!(path.starts_with("/tmp/x"));
        assert!(host.fails("tempfile", json!({"path": "/none"})).contains("does not exist"));
        assert!(host.fails("tempfile", json!({"prefix": "../x"})).contains("can't hold"));
    }
}
