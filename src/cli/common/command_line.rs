//! The command line that a saved plan was made with, and how it is taken up again.

use super::PlaybookArgs;
use super::config::Config;
use crate::cli::{CommandError, ErrorKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use windlass::engine::event::Event;
use windlass::plan::Seal;
use windlass::report::{Report, Sink};

/// What the arguments meant when a plan was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandLine {
    pub playbooks: Vec<PathBuf>,
    pub inventory: Vec<String>,
    pub limit: Option<String>,
    pub roles_path: Vec<PathBuf>,
    pub extra_vars: Vec<ExtraVars>,
    pub tags: Vec<String>,
    pub skip_tags: Vec<String>,
    pub start_at_task: Option<String>,
    pub force_handlers: bool,
    #[serde(rename = "become")]
    pub become_: bool,
    pub become_user: Option<String>,
    pub become_method: Option<String>,
    /// `ansible.cfg`, if there was one.
    pub config: Option<PathBuf>,
    /// How hosts are reached, and where passwords come from (never the passwords). May be given anew.
    pub access: Map<String, Json>,
}

/// One `-e`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExtraVars {
    /// `@FILE`
    File(String),
    /// The digest of what was written: it may hold a secret.
    Digest(String),
}

impl ExtraVars {
    fn of(text: &str, seal: &Seal) -> Self {
        let text = text.trim();
        match text.strip_prefix('@') {
            Some(file) => Self::File(file.trim().to_owned()),
            None => Self::Digest(seal.slow(&seal.bytes("extra-vars", text.as_bytes()))),
        }
    }
}

impl CommandLine {
    /// What these arguments mean, with what `ansible.cfg` and the environment say.
    pub fn of(args: &PlaybookArgs, config: &Config, seal: &Seal) -> Result<Self, CommandError> {
        let workspace = &args.workspace;
        let mut options = windlass::engine::run::Options::default();
        args.privilege.apply(config, &mut options);
        args.selection.apply(&mut options)?;
        let roles_path =
            if workspace.roles_path.is_empty() { config.roles_path.clone() } else { workspace.roles_path.clone() };
        let extra_vars = workspace.variables.extra_vars.iter().map(|text| ExtraVars::of(text, seal)).collect();
        Ok(Self {
            playbooks: args.playbooks.clone(),
            inventory: workspace.inventory.sources(config)?,
            limit: workspace.inventory.limit.clone(),
            roles_path,
            extra_vars,
            tags: options.tags,
            skip_tags: options.skip_tags,
            start_at_task: options.start_at,
            force_handlers: options.force_handlers,
            become_: options.become_,
            become_user: options.become_user,
            become_method: options.become_method,
            config: config.file.clone(),
            access: access(args),
        })
    }

    /// The arguments that a plan is applied with: the plan's, with what was given anew of what may be.
    ///
    /// # Errors
    /// Something was given that the plan has settled.
    pub fn take_up(&self, given: &PlaybookArgs, seal: &Seal) -> Result<PlaybookArgs, CommandError> {
        let mut args = given.clone();
        args.playbooks.clone_from(&self.playbooks);
        let workspace = &mut args.workspace;
        settled("--inventory", &mut workspace.inventory.inventory, &self.inventory)?;
        settled("--limit", &mut workspace.inventory.limit, &self.limit)?;
        settled("--roles-path", &mut workspace.roles_path, &self.roles_path)?;
        settled("--tags", &mut args.selection.tags, &self.tags)?;
        settled("--skip-tags", &mut args.selection.skip_tags, &self.skip_tags)?;
        settled("--start-at-task", &mut args.selection.start_at_task, &self.start_at_task)?;
        settled("--force-handlers", &mut args.selection.force_handlers, &self.force_handlers)?;
        settled("--become", &mut args.privilege.become_, &self.become_)?;
        settled("--become-user", &mut args.privilege.become_user, &self.become_user)?;
        settled("--become-method", &mut args.privilege.become_method, &self.become_method)?;
        workspace.variables.extra_vars = self.extra_vars(&given.workspace.variables.extra_vars, seal)?;
        let mut merged = self.access.clone();
        for (name, value) in access(given) {
            // Two ways to give one password: what is given now stands alone.
            for other in other_ways(&name) {
                merged.remove(*other);
            }
            merged.insert(name, value);
        }
        take_access(&mut args, merged).map_err(|error| {
            CommandError::new(
                ErrorKind::Failed,
                format_args!("the plan says something of `access` that can't be used: {error}"),
            )
        })?;
        Ok(args)
    }

