//! Where a piece of text stands.

use std::fmt;
use std::sync::Arc;

/// A file as it was read: the name to show and its text.
#[derive(Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The path as the user would write it (relative where they wrote it so).
    pub name: String,
    /// The whole text; spans index into it by byte.
    pub text: String,
}

/// A stretch of a [`SourceFile`]. Lines and columns count from 1, columns in characters.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The file; shared, so that a diagnostic needs nothing else to be rendered.
    pub file: Arc<SourceFile>,
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// Line of `start`.
    pub line: u32,
    /// Column of `start`.
    pub column: u32,
}

impl Span {
    /// A span for text that came from no file (a command line, a default).
    pub fn synthetic(name: &str, text: &str) -> Self {
        let file = Arc::new(SourceFile { name: name.to_owned(), text: text.to_owned() });
        Self { start: 0, end: file.text.len(), file, line: 1, column: 1 }
    }

    /// A span of `len` bytes that starts `offset` bytes into this one's text, on the same line or a later one.
    #[must_use]
    pub fn within(&self, offset: usize, len: usize) -> Self {
        let text = &self.file.text;
        let mut start = (self.start + offset).min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = (start + len).min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = text[line_start..start].chars().count() + 1;
        Self {
            file: Arc::clone(&self.file),
            start,
            end,
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.name, self.line, self.column)
    }
}

// The text of the file would drown every debug print.
impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
