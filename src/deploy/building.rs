//! What is there before a release starts: its folder, its environment, and, with `fetch: host`, its source.

use super::far::Extra;
use super::fleet::{Halt, fine, plain};
use super::release::Work;
use super::source::{self, Packed, SourceSpec};
use super::together::Part;
use crate::playbook::deploy::Fetch;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

impl Work<'_> {
    /// Files and virtual environment, after the journal has begun and it is sure that there is room for them. The keys of
    /// the environments.
    pub(super) async fn build(&self, begin: &(dyn Fn(usize) -> Value + Sync)) -> Result<Vec<(usize, Value)>, Halt> {
        let (fleet, args) = (self.fleet, &self.fleet.spec.args);
        let (release, places) = (&self.change.release, &self.change.places);
        fleet.check_balancer(&fleet.web(places)).await?;
        let wants = requires_python(self.packed, &args.project_dir);
        let spare = u64::try_from(args.min_free_mb).unwrap_or(200) << 20;
        let need = self.packed.bytes * 3 + self.packed.len + spare;
        let room = |p: usize| {
            Some(json!({
                "need_disk": need, "web": fleet.spec.duties[p].web, "requires_python": wants, "strict": true,
                "two": args.strategy == crate::playbook::deploy::Strategy::BlueGreen,
            }))
        };
        let env: serde_json::Map<String, Value> =
            args.build_env.iter().map(|(k, v)| (k.to_string(), v.to_string().into())).collect();
        let installing = |reuse: bool| {
            json!({
                "release": release, "requirements": args.requirements, "installer": args.installer.word(),
                "pip_args": args.pip_args, "build_env": env, "wait": 1900, "only_reuse": reuse,
            })
        };
        let fetched = matches!((self.spec, args.fetch), (SourceSpec::Git(_), Fetch::Host));
        let content = self.packed.content();
        let extra = |_: usize| Extra {
            attach: if fetched { Vec::new() } else { vec![("source".to_owned(), content.clone())] },
            timeout: Some(Duration::from_secs(1800)),
            durable: false,
        };
        let reading = |v: &Value| match (v["key"].as_str().unwrap_or_default(), &v["reused"], &v["missing"]) {
            (key, Value::Bool(true), _) => (false, format!("the same as before ({key})")),
            (_, _, Value::Bool(true)) => (false, "new ones".to_owned()),
            (key, ..) => (true, format!("new ({key})")),
        };
        let begins = Part { name: "begin", operation: "begin", parameters: &|p| Some(begin(p)), reading: fine };
        let looks =
            Part { name: "look whether there is room for it", operation: "room", parameters: &room, reading: fine };
        let unpacks = Part {
            name: "unpack",
            operation: "unpack",
            parameters: &|_| Some(json!({ "release": release, "fetched": fetched, "wait": 300 })),
            reading: |v| (v["already"] != true, String::new()),
        };
        let reuses = Part {
            name: "look for the same requirements",
            operation: "venv",
            parameters: &|_| Some(installing(true)),
            reading,
        };
        let sent = std::time::SystemTime::now();
        let mut told = if let (SourceSpec::Git(git), true) = (self.spec, fetched) {
            let mut told = fleet.together(places, &[begins, looks], &plain).await?;
            self.fetch(git).await?;
            told.extend(fleet.together(places, &[unpacks, reuses], &plain).await?);
            told
        } else {
            fleet.together(places, &[begins, looks, unpacks, reuses], &extra).await?
        };
        let mut venvs = told.pop().unwrap_or_default();
        self.remark(told.get(1).map(Vec::as_slice).unwrap_or_default(), sent);
        let missing: Vec<usize> = venvs.iter().filter(|(_, v)| v["missing"] == true).map(|(p, _)| *p).collect();
        if !missing.is_empty() {
            let long = |_: usize| Extra { durable: true, timeout: Some(Duration::from_secs(3600)), ..Extra::default() };
            let install = |_: usize| installing(false);
            let made = fleet.all(&missing, "install the requirements", "venv", &install, &long, reading).await?;
            venvs.retain(|(p, _)| !missing.contains(p));
            venvs.extend(made);
            venvs.sort_by_key(|(p, _)| *p);
        }
        Ok(venvs)
    }

    /// What looked odd before anything was built, and is no reason to stop.
    fn remark(&self, found: &[(usize, Value)], sent: std::time::SystemTime) {
        let fleet = self.fleet;
        for (place, answer) in found {
            let warnings = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
            for warning in warnings.iter().filter_map(Value::as_str) {
                fleet.notice(Some(*place), warning);
            }
            let here = sent.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let skew = answer["clock"].as_f64().unwrap_or(here) - here;
            if skew.abs() > 30.0 {
                fleet.notice(
                    Some(*place),
                    format!("its clock is {skew:.0} s off: sessions, certificates and logs will be wrong"),
                );
            }
        }
    }

    /// With `fetch: host`: each host gets the commit from the repository itself.
    async fn fetch(&self, git: &source::GitSource) -> Result<(), Halt> {
        let (fleet, args) = (self.fleet, &self.fleet.spec.args);
        let places = &self.change.places;
        let made = fleet
            .all(
                places,
                "make room for the source",
                "make_room",
                &|_| json!({ "release": self.change.release }),
                &plain,
                fine,
            )
            .await?;
        let mirror = format!("{}/repository", args.root);
        let commit = self.packed.commit.as_deref().unwrap_or_default();
        for (place, answer) in made {
            let Some(into) = answer["into"].as_str() else { continue };
            let key = match &git.key_file {
                None => None,
                Some(path) => Some(
                    std::fs::read(path)
                        .map(|bytes| crate::host::Content::Bytes(Arc::from(bytes)))
                        .map_err(|e| Halt::wrong("source", format!("the key {} can't be read: {e}", path.display())))?,
                ),
            };
            let wanted = source::HostFetch {
                repo: &git.repo,
                commit,
                mirror: &mirror,
                dest: into,
                project_dir: &args.project_dir,
                submodules: git.submodules,
                key,
                known_hosts: None,
            };
            let run = source::host_fetch(&wanted).map_err(|e| Halt::wrong("source", e.to_string()))?;
            let output = fleet.fars[place].run(run).await;
            let failed = |error| Halt::Failed { host: fleet.name(place).clone(), step: "fetch".to_owned(), error };
            let output = output.map_err(failed)?;
            if !output.success() {
                let text = source::mask(&output.err());
                let last = text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
                return Err(Halt::wrong("source", format!("{} can't fetch the source: {last}", fleet.name(place))));
            }
        }
        Ok(())
    }
}

/// `requires-python` of the project, where its pyproject.toml says one.
fn requires_python(packed: &Packed, project_dir: &str) -> Option<String> {
    let at = |folder: &str| {
        if folder.is_empty() || folder == "." {
            "pyproject.toml".to_owned()
        } else {
            format!("{folder}/pyproject.toml")
        }
    };
    let text = [at(project_dir), at(".")].iter().find_map(|path| packed.read(path).ok().flatten())?;
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find_map(|line| {
        let value = line.trim().strip_prefix("requires-python")?.trim_start().strip_prefix('=')?.trim();
        let quote = value.chars().next().filter(|c| *c == '"' || *c == '\'')?;
        value[1..].split(quote).next().map(str::to_owned)
    })
}
