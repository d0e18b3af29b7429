//! Connection variables of a host, rendered.

use super::board::Board;
use super::code::Context;
use super::machine::Variables;
use super::run::Shared;
use super::scope::{Needs, ScopeParts, Seed, scope};
use super::state::HostState;
use crate::values::{Lookup, Map, Scope, Value};
use std::sync::Arc;

/// A lookup of `host`'s variables as text, for connecting to it. `own` is the host whose play this is; another one
/// (`delegate_to`) has what the inventory says of it.
pub fn of_host(
    shared: &Arc<Shared>,
    board: &Arc<Board>,
    state: &HostState,
    host: &Arc<str>,
    own: &Arc<str>,
) -> Variables {
    let context = Context { chain: vec![Arc::clone(&board.play.keywords)], roles: Vec::new(), notify: Vec::new() };
    let needs = Needs::default();
    let parts = ScopeParts {
        shared,
        board,
        host: own,
        state,
        context: &context,
        unit: None,
        special: Map::new(),
        needs: &needs,
        seed: Seed::default(),
    };
    let own_scope = scope(parts);
    let found: Option<Arc<dyn Scope>> = if host == own {
        Some(own_scope)
    } else {
        match own_scope.get("hostvars") {
            Lookup::Scopes(scopes) => scopes.scope(host),
            _ => None,
        }
    };
    let templar = Arc::clone(&shared.templar);
    let local = found.is_none() && matches!(&**host, "localhost" | "127.0.0.1" | "::1");
    Arc::new(move |name| {
        let Some(scope) = &found else {
            return Ok((local && name == "ansible_connection").then(|| "local".to_owned()));
        };
        let value = match scope.get(name) {
            Lookup::Data(value) => value,
            Lookup::Template(node) => templar.render_node(&node, scope).map_err(|e| format!("{name}: {e}"))?,
            _ => return Ok(None),
        };
        Ok(match value {
            Value::Null | Value::Omit | Value::Unknown => None,
            value => Some(value.to_string()),
        })
    })
}
