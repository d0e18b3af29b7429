//! Which command of apt, if any, makes true what is asked.

use super::status::{Status, Wanted, matches, nothing_done};
use super::{AptArgs, State, Step, Upgrade, lock_option};
use crate::host::{Key, Probe, Stop, View};

/// What to do; none if all is as asked.
pub(super) fn step(args: &AptArgs, view: &View<'_>) -> Result<Option<Step>, Stop> {
    if args.upgrade != Upgrade::No {
        return upgrade(args, view);
    }
    if let Some(deb) = &args.deb {
        return deb_file(args, view, deb);
    }
    match args.state {
        State::BuildDep if !args.name.is_empty() => Ok(Some(command(args, "build-dep", &["build-dep"], &args.name))),
        State::Fixed => fixed(args, view),
        State::Absent if !args.name.is_empty() => remove(args, view),
        _ if !args.name.is_empty() => install(args, view),
        _ if args.clean => clean(view),
        _ if args.autoclean => Ok(simulated(args, view, "autoclean", &["autoclean"])?),
        _ if args.autoremove => Ok(simulated(args, view, "autoremove", &["autoremove"])?),
        _ => Ok(None),
    }
}

/// A command of apt-get, with all the options that the arguments ask for.
fn command(args: &AptArgs, what: &'static str, verb: &[&str], packages: &[String]) -> Step {
    let mut argv: Vec<String> = ["apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0"].map(Into::into).to_vec();
    for option in args.dpkg_options.split(',').map(str::trim).filter(|o| !o.is_empty()) {
        argv.extend(["-o".to_owned(), format!("Dpkg::Options::=--{option}")]);
    }
    argv.extend(lock_option(args));
    let mut flag = |on: bool, text: &str| {
        if on {
            argv.push(text.to_owned());
        }
    };
    let removes = matches!(what, "remove" | "autoremove");
    flag(args.force || (args.allow_unauthenticated && !removes), "--allow-unauthenticated");
    flag(args.force || (args.allow_downgrade && !removes), "--allow-downgrades");
    flag(args.force || args.allow_change_held_packages, "--allow-change-held-packages");
    flag(args.force && removes, "--allow-remove-essential");
    flag(args.purge, "--purge");
    flag(args.autoremove && what != "autoremove", "--auto-remove");
    flag(args.fail_on_autoremove && !removes, "--no-remove");
    flag(args.only_upgrade && what == "install", "--only-upgrade");
    flag(args.state == State::Fixed && what != "autoremove", "--fix-broken");
    if let Some(release) = args.default_release.as_ref().filter(|_| !removes) {
        argv.extend(["-t".to_owned(), release.clone()]);
    }
    match args.install_recommends.filter(|_| !removes) {
        Some(true) => argv.extend(["-o".to_owned(), "APT::Install-Recommends=yes".to_owned()]),
        Some(false) => argv.extend(["-o".to_owned(), "APT::Install-Recommends=no".to_owned()]),
        None => {}
    }
    argv.extend(verb.iter().map(|&v| v.to_owned()));
    argv.extend(packages.iter().cloned());
    let list = packages.join(" ");
    Step {
        what,
        argv,
        shows: if list.is_empty() { format!("apt-get {}", verb.join(" ")) } else { format!("{what} {list}") },
        diff: packages.iter().map(|p| format!("{what} {p}\n")).collect(),
    }
}

fn status(args: &AptArgs, view: &View<'_>) -> Result<Status, Stop> {
    let wanted: Vec<_> = args.name.iter().map(|n| Wanted::read(n)).collect();
    let mode = match args.state {
        State::Absent => "absent",
        State::Latest => "policy",
        _ if wanted.iter().any(|w| w.version.is_some()) => "policy",
        _ => "present",
    };
    let mut words = vec![mode, args.default_release.as_deref().unwrap_or_default()];
    words.extend(wanted.iter().map(|w| w.name));
    let output = view.probe(Probe::new(include_str!("status.sh"), &words, vec![Key::Packages]))?;
    if output.rc == 127 {
        return Err(Stop::fail("the host has no dpkg: `apt` is for Debian and Ubuntu"));
    }
    Ok(Status::read(&output.out()))
}

fn install(args: &AptArgs, view: &View<'_>) -> Result<Option<Step>, Stop> {
    let status = status(args, view)?;
    let latest = args.state == State::Latest;
    let mut missing: Vec<String> = Vec::new();
    for wanted in args.name.iter().map(|n| Wanted::read(n)) {
        if wanted.name.ends_with(['>', '<', '!']) {
            return Err(Stop::fail(format!("`{}`: only `=` can stand between a name and a version", wanted.spec)));
        }
        if wanted.is_pattern() {
            let mut names: Vec<_> = status.known.iter().filter(|n| matches(wanted.name, n)).cloned().collect();
            names.retain(|n| !status.package(n).is_some_and(|p| p.installed) || latest);
            missing.extend(names);
            continue;
        }
        let here = status.package(wanted.name).filter(|p| p.installed);
        match (here, wanted.version) {
            (Some(p), Some(version)) if matches(version, &p.version) => {}
            (Some(p), None) => {
                let candidate = status.could_be(wanted.name).and_then(|c| c.candidate.as_ref());
                if latest && candidate.is_some_and(|c| *c != p.version) {
                    missing.push(wanted.spec.to_owned());
                }
            }
            (None, _) if args.only_upgrade => {}
            (None, None) if status.provided(wanted.name) => {}
            (_, version) => {
                available(&status, &wanted, version)?;
                missing.push(wanted.spec.to_owned());
            }
        }
    }
    missing.dedup();
    Ok((!missing.is_empty()).then(|| command(args, "install", &["install"], &missing)))
}

