//! Calls of functions that stand in the text, in the ways in which models were taught to write them.

use serde_json::{Map, Value};

use crate::compat::TextCalls;

const HERMES: &str = "<tool_call>";
const HERMES_END: &str = "</tool_call>";
const MISTRAL: &str = "[TOOL_CALLS]";
const LLAMA: &str = "<|python_tag|>";

/// What a text that begins with a mark turned out to be.
#[derive(Debug, PartialEq)]
pub(super) enum Found {
    /// Calls, and where in the text they end.
    Calls(Vec<(String, String)>, usize),
    /// It may still become calls.
    Incomplete,
    /// A text.
    Nothing,
}

/// The marks that are looked for.
pub(super) fn marks(calls: TextCalls) -> &'static [&'static str] {
    match calls {
        TextCalls::Auto => &[HERMES, MISTRAL, LLAMA],
        TextCalls::Off => &[],
        TextCalls::Hermes => &[HERMES],
        TextCalls::Mistral => &[MISTRAL],
        TextCalls::Llama => &[LLAMA],
    }
}

/// Where the first mark stands.
pub(super) fn find_mark(text: &str, marks: &[&str]) -> Option<usize> {
    marks.iter().filter_map(|mark| text.find(mark)).min()
}

/// Whether a text that stands at the beginning may be a call without a mark, as Llama's models write it: a JSON object and nothing
/// else. An answer in JSON looks the same until it is complete, so this is only for those of whom it is known.
pub(super) fn may_be_bare(calls: TextCalls, text: &str) -> bool {
    calls == TextCalls::Llama && text.trim_start().starts_with('{')
}

/// Reads the calls at the beginning of a text. `last`: nothing more comes.
pub(super) fn read(calls: TextCalls, text: &str, last: bool, tools: &[String]) -> Found {
    let found = if let Some(rest) = text.strip_prefix(HERMES) {
        hermes(rest, last).map(|(calls, end)| (calls, HERMES.len() + end))
    } else if let Some(rest) = text.strip_prefix(MISTRAL) {
        mistral(rest, last).map(|(calls, end)| (calls, MISTRAL.len() + end))
    } else if let Some(rest) = text.strip_prefix(LLAMA) {
        objects(rest, last).map(|(calls, end)| (calls, LLAMA.len() + end))
    } else if may_be_bare(calls, text) {
        objects(text, last)
    } else {
        Err(Found::Nothing)
    };
    match found {
        Ok((calls, end)) if !calls.is_empty() && calls.iter().all(|(name, _)| tools.contains(name)) => {
            Found::Calls(calls, end)
        }
        Ok(_) => Found::Nothing,
        Err(found) => found,
    }
}

type Read = Result<(Vec<(String, String)>, usize), Found>;

/// `{"name": …, "arguments": {…}}</tool_call>`, or Qwen3-Coder's `<function=name><parameter=key>value</parameter></function>`.
fn hermes(text: &str, last: bool) -> Read {
    let end = text.find(HERMES_END);
    let inner = match end {
        Some(end) => &text[..end],
        // A model that stops at the mark never writes it.
        None if last => text,
        None => return Err(Found::Incomplete),
    };
    let behind = end.map_or(text.len(), |end| end + HERMES_END.len());
    let inner = inner.trim();
    let call = match serde_json::from_str::<Value>(inner) {
        Ok(value) => call_of(&value),
        Err(_) => tagged(inner),
    };
    call.map(|call| (vec![call], behind)).ok_or(Found::Nothing)
}

/// `[{"name": …, "arguments": {…}}, …]`, or `name{…}` and `name[ARGS]{…}`, several behind one another with the mark between.
fn mistral(text: &str, last: bool) -> Read {
    let said = text.trim_start();
    let skipped = text.len() - said.len();
    if said.is_empty() {
        return Err(if last { Found::Nothing } else { Found::Incomplete });
    }
    if said.starts_with('[') {
        let (value, end) = json(said, last)?;
        let calls: Option<Vec<_>> =
            value.as_array().map(|calls| calls.iter().map(call_of).collect()).unwrap_or_default();
        return calls.map(|calls| (calls, skipped + end)).ok_or(Found::Nothing);
    }
    let Some(opened) = said.find('{') else {
        return Err(if last || said.len() > 512 { Found::Nothing } else { Found::Incomplete });
    };
    let head = said[..opened].trim();
    let name = head.split('[').next().unwrap_or(head).trim();
    let (value, end) = json(&said[opened..], last)?;
    Ok((vec![(name.to_owned(), value.to_string())], skipped + opened + end))
}

/// JSON objects, with `;` between them.
fn objects(text: &str, last: bool) -> Read {
    let mut calls = Vec::new();
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let said = rest.trim_start_matches(|letter: char| letter == ';' || letter.is_whitespace());
        if said.is_empty() && last && !calls.is_empty() {
            return Ok((calls, text.len()));
        }
        if said.is_empty() && !last {
            return Err(Found::Incomplete);
        }
        let (value, end) = json(said, last)?;
        calls.push(call_of(&value).ok_or(Found::Nothing)?);
        at += rest.len() - said.len() + end;
    }
}

/// The JSON value at the beginning of a text, and where it ends.
fn json(text: &str, last: bool) -> Result<(Value, usize), Found> {
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match stream.next() {
        Some(Ok(value)) => Ok((value, stream.byte_offset())),
        Some(Err(error)) if error.is_eof() && !last => Err(Found::Incomplete),
        Some(Err(_)) | None => Err(Found::Nothing),
    }
}

/// A call as an object: its arguments may be an object, or that in a text, and are called `parameters` by Llama.
fn call_of(value: &Value) -> Option<(String, String)> {
    let name = value["name"].as_str()?;
    let arguments = match value.get("arguments").or_else(|| value.get("parameters")) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "{}".to_owned(),
        Some(other) => other.to_string(),
    };
    Some((name.to_owned(), arguments))
}

fn tagged(text: &str) -> Option<(String, String)> {
    let rest = text.strip_prefix("<function=")?;
    let (name, mut rest) = rest.split_once('>')?;
    let mut arguments = Map::new();
    while let Some((_, parameter)) = rest.split_once("<parameter=") {
        let (key, after) = parameter.split_once('>')?;
        let (value, after) = after.split_once("</parameter>")?;
        let value = value.strip_prefix('\n').unwrap_or(value);
        let value = value.strip_suffix('\n').unwrap_or(value);
        // Without the schema, what reads as JSON and is no text is meant as such.
        let parsed = serde_json::from_str::<Value>(value).ok().filter(|value| !value.is_string());
        arguments.insert(key.trim().to_owned(), parsed.unwrap_or_else(|| value.into()));
        rest = after;
    }
    Some((name.trim().to_owned(), Value::from(arguments).to_string()))
}
