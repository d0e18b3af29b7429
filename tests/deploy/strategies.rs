//! `strategy: restart`: one instance at a time, out of the balancer meanwhile.

use crate::app::{App, Fault};
use crate::load::{Load, Outcome, Report};
use crate::rig::{Rig, Told, everything};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const NGINX: &str = "strategy: restart\nbalancer: balancer\nbalancer_path: /etc/nginx/sites-enabled/20-balancer.conf";

/// The lines of the balancer that a deploy left out, which is none at the end of each.
fn out(rig: &Rig) -> String {
    rig.front.sh("grep -h windlass: /etc/nginx/sites-enabled/20-balancer.conf || true")
}

/// nginx closes idle connections when it reloads, and a client may be writing on one just then (`blue_green` reloads
/// nothing). Browsers send such a request again; anything else is a failure.
#[track_caller]
fn only_stale(report: &Report) {
    let stale = report.total().outcomes.get(&Outcome::Stale).copied().unwrap_or(0);
    assert_eq!(report.failed(), stale, "{}", report.text());
    assert!(report.mixed().is_empty() && !report.records.is_empty(), "{}", report.text());
}

#[test]
fn a_host_leaves_the_balancer_of_nginx_and_comes_back() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.settings = NGINX.to_owned();
    let load = rig.load();
    std::thread::sleep(Duration::from_secs(1));
    let told = rig.deploy(&App::new().version("2"), &[]);
    std::thread::sleep(Duration::from_secs(1));
    let report = load.stop();
    eprintln!("{}\n{}", told.out, report.text());
    told.ends(0).says(&["is out of the balancer", "is back in the balancer"]);
    only_stale(&report);
    rig.assert_serves("2");
    assert_eq!(out(&rig), "");

    // One that never becomes healthy: what served is started again, and enters.
    let load = rig.load();
    let told = rig.deploy(&App::new().version("3").broken(Fault::Wsgi), &[]);
    let report = load.stop();
    assert_ne!(told.code, 0, "{}", told.out);
    told.says(&["not_there_at_all"]);
    only_stale(&report);
    rig.assert_serves("2");
    assert_eq!(out(&rig), "");

    // The run dies while a host is out: the next command puts it back.
    let (mut child, begun) = rig.begin_deploy(&App::new().version("4").broken(Fault::SlowStart(5)), &[]);
    while out(&rig).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(90), "no host left the balancer");
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    Told::of(child.wait_with_output().unwrap(), begun);
    assert_ne!(out(&rig), "");
    let load = rig.load();
    rig.windlass(&["rollback"]).says(&["ended at"]);
    let report = load.stop();
    only_stale(&report);
    assert_eq!(out(&rig), "");
    let begun = Instant::now();
    while (0..3).any(|host| rig.running(host).len() != 1) {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", rig.running(0));
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn a_host_leaves_haproxy_and_comes_back() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    let servers: String = rig.web.iter().map(|h| format!("  server {} {}:8080 check\n", h.name, h.address)).collect();
    let config = format!(
        "global\n  stats socket /run/haproxy-admin.sock mode 600 level admin\ndefaults\n  mode http\n  timeout connect 5s\n  \
         timeout client 60s\n  timeout server 60s\nfrontend all\n  bind *:9090\n  default_backend webs\nbackend webs\n{servers}"
    );
    rig.front.sh(&format!(
        "set -e; command -v haproxy >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -qq -y haproxy >/dev/null 2>&1
         cat > /etc/haproxy/haproxy.cfg <<'END'\n{config}END\nsystemctl restart haproxy"
    ));
    rig.settings =
        "strategy: restart\nbalancer: balancer\nbalancer_kind: haproxy\nbalancer_path: /run/haproxy-admin.sock\n\
                    balancer_backend: webs"
            .to_owned();
    let mut config = rig.load_config().only(&["http get", "http post", "http slow"]);
    config.clients.retain(|client| client.name.starts_with("http "));
    config.http.set_port(9090);
    let load = Load::start(config);
    let told = rig.deploy(&App::new().version("2"), &[]);
    let report = load.stop();
    rig.front.sh("systemctl disable --now haproxy");
    eprintln!("{}\n{}", told.out, report.text());
    told.ends(0).says(&["is out of the balancer", "is back in the balancer"]);
    report.assert_clean();
    rig.assert_serves("2");
}

