//! Keywords of Ansible that have no effect here: an error instead of a silence.

use super::load::Loader;
use super::tree::{Action, Keywords, MetaAction, Task};
use crate::source::{Diagnostic, Node, bool_of, int_of};

impl Loader<'_> {
    /// Keywords that plays, blocks and tasks share.
    pub fn unsupported_keywords(&mut self, keywords: &Keywords) {
        // `delegate_facts: false` says what is so anyway.
        if let Some(node) = keywords.delegate_facts.as_ref().filter(|n| bool_of(n) != Ok(false)) {
            self.unsupported(
                "delegate_facts",
                node,
                "gather facts in a play over that host, and read them from `hostvars`",
            );
        }
    }

    /// What `meta` can't do here.
    pub fn unsupported_meta(&mut self, task: &Task) {
        let meta = match &task.action {
            Action::Meta(MetaAction::RefreshInventory) => Some((
                "meta: refresh_inventory",
                "the inventory is read once; start another run after a task that changes it",
            )),
            Action::Meta(MetaAction::ClearHostErrors) => {
                Some(("meta: clear_host_errors", "catch failures where they happen, with `rescue` or `ignore_errors`"))
            }
            _ => None,
        };
        if let Some((what, instead)) = meta {
            let found = Diagnostic::error("unsupported", format!("`{what}` is not supported"), &task.span);
            self.report(found.help(instead));
        }
    }

    /// Keywords of tasks.
    pub fn unsupported_task(&mut self, task: &Task) {
        if task.async_.is_none() {
            return;
        }
        if let Some(poll) = task.poll.as_ref().filter(|n| !int_of(n).is_ok_and(|seconds| seconds > 0)) {
            let found = Diagnostic::error(
                "unsupported",
                "a task is always waited for: `async` with `poll: 0` (or with a template as `poll`) is not supported",
                &poll.span,
            );
            self.report(found.help(
                "remove `poll`; the task survives a lost connection all the same. For a service, write a systemd unit",
            ));
        }
    }

    fn unsupported(&mut self, key: &str, node: &Node, instead: &str) {
        let found = Diagnostic::error("unsupported", format!("`{key}` is not supported"), &node.span);
        self.report(found.help(instead));
    }
}

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
        assert_eq!(errors("      delegate_to: b\n      delegate_facts: true\n"), ["`delegate_facts` is not supported"]);
        assert_eq!(errors("      async: 60\n      poll: 0\n").len(), 1);
        assert_eq!(errors("    - meta: refresh_inventory\n"), ["`meta: refresh_inventory` is not supported"]);
        assert_eq!(errors("    - meta: clear_host_errors\n"), ["`meta: clear_host_errors` is not supported"]);
        assert_eq!(errors("      async: 60\n      poll: \"{{ n }}\"\n").len(), 1);
    }

    #[test]
    fn what_says_what_is_so_anyway_is_fine() {
        let none: Vec<String> = Vec::new();
        assert_eq!(errors("      throttle: 1\n"), none);
        assert_eq!(errors("      delegate_facts: no\n"), none);
        assert_eq!(errors("      async: 60\n      poll: 5\n"), none);
        assert_eq!(errors("      async: 60\n"), none);
        assert_eq!(errors("      poll: 0\n"), none);
    }
}
