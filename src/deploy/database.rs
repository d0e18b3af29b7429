//! Migrations in a deploy: read, judged, and applied by one host.

use super::far::{CallError, Extra, Far};
use super::fleet::{Fleet, Halt, patiently};
use super::migrations::{self, Arguments, Judgement, Limits, Report, Verdict};
use super::source::Packed;
use crate::playbook::deploy::Unsafe;
use serde_json::{Value, json};
use std::time::Duration;

/// What is to happen to the database.
#[derive(Debug, Clone)]
pub struct Pending {
    /// What the release's own code says.
    pub report: Report,
    /// What is thought of it.
    pub judgement: Judgement,
}

/// Why migrations could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// The host did not do it.
    #[error("{0}")]
    Call(#[from] CallError),
    /// The release's code or its database says no.
    #[error("{message}")]
    Probe {
        /// What.
        message: String,
        /// The end of its traceback.
        log: Vec<String>,
    },
}

/// Reads migrations on a host: those of a release that is built there, or, where `source` is given, of one that is not
/// built yet, by the virtual environment of `release`.
///
/// # Errors
/// [`ReadError`].
pub async fn read(far: &Far, release: &str, source: Option<&Packed>, ask: &Arguments) -> Result<Report, ReadError> {
    let mut extra = Extra { timeout: Some(Duration::from_secs(240)), ..Extra::default() };
    extra.attach.extend(source.map(|packed| ("source".to_owned(), packed.content())));
    let asked = json!({
        "release": release, "probe": migrations::PROBE, "variable": migrations::ARGUMENTS, "ask": ask.to_json(),
        "source": source.is_some(),
    });
    understood(&patiently(far, "probe", &asked, &extra).await?)
}

/// What the reader of migrations said on a host.
fn understood(answer: &Value) -> Result<Report, ReadError> {
    let log =
        || answer["err"].as_array().map(|l| l.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>());
    migrations::parse(answer["out"].as_str().unwrap_or_default().as_bytes())
        .map_err(|error| ReadError::Probe { message: error.to_string(), log: log().unwrap_or_default() })
}

/// What the operation `check` is told besides, where it is to read the pending migrations in the same process.
pub fn reading() -> Value {
    let ask = Arguments::default().to_json();
    json!({ "probe": migrations::PROBE, "variable": migrations::ARGUMENTS, "ask": ask })
}

/// When which migrations are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Course {
    /// Before the switch: the arguments of each `migrate`; one without any applies all.
    pub before: Vec<Vec<String>>,
    /// Whether the rest is applied when the old release has ended.
    pub after: bool,
}

impl Pending {
    /// Reads and judges.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn of(far: &Far, release: &str, source: Option<&Packed>) -> Result<Self, ReadError> {
        Ok(Self::judged(read(far, release, source, &Arguments::default()).await?))
    }

    /// Judges what `check` has read.
    ///
    /// # Errors
    /// [`ReadError::Probe`].
    pub fn told(answer: &Value) -> Result<Self, ReadError> {
        Ok(Self::judged(understood(answer)?))
    }

    fn judged(report: Report) -> Self {
        let judgement = migrations::judge(&report, &Limits::default());
        Self { report, judgement }
    }

    /// Whether there is anything to apply.
    pub fn any(&self) -> bool {
        self.report.databases.values().any(|d| !d.migrations.is_empty())
    }

    /// The names of what is pending.
    pub fn names(&self) -> Vec<String> {
        self.report.databases.values().flat_map(|d| d.migrations.iter().map(|m| m.id().to_string())).collect()
    }
}

