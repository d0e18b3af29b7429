//! `uri`, `get_url`, `unarchive` and `wait_for`, against a small web server on the host.

use super::{plan_touches_nothing, project};
use std::io::Write as _;
use std::process::Stdio;

const ROOT: &str = "/srv/network";

/// Tells what it was asked, in JSON; gives the files of its folder; and wants a password below `/secret`.
const SERVER: &str = r#"
import http.server, json, base64
class Handler(http.server.SimpleHTTPRequestHandler):
    def tell(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        code, location = 200, None
        if self.path.startswith("/secret") and self.headers.get("Authorization") != "Basic " + base64.b64encode(b"me:pa'ss $w").decode():
            code = 401
        if self.path.startswith("/code/"):
            code = int(self.path.split("/")[2])
        if self.path == "/moved":
            code, location = 302, "/echo"
        said = json.dumps({"method": self.command, "path": self.path, "body": body, "type": self.headers.get("Content-Type"), "x": self.headers.get("X-Test")}).encode()
        self.send_response(code)
        if location: self.send_header("Location", location)
        if code == 401: self.send_header("WWW-Authenticate", "Basic realm=x")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(said)
    def do_GET(self):
        return super().do_GET() if self.path.startswith("/files/") else self.tell()
    do_POST = do_PUT = do_DELETE = do_PATCH = tell
http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"#;

const PLAYBOOK: &str = include_str!("network.yml");

#[test]
fn downloads_archives_and_requests() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    host.sh(
        "systemctl stop windlass-web 2>/dev/null; rm -rf /srv/www; mkdir -p /srv/www/files/app-1/bin && cd /srv/www/files && \
         echo 'app content' > app.txt && echo run > app-1/bin/run && chmod 755 app-1/bin/run && echo 'ü' > 'app-1/ein ü' && \
         ln -s bin/run app-1/link && tar czf app.tar.gz app-1",
    );
    let mut put = host.ssh("root").arg("cat > /srv/server.py").stdin(Stdio::piped()).spawn().unwrap();
    put.stdin.take().unwrap().write_all(SERVER.as_bytes()).unwrap();
    assert!(put.wait().unwrap().success());
    host.sh("systemd-run -q --unit windlass-web --collect --working-directory=/srv/www python3 /srv/server.py");
    let archive = host.ssh("root").arg("cat /srv/www/files/app.tar.gz").output().unwrap().stdout;
    project.file("files/app.tar.gz", archive);
    let sum = host.sh("sha256sum < /srv/www/files/app.tar.gz | cut -c-64");
    project.file("site.yml", PLAYBOOK.replace("{{ sum }}", &sum));
    plan_touches_nothing(&project, ROOT);
    let first = project.apply("site.yml");
    assert_eq!(
        first.with_status("ignored"),
        ["never", "broken", "nobody", "refused", "wrong sum", "not found"],
        "{}",
        first.told()
    );
    let changed = [
        "saved",
        "download",
        "download with a sum",
        "folder",
        "folder 2",
        "unpack",
        "unpack from here",
        "unpack from the web",
    ];
    assert_eq!(first.with_status("changed"), changed);
    let look = |command: &str| host.sh(&format!("cd {ROOT} && {command}"));
    assert_eq!(look("cat saved app.txt; stat -c '%a %U' app.txt"), "app content\napp content\n640 deploy");
    assert_eq!(look("sha256sum < app.tar.gz | cut -c-64"), sum);
    assert_eq!(
        look("for d in app sent .; do cat \"$d/app-1/ein ü\" $d/app-1/link; stat -c %a $d/app-1/bin/run; done"),
        ["ü\nrun\n755"; 3].join("\n")
    );
    assert_eq!(
        look("find app -mindepth 1 -printf '%u\\n' | sort -u; find sent -printf '%u\\n' | sort -u"),
        "deploy\nroot"
    );
    assert_eq!(look("ls -A | sort | xargs"), "app app-1 app.tar.gz app.txt saved sent");

    let second = project.apply("site.yml");
    assert_eq!(second.with_status("changed"), Vec::<String>::new(), "{}", second.told());
    host.sh("systemctl stop windlass-web");
}
