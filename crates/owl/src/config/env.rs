//! The one place that reads the environment, and what the command line and the environment say about the configuration.
//!
//! [`Overrides`] are the flags; each has a variable of the same name, the flag wins over the variable, and both win over the
//! file. They are laid into the file's tree before anything is checked, so that one set of rules and messages serves all three.

use std::collections::BTreeMap;
use std::path::PathBuf;

use owl_egress::Secret;

use super::json5::{Member, Node, Value};
use super::moved;
use super::problem::{KeyPath, Origin, Problem, Reporter};
use super::shape::nearest;

/// The values of flags. Every field wins over the variable of the same name.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// The configuration file [env: OWL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where the inference server's API begins [env: OWL_BASE_URL]
    #[arg(long, value_name = "URL", value_parser = secret)]
    pub base_url: Option<Secret>,
    /// The inference server's key; the variable keeps it out of the process list [env: OWL_API_KEY]
    #[arg(long, value_name = "KEY", value_parser = secret)]
    pub api_key: Option<Secret>,
    /// How the key is sent [env: OWL_AUTH]
    #[arg(long, value_name = "KIND", value_parser = ["bearer", "basic", "none"])]
    pub auth: Option<String>,
    /// The inference server may be on a private network or on this machine [env: OWL_ALLOW_PRIVATE_NETWORK]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub allow_private_network: Option<bool>,
    /// A key that clients must show; the variable keeps it out of the process list [env: OWL_GATEWAY_KEY]
    #[arg(long, value_name = "KEY", value_parser = secret)]
    pub gateway_key: Option<Secret>,
    /// The address and port to listen on [env: OWL_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Where variables are looked up.
#[derive(Clone)]
pub enum Environment {
    /// The process's own.
    Process,
    /// Exactly these.
    These(BTreeMap<String, String>),
}

/// A folder, and the variable that names it.
pub(crate) type StateFolder = (PathBuf, &'static str);

/// Why a variable has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Unset,
    Empty,
    NotText,
}

