//! What on a machine can be read or written.

/// Names something on a machine. Paths are absolute and lexically clean (see [`clean`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// One path: its existence, attributes and content.
    Path(String),
    /// A folder and all that is below it.
    Below(String),
    /// User and group accounts (`/etc/passwd`, `/etc/group`, `/etc/shadow`).
    Accounts,
    /// Installed packages and what is known of available ones.
    Packages,
    /// Units of the service manager.
    Units,
    /// Something that a module names for itself: a kind (`postgresql`, `cron`) and a name.
    Named(&'static str, String),
    /// State that changes by itself (a service running, a port open, a URL answering): good for one decision.
    Volatile,
    /// Anything at all.
    Anything,
}

impl Key {
    /// The key of a path, cleaned.
    pub fn path(path: &str) -> Self {
        Self::Path(clean(path))
    }

    /// The key of a folder with all below it.
    pub fn below(path: &str) -> Self {
        Self::Below(clean(path))
    }
}

/// A path without `.`, `//` and a trailing `/`. `..` stays, since what it means depends on links.
pub fn clean(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        if !out.is_empty() || path.starts_with('/') {
            out.push('/');
        }
        out.push_str(part);
    }
    if out.is_empty() && path.starts_with('/') {
        out.push('/');
    }
    out
}

/// Whether `path` is `folder` or lies below it; both cleaned.
pub fn is_below(path: &str, folder: &str) -> bool {
    folder == "/" || path == folder || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// The folder that holds `path`; none for `/`.
pub fn parent(path: &str) -> Option<&str> {
    if path == "/" {
        return None;
    }
    match path.rfind('/') {
        Some(0) => Some("/"),
        Some(i) => Some(&path[..i]),
        None => None,
    }
}

/// The last part of a path.
pub fn file_name(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_compared_clean() {
        assert_eq!(clean("//etc/./nginx//"), "/etc/nginx");
        assert_eq!(clean("/"), "/");
        assert_eq!(clean("a/b/"), "a/b");
        assert!(is_below("/etc/nginx/x", "/etc/nginx"));
        assert!(!is_below("/etc/nginx2", "/etc/nginx"));
        assert_eq!(parent("/etc"), Some("/"));
        assert_eq!(parent("/"), None);
    }
}
