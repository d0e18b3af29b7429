//! Submodules: each packed at the commit that its parent names, from a copy of its own.

use super::super::error::SourceError;
use super::super::shown;
use super::super::sink::Sink;
use super::Repository;
use std::collections::BTreeMap;
use std::collections::HashSet;

/// Submodules of submodules of…: a repository that is its own submodule must end somewhere.
const DEPTH: u32 = 10;

impl Repository<'_> {
    /// Packs the submodules of a commit. `folders` are those that its archive has: `export-ignore` may leave out some.
    pub(super) fn submodules(
        &self,
        commit: &str,
        prefix: &[u8],
        folders: &[Vec<u8>],
        depth: u32,
        sink: &mut Sink,
    ) -> Result<(), SourceError> {
        let listed = self.git.run("list its files", &["ls-tree", "-r", "-z", commit])?;
        // `160000 commit HASH<TAB>PATH` (git-ls-tree(1)).
        let links = listed.stdout.split(|b| *b == 0).filter_map(|line| {
            let tab = line.iter().position(|b| *b == b'\t')?;
            let hash = line[..tab].strip_prefix(b"160000 commit ")?;
            Some((line[tab + 1..].to_vec(), String::from_utf8_lossy(hash).into_owned()))
        });
        let links: Vec<(Vec<u8>, String)> = links.collect();
        if links.is_empty() {
            return Ok(());
        }
        let kept: HashSet<&[u8]> = folders.iter().map(Vec::as_slice).collect();
        let urls = self.urls(commit)?;
        for (path, hash) in links {
            let place = [prefix, &path].concat();
            if !kept.contains(place.as_slice()) {
                continue;
            }
            if depth >= DEPTH {
                return Err(self.git.failed("pack its submodules", "they lie more than ten deep in one another"));
            }
            let Some(url) = urls.get(&path) else {
                let detail = format!("the submodule {} has no URL in .gitmodules; add it there", shown(&path));
                return Err(self.git.failed("pack its submodules", &detail));
            };
            let url = self.git.url.submodule(url)?;
            let module = Repository::open(self.source, &url, self.git.options)?;
            module.need(&hash)?;
            let below = [&place[..], b"/"].concat();
            module.archive(&hash, &below, Some(depth + 1), sink)?;
        }
        Ok(())
    }

    /// The URLs of `.gitmodules`, by the submodules' paths.
    fn urls(&self, commit: &str) -> Result<BTreeMap<Vec<u8>, String>, SourceError> {
        let blob = format!("{commit}:.gitmodules");
        let (found, listed, _) = self.git.attempt(&["config", "--blob", &blob, "-z", "--list"])?;
        let (mut paths, mut urls) = (BTreeMap::new(), BTreeMap::new());
        for record in listed.split(|b| *b == 0).filter(|_| found) {
            let Some(end) = record.iter().position(|b| *b == b'\n') else { continue };
            let (key, value) = (&record[..end], &record[end + 1..]);
            let Some(key) = key.strip_prefix(b"submodule.") else { continue };
            if let Some(name) = key.strip_suffix(b".path") {
                paths.insert(name.to_vec(), value.to_vec());
            } else if let Some(name) = key.strip_suffix(b".url") {
                urls.insert(name.to_vec(), String::from_utf8_lossy(value).into_owned());
            }
        }
        Ok(paths.into_iter().filter_map(|(name, path)| Some((path, urls.remove(&name)?))).collect())
    }
}
