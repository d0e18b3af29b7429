//! What hosts keep beyond a batch that was not their own doing: facts that others found out for them, failures cleared.

use super::board::{Board, Gift, Snapshot};
use super::play::Runner;
use super::state::Standing;
use crate::values::Map;
use std::collections::HashMap;
use std::sync::Arc;

/// Set facts and facts of hosts that have not taken part yet, as others found them out (`delegate_facts`).
#[derive(Debug, Default)]
pub(super) struct Given(HashMap<Arc<str>, (Arc<Map>, Arc<Map>)>);

impl Given {
    fn keep(&mut self, host: Arc<str>, gift: &Gift) {
        let (registered, facts) = self.0.entry(host).or_default();
        gift.add(registered, facts);
    }

    /// What a host is given that takes part for the first time: set facts, and facts.
    pub fn of(&self, host: &str) -> (Arc<Map>, Arc<Map>) {
        self.0.get(host).cloned().unwrap_or_default()
    }

    /// What hosts show that have taken no part yet.
    pub fn snapshots(&self) -> impl Iterator<Item = (Arc<str>, Snapshot)> {
        self.0.iter().map(|(host, (registered, facts))| {
            let shown =
                Snapshot { registered: Arc::clone(registered), facts: Arc::clone(facts), ..Snapshot::outside() };
            (Arc::clone(host), shown)
        })
    }
}

impl Runner {
    /// Takes over what a batch leaves for hosts that were not at work when it came up.
    pub(super) fn take_over(&mut self, board: &Board) {
        for host in board.pardoned() {
            if let Some(kept) = self.kept.get_mut(&host) {
                kept.standing = Standing::Ended;
            }
        }
        for (host, gift) in board.left_gifts() {
            match self.kept.get_mut(&host) {
                Some(kept) => gift.add(&mut kept.registered, &mut kept.facts),
                None => self.given.keep(host, &gift),
            }
        }
    }
}
