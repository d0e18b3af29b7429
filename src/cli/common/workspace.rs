//! Everything that is read before any host is touched: inventory, variables, playbooks.

use super::config::Config;
use super::findings::Findings;
use super::inventory::InventoryArgs;
use super::terminal::Terminal;
use super::variables::VariableArgs;
use super::vault::{Keyring, VaultArgs};
use crate::cli::connector::Defaults;
use crate::cli::{CommandError, ErrorKind, Ui};
use clap::Args;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windlass::engine::scope::Layer;
use windlass::inventory::Inventory;
use windlass::playbook::{LoadContext, Playbook, embedded};
use windlass::source::Diagnostic;
use windlass::values::{Decrypt, Redactor, Templar, TemplarOptions};

/// Options for what is read.
#[derive(Debug, Clone, Default, Args)]
pub struct WorkspaceArgs {
    #[command(flatten)]
    pub inventory: InventoryArgs,
    #[command(flatten)]
    pub variables: VariableArgs,
    #[command(flatten)]
    pub vault: VaultArgs,
    /// Folders with roles, separated by colons; looked into after the `roles` folder beside the playbook
    #[arg(
        long,
        value_name = "FOLDERS",
        value_delimiter = ':',
        env = "WINDLASS_ROLES_PATH",
        help_heading = "Inventory"
    )]
    pub roles_path: Vec<PathBuf>,
}

/// Everything that is read before any host is touched.
pub struct Workspace {
    pub config: Config,
    pub terminal: Terminal,
    pub redactor: Arc<Redactor>,
    pub decrypt: Arc<dyn Decrypt>,
    pub templar: Arc<Templar>,
    pub loader: Arc<LoadContext>,
    /// What the command line says about connections, once passwords were asked for.
    pub defaults: OnceCell<Defaults>,
    /// What may be kept between runs, readable by its owner only.
    pub cache: PathBuf,
    /// Where the built-in roles lie, if they could be written nowhere but in a temporary folder.
    _builtin: Option<tempfile::TempDir>,
}

/// What a run works with.
#[derive(Clone)]
pub struct Loaded {
    pub playbook: Playbook,
    pub inventory: Arc<Inventory>,
    pub extra_vars: Vec<Layer>,
}

impl Workspace {
    /// Reads the configuration and the passwords.
    pub fn open(args: &WorkspaceArgs, progress: bool, ui: &mut Ui) -> Result<Workspace, CommandError> {
        Self::open_at(args, progress, None, ui)
    }

    /// The same; for templates the time stands still at `now` (seconds since 1970), if it is given.
    pub fn open_at(
        args: &WorkspaceArgs,
        progress: bool,
        now: Option<i64>,
        ui: &mut Ui,
    ) -> Result<Workspace, CommandError> {
        let Keyring { config, terminal, redactor, decrypt } = Keyring::open(&args.vault, progress, ui)?;
        let templar = Arc::new(Templar::new(TemplarOptions {
            decrypt: Arc::clone(&decrypt),
            redactor: Arc::clone(&redactor),
            environment: Arc::new(
                std::env::vars_os()
                    .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                    .collect(),
            ),
            directory: PathBuf::from("."),
            // Never told: what is drawn with it may be a password.
            seed: uuid::Uuid::now_v7().as_u64_pair().1,
            clock: clock(now),
            ..TemplarOptions::default()
        }));
        let mut loader = LoadContext::new(Arc::clone(&templar) as Arc<dyn windlass::playbook::Check>);
        loader.decrypt = Arc::clone(&decrypt);
        let folders = if args.roles_path.is_empty() { &config.roles_path } else { &args.roles_path };
        loader.roles_path = folders.iter().map(|p| config.expand(&p.to_string_lossy())).collect();
        let (builtin, temporary) = unpack(&config)?;
        loader.builtin = Some(builtin);
        let loader = Arc::new(loader);
        let defaults = OnceCell::new();
        let cache = cache_folder(&config);
        Ok(Workspace { config, terminal, redactor, decrypt, templar, loader, defaults, cache, _builtin: temporary })
    }

