//! What is wrong, with its place and the way out.

use super::{Case, tasks};

fn play(text: &str) -> String {
    Case::new(&[("site.yml", text)]).bad()
}

#[test]
fn unknown_keywords_are_told_where_they_stand() {
    let said = play(
        "- hosts: all\n  becom: true\n  tasks:\n  - name: x\n    debug: {msg: hi}\n    beome_user: root\n    zzz: 1\n  - block: []\n    wen: x\n  - debug: {msg: hi}\n    loop: [1]\n    loop_control: {labl: x}\n",
    );
    assert_eq!(
        said,
        "site.yml:2:3: error: unknown keyword `becom` in this play\n  help: did you mean `become`?\n\
         site.yml:6:5: error: unknown keyword `beome_user` in this task\n  help: did you mean `become_user`?\n\
         site.yml:7:5: error: unknown keyword `zzz` in this task\n  help: if it is an argument of the module, indent it below the module's name\n\
         site.yml:9:5: error: unknown keyword `wen` in this block\n  help: did you mean `when`?\n\
         site.yml:12:20: error: unknown keyword `labl` in this loop_control\n  help: did you mean `label`?"
    );
}

#[test]
fn modules_and_their_arguments() {
    let said = tasks(
        "- dbug: {msg: hi}\n\
         - file: {path: /x, stat: absent}\n\
         - file: {state: absent}\n\
         - file: {path: /x, state: presnt}\n\
         - file: {path: /x, recurse: perhaps, mode: rwx}\n\
         - file: {path: /x, dest: /y}\n\
         - file: {path: /x}\n  copy: {dest: /x, content: y}\n\
         - name: nothing\n\
         - community.general.pacman: {name: x}\n\
         - ansible.posix.file: {path: x}\n\
         - yum: {name: x}\n\
         - file: {path: /x, become: true}\n\
         - file: /x\n\
         - command:\n\
         - copy: [x]\n",
    )
    .bad();
    assert_eq!(
        said,
        "site.yml:3:5: error: there is no module `dbug`\n  help: did you mean `debug`?\n\
         site.yml:4:22: error: `file` has no argument `stat`\n  help: did you mean `state`?\n\
         site.yml:5:5: error: `file` needs the argument `path`\n  help: add `path:` (a string): The path.\n\
         site.yml:6:29: error: `state` of `file` can't be `presnt`\n  help: it is one of `absent`, `directory`, `file`, `hard`, `link`, `touch`\n\
         site.yml:7:31: error: `recurse` of `file` must be a boolean, and this is `perhaps`\n  help: write `true` or `false`\n\
         site.yml:7:46: error: `mode` of `file` must be a file mode, and this is `rwx`\n  help: write it in quotes: octal as \"0644\", or symbolic as \"u=rw,go=r\"\n\
         site.yml:8:22: error: `path` and `dest` are the same argument\n  help: keep one of them\n\
         site.yml:10:5: error: this task has two modules\n  help: make two tasks of it; what belongs to a module is indented below its name\n\
         site.yml:11:5: error: this task has no module\n  help: name what it does, for example `ansible.builtin.command:`\n\
         site.yml:12:5: error: there is no module `community.general.pacman`\n  help: `command`, `shell` and `script` can run what no module does\n\
         site.yml:13:5: error: there is no module `ansible.posix.file`\n  help: did you mean `ansible.builtin.file`?\n\
         site.yml:14:5: error: there is no module `yum`\n  help: use `package`; hosts are Debian\n\
         site.yml:15:22: error: `file` has no argument `become`\n  help: `become` is a keyword of the task: indent it as far as the module's name\n\
         site.yml:16:11: error: `file` takes no plain text\n  help: write the arguments as a mapping, one `name: value` a line\n\
         site.yml:17:5: error: `command` has no command\n  help: write `command: COMMAND`\n\
         site.yml:18:11: error: the arguments of `copy` can't be a list\n  help: write them as a mapping, one `name: value` a line"
    );
}

#[test]
fn what_is_templated_is_not_judged_early() {
    let book = tasks(
        "- file: {path: '{{ p }}', state: '{{ s }}', recurse: '{{ r }}', mode: '{{ m }}'}\n\
         - file: '{{ all }}'\n\
         - file: {state: absent}\n  args: '{{ more }}'\n\
         - file: {state: absent}\n  module_defaults: {file: {path: /x}}\n\
         - copy: {src: '{{ f }}', dest: /x}\n\
         - include_tasks: '{{ f }}.yml'\n\
         - include_role: {name: '{{ r }}'}\n\
         - include_vars: '{{ v }}.yml'\n",
    )
    .good();
    assert_eq!(book.plays[0].tasks.len(), 8);
}

