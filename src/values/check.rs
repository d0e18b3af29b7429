//! Looks at templates and expressions without evaluating them, so that mistakes are found before any host is touched.

use super::diagnose::{self, Place};
use super::engine;
use super::escape;
use super::scan::{self, Delimiters, Part, Token};
use super::templar::condition_source;
use super::{Templar, TemplateOptions, builtin, catalogue, choose, filters, lookups, tests};
use crate::source::{Diagnostic, Kind, Node, SourceFile, Span};
use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

static FILTERS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let own = choose::NAMES.iter().flat_map(|(name, _)| both(name));
    filters::all().flat_map(super::call::Spec::names).chain(builtin_names("filter")).chain(own).collect()
});

static TESTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let defined = ["defined", "undefined"].into_iter().flat_map(both);
    tests::all_tests().flat_map(super::call::Spec::names).chain(builtin_names("test")).chain(defined).collect()
});

static FUNCTIONS: LazyLock<HashSet<String>> = LazyLock::new(|| catalogue::names("function").into_iter().collect());

fn both(name: &'static str) -> [String; 2] {
    [name.to_owned(), format!("ansible.builtin.{name}")]
}

fn builtin_names(what: &str) -> impl Iterator<Item = String> {
    builtin::names(what).into_iter().flat_map(both)
}

/// The filters whose first argument names a filter, and those whose argument names a test.
const BY_FILTER: &[&str] = &["map"];
const BY_TEST: &[(&str, usize)] = &[("select", 0), ("reject", 0), ("selectattr", 1), ("rejectattr", 1)];

/// What may stand before a bracket without being a function.
const STATEMENTS: &[&str] = &[
    "loop", "super", "caller", "self", "not", "and", "or", "in", "is", "if", "else", "elif", "set", "call", "macro",
    "block", "do", "for", "with", "include", "import", "from", "extends", "filter",
];

impl Templar {
    /// What is wrong with a text that may hold templates: syntax errors, and filters, tests, functions and lookups that do
    /// not exist.
    pub fn check_text(&self, text: &str, span: &Span) -> Vec<Diagnostic> {
        if !scan::is_template(text) {
            return Vec::new();
        }
        let escaped = escape::escape_template(text, &Delimiters::default());
        let given = escaped.as_ref().map_or(text, |e| &e.text);
        let (compiled, offset) = match scan::single_expression(given) {
            Some(inside) => (engine::expression(&given[inside.clone()]).map(|_| ()), inside.start),
            None => (engine::compile(&engine::syntax_default(), "", given), 0),
        };
        if let Err(error) = compiled {
            // The delimiters before an expression are the same in both texts, so that the offset may be added first.
            let place = Place { text, offset, span, escaped: escaped.as_ref().filter(|_| offset == 0) };
            return vec![diagnose::plain(&error, &diagnose::span_of(&error, &place))];
        }
        names(text, &Delimiters::default(), span, 0)
    }

    /// [`Templar::check_text`] for all texts of a node; `!unsafe` and `!vault` are data.
    pub fn check_node(&self, node: &Node) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        check_into(self, node, &mut found);
        found
    }

    /// What is wrong with a condition (`when` and the like), or with a list of them.
    pub fn check_condition(&self, node: &Node) -> Vec<Diagnostic> {
        match &node.kind {
            Kind::Bool(_) => Vec::new(),
            Kind::List(items) => items.iter().flat_map(|item| self.check_condition(item)).collect(),
            Kind::Str(text) => match condition_source(text, &node.span) {
                Ok((source, offset)) => check_expression(source, text, offset, &node.span),
                Err(diagnostic) => vec![diagnostic],
            },
            _ => vec![Diagnostic::error(
                "condition-not-boolean",
                format!("a condition must be an expression or a boolean, and this is {}", node.describe()),
                &node.span,
            )],
        }
    }

    /// What is wrong with a bare expression that stands at `span`.
    pub fn check_expression(&self, expr: &str, span: &Span) -> Vec<Diagnostic> {
        check_expression(expr, expr, 0, span)
    }

    /// What is wrong with a template file.
    pub fn check_template(&self, source: &Arc<SourceFile>, options: &TemplateOptions) -> Vec<Diagnostic> {
        let (options, text, span) = match options.with_header(source) {
            Ok(all) => all,
            Err(diagnostic) => return vec![diagnostic],
        };
        let syntax = options.syntax();
        let place = Place { text: &text, offset: 0, span: &span, escaped: None };
        match engine::compile(&syntax, &source.name, &text) {
            Err(error) => vec![diagnose::plain(&error, &diagnose::span_of(&error, &place))],
            Ok(()) => names(&text, &syntax.delimiters, &span, 0),
        }
    }
}

