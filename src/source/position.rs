//! Where a piece of a string stands in the source, so that an error inside a template can be shown in its file.

use super::{Kind, Node, Span};

impl Node {
    /// The number of bytes from the start of [`Node::span`] to the first byte of the string's content, when the content
    /// stands in the source byte by byte: a plain scalar on one line, or a quoted one on one line without escapes.
    /// `None` for anything else.
    pub fn text_offset(&self) -> Option<usize> {
        let Kind::Str(text) = &self.kind else { return None };
        let source = self.span.file.text.get(self.span.start..self.span.end)?;
        if source == &**text {
            return Some(0);
        }
        let quote = source.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        (source.strip_prefix(quote)?.strip_suffix(quote)? == &**text).then_some(1)
    }

    /// The place of `len` bytes at byte `offset` of the string's content. In a literal block scalar (`|`) it is found
    /// line by line. Where the content does not stand in the source as it is (escapes, folding), the whole node.
    pub fn span_at(&self, offset: usize, len: usize) -> Span {
        if let Some(start) = self.text_offset() {
            return self.span.within(start + offset, len);
        }
        self.span_in_block(offset, len).unwrap_or_else(|| self.span.clone())
    }

    fn span_in_block(&self, offset: usize, len: usize) -> Option<Span> {
        let text = self.as_str()?;
        let before = text.get(..offset)?;
        let row = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = text[line_start..].split('\n').next()?;
        let source = self.span.file.text.get(self.span.start..self.span.end)?;
        if source.starts_with(['"', '\'']) {
            return None;
        }
        let mut at = 0;
        for (n, raw) in source.split_inclusive('\n').enumerate() {
            if n == row {
                let raw = raw.trim_end_matches(['\n', '\r']);
                // The same line in both, apart from the indentation; else it was folded.
                let indent = raw.len().checked_sub(line.len())?;
                if &raw[indent..] != line || !raw[..indent].bytes().all(|b| b == b' ') {
                    return None;
                }
                return Some(self.span.within(at + indent + (offset - line_start), len.min(line.len())));
            }
            at += raw.len();
        }
        None
    }
}
