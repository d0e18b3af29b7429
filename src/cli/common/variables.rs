//! `-e`: variables that win over all others.

use super::config::Config;
use super::findings::Findings;
use clap::Args;
use std::sync::Arc;
use windlass::engine::scope::Layer;
use windlass::playbook::{LoadContext, Vars, load_vars_file, parse_vars};
use windlass::source::Diagnostic;

/// Options for variables.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Variables")]
pub struct VariableArgs {
    /// Variables that win over all others: `name=value …`, JSON, YAML, or `@FILE`; repeatable
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
}

impl VariableArgs {
    /// The variables, lowest precedence first.
    pub fn load(&self, context: &LoadContext, config: &Config, findings: &mut Findings) -> Vec<Layer> {
        let mut layers = Vec::new();
        for text in &self.extra_vars {
            if let Some(vars) = findings.take(load(text, context, config)) {
                layers.push(Layer::Nodes(Arc::new(vars)));
            }
        }
        layers
    }
}

fn load(text: &str, context: &LoadContext, config: &Config) -> Result<Vars, Vec<Diagnostic>> {
    match text.trim_start().strip_prefix('@') {
        Some(file) => load_vars_file(&config.expand(file.trim()), context),
        None => parse_vars("-e", text, context),
    }
}