impl Fleet {
    /// What a deploy does about the pending migrations.
    ///
    /// # Errors
    /// They are refused, with how to split them.
    pub fn permit(&self, pending: &Pending, first: bool, allow: bool) -> Result<Course, Halt> {
        let judgement = &pending.judgement;
        if let Some(problem) = judgement.problems().next() {
            return Err(Halt::wrong(
                "migrations",
                format!("the migrations of this release can't be applied: {problem}"),
            ));
        }
        if !pending.any() {
            return Ok(Course::default());
        }
        let all = Course { before: vec![Vec::new()], after: false };
        if first || allow || judgement.verdict() < Verdict::Breaks || self.spec.args.unsafe_migrations == Unsafe::Allow
        {
            return Ok(all);
        }
        let lines = judgement.lines().join("\n  ");
        if self.spec.args.unsafe_migrations == Unsafe::Refuse {
            return Err(Halt::wrong(
                "unsafe-migrations",
                format!(
                    "migrations of this release break the one that serves while they are applied:\n  {lines}\nSplit them into two deploys as told, set `unsafe_migrations: defer` where they can wait for the switch, or accept the errors meanwhile with --allow-unsafe-migrations"
                ),
            ));
        }
        let mut course = Course::default();
        for judged in &judgement.databases {
            let Some(database) = pending.report.databases.get(&judged.alias) else { continue };
            match migrations::split(database, judged) {
                Ok(split) => {
                    for id in &split.before_targets {
                        course.before.push(vec![
                            format!("--database={}", judged.alias),
                            id.app.clone(),
                            id.name.clone(),
                        ]);
                    }
                    course.after |= !split.after.is_empty();
                }
                Err(refused) => {
                    return Err(Halt::wrong(
                        "unsafe-migrations",
                        format!(
                            "not all of the unsafe migrations can wait for the switch:\n  {}",
                            refused.join("\n  ")
                        ),
                    ));
                }
            }
        }
        Ok(course)
    }

    /// Copies the database, on one host. The name of the copy.
    ///
    /// # Errors
    /// The host's refusal.
    pub async fn backup(&self, place: usize, release: &str) -> Result<Option<String>, Halt> {
        let extra =
            |_: usize| Extra { durable: true, timeout: Some(Duration::from_secs(4 * 3600)), ..Extra::default() };
        let done = self
            .all(
                &[place],
                "copy the database",
                "backup",
                &|_| json!({ "release": release, "wait": 120 }),
                &extra,
                |v| match (v["name"].as_str(), v["bytes"].as_u64()) {
                    (Some(name), Some(bytes)) => (true, format!("{name}, {} KB, read back", bytes >> 10)),
                    _ => (false, format!("no copy: {}", v["why"])),
                },
            )
            .await?;
        Ok(done.first().and_then(|(_, v)| v["name"].as_str()).map(str::to_owned))
    }

    /// Applies migrations, on one host. Which were applied.
    ///
    /// # Errors
    /// The host's refusal.
    pub async fn migrate(&self, place: usize, release: &str, arguments: &[String]) -> Result<Vec<String>, Halt> {
        let a = &self.spec.args;
        let parameters = |_: usize| {
            json!({
                "release": release, "arguments": arguments, "lock_timeout": a.lock_timeout,
                "statement_timeout": a.statement_timeout, "tries": a.migrate_tries, "wait": 120,
            })
        };
        let extra =
            |_: usize| Extra { durable: true, timeout: Some(Duration::from_secs(4 * 3600)), ..Extra::default() };
        let done = self
            .all(&[place], "migrate", "migrate", &parameters, &extra, |v| {
                let applied: Vec<&str> =
                    v["applied"].as_array().map(|l| l.iter().filter_map(Value::as_str).collect()).unwrap_or_default();
                (!applied.is_empty(), applied.join(", "))
            })
            .await?;
        let applied = done.first().and_then(|(_, v)| v["applied"].as_array().cloned()).unwrap_or_default();
        Ok(applied.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Whether the database answered the release on this host, with room for one more instance of it.
    ///
    /// # Errors
    /// It did not.
    pub fn database(&self, place: usize, answer: &Value) -> Result<(), Halt> {
        if let Some(error) = answer["error"].as_str() {
            return Err(Halt::wrong(
                "database",
                format!("the database can't be reached from {}: {error}", self.name(place)),
            ));
        }
        let number = |name: &str| answer[name].as_i64();
        let (free, own) = (number("limit").zip(number("used")), number("own_limit").zip(number("own_used")));
        if let Some((limit, used)) = free.filter(|(limit, used)| limit - used < 3) {
            return Err(Halt::wrong(
                "database",
                format!(
                    "the database has {used} of {limit} connections in use: a second instance beside the serving one would get none"
                ),
            ));
        }
        if let Some((limit, used)) = own.filter(|(limit, used)| *limit >= 0 && limit - used < 3) {
            return Err(Halt::wrong(
                "database",
                format!("the application's role has {used} of {limit} connections in use"),
            ));
        }
        if answer["standby"] == true {
            return Err(Halt::wrong("database", "the database is a standby that can't be written to"));
        }
        Ok(())
    }
}
