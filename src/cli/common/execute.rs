//! A run: the engine on one side, a report on the other, Ctrl-C and other wishes to end it between them.

use super::ask;
use super::command_line::{Answers, Silent};
use super::connection::ConnectionArgs;
use super::descriptors;
use super::interrupts::{Interrupt, Interrupts};
use super::privilege::PrivilegeArgs;
use super::terminal::Terminal;
use super::workspace::{Loaded, Workspace};
use crate::cli::connector::connector;
use crate::cli::ui::Printer;
use crate::cli::{CommandError, ErrorKind, Ui};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use indexmap::IndexMap;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use windlass::deploy::Releases;
use windlass::engine::event::Event;
use windlass::engine::machine::{Connector, Stop};
use windlass::engine::play::{Outcome, Runner};
use windlass::engine::run::{EngineKind, HostBase, Options, Shared, language_version};
use windlass::engine::scope::Layer;
use windlass::engine::watch::Watch;
use windlass::inventory::{HostName, Inventory, Shard};
use windlass::playbook::Playbook;
use windlass::report::{JsonReport, MarkdownReport, Progress, Report, Sink, TextOptions, TextReport};
use windlass::source::Diagnostic;
use windlass::transport::Secret;
use windlass::values::Redactor;

/// Options for what a run tells and how it works.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Show what differs in files
    #[arg(short = 'D', long)]
    pub diff: bool,
    /// Show round trips and bytes
    #[arg(long)]
    stats: bool,
    /// Print one JSON object a line for each event (see `docs/json.md`)
    #[arg(long, conflicts_with = "stats")]
    pub json: bool,
    /// Hosts that are worked on at once [default: 50]
    #[arg(short, long, value_name = "NUMBER", env = "WINDLASS_FORKS", help_heading = "Connection",
          value_parser = clap::value_parser!(u32).range(1..))]
    forks: Option<u32>,
    /// Which engine works; `plain` is the reference that the other must agree with
    #[arg(long, value_name = "NAME", hide = true, default_value = "ahead")]
    engine: Engine,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Engine {
    Ahead,
    Plain,
}

/// What to run.
pub struct Job<'a> {
    pub workspace: &'a Workspace,
    pub loaded: Loaded,
    pub connection: &'a ConnectionArgs,
    pub privilege: &'a PrivilegeArgs,
    pub output: &'a OutputArgs,
    pub limit: Option<String>,
    /// With everything but what the arguments here give.
    pub options: Options,
    /// Show every result's output.
    pub outputs: bool,
    /// Tell it in Markdown, at its end.
    pub markdown: bool,
    /// Who looks on, for a plan that is saved or held to.
    pub watched: Option<Watched>,
    /// Who brings plays with `deploy:` to their end.
    pub deployer: Option<Arc<Releases>>,
}

/// What a run has in common with the plan that it makes, checks or holds to.
pub struct Watched {
    pub watch: Arc<dyn Watch>,
    /// The plan's: all that is made of them comes out the same.
    pub id: String,
    pub started: i64,
    pub diff: bool,
    /// Tell nothing: it only checks.
    pub silent: bool,
    /// Answers to the playbook's questions, so that they are asked once.
    pub answers: Answers,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// It came to its end.
    Done(Outcome),
    /// Ctrl-C.
    Interrupted,
}

