//! A saved plan is applied to hosts that are as they were, and to none if one is not.

use crate::common::lab::LabHost;
use crate::site::{Site, USERS, WELL};

#[test]
fn a_plan_is_for_all_hosts_or_none() {
    let Some(site) = Site::new() else { return };
    let (well, other) = (LabHost::get(WELL).unwrap(), LabHost::get(USERS).unwrap());
    let both = |script: &str| (well.sh(script), other.sh(script));
    both("rm -rf /srv/planned; mkdir /srv/planned; echo old >/srv/planned/conf; systemctl stop cron");
    let site = site.host("it", &other, "root", &[]);
    site.file("unit.j2", "[Service]\nExecStart=/bin/sleep {{ seconds }}\n");
    site.play(
        "vars: {seconds: 600}",
        "\
- setup:
- name: conf
  lineinfile: {path: /srv/planned/conf, line: 'for {{ ansible_facts.hostname }}'}
- name: unit
  template: {src: unit.j2, dest: /etc/systemd/system/planned.service}
  notify: again
- name: runs
  systemd: {name: planned, state: started, daemon_reload: true}
- name: cron
  service: {name: cron, state: started}
- name: who
  command: cat /srv/planned/conf
  register: conf
- name: copied
  copy: {content: '{{ conf.stdout }}', dest: /srv/planned/copied}",
    );
    let text = std::fs::read_to_string(site.path().join("play.yml")).unwrap();
    site.file(
        "play.yml",
        &format!("{text}  handlers:\n    - name: again\n      shell: echo told >>/srv/planned/told\n"),
    );

    site.run(&["plan", "play.yml", "-o", "plan.json", "--detailed-exitcode"]).ends(2).says(&["would change it conf"]);
    // One host moves on: neither is touched.
    other.sh("echo more >>/srv/planned/conf");
    let told = site.run(&["apply", "plan.json"]);
    told.ends(1).says(&[
        "no host was touched",
        "it: `conf`: ",
        "/srv/planned/conf is not as it was when the plan was made",
    ]);
    assert!(told.out.is_empty() && !told.err.contains("well: "), "{}{}", told.out, told.err);
    assert_eq!(
        well.sh("ls /srv/planned; cat /srv/planned/conf; systemctl is-active cron || true"),
        "conf\nold\ninactive"
    );
    other.sh("echo old >/srv/planned/conf");
    // So does a service that somebody started.
    well.sh("systemctl start cron");
    site.run(&["apply", "plan.json"]).ends(1).says(&["well: `cron`: planned was a change, now it is nothing to do"]);
    well.sh("systemctl stop cron");

    let told = site.run(&["apply", "plan.json"]);
    told.ends(0).recaps("it", &["changed=7", "failed=0"]).recaps("well", &["changed=7", "failed=0"]);
    let state = "systemctl is-active planned cron; cat /srv/planned/copied /srv/planned/told";
    let name = |host: &LabHost| host.sh("hostname");
    for host in [&well, &other] {
        assert_eq!(host.sh(state), format!("active\nactive\nold\nfor {}told", name(host)));
    }
    // A second time it no longer fits.
    site.run(&["apply", "plan.json"]).ends(1).says(&["no host was touched"]);
    site.run(&["plan", "play.yml", "--tags", "none", "--detailed-exitcode"]).ends(0);
    both(
        "systemctl stop planned; rm -rf /srv/planned /etc/systemd/system/planned.service; systemctl daemon-reload; systemctl start cron",
    );
}

/// What cannot be reached when a plan is applied makes it void for all.
#[test]
fn a_host_that_can_no_longer_be_reached() {
    let Some(site) = Site::new() else { return };
    let Some(host) = crate::site::user("plangone", "/bin/sh") else { return };
    let site = site.host("it", &host, "plangone", &[]);
    site.tasks("- name: put\n  copy: {content: x, dest: /tmp/plangone}");
    site.run(&["plan", "play.yml", "-o", "plan.json"]).ends(0);
    host.sh("mv ~plangone/.ssh ~plangone/.ssh-away");
    let told = site.run(&["apply", "plan.json"]);
    host.sh("mv ~plangone/.ssh-away ~plangone/.ssh");
    told.ends(4).says(&["it: could not be reached", "no host was touched"]);
    assert!(LabHost::get(WELL).unwrap().sh("ls /tmp/plangone 2>&1 || true").contains("No such file"));
    site.run(&["apply", "plan.json"]).ends(0);
    LabHost::get(WELL).unwrap().sh("rm /tmp/plangone");
}