fn check_into(templar: &Templar, node: &Node, found: &mut Vec<Diagnostic>) {
    if matches!(node.tag.as_deref(), Some("unsafe" | "vault")) {
        return;
    }
    match &node.kind {
        Kind::Str(text) => found.extend(templar.check_text(text, &node.span)),
        Kind::List(items) => items.iter().for_each(|item| check_into(templar, item, found)),
        Kind::Map(entries) => {
            for entry in entries {
                found.extend(templar.check_text(&entry.key, &entry.key_span));
                check_into(templar, &entry.value, found);
            }
        }
        _ => {}
    }
}

fn check_expression(source: &str, text: &str, offset: usize, span: &Span) -> Vec<Diagnostic> {
    if let Err(error) = engine::expression(source) {
        let place = Place { text, offset, span, escaped: None };
        return vec![diagnose::plain(&error, &diagnose::span_of(&error, &place))];
    }
    let (tokens, _) = scan::tokens(source, 0, None);
    let mut checker = Checker { text: source, place: (text, offset, span), defined: HashSet::new(), found: Vec::new() };
    checker.tokens(&tokens);
    checker.found
}

/// Checks the names in all parts of a template.
fn names(text: &str, delimiters: &Delimiters, span: &Span, offset: usize) -> Vec<Diagnostic> {
    let parts = scan::parts(text, delimiters);
    let mut checker = Checker { text, place: (text, offset, span), defined: HashSet::new(), found: Vec::new() };
    for (part, _) in &parts {
        if let Part::Block(tokens) = part {
            checker.define(tokens);
        }
    }
    for (part, _) in &parts {
        if let Part::Block(tokens) | Part::Expression(tokens) = part {
            checker.tokens(tokens);
        }
    }
    checker.found
}

struct Checker<'a> {
    text: &'a str,
    place: (&'a str, usize, &'a Span),
    /// What the template itself defines: macros, imports, loop variables.
    defined: HashSet<&'a str>,
    found: Vec<Diagnostic>,
}

