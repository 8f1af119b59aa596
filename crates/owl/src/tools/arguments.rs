//! What a call says: read strictly, so that a misspelt argument is an error and not silence.
//!
//! [`settle`] holds the arguments against the tool's own JSON Schema, so that what a model is told is what is true; [`read`]
//! then makes the tool's type of them. What a model means without doubt is taken: `"5000"` for a number, `"true"` for a
//! boolean, null for nothing.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::ToolError;
use super::untrusted::line_of;

/// The argument that exists only where the operator opened something; each tool says so itself.
const NARROWS: &str = "allowPrivateNetwork";
/// How much of a wrong value is repeated, in characters.
const REPEATED: usize = 60;

/// The arguments as the tool's schema wants them.
///
/// # Errors
/// `invalid_arguments`; the message names the argument and what is allowed.
pub(super) fn settle(schema: &Value, arguments: &Map<String, Value>) -> Result<Map<String, Value>, ToolError> {
    let none = Map::new();
    let known = schema["properties"].as_object().unwrap_or(&none);
    let mut settled = Map::new();
    for (name, value) in arguments {
        if value.is_null() {
            continue;
        }
        let value = match known.get(name) {
            Some(schema) => settle_one(name, schema, value)?,
            None if name == NARROWS => value.clone(),
            None => return Err(unknown(name, known)),
        };
        settled.insert(name.clone(), value);
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match required.into_iter().find(|name| !settled.contains_key(*name)) {
        Some(missing) => Err(ToolError::arguments(format!("the argument {missing} is missing"))),
        None => Ok(settled),
    }
}

/// Reads the arguments into the tool's own type, which denies unknown fields.
///
/// # Errors
/// `invalid_arguments`; the message names the argument.
pub(super) fn read<T: DeserializeOwned>(arguments: &Map<String, Value>) -> Result<T, ToolError> {
    // A model that has nothing to say of an argument often says null.
    let said = arguments.iter().filter(|(_, value)| !value.is_null());
    let said: Map<String, Value> = said.map(|(name, value)| (name.clone(), value.clone())).collect();
    serde_json::from_value(Value::Object(said)).map_err(|error| ToolError::arguments(error.to_string()))
}

/// `allowPrivateNetwork` where the operator opened nothing private.
pub(super) fn nothing_private(key: &str) -> ToolError {
    ToolError::arguments(
        "allowPrivateNetwork is not an argument here: the operator opened nothing private for this tool",
    )
    .hint(format!("the keys that open something stand in {key}"))
}

fn unknown(name: &str, known: &Map<String, Value>) -> ToolError {
    let names: Vec<&str> = known.keys().map(String::as_str).collect();
    let name = line_of(name, REPEATED);
    let near =
        names.iter().copied().filter(|known| strsim::jaro_winkler(&name.to_lowercase(), &known.to_lowercase()) > 0.85);
    let meant = near.map(|near| format!("; is {near} meant?")).next().unwrap_or_default();
    ToolError::arguments(format!("there is no argument {name:?}; there are: {}{meant}", names.join(", ")))
}

fn settle_one(name: &str, schema: &Value, value: &Value) -> Result<Value, ToolError> {
    let wrong = || {
        let said = line_of(&value.to_string(), REPEATED);
        ToolError::arguments(format!("the argument {name} must be {}, not {said}", wanted(schema)))
    };
    let value = coerced(schema, value).ok_or_else(wrong)?;
    let in_list = schema["enum"].as_array().is_none_or(|list| list.contains(&value));
    let at_least = schema["minimum"].as_f64().is_none_or(|least| value.as_f64().is_none_or(|value| value >= least));
    let at_most = schema["maximum"].as_f64().is_none_or(|most| value.as_f64().is_none_or(|value| value <= most));
    let count = |limit: &str| schema[limit].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let length = value.as_array().map(Vec::len);
    let few = count("maxItems").is_none_or(|most| length.is_none_or(|length| length <= most));
    let many = count("minItems").is_none_or(|least| length.is_none_or(|length| length >= least));
    let long = count("minLength").is_none_or(|least| {
        value.as_str().is_none_or(|text| text.chars().nth(least.saturating_sub(1)).is_some() || least == 0)
    });
    if in_list && at_least && at_most && few && many && long { Ok(value) } else { Err(wrong()) }
}

/// The value in the type that the schema names, if that is what it says.
fn coerced(schema: &Value, value: &Value) -> Option<Value> {
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_))
        | (Some("object"), Value::Object(_))
        | (Some("number"), Value::Number(_))
        | (None, _) => Some(value.clone()),
        (Some("boolean"), Value::String(text)) => text.trim().to_ascii_lowercase().parse().ok().map(Value::Bool),
        (Some("integer"), Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
        (Some("number"), Value::String(text)) => serde_json::from_str(text.trim()).ok().filter(Value::is_number),
        (Some("integer"), Value::Number(number)) => integer(number),
        (Some("array"), Value::Array(items)) => {
            let item = |value: &Value| coerced(&schema["items"], value);
            items.iter().map(item).collect::<Option<Vec<_>>>().map(Value::Array)
        }
        // One is a list of one.
        (Some("array"), Value::String(_)) => coerced(&schema["items"], value).map(|only| Value::Array(vec![only])),
        _ => None,
    }
}

