//! A policy by itself, as `owl egress check` takes it: the object that stands in a provider or in the gateway, in JSON or
//! JSON5, outside any file.
//!
//! Unlike a configuration, which reports everything at once, it ends at the first thing that is wrong, in one sentence.

use std::fmt::{self, Display};
use std::str::FromStr;

use owl_egress::PolicyRules;

use super::json5::{self, Member, Node, Value};
use super::problem::Origin;

/// Every key of a policy, and `selfSockets`: the sockets that Owl would listen on.
const KEYS: [&str; 10] = [
    "allowPrivateNetwork",
    "allowHosts",
    "allowCidrs",
    "onlyHosts",
    "blockHosts",
    "blockCidrs",
    "allowPorts",
    "fakeIpRanges",
    "nat64Prefixes",
    "selfSockets",
];

/// Why a text is no policy. `Display` is `1:17: allowCidrs[0]: …`, line and column counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyProblem {
    line: usize,
    column: usize,
    message: String,
}

/// Reads a policy.
///
/// # Errors
/// The first thing that is wrong.
pub fn policy_rules(text: &str) -> Result<PolicyRules, PolicyProblem> {
    let tree = match json5::parse(text) {
        Ok(tree) => tree,
        Err(error) => {
            // The parser speaks of the file that it mostly reads.
            let message = error.message.replace("the file", "the text").replace("the configuration", "the policy");
            let help = error.help.map_or_else(String::new, |help| format!(": {help}"));
            return Err(PolicyProblem::at(text, error.offset, format!("{message}{help}")));
        }
    };
    read(&tree).map_err(|Wrong { origin, message }| match origin {
        Origin::File { offset } => PolicyProblem::at(text, offset, message),
        Origin::Flag(_) | Origin::Variable(_) => PolicyProblem::at(text, 0, message),
    })
}

struct Wrong {
    origin: Origin,
    message: String,
}

fn wrong<T>(origin: Origin, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { origin, message: message.into() })
}

fn read(tree: &Node) -> Result<PolicyRules, Wrong> {
    let Value::Object(members) = &tree.value else {
        return wrong(tree.origin, "a policy is an object, such as {\"allowHosts\": [\"nas.lan\"]}");
    };
    let mut rules = PolicyRules::default();
    for (position, member) in members.iter().enumerate() {
        if members[..position].iter().any(|earlier| earlier.key == member.key) {
            return wrong(member.origin, format!("{}: this key is written twice", shortened(&member.key)));
        }
        set(&mut rules, member)?;
    }
    Ok(rules)
}

fn set(rules: &mut PolicyRules, Member { key, origin, node }: &Member) -> Result<(), Wrong> {
    match key.as_str() {
        "allowPrivateNetwork" => match node.value {
            Value::Bool(open) => rules.allow_private_network = open,
            _ => return wrong(node.origin, format!("{key}: expected true or false")),
        },
        "allowHosts" => rules.allow_hosts = patterns(key, node)?,
        "allowCidrs" => rules.allow_cidrs = patterns(key, node)?,
        "onlyHosts" => {
            rules.only_hosts = patterns(key, node)?;
            if rules.only_hosts.is_empty() {
                return wrong(node.origin, "onlyHosts: this list is empty: name a host, or remove the key");
            }
        }
        "blockHosts" => rules.block_hosts = patterns(key, node)?,
        "blockCidrs" => rules.block_cidrs = patterns(key, node)?,
        "allowPorts" => rules.allow_ports = elements(key, node)?.iter().map(port).collect::<Result<_, _>>()?,
        "fakeIpRanges" => rules.fake_ip_ranges = patterns(key, node)?,
        "nat64Prefixes" => rules.nat64_prefixes = patterns(key, node)?,
        "selfSockets" => rules.own_sockets = patterns(key, node)?,
        unknown => return wrong(*origin, not_known(unknown)),
    }
    Ok(())
}

fn elements<'a>(key: &str, node: &'a Node) -> Result<&'a [Node], Wrong> {
    match &node.value {
        Value::Array(elements) => Ok(elements),
        _ => wrong(node.origin, format!("{key}: expected a list")),
    }
}

