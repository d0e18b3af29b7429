//! `lineinfile`, `blockinfile` and `replace`.

use super::{plan_touches_nothing, project};

const ROOT: &str = "/srv/edits";

const PLAYBOOK: &str = include_str!("edits.yml");

#[test]
fn lines_blocks_and_patterns() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    let look = |command: &str| host.sh(&format!("cd {ROOT} && {command}"));
    project.file("site.yml", PLAYBOOK);
    look(
        "printf '%s\\n' '#Port 22' '# users' 'tls = off' 'Bad one' 'Bad two' 'a.b*c' 'wait 10ms 20ms' > conf && chmod 640 conf && \
         chown ops conf && printf '%s\\n' '[zero]' x=0 '[one]' x=1 y=1 '[two]' x=2 > parts && \
         printf '%s\\n' top '# BEGIN ANSIBLE MANAGED BLOCK' in '# END ANSIBLE MANAGED BLOCK' bottom > other && \
         echo 'deploy ALL=(ALL) ALL' > sudoers && chmod 440 sudoers && printf 'no newline' > block",
    );
    plan_touches_nothing(&project, ROOT);
    let first = project.apply("site.yml");
    assert_eq!(first.with_status("ok"), Vec::<String>::new(), "{}", first.told());
    assert_eq!(
        look("cat conf"),
        "# managed\nPort 2222\n# BEGIN ANSIBLE MANAGED BLOCK\nMatch User deploy\n  X11Forwarding no\n\
         # END ANSIBLE MANAGED BLOCK\n# users\nuser = ünï $(id) 'q' \"d\" \\1\ntls = on\nreplaced [x]\nwait 10s 20s\nlast"
    );
    assert_eq!(look("stat -c '%a %U' conf new sudoers"), "640 ops\n600 deploy\n440 root");
    assert_eq!(look("cat new other"), "only\nsecond\nthird\ntop\nbottom");
    assert_eq!(look("cat sudoers"), "deploy ALL=(ALL) NOPASSWD: ALL");
    assert_eq!(look("cat block"), "no newline\n\n<!-- START web -->\n<a>\n<b>\n<!-- END web -->");
    assert_eq!(look("cat parts"), "[zero]\nx=0\n[one]\nx=new\ny=1\n[two]\nx=2");
    assert_eq!(look("ls | grep -c '^parts\\.'"), "1", "one backup");

    project.settled("site.yml");
    assert_eq!(look("ls | grep -c '^parts\\.'"), "1", "no further backup");
}
