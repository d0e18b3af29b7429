//! `slurp`: a file's content, in base64.

use super::args::Arguments;
use super::common::paths;
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, PathKind, Stop, TaskResult, View};
use crate::values::Map;
use base64::Engine as _;

crate::module_args! {
    /// What `slurp` takes.
    pub struct SlurpArgs {
        /// The file.
        src: String, ["path"];
    }
}

/// The module.
pub static MODULE: Module = Module {
    names: &["slurp", "ansible.builtin.slurp", "ansible.legacy.slurp"],
    doc: "A file's content, in base64.",
    args: <SlurpArgs as Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_: &Map| Vec::<Key>::new(),
};

fn plan(args: &SlurpArgs, view: &View<'_>) -> Result<Decision, Stop> {
    let path = paths::absolute(view, "src", &args.src)?;
    let (state, content) = (view.path_with(&path, true, None), view.content(&path));
    if state?.kind == PathKind::Directory {
        return Err(Stop::fail(format!("{path} is a folder, and must be a file")));
    }
    let content = content?.ok_or_else(|| Stop::fail(format!("file not found: {path}")))?;
    let text = base64::engine::general_purpose::STANDARD.encode(&content);
    Ok(Decision::nothing(TaskResult::ok().with("content", text).with("source", path).with("encoding", "base64")))
}

#[cfg(test)]
mod tests {
    use crate::modules::testing::Fake;
    use crate::values::Value;
    use serde_json::json;

    #[test]
    fn reads_files_and_only_those() {
        let mut host = Fake::new().file("/a", "hi\n", 0o644);
        let result = host.plan("slurp", json!({"src": "/a"})).result;
        assert_eq!(result.data["content"], Value::from("aGkK"));
        assert!(host.fails("slurp", json!({"src": "/"})).contains("folder"));
        assert!(host.fails("slurp", json!({"src": "/b"})).contains("not found"));
    }
}
