//! The plan of a deploy as it is told: to people as text and as Markdown, to programs as JSON.

use super::agreed::PlannedStep;
use super::requirements::Requirements;
use super::source::Commit;
use super::survey::Record;
use super::tell::table;
use crate::source::markdown as md;
use serde_json::{Value, json};

/// What lies between the commit that serves and the new one.
#[derive(Debug, Clone, Default)]
pub struct Commits {
    /// In a few words.
    pub summary: String,
    /// Newest first.
    pub list: Vec<Commit>,
    /// How many more there are.
    pub more: u64,
    /// Whether they leave.
    pub leave: bool,
}

/// What is to happen to the database.
#[derive(Debug, Clone, Default)]
pub struct Migrations {
    /// In a few words.
    pub summary: String,
    /// The names of what is pending, where that is known.
    pub pending: Option<Vec<String>>,
    /// One line for each operation: its safety, its lock.
    pub lines: Vec<String>,
    /// What more there is to say.
    pub notes: Vec<String>,
    /// Why the deploy would be refused.
    pub refused: Option<String>,
    /// For programs.
    pub judgement: Option<Value>,
}

/// A deploy, foretold.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    /// The application.
    pub app: String,
    /// The source, without credentials.
    pub source: String,
    /// The release that is to serve.
    pub release: String,
    /// Whether it is made.
    pub fresh: bool,
    /// Why the same files are a new release.
    pub because: Option<String>,
    /// Whether there is anything to do.
    pub changes: bool,
    /// The commit.
    pub commit: Option<String>,
    /// The branch or tag by which it was found.
    pub found_as: Option<String>,
    /// Whether the folder has changes that are not committed.
    pub dirty: bool,
    /// Digest of the files.
    pub tree: String,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether the play's tasks change hosts before it.
    pub prepared: bool,
    /// Each host: its name, what serves, its environment's digest, whether the release is brought to it.
    pub hosts: Vec<(String, Option<Record>, Option<String>, bool)>,
    /// Locks, and what was left unfinished.
    pub notes: Vec<String>,
    /// Since the serving one.
    pub commits: Option<Commits>,
    /// What becomes of the virtual environment.
    pub requirements: Option<Requirements>,
    /// What becomes of the database.
    pub migrations: Option<Migrations>,
    /// What runs where.
    pub steps: Vec<PlannedStep>,
}

fn short(hash: &str) -> &str {
    hash.get(..9).unwrap_or(hash)
}

fn day(date: &str) -> &str {
    date.get(..10).unwrap_or(date)
}

impl Outlook {
    fn what(&self) -> String {
        let because = self.because.as_ref().map(|b| format!(" (the same files: {b})")).unwrap_or_default();
        if self.fresh {
            format!("a new release, {}{because}", self.release)
        } else {
            format!("release {}, which serves on other hosts", self.release)
        }
    }

    /// What serves now, with the hosts on which the release is brought in its place.
    fn before(&self) -> Vec<String> {
        let mut out: Vec<(String, Vec<&str>)> = Vec::new();
        for (host, record, _, open) in &self.hosts {
            if !open {
                continue;
            }
            let text = match record {
                None => "nothing: the first release".to_owned(),
                Some(record) => {
                    let commit = record.commit.as_deref().map(|c| format!("commit {}, ", short(c))).unwrap_or_default();
                    format!("{} ({commit}since {}, by {})", record.release, record.since, record.by)
                }
            };
            match out.iter_mut().find(|(t, _)| *t == text) {
                Some((_, hosts)) => hosts.push(host),
                None => out.push((text, vec![host])),
            }
        }
        out.into_iter().map(|(text, hosts)| format!("{}: in place of {text}", hosts.join(", "))).collect()
    }

    fn from(&self) -> String {
        let found = self.found_as.as_ref().map(|d| format!(" ({d})")).unwrap_or_default();
        let dirty = if self.dirty { ", with changes that are not committed" } else { "" };
        let commit = self.commit.as_deref().map(|c| format!(", commit {}{found}{dirty}", short(c))).unwrap_or_default();
        let size = if self.bytes < 10 << 20 {
            format!("{} KB", self.bytes.div_ceil(1024))
        } else {
            format!("{} MB", self.bytes >> 20)
        };
        format!("{}{commit}: {} files, {size}", self.source, self.files)
    }

