//! Roles, their parts and their dependencies.

use super::{Case, first};
use crate::playbook::*;
use crate::source::Node;

const FILES: &[(&str, &str)] = &[
    (
        "site.yml",
        "- hosts: all\n  roles:\n  - common\n  - {role: web, listen_on: 80, tags: w, when: x, vars: {y: 1}}\n  tasks:\n  \
         - import_role: {name: web, tasks_from: other.yml, vars_from: two}\n  - include_role: {name: common}\n",
    ),
    ("roles/common/tasks/main.yml", "- debug: {msg: common}\n  notify: restart\n"),
    ("roles/common/handlers/main.yaml", "- name: restart\n  debug: {msg: restart}\n"),
    ("roles/common/defaults/main.yml", "a: 1\n"),
    ("roles/web/meta/main.yml", "dependencies:\n- common\n- {role: lib, level: 2}\ngalaxy_info: {author: x}\n"),
    (
        "roles/web/meta/argument_specs.yml",
        "argument_specs:\n  main:\n    short_description: Web\n    options:\n      port: {type: int, required: true, choices: [80, 443]}\n      \
         users:\n        type: list\n        elements: dict\n        options:\n          name: {required: true}\n",
    ),
    ("roles/web/tasks/main.yml", "- template: {src: site.j2, dest: /x}\n- import_tasks: more/a.yml\n"),
    ("roles/web/tasks/more/a.yml", "- import_tasks: b.yml\n- include_tasks: other.yml\n"),
    ("roles/web/tasks/more/b.yml", "- copy: {src: f, dest: /f}\n"),
    ("roles/web/tasks/other.yml", "- debug: {msg: other}\n"),
    ("roles/web/templates/site.j2", "x"),
    ("roles/web/files/f", "x"),
    ("roles/web/vars/main/b.yml", "v: 2\nw: 2\n"),
    ("roles/web/vars/main/a.yml", "v: 1\n"),
    ("roles/web/vars/two.yml", "t: 1\n"),
    ("lib/lib/tasks/main.yml", "- debug: {msg: '{{ level }}'}\n"),
    ("lib/lib/meta/main.yml", "allow_duplicates: true\n"),
];

fn case(change: &[(&str, &str)]) -> Case {
    let mut files: Vec<(&str, &str)> = FILES.to_vec();
    files.retain(|(name, _)| !change.iter().any(|(n, _)| n == name));
    files.extend(change);
    let mut case = Case::new(&files);
    case.ctx.roles_path = vec![case.path().join("lib")];
    case
}

#[test]
fn a_role_brings_its_parts_and_its_dependencies() {
    let case = case(&[]);
    let book = case.good();
    let play = &book.plays[0];
    let names = |uses: &[std::sync::Arc<RoleUse>]| uses.iter().map(|u| u.role.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&play.roles), ["common", "web"]);
    assert_eq!(names(&play.role_uses), ["common", "lib", "web", "web"]);
    let web = &play.roles[1];
    assert_eq!(names(&web.dependencies), ["common", "lib"]);
    assert_eq!(web.params["listen_on"].kind, crate::source::Kind::Int(80));
    assert_eq!((&*web.keywords.tags[0], web.keywords.when.len(), web.keywords.vars.len()), ("w", 1, 1));
    assert_eq!(web.vars["v"].kind, crate::source::Kind::Int(2));
    assert_eq!(web.vars.len(), 2);
    assert!(web.once && web.public && !web.dependencies[1].once);
    assert_eq!(web.dependencies[0].identity, play.roles[0].identity);
    assert!(std::sync::Arc::ptr_eq(&web.dependencies[0].role, &play.roles[0].role));
    assert_eq!(play.roles[0].handlers.len(), 1);
    let task = first(&web.tasks);
    assert_eq!(task.role.as_ref().unwrap().path, case.path().join("roles/web"));
    let Item::Role(import) = &play.tasks[0] else { panic!() };
    assert_eq!((&*import.entry_point, import.vars.len(), import.once), ("other", 1, false));
    assert!(std::sync::Arc::ptr_eq(&import.role, &web.role));
    assert_ne!(import.identity, web.identity);
    let spec = &web.role.argument_specs["main"];
    assert_eq!((&*spec.options[0].kind, spec.options[0].required, spec.options[0].choices.len()), ("int", true, 2));
    assert_eq!(&*spec.options[1].options[0].name, "name");
    // A dependency is looked for through the role that needs it.
    let lib = first(&web.dependencies[1].tasks);
    assert_eq!(lib.search.roles, [case.path().join("lib/lib"), case.path().join("roles/web")]);
}

