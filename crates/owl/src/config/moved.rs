//! A flag or a variable that gives the provider `owl` another address than the file does.
//!
//! What the file shows to its server, and what it opens for it, was written for that server. It does not go along to
//! another one: that would hand a credential to whoever the variable names.

use owl_egress::TargetUrl;

use super::env::{Environment, substitute};
use super::json5::{Node, Value};
use super::problem::{KeyPath, Origin, Reporter};

/// What is said to the right person where a flag and a variable could give a key anew.
const OVERRIDES: [(&str, &str); 2] = [
    ("apiKey", "--api-key or OWL_API_KEY"),
    ("allowPrivateNetwork", "--allow-private-network or OWL_ALLOW_PRIVATE_NETWORK"),
];

/// Reports what `tree`, with everything laid over it, would take from the file's address in `written` to another origin.
pub(crate) fn check(tree: &Node, written: &Node, environment: &Environment, reporter: &mut Reporter<'_>) {
    let owl = KeyPath::of("models.providers.owl");
    let path = owl.key("baseUrl");
    let Some(Node { origin: origin @ (Origin::Flag(name) | Origin::Variable(name)), value }) = tree.find(&path) else {
        return;
    };
    let Value::String(url) = value else { return };
    // An address that is none is told elsewhere.
    let Some(now) = origin_of(url) else { return };
    let before = match &written.value {
        Value::String(text) => substitute(text, environment).ok().and_then(|(text, _)| origin_of(&text)),
        _ => None,
    };
    let bound: Vec<&str> = bound_keys(tree.find(&owl)).collect();
    if before.is_some_and(|before| before == now) || bound.is_empty() {
        return;
    }
    let place = reporter.place(written.origin);
    let keys = bound.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
    let message =
        format!("this is another server than that of {place}, and would get what stands there for that one: {keys}");
    let mut help = format!(
        "remove {name}, give this server a provider of its own in the file, or name another file with --config"
    );
    for (key, overrides) in OVERRIDES.iter().filter(|(key, _)| bound.contains(key)) {
        help += &format!("; {overrides} gives `{key}` for this server");
    }
    reporter.report(*origin, &path, message, help);
}

fn origin_of(url: &str) -> Option<String> {
    TargetUrl::parse_operator(url).ok().map(|(url, _)| url.origin())
}

/// The keys of the file's that are meant for one server. `allowHosts` is not among them, for it names its servers itself.
fn bound_keys(owl: Option<&Node>) -> impl Iterator<Item = &str> {
    let members = match owl.map(|owl| &owl.value) {
        Some(Value::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members.iter().filter(|member| matches!(member.node.origin, Origin::File { .. })).filter_map(|member| {
        let holds = |wanted: &dyn Fn(&str) -> bool| match &member.node.value {
            Value::Object(inner) => inner.iter().any(|inner| wanted(&inner.key)),
            _ => false,
        };
        let bound = match (member.key.as_str(), &member.node.value) {
            ("apiKey", _) => true,
            ("auth", _) => holds(&|key| key != "type" && key != "name"),
            ("headers", _) => holds(&|_| true),
            ("tls", _) => holds(&|key| key == "clientCert"),
            ("allowPrivateNetwork", value) => matches!(value, Value::Bool(true)),
            ("allowCidrs" | "allowPorts", Value::Array(elements)) => !elements.is_empty(),
            _ => false,
        };
        bound.then_some(member.key.as_str())
    })
}