/// Runs it.
pub fn execute(job: Job<'_>, ui: &mut Ui) -> Result<Ending, CommandError> {
    let Job {
        workspace,
        loaded,
        connection,
        privilege,
        output,
        limit,
        mut options,
        outputs,
        markdown,
        watched,
        deployer,
    } = job;
    let (config, terminal) = (&workspace.config, &workspace.terminal);
    let verbosity = ui.verbosity();
    privilege.apply(config, &mut options);
    options.diff = watched.as_ref().map_or(output.diff, |w| w.diff);
    options.verbosity = verbosity;
    options.extra_vars = loaded.extra_vars;
    if let Some(found) = options.shard.filter(|s| s.divides()).and_then(|shard| indivisible(&loaded.playbook, shard)) {
        return Err(wrong(ui, &[found]));
    }
    options.forks = output.forks.map(|n| n as usize).or(config.forks).unwrap_or(options.forks);
    options.engine = match output.engine {
        Engine::Ahead => EngineKind::Ahead,
        Engine::Plain => EngineKind::Plain,
    };
    let defaults = match workspace.defaults.get() {
        Some(defaults) => defaults.clone(),
        None => {
            let mut defaults = connection.defaults(config, terminal)?;
            defaults.become_password = privilege.password(config, terminal)?;
            workspace.defaults.get_or_init(|| defaults).clone()
        }
    };
    let secrets = defaults.become_password.as_ref().map(Secret::expose);
    for secret in secrets.into_iter().chain(defaults.variables.get("ansible_password").map(String::as_str)) {
        workspace.redactor.add(secret);
    }
    let connector = connector(connection.context(config, terminal)?, defaults);

    let hosts = hosts(&loaded.inventory, &loaded.playbook, limit.as_deref());
    let (hosts, wanted) = hosts.map_err(|found| wrong(ui, &[found]))?;
    // Batches of a single play come one after the other, and need no more than the largest.
    if loaded.playbook.plays.iter().any(|play| play.serial.is_empty()) {
        let taken = |host: &&HostName| options.shard.is_none_or(|shard| shard.holds(host.as_str()));
        descriptors::ensure(wanted.iter().filter(taken).count())?;
    }
    hide_passwords(&hosts, workspace);
    let (events, received) = mpsc::unbounded_channel();
    let asking = terminal.clone();
    let silent = watched.as_ref().is_some_and(|w| w.silent);
    let answers = watched.as_ref().map(|w| w.answers.clone());
    let (id, started, watch) = match watched {
        Some(watched) => (watched.id, watched.started, Some(watched.watch)),
        None => (uuid::Uuid::now_v7().simple().to_string(), now(), None),
    };
    let shared = Arc::new(Shared {
        watch,
        slots: tokio::sync::Semaphore::new(options.forks),
        options,
        hosts,
        groups: loaded.inventory.groups_value(),
        templar: Arc::clone(&workspace.templar),
        loader: Arc::clone(&workspace.loader),
        connector,
        events,
        started,
        id,
        version: language_version(),
        home: Some(config.home().to_owned()),
        inventory: loaded.inventory,
        prompt: Arc::new(move |text, hidden| match &answers {
            Some(answers) => answers.or_ask(text, || ask::question(&asking, text, hidden)),
            None => ask::question(&asking, text, hidden),
        }),
    });
    let report: Box<dyn Report> = if silent {
        Box::new(Silent)
    } else if markdown {
        Box::new(MarkdownReport::new(Arc::clone(&workspace.redactor), output.diff))
    } else if output.json {
        Box::new(JsonReport::new(Arc::clone(&workspace.redactor), output.diff))
    } else {
        let quiet = ui.printer() == Printer::Quiet;
        let live = terminal.is_live();
        let text = TextOptions { verbosity, quiet, diff: output.diff, stats: output.stats, outputs, live };
        Box::new(TextReport::new(text, Arc::clone(&workspace.redactor)))
    };

    let connector = Arc::clone(&shared.connector);
    let interrupt = CancellationToken::new();
    let mut runner = Runner::new(shared, limit).interrupted_by(interrupt.clone());
    if let Some(deployer) = deployer {
        runner = runner.deployed_by(deployer);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("can't start the threads of the run")?;
    let mut telling = Telling {
        report,
        redactor: Arc::clone(&workspace.redactor),
        progress: Progress::default(),
        terminal: terminal.clone(),
        begun: Instant::now(),
        received,
        touched: false,
        over: false,
        interrupt,
        connector,
        stopping: JoinSet::new(),
        pressed: 0,
    };
    let ended = runtime.block_on(telling.run(runner, loaded.playbook, ui));
    terminal.clear();
    // What still hangs after a second Ctrl-C is left behind.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match ended {
        Ended::Outcome(_) if telling.interrupt.is_cancelled() => Ok(Ending::Interrupted),
        Ended::Outcome(outcome) => Ok(Ending::Done(outcome)),
        Ended::Wrong(found) => {
            let error = wrong(ui, &found);
            // Exit 65 promises that no host was touched.
            Err(if telling.touched { CommandError { kind: ErrorKind::HostFailed, ..error } } else { error })
        }
        Ended::Killed => Ok(Ending::Interrupted),
        Ended::Bug(message) => {
            Err(CommandError::new(ErrorKind::Bug, message)
                .hinted("please report it with the lines above and what you ran"))
        }
    }
}

enum Ended {
    Outcome(Outcome),
    Wrong(Vec<Diagnostic>),
    Killed,
    Bug(String),
}

