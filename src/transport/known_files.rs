//! known_hosts files, read once for all hosts.
//!
//! Such a file has a line for each host of a fleet. So that thousands of connections do not parse and keep thousands of
//! lines each, a file is kept as text with an index of the names in it, and each connection gets the lines about its own
//! server. A file that has changed since (another host was recorded) is read again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// One file.
#[derive(Debug)]
pub(super) struct KnownFile {
    pub path: Arc<Path>,
    text: String,
    /// Where each line begins and ends.
    lines: Vec<(usize, usize)>,
    /// The lines of names that stand for themselves, in lower case.
    named: HashMap<Box<str>, Vec<usize>>,
    /// Lines with patterns and hashed names, which may be about anybody.
    others: Vec<usize>,
}

impl KnownFile {
    pub(super) fn new(path: &Path, text: String) -> Self {
        let mut lines = Vec::new();
        let mut named: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        let mut others = Vec::new();
        let mut at = 0;
        for (number, line) in text.split('\n').enumerate() {
            lines.push((at, at + line.len()));
            at += line.len() + 1;
            let mut words = line.split_whitespace();
            let Some(first) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let hosts = if first.starts_with('@') { words.next().unwrap_or_default() } else { first };
            if hosts.contains(['*', '?', '!', '|']) {
                others.push(number);
                continue;
            }
            for host in hosts.split(',') {
                named.entry(host.to_lowercase().into()).or_default().push(number);
            }
        }
        Self { path: Arc::from(path), text, lines, named, others }
    }

    /// The lines that may be about a server of any of these names, with their numbers from 1, in the file's order.
    pub(super) fn about(&self, names: &[&str]) -> impl Iterator<Item = (usize, &str)> {
        let mut numbers: Vec<usize> =
            names.iter().filter_map(|name| self.named.get(*name)).flatten().copied().collect();
        numbers.extend(&self.others);
        numbers.sort_unstable();
        numbers.dedup();
        numbers.into_iter().filter_map(|number| {
            let (from, to) = *self.lines.get(number)?;
            Some((number + 1, self.text.get(from..to)?))
        })
    }
}

type Stamp = (u64, Option<SystemTime>);

/// The files read so far.
#[derive(Debug, Default)]
pub(crate) struct KnownFiles(Mutex<HashMap<PathBuf, (Stamp, Arc<KnownFile>)>>);

impl KnownFiles {
    /// The file as it is now; none where it can't be read.
    pub(super) fn get(&self, path: &Path) -> Option<Arc<KnownFile>> {
        // The lock is kept while a file is read: all who want it then share one reading.
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || {
            let found = std::fs::metadata(path)?;
            let stamp = (found.len(), found.modified().ok());
            if let Some((kept, file)) = files.get(path)
                && *kept == stamp
            {
                return Ok(Arc::clone(file));
            }
            let text = String::from_utf8_lossy(&std::fs::read(path)?).into_owned();
            let file = Arc::new(KnownFile::new(path, text));
            files.insert(path.to_owned(), (stamp, Arc::clone(&file)));
            Ok(file)
        };
        let result: io::Result<_> = { read }();
        match result {
            Ok(file) => Some(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "known_hosts file not read");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_server_gets_the_lines_that_may_be_about_it() {
        let text =
            "# a comment\nweb,10.0.0.1 k1\n[WEB]:2200 k2\n\n*.org,!a.org k3\n|1|x|y k4\n@revoked web k5\ndb k6\n";
        let file = KnownFile::new(Path::new("/kh"), text.to_owned());
        let about = |names: &[&str]| file.about(names).map(|(number, _)| number).collect::<Vec<_>>();
        assert_eq!(about(&["web"]), [2, 5, 6, 7]);
        assert_eq!(about(&["[web]:2200", "web"]), [2, 3, 5, 6, 7]);
        assert_eq!(about(&["10.0.0.1"]), [2, 5, 6]);
        assert_eq!(about(&["nobody"]), [5, 6]);
        assert_eq!(file.about(&["db"]).last(), Some((8, "db k6")));
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let files = KnownFiles::default();
        assert!(files.get(&path).is_none());
        std::fs::write(&path, "a k\n").unwrap();
        let first = files.get(&path).unwrap();
        assert!(Arc::ptr_eq(&first, &files.get(&path).unwrap()));
        std::fs::write(&path, "a k\nb k\n").unwrap();
        assert_eq!(files.get(&path).unwrap().about(&["b"]).count(), 1);
    }
}
