//! Sources as a whole: the same tree by every way, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use tempfile::TempDir;

pub(super) fn room() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(super) fn options(folder: &Path) -> Options<'_> {
    Options::new(folder, folder)
}

/// Runs git with an identity and nobody's settings.
pub(super) fn git(folder: &Path, words: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main"]).args(words);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
    for (name, value) in [("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", "2026-01-02T03:04:05Z")] {
        command.env(format!("GIT_AUTHOR_{name}"), value).env(format!("GIT_COMMITTER_{name}"), value);
    }
    let output = command.output().expect("these tests need the git program");
    assert!(output.status.success(), "git {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Commits without changes on `main`, faster than one by one.
fn many_commits(folder: &Path, count: usize) {
    use std::fmt::Write as _;
    use std::io::Write as _;
    let mut text = String::new();
    for at in 0..count {
        let from = if at == 0 { "from refs/heads/main^0\n" } else { "" };
        let _ = write!(text, "commit refs/heads/main\ncommitter A <a@b> {at} +0000\ndata 4\nmore\n{from}\n");
    }
    let mut import = Command::new("git");
    import.current_dir(folder).args(["fast-import", "--quiet"]).stdin(std::process::Stdio::piped());
    let mut import = import.spawn().unwrap();
    import.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(import.wait().unwrap().success());
}

pub(super) fn write(folder: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

pub(super) fn commit(folder: &Path, subject: &str) -> String {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", subject]);
    git(folder, &["rev-parse", "HEAD"])
}

/// A project with what may go wrong: a program, links, odd names, a name of more than 100 bytes.
pub(super) fn project(folder: &Path) {
    let long = format!("app/{}/{}.txt", "d".repeat(90), "f".repeat(120));
    write(
        folder,
        &[
            ("manage.py", "#!/usr/bin/env python\n"),
            ("app/models.py", "class A: pass\n"),
            ("app.txt", "sorted between app and app/\n"),
            ("app/migrations/__init__.py", ""),
            ("app/migrations/0001_initial.py", "operations = []\n"),
            ("a name with\na line break", "x"),
            (&long, "long"),
            ("requirements.txt", "Django==5.2\n"),
            (".hidden", "kept"),
            ("empty", ""),
        ],
    );
    std::fs::write(folder.join(std::ffi::OsStr::new(unsafe_name())), "bytes").unwrap();
    std::fs::set_permissions(folder.join("manage.py"), PermissionsExt::from_mode(0o750)).unwrap();
    std::fs::set_permissions(folder.join("empty"), PermissionsExt::from_mode(0o600)).unwrap();
    symlink("../requirements.txt", folder.join("app/reqs")).unwrap();
    symlink("app/./migrations/../models.py", folder.join("models")).unwrap();
    symlink("l".repeat(150), folder.join("dangling")).unwrap();
}

/// A name that is Latin-1, not UTF-8.
fn unsafe_name() -> &'static std::ffi::OsStr {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(b"caf\xe9.txt")
}

fn repository(folder: &Path) -> String {
    std::fs::create_dir_all(folder).unwrap();
    git(folder, &["init", "-q"]);
    project(folder);
    commit(folder, "first")
}

pub(super) fn at(repo: &Path, reference: &str) -> SourceSpec {
    let repo = RepoUrl::try_from(repo).unwrap();
    SourceSpec::Git(GitSource { reference: reference.to_owned(), ..GitSource::new(repo) })
}

fn local(path: &Path) -> SourceSpec {
    SourceSpec::Local { path: path.to_owned() }
}

fn tar(words: &[&str]) {
    let output = Command::new("tar").args(words).output().unwrap();
    assert!(output.status.success(), "tar {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_same_tree_has_the_same_digest_by_every_way() {
    let room = room();
    let (repo, cache) = (room.path().join("repo"), room.path().join("cache"));
    let hash = repository(&repo);
    let options = Options::new(&cache, room.path());
    let by_git = pack(&at(&repo, "HEAD"), "", &options).unwrap();
    assert_eq!(by_git.commit.as_deref(), Some(hash.as_str()));
    assert_eq!(by_git.describe.as_deref(), Some("main"));
    assert_eq!(by_git.files, 14);

    let by_folder = pack(&local(&repo), "", &options).unwrap();
    assert_eq!((by_folder.commit.as_deref(), by_folder.dirty), (Some(hash.as_str()), false));
    assert_eq!(by_folder.describe.as_deref(), Some("main"));

    let (plain, zipped) = (room.path().join("a.tar"), room.path().join("a.tar.gz"));
    tar(&["-cf", plain.to_str().unwrap(), "-C", repo.to_str().unwrap(), "--exclude=.git", "."]);
    git(&repo, &["archive", "--format=tar.gz", "--prefix=project-1.2/", "-o", zipped.to_str().unwrap(), "HEAD"]);
    let by_tar = pack(&SourceSpec::Archive { path: plain }, "", &options).unwrap();
    let by_zipped = pack(&SourceSpec::Archive { path: zipped }, "", &options).unwrap();
    assert_eq!(by_zipped.commit.as_deref(), Some(hash.as_str()));
    for other in [&by_folder, &by_tar, &by_zipped] {
        assert_eq!(other.tree, by_git.tree);
    }
    // Sorted trees make equal archives, too.
    assert_eq!(by_folder.sha256, by_git.sha256);
    assert_eq!(
        crate::host::answer::digest(crate::host::Algorithm::Sha256, &std::fs::read(by_git.path()).unwrap()),
        by_git.sha256
    );

    // What a host unpacks is that tree again, with modes of its own.
    let out = room.path().join("out");
    std::fs::create_dir(&out).unwrap();
    tar(&["-xzmf", by_git.path().to_str().unwrap(), "-C", out.to_str().unwrap()]);
    assert_eq!(pack(&local(&out), "", &options).unwrap().tree, by_git.tree);
    assert_eq!(out.join("manage.py").metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!(out.join("empty").metadata().unwrap().permissions().mode() & 0o777, 0o644);

    // And every change shows.
    write(&out, &[("app/models.py", "class B: pass\n")]);
    assert_ne!(pack(&local(&out), "", &options).unwrap().tree, by_git.tree);
}

#[test]
fn what_was_packed_can_be_read() {
    let room = room();
    project(room.path().join("p").as_path());
    let packed = pack(&local(&room.path().join("p")), "./", &options(room.path())).unwrap();
    assert_eq!(packed.read("requirements.txt").unwrap().unwrap(), b"Django==5.2\n");
    assert_eq!(packed.read("app/reqs").unwrap().unwrap(), b"Django==5.2\n");
    assert_eq!(packed.read("nothing").unwrap(), None);
    assert_eq!(packed.read("app").unwrap(), None);
    assert!(packed.has("models") && !packed.has("dangling"));
    assert_eq!(packed.read_all(&["empty", ".hidden", "x"]).unwrap().len(), 2);
    assert_eq!(packed.migrations(), ["app/migrations/0001_initial.py"]);
    let path = packed.path().to_owned();
    assert!(path.exists());
    drop(packed);
    assert!(!path.exists());
}

#[test]
fn refs_are_found_by_every_name() {
    let room = room();
    let repo = room.path().join("repo");
    let first = repository(&repo);
    git(&repo, &["tag", "-a", "v1.0", "-m", "one"]);
    let second = commit(&repo, "second");
    git(&repo, &["branch", "feature/x"]);
    let third = commit(&repo, "third");
    git(&repo, &["update-ref", "refs/pull/7/head", &third]);
    git(&repo, &["reset", "-q", "--hard", &second]);
    git(&repo, &["branch", "both", &first]);
    git(&repo, &["tag", "both", &second]);
    let options = options(room.path());
    let means = |name: &str| {
        let SourceSpec::Git(source) = at(&repo, name) else { panic!() };
        resolve(&source, &options)
    };
    for (name, commit, found) in [
        ("v1.0", &first, Some("v1.0")),
        ("refs/tags/v1.0", &first, Some("v1.0")),
        ("feature/x", &second, Some("feature/x")),
        ("HEAD", &second, Some("main")),
        ("refs/pull/7/head", &third, Some("refs/pull/7/head")),
        (&first, &first, None),
        (&first[..9], &first, None),
        ("refs/heads/both", &first, Some("both")),
    ] {
        let got = means(name).unwrap();
        assert_eq!((got.commit.as_str(), got.name.as_deref()), (commit.as_str(), found), "{name}");
    }
    assert!(matches!(means("both"), Err(SourceError::AmbiguousRef { .. })));
    let error = means("featrue/x").unwrap_err().to_string();
    assert!(error.contains("no branch, tag or commit `featrue/x`; there is feature/x"), "{error}");
    assert!(matches!(means(&"0".repeat(40)), Err(SourceError::NoSuchRef { .. })));
    for odd in ["--upload-pack=x", "", "a b", "main^{tree}"] {
        assert!(matches!(means(odd), Err(SourceError::Spec { .. } | SourceError::NoSuchRef { .. })), "{odd}");
    }
    // What came after the copy was made is fetched.
    let fourth = commit(&repo, "fourth");
    assert_eq!(means("main").unwrap().commit, fourth);
}

#[test]
fn what_is_no_repository_is_told() {
    let room = room();
    let options = options(room.path());
    let folder = room.path().join("folder");
    write(&folder, &[("x", "")]);
    let error = pack(&at(&folder, "HEAD"), "", &options).unwrap_err();
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    let error = pack(&at(&room.path().join("missing"), "HEAD"), "", &options).unwrap_err();
    assert!(matches!(error, SourceError::NotARepository { .. }), "{error}");
    git(&folder, &["init", "-q"]);
    let error = pack(&at(&folder, "main"), "", &options).unwrap_err();
    assert!(matches!(error, SourceError::NoCommits { .. }), "{error}");
    // A port that nobody listens at, since this takes it and lets it go.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for scheme in ["git", "http"] {
        let repo = RepoUrl::parse(&format!("{scheme}://127.0.0.1:{port}/x")).unwrap();
        let error = pack(&SourceSpec::Git(GitSource::new(repo)), "", &options).unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    }
    let key_file = Some(folder.join("x"));
    let repo = RepoUrl::parse("https://127.0.0.1/x").unwrap();
    let error = pack(&SourceSpec::Git(GitSource { key_file, ..GitSource::new(repo) }), "", &options).unwrap_err();
    assert!(matches!(error, SourceError::Spec { .. }), "{error}");
    let repo = RepoUrl::parse(&format!("http://me:hushhush@127.0.0.1:{port}/x")).unwrap();
    let error = pack(&SourceSpec::Git(GitSource::new(repo)), "", &options).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("hushhush"), "{error:?}");
}

#[test]
fn a_project_elsewhere_and_an_empty_tree_are_told() {
    let room = room();
    let repo = room.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q"]);
    commit(&repo, "nothing");
    let options = options(room.path());
    assert!(matches!(pack(&at(&repo, "main"), "", &options), Err(SourceError::Empty { .. })));
    assert!(matches!(pack(&local(&repo), "", &options), Err(SourceError::Empty { .. })));
    write(&repo, &[("src/site/manage.py", "")]);
    commit(&repo, "site");
    let error = pack(&at(&repo, "main"), "", &options).unwrap_err().to_string();
    assert!(error.contains("there is one in src/site/"), "{error}");
    pack(&at(&repo, "main"), "src/site", &options).unwrap();
    assert!(matches!(pack(&local(&repo), "../x", &options), Err(SourceError::Spec { .. })));
}

#[test]
fn the_history_says_what_comes_and_what_leaves() {
    let room = room();
    let repo = room.path().join("repo");
    let first = repository(&repo);
    let second = commit(&repo, "second: \"quoted\" – and more");
    let third = commit(&repo, "third");
    let options = options(room.path());
    let spec = at(&repo, "main");
    pack(&spec, "", &options).unwrap();
    for spec in [&spec, &local(&repo)] {
        let between = |old: &str, new: &str| commits_between(spec, old, new, &options).unwrap();
        let forward = between(&first, &third);
        assert_eq!((forward.relation, forward.total), (Relation::Ahead, 2));
        assert_eq!(forward.commits[0].subject, "third");
        let expected = Commit {
            hash: second.clone(),
            author: "Ada".to_owned(),
            date: "2026-01-02T03:04:05Z".to_owned(),
            subject: "second: \"quoted\" – and more".to_owned(),
        };
        assert_eq!(forward.commits[1], Commit { date: forward.commits[1].date.clone(), ..expected });
        assert!(forward.commits[1].date.starts_with("2026-01-02T03:04:05"));
        assert_eq!(between(&third, &second).relation, Relation::Behind);
        assert_eq!(between(&third, &second).commits[0].subject, "third");
        assert_eq!(between(&third, &third).relation, Relation::Same);
        assert_eq!(between(&"1".repeat(40), &third).relation, Relation::OldUnknown);
    }
    // A force push: what served is kept in the copy, so it can be said what leaves.
    git(&repo, &["reset", "-q", "--hard", &first]);
    let other = commit(&repo, "other");
    pack(&spec, "", &options).unwrap();
    let history = commits_between(&spec, &third, &other, &options).unwrap();
    assert_eq!((history.relation, history.total), (Relation::Diverged { leaving: 2 }, 1));
    many_commits(&repo, 55);
    let last = pack(&spec, "", &options).unwrap().commit.unwrap();
    let history = commits_between(&spec, &other, &last, &options).unwrap();
    assert_eq!((history.commits.len(), history.total), (50, 55));
}

#[test]
fn a_shallow_checkout_can_be_packed_and_says_what_it_does_not_know() {
    let room = room();
    let (repo, shallow) = (room.path().join("repo"), room.path().join("shallow"));
    let first = repository(&repo);
    let second = commit(&repo, "second");
    git(room.path(), &["clone", "-q", "--depth=1", &format!("file://{}", repo.display()), "shallow"]);
    git(&shallow, &["checkout", "-q", "--detach"]);
    git(&shallow, &["branch", "-q", "-D", "main"]);
    let options = options(room.path());
    let packed = pack(&at(&shallow, "HEAD"), "", &options).unwrap();
    assert_eq!(packed.commit.as_deref(), Some(second.as_str()));
    let history = commits_between(&at(&shallow, "HEAD"), &first, &second, &options).unwrap();
    assert_eq!(history.relation, Relation::Shallow);
}

#[test]
fn submodules_are_packed_at_their_commits() {
    let room = room();
    let (repo, lib, inner) = (room.path().join("repo"), room.path().join("lib"), room.path().join("inner"));
    for folder in [&lib, &inner] {
        std::fs::create_dir(folder).unwrap();
        git(folder, &["init", "-q"]);
        write(folder, &[("code.py", "1")]);
        commit(folder, "one");
    }
    git(&lib, &["submodule", "-q", "add", "../inner", "deep"]);
    commit(&lib, "with inner");
    repository(&repo);
    git(&repo, &["submodule", "-q", "add", "../lib", "vendor/lib"]);
    git(&repo, &["submodule", "-q", "update", "--init", "--recursive"]);
    commit(&repo, "with lib");
    // Newer than what the parent names.
    write(&lib, &[("code.py", "2")]);
    commit(&lib, "two");
    let options = options(room.path());
    let packed = pack(&at(&repo, "main"), "", &options).unwrap();
    assert_eq!(packed.read("vendor/lib/code.py").unwrap().unwrap(), b"1");
    assert_eq!(packed.read("vendor/lib/deep/code.py").unwrap().unwrap(), b"1");
    assert_eq!(pack(&local(&repo), "", &options).unwrap().tree, packed.tree);
    let SourceSpec::Git(source) = at(&repo, "main") else { panic!() };
    let without = pack(&SourceSpec::Git(GitSource { submodules: false, ..source }), "", &options).unwrap();
    assert!(!without.has("vendor/lib/code.py") && without.has("manage.py"));
}

#[test]
fn a_folder_leaves_out_what_it_ignores() {
    let room = room();
    let folder = room.path().join("p");
    project(&folder);
    write(
        &folder,
        &[
            (".gitignore", "*.log\n/media/\n!keep.log\nforced.txt\n"),
            (".windlassignore", "docs/\nsecret.txt\n"),
            ("a.log", ""),
            ("keep.log", ""),
            ("forced.txt", ""),
            ("media/x", ""),
            ("docs/x", ""),
            ("app/docs/x", ""),
            ("secret.txt", ""),
            ("app/.gitignore", "local.py\n"),
            ("app/local.py", ""),
            ("app/__pycache__/x.cpython-311.pyc", ""),
            ("app/x.pyc", ""),
            ("env/pyvenv.cfg", ""),
            ("env/bin/python", ""),
            ("node_modules/x.js", ""),
        ],
    );
    // Above the tree: of no concern to it, where there is no repository.
    write(room.path(), &[(".gitignore", "*\n")]);
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("app.sock")).unwrap();
    let options = options(room.path());
    let packed = pack(&local(&folder), "", &options).unwrap();
    let gone = |packed: &Packed| {
        let names = ["a.log", "media/x", "docs/x", "app/docs/x", "secret.txt", "app/local.py", "forced.txt"];
        let always = ["app/x.pyc", "app/__pycache__/x.cpython-311.pyc", "env/bin/python", "app.sock"];
        let there = names.into_iter().chain(always).filter(|p| packed.has(p)).map(str::to_owned);
        there.collect::<Vec<_>>()
    };
    assert_eq!(gone(&packed), Vec::<String>::new());
    assert!(packed.has("keep.log") && packed.has("node_modules/x.js") && packed.has(".hidden"));
    assert_eq!((packed.commit.as_deref(), packed.dirty), (None, false));

    // In a working copy, what is tracked belongs to it, and what isn't committed makes it dirty.
    git(&folder, &["init", "-q"]);
    git(&folder, &["add", "-f", "forced.txt", "secret.txt"]);
    commit(&folder, "one");
    let packed = pack(&local(&folder), "", &options).unwrap();
    assert_eq!(gone(&packed), ["forced.txt"]);
    assert!(!packed.dirty);
    write(&folder, &[("new.py", "")]);
    assert!(pack(&local(&folder), "", &options).unwrap().dirty);
    // A folder within a working copy: the ignore files above it count, up to the top.
    write(&folder, &[("site/manage.py", ""), ("site/b.log", "")]);
    let inner = pack(&local(&folder.join("site")), "", &options).unwrap();
    assert!(inner.has("manage.py") && !inner.has("b.log"));
}

#[test]
fn links_out_of_a_folder_are_told() {
    let room = room();
    let folder = room.path().join("p");
    write(&folder, &[("manage.py", "")]);
    symlink("/etc/hostname", folder.join("app")).unwrap();
    let error = pack(&local(&folder), "", &options(room.path())).unwrap_err();
    assert!(matches!(&error, SourceError::LinkLeaves { path, .. } if path == "app"), "{error}");
    let error = pack(&local(&room.path().join("none")), "", &options(room.path())).unwrap_err();
    assert!(matches!(error, SourceError::Read { .. }), "{error}");
}

/// One entry of an archive, with its name as it is written.
fn archive(folder: &Path, entries: &[(&str, tar::EntryType, &str)]) -> SourceSpec {
    let path = folder.join("hostile.tar");
    let mut builder = tar::Builder::new(std::fs::File::create(&path).unwrap());
    for (name, kind, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o4755);
        let content = if kind.is_file() { text.as_bytes() } else { b"" };
        if !kind.is_file() && !text.is_empty() {
            header.set_link_name_literal(text).unwrap();
        }
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.finish().unwrap();
    SourceSpec::Archive { path }
}

#[test]
fn hostile_archives_are_refused() {
    use tar::EntryType as T;
    let room = room();
    let options = options(room.path());
    let manage = ("manage.py", T::Regular, "x");
    for (entry, says) in [
        (("../x", T::Regular, "x"), "`..`"),
        (("/etc/x", T::Regular, "x"), "absolute"),
        (("a/../../x", T::Regular, "x"), "`..`"),
        (("..", T::Directory, ""), "`..`"),
        (("dev", T::Char, ""), "device"),
        (("dev", T::Block, ""), "device"),
        (("pipe", T::Fifo, ""), "pipe"),
        (("l", T::Symlink, "/etc/passwd"), "leads out"),
        (("l", T::Symlink, "a/../../x"), "leads out"),
        (("h", T::Link, "/etc/passwd"), "hard link"),
        (("h", T::Link, "../x"), "hard link"),
        (("manage.py/x", T::Regular, ""), "below a file"),
        (("manage.py", T::Regular, ""), "twice"),
    ] {
        let error = pack(&archive(room.path(), &[manage, entry]), "", &options).unwrap_err().to_string();
        assert!(error.contains(says), "{entry:?}: {error}");
        let top = ("p/manage.py", T::Regular, "x");
        let error = pack(&archive(room.path(), &[top, entry]), "", &options);
        assert!(error.is_err() || entry.0 == "manage.py", "{entry:?}");
    }
    let good = archive(
        room.path(),
        &[("p/", T::Directory, ""), ("p/manage.py", T::Regular, "x"), ("p/h", T::Link, "p/manage.py")],
    );
    let packed = pack(&good, "", &options).unwrap();
    assert_eq!(packed.read("h").unwrap().unwrap(), b"x");
    assert_eq!(packed.digest("h"), packed.digest("manage.py"));
    // A project that is looked for in the one folder keeps it.
    assert!(pack(&good, "p", &options).unwrap().has("p/manage.py"));
}

#[test]
fn archives_that_are_none_are_told() {
    let room = room();
    let options = options(room.path());
    let with = |bytes: &[u8]| {
        let path = room.path().join("x.tar");
        std::fs::write(&path, bytes).unwrap();
        pack(&SourceSpec::Archive { path }, "", &options).unwrap_err()
    };
    let error = with(b"PK\x03\x04rest");
    assert!(error.to_string().contains("is a zip archive; pack it as .tar or .tar.gz"), "{error}");
    assert!(matches!(with(b"\xfd7zXZ\0x"), SourceError::ArchiveKind { .. }));
    assert!(matches!(with(b""), SourceError::BadArchive { .. }));
    assert!(matches!(with(&[b'x'; 2000]), SourceError::BadArchive { .. }));
    assert!(matches!(with(b"\x1f\x8b\x08garbage"), SourceError::BadArchive { .. }));
    let SourceSpec::Archive { path } =
        archive(room.path(), &[("manage.py", tar::EntryType::Regular, &"x".repeat(5000))])
    else {
        panic!()
    };
    let whole = std::fs::read(path).unwrap();
    assert!(matches!(with(&whole[..3000]), SourceError::BadArchive { .. }));
}

#[test]
fn attributes_of_the_tree_count_and_limits_hold() {
    let room = room();
    let repo = room.path().join("repo");
    std::fs::create_dir(&repo).unwrap();
    git(&repo, &["init", "-q"]);
    write(
        &repo,
        &[("manage.py", ""), ("tests/x", ""), (".gitattributes", "tests export-ignore\n"), ("big", &"x".repeat(5000))],
    );
    commit(&repo, "one");
    let mut options = options(room.path());
    let packed = pack(&at(&repo, "main"), "", &options).unwrap();
    assert!(packed.has("manage.py") && !packed.has("tests/x"));
    options.limits.bytes = 4000;
    let error = pack(&at(&repo, "main"), "", &options).unwrap_err().to_string();
    assert!(error.contains("larger than 4000 bytes (at big)") && error.contains("export-ignore"), "{error}");
    options.cancel = &|| true;
    assert!(matches!(pack(&at(&repo, "main"), "", &options), Err(SourceError::Cancelled)));
}
