//! `fetch: host`: a host fetches the commit itself, with credentials that are there only while it does.

use super::error::SourceError;
use super::git::is_full_commit;
use super::tree::clean_folder;
use super::url::RepoUrl;
use crate::host::{Content, Run};

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;

const SCRIPT: &str = include_str!("fetch.sh");

/// What a host fetches.
#[derive(Debug, Clone)]
pub struct HostFetch<'a> {
    /// The repository, as the host reaches it; its credentials, if it has some, go to the host for as long as it fetches.
    pub repo: &'a RepoUrl,
    /// The commit, a whole hash: [`super::resolve`] tells it.
    pub commit: &'a str,
    /// The bare copy on the host, kept between deploys: `/srv/APP/repository`.
    pub mirror: &'a str,
    /// Where the files go: `RELEASE/src`, which is empty or not there yet, in a folder that is there.
    pub dest: &'a str,
    /// The folder that holds `manage.py`, relative to the top.
    pub project_dir: &'a str,
    /// Whether submodules are fetched, too.
    pub submodules: bool,
    /// A private ssh key.
    pub key: Option<Content>,
    /// Lines of known_hosts(5) for the repository's machine. Without them the host's own are used; a key that is not
    /// known is never accepted.
    pub known_hosts: Option<&'a str>,
}

/// A script for a host's `/bin/sh`, and what belongs to it.
#[derive(Debug, Clone)]
pub struct FetchScript {
    /// The text, always the same.
    pub script: &'static str,
    /// All positional parameters but the last, which is [`HostFetch::dest`].
    pub args: Vec<String>,
    /// Files that must be in `$WINDLASS_DIR` for as long as it runs, and no longer: credentials.
    pub attach: Vec<(String, Content)>,
}

/// The command that makes a host fetch a commit and unpack it. Its output tells `=commit HASH` and `=tree HASH`.
/// Needs git and tar on the host; runs as the user who owns `mirror`.
pub fn host_fetch(fetch: &HostFetch) -> Result<Run, SourceError> {
    let FetchScript { script, args, attach } = fetch_script(fetch)?;
    let args: Vec<&str> = args.iter().map(String::as_str).chain([fetch.dest]).collect();
    let mut run = Run::sh(script, &args).durable();
    run.attach = attach;
    Ok(run)
}

/// The same, for who starts the script in a way of its own.
pub fn fetch_script(fetch: &HostFetch) -> Result<FetchScript, SourceError> {
    let refuse = |what: String| Err(SourceError::Spec { what });
    if !is_full_commit(fetch.commit) {
        return refuse(format!("a host fetches a commit by its whole hash, which `{}` is not", fetch.commit));
    }
    if let Some(path) = [fetch.mirror, fetch.dest].into_iter().find(|p| !p.starts_with('/') || p.contains('\0')) {
        return refuse(format!("a host fetches into an absolute path, which `{path}` is not"));
    }
    if (fetch.key.is_some() || fetch.known_hosts.is_some()) && !fetch.repo.is_ssh() {
        return refuse(format!("a key and known hosts are for ssh, by which {} is not reached", fetch.repo));
    }
    let project_dir = clean_folder(fetch.project_dir)?;
    let mut attach = Vec::new();
    attach.extend(fetch.key.clone().map(|key| ("fetch-key".to_owned(), key)));
    attach.extend(fetch.known_hosts.map(|lines| ("fetch-known-hosts".to_owned(), Content::text(lines))));
    let mut origin = "";
    if let (Some(credentials), Some(of)) = (fetch.repo.credentials(), fetch.repo.origin()) {
        let Some(password) = &credentials.password else {
            return refuse(format!(
                "the repository {} names a user without a password, for which nobody can be asked on a host; add it",
                fetch.repo
            ));
        };
        // gitcredentials(7): one line each; RepoUrl refuses line breaks in them, and so must who makes credentials.
        if [&credentials.user, password].iter().any(|t| t.contains(['\n', '\r', '\0'])) {
            return refuse(format!("the credentials of {} hold line breaks", fetch.repo));
        }
        let text = format!("username={}\npassword={password}\n", credentials.user);
        attach.push(("fetch-credential".to_owned(), Content::text(&text)));
        origin = of;
    }
    let options = match (fetch.submodules, fetch.repo.local().is_some()) {
        (true, true) => "submodules local",
        (true, false) => "submodules",
        (false, _) => "",
    };
    let args = [fetch.mirror, fetch.repo.clean(), fetch.commit, &project_dir, options, origin];
    Ok(FetchScript { script: SCRIPT, args: args.map(str::to_owned).to_vec(), attach })
}
