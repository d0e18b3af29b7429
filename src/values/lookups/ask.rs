//! What a lookup is asked, and how lookups are declared.

use crate::values::Value;
use crate::values::call::{Made, as_text, truthy};
use crate::values::error::fail;
use crate::values::evaluation::Evaluation;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A lookup.
pub(crate) struct Lookup {
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    /// The options it takes by name; `**` any.
    pub options: &'static [&'static str],
    pub run: fn(&Ask) -> Made<Vec<Value>>,
}

/// The terms and options of one lookup.
pub(crate) struct Ask {
    pub evaluation: Arc<Evaluation>,
    pub terms: Vec<Value>,
    pub options: Vec<(String, Value)>,
}

impl Ask {
    pub(super) fn option(&self, name: &str) -> Option<&Value> {
        self.options.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    pub(super) fn text_option(&self, name: &str) -> Made<Option<Arc<str>>> {
        self.option(name).filter(|v| !matches!(v, Value::Null)).map(as_text).transpose()
    }

    pub(super) fn flag_option(&self, name: &str, default: bool) -> bool {
        match self.option(name) {
            None => default,
            Some(Value::Str(text)) => matches!(text.to_lowercase().as_str(), "yes" | "true" | "on" | "1" | "y" | "t"),
            Some(value) => truthy(value),
        }
    }

    /// The terms as texts.
    pub(super) fn texts(&self) -> Made<Vec<Arc<str>>> {
        self.terms.iter().map(as_text).collect()
    }

    /// The terms with lists among them opened (one level).
    pub(super) fn flat(&self) -> Vec<Value> {
        let mut out = Vec::new();
        for term in &self.terms {
            match term {
                Value::List(items) => out.extend(items.iter().cloned()),
                other => out.push(other.clone()),
            }
        }
        out
    }

    /// A path with `~` opened.
    pub(super) fn expand(&self, path: &str) -> PathBuf {
        PathBuf::from(expand_user(path, &self.evaluation.engine.options.environment))
    }

    /// The file of that name: as it is if absolute, else by the search path of `kind`, then from the run's folder.
    pub(super) fn find(&self, path: &str, kind: &str) -> Option<PathBuf> {
        self.candidates(path, &[kind]).into_iter().find(|candidate| candidate.exists())
    }

    pub(super) fn candidates(&self, path: &str, kinds: &[&str]) -> Vec<PathBuf> {
        let path = self.expand(path);
        if path.is_absolute() {
            return vec![path];
        }
        let folders = kinds.iter().flat_map(|kind| self.evaluation.scope.search_path(kind));
        folders.chain([self.evaluation.engine.options.directory.clone()]).map(|folder| folder.join(&path)).collect()
    }

    /// The text of a file, decrypted if it is a vault.
    pub(super) fn read(&self, path: &Path) -> Made<String> {
        let bytes = std::fs::read(path).map_err(|e| fail(format!("can't read {}: {e}", path.display())))?;
        crate::source::reads::note(path, &bytes);
        let text = String::from_utf8(bytes).map_err(|_| fail(format!("{} is not UTF-8 text", path.display())))?;
        if crate::values::is_encrypted(&text) {
            let plain = self.evaluation.engine.decrypt(&text);
            return plain.map(|t| t.to_string()).map_err(|e| fail(format!("{}: {e}", path.display())));
        }
        Ok(text)
    }

    /// The file of that name, or an error that says where it was looked for.
    pub(super) fn must_find(&self, path: &str, kind: &str) -> Made<PathBuf> {
        self.find(path, kind).ok_or_else(|| {
            let tried = self.candidates(path, &[kind]);
            let tried = tried.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
            fail(format!("there is no file '{path}'; looked for {tried}"))
        })
    }
}

/// `~` and `~/…` by the environment's HOME; other users' homes are not known.
pub(crate) fn expand_user(path: &str, environment: &std::collections::BTreeMap<String, String>) -> String {
    match (path.strip_prefix('~'), environment.get("HOME")) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => format!("{home}{rest}"),
        _ => path.to_owned(),
    }
}

/// The words `a=b c='d e'` of a term: what has no `=` first, then the pairs.
pub(super) fn words(text: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut plain = Vec::new();
    let mut pairs = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    let mut any = false;
    let mut finish = |word: &mut String, any: &mut bool| {
        if std::mem::take(any) {
            let word = std::mem::take(word);
            match word.split_once('=') {
                Some((key, value)) if !key.is_empty() => pairs.push((key.to_owned(), value.to_owned())),
                _ => plain.push(word),
            }
        }
    };
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            Some(_) => word.push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                any = true;
            }
            None if c.is_whitespace() => finish(&mut word, &mut any),
            None => {
                word.push(c);
                any = true;
            }
        }
    }
    finish(&mut word, &mut any);
    (plain, pairs)
}
