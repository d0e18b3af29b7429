//! Paths as users write them, made absolute.

use crate::host::key::clean;
use crate::host::{Stop, View};

/// `text` as an absolute, lexically clean path: `~` is the home of the identity that runs.
///
/// # Errors
/// A failure that names the argument where the path is relative (a step has no folder of its own), holds a NUL, or
/// names another user's home.
pub fn absolute(view: &View<'_>, argument: &str, text: &str) -> Result<String, Stop> {
    let path = tilde(view, argument, text)?;
    if path.starts_with('/') {
        return Ok(clean(&path));
    }
    Err(Stop::fail(format!("`{argument}` must be an absolute path, not `{text}`")))
}

/// The same, where a relative path counts from `base`.
///
/// # Errors
/// As [`absolute`].
pub fn absolute_from(view: &View<'_>, argument: &str, text: &str, base: &str) -> Result<String, Stop> {
    let path = tilde(view, argument, text)?;
    Ok(clean(&if path.starts_with('/') { path } else { format!("{base}/{path}") }))
}

fn tilde(view: &View<'_>, argument: &str, text: &str) -> Result<String, Stop> {
    if text.is_empty() {
        return Err(Stop::fail(format!("`{argument}` must not be empty")));
    }
    if text.contains('\0') {
        return Err(Stop::fail(format!("`{argument}` holds a NUL character, which no path can")));
    }
    match text.strip_prefix('~') {
        None => Ok(text.to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Ok(format!("{}{rest}", view.whoami().home)),
        Some(_) => Err(Stop::fail(format!(
            "`{argument}: {text}` starts with another user's home; write its absolute path (the `getent` module tells it)"
        ))),
    }
}