#[test]
fn templates_and_conditions_are_checked() {
    let said = tasks(
        "- debug: {msg: '{{ bad }}'}\n  when: bad(x)\n  vars: {x: '{{ bad2 }}'}\n  loop: ['{{ bad3 }}']\n\
         - assert: {that: [bad(1), fine]}\n\
         - debug: {var: bad(2)}\n",
    )
    .bad();
    assert_eq!(
        said,
        "site.yml:3:18: error: bad template\n\
         site.yml:4:11: error: bad expression\n\
         site.yml:5:15: error: bad template\n\
         site.yml:6:12: error: bad template\n\
         site.yml:7:21: error: bad expression\n\
         site.yml:8:18: error: bad expression"
    );
}

#[test]
fn what_belongs_elsewhere_is_refused() {
    let said = tasks(
        "- block: []\n  register: x\n  loop: [1]\n\
         - rescue: []\n\
         - debug: {msg: x}\n  listen: y\n  register: a-b\n  debugger: always\n\
         - debug: {msg: x}\n  loop: items\n\
         - debug: {msg: x}\n  loop: [1]\n  with_items: [2]\n\
         - debug: {msg: x}\n  with_itms: [2]\n\
         - debug: {msg: x}\n  become: perhaps\n  become_method: doas\n  connection: winrm\n  retries: many\n\
         - debug: {msg: x}\n  when: [[x]]\n  tags: '{{ t }}'\n  environment: A=b\n\
         - import_tasks: x.yml\n  loop: [1]\n\
         - include_tasks: a.yml\n  become: true\n  notify: x\n\
         - import_tasks: '{{ x }}.yml'\n  register: y\n\
         - meta: flush_handler\n\
         - include_vars: {name: x}\n\
         - include: x.yml\n\
         - debug: {msg: x}\n  vars: {a-b: 1}\n  no_log: [x]\n  notify: {a: b}\n\
         - just text\n\
         -\n",
    )
    .bad();
    assert_eq!(
        said,
        "site.yml:4:5: error: `register` is not supported in a block\n  help: give it to the tasks in the block\n\
         site.yml:5:5: error: `loop` is not supported in a block\n  help: put the tasks into a file of their own, and loop over it with `include_tasks`\n\
         site.yml:6:5: error: `rescue` and `always` need a `block`\n  help: put the tasks that may fail below `block:`\n\
         site.yml:8:5: error: `listen` is not supported in a task\n  help: only handlers listen; a task tells them with `notify`\n\
         site.yml:9:15: error: `a-b` is no name for a variable\n  help: use letters, digits and `_`: `a_b`\n\
         site.yml:10:5: error: `debugger` is not supported in a task\n  help: there is no debugger; run with -vvv, or add a `debug` task\n\
         site.yml:12:11: error: `loop`: a list is needed here, and this is a string\n  help: a variable is written `loop: \"{{ NAME }}\"`\n\
         site.yml:15:5: error: this task has two loops\n  help: keep one of them\n\
         site.yml:17:5: error: there is no loop `with_itms`\n  help: did you mean `with_items`?\n\
         site.yml:19:13: error: `become`: a boolean is needed here, and this is a string\n  help: write `true` or `false`\n\
         site.yml:20:20: error: `become_method` can't be `doas`\n  help: it is one of `sudo`, `su`\n\
         site.yml:21:17: error: `connection` can't be `winrm`\n  help: it is one of `ssh`, `local`, `smart`\n\
         site.yml:22:14: error: `retries`: an integer is needed here, and this is a string\n\
         site.yml:24:12: error: `when`: a condition must be true or false, and this is a list\n  help: write a comparison, such as `count > 0`\n\
         site.yml:25:11: error: a tag can't be a template\n  help: write the tag itself; which tasks run is decided before any variable is known\n\
         site.yml:26:18: error: `environment`: a mapping is needed here, and this is a string\n  help: write each variable as `NAME: value`\n\
         site.yml:27:19: error: there is no file of tasks `x.yml`\n  help: looked for x.yml, tasks/x.yml\n\
         site.yml:28:5: error: `loop` means nothing for `import_tasks`\n  help: an import is done once, before any host is known; use `include_tasks`\n\
         site.yml:29:20: error: there is no file of tasks `a.yml`\n  help: looked for a.yml, tasks/a.yml\n\
         site.yml:30:5: error: `become` means nothing for `include_tasks`\n  help: put it below `apply:` to give it to the tasks, or use `import_tasks`\n\
         site.yml:31:5: error: `notify` means nothing for `include_tasks`\n  help: put it below `apply:` to give it to the tasks, or use `import_tasks`\n\
         site.yml:31:13: error: there is no handler `x`\n  help: add a task of that name to `handlers:`, or `listen` to it there\n\
         site.yml:32:19: error: `file` of an import can't be a template\n  help: imports are read before any variable is known; use `include_tasks`\n\
         site.yml:33:5: error: `register` means nothing for `import_tasks`\n  help: give it to the tasks in that file\n\
         site.yml:34:11: error: `meta` can't do `flush_handler`\n  help: did you mean `flush_handlers`?\n  help: it is one of `clear_facts`, `clear_host_errors`, `end_batch`, `end_host`, `end_play`, `end_role`, `flush_handlers`, `noop`, `refresh_inventory`, `reset_connection`\n\
         site.yml:35:5: error: `include_vars` needs one of `file` and `dir`\n  help: write `include_vars: FILE`, or `include_vars: {dir: FOLDER}`\n\
         site.yml:36:5: error: there is no module `include`\n  help: use `include_tasks` or `import_tasks`\n\
         site.yml:38:12: error: `a-b` is no name for a variable\n  help: use letters, digits and `_`: `a_b`\n\
         site.yml:39:13: error: `no_log`: a boolean is needed here, and this is a list\n\
         site.yml:40:13: error: `notify`: text is needed here, and this is a mapping\n\
         site.yml:41:5: error: a task is a mapping, and this is a string\n  help: write the task as `key: value` lines\n\
         site.yml:42:4: error: this task is empty\n  help: remove the `-`"
    );
}

