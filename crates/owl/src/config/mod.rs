//! The configuration: one JSON5 file, strict, under the environment and the command line. Parsed once into [`Config`], which
//! cannot be wrong; everything that is wrong is reported at once, with its place.
//!
//! Nothing here connects to anything, and a message never quotes the file, which may hold secrets.
//!
//! Reading order: `raw.rs`, `raw_agent.rs`, `raw_egress.rs`, `raw_store.rs` and `raw_tools.rs` (every key), `raw_value.rs` (what keys hold), `env.rs` and `moved.rs`
//! (flags and variables), `json5.rs` (text to a tree with places), `shape.rs` (the tree against the schema), `build.rs`, `provider.rs`,
//! `agent.rs`, `egress.rs`, `media.rs`, `tools_build.rs`, `search.rs`, `template.rs` and `store.rs` (what it means), `secret.rs`,
//! `server_tls.rs`, `unit.rs`, `problem.rs`; then what people
//! read: `show.rs`, `schema.rs`, `reference.rs`.

mod raw;
mod raw_agent;
mod raw_egress;
mod raw_store;
mod raw_tools;
mod raw_value;

mod env;
mod moved;

mod json5;
mod policy_text;
mod shape;

mod agent;
mod build;
mod egress;
mod media;
mod provider;
mod search;
mod secret;
mod server_tls;
mod store;
mod template;
mod tools;
mod tools_build;
mod unit;

mod problem;

mod reference;
mod schema;
mod show;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use owl_egress::{PolicyRules, Secret, UpstreamOptions};
pub use tracing::Level;

pub use self::agent::{ApiSupport, Budget, CompatConfig};
pub use self::egress::EgressConfig;
pub use self::env::{Environment, Overrides};
pub use self::media::{MediaConfig, MediaMode};
pub use self::policy_text::{PolicyProblem, policy_rules};
pub use self::problem::{Problem, Problems};
pub use self::reference::reference;
pub use self::schema::{schema, schema_text};
pub use self::store::StoreConfig;
pub use self::tools::{
    CacheConfig, ENGINE_PLACES, EngineConfig, FetchConfig, HttpEngine, ImageConfig, SearchConfig, ToolsConfig,
};

pub(crate) use self::build::Terms;
use self::json5::{Node, SIZE_LIMIT, Value};
use self::problem::{KeyPath, Origin, Reporter};
use self::raw::RawConfig;

/// The configuration, ready to use.
#[derive(Clone, Debug)]
pub struct Config {
    /// The side that clients talk to.
    pub gateway: GatewayConfig,
    /// The inference servers, by id in alphabetical order; at least one, unless it was loaded for the tools.
    pub providers: Vec<ProviderConfig>,
    /// The tools for models.
    pub tools: ToolsConfig,
    /// What holds for everything that leaves Owl.
    pub egress: EgressConfig,
    /// Where Owl keeps what it remembers.
    pub store: StoreConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is not wrong but worth a word.
    pub warnings: Vec<Problem>,
    /// The file it was read from, if any.
    pub source: Option<PathBuf>,
}

/// The side that clients talk to.
#[derive(Clone, Debug)]
pub struct GatewayConfig {
    /// Where Owl listens. Without keys this is a loopback address.
    pub listen: SocketAddr,
    /// The keys that clients show; names and keys are unique.
    pub keys: Vec<ClientKey>,
    /// The listener's certificate.
    pub tls: Option<ServerTls>,
    /// Cross-origin requests.
    pub cors: Option<Cors>,
    /// What one client may ask for.
    pub limits: Limits,
    /// How long running answers may go on after SIGTERM.
    pub drain_timeout: Duration,
    /// Which addresses are open for URLs that clients put into requests.
    pub rules: PolicyRules,
    /// What becomes of such URLs.
    pub media: MediaConfig,
}

/// One client's key.
#[derive(Clone, Debug)]
pub struct ClientKey {
    /// What it is called in logs.
    pub name: String,
    /// The key.
    pub key: Secret,
    /// The tools that its requests offer unasked.
    pub auto_tools: Vec<String>,
}

/// The listener's certificate; both files were read at load, and fit together.
#[derive(Clone, Debug)]
pub struct ServerTls {
    /// The PEM file with the certificate and its chain.
    pub cert: PathBuf,
    /// The PEM file with the private key.
    pub key: PathBuf,
}

/// Cross-origin requests.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The origins, or `*` alone; at least one.
    pub origins: Vec<String>,
}

