//! Results of many hosts, told together: with hundreds of them, a line for each host and step tells nobody anything.

use super::layout::plural;
use indexmap::IndexMap;
use std::sync::Arc;
use std::time::Duration;

/// With more hosts than this in a play, equal results share a line.
pub(super) const MANY: usize = 30;

/// How long a result may wait for its like.
const PATIENCE: Duration = Duration::from_secs(1);

/// Names that a line shows.
const NAMES: usize = 3;

/// What results must have in common: the step's place, and all that is said beside the host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Kind {
    /// The step's place in the play.
    pub position: Vec<u32>,
    /// What stands before the host.
    pub before: String,
    /// What stands behind it.
    pub after: String,
    /// What stands below.
    pub details: Vec<String>,
}

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Crowd {
    held: IndexMap<Kind, (usize, Vec<Arc<str>>)>,
    since: Option<Duration>,
}

impl Crowd {
    /// One more result.
    pub(super) fn hold(&mut self, kind: Kind, host: &Arc<str>, at: Duration) {
        self.since.get_or_insert(at);
        let (count, names) = self.held.entry(kind).or_default();
        *count += 1;
        if names.len() < NAMES {
            names.push(Arc::clone(host));
        }
    }

    /// Whether something has waited for long enough.
    pub(super) fn is_due(&self, at: Duration) -> bool {
        self.since.is_some_and(|since| at.saturating_sub(since) >= PATIENCE)
    }

    /// All that is held, in the order of the play: what it is, how many hosts, and which.
    pub(super) fn take(&mut self) -> Vec<(Kind, String, String)> {
        self.since = None;
        let mut all: Vec<_> = std::mem::take(&mut self.held).into_iter().collect();
        all.sort_by(|(a, _), (b, _)| a.position.cmp(&b.position));
        all.into_iter()
            .map(|(kind, (count, names))| {
                let shown = names.join(", ");
                match (count, count - names.len()) {
                    (1, _) => (kind, shown, String::new()),
                    (_, 0) => (kind, plural(count, "host"), shown),
                    (_, more) => (kind, plural(count, "host"), format!("{shown} and {more} more")),
                }
            })
            .collect()
    }
}
