//! A play as a line of instructions, with the blocks that catch failures.
//!
//! Every host has a place of its own in the code; places compare in the order of the playbook, which is what barriers
//! need.

use crate::playbook::{Action, Block, Item, Keywords, ModuleCall, Play, RoleUse, SearchPath, Task, TaskId};
use crate::source::{Entry, Node, bool_of};
use std::sync::Arc;

/// What a task inherits from the play, the roles and the blocks around it.
#[derive(Debug, Clone)]
pub struct Context {
    /// Outermost first.
    pub chain: Vec<Arc<Keywords>>,
    /// The roles it stands in, outermost first.
    pub roles: Vec<Arc<RoleUse>>,
    /// Handlers told when a task in an enclosing block changed something.
    pub notify: Vec<Node>,
}

/// A task where it stands.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The task.
    pub task: Arc<Task>,
    /// What it inherits.
    pub context: Arc<Context>,
}

/// One instruction.
#[derive(Debug, Clone)]
pub enum Instr {
    /// A task.
    Task(Arc<Unit>),
    /// Run the handlers that were notified.
    Flush,
    /// Go on there.
    Jump(usize),
    /// The end of a block's `always`: a failure that was held back goes on outwards.
    Release(usize),
    /// The beginning of a role: goes to the end if an equal use has run.
    EnterRole {
        /// The use.
        role: Arc<RoleUse>,
        /// The instruction after the role.
        end: usize,
    },
    /// The end of a role.
    LeaveRole(Arc<RoleUse>),
    /// A handler: it runs if it was notified.
    Handler {
        /// The instruction after its tasks.
        end: usize,
        /// Its place in the list of handlers.
        index: usize,
    },
}

/// What catches failures.
#[derive(Debug, Clone)]
pub struct Region {
    /// Instructions whose failure it catches.
    pub body: std::ops::Range<usize>,
    /// Where its `rescue` lies; empty if it has none.
    pub rescue: std::ops::Range<usize>,
    /// Where its `always` begins.
    pub always: usize,
    /// The instruction after all of it.
    pub end: usize,
}

/// A line of instructions.
#[derive(Debug, Clone, Default)]
pub struct Code {
    /// In order.
    pub instrs: Vec<Instr>,
    /// Inner regions come before outer ones.
    pub regions: Vec<Region>,
}

/// A handler, or a block of them.
#[derive(Debug, Clone)]
pub struct HandlerInfo {
    /// What it is notified by.
    pub name: Option<Node>,
    /// Topics that it listens to.
    pub listen: Vec<Node>,
    /// The role it belongs to.
    pub role: Option<Arc<str>>,
    /// For variables in its name.
    pub context: Arc<Context>,
}

/// A play, compiled.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The play.
    pub play: Arc<Play>,
    /// Its tasks in order.
    pub main: Arc<Code>,
    /// Its handlers, each behind an [`Instr::Handler`].
    pub handlers: Arc<Code>,
    /// What the handlers are notified by.
    pub infos: Arc<Vec<HandlerInfo>>,
    /// What the play itself gives.
    pub root: Arc<Context>,
}

/// Handlers of roles that an include brought.
#[derive(Debug)]
pub struct HandlerSet {
    /// The roles.
    pub uses: Vec<Arc<RoleUse>>,
    /// The handlers, each behind an [`Instr::Handler`].
    pub code: Arc<Code>,
    /// What they are notified by.
    pub infos: Vec<HandlerInfo>,
}

impl HandlerSet {
    /// The handlers of these roles.
    pub fn of(uses: Vec<Arc<RoleUse>>, context: &Arc<Context>) -> Self {
        let mut code = Code::default();
        let mut infos = Vec::new();
        for role in &uses {
            code.handlers(&role.handlers, &within(context, role), Some(&role.role.name), &mut infos);
        }
        Self { uses, code: Arc::new(code), infos }
    }
}

