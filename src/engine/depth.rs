//! D of the cost model: how long the longest chain of results gets in which each was needed for the next.
//!
//! A result of a host is one link longer than the longest of what its step looked at: loop, condition, arguments,
//! templates. A play takes at most as many rounds of questions as its longest chain has links, and one more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The chains of one host.
#[derive(Debug, Clone, Default)]
pub struct Depths {
    /// By variable: how long the chain is that ends with it. What is not here comes from no host.
    of: Arc<HashMap<Arc<str>, u32>>,
    /// The longest chain among what the step at hand has looked at; counted while values are looked up.
    seen: Arc<AtomicU32>,
    /// The longest that any step needed.
    pub longest: u32,
}

impl Depths {
    /// The same chains; what is looked at counts apart (for looking ahead).
    #[must_use]
    pub fn aside(&self) -> Self {
        Self { seen: Arc::default(), ..self.clone() }
    }

    /// A step begins.
    pub fn begin(&self) {
        self.seen.store(0, Ordering::Relaxed);
    }

    /// The step looks at a variable.
    pub fn look(&self, name: &str) {
        if let Some(depth) = self.of.get(name) {
            self.seen.fetch_max(*depth, Ordering::Relaxed);
        }
    }

    /// The step ends. `by_host`: its result comes from the host, and is under these names from now on.
    pub fn end<'n>(&mut self, names: impl IntoIterator<Item = &'n Arc<str>>, by_host: bool) {
        let seen = self.seen.load(Ordering::Relaxed);
        self.longest = self.longest.max(seen);
        let depth = seen + u32::from(by_host);
        for name in names {
            // A name that stands for nothing of a host is not kept: most are that.
            if depth > 0 || self.of.contains_key(name) {
                Arc::make_mut(&mut self.of).insert(Arc::clone(name), depth);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_grow_by_what_a_host_tells() {
        let mut depths = Depths::default();
        let name = |n: &str| -> Arc<str> { n.into() };
        let step = |depths: &mut Depths, looks: &[&str], to: &str, by_host| {
            depths.begin();
            looks.iter().for_each(|n| depths.look(n));
            depths.end([&name(to)], by_host);
        };
        step(&mut depths, &["inventory"], "a", true);
        assert_eq!(depths.longest, 0);
        step(&mut depths, &["a"], "fact", false);
        step(&mut depths, &["fact"], "b", true);
        assert_eq!(depths.longest, 1);
        step(&mut depths, &["a", "b"], "c", true);
        assert_eq!(depths.longest, 2);
        step(&mut depths, &[], "c", false);
        step(&mut depths, &["c"], "d", true);
        assert_eq!(depths.longest, 2);
        let ahead = depths.aside();
        ahead.look("b");
        step(&mut depths, &[], "e", true);
        step(&mut depths, &["e"], "f", true);
        assert_eq!(depths.longest, 2);
    }
}