/// Whether apt knows what is wanted.
fn available(status: &Status, wanted: &Wanted<'_>, version: Option<&str>) -> Result<(), Stop> {
    if !status.asked_policy {
        return Ok(());
    }
    let policy = status.could_be(wanted.name);
    if let (Some(version), Some(policy)) = (version, policy) {
        if policy.versions.iter().any(|v| matches(version, v)) {
            return Ok(());
        }
        let known = if policy.versions.is_empty() { "none".to_owned() } else { policy.versions.join(", ") };
        return Err(Stop::fail(format!(
            "no available installation candidate for {}; versions that are: {known}",
            wanted.spec
        )));
    }
    if policy.is_some_and(|p| p.candidate.is_some()) || !status.providers(wanted.name).is_empty() {
        return Ok(());
    }
    Err(Stop::fail(format!(
        "No package matching '{}' is available; are the lists of packages up to date (`update_cache: true`)?",
        wanted.name
    )))
}

fn remove(args: &AptArgs, view: &View<'_>) -> Result<Option<Step>, Stop> {
    let status = status(args, view)?;
    let mut there: Vec<String> = Vec::new();
    for wanted in args.name.iter().map(|n| Wanted::read(n)) {
        let gone = |p: &super::status::Package| !(p.there || args.purge);
        if wanted.is_pattern() {
            let names = status.packages.iter().filter(|p| matches(wanted.name, &p.name) && !gone(p));
            there.extend(names.map(|p| p.name.clone()));
        } else if status
            .package(wanted.name)
            .is_some_and(|p| !gone(p) && wanted.version.is_none_or(|v| matches(v, &p.version)))
        {
            there.push(wanted.name.to_owned());
        }
    }
    there.dedup();
    Ok((!there.is_empty()).then(|| command(args, "remove", &["remove"], &there)))
}

const SIMULATE: &str =
    "command -v apt-get >/dev/null 2>&1 || exit 127\nexec apt-get -s -q -o Debug::NoLocking=1 \"$@\" 2>&1";

/// A command that is left out where apt, asked to simulate it, says that nothing would be done.
fn simulated(args: &AptArgs, view: &View<'_>, what: &'static str, verb: &[&str]) -> Result<Option<Step>, Stop> {
    let mut step = command(args, what, verb, &[]);
    let words: Vec<&str> = args
        .default_release
        .iter()
        .flat_map(|r| ["-t", r.as_str()])
        .chain(args.purge.then_some("--purge"))
        .chain((args.autoremove && what != "autoremove").then_some("--auto-remove"))
        .chain((args.state == State::Fixed).then_some("--fix-broken"))
        .chain(verb.iter().copied())
        .collect();
    let said = view.probe(Probe::new(SIMULATE, &words, vec![Key::Packages]))?;
    if said.rc == 127 {
        return Err(Stop::fail("the host has no apt-get: `apt` is for Debian and Ubuntu"));
    }
    let out = said.out();
    let nothing = if what == "autoclean" { !out.lines().any(|l| l.starts_with("Del ")) } else { nothing_done(&out) };
    step.diff = super::status::summary(&out);
    Ok((!(said.success() && nothing)).then_some(step))
}

fn upgrade(args: &AptArgs, view: &View<'_>) -> Result<Option<Step>, Stop> {
    let verb: &[&str] = match args.upgrade {
        Upgrade::Full => &["dist-upgrade"],
        _ => &["upgrade", "--with-new-pkgs"],
    };
    simulated(args, view, "upgrade", verb)
}

fn fixed(args: &AptArgs, view: &View<'_>) -> Result<Option<Step>, Stop> {
    let mending = simulated(args, view, "install", &["install"]);
    let missing = if args.name.is_empty() { Ok(None) } else { install(args, view) };
    let mending = mending?;
    Ok(missing?.or(mending))
}

const DOWNLOADED: &str = "for f in /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*; do [ -e \"$f\" ] && { echo yes; break; }; done; exit 0";

fn clean(view: &View<'_>) -> Result<Option<Step>, Stop> {
    let reads = vec![Key::Packages, Key::below("/var/cache/apt/archives")];
    let there = view.probe(Probe::new(DOWNLOADED, &[], reads))?.out().contains("yes");
    Ok(there.then(|| Step {
        what: "clean",
        argv: vec!["apt-get".into(), "clean".into()],
        shows: "remove downloaded packages".into(),
        diff: String::new(),
    }))
}

fn deb_file(args: &AptArgs, view: &View<'_>, deb: &str) -> Result<Option<Step>, Stop> {
    let remote = ["http://", "https://", "ftp://"].iter().any(|p| deb.starts_with(p));
    if !remote && !deb.starts_with('/') {
        return Err(Stop::fail(format!("`deb` must be a URL or an absolute path on the host, not `{deb}`")));
    }
    let mut step = command(args, "deb", &["install"], &[]);
    step.shows = format!("install {deb}");
    step.diff = format!("install {deb}\n");
    if remote {
        // What is in it is known only once it is fetched, and to fetch is no reading.
        return Ok(Some(step));
    }
    let older = if args.allow_downgrade || args.force { "yes" } else { "no" };
    let reads = vec![Key::Packages, Key::path(deb)];
    let said = view.probe(Probe::new(include_str!("deb.sh"), &[deb, "check", older], reads))?;
    match said.rc {
        0 => Ok((!said.out().starts_with("=same")).then_some(step)),
        5 => Err(Stop::fail(format!(
            "a newer version is installed ({}); `allow_downgrade: true` puts the older one in",
            said.out().trim().trim_start_matches("=newer ")
        ))),
        3 => Err(Stop::fail(format!("there is no file {deb} on the host: `copy` it there first"))),
        _ => Err(Stop::fail(format!("{deb} can't be read as a Debian package: {}", said.err().trim()))),
    }
}