fn patterns<T: FromStr<Err: Display>>(key: &str, node: &Node) -> Result<Vec<T>, Wrong> {
    let pattern = |(index, element): (usize, &Node)| match &element.value {
        Value::String(text) => match text.parse() {
            Ok(pattern) => Ok(pattern),
            Err(error) => wrong(element.origin, format!("{key}[{index}]: {error}")),
        },
        _ => wrong(element.origin, format!("{key}[{index}]: expected a text")),
    };
    elements(key, node)?.iter().enumerate().map(pattern).collect()
}

fn port(node: &Node) -> Result<u16, Wrong> {
    match node.value {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and in range")]
        Value::Number(number) if number.fract() == 0.0 && (1.0..=65535.0).contains(&number) => Ok(number as u16),
        _ => wrong(node.origin, "allowPorts: expected a port, a number from 1 to 65535"),
    }
}

fn not_known(key: &str) -> String {
    let plain = |word: &str| word.to_lowercase().replace(['_', '-'], "");
    let near = KEYS.iter().find(|known| strsim::damerau_levenshtein(&plain(known), &plain(shortened(key))) <= 3);
    let shown = shortened(key).escape_debug();
    match near {
        Some(meant) => format!("{shown}: this key is not known here: did you mean `{meant}`?"),
        None => format!("{shown}: this key is not known here: the keys are {}", KEYS[..9].join(", ")),
    }
}

fn shortened(key: &str) -> &str {
    key.char_indices().nth(40).map_or(key, |(end, _)| &key[..end])
}

impl PolicyProblem {
    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1, message }
    }
}

impl Display for PolicyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, message } = self;
        write!(f, "{line}:{column}: {message}")
    }
}

impl std::error::Error for PolicyProblem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_read() {
        let rules = policy_rules(
            r#"{ allowPrivateNetwork: true, allowHosts: ["a.lan"], allowCidrs: ["10.0.0.0/8"], onlyHosts: ["b.lan"],
                blockHosts: ["c.lan"], blockCidrs: ["fd00::/8"], allowPorts: [1, 6379, 65535],
                fakeIpRanges: ["198.18.0.0/15"], nat64Prefixes: ["64:ff9b:1::/96"], selfSockets: ["[::1]:6950"] }"#,
        )
        .expect("a policy");
        let shown = |list: &[&dyn Display]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let listed = shown(&[
            &rules.allow_hosts[0],
            &rules.allow_cidrs[0],
            &rules.only_hosts[0],
            &rules.block_hosts[0],
            &rules.block_cidrs[0],
            &rules.fake_ip_ranges[0],
            &rules.nat64_prefixes[0],
            &rules.own_sockets[0],
        ]);
        assert!(rules.allow_private_network);
        assert_eq!(rules.allow_ports, [1, 6379, 65535]);
        assert_eq!(listed, "a.lan 10.0.0.0/8 b.lan c.lan fd00::/8 198.18.0.0/15 64:ff9b:1::/96 [::1]:6950");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let check = |text: &str, expected: &str| {
            assert_eq!(policy_rules(text).map(|_| ()).map_err(|problem| problem.to_string()), Err(expected.to_owned()));
        };
        check("", "1:1: the text is empty: write at least {}");
        check("{", "1:2: expected a key or `}`, but the text ends here");
        check("[]", "1:1: a policy is an object, such as {\"allowHosts\": [\"nas.lan\"]}");
        check(
            "{\n  allowCidrs: [\"10.0.0.1/8\"] }",
            "2:16: allowCidrs[0]: the address has bits behind the length: write `10.0.0.0/8`, or `10.0.0.1/32` for the address alone",
        );
        check("{ allow_cidrs: [] }", "1:3: allow_cidrs: this key is not known here: did you mean `allowCidrs`?");
        check("{ allowPorts: [0] }", "1:16: allowPorts: expected a port, a number from 1 to 65535");
        check("{ allowPorts: [1.5] }", "1:16: allowPorts: expected a port, a number from 1 to 65535");
        check("{ allowHosts: \"a.lan\" }", "1:15: allowHosts: expected a list");
        check("{ allowHosts: [5] }", "1:16: allowHosts[0]: expected a text");
        check("{ onlyHosts: [] }", "1:14: onlyHosts: this list is empty: name a host, or remove the key");
        check("{ allowPrivateNetwork: 1 }", "1:24: allowPrivateNetwork: expected true or false");
        check("{ allowHosts: [], allowHosts: [] }", "1:19: allowHosts: this key is written twice");
        assert!(policy_rules("{ proxy: 1 }").is_err_and(|problem| problem.to_string().contains("the keys are allowP")));
    }
}