/// What one client may ask for.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest request body, in bytes.
    pub request_body: u64,
    /// The largest request line and headers together, in bytes.
    pub request_headers: usize,
    /// How many connections may be open.
    pub connections: usize,
    /// How long a client may take to send a request's headers, and how long its connection may be idle.
    pub header_timeout: Duration,
    /// How long a client may pause in a request's body.
    pub body_timeout: Duration,
}

/// One inference server.
#[derive(Clone, Debug)]
pub struct ProviderConfig {
    /// How it is reached; its name is the provider's id.
    pub upstream: UpstreamOptions,
    /// Its models.
    pub models: ModelsConfig,
    /// Whether it has the Responses API.
    pub responses: ApiSupport,
    /// Whether it has Anthropic's Messages API.
    pub messages: ApiSupport,
    /// What its server gets wrong.
    pub compat: CompatConfig,
    /// The tools that every request to it offers unasked.
    pub auto_tools: Vec<String>,
}

/// The models of one inference server.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// Whether clients may use whatever the server lists.
    pub all: bool,
    /// The models that are declared; names are unique.
    pub declared: Vec<DeclaredModel>,
    /// How often the server's list is read again.
    pub refresh: Duration,
}

/// A model that the configuration names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredModel {
    /// What clients say.
    pub name: String,
    /// What the server calls it.
    pub upstream: String,
}

/// What is logged.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// How records look.
    pub format: LogFormat,
    /// The least important record that is written.
    pub level: Level,
}

/// How records look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Text,
    /// One JSON object for each line.
    Json,
}

impl Config {
    /// Finds the file, reads it, and lays the process's environment and the flags over it.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load(overrides: &Overrides) -> Result<Self, Problems> {
        Self::load_with(overrides, &Environment::Process)
    }

    /// The same with another environment.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load_with(overrides: &Overrides, environment: &Environment) -> Result<Self, Problems> {
        Effective::load(overrides, environment, Terms::SERVER).map(|effective| effective.config)
    }

    /// The same for what works without an inference server, such as the tools: `providers` may be empty.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn load_for_tools(overrides: &Overrides, environment: &Environment) -> Result<Self, Problems> {
        Effective::load(overrides, environment, Terms::TOOLS).map(|effective| effective.config)
    }
}

/// Parses and builds a text as if it were a file, with an empty environment; no file is touched and no command is run. For
/// any bytes it ends without a panic: this is what is fuzzed.
///
/// # Errors
/// Everything that is wrong.
pub fn check_text(text: &[u8]) -> Result<Config, Problems> {
    let text = to_text(text, "owl.json5")?;
    let input = Input { source: Some(PathBuf::from("owl.json5")), text };
    Effective::build(input, &Overrides::default(), &Environment::these([]), Terms::SEALED)
        .map(|effective| effective.config)
}

/// A configuration together with where everything in it comes from.
pub(crate) struct Effective {
    pub(crate) config: Config,
    raw: RawConfig,
    tree: Node,
    input: Input,
    variables: BTreeMap<KeyPath, Vec<String>>,
    notes: BTreeMap<KeyPath, String>,
}

/// What a configuration is made from.
struct Input {
    source: Option<PathBuf>,
    text: String,
}

impl Input {
    fn name(&self) -> String {
        self.source.as_ref().map_or_else(String::new, |path| path.display().to_string())
    }
}

impl Effective {
    pub(crate) fn load(overrides: &Overrides, environment: &Environment, terms: Terms) -> Result<Self, Problems> {
        Self::build(find(overrides, environment)?, overrides, environment, terms)
    }

