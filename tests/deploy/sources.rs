//! Where a release comes from, and what of the way there stays on the host: nothing that is secret.

use crate::app::{App, git};
use crate::rig::{Rig, everything};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const TOKEN: &str = "a-token-that-must-not-stay";

/// Serves a folder to the lab's hosts, and asks for user and password.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(folder: &Path) -> Server {
        let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let code = r#"
import base64, http.server, sys
want = "Basic " + base64.b64encode(("build:" + sys.argv[2]).encode()).decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") != want:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic realm=private")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"#;
        let mut command = Command::new("python3");
        command.args(["-c", code, &port.to_string(), TOKEN]).current_dir(folder);
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        while !up() {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Server { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of this machine, as the host sees it.
fn here(rig: &Rig) -> String {
    rig.web[0].sh("ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'")
}

#[track_caller]
fn leaves_nothing(rig: &Rig) {
    let found = rig.web[0].sh(&format!(
        "grep -rIl -e {TOKEN} /etc /home /opt /root /run /srv /tmp /usr/local /var 2>/dev/null | grep -v '^/var/log/journal' || true
         journalctl --no-pager -o cat | grep -c {TOKEN} | grep -vx 0 || true"
    ));
    assert_eq!(found, "", "the token stayed on the host");
}

/// A wheel of one module, made without any tool.
fn wheel(path: &Path) {
    let script = r#"
import sys, zipfile
name = "hidden_gem-1.0"
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("hidden_gem.py", "WORD = 'found'\n")
    z.writestr(name + ".dist-info/METADATA", "Metadata-Version: 2.1\nName: hidden-gem\nVersion: 1.0\n")
    z.writestr(name + ".dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    z.writestr(name + ".dist-info/RECORD", "hidden_gem.py,,\n%s.dist-info/METADATA,,\n%s.dist-info/WHEEL,,\n%s.dist-info/RECORD,,\n" % (name, name, name))
"#;
    assert!(Command::new("python3").args(["-c", script]).arg(path).status().unwrap().success());
}

#[test]
fn a_host_fetches_the_source_itself_and_packages_from_a_private_index() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::one() else { return };
    let served = tempfile::tempdir().unwrap();
    let work = tempfile::tempdir().unwrap();
    let gems = served.path().join("simple/hidden-gem");
    std::fs::create_dir_all(&gems).unwrap();
    wheel(&gems.join("hidden_gem-1.0-py3-none-any.whl"));
    let index = "<a href=\"hidden_gem-1.0-py3-none-any.whl\">hidden_gem-1.0-py3-none-any.whl</a>";
    std::fs::File::create(gems.join("index.html")).unwrap().write_all(index.as_bytes()).unwrap();

    let application = |version: &str| {
        let app = App::new().version(version).requirement("hidden-gem==1.0");
        app.edit("config/version.py", "CODE", "import hidden_gem\n\nassert hidden_gem.WORD == 'found'\nCODE")
    };
    application("2").commit_to(work.path(), "Version 2");
    let bare = served.path().join("shop.git");
    let publish = || {
        let _ = std::fs::remove_dir_all(&bare);
        git(work.path(), &["clone", "-q", "--bare", ".", &bare.display().to_string()]);
        git(&bare, &["update-server-info"]);
    };
    publish();
    let server = Server::start(served.path());
    let at = format!("http://build:{TOKEN}@{}:{}", here(&rig), server.port);
    rig.settings = format!(
        "git: {at}/shop.git\nref: main\nfetch: host\nbuild_env:\n  PIP_EXTRA_INDEX_URL: {at}/simple\n  PIP_TRUSTED_HOST: {}",
        here(&rig)
    );
    rig.web[0]
        .sh("command -v git >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y git >/dev/null 2>&1");
    let told = rig.deploy_git(&[]);
    eprintln!("{}", told.out);
    told.ends(0).says_not(&[TOKEN]);
    rig.assert_serves("2");
    leaves_nothing(&rig);

    application("3").commit_to(work.path(), "Version 3");
    publish();
    let told = rig.deploy_git(&[]);
    told.ends(0).says_not(&[TOKEN]);
    rig.assert_serves("3");
    leaves_nothing(&rig);

    // What fails tells why, and not with which password.
    let broken = application("4").edit("requirements.txt", "hidden-gem==1.0", "hidden-gem==9.9");
    broken.commit_to(work.path(), "Version 4");
    publish();
    let told = rig.deploy_git(&[]);
    assert_ne!(told.code, 0);
    told.says(&["hidden-gem"]).says_not(&[TOKEN]);
    rig.assert_serves("3");
    leaves_nothing(&rig);
}

const PROJECT: &str = r#"[project]
name = "deployable"
version = "1"
requires-python = ">=3.10"
dependencies = [
    "Django==5.2.19",
    "gunicorn==27.0.1",
    "psycopg[binary]==3.3.9",
]
"#;

/// `pyproject.toml` alone: what it depends on is installed, and not the project itself, which is the release's own.
#[test]
fn a_project_file_says_what_is_installed() {
    if !everything() {
        return;
    }
    let Some(rig) = Rig::one() else { return };
    let app = |version: &str| App::new().version(version).without("requirements.txt").file("pyproject.toml", PROJECT);
    rig.deploy(&app("2"), &[]).ends(0);
    rig.assert_serves("2");
    let venv = |release: &str| rig.web[0].sh(&format!("readlink /srv/deployable/releases/{release}/venv"));
    let before = venv(&rig.serving(0));
    rig.deploy(&app("3"), &[]).ends(0);
    rig.assert_serves("3");
    assert_eq!(venv(&rig.serving(0)), before);
}

/// Lock files of uv and Poetry, as they write them.
#[test]
fn lock_files_are_followed() {
    if !everything() {
        return;
    }
    let Some(rig) = Rig::one() else { return };
    let pins = App::new().text("requirements.txt");
    let pins: Vec<(&str, &str)> = pins.lines().filter_map(|l| l.split_once("==")).collect();
    let poetry: String = pins
        .iter()
        .map(|(name, version)| {
            let name = name.split('[').next().unwrap();
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\noptional = false\ngroups = [\"main\"]\nfiles = []\n\n")
        })
        .collect();
    let binary = "[[package]]\nname = \"psycopg-binary\"\nversion = \"3.3.9\"\noptional = false\ngroups = [\"main\"]\nfiles = []\n\n";
    let unwanted =
        "[[package]]\nname = \"pytest\"\nversion = \"8.3.4\"\noptional = false\ngroups = [\"dev\"]\nfiles = []\n\n";
    let lock = format!("{poetry}{binary}{unwanted}[metadata]\nlock-version = \"2.1\"\npython-versions = \">=3.9\"\n");
    let app = App::new().version("2").without("requirements.txt").file("pyproject.toml", PROJECT);
    rig.deploy(&app.clone().file("poetry.lock", lock), &[]).ends(0);
    rig.assert_serves("2");
    assert_eq!(
        rig.web[0].sh("ls -d /srv/deployable/releases/*/venv/lib/*/site-packages/pytest 2>/dev/null || true"),
        ""
    );

    let uv = &["-e", "python_uv_version=0.9.5"];
    // The role brings uv, which then writes the lock file, as a developer would.
    let site = crate::rig::root().join("tests/deploy/site.yml").display().to_string();
    let source = format!("django_app_source={}", rig.source().display());
    rig.windlass(&[&["apply", &site, "--limit", "web", "-e", &source][..], uv].concat()).ends(0);
    let folder = tempfile::tempdir().unwrap();
    app.clone().write_to(folder.path());
    rig.web[0].sh(&format!("rm -rf /root/lock && mkdir /root/lock && cat > /root/lock/pyproject.toml <<'END'\n{PROJECT}END\ncd /root/lock && SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt uv lock -q"));
    let lock = rig.web[0].sh("cat /root/lock/uv.lock");
    rig.deploy(&app.version("3").file("uv.lock", lock), uv).ends(0);
    rig.assert_serves("3");
    let made_by = rig.web[0].sh("cat /srv/deployable/releases/$(readlink /srv/deployable/current.sock | sed 's,.*/,,;s/.sock//')/venv/pyvenv.cfg");
    assert!(made_by.lines().any(|line| line.starts_with("uv = ")), "not made by uv:\n{made_by}");
    rig.web[0].sh("rm -rf /root/lock /usr/local/bin/uv");
}
