//! A source in a git repository, by the `git` program: a bare copy of it is kept in the cache, what a ref means is asked
//! of the repository itself, and what is packed is what `git archive` gives (`export-ignore` and `export-subst` count).

mod program;
mod reference;
mod submodules;

pub(super) use program::{Git, inherited};
pub use reference::Resolved;
pub(super) use reference::is_full_commit;

use super::error::SourceError;
use super::sink::{Origin, Sink, private_folder};
use super::stream::feed;
use super::url::RepoUrl;
use super::{GitSource, History, Options, Packed, tree};
use program::masked_first;
use sha2::{Digest, Sha256};
use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// What to do about LFS pointers in what `git archive` gave.
const LFS: &str = "install git-lfs on the machine that runs windlass and run `git lfs install` there, so that git puts \
                   the files in; or keep them out of LFS";

/// Refuses what would be ignored.
fn check(source: &GitSource) -> Result<(), SourceError> {
    if source.key_file.is_some() && !source.repo.is_ssh() {
        let what = format!(
            "a key file is for ssh, by which {} is not reached; give a token in the URL for https",
            source.repo
        );
        return Err(SourceError::Spec { what });
    }
    Ok(())
}

/// Packs a commit.
pub(super) fn pack(source: &GitSource, project_dir: &str, options: &Options) -> Result<Packed, SourceError> {
    check(source)?;
    let repository = Repository::open(source, &source.repo, options)?;
    let resolved = repository.resolve(&source.reference)?;
    let mut sink = Sink::new(
        format!("{} at {}", source.repo, source.reference),
        " with export-ignore in .gitattributes",
        options,
    )?;
    repository.archive(&resolved.commit, b"", source.submodules.then_some(0), &mut sink)?;
    repository.keep(&resolved.commit)?;
    let origin = Origin {
        commit: Some(resolved.commit),
        describe: resolved.name,
        lfs: LFS,
        empty: "; or its .gitattributes leaves all of them out",
        ..Origin::default()
    };
    sink.finish(project_dir, origin)
}

/// What a ref means.
pub(super) fn resolve(source: &GitSource, options: &Options) -> Result<Resolved, SourceError> {
    check(source)?;
    let repository = Repository::open(source, &source.repo, options)?;
    let resolved = repository.resolve(&source.reference)?;
    repository.keep(&resolved.commit)?;
    Ok(resolved)
}

/// The history between two commits, as the copy in the cache knows it.
pub(super) fn history(source: &GitSource, old: &str, new: &str, options: &Options) -> Result<History, SourceError> {
    History::read(&Repository::open(source, &source.repo, options)?.git, old, new)
}

/// The copy of a repository in the cache.
struct Repository<'a> {
    git: Git<'a>,
    source: &'a GitSource,
    lock: std::path::PathBuf,
}

impl<'a> Repository<'a> {
    /// Opens the copy, empty if there was none.
    fn open(source: &'a GitSource, url: &RepoUrl, options: &'a Options<'a>) -> Result<Self, SourceError> {
        let cache = private_folder(options.cache)?;
        let name = &tree::hex(&Sha256::digest(url.clean().as_bytes()))[..24];
        let folder = cache.join(format!("{name}.git"));
        let git = Git::new(&folder, url.clone(), source.key_file.as_deref(), options);
        let repository = Self { git, source, lock: cache.join(format!("{name}.lock")) };
        if !folder.join("HEAD").exists() {
            let _lock = repository.lock()?;
            private_folder(&folder)?;
            repository.git.run("make a copy of it here", &["init", "--quiet", "--bare", "--template="])?;
        }
        Ok(repository)
    }

    /// Waits until no other run of this program writes to the copy.
    fn lock(&self) -> Result<File, SourceError> {
        let broken = |e| SourceError::write(&self.lock, e);
        let file = File::options().create(true).truncate(false).write(true).open(&self.lock).map_err(broken)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if (self.git.options.cancel)() => return Err(SourceError::Cancelled),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
                Err(TryLockError::Error(e)) => return Err(broken(e)),
            }
        }
    }

    /// Fetches all branches and tags, and `further`, a ref or a commit.
    fn fetch(&self, further: &[&str]) -> Result<(), SourceError> {
        let _lock = self.lock()?;
        // Shallow repositories (a CI job's checkout) are fetched from as they are.
        let mut words =
            vec!["fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-write-fetch-head", "--update-shallow"];
        words.extend(["--", self.git.url.clean(), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]);
        words.extend(further);
        self.git.run("fetch it", &words).map(|_| ())
    }

    /// Makes sure that garbage collection leaves a commit that was deployed, also when its branch moves on without it.
    fn keep(&self, commit: &str) -> Result<(), SourceError> {
        let name = format!("refs/windlass/{commit}");
        self.git.run("keep a commit", &["update-ref", &name, commit]).map(|_| ())
    }

    /// Puts a commit's tree into the sink below `prefix` (empty, or ending with a slash), and its submodules, where
    /// `depth` says how many parents this one has.
    fn archive(&self, commit: &str, prefix: &[u8], depth: Option<u32>, sink: &mut Sink) -> Result<(), SourceError> {
        let doing = "read the commit's files";
        let mut child = self.git.start(&["archive", "--format=tar", commit])?;
        let Some(stdout) = child.stdout.take() else { return Err(self.git.failed(doing, "it gave nothing")) };
        let said = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let _ = (&mut stderr).take(1 << 16).read_to_end(&mut text);
                let _ = io::copy(&mut stderr, &mut io::sink());
                text
            })
        });
        let place = |path: Vec<u8>| if path.is_empty() { None } else { Some([prefix, &path].concat()) };
        let broken = |e: io::Error| self.git.failed(doing, &e.to_string());
        let told = feed(stdout, sink, place, &broken);
        if told.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|e| self.git.failed(doing, &e.to_string()))?;
        let said = said.and_then(|s| s.join().ok()).unwrap_or_default();
        // Where git failed by itself, its own words say more than that its archive was cut off.
        let cut_off = matches!(&told, Ok(_) | Err(SourceError::Git { .. }));
        if !status.success() && cut_off && !said.is_empty() {
            return Err(self.git.failed(doing, &masked_first(&self.git.url, &said)));
        }
        let told = told?;
        if !status.success() {
            return Err(self.git.failed(doing, "it ended with an error"));
        }
        match depth {
            Some(depth) => self.submodules(commit, prefix, &told.folders, depth, sink),
            None => Ok(()),
        }
    }
}

/// Whether a path of this machine holds a repository's working copy, and where its top is.
pub(super) fn work_tree(path: &Path) -> Option<&Path> {
    path.ancestors().find(|folder| folder.join(".git").exists())
}