#[test]
fn plays_are_checked_as_a_whole() {
    let said = Case::new(&[(
        "site.yml",
        "- tasks: []\n- hosts: []\n- hosts: all\n  strategy: host_pinned\n  roles: x\n  serial: few\n  vars: [a]\n  \
         vars_files: [no.yml]\n  vars_prompt: [{name: a-b}, {prompt: x, encrypt: y}]\n  when: x\n  gather_facts: [x]\n  tasks: {debug: {}}\n  \
         order: random\n  deploy: x\n- import_playbook: no.yml\n  hosts: x\n- import_playbook: site.yml\n- import_playbook: '{{ x }}'\n- text\n",
    )])
    .bad();
    assert_eq!(
        said,
        "site.yml:1:3: error: this play has no `hosts`\n  help: add `hosts:`\n\
         site.yml:2:10: error: this play names no hosts\n  help: write a host, a group or a pattern, such as `all`\n\
         site.yml:4:13: error: the strategy `host_pinned` is not supported\n  help: use `free`\n\
         site.yml:5:10: error: `roles`: a list is needed here, and this is a string\n\
         site.yml:6:11: error: `serial`: an integer is needed here, and this is a string\n  help: write a number, or a percentage such as `30%`\n\
         site.yml:7:9: error: a block of variables is a mapping, and this is a list\n  help: write each variable as `name: value`\n\
         site.yml:8:16: error: there is no file of variables `no.yml`\n  help: looked for vars/no.yml, no.yml\n\
         site.yml:9:24: error: `a-b` is no name for a variable\n  help: use letters, digits and `_`: `a_b`\n\
         site.yml:9:30: error: this vars_prompt has no `name`\n  help: add `name:`\n\
         site.yml:9:42: error: `encrypt` is not supported in a vars_prompt\n  help: use the filter `password_hash` where the variable is used\n\
         site.yml:10:3: error: `when` is not supported in a play\n  help: put it on the tasks, or on a block around them\n\
         site.yml:11:17: error: `gather_facts`: a boolean is needed here, and this is a list\n\
         site.yml:12:10: error: a list of tasks is needed here, and this is a mapping\n  help: begin each of them with `- name: …`\n\
         site.yml:13:10: error: `order` can't be `random`\n  help: it is one of `inventory`, `reverse_inventory`, `sorted`, `reverse_sorted`, `shuffle`\n\
         site.yml:14:11: error: a play with `deploy` has no `roles`\n  help: put it in a play of its own, before or after this one\n\
         site.yml:14:11: error: `deploy` is a mapping, and this is a string\n  help: write `source: …` or `git: …` below it\n\
         site.yml:15:20: error: there is no playbook `no.yml`\n  help: looked for no.yml\n\
         site.yml:16:3: error: unknown keyword `hosts` in this playbook's import\n  help: a playbook's import knows: import_playbook, name, tags, vars, when\n\
         site.yml:17:20: error: `site.yml` imports itself\n  help: remove this import\n\
         site.yml:18:20: error: an imported playbook is named by plain text\n  help: imports are read before any variable is known: write the name of the file\n\
         site.yml:19:3: error: a play is a mapping, and this is a string\n  help: write the play as `key: value` lines"
    );
}

