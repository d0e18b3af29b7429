//! `fetch.sh`, run by every shell that is here as a host would run it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::super::tests::{at, commit, git, project, room};
use super::super::{Credentials, RepoUrl};
use super::*;
use crate::host::action::Command as Kind;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// The shells that are here, of those that are a host's `/bin/sh`.
fn shells() -> Vec<Vec<&'static str>> {
    let known = [vec!["dash"], vec!["bash", "--posix"], vec!["busybox", "sh"]];
    let there =
        |s: &Vec<&str>| Command::new(s[0]).args(&s[1..]).args(["-c", ":"]).output().is_ok_and(|o| o.status.success());
    let shells: Vec<_> = known.into_iter().filter(there).collect();
    assert!(!shells.is_empty(), "there is no shell to test with");
    shells
}

/// Runs as the far side does: attached files in a private folder, which is removed afterwards.
fn run(shell: &[&str], run: &Run) -> Output {
    let folder = room();
    for (name, content) in &run.attach {
        let Content::Bytes(bytes) = content else { panic!() };
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let Kind::Shell { script, args, .. } = &run.command else { panic!() };
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", script, "sh"]).args(args);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env_remove("WINDLASS_DIR");
    if !run.attach.is_empty() {
        command.env("WINDLASS_DIR", folder.path());
    }
    command.output().unwrap()
}

struct Host {
    room: tempfile::TempDir,
    repo: RepoUrl,
    commit: String,
    mirror: String,
    dest: String,
}

impl Host {
    fn new() -> Self {
        let room = room();
        let folder = room.path().join("repo's");
        std::fs::create_dir(&folder).unwrap();
        git(&folder, &["init", "-q"]);
        project(&folder);
        let commit = commit(&folder, "one");
        let path = |name: &str| room.path().join(name).to_str().unwrap().to_owned();
        let (mirror, dest) = (path("app/repository"), path("release/src"));
        Self { repo: RepoUrl::try_from(folder.as_path()).unwrap(), commit, mirror, dest, room }
    }

    fn path(&self, name: &str) -> String {
        self.room.path().join(name).to_str().unwrap().to_owned()
    }

    fn fetch<'s>(&'s self, shell: &[&str], change: impl FnOnce(&mut HostFetch<'s>)) -> Output {
        std::fs::create_dir_all(self.path("release")).unwrap();
        let mut fetch = HostFetch {
            repo: &self.repo,
            commit: &self.commit,
            mirror: &self.mirror,
            dest: &self.dest,
            project_dir: "",
            submodules: true,
            key: None,
            known_hosts: None,
        };
        change(&mut fetch);
        run(shell, &host_fetch(&fetch).unwrap())
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_host_fetches_the_commit() {
    for shell in shells() {
        let host = Host::new();
        let output = host.fetch(&shell, |_| {});
        assert!(output.status.success(), "{shell:?}: {}", said(&output));
        let repo = host.repo.local().unwrap();
        let tree = git(&repo, &["rev-parse", "HEAD^{tree}"]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("=commit {}\n=tree {tree}\n", host.commit));
        // The files are those that the controller would have sent.
        let options = super::super::Options::new(host.room.path(), host.room.path());
        let sent = super::super::pack(&at(&repo, "HEAD"), "", &options).unwrap();
        let there = super::super::SourceSpec::Local { path: host.path("release/src").into() };
        assert_eq!(super::super::pack(&there, "", &options).unwrap().tree, sent.tree, "{shell:?}");
        let mode =
            |name: &str| Path::new(&host.path("release/src")).join(name).metadata().unwrap().permissions().mode();
        assert_eq!((mode("manage.py") & 0o777, mode("empty") & 0o777, mode("app") & 0o777), (0o755, 0o644, 0o755));
        // Nothing else is left beside them.
        assert_eq!(std::fs::read_dir(host.path("release")).unwrap().count(), 1);

        // A second time it is not overwritten; and with the repository gone, the copy still has the commit.
        let again = host.fetch(&shell, |_| {});
        assert!(!again.status.success() && said(&again).contains("there already"), "{shell:?}: {}", said(&again));
        std::fs::remove_dir_all(host.path("release/src")).unwrap();
        std::fs::rename(&repo, host.path("gone")).unwrap();
        // An empty folder there is as good as none.
        std::fs::create_dir(host.path("release/src")).unwrap();
        let again = host.fetch(&shell, |_| {});
        assert!(again.status.success(), "{shell:?}: {}", said(&again));
    }
}

#[test]
fn what_cannot_be_fetched_is_told_and_leaves_nothing() {
    for shell in shells() {
        let host = Host::new();
        let other = host.path("other");
        let gone = RepoUrl::try_from(Path::new("/nonexistent/repository")).unwrap();
        for (says, output) in [
            ("has no commit", host.fetch(&shell, |f| f.commit = "0123456789012345678901234567890123456789")),
            ("no manage.py in site", host.fetch(&shell, |f| f.project_dir = "site")),
            (
                "can't be fetched",
                host.fetch(&shell, |f| {
                    f.repo = &gone;
                    f.mirror = &other;
                }),
            ),
        ] {
            assert!(!output.status.success() && said(&output).contains(says), "{shell:?}: {}", said(&output));
            assert_eq!(std::fs::read_dir(host.path("release")).unwrap().count(), 0, "{shell:?}");
        }
    }
}

#[test]
fn a_host_fetches_submodules() {
    for shell in shells() {
        let host = Host::new();
        let (lib, repo) = (host.room.path().join("lib"), host.repo.local().unwrap());
        std::fs::create_dir(&lib).unwrap();
        git(&lib, &["init", "-q"]);
        super::super::tests::write(&lib, &[("code.py", "1")]);
        commit(&lib, "one");
        git(&repo, &["submodule", "-q", "add", "../lib", "vendor/a lib"]);
        let newer = commit(&repo, "with lib");
        let output = host.fetch(&shell, |f| f.commit = &newer);
        assert!(output.status.success(), "{shell:?}: {}", said(&output));
        assert_eq!(std::fs::read_to_string(host.path("release/src/vendor/a lib/code.py")).unwrap(), "1");
        assert!(!Path::new(&host.path("release/src/vendor/a lib/.git")).exists());
        assert_eq!(std::fs::read_dir(host.path("release")).unwrap().count(), 1);
    }
}

#[test]
fn credentials_go_to_their_origin_and_stay_nowhere() {
    // A server that asks for a password, and tells what it was given.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut given = String::new();
            for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("Authorization: ") {
                    given = value.to_owned();
                }
            }
            let _ = tell.send(given);
            let answer = "HTTP/1.1 401 no\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    // `dG9rZW46aHVzaGh1c2g=` is `token:hushhush`.
    let expected = "Basic dG9rZW46aHVzaGh1c2g=";
    let credentials = Credentials { user: "token".to_owned(), password: Some("hushhush".to_owned()) };
    let repo = RepoUrl::parse(&format!("http://127.0.0.1:{port}/x.git")).unwrap().with(Some(credentials));
    for shell in shells() {
        let host = Host::new();
        let output = host.fetch(&shell, |f| f.repo = &repo);
        assert!(!output.status.success() && !said(&output).contains("hushhush"), "{}", said(&output));
        assert!(told.try_iter().any(|given| given == expected), "{shell:?}: {}", said(&output));
        let found = Command::new("grep").args(["-r", "hushhush"]).arg(host.room.path()).output().unwrap();
        assert!(found.stdout.is_empty(), "{}", String::from_utf8_lossy(&found.stdout));
    }
    // The controller's own way.
    let room = room();
    let options = super::super::Options::new(room.path(), room.path());
    let error = super::super::resolve(&super::super::GitSource::new(repo.clone()), &options).unwrap_err();
    assert!(matches!(error, SourceError::Denied { .. }), "{error}");
    assert!(told.try_iter().any(|given| given == expected), "{error}");
}

#[test]
fn ssh_gets_the_key_and_the_pinned_host_keys() {
    // In place of ssh, a program that tells how it was called.
    let bin = room();
    let ssh = bin.path().join("ssh");
    std::fs::write(
        &ssh,
        "#!/bin/sh\nfor word; do printf '<%s>' \"$word\"; done >&2\ncat \"$WINDLASS_DIR/fetch-key\" >&2\nexit 1\n",
    )
    .unwrap();
    std::fs::set_permissions(&ssh, PermissionsExt::from_mode(0o755)).unwrap();
    let repo = RepoUrl::parse("git@git.example.org:a/b.git").unwrap();
    let host = Host::new();
    let (mirror, dest) = (host.path("repository"), host.path("src"));
    let fetch = HostFetch {
        repo: &repo,
        commit: &host.commit,
        mirror: &mirror,
        dest: &dest,
        project_dir: "",
        submodules: false,
        key: Some(Content::text("THE KEY\n")),
        known_hosts: Some("git.example.org ssh-ed25519 AAAA\n"),
    };
    let mut action = host_fetch(&fetch).unwrap();
    let Kind::Shell { script, args, .. } = &mut action.command else { panic!() };
    assert!(!script.contains("THE KEY") && !args.concat().contains("THE KEY"));
    *script = format!("PATH='{}':$PATH\n{script}", bin.path().display());
    for shell in shells() {
        let output = said(&run(&shell, &action));
        for word in [
            "<-i>",
            "/fetch-key>",
            "<UserKnownHostsFile=/",
            "<StrictHostKeyChecking=yes>",
            "<git@git.example.org>",
            "THE KEY",
        ] {
            assert!(output.contains(word), "{shell:?}: {word}: {output}");
        }
    }
}

#[test]
fn what_a_host_could_not_do_is_refused_before() {
    let url = |text| RepoUrl::parse(text).unwrap();
    let (whole, plain) = ("a".repeat(40), url("https://h/x"));
    let asks = |repo: &RepoUrl, commit: &str, dest: &str| {
        let (key, known_hosts) = (None, None);
        host_fetch(&HostFetch { repo, commit, mirror: "/m", dest, project_dir: "", submodules: true, key, known_hosts })
    };
    assert!(asks(&plain, &whole, "/d").is_ok());
    assert!(asks(&plain, "main", "/d").is_err());
    assert!(asks(&plain, &whole, "d").is_err());
    assert!(asks(&url("https://user@h/x"), &whole, "/d").is_err());
    let broken = Credentials { user: "a".to_owned(), password: Some("b\nhost=evil".to_owned()) };
    assert!(asks(&plain.clone().with(Some(broken)), &whole, "/d").is_err());
}