#[test]
fn a_role_is_loaded_when_its_turn_comes() {
    let case = case(&[]);
    let book = case.good();
    let Item::Task(include) = &book.plays[0].tasks[1] else { panic!() };
    let Action::IncludeRole(asked) = &include.action else { panic!() };
    let site = Site::of(include, false, Vec::new());
    let found = load_role(&RoleRequest::new(&asked.name), &site, &case.ctx).unwrap();
    assert_eq!((found.loaded.tasks.len(), found.loaded.defaults.len()), (1, 1));
    assert!(std::sync::Arc::ptr_eq(&found.loaded.role, &book.plays[0].roles[0].role));
    let name = Node::string("comon", include.span.clone());
    let problems = load_role(&RoleRequest::new(&name), &site, &case.ctx).unwrap_err();
    assert_eq!(
        case.say(&problems),
        "site.yml:7:5: error: there is no role `comon`\n  help: did you mean `common`?\n  help: looked in roles, lib, "
            .to_owned()
            + &case.path().display().to_string()
    );
}

#[test]
fn what_is_wrong_in_a_role_is_told() {
    let case = case(&[
        ("roles/common/meta/main.yml", "dependencis: []\n"),
        (
            "roles/common/tasks/main.yml",
            "- copy: {src: nofile, dest: /x}\n- template: {src: sit.j2, dest: /x}\n- import_role: {name: common}\n",
        ),
        ("roles/common/templates/site.j2", ""),
        ("roles/web/meta/main.yml", "dependencies: [web, {role: lib, tasks_from: x}, {role: '{{ r }}'}]\n"),
        (
            "roles/web/meta/argument_specs.yml",
            "argument_specs:\n  main:\n    options:\n      port: {type: integer, requird: true}\n",
        ),
        ("roles/web/vars/two.yml", "- t\n"),
        (
            "roles/web/tasks/other.yml",
            "- import_role: {name: web, tasks_from: missing}\n- import_role: {name: '{{ x }}'}\n",
        ),
    ]);
    assert_eq!(
        case.bad(),
        "roles/common/meta/main.yml:1:1: error: unknown keyword `dependencis` in this role's meta file\n  help: did you mean `dependencies`?\n\
         roles/common/tasks/main.yml:1:15: error: there is no file `nofile`\n  help: looked for roles/common/files/nofile, roles/common/nofile, roles/common/tasks/files/nofile, roles/common/tasks/nofile, files/nofile, nofile\n\
         roles/common/tasks/main.yml:2:19: error: there is no template `sit.j2`\n  help: did you mean `site.j2`?\n  help: looked for roles/common/templates/sit.j2, roles/common/sit.j2, roles/common/tasks/templates/sit.j2, roles/common/tasks/sit.j2, templates/sit.j2, sit.j2\n\
         roles/common/tasks/main.yml:3:23: error: the role `common` leads to itself\n  help: remove it here, or use `include_role` with a `when` that ends it\n\
         roles/web/meta/argument_specs.yml:4:20: error: `type` can't be `integer`\n  help: it is one of `bits`, `bool`, `bytes`, `dict`, `float`, `int`, `json`, `jsonarg`, `list`, `path`, `raw`, `sid`, `str`\n\
         roles/web/meta/argument_specs.yml:4:29: error: unknown keyword `requird` in this option\n  help: did you mean `required`?\n\
         roles/web/meta/main.yml:1:16: error: the role `web` leads to itself\n  help: remove it here, or use `include_role` with a `when` that ends it\n\
         roles/web/meta/main.yml:1:33: error: `tasks_from` is not supported in a role\n  help: only `import_role` and `include_role` have it; write a task with one of them\n\
         roles/web/meta/main.yml:1:56: error: the name of a role can't be a template here\n  help: use `include_role` in a task\n\
         roles/web/tasks/other.yml:1:23: error: there is no file of the role `missing`\n  help: looked for roles/web/tasks/missing.yml\n\
         roles/web/tasks/other.yml:2:23: error: `name` of an import can't be a template\n  help: imports are read before any variable is known; use `include_role`\n\
         roles/web/vars/two.yml:1:1: error: a file of variables is a mapping, and this is a list\n  help: write each variable as `name: value`"
    );
}

#[test]
fn a_users_role_wins_over_a_built_in_one() {
    let mut case = Case::new(&[
        ("site.yml", "- hosts: all\n  roles: [nginx, python]\n"),
        ("roles/nginx/tasks/main.yml", "- debug: {msg: mine}\n"),
        ("shipped/roles/nginx/tasks/main.yml", "- debug: {msg: shipped}\n"),
        ("shipped/roles/python/tasks/main.yml", "- debug: {msg: shipped}\n"),
    ]);
    case.ctx.builtin = Some(case.path().join("shipped"));
    let book = case.good();
    assert_eq!(book.plays[0].roles[0].role.path, case.path().join("roles/nginx"));
    assert_eq!(first(&book.plays[0].roles[1].tasks).span.file.name, "built-in/roles/python/tasks/main.yml");
}
