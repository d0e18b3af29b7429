//! Hosts and groups, and what relates them.

use super::{GroupName, HostName, Vars};
use crate::source::Node;
use indexmap::{IndexMap, IndexSet};
use std::path::PathBuf;
use std::sync::Arc;

/// A host as inventories describe it.
#[derive(Debug, Clone, Default)]
pub(super) struct Host {
    pub vars: Arc<Vars>,
    /// The groups that name it themselves, in the order in which they do.
    pub groups: IndexSet<GroupName>,
    /// The inventory that named it first; none for a host that a play added.
    pub origin: Option<Origin>,
}

/// The inventory that a host comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// What `inventory_file` says: the absolute path, or the list of hosts as it was given.
    pub file: String,
    /// What `inventory_dir` says; a list of hosts has none.
    pub folder: Option<PathBuf>,
}

/// A group.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub vars: Arc<Vars>,
    pub hosts: IndexSet<HostName>,
    pub children: IndexSet<GroupName>,
    pub parents: IndexSet<GroupName>,
    /// How far below `all`, by the longest way.
    pub depth: usize,
    /// `ansible_group_priority`: of two groups equally deep, the higher one's variables win.
    pub priority: i64,
}

/// The data that several inventories fill together. Hosts and groups in the order in which they were named first.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub hosts: IndexMap<HostName, Host>,
    pub groups: IndexMap<GroupName, Group>,
}

pub(super) const ALL: &str = "all";
pub(super) const UNGROUPED: &str = "ungrouped";

impl Default for Data {
    fn default() -> Self {
        let mut data = Self { hosts: IndexMap::new(), groups: IndexMap::new() };
        data.group(ALL);
        data.group(UNGROUPED);
        data.link(&ALL.into(), &UNGROUPED.into());
        data
    }
}

/// A group that would contain itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cycle;

impl Data {
    /// The group, made if it is new.
    pub fn group(&mut self, name: &str) -> &mut Group {
        self.groups.entry(name.into()).or_default()
    }

    /// The host, made if it is new. The port counts only for a new one, as in Ansible.
    pub fn host(&mut self, name: &str, port: Option<(u16, &Node)>, origin: Option<&Origin>) -> &mut Host {
        self.hosts.entry(name.into()).or_insert_with(|| {
            let mut host = Host { origin: origin.cloned(), ..Host::default() };
            if let Some((_, node)) = port {
                host.set("ansible_port", Arc::new(node.clone()));
            }
            host
        })
    }

    /// Puts a host into a group; both exist.
    pub fn join(&mut self, host: &str, group: &str) {
        let (host, group): (HostName, GroupName) = (host.into(), group.into());
        if let (Some(h), Some(g)) = (self.hosts.get_mut(&host), self.groups.get_mut(&group)) {
            h.groups.insert(group);
            g.hosts.insert(host);
        }
    }

    /// Puts a group into a group; both exist.
    pub fn adopt(&mut self, parent: &str, child: &str) -> Result<(), Cycle> {
        let (parent, child): (GroupName, GroupName) = (parent.into(), child.into());
        if parent == child || child == ALL || self.ancestors(&parent).contains(&child) {
            return Err(Cycle);
        }
        self.link(&parent, &child);
        Ok(())
    }

