//! Base images: a Debian as a provider would hand it over, built once with `mmdebstrap` and shared below all disks.

use super::access;
use super::error::{LabError, Result};
use super::event::{Events, LabEvent};
use super::exec;
use super::host::remove_dir;
use super::lock::Lock;
use super::record::{Layout, Record, write_atomic};
use super::{LabName, Suite};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// On top of Debian's minimal variant: what cloud images have and a playbook may expect.
const PACKAGES: &str = "systemd-sysv,libpam-systemd,dbus,openssh-server,sudo,python3,ca-certificates,iproute2,\
iputils-ping,curl,less,vim-tiny,procps,cron,rsync,acl,nftables,netbase,tzdata";

/// How long an image stays that no host stands on, once another has taken its place.
const KEPT_UNUSED: Duration = Duration::from_secs(24 * 60 * 60);

/// How those lines of `mmdebstrap` begin that tell somebody who waits how far it is.
const STEPS: [&str; 4] = ["running apt-get update", "downloading", "installing", "cleaning"];

const PREPARE: &str = include_str!("prepare.sh");

/// Ensures that the image for `suite` stands and returns its name, which changes with all that goes into it.
/// `rebuild` builds it even when it stands, unless hosts use it.
pub(super) fn ensure(
    layout: &Layout,
    suite: Suite,
    mirror: Option<&str>,
    rebuild: bool,
    events: &Events,
) -> Result<String> {
    let images = layout.images();
    if !rebuild && let Ok(key) = access::read_key(&layout.key()) {
        let name = name(suite, &sources(suite, mirror), &key);
        if images.join(&name).exists() {
            return Ok(name);
        }
    }
    // One build at a time: two would only take each other's disk and processor.
    let _lock = Lock::take(&images.join("lock"), || {
        events(LabEvent::Waiting { what: "builds a base image".into() });
    })?;
    let key = access::ensure_key(&layout.key())?;
    let sources = sources(suite, mirror);
    let name = name(suite, &sources, &key);
    let image = images.join(&name);
    if image.exists() {
        if !rebuild {
            return Ok(name);
        }
        let users = users(layout, &name)?;
        if !users.is_empty() {
            let by = format!("hosts {}", users.join(", "));
            return Err(LabError::InUse { what: format!("the image `{name}` is"), by });
        }
    }
    events(LabEvent::Building { suite });
    let start = Instant::now();
    let new = images.join(format!("{name}.new"));
    for old in [&image, &new] {
        remove_dir(old)?;
    }
    debootstrap(suite, &sources, &new, events)?;
    prepare(&new, &sources, &key)?;
    fs::rename(&new, &image).map_err(LabError::io("rename", &new))?;
    events(LabEvent::Built { suite, took: start.elapsed() });
    prune(layout, suite, &name, events)?;
    Ok(name)
}

