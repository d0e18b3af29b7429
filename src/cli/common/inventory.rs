//! Which hosts there are, and which of them take part.

use super::config::Config;
use super::findings::Findings;
use crate::cli::CommandError;
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use windlass::inventory::{Inventory, LoadContext, Shard};
use windlass::values::Decrypt;

/// The inventories that are taken where none is named.
const USUAL: [&str; 4] = ["inventory", "inventory.yml", "inventory.yaml", "hosts"];

/// Options for the inventory.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Inventory")]
pub struct InventoryArgs {
    /// Hosts: a file (INI, YAML or JSON), a program, a folder of these, or names with a comma (`web1,`); repeatable
    /// [default: that of ansible.cfg, else ./inventory, ./inventory.yml, ./inventory.yaml or ./hosts]
    #[arg(short, long, visible_alias = "inventory-file", value_name = "SOURCE", env = "WINDLASS_INVENTORY")]
    pub inventory: Vec<String>,
    /// Only hosts that also match this pattern; `@FILE` names a file of patterns
    #[arg(short, long, visible_alias = "subset", value_name = "PATTERN")]
    pub limit: Option<String>,
    /// Only part K of N of the hosts, by a hash of their names: N jobs share the inventory
    #[arg(long, value_name = "K/N", env = "WINDLASS_SHARD")]
    pub shard: Option<Shard>,
}

impl InventoryArgs {
    /// The sources that are read.
    pub fn sources(&self, config: &Config) -> Result<Vec<String>, CommandError> {
        let given = if self.inventory.is_empty() { &config.inventory } else { &self.inventory };
        let mut sources = Vec::new();
        for source in given {
            if source.contains(',') {
                sources.push(source.clone());
                continue;
            }
            let path = config.expand(source);
            if !path.exists() {
                return Err(missing(source));
            }
            sources.push(path.to_string_lossy().into_owned());
        }
        if sources.is_empty() {
            let usual = USUAL.iter().find(|name| Path::new(name).exists());
            sources.extend(usual.map(|name| (*name).to_owned()));
        }
        if sources.is_empty() {
            return Err(CommandError::usage("no inventory: it is not known which hosts there are")
                .hinted("name one with `-i FILE`, or hosts themselves with `-i web1,web2,` (mind the comma)")
                .hinted("without `-i`, ./inventory, ./inventory.yml, ./inventory.yaml and ./hosts are looked for"));
        }
        Ok(sources)
    }

    /// Reads the inventory.
    pub fn load(
        &self,
        config: &Config,
        decrypt: &Arc<dyn Decrypt>,
        playbook_dirs: Vec<PathBuf>,
        findings: &mut Findings,
    ) -> Result<Option<Inventory>, CommandError> {
        let sources = self.sources(config)?;
        let context = LoadContext { decrypt: Arc::clone(decrypt), playbook_dirs };
        let inventory = findings.take(Inventory::load(&sources, context));
        if let Some(inventory) = &inventory {
            findings.add(inventory.warnings().iter().cloned());
        }
        Ok(inventory)
    }
}

fn missing(source: &str) -> CommandError {
    let error = CommandError::usage(format_args!("there is no inventory `{source}`"));
    let folder = Path::new(source).parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|all| all.flatten().filter_map(|e| e.file_name().into_string().ok()).take(1000).collect())
        .unwrap_or_default();
    let name = Path::new(source).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match windlass::source::suggest(&name, &names) {
        Some(near) => {
            error.hinted(format_args!("did you mean `{}`?", Path::new(source).with_file_name(near).display()))
        }
        None => error.hinted("check the path; a list of hosts needs a comma: `-i web1,`"),
    }
}
