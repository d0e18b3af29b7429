//! Keywords of Ansible that have no effect here: an error instead of a silence.

use super::load::Loader;
use super::tree::{Action, MetaAction, Task};
use crate::source::{Diagnostic, Node, int_of};

impl Loader<'_> {
    /// What `meta` can't do here.
    pub fn unsupported_meta(&mut self, task: &Task) {
        let meta = match &task.action {
            Action::Meta(MetaAction::RefreshInventory) => Some((
                "meta: refresh_inventory",
                "the inventory is read once; start another run after a task that changes it",
            )),
            _ => None,
        };
        if let Some((what, instead)) = meta {
            let found = Diagnostic::error("unsupported", format!("`{what}` is not supported"), &task.span);
            self.report(found.help(instead));
        }
    }

    /// `poll: 0`: only one command can go on by itself. `module` is the task's.
    pub fn unsupported_poll(&mut self, task: &Task, module: &str) {
        let literal = |node: &Node, wanted: fn(i64) -> bool| int_of(node).is_ok_and(wanted);
        if task.async_.as_ref().is_none_or(|n| literal(n, |seconds| seconds == 0)) || BACKGROUND.contains(&module) {
            return;
        }
        if let Some(poll) = task.poll.as_ref().filter(|n| literal(n, |seconds| seconds == 0)) {
            let text = format!("`poll: 0` is for {}, and not for `{module}`", BACKGROUND.join(" and "));
            self.report(Diagnostic::error("unsupported", text, &poll.span).help(
                "remove `poll`: the task survives a lost connection all the same; for a service, write a systemd unit",
            ));
        }
    }
}

/// Modules that are one command, which can go on by itself.
pub const BACKGROUND: [&str; 2] = ["command", "shell"];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::playbook::{LoadContext, Unchecked, load_playbook};
    use std::sync::Arc;

    fn errors(task: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.yml");
        std::fs::write(&file, format!("- hosts: all\n  tasks:\n    - command: /bin/true\n{task}")).unwrap();
        match load_playbook(&file, &LoadContext::new(Arc::new(Unchecked))) {
            Ok(_) => Vec::new(),
            Err(found) => found.into_iter().map(|d| d.message).collect(),
        }
    }

    #[test]
    fn what_has_no_effect_is_an_error() {
        let packages = "    - apt: {name: a}\n      async: 60\n      poll: 0\n";
        assert_eq!(errors(packages), ["`poll: 0` is for command and shell, and not for `apt`"]);
        assert_eq!(errors("    - meta: refresh_inventory\n"), ["`meta: refresh_inventory` is not supported"]);
    }

    #[test]
    fn what_is_registered_has_a_name() {
        for name in ["no", "yes", "5", "1.5", "none", "é", "a-b", "''", "[a]"] {
            assert_eq!(errors(&format!("      register: {name}\n")).len(), 1, "{name}");
        }
        assert_eq!(errors("      register: 'yes_'\n").len(), 0);
    }

    #[test]
    fn what_says_what_is_so_anyway_is_fine() {
        let none: Vec<String> = Vec::new();
        assert_eq!(errors("      throttle: 1\n"), none);
        assert_eq!(errors("      delegate_facts: no\n"), none);
        assert_eq!(errors("      async: 60\n      poll: 5\n"), none);
        assert_eq!(errors("      async: 60\n      poll: 0\n"), none);
        assert_eq!(errors("      async: 60\n      poll: \"{{ n }}\"\n"), none);
        assert_eq!(errors("      delegate_to: b\n      delegate_facts: true\n"), none);
        assert_eq!(errors("    - meta: clear_host_errors\n"), none);
        assert_eq!(errors("      async: 60\n"), none);
        assert_eq!(errors("      poll: 0\n"), none);
    }
}