/// The listening side of a run.
struct Telling {
    report: Box<dyn Report>,
    redactor: Arc<Redactor>,
    progress: Progress,
    terminal: Terminal,
    begun: Instant,
    received: mpsc::UnboundedReceiver<Event>,
    /// Whether anything ran on a host.
    touched: bool,
    /// Whether the last word is said.
    over: bool,
    interrupt: CancellationToken,
    connector: Arc<dyn Connector>,
    /// Hosts being told to stop; each gives what could not be stopped.
    stopping: JoinSet<Vec<String>>,
    /// How often Ctrl-C was pressed, or a signal came that means the same.
    pressed: u32,
}

/// How long a run may take to come to its end once all its commands were ended.
const END_WITHIN: Duration = Duration::from_secs(3);

impl Telling {
    async fn run(&mut self, runner: Runner, playbook: Playbook, ui: &mut Ui) -> Ended {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        // One listener for the whole run: a Ctrl-C that comes while something is printed counts, too.
        let mut interrupts = match Interrupts::listen() {
            Ok(interrupts) => interrupts,
            Err(error) => return Ended::Bug(format!("can't listen for signals: {error}")),
        };
        let mut run = tokio::spawn(async move { runner.run(&playbook).await });
        // After the second Ctrl-C: when the run is given up.
        let mut deadline = None;
        loop {
            tokio::select! {
                Some(event) = self.received.recv() => self.hear(event, ui),
                _ = tick.tick() => self.tick(ui),
                by = interrupts.recv() => {
                    if self.pressed >= 2 {
                        return Ended::Killed;
                    }
                    self.press(by, ui);
                }
                Some(said) = self.stopping.join_next() => {
                    self.said(said.unwrap_or_default(), ui);
                    if self.pressed >= 2 && self.stopping.is_empty() {
                        deadline = Some(tokio::time::Instant::now() + END_WITHIN);
                    }
                }
                () = sleep_until(deadline) => return Ended::Killed,
                result = &mut run => {
                    if let Ok(event) = self.received.try_recv() {
                        self.hear(event, ui);
                    }
                    // Whoever pressed twice wants to know what could not be ended.
                    while self.pressed >= 2 && let Some(said) = self.stopping.join_next().await {
                        self.said(said.unwrap_or_default(), ui);
                    }
                    return match result {
                        Ok(Ok(outcome)) => Ended::Outcome(outcome),
                        Ok(Err(found)) => Ended::Wrong(found),
                        Err(error) => Ended::Bug(format!("windlass met an error of its own and stopped: {error}")),
                    };
                }
            }
        }
    }

    /// Ctrl-C or its like: first nothing more begins, then what runs is ended.
    fn press(&mut self, by: Interrupt, ui: &mut Ui) {
        self.pressed += 1;
        self.interrupt.cancel();
        let connector = Arc::clone(&self.connector);
        let (by, again) = match by {
            Interrupt::CtrlC => ("", "Ctrl-C again"),
            Interrupt::Terminate => (" by SIGTERM", "a second one"),
            Interrupt::HangUp => (" (the terminal is gone)", "SIGTERM"),
        };
        let (how, text) = if self.pressed == 1 {
            let text = "nothing more is begun, and the commands that run come to their end";
            (Stop::Soon, format!("interrupted{by}: {text}; {again} ends them"))
        } else {
            let text = "the commands that run are ended; once more leaves them to themselves";
            (Stop::Now, format!("interrupted again{by}: {text}"))
        };
        self.terminal.suspend(|| ui.warn(text));
        self.stopping.spawn(async move { connector.stop(how).await });
    }

    fn said(&self, said: Vec<String>, ui: &mut Ui) {
        self.terminal.suspend(|| said.iter().for_each(|text| ui.warn(text)));
    }

    /// Tells an event and all that have come since, so that the terminal is drawn once for them.
    fn hear(&mut self, first: Event, ui: &mut Ui) {
        let mut lines = Vec::new();
        let mut next = Some(first);
        while let Some(event) = next {
            if let Event::Result(result) = &event {
                ui.annotate_result(result, &self.redactor);
            }
            self.touched |= matches!(event, Event::Result(_) | Event::TaskStart { .. });
            let at = self.begun.elapsed();
            self.progress.event(&event, at);
            self.report.event(&event, at, &mut lines);
            self.over |= matches!(event, Event::Recap { .. });
            next = self.received.try_recv().ok();
        }
        if self.over {
            self.terminal.clear();
        }
        self.print(&lines, ui);
    }

