//! The merge key `<<`.

use super::{Diagnostic, Entry, Kind, Node};
use indexmap::IndexMap;
use std::sync::Arc;

/// The entries of a mapping with those that its `<<` bring in, in PyYAML's order: merged ones first; the
/// mapping's own win wherever `<<` stands; of several mappings in a list, the earlier wins.
pub(super) fn merged(own: Vec<Entry>, merges: Vec<Node>, diagnostics: &mut Vec<Diagnostic>) -> Vec<Entry> {
    let mut all: IndexMap<Arc<str>, Entry> = IndexMap::new();
    for node in merges {
        match node.kind {
            Kind::Map(entries) => all.extend(keyed(entries)),
            Kind::List(items) => {
                for item in items.into_iter().rev() {
                    match item.kind {
                        Kind::Map(entries) => all.extend(keyed(entries)),
                        _ => diagnostics.push(not_a_mapping(&item)),
                    }
                }
            }
            _ => diagnostics.push(not_a_mapping(&node)),
        }
    }
    all.extend(keyed(own));
    all.into_values().collect()
}

fn keyed(entries: Vec<Entry>) -> impl Iterator<Item = (Arc<str>, Entry)> {
    entries.into_iter().map(|e| (Arc::clone(&e.key), e))
}

fn not_a_mapping(node: &Node) -> Diagnostic {
    Diagnostic::error("bad-merge", format!("`<<` merges mappings, and this is {}", node.describe()), &node.span)
        .help("give it an alias of a mapping (`<<: *defaults`) or a list of such aliases")
}
