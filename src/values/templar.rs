//! The front door: nodes, texts, conditions and files to values.

use super::convert::from_template;
use super::diagnose::{self, Place};
use super::engine::{Engine, Syntax};
use super::error::{EvalError, Signal, Truth};
use super::evaluation::{Evaluation, Outcome};
use super::scan::{self, Delimiters};
use super::{Map, Scope, TemplarOptions, Value};
use crate::source::{Diagnostic, Kind, Node, SourceFile, Span};
use std::borrow::Cow;
use std::sync::Arc;

/// Renders what playbooks and templates hold, the way Ansible does: native types, lazy variables, undefined is an error.
/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Templar {
    engine: Arc<Engine>,
}

/// How a template file is written; the defaults are those of Ansible's `template` module.
#[derive(Debug, Clone)]
pub struct TemplateOptions {
    /// The newline after a block tag is removed.
    pub trim_blocks: bool,
    /// White space before a block tag is removed.
    pub lstrip_blocks: bool,
    /// What a newline becomes: `\n`, `\r` or `\r\n`.
    pub newline_sequence: String,
    /// `{{`
    pub variable_start_string: String,
    /// `}}`
    pub variable_end_string: String,
    /// `{%`
    pub block_start_string: String,
    /// `%}`
    pub block_end_string: String,
    /// `{#`
    pub comment_start_string: String,
    /// `#}`
    pub comment_end_string: String,
}

impl Default for TemplateOptions {
    fn default() -> Self {
        Self {
            trim_blocks: true,
            lstrip_blocks: false,
            newline_sequence: "\n".to_owned(),
            variable_start_string: "{{".to_owned(),
            variable_end_string: "}}".to_owned(),
            block_start_string: "{%".to_owned(),
            block_end_string: "%}".to_owned(),
            comment_start_string: "{#".to_owned(),
            comment_end_string: "#}".to_owned(),
        }
    }
}

impl TemplateOptions {
    pub(crate) fn syntax(&self) -> Syntax {
        Syntax {
            delimiters: Delimiters {
                variable: (self.variable_start_string.clone(), self.variable_end_string.clone()),
                block: (self.block_start_string.clone(), self.block_end_string.clone()),
                comment: (self.comment_start_string.clone(), self.comment_end_string.clone()),
            },
            trim_blocks: self.trim_blocks,
            lstrip_blocks: self.lstrip_blocks,
        }
    }

    /// The options as a file's `#jinja2:` line changes them, the text after that line, and where it stands.
    pub(crate) fn with_header<'a>(
        &self,
        source: &'a Arc<SourceFile>,
    ) -> Result<(Self, Cow<'a, str>, Span), Diagnostic> {
        let mut options = self.clone();
        let whole = Span { file: Arc::clone(source), start: 0, end: source.text.len(), line: 1, column: 1 };
        let mut text = source.text.as_str();
        let mut skipped = 0;
        if let Some(rest) = text.strip_prefix("#jinja2:") {
            let end = rest.find('\n').unwrap_or(rest.len());
            options.header(rest[..end].trim(), &whole.within(0, 8 + end))?;
            skipped = (8 + end + 1).min(text.len());
            text = &text[skipped..];
        }
        let span = whole.within(skipped, source.text.len() - skipped);
        let text = if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
        Ok((options, text, span))
    }

    /// Takes the settings of a `#jinja2: name: value, …` line.
    fn header(&mut self, line: &str, span: &Span) -> Result<(), Diagnostic> {
        for setting in line.split(',').map(str::trim).filter(|s| !s.is_empty()) {
            let bad = |why: &str| {
                Diagnostic::error("template-header", format!("`{setting}` in the #jinja2: line: {why}"), span)
            };
            let (name, value) = setting.split_once(':').ok_or_else(|| bad("expected `name: value`"))?;
            let value = value.trim().trim_matches(['\'', '"']);
            let flag = || match value.to_ascii_lowercase().as_str() {
                "true" | "yes" | "1" => Ok(true),
                "false" | "no" | "0" => Ok(false),
                _ => Err(bad("expected True or False")),
            };
            match name.trim() {
                "trim_blocks" => self.trim_blocks = flag()?,
                "lstrip_blocks" => self.lstrip_blocks = flag()?,
                "newline_sequence" => self.newline_sequence = value.replace("\\n", "\n").replace("\\r", "\r"),
                "variable_start_string" => value.clone_into(&mut self.variable_start_string),
                "variable_end_string" => value.clone_into(&mut self.variable_end_string),
                "block_start_string" => value.clone_into(&mut self.block_start_string),
                "block_end_string" => value.clone_into(&mut self.block_end_string),
                "comment_start_string" => value.clone_into(&mut self.comment_start_string),
                "comment_end_string" => value.clone_into(&mut self.comment_end_string),
                "keep_trailing_newline" if flag()? => {}
                _ => return Err(bad("this setting is not supported")),
            }
        }
        Ok(())
    }
}