impl<'a> Checker<'a> {
    fn word(&self, tokens: &[Token], i: usize) -> &'a str {
        tokens.get(i).map_or("", |t| &self.text[t.at.clone()])
    }

    /// Every name that a block brings could be called: it need not be known which one is a macro.
    fn define(&mut self, tokens: &[Token]) {
        if matches!(self.word(tokens, 0), "macro" | "set" | "for" | "import" | "from" | "call" | "with") {
            for (i, token) in tokens.iter().enumerate().skip(1) {
                let word = self.word(tokens, i);
                if self.word(tokens, 0) == "for" && word == "in" || self.word(tokens, 0) == "set" && word == "=" {
                    break;
                }
                if token.kind == scan::Kind::Name {
                    self.defined.insert(word);
                }
            }
        }
    }

    /// A dotted name that starts at `i`, and where it ends.
    fn dotted(&self, tokens: &[Token], i: usize) -> Option<(String, usize)> {
        tokens.get(i).filter(|t| t.kind == scan::Kind::Name)?;
        let mut name = self.word(tokens, i).to_owned();
        let mut at = i + 1;
        while self.word(tokens, at) == "." && tokens.get(at + 1).is_some_and(|t| t.kind == scan::Kind::Name) {
            name.push('.');
            name.push_str(self.word(tokens, at + 1));
            at += 2;
        }
        Some((name, at))
    }

    fn span(&self, tokens: &[Token], from: usize, to: usize) -> Span {
        let (text, offset, span) = self.place;
        match (tokens.get(from), tokens.get(to.saturating_sub(1))) {
            (Some(a), Some(b)) => diagnose::locate(span, text, offset + a.at.start..offset + b.at.end),
            _ => span.clone(),
        }
    }

    fn complain(&mut self, what: &str, name: &str, tokens: &[Token], from: usize, to: usize) {
        let span = self.span(tokens, from, to);
        self.found.push(diagnose::unknown(what, name, &span).label("unknown"));
    }

    fn tokens(&mut self, tokens: &[Token]) {
        let mut i = 0;
        while i < tokens.len() {
            let word = self.word(tokens, i);
            if word == "|" || (i == 0 && word == "filter") {
                if let Some((name, end)) = self.dotted(tokens, i + 1) {
                    if FILTERS.contains(&name) {
                        self.named_argument(&name, tokens, end);
                    } else {
                        self.complain("filter", &name, tokens, i + 1, end);
                    }
                    i = end;
                    continue;
                }
            } else if word == "is" && i > 0 {
                let from = if self.word(tokens, i + 1) == "not" { i + 2 } else { i + 1 };
                if let Some((name, end)) = self.dotted(tokens, from) {
                    if !TESTS.contains(&name) {
                        self.complain("test", &name, tokens, from, end);
                    }
                    i = end;
                    continue;
                }
            } else if tokens[i].kind == scan::Kind::Name
                && self.word(tokens, i + 1) == "("
                && (i == 0 || self.word(tokens, i - 1) != ".")
            {
                self.call(tokens, i);
            }
            i += 1;
        }
    }

    fn call(&mut self, tokens: &[Token], i: usize) {
        let name = self.word(tokens, i);
        if matches!(name, "lookup" | "query" | "q") {
            if let Some(lookup) = self.literal(tokens, i + 2)
                && lookups::find(&lookup).is_none()
            {
                self.complain("lookup", &lookup, tokens, i + 2, i + 3);
            }
            return;
        }
        let statement = STATEMENTS.contains(&name);
        let called = i > 0 && matches!(self.word(tokens, i - 1), "macro" | "block");
        if !statement && !called && !FUNCTIONS.contains(name) && !self.defined.contains(name) {
            self.complain("function", name, tokens, i, i + 1);
        }
    }

    /// A string literal.
    fn literal(&self, tokens: &[Token], i: usize) -> Option<String> {
        tokens.get(i).filter(|t| t.kind == scan::Kind::Str)?;
        let word = self.word(tokens, i);
        word.get(1..word.len().checked_sub(1)?).map(str::to_owned)
    }

    /// `map('filter')`, `select('test')`, `selectattr('x', 'test')`.
    fn named_argument(&mut self, filter: &str, tokens: &[Token], open: usize) {
        if self.word(tokens, open) != "(" {
            return;
        }
        let short = filter.strip_prefix("ansible.builtin.").unwrap_or(filter);
        let (what, index) = if BY_FILTER.contains(&short) {
            ("filter", 0)
        } else if let Some((_, index)) = BY_TEST.iter().find(|(name, _)| *name == short) {
            ("test", *index)
        } else {
            return;
        };
        let at = open + 1 + 2 * index;
        if index == 1 && (self.literal(tokens, open + 1).is_none() || self.word(tokens, open + 2) != ",") {
            return;
        }
        // Only a literal that is the whole argument names anything.
        if !matches!(self.word(tokens, at + 1), "," | ")") {
            return;
        }
        let Some(name) = self.literal(tokens, at) else { return };
        let known = if what == "filter" {
            FILTERS.contains(&name)
        } else {
            TESTS.contains(&name) || !name.starts_with(char::is_alphabetic)
        };
        if !known {
            self.complain(what, &name, tokens, at, at + 1);
        }
    }
}