/// Compiles a play.
pub fn compile(play: &Arc<Play>) -> Compiled {
    let root = Arc::new(Context { chain: vec![Arc::clone(&play.keywords)], roles: Vec::new(), notify: Vec::new() });
    let mut main = Code::default();
    if let Some(unit) = gathering(play, &root) {
        main.instrs.push(Instr::Task(Arc::new(unit)));
    }
    main.items(&play.pre_tasks, &root);
    main.instrs.push(Instr::Flush);
    for role in &play.roles {
        main.role(role, &root);
    }
    main.items(&play.tasks, &root);
    main.instrs.push(Instr::Flush);
    main.items(&play.post_tasks, &root);
    main.instrs.push(Instr::Flush);

    let mut handlers = Code::default();
    let mut infos = Vec::new();
    for role in &play.role_uses {
        let context = within(&root, role);
        handlers.handlers(&role.handlers, &context, Some(&role.role.name), &mut infos);
    }
    handlers.handlers(&play.handlers, &root, None, &mut infos);
    Compiled {
        play: Arc::clone(play),
        main: Arc::new(main),
        handlers: Arc::new(handlers),
        infos: Arc::new(infos),
        root,
    }
}

/// The play itself as if it were a task: for what stands beside its tasks and needs to know who works where.
pub fn whole(compiled: &Compiled) -> Option<Unit> {
    let play = Play { gather_facts: None, ..(*compiled.play).clone() };
    gathering(&Arc::new(play), &compiled.root)
}

/// The task that gathers facts: it stands in no file.
pub const GATHERING: TaskId = TaskId(u32::MAX);

/// The task that gathers facts, unless the play says that none are wanted.
fn gathering(play: &Arc<Play>, root: &Arc<Context>) -> Option<Unit> {
    if play.gather_facts.as_ref().is_some_and(|n| bool_of(n).is_ok_and(|wanted| !wanted)) {
        return None;
    }
    let module = crate::modules::find("setup")?;
    let entry = |key: &str, node: &Option<Node>| {
        node.as_ref().map(|n| Entry { key: key.into(), key_span: n.span.clone(), value: n.clone() })
    };
    let args = [entry("gather_subset", &play.gather_subset), entry("gather_timeout", &play.gather_timeout)];
    let keywords = Keywords { tags: vec!["always".into()], ..Keywords::default() };
    let task = Task {
        id: GATHERING,
        name: Some(Node::string("Gathering Facts", play.span.clone())),
        span: play.span.clone(),
        keywords: Arc::new(keywords),
        action: Action::Module(ModuleCall {
            module,
            name_span: play.span.clone(),
            args: args.into_iter().flatten().collect(),
            base: None,
        }),
        loop_: None,
        register: None,
        changed_when: Vec::new(),
        failed_when: Vec::new(),
        until: Vec::new(),
        retries: None,
        delay: None,
        notify: Vec::new(),
        listen: Vec::new(),
        async_: None,
        poll: None,
        role: None,
        search: Arc::new(SearchPath::of_play(&play.base_dir)),
        dir: play.base_dir.clone(),
    };
    Some(Unit { task: Arc::new(task), context: Arc::clone(root) })
}

/// The context of a role's tasks.
pub fn within(context: &Arc<Context>, role: &Arc<RoleUse>) -> Arc<Context> {
    let mut inner = (**context).clone();
    inner.chain.push(Arc::clone(&role.keywords));
    inner.roles.push(Arc::clone(role));
    Arc::new(inner)
}

/// The context with further keywords (`apply`, the keywords of an include).
pub fn with_keywords(context: &Arc<Context>, keywords: &Arc<Keywords>) -> Arc<Context> {
    let mut inner = (**context).clone();
    inner.chain.push(Arc::clone(keywords));
    Arc::new(inner)
}

impl Code {
    /// The instructions of a list of items, to be run for an include.
    pub fn of(items: &[Item], context: &Arc<Context>) -> Self {
        let mut code = Self::default();
        code.items(items, context);
        code
    }

    /// The instructions of a role, to be run for an include.
    pub fn of_role(role: &Arc<RoleUse>, context: &Arc<Context>) -> Self {
        let mut code = Self::default();
        code.role(role, context);
        code
    }

    fn items(&mut self, items: &[Item], context: &Arc<Context>) {
        for item in items {
            match item {
                Item::Task(task) => self
                    .instrs
                    .push(Instr::Task(Arc::new(Unit { task: Arc::clone(task), context: Arc::clone(context) }))),
                Item::Block(block) => self.block(block, context),
                Item::Role(role) => self.role(role, context),
            }
        }
    }