impl Templar {
    /// A templar with what it needs from outside.
    pub fn new(options: TemplarOptions) -> Self {
        Self { engine: Engine::new(options) }
    }

    /// Whether a text holds any template.
    pub fn is_template(text: &str) -> bool {
        scan::is_template(text)
    }

    /// Renders a node and all that is in it. Mapping keys are templates too; `!unsafe` is data; `!vault` is decrypted.
    /// Omitted elements of lists and mappings are left out; a node that is omitted as a whole gives [`Value::Omit`].
    /// Unknown elements are [`Value::Unknown`]; the rest stays known.
    pub fn render_node(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Value, EvalError> {
        render(&Evaluation::new(&self.engine, scope), node)
    }

    /// Renders a text that stands at `span`.
    pub fn render_text(&self, text: &str, span: &Span, scope: &Arc<dyn Scope>) -> Result<Value, EvalError> {
        let evaluation = Evaluation::new(&self.engine, scope);
        let outcome = evaluation.text(&Arc::from(text), span);
        settle(&evaluation, outcome, &Place { text, offset: 0, span, escaped: None })
    }

    /// Evaluates a bare expression that stands at `span`.
    pub fn expression(&self, expr: &str, span: &Span, scope: &Arc<dyn Scope>) -> Result<Value, EvalError> {
        let evaluation = Evaluation::new(&self.engine, scope);
        let place = Place { text: expr, offset: 0, span, escaped: None };
        let outcome = evaluation.expression(expr, false, &place);
        settle(&evaluation, outcome, &place)
    }

    /// Evaluates one condition (`when`, `until`, `that`…): a boolean, or a bare expression that gives one.
    pub fn condition(&self, node: &Node, scope: &Arc<dyn Scope>) -> Result<Truth, EvalError> {
        let text = match &node.kind {
            Kind::Bool(true) => return Ok(Truth::True),
            Kind::Bool(false) => return Ok(Truth::False),
            Kind::Str(text) if node.tag.is_none() => text,
            _ => return Err(bad_condition(node).into()),
        };
        let (source, offset) = condition_source(text, &node.span)?;
        let evaluation = Evaluation::new(&self.engine, scope);
        let place = Place { text, offset, span: &node.span, escaped: None };
        // In a bare expression Jinja's escapes count; inside {{ }} Ansible takes backslashes as they are.
        let outcome = evaluation.expression(source, text.trim_start().starts_with("{{"), &place);
        match settle(&evaluation, outcome, &place)? {
            Value::Bool(true) => Ok(Truth::True),
            Value::Bool(false) => Ok(Truth::False),
            Value::Unknown => Ok(Truth::Unknown),
            value => Err(Diagnostic::error(
                "condition-not-boolean",
                format!("a condition must be true or false, and this is {}", value.describe()),
                &node.span,
            )
            .label("not a boolean")
            .help(match value {
                Value::Str(_) => {
                    "compare it (`x == 'y'`), test its length (`x | length > 0`), or convert it (`x | bool`)"
                }
                Value::List(_) | Value::Map(_) => "test its length: `x | length > 0`",
                Value::Null => "test it: `x is not none`",
                _ => "compare it, or convert it (`x | bool`)",
            })
            .into()),
        }
    }

    /// Renders a template file to text ([`Value::Str`], or [`Value::Unknown`]). A first line `#jinja2: …` changes the
    /// options and is not part of the output. Templates that it includes or imports are found by
    /// [`Scope::search_path`] of `templates`.
    pub fn template_file(
        &self,
        source: &Arc<SourceFile>,
        options: &TemplateOptions,
        scope: &Arc<dyn Scope>,
    ) -> Result<Value, EvalError> {
        let (options, text, span) = options.with_header(source)?;
        let evaluation = Evaluation::new(&self.engine, scope);
        let place = Place { text: &text, offset: 0, span: &span, escaped: None };
        let outcome = evaluation.template(&text, &options.syntax(), false, &place);
        match settle(&evaluation, outcome, &place)? {
            Value::Str(text) if options.newline_sequence != "\n" => {
                Ok(Value::from(text.replace('\n', &options.newline_sequence)))
            }
            value => Ok(value),
        }
    }
}

fn bad_condition(node: &Node) -> Diagnostic {
    Diagnostic::error(
        "condition-not-boolean",
        format!("a condition must be an expression or a boolean, and this is {}", node.describe()),
        &node.span,
    )
}

/// The expression in a condition's text and where it starts: `{{ }}` around the whole is allowed.
pub(crate) fn condition_source<'a>(text: &'a str, span: &Span) -> Result<(&'a str, usize), Diagnostic> {
    let lead = text.len() - text.trim_start().len();
    let body = text.trim();
    if body.is_empty() {
        return Err(Diagnostic::error("condition-empty", "this condition is empty", span));
    }
    if let Some(inside) = scan::single_expression(body) {
        return Ok((&body[inside.clone()], lead + inside.start));
    }
    if scan::is_template(body) {
        return Err(Diagnostic::error("condition-template", "a condition is an expression already", span)
            .label("{{ }} inside")
            .help("write the names without {{ }}: `when: a_var == 42`, or `a ~ '-b'` to join texts"));
    }
    Ok((body, lead))
}