    fn build(input: Input, overrides: &Overrides, environment: &Environment, terms: Terms) -> Result<Self, Problems> {
        let name = input.name();
        let mut reporter = Reporter::new(&name, &input.text);
        let parsed = match input.source {
            Some(_) => json5::parse(&input.text),
            None => Ok(Node { origin: Origin::File { offset: 0 }, value: Value::Object(Vec::new()) }),
        };
        let mut tree = match parsed {
            Ok(tree) => tree,
            Err(error) => {
                let origin = Origin::File { offset: error.offset };
                let (message, help) = match foreign(input.source.as_deref(), &input.text) {
                    Some(language) => (format!("this looks like {language}, and Owl reads JSON5"), JSON5),
                    None => (error.message, error.help.unwrap_or_default()),
                };
                reporter.report(origin, &KeyPath::default(), message, help);
                return Err(reporter.finish().err().unwrap_or_else(never));
            }
        };
        env::lay_over(&mut tree, overrides, environment, &mut reporter);
        let sifted = shape::sift(&tree, environment, &mut reporter);
        env::warn_of_strays(environment, &sifted.variables, &mut reporter);
        let mut raw: RawConfig = match serde_json::from_value(sifted.json) {
            Ok(raw) => raw,
            Err(_) => {
                reporter.report_whole(never_sifted());
                RawConfig::default()
            }
        };
        let folder = input.source.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        let state_folder = environment.state_folder();
        let built =
            build::Builder::new(&tree, &mut reporter, folder, terms, &sifted.variables, state_folder).build(&mut raw);
        let warnings = reporter.finish()?;
        let built = built.ok_or_else(never)?;
        let config = Config {
            gateway: built.gateway,
            providers: built.providers,
            tools: built.tools,
            egress: built.egress,
            store: built.store,
            log: built.log,
            warnings,
            source: input.source.clone(),
        };
        Ok(Self { config, raw, tree, input, variables: sifted.variables, notes: built.notes })
    }

    /// The configuration as commented JSON5, without any secret.
    pub(crate) fn show(&self) -> String {
        let name = self.input.name();
        let reporter = Reporter::new(&name, &self.input.text);
        let place = |origin| reporter.place(origin);
        let provenance =
            show::Provenance { tree: &self.tree, place: &place, variables: &self.variables, notes: &self.notes };
        show::show(&self.raw, &provenance)
    }
}

/// The shape check let something through that the types refuse: a mistake of Owl's, which tests look for.
fn never_sifted() -> Problem {
    Problem::without_place(
        "Owl cannot read this configuration, although nothing is wrong with it",
        "please report this",
    )
}

fn never() -> Problems {
    never_sifted().into()
}

/// What to write in place of another language.
const JSON5: &str = "write it with braces, quotes and commas: { gateway: { listen: \"127.0.0.1:6950\" }, models: { providers: { … } } }";

/// The language of a text that is not JSON5, where its file's name or its first line tells.
fn foreign(file: Option<&Path>, text: &str) -> Option<&'static str> {
    match file.and_then(Path::extension).and_then(|extension| extension.to_str()) {
        Some("yaml" | "yml") => return Some("YAML"),
        Some("toml") => return Some("TOML"),
        _ => {}
    }
    let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?.trim_end();
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let yaml_key = |line: &str| line.split_once(':').is_some_and(|(key, rest)| word(key) && !rest.starts_with('/'));
    if first == "---" || yaml_key(first) {
        return Some("YAML");
    }
    let table = first.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let toml = table.is_some_and(word) || first.split_once(" = ").is_some_and(|(key, _)| word(key));
    toml.then_some("TOML")
}

/// The file that is named, or the first that is there, or none.
fn find(overrides: &Overrides, environment: &Environment) -> Result<Input, Problems> {
    if let Some(path) = overrides.config.clone().or_else(|| environment.named_file()) {
        return match read(&path)? {
            Some(text) => Ok(Input { source: Some(path), text }),
            None => Err(cannot_read(&path, "there is no such file").into()),
        };
    }
    for path in environment.search_path() {
        if let Some(text) = read(&path)? {
            return Ok(Input { source: Some(path), text });
        }
    }
    Ok(Input { source: None, text: String::new() })
}

/// The file's text, or `None` where there is no file.
fn read(path: &Path) -> Result<Option<String>, Problems> {
    let mut bytes = Vec::new();
    let limit = SIZE_LIMIT as u64 + 1;
    match std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => to_text(&bytes, &path.display().to_string()).map(Some),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(cannot_read(path, &error.to_string()).into()),
    }
}

fn cannot_read(path: &Path, reason: &str) -> Problem {
    let help = "name a readable file with --config or OWL_CONFIG";
    Problem::without_place(format!("{} cannot be read: {reason}", path.display()), help)
}

fn to_text(bytes: &[u8], name: &str) -> Result<String, Problems> {
    let (offset, message, help) = match std::str::from_utf8(bytes) {
        _ if bytes.len() > SIZE_LIMIT => (0, "the file is larger than 1 MiB", ""),
        Ok(text) => return Ok(text.to_owned()),
        Err(error) => (error.valid_up_to(), "this is not UTF-8", "save the file as UTF-8"),
    };
    let before = String::from_utf8_lossy(&bytes[..offset]);
    let mut reporter = Reporter::new(name, &before);
    reporter.report(Origin::File { offset }, &KeyPath::default(), message, help);
    Err(reporter.finish().err().unwrap_or_else(never))
}