    /// Reads all that a run needs and shows everything that is wrong with it. `playbook` reads the plays.
    pub fn load(
        &self,
        args: &WorkspaceArgs,
        playbook_dirs: Vec<PathBuf>,
        playbook: impl FnOnce(&LoadContext, &mut Findings) -> Option<Playbook>,
        ui: &mut Ui,
    ) -> Result<Loaded, CommandError> {
        let mut findings = Findings::default();
        let inventory = args.inventory.load(&self.config, &self.decrypt, playbook_dirs, &mut findings);
        let extra_vars = args.variables.load(&self.loader, &self.config, &mut findings);
        let playbook = playbook(&self.loader, &mut findings);
        if let Some(playbook) = &playbook {
            findings.add(playbook.warnings.iter().cloned());
        }
        if let (Ok(Some(inventory)), Some(playbook)) = (&inventory, &playbook) {
            findings.add(hosts_that_are_not(inventory, playbook, args.inventory.limit.as_deref()));
        }
        // A missing inventory is told beside what is wrong in the playbook, not instead of it.
        let shown = findings.show(ui);
        let inventory = inventory?;
        shown?;
        match (playbook, inventory) {
            (Some(playbook), Some(inventory)) => Ok(Loaded { playbook, inventory: Arc::new(inventory), extra_vars }),
            _ => Err(CommandError::new(ErrorKind::Bug, "nothing was loaded, and nothing was said about it")),
        }
    }
}

fn clock(now: Option<i64>) -> Arc<dyn Fn() -> jiff::Timestamp + Send + Sync> {
    match now.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
        Some(time) => Arc::new(move || time),
        None => Arc::new(jiff::Timestamp::now),
    }
}

/// What is wrong with the patterns of plays and of `--limit`, where they are plain text.
fn hosts_that_are_not(inventory: &Inventory, playbook: &Playbook, limit: Option<&str>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut patterns = Vec::new();
    for play in &playbook.plays {
        let nodes = play.hosts.as_list().unwrap_or(std::slice::from_ref(&play.hosts));
        for node in nodes {
            match node.as_str() {
                Some(text) if !node.is_template() => {
                    found.extend(inventory.unmatched(text, &node.span));
                    patterns.push((text, &node.span));
                }
                _ => {}
            }
        }
    }
    for (pattern, span) in patterns {
        if let Err(mut problem) = inventory.select(pattern, limit) {
            problem.span.get_or_insert_with(|| span.clone());
            found.push(problem);
        }
    }
    found
}

fn cache_folder(config: &Config) -> PathBuf {
    std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|p| p.is_absolute())
        .unwrap_or_else(|| config.home().join(".cache"))
        .join("windlass")
}

/// Writes the built-in roles where they are found again, or else into a temporary folder.
fn unpack(config: &Config) -> Result<(PathBuf, Option<tempfile::TempDir>), CommandError> {
    let cache = cache_folder(config);
    if let Ok(folder) = private(&cache).and_then(|()| embedded::unpack(&cache)) {
        return Ok((folder, None));
    }
    let failed = |error| {
        CommandError::new(ErrorKind::CantCreate, format_args!("can't write the built-in roles anywhere: {error}"))
            .hinted("make room in, or give the right to write to, your cache folder or the one for temporary files")
    };
    let temporary = tempfile::Builder::new().prefix("windlass-").tempdir().map_err(failed)?;
    let folder = embedded::unpack(temporary.path()).map_err(failed)?;
    Ok((folder, Some(temporary)))
}

/// Makes a folder that only its owner can write to.
fn private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mode = std::fs::metadata(folder)?.permissions().mode();
    if mode & 0o022 != 0 {
        return Err(std::io::Error::other("others can write to it"));
    }
    Ok(())
}
