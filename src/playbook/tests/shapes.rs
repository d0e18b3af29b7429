//! What a good playbook becomes.

use super::{Case, args, first, task, tasks, texts};
use crate::playbook::*;

#[test]
fn a_play_keeps_all_that_it_says() {
    let case = Case::new(&[
        (
            "site.yml",
            "- name: Web\n  hosts: web:&prod\n  become: yes\n  become_user: '{{ who }}'\n  gather_facts: no\n  gather_subset: [min]\n  \
             vars: {a: 1, b: '{{ a }}'}\n  vars_files: [one.yml, [two.yml, one.yml], '{{ x }}.yml']\n  \
             vars_prompt:\n  - {name: p, prompt: 'P?', private: no}\n  serial: [1, 30%]\n  strategy: free\n  order: sorted\n  \
             max_fail_percentage: 20\n  any_errors_fatal: true\n  force_handlers: true\n  environment: {A: b}\n  tags: a, b\n  \
             module_defaults: {file: {mode: '0644'}}\n  collections: [community.general]\n  \
             pre_tasks:\n  - debug: {msg: pre}\n  tasks:\n  - debug: {msg: main}\n    notify: [h1, topic, h2]\n  post_tasks:\n  - debug: {msg: post}\n  \
             handlers:\n  - name: h1\n    debug: {msg: h}\n    listen: topic\n  - block:\n    - name: h2\n      debug: {msg: h}\n",
        ),
        ("one.yml", "c: 3\n"),
    ]);
    let book = case.good();
    let play = &book.plays[0];
    assert_eq!(play.hosts.as_str(), Some("web:&prod"));
    assert_eq!(play.keywords.vars.keys().map(|k| &**k).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(play.vars_files.iter().map(|f| f.candidates.len()).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!((play.serial.len(), play.strategy, play.order), (2, Strategy::Free, HostOrder::Sorted));
    assert_eq!(play.keywords.tags.iter().map(|k| &**k).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(play.keywords.module_defaults[0].module.name(), "file");
    assert!(!play.vars_prompt[0].private && !play.vars_prompt[0].confirm);
    assert_eq!(texts(&first(&play.tasks).notify), ["h1", "topic", "h2"]);
    assert_eq!(texts(&first(&play.handlers).listen), ["topic"]);
    assert!(matches!(&play.handlers[1], Item::Block(b) if b.body.len() == 1));
    let ids = [&play.pre_tasks, &play.tasks, &play.post_tasks].map(|t| first(t).id);
    assert!(ids[0] < ids[1] && ids[1] < ids[2]);
}

#[test]
fn all_spellings_of_a_module_mean_the_same() {
    let want = vec![("path".to_owned(), "/a b".to_owned()), ("state".to_owned(), "absent".to_owned())];
    for text in [
        "- file: {path: /a b, state: absent}",
        "- ansible.builtin.file: path='/a b' state=absent",
        "- action: file path='/a b' state=absent",
        "- action: {module: ansible.legacy.file, path: /a b, state: absent}",
        "- file: {path: /a b}\n  args: {state: absent}",
        "- file:\n  args: {path: /a b, state: absent}",
    ] {
        assert_eq!(args(&task(text)), want, "{text}");
    }
    let task = task("- local_action: file path='/a b' state=absent");
    assert_eq!(args(&task), want);
    assert_eq!(task.keywords.delegate_to.as_ref().unwrap().as_str(), Some("localhost"));
}

#[test]
fn a_command_line_stays_whole() {
    let task = task("- command: chdir=/x ls \"a b\" cmd=1 creates=/y\n  args: {stdin: in}\n");
    let pair = |k: &str, v: &str| (k.to_owned(), v.to_owned());
    assert_eq!(
        args(&task),
        [pair("chdir", "/x"), pair("creates", "/y"), pair("_raw_params", "ls \"a b\" cmd=1"), pair("stdin", "in")]
    );
}

#[test]
fn loops_and_results() {
    let task = task(
        "- debug: {msg: '{{ it }}'}\n  with_dict: '{{ d }}'\n  loop_control: {loop_var: it, index_var: n, label: '{{ n }}', pause: 0.5, extended: yes}\n  \
         register: out\n  until: out is succeeded\n  retries: 3\n  delay: 2\n  changed_when: false\n  failed_when: [a, b]\n  async: 60\n  poll: 5\n",
    );
    let loop_ = task.loop_.as_ref().unwrap();
    assert_eq!(loop_.kind, LoopKind::With("dict"));
    assert_eq!((&*loop_.control.loop_var, loop_.control.index_var.as_deref()), ("it", Some("n")));
    assert_eq!(task.register.as_deref(), Some("out"));
    assert_eq!((task.changed_when.len(), task.failed_when.len(), task.until.len()), (1, 2, 1));
}

#[test]
fn imports_are_in_place_and_includes_wait() {
    let case = Case::new(&[
        (
            "site.yml",
            "- hosts: all\n  tasks:\n  - import_tasks: sub/one.yml\n    tags: t\n    when: x\n    vars: {v: 1}\n  \
             - include_tasks: {file: sub/two.yml, apply: {become: true}}\n    loop: [1]\n  - include_tasks: sub/two.yml\n    args: {apply: {tags: [a]}}\n  \
             - include_vars: {file: v.yml, name: n}\n  - meta: flush_handlers\n- import_playbook: other.yml\n  vars: {w: 1}\n  when: y\n  tags: [p]\n",
        ),
        ("sub/one.yml", "- import_tasks: two.yml\n- debug: {msg: 1}\n"),
        ("sub/two.yml", "- debug: {msg: 2}\n- include_tasks: two.yml\n  when: false\n"),
        ("vars/v.yml", "a: 1\n"),
        ("other.yml", "- hosts: db\n  vars: {w: 2, u: 3}\n  tags: q\n"),
    ]);
    let book = case.good();
    let tasks = &book.plays[0].tasks;
    let Item::Block(block) = &tasks[0] else { panic!("{tasks:?}") };
    assert_eq!((texts(&block.keywords.when), &*block.keywords.tags[0]), (vec!["x"], "t"));
    assert!(matches!(&block.body[0], Item::Block(b) if b.body.len() == 2));
    let Item::Task(include) = &tasks[1] else { panic!() };
    assert!(matches!(&include.action, Action::IncludeTasks(i) if i.apply.become_.is_some()));
    assert!(
        matches!(&tasks[2], Item::Task(t) if matches!(&t.action, Action::IncludeTasks(i) if i.apply.tags.len() == 1))
    );
    assert!(matches!(&tasks[3], Item::Task(t) if matches!(&t.action, Action::IncludeVars(i) if i.name.is_some())));
    assert!(matches!(&tasks[4], Item::Task(t) if matches!(t.action, Action::Meta(MetaAction::FlushHandlers))));
    let other = &book.plays[1];
    assert_eq!(other.keywords.vars["w"].kind, crate::source::Kind::Int(1));
    assert_eq!(other.keywords.vars.len(), 2);
    assert_eq!(other.keywords.tags.iter().map(|t| &**t).collect::<Vec<_>>(), ["p", "q"]);
    assert_eq!(texts(&other.keywords.when), ["y"]);

    let found =
        load_tasks_file("sub/two.yml", &include.span, &Site::of(include, false, Vec::new()), &case.ctx).unwrap();
    let again = first(&found.loaded);
    assert_eq!(again.dir, case.path().join("sub"));
    assert!(again.id > include.id);
    let missing =
        load_tasks_file("no.yml", &include.span, &Site::of(include, false, Vec::new()), &case.ctx).unwrap_err();
    assert!(case.say(&missing).starts_with("site.yml:7:5: error: there is no file of tasks `no.yml`"));
}

#[test]
fn an_encrypted_file_shows_nothing_of_itself() {
    struct Opens;
    impl crate::values::Decrypt for Opens {
        fn decrypt(&self, _: &str) -> Result<String, String> {
            Ok("secret: hunter2\n1bad: hunter3\n".to_owned())
        }
    }
    let mut case = Case::new(&[
        ("site.yml", "- hosts: all\n  vars_files: [v.yml]\n"),
        ("v.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n"),
    ]);
    assert_eq!(
        case.bad(),
        "v.yml:1:1: error: can't open `v.yml`: it is encrypted, and no vault password was given\n  help: give the password with --vault-password-file or --ask-vault-pass"
    );
    case.ctx.decrypt = std::sync::Arc::new(Opens);
    let problems = case.load().unwrap_err();
    let shown = crate::source::render(&problems[0], crate::source::RenderOptions::default());
    assert!(shown.contains("v.yml:2:1") && !shown.contains("hunter"), "{shown}");
}

#[test]
fn a_block_has_its_parts() {
    let book = tasks("- name: b\n  block:\n  - debug: {msg: 1}\n  rescue:\n  - debug: {msg: 2}\n  always:\n  - debug: {msg: 3}\n  when: x\n").good();
    let Item::Block(block) = &book.plays[0].tasks[0] else { panic!() };
    assert_eq!((block.body.len(), block.rescue.len(), block.always.len()), (1, 1, 1));
    assert_eq!(texts(&block.keywords.when), ["x"]);
}

#[test]
fn tasks_are_listed_with_the_tags_they_inherit() {
    let case = Case::new(&[
        (
            "site.yml",
            "- hosts: all\n  tags: p\n  roles: [{role: r, tags: [x]}]\n  tasks:\n  - block:\n    - {name: one, debug: {msg: 1}, tags: 'b, a'}\n    tags: c\n  \
             - import_tasks: t.yml\n    tags: i\n  - {debug: {msg: 3}, tags: never}\n",
        ),
        ("t.yml", "- debug: {msg: 2}\n"),
        ("roles/r/tasks/main.yml", "- {name: two, debug: {msg: 1}, tags: always}\n"),
    ]);
    let play = &case.good().plays[0];
    let listed = |only: &[&str], skip: &[&str]| {
        let words = |list: &[&str]| list.iter().map(|w| std::sync::Arc::from(*w)).collect::<Vec<_>>();
        let all = play.listed(&words(only), &words(skip));
        all.iter().map(|l| format!("{} [{}]", l.name, l.tags.join(","))).collect::<Vec<_>>()
    };
    assert_eq!(listed(&[], &[]), ["r : two [always,p,x]", "one [a,b,c,p]", "debug [i,p]"]);
    assert_eq!(listed(&["i"], &[]), ["r : two [always,p,x]", "debug [i,p]"]);
    assert_eq!(listed(&["never"], &["always"]), ["debug [never,p]"]);
}

#[test]
fn a_slip_of_the_pen_in_a_roles_parameters_is_a_warning() {
    let case = Case::new(&[
        ("site.yml", "- hosts: all\n  roles: [{role: r, becom: true, level: 1}]\n"),
        ("roles/r/tasks/main.yml", ""),
    ]);
    let book = case.good();
    assert_eq!(
        case.say(&book.warnings),
        "site.yml:2:21: warning: `becom` is taken as a parameter of the role\n  help: did you mean the keyword `become`?"
    );
    assert_eq!(book.plays[0].roles[0].params.len(), 2);
}
