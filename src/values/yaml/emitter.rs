//! Values to YAML text.

use super::scalar::{Place, Style, is_break, printable, style};
use super::{Flow, YamlOptions};
use crate::values::{Map, Value};
use std::fmt::Write;

/// Longer keys are written with `? `.
const LONGEST_SIMPLE_KEY: usize = 128;

pub(super) struct Emitter {
    options: YamlOptions,
    out: String,
    column: usize,
    /// The last character written was a blank (or nothing was written on this line).
    whitespace: bool,
    /// Only indentation and `-`, `?`, `:` stand on this line so far.
    indention: bool,
    indent: Option<usize>,
    brackets: usize,
}

impl Emitter {
    pub(super) fn new(options: YamlOptions) -> Self {
        let indent = if (2..=9).contains(&options.indent) { options.indent } else { 2 };
        let width = if options.width > indent * 2 { options.width } else { 80 };
        let options = YamlOptions { indent, width, ..options };
        Self { options, out: String::new(), column: 0, whitespace: true, indention: true, indent: None, brackets: 0 }
    }

    pub(super) fn document(mut self, value: &Value) -> String {
        self.value(value, false);
        self.line_break();
        self.out
    }

    fn value(&mut self, value: &Value, in_mapping: bool) {
        match value {
            Value::List(items) => self.list(items, in_mapping),
            Value::Map(map) => self.map(map),
            Value::Str(text) => self.string(text, false),
            other => self.plain(&scalar_text(other), true),
        }
    }

    fn in_brackets(&self, mut items: impl ExactSizeIterator<Item = bool>) -> bool {
        self.brackets > 0
            || items.len() == 0
            || match self.options.flow {
                Flow::Never => false,
                Flow::Always => true,
                Flow::Leaves => items.all(|scalar| scalar),
            }
    }

    fn list(&mut self, items: &[Value], in_mapping: bool) {
        if self.in_brackets(items.iter().map(is_scalar)) {
            let outer = self.open("[");
            for (i, item) in items.iter().enumerate() {
                self.separate(i);
                self.value(item, false);
            }
            self.close("]", outer);
            return;
        }
        let indentless = in_mapping && !self.indention;
        let outer = self.deeper(false, indentless);
        for item in items {
            self.write_indent();
            self.indicator("-", true, false, true);
            self.value(item, false);
        }
        self.indent = outer;
    }

    fn map(&mut self, map: &Map) {
        let mut entries: Vec<(&str, &Value)> = map.iter().map(|(k, v)| (&**k, v)).collect();
        if self.options.sort_keys {
            entries.sort_by_key(|(key, _)| *key);
        }
        if self.in_brackets(map.values().map(is_scalar)) {
            let outer = self.open("{");
            for (i, (key, value)) in entries.into_iter().enumerate() {
                self.separate(i);
                self.entry(key, value);
            }
            self.close("}", outer);
            return;
        }
        let outer = self.deeper(false, false);
        for (key, value) in entries {
            self.write_indent();
            self.entry(key, value);
        }
        self.indent = outer;
    }

    fn entry(&mut self, key: &str, value: &Value) {
        if key.len() <= LONGEST_SIMPLE_KEY && !key.contains(is_break) {
            self.string(key, true);
            self.indicator(":", false, false, false);
        } else if self.brackets > 0 {
            self.indicator("?", true, false, false);
            self.string(key, false);
            if self.column > self.options.width {
                self.write_indent();
            }
            self.indicator(":", true, false, false);
        } else {
            self.indicator("?", true, false, true);
            self.string(key, false);
            self.write_indent();
            self.indicator(":", true, false, true);
        }
        self.value(value, true);
    }

