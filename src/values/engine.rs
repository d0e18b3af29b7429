//! The template engine: set up once for the process, since all that differs between runs comes with the evaluation.

use super::decrypt::Decrypt;
use super::redact::Redactor;
use super::relax;
use super::scan::{self, Delimiters};
use super::{builtin, choose, filters, functions, lookups, tests};
use minijinja as mj;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError, RwLock};

/// How many instructions one evaluation may run: enough for loops over thousands of hosts, not for an endless one.
const FUEL: u64 = 20_000_000;

/// What templates need from outside.
#[derive(Clone)]
pub struct TemplarOptions {
    /// Opens vault texts.
    pub decrypt: Arc<dyn Decrypt>,
    /// Told every secret that is decrypted.
    pub redactor: Arc<Redactor>,
    /// The time for `now()`.
    pub clock: Arc<dyn Fn() -> jiff::Timestamp + Send + Sync>,
    /// The controller's environment, for `lookup('env')` and `~`.
    pub environment: Arc<BTreeMap<String, String>>,
    /// Where relative paths start when no search path has the file.
    pub directory: PathBuf,
    /// Mixed into every random draw.
    pub seed: u64,
    /// Told what a lookup with `errors='warn'` could not do; the same evaluation run again says it again.
    pub warn: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for TemplarOptions {
    fn default() -> Self {
        Self {
            decrypt: Arc::new(super::NoVault),
            redactor: Arc::default(),
            clock: Arc::new(jiff::Timestamp::now),
            environment: Arc::default(),
            directory: PathBuf::from("."),
            seed: 0,
            warn: Arc::new(|_| {}),
        }
    }
}

impl fmt::Debug for TemplarOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplarOptions").field("directory", &self.directory).finish_non_exhaustive()
    }
}

/// What the evaluations of one [`super::Templar`] share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub options: TemplarOptions,
    plain: Mutex<HashMap<u64, Arc<str>>>,
}

impl Engine {
    pub(crate) fn new(options: TemplarOptions) -> Arc<Self> {
        Arc::new(Self { options, plain: Mutex::default() })
    }

    /// The plain text of a vault text, remembered.
    pub(crate) fn decrypt(&self, armored: &str) -> Result<Arc<str>, String> {
        let key = super::random::mix(armored.as_bytes(), 0);
        if let Some(plain) = self.plain.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(plain));
        }
        let plain: Arc<str> = self.options.decrypt.decrypt(armored)?.into();
        self.options.redactor.add(&plain);
        self.plain.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::clone(&plain));
        Ok(plain)
    }
}

/// How a template is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Syntax {
    pub delimiters: Delimiters,
    pub trim_blocks: bool,
    pub lstrip_blocks: bool,
}

pub(crate) fn syntax_default() -> Syntax {
    Syntax { delimiters: Delimiters::default(), trim_blocks: true, lstrip_blocks: false }
}

static BASE: LazyLock<mj::Environment<'static>> = LazyLock::new(|| {
    let mut env = mj::Environment::new();
    env.set_undefined_behavior(mj::UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| mj::AutoEscape::None);
    env.set_debug(true);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(150);
    env.set_formatter(builtin::format);
    env.set_unknown_method_callback(builtin::method);
    env.set_loader(|name| {
        Ok(name.strip_prefix('\u{1}').and_then(|rest| rest.split_once('\u{0}')).map(|(_, text)| text.to_owned()))
    });
    env.set_path_join_callback(|name, parent| Cow::Owned(functions::find_template(name, parent)));
    builtin::register(&mut env);
    filters::register(&mut env);
    choose::register(&mut env);
    tests::register(&mut env);
    functions::register(&mut env);
    lookups::register(&mut env);
    env
});

/// An environment per way of writing templates; a handful in the life of a process, so that they may stay.
static ENVIRONMENTS: LazyLock<Mutex<HashMap<Syntax, &'static mj::Environment<'static>>>> =
    LazyLock::new(Mutex::default);

pub(crate) fn environment(syntax: &Syntax) -> Result<&'static mj::Environment<'static>, mj::Error> {
    let mut all = ENVIRONMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(env) = all.get(syntax) {
        return Ok(env);
    }
    let mut env = BASE.clone();
    let d = &syntax.delimiters;
    env.set_syntax(
        mj::syntax::SyntaxConfig::builder()
            .variable_delimiters(d.variable.0.clone(), d.variable.1.clone())
            .block_delimiters(d.block.0.clone(), d.block.1.clone())
            .comment_delimiters(d.comment.0.clone(), d.comment.1.clone())
            .trim_blocks(syntax.trim_blocks)
            .lstrip_blocks(syntax.lstrip_blocks)
            .keep_trailing_newline(true)
            .build()?,
    );
    let env: &'static _ = Box::leak(Box::new(env));
    all.insert(syntax.clone(), env);
    Ok(env)
}

/// The name under which the engine keeps a template: the text itself is in it, so that nothing stale is ever found.
pub(crate) fn template_key(name: &str, text: &str) -> String {
    format!("\u{1}{name}\u{0}{text}")
}

/// Renders a template.
pub(crate) fn render(syntax: &Syntax, name: &str, text: &str, context: mj::Value) -> Result<String, mj::Error> {
    environment(syntax)?.get_template(&template_key(name, text))?.render(context)
}

/// An expression, compiled.
pub(crate) struct Compiled {
    pub strict: mj::Expression<'static, 'static>,
    source: String,
    relaxed: OnceLock<Option<mj::Expression<'static, 'static>>>,
}

impl Compiled {
    /// The expression with chains that forgive, if it asks for that.
    pub(crate) fn relaxed(&self) -> Option<&mj::Expression<'static, 'static>> {
        self.relaxed
            .get_or_init(|| {
                if !forgives(&self.source) {
                    return None;
                }
                let (tokens, _) = scan::tokens(&self.source, 0, None);
                let relaxed = relax::relax(&self.source, &tokens, false)?;
                environment(&syntax_default()).ok()?.compile_expression_owned(relaxed).ok()
            })
            .as_ref()
    }
}

/// Whether a text has a word for what may be undefined.
pub(crate) fn forgives(text: &str) -> bool {
    const WORDS: [&str; 5] = ["default", "d", "defined", "undefined", "mandatory"];
    text.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| WORDS.contains(&word))
}

static EXPRESSIONS: LazyLock<RwLock<HashMap<String, Arc<Compiled>>>> = LazyLock::new(RwLock::default);

/// Compiles an expression, or finds it compiled.
pub(crate) fn expression(source: &str) -> Result<Arc<Compiled>, mj::Error> {
    if let Some(found) = EXPRESSIONS.read().unwrap_or_else(PoisonError::into_inner).get(source) {
        return Ok(Arc::clone(found));
    }
    let strict = environment(&syntax_default())?.compile_expression_owned(source.to_owned())?;
    let compiled = Arc::new(Compiled { strict, source: source.to_owned(), relaxed: OnceLock::new() });
    EXPRESSIONS.write().unwrap_or_else(PoisonError::into_inner).insert(source.to_owned(), Arc::clone(&compiled));
    Ok(compiled)
}

/// Whether a template compiles.
pub(crate) fn compile(syntax: &Syntax, name: &str, text: &str) -> Result<(), mj::Error> {
    environment(syntax)?.get_template(&template_key(name, text)).map(|_| ())
}