/// `5000.0` is an integer too: some models write every number so.
fn integer(number: &serde_json::Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number.clone()));
    }
    let number = number.as_f64()?;
    // Beyond 2^53 the fraction is lost before anybody can see it.
    let whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    whole.then(|| Value::from(number as i64))
}

/// What is allowed, in words.
fn wanted(schema: &Value) -> String {
    if let Some(list) = schema["enum"].as_array() {
        let list: Vec<String> = list.iter().map(Value::to_string).collect();
        return format!("one of {}", list.join(", "));
    }
    let bounds = match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!(" from {least} to {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, Some(most)) => format!(" of at most {most}"),
        (None, None) => String::new(),
    };
    let items = match (schema["minItems"].as_u64(), schema["maxItems"].as_u64()) {
        (_, Some(most)) => format!(" of at most {most}"),
        (Some(least), None) => format!(" of at least {least}"),
        (None, None) => String::new(),
    };
    match schema["type"].as_str() {
        Some("integer") => format!("a whole number{bounds}"),
        Some("number") => format!("a number{bounds}"),
        Some("string") if schema["minLength"].as_u64() > Some(0) => "a text that is not empty".to_owned(),
        Some("string") => "a text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => format!("a list{items}"),
        _ => "an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::settle;

    fn schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "url": { "type": "string", "minLength": 1 },
                "maxChars": { "type": "integer", "minimum": 1, "maximum": 9000 },
                "mode": { "type": "string", "enum": ["markdown", "text"] },
                "deep": { "type": "boolean" },
                "share": { "type": "number" },
                "images": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
                "any": {},
            },
            "required": ["url"],
            "additionalProperties": false,
        })
    }

    fn settled(mut arguments: Value) -> Result<Value, String> {
        let arguments = arguments.as_object_mut().expect("an object");
        arguments.entry("url").or_insert("u".into());
        let settled = settle(&schema(), arguments).map_err(|error| {
            assert_eq!(error.code, "invalid_arguments");
            error.message
        });
        settled.map(|mut settled| {
            settled.remove("url");
            Value::Object(settled)
        })
    }

    #[test]
    fn what_is_meant_without_doubt_is_taken() {
        for (said, expect) in [
            (json!({ "maxChars": 5000 }), json!({ "maxChars": 5000 })),
            (json!({ "maxChars": "5000" }), json!({ "maxChars": 5000 })),
            (json!({ "maxChars": " 5000 " }), json!({ "maxChars": 5000 })),
            (json!({ "maxChars": 5000.0 }), json!({ "maxChars": 5000 })),
            (json!({ "maxChars": null, "mode": null }), json!({})),
            (json!({ "deep": "True" }), json!({ "deep": true })),
            (json!({ "share": "0.5" }), json!({ "share": 0.5 })),
            (json!({ "images": "a.png" }), json!({ "images": ["a.png"] })),
            (json!({ "any": [1, { "x": null }] }), json!({ "any": [1, { "x": null }] })),
            // Each tool answers to this one itself.
            (json!({ "allowPrivateNetwork": false }), json!({ "allowPrivateNetwork": false })),
        ] {
            assert_eq!(settled(said.clone()), Ok(expect), "{said}");
        }
    }

    #[test]
    fn a_wrong_argument_is_named_with_what_is_allowed() {
        for (said, expect) in [
            (json!({ "maxChars": 0 }), "the argument maxChars must be a whole number from 1 to 9000, not 0"),
            (json!({ "maxChars": 9001 }), "the argument maxChars must be a whole number from 1 to 9000, not 9001"),
            (json!({ "maxChars": -1 }), "the argument maxChars must be a whole number from 1 to 9000, not -1"),
            (json!({ "maxChars": 1.5 }), "the argument maxChars must be a whole number from 1 to 9000, not 1.5"),
            (json!({ "maxChars": 1e300 }), "the argument maxChars must be a whole number from 1 to 9000, not 1e+300"),
            (json!({ "maxChars": "5k" }), "the argument maxChars must be a whole number from 1 to 9000, not \"5k\""),
            (json!({ "mode": "html" }), "the argument mode must be one of \"markdown\", \"text\", not \"html\""),
            (json!({ "deep": 1 }), "the argument deep must be true or false, not 1"),
            (json!({ "url": 5 }), "the argument url must be a text that is not empty, not 5"),
            (json!({ "url": "" }), "the argument url must be a text that is not empty, not \"\""),
            (
                json!({ "images": ["a", "b", "c"] }),
                "the argument images must be a list of at most 2, not [\"a\",\"b\",\"c\"]",
            ),
            (json!({ "images": [1] }), "the argument images must be a list of at most 2, not [1]"),
            (json!({ "share": "NaN" }), "the argument share must be a number, not \"NaN\""),
            (
                json!({ "max_chars": 5 }),
                "there is no argument \"max_chars\"; there are: url, maxChars, mode, deep, share, images, any; is maxChars meant?",
            ),
            (
                json!({ "<|im_start|>\n": 5 }),
                "there is no argument \"<|im_start |>\"; there are: url, maxChars, mode, deep, share, images, any",
            ),
        ] {
            assert_eq!(settled(said.clone()), Err(expect.to_owned()), "{said}");
        }
        let none = settle(&schema(), &serde_json::Map::new()).map_err(|error| error.message);
        assert_eq!(none, Err("the argument url is missing".to_owned()));
    }
}