/// The site of docs/deploy-strategies.md, on ports of its own: a link for each host, and nothing is ever reloaded.
fn links(rig: &Rig) -> String {
    let each = |text: &str| -> String {
        rig.web.iter().map(|host| text.replace("HOST", &host.address)).collect::<Vec<_>>().join("\n")
    };
    let servers = each("    server unix:/etc/nginx/webs/HOST.sock max_fails=0;");
    let hops = each(
        "server {
    listen unix:/run/webs-HOST.sock;
    location / {
        proxy_pass http://HOST:8080;
        proxy_set_header Host $host;
    }
}",
    );
    let config = format!(
        "upstream linked {{
{servers}
}}
{hops}
server {{
    listen 9091;
    listen 9443 ssl http2;
    server_name deployable.test;
    ssl_certificate /etc/nginx/tls/deployable.test/fullchain.pem;
    ssl_certificate_key /etc/nginx/tls/deployable.test/privkey.pem;
    location / {{
        proxy_pass http://linked;
        proxy_set_header Host $host;
    }}
}}"
    );
    let links = each("ln -sfn /run/webs-HOST.sock /etc/nginx/webs/HOST.sock");
    format!(
        "set -e; rm -rf /etc/nginx/webs; mkdir -p /etc/nginx/webs; {links}
cat > /etc/nginx/sites-enabled/40-links.conf <<'END'
{config}
END
nginx -t -q
# Two more connections for each request: more open files than systemd gives it.
mkdir -p /run/systemd/system/nginx.service.d
printf '[Service]\\nLimitNOFILE=16384\\n' > /run/systemd/system/nginx.service.d/files.conf
systemctl daemon-reload
# Not reloaded: workers of before would still close connections when the load has begun.
systemctl restart nginx"
    )
}

#[test]
fn a_host_leaves_nginx_by_a_link_and_nothing_is_reloaded() {
    if !everything() {
        return;
    }
    let Some(mut rig) = Rig::three() else { return };
    rig.front.sh(&links(&rig));
    rig.settings = "strategy: restart\nbalancer: balancer\nbalancer_path: /etc/nginx/webs".to_owned();
    let out = |rig: &Rig| rig.front.sh("ls /etc/nginx/webs | grep -v '[.]sock$' || true");
    let mut config = rig.load_config();
    config.http.set_port(9091);
    config.https.set_port(9443);
    for address in [config.http, config.https] {
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "nginx does not listen on {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let load = Load::start(config.rate(100.0));
    let told = rig.deploy(&App::new().version("2"), &[]);
    let report = load.stop();
    eprintln!("{}\n{}", told.out, report.text());
    told.ends(0).says(&["is out of the balancer", "is back in the balancer"]);
    report.assert_clean();
    rig.assert_serves("2");
    assert_eq!(out(&rig), "");

    // The run dies while a host is out: the next command puts it back.
    let (mut child, begun) = rig.begin_deploy(&App::new().version("3").broken(Fault::SlowStart(5)), &[]);
    while out(&rig).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(90), "no host left the balancer");
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    Told::of(child.wait_with_output().unwrap(), begun);
    rig.windlass(&["rollback"]).says(&["ended at"]);
    assert_eq!(out(&rig), "");
    rig.front.sh("rm -rf /etc/nginx/webs /etc/nginx/sites-enabled/40-links.conf /run/systemd/system/nginx.service.d
         systemctl daemon-reload; systemctl restart nginx");
}

#[test]
fn one_host_restarts_and_goes_back_when_it_has_to() {
    let Some(mut rig) = Rig::one() else { return };
    rig.settings = "strategy: restart".to_owned();
    rig.deploy(&App::new().version("2"), &[]).ends(0).says(&["nobody else takes the requests"]);
    rig.assert_serves("2");
    let told = rig.deploy(&App::new().version("3").broken(Fault::Wsgi), &[]);
    assert_ne!(told.code, 0, "{}", told.out);
    told.says(&["not_there_at_all", "serves, as before"]);
    rig.assert_serves("2");
    rig.windlass(&["rollback"]).ends(0);
    rig.assert_serves("1");
}

/// Read from the playbook alone: no host is reached, and none could be.
#[test]
fn there_is_no_reload() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("hosts.yml", "all: {hosts: {nowhere: {ansible_host: 192.0.2.1}}}\n");
    write("deploy.yml", "- hosts: all\n  deploy:\n    source: .\n    strategy: reload\n");
    for command in ["deploy", "plan"] {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_windlass"));
        run.args([command, "deploy.yml", "-i", "hosts.yml", "--color", "never"]).current_dir(folder.path());
        let told = Told::of(run.output().unwrap(), Instant::now());
        told.ends(65).says(&["reload", "deploy.yml:4:", "blue_green"]);
        assert!(told.took < Duration::from_secs(10), "a host was asked: {:?}", told.took);
    }
}
