//! Reading a file.

use super::{Diagnostic, Node, SourceFile, parse, parse_one};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

/// Larger files are no playbooks, inventories or variables.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// Reads a file as text, without a byte order mark. `name` is how messages call it; usually the path as the user wrote it.
///
/// # Errors
/// It is missing, a folder, unreadable, larger than [`MAX_FILE_BYTES`] or not UTF-8.
pub fn read(path: &Path, name: &str) -> Result<Arc<SourceFile>, Diagnostic> {
    let failed = |error: &std::io::Error| match error.kind() {
        ErrorKind::NotFound => {
            let diagnostic = Diagnostic::bare("no-such-file", format!("there is no file `{name}`"));
            match neighbour(path) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("check the path; it is taken from the folder in which the command runs"),
            }
        }
        ErrorKind::PermissionDenied => Diagnostic::bare("unreadable-file", format!("no permission to read `{name}`"))
            .help("give the user who runs this the right to read it"),
        _ => Diagnostic::bare("unreadable-file", format!("can't read `{name}`: {error}")),
    };
    let about = std::fs::metadata(path).map_err(|e| failed(&e))?;
    if about.is_dir() {
        return Err(Diagnostic::bare("is-a-folder", format!("`{name}` is a folder, and a file is needed")));
    }
    if about.len() > MAX_FILE_BYTES {
        let megabytes = about.len().div_ceil(1024 * 1024);
        return Err(Diagnostic::bare(
            "file-too-large",
            format!("`{name}` has {megabytes} MiB, more than the 16 MiB allowed"),
        )
        .help("is it the right file? Large data belongs into files that are copied, not into YAML"));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
    super::reads::note(path, &bytes);
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].split(|b| *b == b'\n').count();
        Diagnostic::bare("not-utf8", format!("`{name}` is not UTF-8 text (first wrong byte in line {line})"))
            .help("save it as UTF-8, for example with `iconv -f latin1 -t utf-8`")
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(Arc::new(SourceFile { name: name.to_owned(), text }))
}

/// Reads and parses a YAML file that may hold several documents.
///
/// # Errors
/// As [`read`] and [`parse`].
pub fn load(path: &Path) -> Result<Vec<Node>, Vec<Diagnostic>> {
    parse(read(path, &path.to_string_lossy()).map_err(|d| vec![d])?)
}

/// Reads and parses a YAML file of one document; an empty file is a null node.
///
/// # Errors
/// As [`read`] and [`parse_one`].
pub fn load_one(path: &Path) -> Result<Node, Vec<Diagnostic>> {
    parse_one(read(path, &path.to_string_lossy()).map_err(|d| vec![d])?)
}

/// A file of nearly this name in the same folder.
fn neighbour(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> =
        std::fs::read_dir(folder).ok()?.flatten().filter_map(|e| e.file_name().into_string().ok()).take(1000).collect();
    let near = super::suggest(path.file_name()?.to_str()?, &names)?;
    Some(path.with_file_name(near).to_string_lossy().into_owned())
}
