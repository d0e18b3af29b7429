//! YAML text to nodes: `granit-parser`'s events, resolved as Ansible loads them.

use super::merge::merged;
use super::scalar::{self, resolve_plain};
use super::{Diagnostic, Entry, Kind, Node, SourceFile, Span, syntax};
use granit_parser::{Event, Parser, ScalarStyle, Tag, options};
use std::collections::HashMap;
use std::sync::Arc;

/// How deep collections may nest, counting what aliases bring in. Below what recursive code on a small stack bears.
pub(super) const MAX_DEPTH: usize = 200;

/// How many nodes anchors and aliases may copy in one file, so that a few lines can't grow into gigabytes.
const MAX_COPIES: usize = 300_000;

/// The local tags that Ansible knows, and the name a node carries for each.
const LOCAL_TAGS: &[(&str, &str)] = &[("vault", "vault"), ("vault-encrypted", "vault"), ("unsafe", "unsafe")];

/// Reads all documents of a file. An empty file has none.
///
/// # Errors
/// Everything that is wrong with it, up to the first error of syntax.
#[expect(clippy::needless_pass_by_value, reason = "every span of the nodes shares the file")]
pub fn parse(file: Arc<SourceFile>) -> Result<Vec<Node>, Vec<Diagnostic>> {
    let mut builder = Builder::new(Arc::clone(&file));
    let options = options! { emit_comments: false, emit_anchor_events: true };
    for event in Parser::new_from_str_with_options(&file.text, options) {
        match event {
            Ok((event, at)) => {
                if builder.event(event, &at).is_break() {
                    break;
                }
            }
            Err(error) => {
                let found = syntax::diagnose(&file, &error);
                // What made it fail may have been understood already.
                if builder.diagnostics.last().is_none_or(|last| last.span != found.span) {
                    builder.diagnostics.push(found);
                }
                break;
            }
        }
    }
    if builder.diagnostics.is_empty() { Ok(builder.documents) } else { Err(builder.diagnostics) }
}

/// Reads a file that holds one document. An empty file is a null node.
///
/// # Errors
/// As [`parse`], and where a second document begins.
pub fn parse_one(file: Arc<SourceFile>) -> Result<Node, Vec<Diagnostic>> {
    let whole = Span { file: Arc::clone(&file), start: 0, end: 0, line: 1, column: 1 };
    let mut documents = parse(file)?;
    if let Some(second) = documents.get(1) {
        return Err(vec![
            Diagnostic::error("several-documents", "this file holds more than one YAML document", &second.span)
                .label("a second document begins here")
                .help("keep one document: remove the `---` before this line, or move the rest to another file"),
        ]);
    }
    Ok(documents.pop().unwrap_or_else(|| Node::new(Kind::Null, whole)))
}

/// A collection that is still open.
struct Frame {
    start: Span,
    tag: Option<Arc<str>>,
    anchor: usize,
    end: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, index: HashMap<Arc<str>, usize>, merges: Vec<Node>, key: Option<Key> },
}

/// A key that waits for its value.
enum Key {
    Text(Arc<str>, Span),
    Merge,
    /// Not usable and already reported; its value is dropped.
    Bad,
}

struct Builder {
    file: Arc<SourceFile>,
    documents: Vec<Node>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    copies: usize,
    diagnostics: Vec<Diagnostic>,
}

type Flow = std::ops::ControlFlow<()>;