    fn link(&mut self, parent: &GroupName, child: &GroupName) {
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.insert(child.clone());
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent.clone());
        }
    }

    /// Brings the whole in order after something was added: every group is below `all`, every host without a group is
    /// in `ungrouped` and no other is, and the depths are right.
    pub fn settle(&mut self) {
        let lonely: Vec<GroupName> =
            self.groups.iter().filter(|(n, g)| g.parents.is_empty() && **n != ALL).map(|(n, _)| n.clone()).collect();
        for name in lonely {
            self.link(&ALL.into(), &name);
        }
        let ungrouped: GroupName = UNGROUPED.into();
        for (name, host) in &mut self.hosts {
            let in_a_group = host.groups.iter().any(|g| *g != ALL && *g != UNGROUPED);
            let Some(group) = self.groups.get_mut(&ungrouped) else { continue };
            if in_a_group {
                host.groups.shift_remove(&ungrouped);
                group.hosts.shift_remove(name);
            } else if host.groups.insert(ungrouped.clone()) {
                group.hosts.insert(name.clone());
            }
        }
        self.measure();
    }

    fn measure(&mut self) {
        for group in self.groups.values_mut() {
            group.depth = 0;
        }
        // There are no cycles, so each pass settles at least one more level.
        for _ in 0..self.groups.len() {
            let mut moved = false;
            for i in 0..self.groups.len() {
                let depth = self.groups[i].parents.iter().filter_map(|p| self.groups.get(p)).map(|p| p.depth + 1).max();
                let depth = depth.unwrap_or(0);
                moved |= self.groups[i].depth != depth;
                self.groups[i].depth = depth;
            }
            if !moved {
                break;
            }
        }
    }

    /// The groups above a group, itself not among them.
    pub fn ancestors(&self, group: &GroupName) -> IndexSet<GroupName> {
        self.walk(group, |g| &g.parents)
    }

    /// The groups below a group, level by level, itself not among them.
    pub fn descendants(&self, group: &GroupName) -> IndexSet<GroupName> {
        self.walk(group, |g| &g.children)
    }

    fn walk(&self, group: &GroupName, next: impl Fn(&Group) -> &IndexSet<GroupName>) -> IndexSet<GroupName> {
        let mut found: IndexSet<GroupName> = self.groups.get(group).map(&next).cloned().unwrap_or_default();
        let mut at = 0;
        while let Some(name) = found.get_index(at).cloned() {
            at += 1;
            if let Some(group) = self.groups.get(&name) {
                found.extend(next(group).iter().cloned());
            }
        }
        found
    }

    /// The hosts of a group and of those below it, in Ansible's order.
    pub fn members(&self, group: &GroupName) -> IndexSet<HostName> {
        let mut found = IndexSet::new();
        for name in std::iter::once(group).chain(&self.descendants(group)) {
            if let Some(group) = self.groups.get(name) {
                found.extend(group.hosts.iter().cloned());
            }
        }
        found
    }

    /// The groups that a host is in, also through other groups, without `all`; variables of later ones win: by depth,
    /// then priority, then name.
    pub fn groups_of(&self, host: &Host) -> Vec<GroupName> {
        let mut found: IndexSet<GroupName> = host.groups.clone();
        for group in &host.groups {
            found.extend(self.ancestors(group));
        }
        found.shift_remove(ALL);
        let mut found: Vec<GroupName> = found.into_iter().collect();
        found.sort_by_key(|name| {
            let group = self.groups.get(name);
            (group.map_or(0, |g| g.depth), group.map_or(0, |g| g.priority), name.clone())
        });
        found
    }
}

impl Host {
    pub fn set(&mut self, name: &str, value: Arc<Node>) {
        Arc::make_mut(&mut self.vars).insert(name.into(), value);
    }
}

impl Group {
    pub fn set(&mut self, name: &str, value: Arc<Node>) {
        if name == "ansible_group_priority"
            && let Ok(priority) = crate::source::int_of(&value)
        {
            self.priority = priority;
            return;
        }
        Arc::make_mut(&mut self.vars).insert(name.into(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_can_not_contain_itself() {
        let mut data = Data::default();
        for name in ["a", "b", "c"] {
            data.group(name);
        }
        assert_eq!(data.adopt("a", "b"), Ok(()));
        assert_eq!(data.adopt("b", "c"), Ok(()));
        assert_eq!(data.adopt("c", "a"), Err(Cycle));
        assert_eq!(data.adopt("a", "a"), Err(Cycle));
        assert_eq!(data.adopt("a", "all"), Err(Cycle));
    }

    #[test]
    fn depth_is_the_longest_way() {
        let mut data = Data::default();
        for name in ["top", "mid", "low"] {
            data.group(name);
        }
        data.adopt("top", "low").unwrap_or(());
        data.adopt("top", "mid").unwrap_or(());
        data.adopt("mid", "low").unwrap_or(());
        data.settle();
        let depth = |name: &str| data.groups.get(name).map(|g| g.depth);
        assert_eq!((depth("all"), depth("top"), depth("mid"), depth("low")), (Some(0), Some(1), Some(2), Some(3)));
    }
}
