//! `owl config show`: the configuration that is in effect, as JSON5, with every secret as `****` and a comment on where each
//! value comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::json5::Node;
use super::problem::{KeyPath, Step, spelt};
use super::raw::RawConfig;

/// Where values come from.
pub(crate) struct Provenance<'a> {
    pub(crate) tree: &'a Node,
    pub(crate) place: &'a dyn Fn(super::problem::Origin) -> String,
    pub(crate) variables: &'a BTreeMap<KeyPath, Vec<String>>,
    pub(crate) notes: &'a BTreeMap<KeyPath, String>,
}

/// The configuration as commented JSON5.
pub(crate) fn show(raw: &RawConfig, provenance: &Provenance<'_>) -> String {
    let mut out = String::new();
    // A value of plain structs, maps and strings always serializes.
    let json = serde_json::to_value(raw).unwrap_or_default();
    provenance.write(&mut out, &json, &KeyPath::default(), 0);
    out.push('\n');
    out
}

/// A value on one line, as JSON5.
pub(crate) fn inline(json: &Json) -> String {
    match json {
        Json::Array(elements) => format!("[{}]", elements.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Json::Object(members) if members.is_empty() => "{}".to_owned(),
        Json::Object(members) => {
            let members: Vec<_> =
                members.iter().map(|(key, value)| format!("{}: {}", spelt(key), inline(value))).collect();
            format!("{{ {} }}", members.join(", "))
        }
        plain => plain.to_string(),
    }
}

impl Provenance<'_> {
    fn write(&self, out: &mut String, json: &Json, path: &KeyPath, depth: usize) {
        match json {
            Json::Object(members) if !members.is_empty() => {
                out.push_str("{\n");
                for (key, value) in members {
                    let _ = write!(out, "{:indent$}{}: ", "", spelt(key), indent = 2 * (depth + 1));
                    self.write_member(out, value, &path.key(key), depth);
                }
                let _ = write!(out, "{:indent$}}}", "", indent = 2 * depth);
            }
            Json::Array(elements) if !elements.is_empty() => {
                out.push_str("[\n");
                for (index, value) in elements.iter().enumerate() {
                    let _ = write!(out, "{:indent$}", "", indent = 2 * (depth + 1));
                    self.write_member(out, value, &path.index(index), depth);
                }
                let _ = write!(out, "{:indent$}]", "", indent = 2 * depth);
            }
            plain => out.push_str(&inline(plain)),
        }
    }

    fn write_member(&self, out: &mut String, value: &Json, path: &KeyPath, depth: usize) {
        let is_plain = match value {
            Json::Array(elements) => elements.is_empty(),
            Json::Object(members) => members.is_empty(),
            _ => true,
        };
        if !is_plain {
            self.write(out, value, path, depth + 1);
            match self.notes.get(path) {
                Some(note) => _ = writeln!(out, ", // {note}"),
                None => out.push_str(",\n"),
            }
        } else if self.is_hidden(path) {
            let _ = writeln!(out, "\"****\", // {}", self.source(path));
        } else {
            let _ = writeln!(out, "{}, // {}", inline(value), self.source(path));
        }
    }

    /// What a variable put into a command's words is as likely a secret as what the command prints; into a search engine's path
    /// or body, too.
    fn is_hidden(&self, path: &KeyPath) -> bool {
        let in_command = matches!(path.steps(), [.., Step::Key(key), Step::Index(_)] if key == "command");
        let in_engine = path.steps().starts_with(KeyPath::of("tools.web.search.engine").steps());
        (in_command || in_engine) && self.variables.contains_key(path)
    }

    fn source(&self, path: &KeyPath) -> String {
        if let Some(note) = self.notes.get(path) {
            return note.clone();
        }
        let Some(node) = self.tree.find(path) else { return "default".to_owned() };
        let mut source = (self.place)(node.origin);
        for name in self.variables.get(path).into_iter().flatten() {
            let _ = write!(source, ", from {name}");
        }
        source
    }
}