    fn extra_vars(&self, given: &[String], seal: &Seal) -> Result<Vec<String>, CommandError> {
        let mut rest: Vec<(ExtraVars, &String)> = given.iter().map(|text| (ExtraVars::of(text, seal), text)).collect();
        let mut out = Vec::new();
        let mut missing = 0;
        for wanted in &self.extra_vars {
            let at = rest.iter().position(|(is, _)| is == wanted);
            match (wanted, at) {
                (_, Some(at)) => out.push(rest.remove(at).1.clone()),
                (ExtraVars::File(file), None) => out.push(format!("@{file}")),
                (ExtraVars::Digest(_), None) => missing += 1,
            }
        }
        if missing > 0 {
            let all = self.extra_vars.iter().filter(|e| matches!(e, ExtraVars::Digest(_))).count();
            return Err(CommandError::usage(format_args!(
                "the plan was made with {all} `-e` on the command line, and {missing} of them {} not given, or differently",
                if missing == 1 { "was" } else { "were" }
            ))
            .hinted("give each `-e` again exactly as it was: their values may be secret, so that a plan does not keep them")
            .hinted("`-e @FILE` need not be given again"));
        }
        match rest.first() {
            None => Ok(out),
            Some(_) => Err(CommandError::usage("an `-e` was given that the plan was not made with")
                .hinted("leave it out, or make a new plan with it")),
        }
    }

    /// The name of something that means another thing here than when the plan was made.
    pub fn differs(&self, now: &Self) -> Option<String> {
        let (before, after) = (serde_json::to_value(self).ok()?, serde_json::to_value(now).ok()?);
        let (Json::Object(before), Json::Object(after)) = (before, after) else { return None };
        before.iter().find(|(name, value)| *name != "access" && after.get(*name) != Some(value)).map(|(n, _)| n.clone())
    }
}

/// An option that a plan has settled: may be given again, but not differently.
fn settled<T: Clone + Default + PartialEq>(option: &str, given: &mut T, planned: &T) -> Result<(), CommandError> {
    if *given != T::default() && given != planned {
        return Err(CommandError::usage(format_args!("`{option}` is settled by the plan, and was given differently"))
            .hinted("leave it out (also out of the environment), or make a new plan with it"));
    }
    given.clone_from(planned);
    Ok(())
}

/// The options of a password that stand in each other's place.
fn other_ways(name: &str) -> &'static [&'static str] {
    match name {
        "ask_pass" => &["connection_password_file"],
        "connection_password_file" => &["ask_pass"],
        "ask_become_pass" => &["become_password_file"],
        "become_password_file" => &["ask_become_pass"],
        "ask_vault_pass" | "vault_ids" | "vault_password_files" => {
            &["ask_vault_pass", "vault_ids", "vault_password_files"]
        }
        _ => &[],
    }
}

/// What was given of how hosts are reached and where passwords come from.
fn access(args: &PlaybookArgs) -> Map<String, Json> {
    let mut out = Map::new();
    let parts = [serde_json::to_value(&args.connection), serde_json::to_value(&args.workspace.vault)];
    for part in parts {
        if let Ok(Json::Object(part)) = part {
            out.extend(part);
        }
    }
    out.insert("ask_become_pass".to_owned(), args.privilege.ask_become_pass.into());
    out.insert(
        "become_password_file".to_owned(),
        serde_json::to_value(&args.privilege.become_password_file).unwrap_or_default(),
    );
    let empty = |value: &Json| match value {
        Json::Null | Json::Bool(false) => true,
        Json::Array(items) => items.is_empty(),
        _ => false,
    };
    out.retain(|_, value| !empty(value));
    out
}

fn take_access(args: &mut PlaybookArgs, mut access: Map<String, Json>) -> Result<(), serde_json::Error> {
    let ask = access.remove("ask_become_pass").unwrap_or(Json::Bool(false));
    args.privilege.ask_become_pass = serde_json::from_value(ask)?;
    let file = access.remove("become_password_file").unwrap_or(Json::Null);
    args.privilege.become_password_file = serde_json::from_value(file)?;
    args.connection = serde_json::from_value(Json::Object(access.clone()))?;
    args.workspace.vault = serde_json::from_value(Json::Object(access))?;
    Ok(())
}