    fn block(&mut self, block: &Arc<Block>, context: &Arc<Context>) {
        let mut inner = (**context).clone();
        inner.chain.push(Arc::clone(&block.keywords));
        inner.notify.extend(block.notify.iter().cloned());
        let inner = Arc::new(inner);
        if block.rescue.is_empty() && block.always.is_empty() {
            self.items(&block.body, &inner);
            return;
        }
        let start = self.instrs.len();
        self.items(&block.body, &inner);
        let jump = self.instrs.len();
        self.instrs.push(Instr::Jump(0));
        let body = start..self.instrs.len();
        let rescue_start = self.instrs.len();
        self.items(&block.rescue, &inner);
        let rescue = rescue_start..self.instrs.len();
        let always = self.instrs.len();
        self.instrs[jump] = Instr::Jump(always);
        self.items(&block.always, &inner);
        let region = self.regions.len();
        self.instrs.push(Instr::Release(region));
        self.regions.push(Region { body, rescue, always, end: self.instrs.len() });
    }

    fn role(&mut self, role: &Arc<RoleUse>, context: &Arc<Context>) {
        let context = within(context, role);
        for dependency in &role.dependencies {
            self.role(dependency, &context);
        }
        let enter = self.instrs.len();
        self.instrs.push(Instr::Jump(0));
        self.items(&role.tasks, &context);
        self.instrs.push(Instr::LeaveRole(Arc::clone(role)));
        self.instrs[enter] = Instr::EnterRole { role: Arc::clone(role), end: self.instrs.len() };
    }

    fn handlers(
        &mut self,
        items: &[Item],
        context: &Arc<Context>,
        role: Option<&Arc<str>>,
        infos: &mut Vec<HandlerInfo>,
    ) {
        for item in items {
            let (name, listen) = match item {
                Item::Task(task) => (task.name.clone(), task.listen.clone()),
                Item::Block(block) => (block.name.clone(), block.listen.clone()),
                Item::Role(_) => (None, Vec::new()),
            };
            // A file that `import_tasks` brought in has no name of its own: each of its handlers stands for itself.
            if let Item::Block(block) = item
                && name.is_none()
                && listen.is_empty()
            {
                let mut inner = (**context).clone();
                inner.chain.push(Arc::clone(&block.keywords));
                self.handlers(&block.body, &Arc::new(inner), role, infos);
                continue;
            }
            let index = infos.len();
            infos.push(HandlerInfo { name, listen, role: role.cloned(), context: Arc::clone(context) });
            let at = self.instrs.len();
            self.instrs.push(Instr::Jump(0));
            self.items(std::slice::from_ref(item), context);
            self.instrs[at] = Instr::Handler { end: self.instrs.len(), index };
        }
    }

    /// Where a failure at `pc` goes: the instruction to go on at, and the region whose `always` runs with the failure
    /// held back (none for a `rescue`, which ends the failure). None if nothing here catches it.
    ///
    /// `released` is the region whose `always` has just ended with a failure held back: only those around it count.
    pub fn catch(&self, pc: usize, released: Option<usize>) -> Option<(usize, Option<usize>)> {
        for (number, region) in self.regions.iter().enumerate() {
            if released.is_some_and(|r| number <= r) {
                continue;
            }
            if region.body.contains(&pc) && !region.rescue.is_empty() {
                return Some((region.rescue.start, None));
            }
            // A region without an `always` holds only its `Release`: there is nothing to run there.
            let has_always = region.always + 1 < region.end;
            if (region.body.contains(&pc) || region.rescue.contains(&pc)) && has_always {
                return Some((region.always, Some(number)));
            }
        }
        None
    }
}

impl Context {
    /// The innermost value of a keyword, the task's own first.
    pub fn innermost<'a>(
        &'a self,
        own: &'a Keywords,
        pick: impl Fn(&'a Keywords) -> Option<&'a Node>,
    ) -> Option<&'a Node> {
        pick(own).or_else(|| self.chain.iter().rev().find_map(|k| pick(k)))
    }

    /// All tags, inherited and own.
    pub fn tags(&self, own: &Keywords) -> Vec<Arc<str>> {
        let mut tags: Vec<Arc<str>> = Vec::new();
        for tag in self.chain.iter().flat_map(|k| &k.tags).chain(&own.tags) {
            if !tags.contains(tag) {
                tags.push(Arc::clone(tag));
            }
        }
        tags
    }
}
