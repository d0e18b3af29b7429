//! Variables from a command line.

use super::freeform;
use super::load::{LoadContext, Loader};
use super::tree::Vars;
use crate::source::{Diagnostic, Node, SourceFile, Span, parse_one};
use std::sync::Arc;

/// Reads what stands behind `-e`: `name=value …`, whose values are strings (and may be templates), or a mapping in JSON
/// or YAML that begins with a bracket. `origin` names the text in messages.
///
/// # Errors
/// What is wrong with it.
pub fn parse_vars(origin: &str, text: &str, ctx: &LoadContext) -> Result<Vars, Vec<Diagnostic>> {
    let span = Span::synthetic(origin, text);
    let mut loader = Loader::new(ctx);
    let first = text.trim_start().chars().next();
    let vars = if matches!(first, Some('{' | '[')) {
        let node = parse_one(Arc::new(SourceFile { name: origin.to_owned(), text: text.to_owned() }))?;
        loader.vars(&node, "set of variables")
    } else {
        if matches!(first, Some('/' | '.')) {
            let problem = Diagnostic::error("bad-variables", "this looks like a file", &span);
            return Err(vec![problem.help(format!("put an `@` before it: `@{text}`"))]);
        }
        let parsed = freeform::parse(&Node::string(text, span), &|_| true).map_err(|d| vec![d])?;
        if let Some(rest) = parsed.rest {
            let problem = Diagnostic::error("bad-variables", "this is no `name=value`", &rest.span);
            return Err(vec![
                problem.help("write `name=value`, quote values with blanks, or write JSON: `{\"name\": …}`"),
            ]);
        }
        let map = Node::new(crate::source::Kind::Map(parsed.pairs), Span::synthetic(origin, text));
        loader.vars(&map, "set of variables")
    };
    loader.finish(vars).map(|(vars, _)| vars)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::playbook::Unchecked;

    fn read(text: &str) -> Result<String, String> {
        let ctx = LoadContext::new(Arc::new(Unchecked));
        match parse_vars("-e", text, &ctx) {
            Ok(vars) => Ok(vars
                .iter()
                .map(|(k, v)| format!("{k}: {}", crate::values::Value::from(&**v)))
                .collect::<Vec<_>>()
                .join("; ")),
            Err(problems) => Err(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    }

    #[test]
    fn pairs_are_strings_and_mappings_have_types() {
        assert_eq!(read("a=1 b='x y' c={{ a }}").unwrap(), "a: 1; b: x y; c: {{ a }}");
        assert_eq!(read(r#"{"a": [1, true]}"#).unwrap(), "a: [1, True]");
        assert_eq!(read("{a: yes}").unwrap(), "a: True");
    }

    #[test]
    fn what_is_neither_is_refused_with_its_place() {
        assert_eq!(read("a=1 b").unwrap_err(), "-e:1:5: error: this is no `name=value`");
        assert!(read("vars.yml").is_err() && read("./vars.yml").unwrap_err().contains("looks like a file"));
        assert!(read("[1]").is_err());
        assert!(read("a-b=1").unwrap_err().contains("no name for a variable"));
    }
}
