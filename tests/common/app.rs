//! The application that tests deploy (`tests/fixtures/deployable`), with the edits that make another version of it, or
//! break it.
//!
//! ```ignore
//! App::new().version("2").write_to(folder);
//! App::new().version("3").broken(Fault::Crash).write_to(folder);
//! ```

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is wrong with a release, in the order in which a deploy would come across it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no `manage.py`.
    NoManage,
    /// `requirements.txt` has a line that is no requirement.
    RequirementsSyntax,
    /// It asks for a version that no index has.
    Requirement,
    /// The settings raise; the traceback's last line would show a secret.
    Settings,
    /// `config/urls.py` can't be imported: every management command that checks the project fails, and each request.
    Import,
    /// Only `config/wsgi.py` can't be imported: management commands work, the server does not come up.
    Wsgi,
    /// The models say something that no migration does.
    MigrationMissing,
    /// A style sheet refers to a file that is not there: `collectstatic` fails.
    Static,
    /// A static file of so many megabytes of zeros: small to send, large on the disk (four times: source, collected,
    /// hashed copy, and nothing more, since the shared tree is of hard links).
    Disk(usize),
    /// The newest migration raises.
    Migration,
    /// The health check answers 500.
    Unhealthy,
    /// The health check answers after so many seconds only.
    HealthSlow(u32),
    /// The health check is somewhere else now, and the old address redirects there.
    HealthRedirects,
    /// The server's main process is killed one second after the health check first said yes.
    Crash,
    /// The first answer takes so many seconds to come, since the code is slow to import. Not broken, only slow.
    SlowStart(u32),
    /// It was healthy, and then every twentieth request is answered by 500.
    SomeErrors,
}

/// A migration beyond the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migration {
    /// A column that may be null: the old code runs on.
    Safe,
    /// A column that may not be null, and has no default in the database: the old code's `INSERT` fails.
    NotNull,
    /// Drops a column that the old code reads and writes.
    Drops,
    /// A data migration without a way back.
    Irreversible,
    /// A new table.
    Table,
}

/// The application, to be written to a folder.
#[derive(Debug, Clone)]
pub struct App {
    files: BTreeMap<String, Vec<u8>>,
    removed: Vec<String>,
    migrations: Vec<String>,
}

impl Default for App {
    fn default() -> App {
        App::new()
    }
}

impl App {
    /// Version 1, in which nothing is wrong.
    pub fn new() -> App {
        let mut files = BTreeMap::new();
        read(&fixture(), &fixture(), &mut files);
        App { files, removed: Vec::new(), migrations: vec!["0001_initial".to_owned()] }
    }

    /// What the code calls itself, in every module and in the style sheet (whose hashed name changes with it).
    #[must_use]
    pub fn version(self, version: &str) -> App {
        let css = format!("/* {version} */\nbody {{ background: white url(\"mark.svg\") no-repeat; }}\n");
        self.file("config/version.py", format!("CODE = {version:?}\n"))
            .file("pages/late.py", format!("CODE = {version:?}\n"))
            .file("pages/static/pages/site.css", css)
    }

