//! Where the hosts of a batch are, and who waits for whom to come where.
//!
//! With thousands of hosts at one barrier, nobody may look at all others whenever one of them moves: places are counted,
//! and only those are woken for whom a move may have made a difference.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The places of the hosts that take part.
#[derive(Debug, Default)]
pub(super) struct Places {
    of: HashMap<Arc<str>, Vec<u32>>,
    /// How many hosts are at each.
    count: BTreeMap<Vec<u32>, usize>,
}

/// What a move was.
#[derive(Debug)]
pub(super) struct Move {
    /// From where to where; none is out of the batch.
    from: Option<Vec<u32>>,
    to: Option<Vec<u32>>,
    /// The place of the hindmost host, where that is another one now.
    last: Option<Option<Vec<u32>>>,
}

impl Places {
    fn last(&self) -> Option<&Vec<u32>> {
        self.count.first_key_value().map(|(place, _)| place)
    }

    /// A host is at a place now, or takes part no more.
    pub(super) fn put(&mut self, host: &Arc<str>, place: Option<&[u32]>) -> Move {
        let last = self.last().cloned();
        let from = self.of.remove(host);
        if let Some(from) = &from
            && let Some(count) = self.count.get_mut(from)
        {
            *count -= 1;
            if *count == 0 {
                self.count.remove(from);
            }
        }
        if let Some(place) = place {
            *self.count.entry(place.to_vec()).or_default() += 1;
            self.of.insert(Arc::clone(host), place.to_vec());
        }
        let now = self.last();
        let last = (now != last.as_ref()).then(|| now.cloned());
        Move { from, to: place.map(<[u32]>::to_vec), last }
    }

    /// Whether a host has done all that comes before `position`; those that do not take part have.
    pub(super) fn has_reached(&self, host: &str, position: &[u32]) -> bool {
        self.of.get(host).is_none_or(|place| place.as_slice() >= position)
    }

    /// Whether all other hosts have.
    pub(super) fn others_reached(&self, host: &str, position: &[u32]) -> bool {
        let own = self.of.get(host);
        let behind = self.count.iter().take_while(|(place, _)| place.as_slice() < position);
        behind.map(|(place, count)| count - usize::from(own == Some(place))).all(|others| others == 0)
    }
}

/// Who waits. A bell rings once; whoever still waits then takes another.
#[derive(Debug, Default)]
pub(super) struct Bells {
    all: BTreeMap<Vec<u32>, CancellationToken>,
    hosts: HashMap<Arc<str>, CancellationToken>,
    once: BTreeMap<Vec<u32>, CancellationToken>,
}

impl Bells {
    /// Rings when all hosts may have come to a place.
    pub(super) fn for_all(&mut self, place: &[u32]) -> CancellationToken {
        self.all.entry(place.to_vec()).or_default().clone()
    }

    /// Rings when a host has moved.
    pub(super) fn for_host(&mut self, host: &Arc<str>) -> CancellationToken {
        self.hosts.entry(Arc::clone(host)).or_default().clone()
    }

    /// Rings when what is done once at a place may be done, or for another host to do.
    pub(super) fn for_once(&mut self, place: &[u32]) -> CancellationToken {
        self.once.entry(place.to_vec()).or_default().clone()
    }

    /// What is done once at a place is done.
    pub(super) fn once(&mut self, place: &[u32]) {
        self.once.remove(place).iter().for_each(CancellationToken::cancel);
    }

    /// A host has moved.
    pub(super) fn ring(&mut self, Move { from, to, last }: Move, host: &str) {
        self.hosts.remove(host).iter().for_each(CancellationToken::cancel);
        if let Some(last) = last {
            // Those wait no more for whom the hindmost is far enough; all, where nobody is left.
            let later = match &last {
                Some(last) => self.all.split_off(&[last.as_slice(), &[0]].concat()),
                None => BTreeMap::new(),
            };
            std::mem::replace(&mut self.all, later).values().for_each(CancellationToken::cancel);
        }
        if let Some(from) = from
            && to.as_ref() != Some(&from)
            && !self.once.is_empty()
        {
            // It has passed by, or takes part no more.
            let mut passed = self.once.split_off(&from);
            if let Some(to) = to.filter(|to| *to > from) {
                self.once.extend(passed.split_off(&to));
            }
            passed.values().for_each(CancellationToken::cancel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(bell: &CancellationToken) -> bool {
        bell.is_cancelled()
    }

    #[test]
    fn the_hindmost_of_the_others_counts() {
        let (a, b, c) = (Arc::from("a"), Arc::from("b"), Arc::from("c"));
        let mut places = Places::default();
        for host in [&a, &b, &c] {
            places.put(host, Some(&[0, 0]));
        }
        places.put(&a, Some(&[0, 5]));
        assert!(!places.others_reached("a", &[0, 5]) && places.others_reached("a", &[0, 0]));
        places.put(&b, Some(&[0, 5]));
        places.put(&c, Some(&[0, 5, 1]));
        assert!(places.others_reached("a", &[0, 5]));
        // Looking ahead asks for a place that the host itself has not come to.
        places.put(&a, Some(&[0, 1]));
        assert!(places.others_reached("a", &[0, 5]) && !places.others_reached("b", &[0, 5]));
        places.put(&a, None);
        assert!(places.others_reached("b", &[0, 5]) && places.has_reached("a", &[9]));
    }

    #[test]
    fn bells_ring_for_those_who_can_go_on() {
        let (a, b) = (Arc::from("a"), Arc::from("b"));
        let (mut places, mut bells) = (Places::default(), Bells::default());
        places.put(&a, Some(&[0, 0]));
        places.put(&b, Some(&[0, 0]));
        let (near, far) = (bells.for_all(&[0, 1]), bells.for_all(&[0, 2]));
        bells.ring(places.put(&a, Some(&[0, 2])), "a");
        assert!(!rings(&near) && !rings(&far), "b is still behind");
        bells.ring(places.put(&b, Some(&[0, 1])), "b");
        assert!(rings(&near) && !rings(&far));
        let (once, later, host) = (bells.for_once(&[0, 1]), bells.for_once(&[0, 3]), bells.for_host(&b));
        bells.ring(places.put(&a, Some(&[0, 3])), "a");
        assert!(!rings(&once) && !rings(&later) && !rings(&host), "a was not there, and b has not moved");
        bells.ring(places.put(&b, Some(&[0, 2])), "b");
        assert!(rings(&once) && rings(&host) && !rings(&later) && rings(&far));
        bells.once(&[0, 3]);
        assert!(rings(&later));
        let last = bells.for_all(&[7]);
        bells.ring(places.put(&a, None), "a");
        assert!(!rings(&last));
        bells.ring(places.put(&b, None), "b");
        assert!(rings(&last), "nobody is left to wait for");
    }
}
