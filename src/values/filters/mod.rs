//! The filters of Ansible and its collections that minijinja does not have, or has with another meaning.

mod address;
mod chance;
mod data;
pub(crate) mod hash;
mod lists;
mod net;
mod numbers;
mod paths;
mod products;
pub(crate) mod regex;
mod serial;
mod strings;
pub(crate) mod time;

use super::Value;
use super::call::{self, Spec};
use minijinja as mj;
use minijinja::value::{Rest, ValueOrKwargs};

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Spec<Value>> {
    const ALL: [&[Spec<Value>]; 12] = [
        data::FILTERS,
        serial::FILTERS,
        strings::FILTERS,
        regex::FILTERS,
        numbers::FILTERS,
        chance::FILTERS,
        lists::FILTERS,
        products::FILTERS,
        paths::FILTERS,
        hash::FILTERS,
        time::FILTERS,
        net::FILTERS,
    ];
    ALL.into_iter().flatten()
}

pub(crate) fn register(env: &mut mj::Environment<'static>) {
    for spec in all() {
        for name in spec.names() {
            env.add_filter(name, move |args: Rest<ValueOrKwargs>| call::filter(spec, args));
        }
    }
}