impl Builder {
    fn new(file: Arc<SourceFile>) -> Self {
        Self {
            file,
            documents: Vec::new(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            copies: 0,
            diagnostics: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, at: &granit_parser::Span) -> Flow {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref(), at),
            Event::SequenceStart(_, anchor, tag) => self.open(Content::List(Vec::new()), anchor, tag.as_deref(), at),
            Event::MappingStart(_, anchor, tag) => {
                let content =
                    Content::Map { entries: Vec::new(), index: HashMap::new(), merges: Vec::new(), key: None };
                self.open(content, anchor, tag.as_deref(), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(at),
            Event::Alias(id) => self.alias(id, at),
            _ => Flow::Continue(()),
        }
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let range = at.byte_range().unwrap_or(0..0);
        Span {
            file: Arc::clone(&self.file),
            start: range.start,
            end: range.end,
            line: u32::try_from(at.start.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.start.col() + 1).unwrap_or(u32::MAX),
        }
    }

    /// Where the tag of the node at `at` stands.
    fn tag_span(&self, at: &granit_parser::Span) -> Span {
        self.span(&at.tag_span().unwrap_or(*at))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: &granit_parser::Span,
    ) -> Flow {
        let mut span = self.span(at);
        // A block scalar's span runs on to the next token; the text ends before.
        let slice = self.file.text.get(span.start..span.end).unwrap_or_default();
        span.end = span.start + slice.trim_end_matches([' ', '\t', '\n', '\r']).len();
        let plain = style == ScalarStyle::Plain;
        // The parser writes an absent value as `~`.
        let text = if plain && span.start == span.end { "" } else { text };

        if let Some(Frame { content: Content::Map { key: key @ None, .. }, .. }) = self.stack.last_mut() {
            *key = Some(if plain && text == "<<" && tag.is_none() {
                Key::Merge
            } else {
                Key::Text(text.into(), span.clone())
            });
            if anchor != 0 {
                self.anchors.insert(anchor, Node::string(text, span));
            }
            return Flow::Continue(());
        }

        let (kind, local) = match tag {
            None if plain => (self.resolve(text, &span), None),
            None => (Kind::Str(text.into()), None),
            Some(tag) => self.tagged(text, plain, tag, (&span, at)),
        };
        let mut node = Node::new(kind, span);
        node.tag = local;
        self.finish(node, anchor)
    }

    fn resolve(&mut self, text: &str, span: &Span) -> Kind {
        resolve_plain(text).unwrap_or_else(|_| {
            self.diagnostics.push(
                Diagnostic::error("number-too-large", format!("`{text}` does not fit into a 64-bit integer"), span)
                    .help(format!("write it in quotes if it is meant as text: \"{text}\"")),
            );
            Kind::Null
        })
    }

    /// A scalar with a tag: `!!int "7"`, `!vault |`.
    fn tagged(
        &mut self,
        text: &str,
        plain: bool,
        tag: &Tag,
        (span, at): (&Span, &granit_parser::Span),
    ) -> (Kind, Option<Arc<str>>) {
        let Some(name) = standard(tag) else {
            let local = self.local_tag(tag, at);
            return (Kind::Str(text.into()), local);
        };
        let kind = match name {
            // `!` alone asks for no resolution, so it is a string.
            "str" | "timestamp" | "" => Some(Kind::Str(text.into())),
            "null" => scalar::is_null(text).then_some(Kind::Null),
            "bool" => scalar::bool_word(text).map(Kind::Bool),
            "int" => scalar::integer(text).and_then(Result::ok).map(Kind::Int),
            "float" => scalar::float(text)
                .or_else(|| scalar::integer(text).and_then(Result::ok).map(int_as_float))
                .map(Kind::Float),
            _ => {
                self.unsupported_tag(name, at);
                return (Kind::Null, None);
            }
        };
        let kind = kind.unwrap_or_else(|| {
            let shown = if plain { text.to_owned() } else { format!("\"{text}\"") };
            self.diagnostics.push(Diagnostic::error(
                "bad-tag",
                format!("{shown} is not what `!!{name}` asks for"),
                span,
            ));
            Kind::Null
        });
        (kind, None)
    }

    fn unsupported_tag(&mut self, name: &str, at: &granit_parser::Span) {
        let span = &self.tag_span(at);
        self.diagnostics.push(
            Diagnostic::error("unknown-tag", format!("the YAML tag `!!{name}` is not supported"), span)
                .help("write the value as a plain string, number, list or mapping"),
        );
    }

    fn local_tag(&mut self, tag: &Tag, at: &granit_parser::Span) -> Option<Arc<str>> {
        let span = &self.tag_span(at);
        let name = tag.original();
        let name = name.strip_prefix('!').unwrap_or(&name);
        if let Some((_, kept)) = LOCAL_TAGS.iter().find(|(known, _)| *known == name) {
            return Some((*kept).into());
        }
        let mut diagnostic = Diagnostic::error("unknown-tag", format!("unknown YAML tag `!{name}`"), span);
        diagnostic = match super::suggest(name, LOCAL_TAGS.iter().map(|(known, _)| *known)) {
            Some(near) => diagnostic.help(format!("did you mean `!{near}`?")),
            None => diagnostic
                .help("a value that begins with `!` must be quoted; the tags that exist are `!vault` and `!unsafe`"),
        };
        self.diagnostics.push(diagnostic);
        None
    }

    fn open(&mut self, content: Content, anchor: usize, tag: Option<&Tag>, at: &granit_parser::Span) -> Flow {
        let start = self.span(at);
        if self.stack.len() >= MAX_DEPTH {
            return self.too_deep(&start);
        }
        let tag = match tag {
            Some(tag) => match (standard(tag), &content) {
                (Some("seq" | ""), Content::List(_)) | (Some("map" | ""), Content::Map { .. }) => None,
                (Some(name), _) => {
                    self.unsupported_tag(name, at);
                    None
                }
                (None, _) => self.local_tag(tag, at),
            },
            None => None,
        };
        if tag.as_deref() == Some("vault") {
            self.diagnostics.push(
                Diagnostic::error(
                    "bad-tag",
                    "`!vault` belongs before an encrypted string, not a list or mapping",
                    &start,
                )
                .help("encrypt the whole file, or each string in it"),
            );
        }
        let end = start.end;
        self.stack.push(Frame { start, tag, anchor, end, content });
        Flow::Continue(())
    }

    fn close(&mut self, at: &granit_parser::Span) -> Flow {
        let Some(frame) = self.stack.pop() else { return Flow::Continue(()) };
        let closing = self.span(at);
        let mut span = frame.start;
        // A block collection ends with its last item, a flow collection with its bracket.
        span.end = if closing.start == closing.end { frame.end } else { closing.end }.max(span.start);
        let kind = match frame.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, merges, .. } if merges.is_empty() => Kind::Map(entries),
            Content::Map { entries, merges, .. } => Kind::Map(merged(entries, merges, &mut self.diagnostics)),
        };
        let mut node = Node::new(kind, span);
        if frame.tag.as_deref() == Some("unsafe") {
            mark_unsafe(&mut node);
        }
        node.tag = frame.tag;
        self.finish(node, frame.anchor)
    }

