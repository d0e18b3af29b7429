//! What templates can use, as a table: documentation and "did you mean" are made from it.

use super::{builtin, choose, filters, functions, lookups, tests};

/// What an entry of the catalogue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CatalogueKind {
    /// `x | name`
    Filter,
    /// `x is name`
    Test,
    /// `name(x)`
    Function,
    /// `lookup('name', x)`
    Lookup,
}

/// Every filter, test, function and lookup: its kind, its short name, and one line about it. Each is also known under
/// its full name (`ansible.builtin.x`, `community.general.x`…).
pub fn catalogue() -> Vec<(CatalogueKind, &'static str, &'static str)> {
    let mut out: Vec<_> = filters::all().map(|s| (CatalogueKind::Filter, s.name, s.about)).collect();
    out.extend(choose::NAMES.iter().map(|(name, about)| (CatalogueKind::Filter, *name, *about)));
    out.extend(tests::all_tests().map(|s| (CatalogueKind::Test, s.name, s.about)));
    out.extend(functions::FUNCTIONS.iter().map(|s| (CatalogueKind::Function, s.name, s.about)));
    for (kind, what) in [(CatalogueKind::Filter, "filter"), (CatalogueKind::Test, "test")] {
        for name in builtin::names(what) {
            if !out.iter().any(|(k, n, _)| (*k, *n) == (kind, name)) {
                out.push((kind, name, "as in Jinja"));
            }
        }
    }
    out.push((CatalogueKind::Test, "defined", "whether it is defined"));
    out.push((CatalogueKind::Test, "undefined", "whether it is undefined"));
    out.push((CatalogueKind::Function, "undef", "an undefined value with a hint for the message"));
    for name in ["range", "namespace"] {
        out.push((CatalogueKind::Function, name, "as in Jinja"));
    }
    for (name, about) in [
        ("lookup", "what a lookup finds, joined"),
        ("query", "what a lookup finds, as a list"),
        ("q", "the same as `query`"),
    ] {
        out.push((CatalogueKind::Function, name, about));
    }
    out.extend(lookups::all().map(|l| (CatalogueKind::Lookup, l.name, l.about)));
    out.sort();
    out
}

/// The short and full names of all filters, tests, functions or lookups.
pub(crate) fn names(what: &str) -> Vec<String> {
    let mut out: Vec<String> = match what {
        "filter" => filters::all().flat_map(super::call::Spec::names).collect(),
        "test" => tests::all_tests().flat_map(super::call::Spec::names).collect(),
        _ => Vec::new(),
    };
    let kind = match what {
        "filter" => CatalogueKind::Filter,
        "test" => CatalogueKind::Test,
        "lookup" => CatalogueKind::Lookup,
        _ => CatalogueKind::Function,
    };
    for (found, name, _) in catalogue() {
        if found == kind {
            out.push(name.to_owned());
            out.push(format!("ansible.builtin.{name}"));
        }
    }
    out.sort();
    out.dedup();
    out
}