/// Renders a node within an evaluation. What waits does not keep its neighbours from being looked at, so that the scope
/// learns of all that is missing in one go.
pub(crate) fn render(evaluation: &Arc<Evaluation>, node: &Node) -> Result<Value, EvalError> {
    match (&node.kind, node.tag.as_deref()) {
        (Kind::Str(text), Some("vault")) => {
            let outcome = evaluation.vault(text, &node.span);
            settle(evaluation, outcome, &Place { text, offset: 0, span: &node.span, escaped: None })
        }
        (_, Some("unsafe")) => Ok(Value::from(node)),
        (Kind::Str(text), _) => render_str(evaluation, text, &node.span),
        (Kind::List(items), _) => {
            let mut out = Vec::with_capacity(items.len());
            let mut waits = false;
            for item in items {
                match render(evaluation, item) {
                    Ok(Value::Omit) => {}
                    Ok(value) => out.push(value),
                    Err(EvalError::Wait) => waits = true,
                    Err(error) => return Err(error),
                }
            }
            if waits { Err(EvalError::Wait) } else { Ok(Value::list(out)) }
        }
        (Kind::Map(entries), _) => {
            let mut out = Map::with_capacity(entries.len());
            let mut waits = false;
            for entry in entries {
                let key = match key(evaluation, &entry.key, &entry.key_span) {
                    Ok(key) => Some(key),
                    Err(EvalError::Wait) => None,
                    Err(error) => return Err(error),
                };
                match (key, render(evaluation, &entry.value)) {
                    (_, Err(EvalError::Wait)) | (None, Ok(_)) => waits = true,
                    (_, Err(error)) => return Err(error),
                    (_, Ok(Value::Omit)) => {}
                    (Some(key), Ok(value)) => {
                        out.insert(key, value);
                    }
                }
            }
            if waits { Err(EvalError::Wait) } else { Ok(Value::map(out)) }
        }
        _ => Ok(Value::from(node)),
    }
}

fn render_str(evaluation: &Arc<Evaluation>, text: &Arc<str>, span: &Span) -> Result<Value, EvalError> {
    if !scan::is_template(text) {
        return Ok(Value::Str(Arc::clone(text)));
    }
    let outcome = evaluation.text(text, span);
    settle(evaluation, outcome, &Place { text, offset: 0, span, escaped: None })
}

fn key(evaluation: &Arc<Evaluation>, key: &Arc<str>, span: &Span) -> Result<Arc<str>, EvalError> {
    match render_str(evaluation, key, span)? {
        Value::Str(text) => Ok(text),
        value @ (Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null) => Ok(value.to_string().into()),
        value => {
            Err(Diagnostic::error("template-key", format!("{} can't be the key of a mapping", value.describe()), span)
                .into())
        }
    }
}

/// What an evaluation came to, as the caller sees it.
fn settle(evaluation: &Arc<Evaluation>, outcome: Outcome, place: &Place<'_>) -> Result<Value, EvalError> {
    let value = match outcome {
        Outcome::Value(value) => value,
        Outcome::Unknown => return Ok(Value::Unknown),
        Outcome::Wait => return Err(EvalError::Wait),
        Outcome::Undefined(diagnostic) | Outcome::Failed(diagnostic) => return Err(EvalError::Failed(diagnostic)),
    };
    // Lazy parts are rendered only now, and may still wait or fail.
    let (converted, signal) = evaluation.within(|| from_template(&value));
    match converted {
        Ok(value) => match signal {
            Some(Signal::Wait) => Err(EvalError::Wait),
            Some(Signal::Failed(diagnostic)) => Err(EvalError::Failed(Box::new((*diagnostic).clone()))),
            _ => Ok(value),
        },
        Err(error) => match Signal::find(&error) {
            Some(Signal::Wait) => Err(EvalError::Wait),
            Some(Signal::Unknown) => Ok(Value::Unknown),
            Some(Signal::Failed(diagnostic)) => Err(EvalError::Failed(Box::new((*diagnostic).clone()))),
            None => Err(EvalError::Failed(Box::new(diagnose::error(&error, place, evaluation)))),
        },
    }
}