    fn environment_note(&self) -> Option<&'static str> {
        let text = if self.changes {
            "the play's tasks change hosts first (see above)"
        } else {
            "the play's tasks change hosts (see above); if the application's environment is among that, the deploy makes a new release of the same files"
        };
        self.prepared.then_some(text)
    }

    /// For people, line by line.
    pub fn lines(&self) -> Vec<String> {
        let mut out = vec![String::new()];
        if !self.changes {
            out.push(format!(
                "{}: {} serves everywhere, made from the same files: nothing to do",
                self.app, self.release
            ));
            out.extend(self.notes.iter().map(|n| format!("  {n}")));
            out.extend(self.environment_note().map(|n| format!("  {n}")));
            return out;
        }
        out.push(format!("{}: {}", self.app, self.what()));
        out.push(format!("  from {}", self.from()));
        out.extend(self.before().into_iter().map(|l| format!("  {l}")));
        out.extend(self.notes.iter().map(|n| format!("  {n}")));
        out.extend(self.environment_note().map(|n| format!("  {n}")));
        if let Some(commits) = &self.commits {
            let colon = if commits.list.is_empty() { "" } else { ":" };
            out.push(format!("\n  {}{colon}", commits.summary));
            let sign = if commits.leave { '-' } else { '+' };
            out.extend(
                commits
                    .list
                    .iter()
                    .map(|c| format!("    {sign} {} {} ({}, {})", short(&c.hash), c.subject, c.author, day(&c.date))),
            );
            if commits.more > 0 {
                out.push(format!("    and {} more", commits.more));
            }
        }
        if let Some(requirements) = &self.requirements {
            out.push(format!("\n  requirements: {}", requirements.summary()));
            out.extend(requirements.lines().into_iter().map(|l| format!("    {l}")));
        }
        if let Some(migrations) = &self.migrations {
            out.push(format!("\n  migrations: {}", migrations.summary));
            out.extend(migrations.lines.iter().chain(&migrations.notes).map(|l| format!("    {l}")));
            if let Some(why) = &migrations.refused {
                out.push(format!("    the deploy would be REFUSED: {why}"));
            }
        }
        out.push("\n  what happens:".to_owned());
        let rows =
            self.steps.iter().map(|s| vec![format!("    {}", s.phase), s.hosts.join(", "), s.what.clone()]).collect();
        out.extend(table(&["", "", ""], rows).into_iter().skip(1));
        out.push(String::new());
        out.iter().flat_map(|l| l.split('\n')).map(str::to_owned).collect()
    }

    /// For a change request.
    pub fn markdown(&self) -> Vec<String> {
        let app = md::code(&self.app);
        let mut out = Vec::new();
        if !self.changes {
            out.push(format!("### {app}: nothing to deploy\n"));
            out.push(format!("{} serves everywhere, made from the same files.", md::code(&self.release)));
            out.extend(self.notes.iter().map(|n| format!("\n> {}", md::text(n))));
            out.extend(self.environment_note().map(|n| format!("\n> {}", md::text(n))));
            return out;
        }
        out.push(format!("### {app}: {}\n", md::text(&self.what())));
        out.push(format!("- from {}", md::text(&self.from())));
        out.extend(self.before().iter().map(|l| format!("- {}", md::text(l))));
        out.extend(self.notes.iter().map(|n| format!("- **{}**", md::text(n))));
        out.extend(self.environment_note().map(|n| format!("- {}", md::text(n))));
        if let Some(commits) = &self.commits {
            out.push(format!("\n**Commits**: {}\n", md::text(&commits.summary)));
            out.extend(commits.list.iter().map(|c| {
                format!(
                    "- {} {} ({}, {})",
                    md::code(short(&c.hash)),
                    md::text(&c.subject),
                    md::text(&c.author),
                    day(&c.date)
                )
            }));
            if commits.more > 0 {
                out.push(format!("- and {} more", commits.more));
            }
        }
        if let Some(requirements) = &self.requirements {
            out.push(format!("\n**Requirements**: {}", md::text(&requirements.summary())));
            let lines: Vec<String> = requirements.lines();
            if !lines.is_empty() {
                // `!` is the sign that such a block colours for a change.
                let lines: Vec<String> = lines.iter().map(|l| l.replacen('~', "!", 1)).collect();
                out.push(format!("\n{}", md::block("diff", &lines)));
            }
        }
        if let Some(migrations) = &self.migrations {
            out.push(format!("\n**Migrations**: {}\n", md::text(&migrations.summary)));
            out.extend(migrations.lines.iter().chain(&migrations.notes).map(|l| format!("- {}", md::text(l))));
            if let Some(why) = &migrations.refused {
                out.push(format!("\n> **The deploy would be refused**: {}", md::text(why)));
            }
        }
        out.push("\n<details><summary>What happens, step by step</summary>\n".to_owned());
        out.push("| phase | hosts | what |\n|---|---|---|".to_owned());
        out.extend(self.steps.iter().map(|s| {
            format!("| {} | {} | {} |", md::text(&s.phase), md::text(&s.hosts.join(", ")), md::text(&s.what))
        }));
        out.push("\n</details>".to_owned());
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let by_host = |value: &dyn Fn(&Option<Record>, &Option<String>) -> Value| -> Value {
            self.hosts.iter().map(|(h, r, e, _)| (h.clone(), value(r, e))).collect::<serde_json::Map<_, _>>().into()
        };
        let mut data = json!({
            "app": self.app, "changes": self.changes, "release": self.release, "new": self.fresh, "because": self.because,
            "source": self.source, "commit": self.commit, "found_as": self.found_as, "dirty": self.dirty, "tree": self.tree,
            "files": self.files, "bytes": self.bytes, "prepared": self.prepared, "notes": self.notes,
            "serving": by_host(&|r, _| json!(r.as_ref().map(|r| r.release.clone()))),
            "environment": by_host(&|_, e| json!(e)),
            "hosts": self.hosts.iter().filter(|(_, _, _, open)| *open && self.changes).map(|(h, ..)| h.clone()).collect::<Vec<_>>(),
            "steps": self.steps,
        });
        if let Some(c) = &self.commits {
            let all: Vec<Value> = c
                .list
                .iter()
                .map(|c| json!({ "hash": c.hash, "author": c.author, "date": c.date, "subject": c.subject }))
                .collect();
            data["commits"] = json!({ "summary": c.summary, "commits": all, "more": c.more, "leave": c.leave });
        }
        if let Some(r) = &self.requirements {
            data["requirements"] = r.json();
        }
        if let Some(m) = &self.migrations {
            data["migrations"] = json!({
                "summary": m.summary, "pending": m.pending, "notes": m.notes, "refused": m.refused, "judgement": m.judgement,
            });
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook() -> Outlook {
        let commit = Commit {
            hash: "abcdef0123456789".into(),
            author: "Ann".into(),
            date: "2026-01-02T03:04:05Z".into(),
            subject: "Carts <b>| #7".into(),
        };
        Outlook {
            app: "shop".into(),
            source: "https://git.example.org/shop at main".into(),
            release: "20260102-030405-abcdef0".into(),
            fresh: true,
            changes: true,
            commit: Some("abcdef0123456789".into()),
            hosts: vec![("web1".into(), None, None, true), ("web2".into(), None, None, true)],
            commits: Some(Commits {
                summary: "1 commit since 1234567".into(),
                list: vec![commit],
                ..Commits::default()
            }),
            requirements: Some(Requirements::First),
            migrations: Some(Migrations { summary: "no migrations to apply".into(), ..Migrations::default() }),
            steps: vec![PlannedStep { phase: "lock".into(), hosts: vec!["web1".into()], what: "one at a time".into() }],
            ..Outlook::default()
        }
    }

    #[test]
    fn people_read_what_happens() {
        let text = outlook().lines().join("\n");
        for part in [
            "shop: a new release, 20260102-030405-abcdef0\n  from https://git.example.org/shop at main, commit abcdef012: 0 files",
            "  web1, web2: in place of nothing: the first release\n",
            "  1 commit since 1234567:\n    + abcdef012 Carts <b>| #7 (Ann, 2026-01-02)\n",
            "    lock  web1  one at a time\n",
        ] {
            assert!(text.contains(part), "{part}\n---\n{text}");
        }
    }

    #[test]
    fn markdown_is_safe_from_what_commits_say() {
        let text = outlook().markdown().join("\n");
        assert!(text.contains("- `abcdef012` Carts &lt;b>\\| #7 (Ann, 2026-01-02)"), "{text}");
        assert!(text.contains("| lock | web1 | one at a time |"), "{text}");
        let none = Outlook { changes: false, ..outlook() };
        assert!(none.markdown().join("\n").contains("nothing to deploy"));
        assert!(none.lines().join("\n").contains("nothing to do"));
    }

    #[test]
    fn programs_get_all_of_it() {
        let data = outlook().json();
        assert_eq!(data["hosts"], json!(["web1", "web2"]));
        assert_eq!(data["commits"]["commits"][0]["author"], "Ann");
        assert_eq!(data["steps"][0]["phase"], "lock");
        assert_eq!(Outlook { changes: false, ..outlook() }.json()["hosts"], json!([]));
    }
}
