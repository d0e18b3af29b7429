//! The filters of Ansible and its collections that minijinja does not have, or has with another meaning.

mod data;
pub(crate) mod hash;
mod lists;
mod net;
mod paths;
pub(crate) mod regex;
mod strings;
pub(crate) mod time;

use super::Value;
use super::call::{self, Spec};
use minijinja as mj;
use minijinja::value::{Rest, ValueOrKwargs};

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec<Value>> {
    [
        data::FILTERS,
        strings::FILTERS,
        regex::FILTERS,
        lists::FILTERS,
        paths::FILTERS,
        hash::FILTERS,
        time::FILTERS,
        net::FILTERS,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for spec in all() {
        for name in spec.names() {
            env.add_filter(name, move |args: Rest<ValueOrKwargs>| call::filter(spec, args));
        }
    }
}