    /// With a file that is new, or replaces one.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> App {
        self.files.insert(path.to_owned(), content.into());
        self.removed.retain(|removed| removed != path);
        self
    }

    #[must_use]
    pub fn without(mut self, path: &str) -> App {
        self.files.remove(path);
        self.removed.push(path.to_owned());
        self
    }

    /// With one place of a file changed; the place must be there.
    #[must_use]
    #[track_caller]
    pub fn edit(self, path: &str, from: &str, to: &str) -> App {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has no {from:?}:\n{text}");
        let text = text.replacen(from, to, 1);
        self.file(path, text)
    }

    pub fn text(&self, path: &str) -> String {
        let content = self.files.get(path).unwrap_or_else(|| panic!("the application has no {path}"));
        String::from_utf8(content.clone()).unwrap()
    }

    /// With a further line of requirements, so that the virtual environment is another one. A comment is enough for
    /// that, and fetches nothing.
    #[must_use]
    pub fn requirement(self, line: &str) -> App {
        let text = self.text("requirements.txt");
        self.file("requirements.txt", format!("{text}{line}\n"))
    }

    #[must_use]
    pub fn broken(self, fault: Fault) -> App {
        match fault {
            Fault::NoManage => self.without("manage.py"),
            Fault::RequirementsSyntax => self.requirement("Django==5.2 ==="),
            Fault::Requirement => self.edit("requirements.txt", "sqlparse==", "sqlparse==99.99.99 # was "),
            Fault::Settings => self.edit(
                "config/settings.py",
                "BASE_DIR =",
                "if os.environ: raise RuntimeError('the settings are wrong: SECRET_KEY=' + os.environ['SECRET_KEY'])\nBASE_DIR =",
            ),
            Fault::Import => self.edit("config/urls.py", "from pages", "import not_there_at_all\nfrom pages"),
            Fault::Wsgi => self.edit("config/wsgi.py", "import os", "import not_there_at_all\nimport os"),
            Fault::MigrationMissing => {
                self.edit("pages/models.py", "    remark =", "    unmigrated = models.IntegerField(null=True)\n    remark =")
            }
            Fault::Static => self.edit("pages/static/pages/site.css", "mark.svg", "not-there-at-all.svg"),
            Fault::Disk(megabytes) => self.file("pages/static/pages/huge.bin", vec![0; megabytes * 1024 * 1024]),
            Fault::Migration => {
                let body = "def fail(apps, editor):\n    raise RuntimeError(\"this migration was made to fail\")\n";
                self.raw_migration("fails", body, "migrations.RunPython(fail, migrations.RunPython.noop)")
            }
            Fault::Unhealthy => self.health("    return JsonResponse({\"healthy\": False}, status=500)"),
            Fault::HealthSlow(seconds) => self.health(&format!("    time.sleep({seconds})")),
            Fault::HealthRedirects => self
                .health("    return HttpResponse(status=302, headers={\"Location\": \"/health/\"})"),
            Fault::Crash => self
                .edit(
                    "pages/views.py",
                    "def healthz",
                    "def crash():\n    print(\"this release was made to crash\", file=sys.stderr, flush=True)\n    \
                     os.kill(os.getppid(), signal.SIGKILL)\n\n\ndef healthz",
                )
                .edit("pages/views.py", "import os\n", "import os\nimport signal\nimport sys\nimport threading\n")
                .health("    threading.Timer(1, crash).start()"),
            Fault::SlowStart(seconds) => {
                self.edit("config/wsgi.py", "import os\n", &format!("import os\nimport time\n\ntime.sleep({seconds})\n"))
            }
            Fault::SomeErrors => self.edit(
                "pages/views.py",
                "    return JsonResponse(\n        {\n            \"release\"",
                "    if time.monotonic_ns() // 1000 % 20 == 0:\n        raise RuntimeError(\"this release was made to fail \
                 sometimes\")\n    return JsonResponse(\n        {\n            \"release\"",
            ),
        }
    }

    /// With code at the start of the health check.
    fn health(self, lines: &str) -> App {
        self.edit("pages/views.py", "def healthz(request):\n", &format!("def healthz(request):\n{lines}\n"))
    }

    #[must_use]
    pub fn migration(self, migration: Migration) -> App {
        let model = "    remark = models.CharField(max_length=200, null=True)\n";
        match migration {
            Migration::Safe => self
                .edit("pages/models.py", model, &format!("{model}    colour = models.CharField(max_length=20, null=True)\n"))
                .raw_migration(
                    "colour",
                    "",
                    "migrations.AddField(\"note\", \"colour\", models.CharField(max_length=20, null=True))",
                ),
            Migration::NotNull => self
                .edit("pages/models.py", model, &format!("{model}    stars = models.IntegerField(default=0)\n"))
                .raw_migration("stars", "", "migrations.AddField(\"note\", \"stars\", models.IntegerField(default=0))"),
            Migration::Drops => self
                .edit("pages/models.py", model, "")
                .raw_migration("drops", "", "migrations.RemoveField(\"note\", \"remark\")"),
            Migration::Irreversible => self.raw_migration(
                "marks",
                "def mark(apps, editor):\n    apps.get_model(\"pages\", \"Note\").objects.filter(remark=None).update(remark=\"\")\n",
                "migrations.RunPython(mark)",
            ),
            Migration::Table => {
                let models = self.text("pages/models.py");
                self.file("pages/models.py", format!("{models}\n\nclass Label(models.Model):\n    name = models.CharField(max_length=20)\n"))
                    .raw_migration(
                        "label",
                        "",
                        "migrations.CreateModel(\"Label\", [(\"id\", models.BigAutoField(auto_created=True, primary_key=True, \
                         serialize=False, verbose_name=\"ID\")), (\"name\", models.CharField(max_length=20))])",
                    )
            }
        }
    }

    /// With a migration after those that are there: code before the class, and one operation.
    #[must_use]
    pub fn raw_migration(mut self, name: &str, before: &str, operation: &str) -> App {
        let last = self.migrations.last().unwrap().clone();
        let name = format!("{:04}_{name}", self.migrations.len() + 1);
        self.migrations.push(name.clone());
        let text = format!(
            "from django.db import migrations, models\n\n\n{before}\n\nclass Migration(migrations.Migration):\n    \
             dependencies = [(\"pages\", \"{last}\")]\n    operations = [{operation}]\n"
        );
        self.file(&format!("pages/migrations/{name}.py"), text)
    }

    /// The newest migration, as Django names it (`0002_colour`).
    pub fn newest_migration(&self) -> &str {
        self.migrations.last().unwrap()
    }

    /// Writes it into a folder, which may hold an earlier version: what is no longer of it goes (`.git` stays).
    pub fn write_to(&self, folder: &Path) {
        std::fs::create_dir_all(folder).unwrap();
        let mut there = BTreeMap::new();
        read(folder, folder, &mut there);
        for (path, content) in &there {
            match self.files.get(path) {
                None => std::fs::remove_file(folder.join(path)).unwrap(),
                Some(wanted) if wanted != content => std::fs::write(folder.join(path), wanted).unwrap(),
                Some(_) => {}
            }
        }
        for (path, content) in self.files.iter().filter(|(path, _)| !there.contains_key(*path)) {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
    }

    /// Writes it and commits it to a repository in the folder, made where there is none; the commit's id.
    pub fn commit_to(&self, folder: &Path, message: &str) -> String {
        self.write_to(folder);
        if !folder.join(".git").exists() {
            git(folder, &["init", "-q", "-b", "main"]);
        }
        git(folder, &["add", "-A"]);
        git(folder, &["commit", "-q", "--allow-empty", "-m", message]);
        git(folder, &["rev-parse", "HEAD"])
    }
}

/// Runs git with an identity of its own and nobody's configuration; its output.
#[track_caller]
pub fn git(folder: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@deployable.test"])
        .args(args)
        .envs([("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_SYSTEM", "/dev/null")])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/deployable")
}

/// All files below a folder by their paths from `root`, without `.git` and what Python leaves.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != ".git" && name != "__pycache__" {
                read(root, &path, files);
            }
        } else {
            let relative = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            files.insert(relative, std::fs::read(&path).unwrap());
        }
    }
}