    fn open(&mut self, bracket: &str) -> Option<usize> {
        self.indicator(bracket, true, true, false);
        self.brackets += 1;
        self.deeper(true, false)
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.indicator(",", false, false, false);
        }
        if self.column > self.options.width {
            self.write_indent();
        }
    }

    fn close(&mut self, bracket: &str, outer: Option<usize>) {
        self.brackets -= 1;
        self.indent = outer;
        self.indicator(bracket, false, false, false);
    }

    /// One level deeper; gives the level to return to.
    fn deeper(&mut self, flow: bool, indentless: bool) -> Option<usize> {
        let outer = self.indent;
        self.indent = Some(match outer {
            None if flow => self.options.indent,
            None => 0,
            Some(indent) if indentless => indent,
            Some(indent) => indent + self.options.indent,
        });
        outer
    }

    fn put(&mut self, c: char) {
        self.out.push(c);
        self.column += 1;
    }

    fn line_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || (self.column == indent && !self.whitespace) {
            // Nothing has been written yet: the first line needs no break before it.
            if !self.out.is_empty() {
                self.line_break();
            }
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn indicator(&mut self, text: &str, need_whitespace: bool, is_whitespace: bool, is_indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        text.chars().for_each(|c| self.put(c));
        self.whitespace = is_whitespace;
        self.indention = self.indention && is_indention;
    }

    fn string(&mut self, text: &str, key: bool) {
        // Lines that continue a string stand deeper than what holds it.
        let outer = self.deeper(true, false);
        match style(text, Place { flow: self.brackets > 0, key }) {
            Style::Plain => self.plain(text, !key),
            Style::Single => self.single(text, !key),
            Style::Double => self.double(text, !key),
        }
        self.indent = outer;
    }

    fn plain(&mut self, text: &str, fold: bool) {
        if !self.whitespace && (!text.is_empty() || self.brackets > 0) {
            self.put(' ');
        }
        self.folded(text, fold, Self::put);
        self.whitespace = false;
        self.indention = false;
    }

    fn single(&mut self, text: &str, fold: bool) {
        self.indicator("'", true, false, false);
        self.folded(text, fold, |emitter, c| {
            if c == '\'' {
                emitter.put('\'');
            }
            emitter.put(c);
        });
        self.indicator("'", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    /// The text with breaks at single blanks beyond the width, and its own line breaks doubled as YAML asks.
    fn folded(&mut self, text: &str, fold: bool, write: impl Fn(&mut Self, char)) {
        let (mut after_space, mut after_break) = (false, false);
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            if c == ' ' {
                let next = chars.peek().copied();
                let single = !after_space && next.is_some_and(|n| n != ' ');
                if fold && single && !first && self.column > self.options.width {
                    self.write_indent();
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else if is_break(c) {
                if !after_break {
                    self.line_break();
                }
                self.line_break();
                self.indention = true;
                after_break = true;
            } else {
                if after_break {
                    self.write_indent();
                }
                write(self, c);
                self.indention = false;
                (after_space, after_break) = (false, false);
            }
            first = false;
        }
        if after_break {
            self.write_indent();
        }
    }

    fn double(&mut self, text: &str, fold: bool) {
        self.indicator("\"", true, false, false);
        let mut after_space = false;
        let mut chars = text.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            if c == ' ' {
                let next = chars.peek().copied();
                if fold && !after_space && !first && next.is_some() && self.column > self.options.width {
                    self.write_indent();
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
                after_space = true;
            } else {
                after_space = false;
                if !printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                    self.escape(c);
                } else {
                    self.put(c);
                }
            }
            first = false;
        }
        self.indicator("\"", false, false, false);
        self.whitespace = false;
        self.indention = false;
    }

    fn escape(&mut self, c: char) {
        let mut escaped = String::from("\\");
        match c {
            '\0' => escaped.push('0'),
            '\u{7}' => escaped.push('a'),
            '\u{8}' => escaped.push('b'),
            '\t' => escaped.push('t'),
            '\n' => escaped.push('n'),
            '\u{b}' => escaped.push('v'),
            '\u{c}' => escaped.push('f'),
            '\r' => escaped.push('r'),
            '\u{1b}' => escaped.push('e'),
            '"' | '\\' => escaped.push(c),
            '\u{85}' => escaped.push('N'),
            '\u{a0}' => escaped.push('_'),
            '\u{2028}' => escaped.push('L'),
            '\u{2029}' => escaped.push('P'),
            c => {
                let code = u32::from(c);
                let _ = match code {
                    0..=0xff => write!(escaped, "x{code:02X}"),
                    0x100..=0xffff => write!(escaped, "u{code:04X}"),
                    _ => write!(escaped, "U{code:08X}"),
                };
            }
        }
        escaped.chars().for_each(|c| self.put(c));
    }
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::List(_) | Value::Map(_))
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Int(i) => i.to_string(),
        Value::Float(x) => float_text(*x),
        Value::Unknown => "(known after apply)".to_owned(),
        _ => "null".to_owned(),
    }
}

/// As Python's `repr`, with a point before an exponent, which YAML 1.1 needs.
fn float_text(x: f64) -> String {
    if x.is_nan() {
        return ".nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { ".inf".to_owned() } else { "-.inf".to_owned() };
    }
    let magnitude = x.abs();
    if magnitude == 0.0 || (1e-4..1e16).contains(&magnitude) {
        return if x.fract() == 0.0 { format!("{x:.1}") } else { x.to_string() };
    }
    let text = format!("{x:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}{point}e{sign}{digits:0>2}")
}