#[test]
fn a_playbook_is_a_list() {
    let said = play("hosts: all\n");
    assert_eq!(
        said,
        "site.yml:1:1: error: a playbook is a list of plays, and this is a mapping\n  help: begin each play with `- name: …` and `hosts: …`"
    );
}

#[test]
fn a_task_on_this_machine_may_make_the_file() {
    tasks("- command: make\n  delegate_to: localhost\n- copy: {src: made, dest: /x}\n").good();
    tasks("- copy: {src: there, dest: /x, remote_src: true}\n- copy: {content: '', dest: /x}\n").good();
    let said = tasks("- copy: src=made dest=/x\n").bad();
    assert_eq!(said, "site.yml:3:15: error: there is no file `made`\n  help: looked for files/made, made");
}

#[test]
fn what_is_notified_must_exist() {
    let files = |tasks: &str| {
        Case::new(&[
            (
                "site.yml",
                &format!("- hosts: all\n  tasks:\n{tasks}  handlers:\n  - {{name: Reload, debug: {{msg: x}}}}\n"),
            ),
            ("roles/r/tasks/main.yml", "- debug: {msg: x}\n  notify: [Restart r, Restrat r]\n"),
            ("roles/r/handlers/main.yml", "- {name: Restart r, debug: {msg: x}, listen: all of r}\n"),
        ])
    };
    let said = files("  - debug: {msg: x}\n    notify: [Reload, Relaod, zzz, '{{ any }}', Restart r]\n").bad();
    assert_eq!(
        said,
        "site.yml:4:22: error: there is no handler `Relaod`\n  help: did you mean `Reload`?\n\
         site.yml:4:30: error: there is no handler `zzz`\n  help: add a task of that name to `handlers:`, or `listen` to it there\n\
         site.yml:4:48: error: there is no handler `Restart r`\n  help: add a task of that name to `handlers:`, or `listen` to it there"
    );
    let used = "  - debug: {msg: x}\n    notify: ['r : Restart r', all of r]\n  - include_role: {name: r}\n";
    let case = files(used);
    assert_eq!(
        case.say(&case.good().warnings),
        "roles/r/tasks/main.yml:2:23: warning: there is no handler `Restrat r`\n  help: did you mean `Restart r`?"
    );
    files("  - debug: {msg: x}\n    notify: zzz\n  - include_tasks: '{{ x }}.yml'\n").good();
}

#[test]
fn the_real_checker_finds_unknown_filters_and_broken_templates() {
    let mut case = Case::new(&[
        (
            "site.yml",
            "- hosts: all\n  vars: {a: '{{ x | upr }}'}\n  tasks:\n  - debug: {msg: '{{ x'}\n    when: x is definde\n  \
             - template: {src: t.j2, dest: /x}\n",
        ),
        ("templates/t.j2", "a\n{% if x %}\n"),
    ]);
    case.ctx.check = std::sync::Arc::new(crate::values::Templar::new(crate::values::TemplarOptions::default()));
    assert_eq!(
        case.bad(),
        "site.yml:2:21: error: there is no filter `upr`\n\
         site.yml:4:22: error: this template can't be read: unexpected end of input, expected end of variable block\n\
         site.yml:5:16: error: there is no test `definde`\n  help: did you mean `defined`?\n\
         templates/t.j2:2:9: error: this template can't be read: unexpected end of input, expected end of block"
    );
}
