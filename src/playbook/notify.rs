//! Handlers that are notified by a literal name must exist.

use super::arguments::is_dynamic;
use super::load::{Loader, Site};
use crate::source::{Diagnostic, Node, suggest, text_of};
use std::sync::Arc;

/// What one play notifies, and what can be notified in it.
#[derive(Debug, Default)]
pub(super) struct Notified {
    /// Literal names, and whether a role asks: it may be meant for plays that have the handler, or never get there.
    asked: Vec<(Node, bool)>,
    /// Names of handlers, with and without their role, and topics.
    known: Vec<Arc<str>>,
    /// Something that is read only when its turn comes may bring more handlers.
    more: bool,
}

impl Notified {
    /// Something is notified.
    pub fn ask(&mut self, nodes: &[Node], site: &Site) {
        self.asked.extend(nodes.iter().filter(|n| !is_dynamic(n)).map(|n| (n.clone(), site.role.is_some())));
    }

    /// A handler, or a block of them.
    pub fn handler(&mut self, name: Option<&Node>, topics: &[Node], site: &Site) {
        for node in name.into_iter().chain(topics) {
            if is_dynamic(node) {
                self.more = true;
            }
            let Ok(text) = text_of(node) else { continue };
            if let Some(role) = &site.role {
                self.known.push(format!("{} : {text}", role.name).into());
            }
            self.known.push(text);
        }
    }

    /// An include whose name is known only when its turn comes.
    pub fn more(&mut self) {
        self.more = true;
    }
}

impl Loader<'_> {
    /// Reports what is notified and no handler listens to (as a warning where a role says so); begins anew for the next play.
    pub fn check_notified(&mut self) {
        let Notified { asked, known, more } = std::mem::take(&mut self.notified);
        if more {
            return;
        }
        for (node, in_role) in asked {
            let Ok(name) = text_of(&node) else { continue };
            if known.contains(&name) {
                continue;
            }
            let problem = Diagnostic::error("no-such-handler", format!("there is no handler `{name}`"), &node.span);
            let problem = if in_role { problem.warning() } else { problem };
            self.report(match suggest(&name, &known) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help("add a task of that name to `handlers:`, or `listen` to it there"),
            });
        }
    }
}