/// Removes what a killed build left, unless a build is under way.
pub(super) fn remove_unfinished(layout: &Layout) -> Result<()> {
    let images = layout.images();
    let Some(_lock) = Lock::try_take(&images.join("lock")) else { return Ok(()) };
    for entry in fs::read_dir(&images).map_err(LabError::io("read", &images))?.filter_map(std::result::Result::ok) {
        if entry.path().extension().is_some_and(|extension| extension == "new") {
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes all images, the key and the caches. The caller has made sure that no lab is left.
pub(super) fn remove_all(layout: &Layout) -> Result<()> {
    remove_dir(&layout.images())?;
    remove_dir(&layout.root.join("cache"))?;
    for file in [layout.key(), layout.key().with_extension("pub")] {
        let _ = fs::remove_file(file);
    }
    let _ = fs::remove_dir(layout.labs());
    let _ = fs::remove_dir(&layout.root);
    Ok(())
}

fn name(suite: Suite, sources: &str, key: &str) -> String {
    let mut digest = Sha256::new();
    for part in [PACKAGES, PREPARE, sources, key] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let digest = digest.finalize();
    format!("{suite}-{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3])
}

/// The hosts, of any lab in this state directory, whose disks stand on an image.
fn users(layout: &Layout, image: &str) -> Result<Vec<String>> {
    let mut users = Vec::new();
    for lab in labs(layout) {
        let hosts = Record::load(&layout.record(&lab))?.map(|record| record.hosts).unwrap_or_default();
        users.extend(hosts.iter().filter(|(_, host)| host.image == image).map(|(name, _)| format!("{name} ({lab})")));
    }
    Ok(users)
}

/// The labs that have a record in this state directory.
pub(super) fn labs(layout: &Layout) -> Vec<LabName> {
    let Ok(entries) = fs::read_dir(layout.labs()) else { return Vec::new() };
    let mut labs: Vec<LabName> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|lab| layout.record(lab).exists())
        .collect();
    labs.sort();
    labs
}

/// Removes older images of the suite that no host stands on. The youngest stay for a while: another version of
/// windlass, which makes images differently, may be about to use one.
fn prune(layout: &Layout, suite: Suite, keep: &str, events: &Events) -> Result<()> {
    let images = layout.images();
    for entry in fs::read_dir(&images).map_err(LabError::io("read", &images))?.filter_map(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let age = entry.metadata().ok().and_then(|metadata| metadata.modified().ok()?.elapsed().ok());
        let old = age.is_some_and(|age| age > KEPT_UNUSED);
        if old && name.starts_with(&format!("{suite}-")) && name != keep && users(layout, &name)?.is_empty() {
            remove_dir(&entry.path())?;
            events(LabEvent::ImageRemoved { image: name });
        }
    }
    Ok(())
}

/// The guest's `sources.list`: the mirror that this machine uses. Empty where none is known; then `mmdebstrap` takes
/// Debian's own.
fn sources(suite: Suite, mirror: Option<&str>) -> String {
    let mut files = vec![fs::read_to_string("/etc/apt/sources.list").unwrap_or_default()];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok()));
    }
    mirror
        .map(str::to_owned)
        .or_else(|| find_mirror(&files))
        .map(|mirror| source_lines(suite, &mirror))
        .unwrap_or_default()
}

fn source_lines(suite: Suite, mirror: &str) -> String {
    let mirror = mirror.trim_end_matches('/');
    let by = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    format!(
        "deb {by} {mirror} {suite} main\n\
         deb {by} {mirror} {suite}-updates main\n\
         deb {by} {mirror}-security {suite}-security main\n"
    )
}

/// The first address of a Debian archive in apt's files, of either format.
fn find_mirror(files: &[String]) -> Option<String> {
    let lines = files.iter().flat_map(|text| text.lines()).map(str::trim);
    lines
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .find(|word| word.contains("://") && word.trim_end_matches('/').ends_with("/debian"))
        .map(str::to_owned)
}

fn debootstrap(suite: Suite, sources: &str, target: &Path, events: &Events) -> Result<()> {
    let mut command = exec::command("setpriv");
    // Namespaces of its own, and a death wish: when this process is killed, so is the whole build, and its mounts go.
    command.args(["--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork"]);
    command.args(["--kill-child=KILL", "--mount-proc", "mmdebstrap", "--mode=root", "--variant=minbase"]);
    command.arg(format!("--include={PACKAGES}"));
    command.arg("--dpkgopt=force-unsafe-io"); // an image that a crash of the machine spoils is built again
    // A machine whose clock is off builds an image too; what apt checks besides is the archive's signature.
    command.args(["--aptopt=Acquire::Check-Valid-Until \"false\"", "--aptopt=Acquire::Check-Date \"false\""]);
    command.arg(suite.as_str()).arg(target);
    if !sources.is_empty() {
        command.arg("-");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let spawned = |source| LabError::Spawn { program: "mmdebstrap".into(), source };
    let mut child = command.spawn().map_err(spawned)?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(sources.as_bytes()); // a failure shows in the exit status
    }
    let mut last = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        for line in BufReader::new(stderr).lines().map_while(std::result::Result::ok) {
            let step = line.strip_prefix("I: ").filter(|step| STEPS.iter().any(|start| step.starts_with(start)));
            if let Some(step) = step {
                events(LabEvent::BuildStep { suite, line: step.to_owned() });
            }
            last.push(line);
            if last.len() > 30 {
                last.remove(0);
            }
        }
    }
    let status = child.wait().map_err(spawned)?;
    if status.success() { Ok(()) } else { Err(exec::failure(&command, &status.to_string(), &last.join("\n"))) }
}