    fn tick(&mut self, ui: &mut Ui) {
        let at = self.begun.elapsed();
        let mut lines: Vec<String> = Vec::new();
        self.report.tick(at, &mut lines as &mut dyn Sink);
        self.print(&lines, ui);
        if self.terminal.is_live() && !self.over {
            self.terminal.draw(&self.progress.lines(at, 240));
        }
    }

    fn print(&self, lines: &[String], ui: &mut Ui) {
        if !lines.is_empty() {
            self.terminal.suspend(|| lines.iter().for_each(|line| ui.report(line)));
        }
    }
}

/// What `--shard` can't divide, as far as it stands in the playbook's text; the rest fails when its turn comes.
fn indivisible(playbook: &Playbook, shard: Shard) -> Option<Diagnostic> {
    for play in &playbook.plays {
        if let Some(call) = &play.deploy {
            let text = format!("a deploy can't be split (--shard {shard}): its hosts return as one");
            return Some(Diagnostic::error("shard", text, &call.span).help("run it as one job"));
        }
        let once = play.listed(&[], &[]).into_iter().find_map(|l| l.task.keywords.run_once.clone());
        if let Some(node) = once.filter(|n| n.is_template() || windlass::source::bool_of(n).unwrap_or(true)) {
            let text = format!("`run_once` can't be split (--shard {shard}): each job would run it once");
            return Some(
                Diagnostic::error("shard", text, &node.span)
                    .help("put such tasks into a playbook of their own that runs as one job"),
            );
        }
    }
    None
}

/// Until then, or for ever.
async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Shows what is wrong and says so.
fn wrong(ui: &mut Ui, found: &[Diagnostic]) -> CommandError {
    for diagnostic in found {
        ui.diagnostic(diagnostic);
    }
    CommandError::new(ErrorKind::Playbook, "the run can't begin, or go on, with this")
}

type Bases = IndexMap<Arc<str>, HostBase>;

/// What the inventory says of its hosts, and of this machine where a play names it without the inventory doing so; and
/// which of them take part.
fn hosts(
    inventory: &Inventory,
    playbook: &Playbook,
    limit: Option<&str>,
) -> Result<(Bases, HashSet<HostName>), Diagnostic> {
    let mut out = IndexMap::new();
    let mut wanted: Vec<HostName> = Vec::new();
    for play in &playbook.plays {
        let nodes = play.hosts.as_list().unwrap_or(std::slice::from_ref(&play.hosts));
        let plain = nodes.iter().map(|n| n.as_str().filter(|_| !n.is_template())).collect::<Option<Vec<_>>>();
        match plain {
            Some(parts) => wanted.extend(inventory.select(&parts.join(","), limit)?),
            // Any of them, or this machine.
            None => wanted.extend(inventory.hosts().into_iter().chain(["localhost".into()])),
        }
    }
    let wanted: HashSet<HostName> = wanted.into_iter().collect();
    let implicit = wanted.iter().filter(|h| !inventory.contains(h)).cloned();
    let all: Vec<HostName> = inventory.hosts().into_iter().chain(implicit).collect();
    for host in all {
        let layers = match inventory.variables(&host) {
            Ok(layers) => layers,
            Err(problem) if wanted.contains(&host) => return Err(problem),
            // Nobody needs it; whoever asks for its variables is told that there are none.
            Err(_) => continue,
        };
        let layers = layers.into_iter().map(|(_, vars)| Layer::Nodes(vars)).collect();
        out.insert(host.shared(), HostBase { layers, magic: Arc::new(inventory.magic(&host)) });
    }
    Ok((out, wanted))
}

/// Passwords that stand in the inventory as they are.
fn hide_passwords(hosts: &IndexMap<Arc<str>, HostBase>, workspace: &Workspace) {
    const NAMES: [&str; 6] = [
        "ansible_password",
        "ansible_ssh_pass",
        "ansible_ssh_password",
        "ansible_become_password",
        "ansible_become_pass",
        "ansible_sudo_pass",
    ];
    for layer in hosts.values().flat_map(|base| &base.layers) {
        let Layer::Nodes(vars) = layer else { continue };
        for text in NAMES.iter().filter_map(|name| vars.get(*name)?.as_str()) {
            workspace.redactor.add(text);
        }
    }
}

pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
