//! `package`: packages by whatever manager the host has, which is apt.

use super::apt::{self, AptArgs};
use super::registry::{FreeForm, Module, Needs};
use crate::host::{Decision, Key, Stop, View};

crate::module_args! {
    /// What `package` takes: what `apt` takes, and which manager to use.
    pub struct PackageArgs {
        /// The package manager.
        r#use: String = "auto";
    } + apt: AptArgs
}

/// The module.
pub static MODULE: Module = Module {
    names: &["package", "ansible.builtin.package", "ansible.legacy.package"],
    doc: "Packages by the host's package manager.",
    args: <PackageArgs as super::args::Arguments>::specs,
    free_form: FreeForm::No,
    free_keys: false,
    needs: Needs::Host,
    plan: |map, view| Module::plan_with(map, view, plan),
    writes: |_| vec![Key::Packages],
};

fn plan(args: &PackageArgs, view: &View<'_>) -> Result<Decision, Stop> {
    match args.r#use.as_str() {
        "auto" | "apt" | "ansible.builtin.apt" => apt::plan(&args.apt, view),
        other => Err(Stop::fail(format!("`use: {other}` is not supported: hosts are Debian or Ubuntu, with apt"))),
    }
}

#[cfg(test)]
mod tests {
    use crate::host::Output;
    use crate::modules::testing::Fake;
    use serde_json::json;

    #[test]
    fn it_is_apt() {
        let mut host = Fake::new().probe(|_| Some(Output::ok("=installed\ncurl\tamd64\t7\tinstall installed\t\n")));
        host.settled("package", json!({"name": "curl", "state": "present"}));
        assert!(host.fails("package", json!({"name": "curl", "use": "dnf"})).contains("not supported"));
    }
}
