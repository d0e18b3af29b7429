//! Debian 13: what a playbook does on Debian 12 it does there, too.

use crate::common::debs::{Deb, offer};
use crate::common::lab::LabHost;
use crate::site::Site;

const WORK: &str = "\
- name: install
  apt: {name: wl-here, update_cache: true}
- name: user
  user: {name: ada, groups: [sudo], shell: /bin/bash, password: '*'}
- name: key
  authorized_key: {user: ada, key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGhTq3JV3DmdNbpv4Uv7hbYoVC9Vd3SLUjN7q3wdl0Zm ada}
- name: unit
  copy:
    dest: /etc/systemd/system/beacon.service
    content: |
      [Service]
      ExecStart=/bin/sleep infinity
      [Install]
      WantedBy=multi-user.target
- name: service
  systemd_service: {name: beacon, state: started, enabled: true, daemon_reload: true}
- name: zone
  timezone: {name: Europe/Lisbon}
- name: job
  cron: {name: bell, special_time: daily, job: 'true'}
- name: text
  template: {src: os.j2, dest: /srv/os}
- name: as another
  command: id -un
  become: true
  become_user: ada
  register: who
  changed_when: false
- name: right
  assert:
    that:
      - who.stdout == 'ada'
      - ansible_facts.distribution_version is version('13', '>=')
      - ansible_facts.service_mgr == 'systemd'";

#[test]
fn a_host_with_debian_13() {
    let Some(site) = Site::new() else { return };
    let host = LabHost::of_suite("hosts-trixie", "trixie").unwrap();
    offer(&host, &[Deb { name: "wl-here", version: "1", control: "", postinst: "" }]);
    host.sh("userdel -rf ada 2>/dev/null; systemctl disable -q --now beacon 2>/dev/null; rm -f /etc/systemd/system/beacon.service /srv/os; \
             dpkg --purge wl-here 2>/dev/null; crontab -r 2>/dev/null; true");
    let site = site.host("it", &host, "deploy", &[]);
    site.file("os.j2", "{{ ansible_facts.distribution_release }} {{ ansible_facts.distribution_major_version }}\n");
    site.play("become: true\n", WORK);
    let text = std::fs::read_to_string(site.path().join("play.yml")).unwrap();
    site.file("play.yml", &text.replace("gather_facts: false", "gather_facts: true"));
    site.run(&["plan", "play.yml", "--limit", "it"]).ends(0).recaps("it", &["fail=0"]);
    assert_eq!(host.sh("ls /srv/os 2>/dev/null; true"), "", "the plan has changed the host");
    site.apply(&["--limit", "it"]).ends(0).recaps("it", &["ok=11", "failed=0"]);
    assert_eq!(
        host.sh("cat /srv/os; systemctl is-active beacon; id -nG ada; date +%Z"),
        "trixie 13\nactive\nada sudo\nWET"
    );
    site.apply(&["--limit", "it"]).ends(0).recaps("it", &["ok=11", "changed=0"]);
}