impl Environment {
    /// An environment of exactly these variables.
    pub fn these<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::These(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Result<String, Missing> {
        let value = match self {
            #[expect(clippy::disallowed_methods, reason = "this is the one file that reads the environment")]
            Self::Process => match std::env::var_os(name) {
                Some(value) => value.into_string().map_err(|_| Missing::NotText)?,
                None => return Err(Missing::Unset),
            },
            Self::These(variables) => variables.get(name).cloned().ok_or(Missing::Unset)?,
        };
        if value.is_empty() { Err(Missing::Empty) } else { Ok(value) }
    }

    /// The names of the variables that begin like Owl's, in alphabetical order.
    fn own_names(&self) -> Vec<String> {
        let own = |name: &String| name.starts_with(PREFIX) && is_variable_name(name);
        match self {
            Self::Process => {
                let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
                let mut names: Vec<String> = names.filter(own).collect();
                names.sort();
                names
            }
            Self::These(variables) => variables.keys().filter(|name| own(name)).cloned().collect(),
        }
    }

    /// The variable's path: `OWL_CONFIG`.
    pub(crate) fn named_file(&self) -> Option<PathBuf> {
        self.get("OWL_CONFIG").ok().map(PathBuf::from)
    }

    /// The folder for what Owl keeps, and the variable that says so: systemd's, or the user's.
    pub(crate) fn state_folder(&self) -> Option<StateFolder> {
        let folder = |variable| self.get(variable).map(PathBuf::from).ok().filter(|folder| folder.is_absolute());
        // systemd lists several folders, separated by colons, where a unit has several.
        let listed = self.get("STATE_DIRECTORY").ok();
        let first = listed.as_deref().and_then(|listed| listed.split(':').next()).map(PathBuf::from);
        if let Some(folder) = first.filter(|folder| folder.is_absolute()) {
            return Some((folder, "STATE_DIRECTORY"));
        }
        let user = folder("XDG_STATE_HOME").map(|folder| (folder.join("owl"), "XDG_STATE_HOME"));
        user.or_else(|| folder("HOME").map(|home| (home.join(".local/state/owl"), "HOME")))
    }

    /// Where a file is looked for when none is named, in this order.
    pub(crate) fn search_path(&self) -> Vec<PathBuf> {
        let folder = self.get("XDG_CONFIG_HOME").map(PathBuf::from).ok().filter(|folder| folder.is_absolute());
        let folder = folder.or_else(|| self.get("HOME").ok().map(|home| PathBuf::from(home).join(".config")));
        let mut files = vec![PathBuf::from("owl.json5")];
        files.extend(folder.map(|folder| folder.join("owl/owl.json5")));
        files.push(PathBuf::from("/etc/owl/owl.json5"));
        files
    }
}

/// What stands behind `${NAME}` in a text, and which names those were. `$${` is `${` itself.
///
/// # Errors
/// Each variable that has no value, as a message and a help.
pub(crate) fn substitute(text: &str, environment: &Environment) -> Result<(String, Vec<String>), Vec<Unfilled>> {
    let (mut out, mut names, mut errors) = (String::new(), Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar..];
        if let Some(after) = rest.strip_prefix("$${") {
            out.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            let end = after.find('}').filter(|&end| is_variable_name(&after[..end]));
            let Some(end) = end else {
                let help = "write ${NAME} for a variable, or $${ for the two characters themselves";
                errors.push(("`${` does not begin the name of a variable".to_owned(), help.to_owned()));
                break;
            };
            match environment.get(&after[..end]) {
                Ok(value) => out.push_str(&value),
                Err(missing) => errors.push(explain(&after[..end], missing)),
            }
            names.push(after[..end].to_owned());
            rest = &after[end + 1..];
        } else {
            out.push('$');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    if errors.is_empty() { Ok((out, names)) } else { Err(errors) }
}

/// What is wrong with a `${NAME}`, and what to do about it.
pub(crate) type Unfilled = (String, String);

fn is_variable_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    name.chars().all(allowed) && name.starts_with(|c: char| !c.is_ascii_digit()) && name.len() <= 128
}

fn explain(name: &str, missing: Missing) -> (String, String) {
    let what = match missing {
        Missing::Unset => "is not set",
        Missing::Empty => "is empty",
        Missing::NotText => "is not UTF-8",
    };
    (format!("the environment variable {name} {what}"), format!("set {name} where Owl is started"))
}

/// Lays the flags and the variables over the file's tree. The provider `owl` comes to be when an address is given for it.
pub(crate) fn lay_over(tree: &mut Node, overrides: &Overrides, environment: &Environment, reporter: &mut Reporter<'_>) {
    let text =
        |flag: Option<&str>, names: Names| given(flag.map(str::to_owned), names, environment).map(Given::into_text);
    for Names { variable, .. } in [BASE_URL, API_KEY, AUTH, ALLOW_PRIVATE_NETWORK, GATEWAY_KEY, LISTEN] {
        if environment.get(variable) == Err(Missing::NotText) {
            let help = "set it to text in UTF-8, or unset it";
            reporter.report(Origin::Variable(variable), &KeyPath::of("environment"), "the value is not UTF-8", help);
        }
    }
    if let Some(node) = text(overrides.listen.as_deref(), LISTEN) {
        put(tree, &["gateway", "listen"], node);
    }
    if let Some(key) = text(overrides.gateway_key.as_ref().map(Secret::expose), GATEWAY_KEY) {
        let name = if matches!(key.origin, Origin::Flag(_)) { "flag" } else { "env" };
        let name = Node { origin: key.origin, value: Value::String(name.to_owned()) };
        push(tree, &["gateway", "keys"], object(key.origin, [("name", name), ("key", key)]));
    }
    let values = [
        ("baseUrl", text(overrides.base_url.as_ref().map(Secret::expose), BASE_URL)),
        ("apiKey", text(overrides.api_key.as_ref().map(Secret::expose), API_KEY)),
        ("auth", text(overrides.auth.as_deref(), AUTH)),
        ("allowPrivateNetwork", allow_private_network(overrides, environment, reporter)),
    ];
    // A stray OWL_API_KEY declares nothing: only an address, a flag, or the file does.
    let declares = |(key, node): &(&str, Option<Node>)| {
        node.as_ref().is_some_and(|node| *key == "baseUrl" || matches!(node.origin, Origin::Flag(_)))
    };
    let provider = ["models", "providers", "owl"];
    let written = tree.find(&KeyPath::of("models.providers.owl.baseUrl")).cloned();
    if values.iter().any(declares) || tree.find(&KeyPath::of("models.providers.owl")).is_some() {
        for (key, node) in values {
            if let Some(node) = node {
                put(tree, &[provider.as_slice(), &[key]].concat(), node);
            }
        }
    }
    if let Some(written) = written {
        moved::check(tree, &written, environment, reporter);
    }
}

/// Warns of variables that look like one of Owl's and are none: a slip of the pen that would pass in silence. Those that
/// the file names are known, and those that look like none are somebody else's, such as Kubernetes' `OWL_SERVICE_HOST`.
pub(crate) fn warn_of_strays(
    environment: &Environment,
    named: &BTreeMap<KeyPath, Vec<String>>,
    reporter: &mut Reporter<'_>,
) {
    let known: Vec<&str> = VARIABLES.iter().filter_map(|name| name.strip_prefix(PREFIX)).collect();
    for name in environment.own_names() {
        let rest = name.strip_prefix(PREFIX).unwrap_or_default();
        if known.contains(&rest) || named.values().flatten().any(|named| *named == name) {
            continue;
        }
        if let Some(meant) = nearest(rest, &known) {
            let message = format!("Owl does not know the environment variable {name}");
            reporter.warn_of_whole(Problem::without_place(message, format!("did you mean {PREFIX}{meant}?")));
        }
    }
}

/// The two spellings of an override.
#[derive(Clone, Copy)]
struct Names {
    flag: &'static str,
    variable: &'static str,
}

/// What the names of Owl's variables begin with.
const PREFIX: &str = "OWL_";

/// Owl's variables.
const VARIABLES: [&str; 7] = [
    "OWL_CONFIG",
    BASE_URL.variable,
    API_KEY.variable,
    AUTH.variable,
    ALLOW_PRIVATE_NETWORK.variable,
    GATEWAY_KEY.variable,
    LISTEN.variable,
];

const BASE_URL: Names = Names { flag: "--base-url", variable: "OWL_BASE_URL" };
const API_KEY: Names = Names { flag: "--api-key", variable: "OWL_API_KEY" };
const AUTH: Names = Names { flag: "--auth", variable: "OWL_AUTH" };
const ALLOW_PRIVATE_NETWORK: Names = Names { flag: "--allow-private-network", variable: "OWL_ALLOW_PRIVATE_NETWORK" };
const GATEWAY_KEY: Names = Names { flag: "--gateway-key", variable: "OWL_GATEWAY_KEY" };
const LISTEN: Names = Names { flag: "--listen", variable: "OWL_LISTEN" };

struct Given {
    origin: Origin,
    text: String,
}

impl Given {
    fn into_text(self) -> Node {
        Node { origin: self.origin, value: Value::String(self.text) }
    }
}

/// The flag's value, or the variable's. An empty variable counts as not set.
fn given(flag: Option<String>, names: Names, environment: &Environment) -> Option<Given> {
    match flag {
        Some(text) => Some(Given { origin: Origin::Flag(names.flag), text }),
        None => {
            let text = environment.get(names.variable).ok()?;
            Some(Given { origin: Origin::Variable(names.variable), text })
        }
    }
}

fn allow_private_network(
    overrides: &Overrides,
    environment: &Environment,
    reporter: &mut Reporter<'_>,
) -> Option<Node> {
    let flag = overrides.allow_private_network.map(|flag| flag.to_string());
    let Given { origin, text } = given(flag, ALLOW_PRIVATE_NETWORK, environment)?;
    let value = match text.as_str() {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => {
            let path = KeyPath::of("models.providers.owl.allowPrivateNetwork");
            reporter.report(origin, &path, "this is neither true nor false", "write true, false, 1 or 0");
            return None;
        }
    };
    Some(Node { origin, value: Value::Bool(value) })
}

fn object<const N: usize>(origin: Origin, members: [(&str, Node); N]) -> Node {
    let member = |(key, node): (&str, Node)| Member { key: key.to_owned(), origin, node };
    Node { origin, value: Value::Object(members.into_iter().map(member).collect()) }
}

/// Puts `new` at `keys`. Where the file has something that is not an object in between, its problem is reported later.
fn put(tree: &mut Node, keys: &[&str], new: Node) {
    let Some(slot) = slot(tree, keys, new.origin) else { return };
    *slot = new;
}

fn push(tree: &mut Node, keys: &[&str], new: Node) {
    let Some(slot) = slot(tree, keys, new.origin) else { return };
    match &mut slot.value {
        Value::Array(elements) => elements.push(new),
        Value::Object(members) if members.is_empty() => {
            *slot = Node { origin: new.origin, value: Value::Array(vec![new]) }
        }
        _ => {}
    }
}

/// The node at `keys`, with empty objects made on the way.
fn slot<'a>(tree: &'a mut Node, keys: &[&str], origin: Origin) -> Option<&'a mut Node> {
    let mut node = tree;
    for key in keys {
        let Value::Object(members) = &mut node.value else { return None };
        let index = members.iter().position(|member| member.key == *key).unwrap_or_else(|| {
            let node = Node { origin, value: Value::Object(Vec::new()) };
            members.push(Member { key: (*key).to_owned(), origin, node });
            members.len() - 1
        });
        node = &mut members[index].node;
    }
    Some(node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_substituted_in_parsed_texts() {
        let environment = Environment::these([("A", "a"), ("B_2", "${A}"), ("EMPTY", "")]);
        let check = |text: &str, expect: Result<(&str, &[&str]), &str>| {
            let found = substitute(text, &environment);
            match expect {
                Ok((text, names)) => {
                    assert_eq!(found, Ok((text.to_owned(), names.iter().map(|&n| n.to_owned()).collect())));
                }
                Err(message) => {
                    assert_eq!(found.map_err(|errors| errors[0].0.clone()), Err(message.to_owned()), "{text}");
                }
            }
        };
        check("plain", Ok(("plain", &[])));
        check("${A}", Ok(("a", &["A"])));
        check("x${A}y${A}", Ok(("xaya", &["A", "A"])));
        check("${B_2}", Ok(("${A}", &["B_2"])));
        check("$${A}", Ok(("${A}", &[])));
        check("$$${A}", Ok(("$${A}", &[])));
        check("$A $ 5$", Ok(("$A $ 5$", &[])));
        check("${C}", Err("the environment variable C is not set"));
        check("${EMPTY}", Err("the environment variable EMPTY is empty"));
        check("${A", Err("`${` does not begin the name of a variable"));
        check("${}", Err("`${` does not begin the name of a variable"));
        check("${A-B}", Err("`${` does not begin the name of a variable"));
    }
}