/// What a provider adds: users and their key, and the certificates and package index of the machine around it.
fn prepare(root: &Path, sources: &str, key: &str) -> Result<()> {
    for file in
        ["etc/resolv.conf", "etc/hostname", "etc/apt/apt.conf.d/99mmdebstrap", "etc/dpkg/dpkg.cfg.d/99mmdebstrap"]
    {
        let _ = fs::remove_file(root.join(file));
    }
    let ssh = root.join("etc/ssh");
    for entry in fs::read_dir(&ssh).map_err(LabError::io("read", &ssh))?.filter_map(std::result::Result::ok) {
        if entry.file_name().to_string_lossy().starts_with("ssh_host_") {
            fs::remove_file(entry.path()).map_err(LabError::io("remove", &entry.path()))?;
        }
    }
    write_atomic(&root.join("etc/machine-id"), "", 0o444)?;
    if !sources.is_empty() {
        write_atomic(&root.join("etc/apt/sources.list"), sources, 0o644)?;
    }
    if let Ok(text) = fs::read_to_string("/etc/pip.conf") {
        write_atomic(&root.join("etc/pip.conf"), &text, 0o644)?;
    }
    let certificates = "usr/local/share/ca-certificates";
    if let Ok(entries) = fs::read_dir(Path::new("/").join(certificates)) {
        for entry in entries
            .filter_map(std::result::Result::ok)
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "crt"))
        {
            let to = root.join(certificates).join(entry.file_name());
            fs::copy(entry.path(), &to).map_err(LabError::io("write", &to))?;
        }
    }
    let authorized = root.join("root/.ssh/authorized_keys");
    write_atomic(&authorized, key, 0o600)?;
    let dir = root.join("root/.ssh");
    fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(LabError::io("chmod", &dir))?;
    exec::feed("chroot", [root.as_os_str(), "/bin/sh".as_ref(), "-s".as_ref()], PREPARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_found_in_both_formats_and_never_the_security_archive() {
        let deb822 = "Types: deb\nURIs: http://a.example/debian-security http://b.example/debian/\nSuites: x\n";
        assert_eq!(find_mirror(&[deb822.into()]).as_deref(), Some("http://b.example/debian/"));
        let old = "# deb http://no.example/debian x main\ndeb [arch=amd64] https://m.example/debian bookworm main\n";
        assert_eq!(find_mirror(&[old.into()]).as_deref(), Some("https://m.example/debian"));
        assert_eq!(find_mirror(&["deb http://archive.example/ubuntu noble main".into()]), None);
    }

    #[test]
    fn an_image_is_named_after_all_that_goes_into_it() {
        let sources = source_lines(Suite::Bookworm, "http://m.example/debian/");
        assert!(sources.contains("http://m.example/debian-security bookworm-security main"));
        let name = |suite, sources: &str, key: &str| super::name(suite, sources, key);
        assert_eq!(name(Suite::Bookworm, &sources, "k"), name(Suite::Bookworm, &sources, "k"));
        assert_ne!(name(Suite::Bookworm, &sources, "k"), name(Suite::Bookworm, &sources, "l"));
        assert_ne!(name(Suite::Bookworm, &sources, "k"), name(Suite::Bookworm, "", "k"));
    }
}