/// Answers to a playbook's questions: asked while a plan is checked, and given again when it is applied.
#[derive(Clone, Default)]
pub struct Answers {
    known: Arc<Mutex<HashMap<String, Vec<Option<String>>>>>,
    /// How often each was asked in this run.
    asked: Arc<Mutex<HashMap<String, usize>>>,
}

impl Answers {
    /// The same answers, for the next run.
    pub fn again(&self) -> Self {
        Self { known: Arc::clone(&self.known), asked: Arc::default() }
    }

    /// The answer to a question, which is asked if nobody has yet.
    pub fn or_ask(&self, question: &str, ask: impl FnOnce() -> Option<String>) -> Option<String> {
        let place = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let place = asked.entry(question.to_owned()).or_insert(0);
            *place += 1;
            *place - 1
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = known.entry(question.to_owned()).or_default();
        if answers.len() <= place {
            answers.push(ask());
        }
        answers.get(place).cloned().flatten()
    }
}

/// A report that tells nothing.
pub struct Silent;

impl Report for Silent {
    fn event(&mut self, _: &Event, _: Duration, _: &mut dyn Sink) {}
    fn tick(&mut self, _: Duration, _: &mut dyn Sink) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use clap::Parser;
    use windlass::values::Redactor;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        book: PlaybookArgs,
    }

    fn args(words: &str) -> PlaybookArgs {
        Words::try_parse_from(format!("x {words}").split(' ')).unwrap().book
    }

    fn seal() -> Seal {
        Seal::new(Arc::new(Redactor::new())).unwrap()
    }

    fn line(words: &str, seal: &Seal) -> CommandLine {
        CommandLine::of(&args(words), &Config::default(), seal).unwrap()
    }

    #[test]
    fn a_command_line_is_taken_up_as_it_was() {
        let seal = seal();
        let line = line(
            "a.yml b.yml -i w, -l w -t x,y -b --become-user app -u me -c local -K --vault-id a@prompt -e @v",
            &seal,
        );
        let json = serde_json::to_string(&line).unwrap();
        let line: CommandLine = serde_json::from_str(&json).unwrap();
        let taken = line.take_up(&args("plan.json"), &seal).unwrap();
        assert_eq!(CommandLine::of(&taken, &Config::default(), &seal).unwrap(), line);
        assert_eq!(line.differs(&CommandLine { tags: vec![], ..line.clone() }).as_deref(), Some("tags"));
    }

    #[test]
    fn what_is_settled_may_not_be_given_differently_and_access_may() {
        let seal = seal();
        let line = line("a.yml -i w, -l w -K", &seal);
        assert!(line.take_up(&args("plan.json -i w, -l w"), &seal).is_ok());
        for other in ["-i v,", "-l v", "-t x", "-b", "--force-handlers"] {
            let error = line.take_up(&args(&format!("plan.json {other}")), &seal).unwrap_err();
            assert!(error.message.contains("is settled by the plan"), "{other}: {}", error.message);
        }
        let taken = line.take_up(&args("plan.json --become-password-file f -u you"), &seal).unwrap();
        assert!(!taken.privilege.ask_become_pass, "the file stands in the question's place");
        assert_eq!(taken.privilege.become_password_file, Some("f".into()));
    }

    #[test]
    fn values_of_extra_vars_are_not_kept_and_must_be_given_again() {
        let seal = seal();
        let line = line("a.yml -i w, -e pin=s3cret -e @vars.yml", &seal);
        assert!(!serde_json::to_string(&line).unwrap().contains("s3cret"));
        let vars = |words: &str| line.take_up(&args(words), &seal).map(|a| a.workspace.variables.extra_vars);
        assert_eq!(vars("plan.json -e pin=s3cret").unwrap(), ["pin=s3cret", "@vars.yml"]);
        assert!(vars("plan.json").unwrap_err().message.contains("1 of them was not given"));
        assert!(vars("plan.json -e pin=other").is_err());
        assert!(vars("plan.json -e pin=s3cret -e more=1").is_err());
    }

    #[test]
    fn a_question_is_asked_once() {
        let first = Answers::default();
        assert_eq!(first.or_ask("q", || Some("a".into())).as_deref(), Some("a"));
        assert_eq!(first.or_ask("q", || Some("b".into())).as_deref(), Some("b"));
        let then = first.again();
        assert_eq!(then.or_ask("q", || None).as_deref(), Some("a"));
        assert_eq!(then.or_ask("q", || None).as_deref(), Some("b"));
        assert_eq!(then.or_ask("p", || Some("c".into())).as_deref(), Some("c"));
    }
}
