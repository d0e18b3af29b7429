//! All modules by their names.

use super::args::{ArgSpec, Arguments};
use crate::host::{Decision, Key, Stop, View};
use crate::values::Map;

/// A module.
pub struct Module {
    /// Its short name and its full ones, short first.
    pub names: &'static [&'static str],
    /// One sentence for the reference.
    pub doc: &'static str,
    /// The arguments it declares.
    pub args: fn() -> Vec<ArgSpec>,
    /// What a plain string after its name means.
    pub free_form: FreeForm,
    /// Whether it takes any further arguments, under names of the user's choice (`set_fact`).
    pub free_keys: bool,
    /// What it needs to run.
    pub needs: Needs,
    /// The decision. The arguments are rendered and frozen; none of them is [`Value::Unknown`](crate::values::Value)
    /// in any part, unless `needs` is [`Needs::Controller`].
    pub plan: fn(&Map, &View<'_>) -> Result<Decision, Stop>,
    /// All that it may write, where its arguments are known but its answers are not; [`anything`] is always right.
    pub writes: fn(&Map) -> Vec<Key>,
}

/// What a plain string after a module's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FreeForm {
    /// Only `key=value` pairs.
    No,
    /// A command line, kept whole as the argument `_raw_params`; `key=value` pairs that the module declares are taken
    /// out of it as Ansible does (`creates=`, `chdir=`…).
    Command,
}

/// What a module needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A connection to the host.
    Host,
    /// Only the controller: it works on variables.
    Controller,
}

/// Any module may write anything, unless it says otherwise.
pub fn anything(_: &Map) -> Vec<Key> {
    vec![Key::Anything]
}

impl Module {
    /// Reads the arguments and plans; what [`Module::plan`] is set to.
    ///
    /// # Errors
    /// As the module's own function, and a failure for arguments that can't be read.
    pub fn plan_with<A: Arguments>(
        map: &Map,
        view: &View<'_>,
        plan: fn(&A, &View<'_>) -> Result<Decision, Stop>,
    ) -> Result<Decision, Stop> {
        plan(&A::from_map(map).map_err(Stop::fail)?, view)
    }

    /// Its short name.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }
}

/// All modules, each listed once here.
static MODULES: &[&Module] = &[
    &super::apt::MODULE,
    &super::apt_key::MODULE,
    &super::apt_repository::MODULE,
    &super::assert::MODULE,
    &super::async_status::MODULE,
    &super::authorized_key::MODULE,
    &super::blockinfile::MODULE,
    &super::command::MODULE,
    &super::copy::MODULE,
    &super::cron::MODULE,
    &super::debug::MODULE,
    &super::django_manage::MODULE,
    &super::fail::MODULE,
    &super::fetch::MODULE,
    &super::file::MODULE,
    &super::find::MODULE,
    &super::get_url::MODULE,
    &super::getent::MODULE,
    &super::git::MODULE,
    &super::group::MODULE,
    &super::hostname::MODULE,
    &super::lineinfile::MODULE,
    &super::package::MODULE,
    &super::pause::MODULE,
    &super::ping::MODULE,
    &super::pip::MODULE,
    &super::postgresql_db::MODULE,
    &super::postgresql_ext::MODULE,
    &super::postgresql_privs::MODULE,
    &super::postgresql_user::MODULE,
    &super::raw::MODULE,
    &super::replace::MODULE,
    &super::script::MODULE,
    &super::service::MODULE,
    &super::set_fact::MODULE,
    &super::setup::MODULE,
    &super::shell::MODULE,
    &super::slurp::MODULE,
    &super::stat::MODULE,
    &super::systemd::MODULE,
    &super::tempfile::MODULE,
    &super::template::MODULE,
    &super::timezone::MODULE,
    &super::unarchive::MODULE,
    &super::uri::MODULE,
    &super::user::MODULE,
    &super::wait_for::MODULE,
];

/// All modules.
pub fn all() -> &'static [&'static Module] {
    MODULES
}

/// The module of a name, short or full.
pub fn find(name: &str) -> Option<&'static Module> {
    MODULES.iter().find(|m| m.names.contains(&name)).copied()
}