    fn alias(&mut self, id: usize, at: &granit_parser::Span) -> Flow {
        let span = self.span(at);
        let Some(node) = self.anchors.get(&id) else {
            self.diagnostics.push(
                Diagnostic::error("recursive-alias", "this alias refers to a node that contains it", &span)
                    .help("write the value out"),
            );
            return Flow::Break(());
        };
        let (size, depth) = measure(node);
        if self.stack.len() + depth > MAX_DEPTH {
            return self.too_deep(&span);
        }
        let node = node.clone();
        self.count_copies(size, &span)?;
        if let Some(Frame { content: Content::Map { key: key @ None, .. }, .. }) = self.stack.last_mut()
            && let Kind::Str(text) = &node.kind
        {
            *key = Some(Key::Text(Arc::clone(text), span));
            return Flow::Continue(());
        }
        self.place(node, span.end)
    }

    fn count_copies(&mut self, size: usize, span: &Span) -> Flow {
        self.copies += size;
        if self.copies <= MAX_COPIES {
            return Flow::Continue(());
        }
        self.diagnostics.push(
            Diagnostic::error("too-many-aliases", "anchors and aliases of this file copy too much", span)
                .label(format!("more than {MAX_COPIES} nodes with this one"))
                .help("keep the data in a variable and refer to it in a template"),
        );
        Flow::Break(())
    }

    fn too_deep(&mut self, span: &Span) -> Flow {
        self.diagnostics.push(syntax::too_deep(span));
        Flow::Break(())
    }

    /// A node is complete: remember its anchor, put it into what is open.
    fn finish(&mut self, node: Node, anchor: usize) -> Flow {
        if anchor != 0 {
            let (size, _) = measure(&node);
            self.count_copies(size, &node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        let end = node.span.end;
        self.place(node, end)
    }

    fn place(&mut self, node: Node, end: usize) -> Flow {
        let Some(frame) = self.stack.last_mut() else {
            self.documents.push(node);
            return Flow::Continue(());
        };
        frame.end = frame.end.max(end);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, index, merges, key } => match key.take() {
                None => {
                    *key = Some(Key::Bad);
                    let found = syntax::complex_key(&frame.start, &node);
                    // A template as a key is two mappings, one in the other: said once.
                    if self.diagnostics.last().is_none_or(|last| last.span != found.span) {
                        self.diagnostics.push(found);
                    }
                }
                Some(Key::Bad) => {}
                Some(Key::Merge) => merges.push(node),
                Some(Key::Text(text, span)) => {
                    if let Some(&first) = index.get(&text) {
                        let first = &entries[first].key_span;
                        self.diagnostics.push(
                            Diagnostic::error(
                                "duplicate-key",
                                format!("`{text}` is given twice in this mapping"),
                                &span,
                            )
                            .label("given again here")
                            .also(first, "given first here")
                            .help(format!("keep one of them; the first is in line {}", first.line)),
                        );
                    } else {
                        index.insert(Arc::clone(&text), entries.len());
                        entries.push(Entry { key: text, key_span: span, value: node });
                    }
                }
            },
        }
        Flow::Continue(())
    }
}

/// The name of a standard tag (`str` for `!!str`, empty for the non-specific `!`); `None` for a local one.
fn standard(tag: &Tag) -> Option<&str> {
    if let Some(name) = tag.core_suffix() {
        return Some(name);
    }
    let (handle, suffix) = tag.parts();
    match handle {
        "tag:yaml.org,2002:" => Some(suffix),
        _ if tag.original() == "!" => Some(""),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "`!!float 3` asks for the nearest float")]
fn int_as_float(i: i64) -> f64 {
    i as f64
}

/// How many nodes it is, and how deep.
fn measure(node: &Node) -> (usize, usize) {
    fn of<'a>(children: impl Iterator<Item = &'a Node>) -> (usize, usize) {
        let (size, depth) = children.map(measure).fold((1, 0), |(s, d), (size, depth)| (s + size, d.max(depth)));
        (size, depth + 1)
    }
    match &node.kind {
        Kind::List(items) => of(items.iter()),
        Kind::Map(entries) => of(entries.iter().map(|e| &e.value)),
        _ => (1, 0),
    }
}

/// `!unsafe` on a collection holds for every string in it.
fn mark_unsafe(node: &mut Node) {
    match &mut node.kind {
        Kind::Str(_) => {
            node.tag.get_or_insert_with(|| "unsafe".into());
        }
        Kind::List(items) => items.iter_mut().for_each(mark_unsafe),
        Kind::Map(entries) => entries.iter_mut().for_each(|e| mark_unsafe(&mut e.value)),
        _ => {}
    }
}
