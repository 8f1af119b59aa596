//! docs/configuration.md: a page of prose around tables that are made from the schema.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

use super::schema::{alternatives, resolve, schema};
use super::show::inline;

const PAGE: &str = include_str!("reference.md");

/// The text of docs/configuration.md.
pub fn reference() -> String {
    let mut keys = Keys::default();
    for name in ["gateway", "models", "tools", "egress", "store", "log"] {
        let at = &schema()["properties"][name];
        match at.get("examples") {
            // The object of a key that can also be a word is a section of its own.
            Some(_) => choice(&mut keys.out, at, name),
            None => section(&mut keys, at, name),
        }
    }
    PAGE.replace("{{keys}}\n", keys.out.trim_start())
}

/// The page's sections so far.
#[derive(Default)]
struct Keys {
    out: String,
    /// Where each object was described that may stand in several places.
    told: BTreeMap<String, String>,
}

/// A heading for a key that holds a word or an object, then the table of the object.
fn choice(out: &mut String, at: &Json, name: &str) {
    let about = text(at, "description").unwrap_or_default();
    let example = at.pointer("/examples/0").map(inline).unwrap_or_default();
    let _ = writeln!(out, "\n### `{name}`\n\n{about} For example `{name}: {example}`. As an object:\n");
    for object in alternatives(schema(), at).into_iter().filter(|choice| choice.get("properties").is_some()) {
        table(out, object);
    }
}

/// A heading and a table for an object, then the objects inside.
fn section(keys: &mut Keys, at: &Json, name: &str) {
    let object = resolve(schema(), at);
    let out = &mut keys.out;
    let _ = writeln!(out, "\n### `{name}`\n");
    let about = text(at, "description").or_else(|| text(object, "description"));
    let _ = writeln!(out, "{}\n", about.unwrap_or_default());
    table(out, object);
    for (key, value) in members(object) {
        inner(keys, value, &format!("{name}.{key}"));
    }
}

/// The sections for whatever objects a key can hold. What a secret and a rate can be is told once, in the page's prose.
fn inner(keys: &mut Keys, value: &Json, name: &str) {
    if is_secret(value) || text(value, "$ref") == Some("#/$defs/Rate") {
        return;
    }
    if let Some(reference) = text(value, "$ref") {
        if let Some(earlier) = keys.told.get(reference) {
            let _ = writeln!(keys.out, "\n### `{name}`\n\nThe same as `{earlier}`.");
            return;
        }
        keys.told.insert(reference.to_owned(), name.to_owned());
    }
    let resolved = resolve(schema(), value);
    let key = text(value, "x-key");
    if let Some(items) = resolved.get("items") {
        return inner(keys, items, &format!("{name}[]"));
    }
    if let (Some(each), Some(key)) = (resolved.get("additionalProperties").filter(|each| each.is_object()), key) {
        if !is_secret(each) {
            section(keys, each, &format!("{name}.{key}"));
        }
        return;
    }
    for choice in alternatives(schema(), value) {
        let kind = choice.pointer("/properties/type/const").and_then(Json::as_str);
        match (text(choice, "type"), kind) {
            (Some("object"), Some(kind)) => variant(&mut keys.out, choice, name, kind),
            (Some("object"), None) => section(keys, choice, name),
            _ => {}
        }
    }
}

fn variant(out: &mut String, choice: &Json, name: &str, kind: &str) {
    let _ =
        writeln!(out, "\n### `{name}` with `type: {kind:?}`\n\n{}\n", text(choice, "description").unwrap_or_default());
    table(out, choice);
}

fn table(out: &mut String, object: &Json) {
    let required: Vec<&str> =
        object.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    out.push_str("| key | type | default | meaning | example |\n|---|---|---|---|---|\n");
    for (key, value) in members(object) {
        let default = match value.get("default") {
            Some(default) => format!("`{}`", inline(default)),
            None if required.contains(&key.as_str()) => "required".to_owned(),
            None => String::new(),
        };
        let about =
            text(value, "description").or_else(|| text(resolve(schema(), value), "description")).unwrap_or_default();
        let example = match (value.pointer("/examples/0"), value.get("const")) {
            (Some(example), _) => format!("`{key}: {}`", inline(example)),
            (None, Some(word)) => format!("`{key}: {}`", inline(word)),
            (None, None) => String::new(),
        };
        let row = [format!("`{key}`"), kind(value), default, about.to_owned(), example];
        let _ = writeln!(out, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
}

fn members(object: &Json) -> impl Iterator<Item = (&String, &Json)> {
    object.get("properties").and_then(Json::as_object).into_iter().flatten()
}

fn is_secret(value: &Json) -> bool {
    text(value, "$ref") == Some("#/$defs/Secret")
}

/// The type in words.
fn kind(value: &Json) -> String {
    if is_secret(value) {
        return "[secret](#secrets)".to_owned();
    }
    let resolved = resolve(schema(), value);
    if let Some(kind) = text(resolved, "x-type") {
        if kind == "rate" {
            return "[rate](#values)".to_owned();
        }
        return kind.to_owned();
    }
    if let Some(items) = resolved.get("items") {
        return format!("list of: {}", kind(items));
    }
    if let Some(each) = resolved.get("additionalProperties").filter(|each| each.is_object()) {
        return format!("object of: {}", kind(each));
    }
    let mut kinds: Vec<String> = Vec::new();
    for choice in alternatives(schema(), value) {
        let words = choice
            .get("enum")
            .and_then(Json::as_array)
            .cloned()
            .or_else(|| choice.get("const").map(|word| vec![word.clone()]));
        let kind = match (words, text(choice, "type")) {
            (Some(words), _) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", "),
            (None, Some("string")) => "text".to_owned(),
            (None, Some("integer")) => "whole number".to_owned(),
            (None, Some("boolean")) => "true or false".to_owned(),
            (None, _) => "object".to_owned(),
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds.join(" or ")
}

fn text<'a>(schema: &'a Json, key: &str) -> Option<&'a str> {
    schema.get(key).and_then(Json::as_str)
}
