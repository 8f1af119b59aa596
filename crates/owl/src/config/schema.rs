//! The JSON Schema of the configuration, generated from `raw.rs` and tidied: no `null` where a key may be left out, no
//! line breaks inside sentences, no defaults that only repeat what is inside.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::raw::RawConfig;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(RawConfig).to_value();
    tidy(&mut schema);
    if let Value::Object(root) = &mut schema {
        root.insert("title".to_owned(), json!("Owl configuration"));
        if let Some(Value::Object(definitions)) = root.get_mut("$defs") {
            let renamed = std::mem::take(definitions).into_iter();
            *definitions = renamed.map(|(name, schema)| (name.trim_start_matches("Raw").to_owned(), schema)).collect();
        }
    }
    schema
});

/// The JSON Schema of the configuration.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// The same as text, as it is committed in docs/owl.schema.json.
pub fn schema_text() -> String {
    format!("{:#}\n", *SCHEMA)
}

/// What a reference (`#/$defs/Tls`) names in `root`, or the schema itself.
pub(crate) fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/$defs/"));
    name.and_then(|name| root.get("$defs")?.get(name)).unwrap_or(schema)
}

/// The schemas of which a value has to satisfy one: the schema itself, unless it is a choice.
pub(crate) fn alternatives<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(root, schema);
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
        Some(choices) => choices.iter().flat_map(|choice| alternatives(root, choice)).collect(),
        None => vec![schema],
    }
}

fn tidy(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(tidy),
        Value::Object(schema) => {
            drop_null(schema);
            if schema.get("default").is_some_and(|default| default.is_null() || default.is_object()) {
                schema.remove("default");
            }
            if schema.remove("unevaluatedProperties").is_some() {
                schema.insert("additionalProperties".to_owned(), json!(false));
            }
            if let Some(Value::String(text)) = schema.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            if let Some(Value::String(reference)) = schema.get_mut("$ref") {
                *reference = reference.replace("#/$defs/Raw", "#/$defs/");
            }
            for (key, value) in schema.iter_mut() {
                if key != "default" && key != "examples" {
                    tidy(value);
                }
            }
        }
        _ => {}
    }
}

/// A key that may be left out is not a key that may be `null`.
fn drop_null(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = schema.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&json!("null")));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
}
