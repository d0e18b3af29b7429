//! `file` in all its states.

use super::{plan_touches_nothing, project};

const ROOT: &str = "/srv/states";

const PLAYBOOK: &str = include_str!("states.yml");

#[test]
fn all_states() {
    let Some(project) = project(ROOT) else { return };
    let host = project.host.clone();
    let look = |command: &str| host.sh(&format!("cd {ROOT} && {command}"));
    project.file("site.yml", PLAYBOOK);
    look(
        "echo given > given && mkdir -p gone/x/y tree/sub && touch gone/x/z gonefile tree/sub/f tree/sub/x inway target && \
         ln -s gone gonelink && ln -s given current && chmod +x tree/sub/x && ln -s target tolink && ln -s ../given tree/l",
    );
    plan_touches_nothing(&project, ROOT);
    let first = project.apply("site.yml");
    assert_eq!(first.with_status("ok"), ["never there"], "{}", first.told());
    assert_eq!(first.with_status("ignored"), ["missing"]);

    assert_eq!(look("stat -c '%n %F %a %U %G' a a/b a/b/c"), {
        let same = "directory 750 deploy www-data";
        format!("a {same}\na/b {same}\na/b/c {same}")
    });
    assert_eq!(look("stat -c '%a' shared"), "2750");
    assert_eq!(look("stat -c '%s %a %F' a/flag"), "0 600 regular empty file");
    assert_eq!(look("stat -c '%X %Y' a/dated; date -d '2020-01-02 03:04:05' +%s"), "1577934245 1577934245\n1577934245");
    assert_eq!(look("stat -c '%a %U %h' given"), "444 ops 2");
    assert_eq!(
        look("readlink link a/rel dangling inway current"),
        format!("{ROOT}/given\n../given\nnowhere\n{ROOT}/given\n{ROOT}/a")
    );
    assert_eq!(look("stat -c %i given hard | uniq | wc -l"), "1");
    assert_eq!(
        look("find tree ! -type l -printf '%p %m %u\\n' | sort"),
        "tree 750 deploy\ntree/sub 750 deploy\ntree/sub/f 640 deploy\ntree/sub/x 750 deploy"
    );
    assert_eq!(look("ls -d gone gonefile gonelink never 2>/dev/null | wc -l"), "0");
    assert_eq!(look("stat -c '%F %a' tolink target"), "symbolic link 777\nregular empty file 611");

    project.settled("site.yml");
}
