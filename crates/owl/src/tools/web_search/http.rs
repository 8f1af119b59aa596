//! Any search with JSON answers: an enterprise's own, described by a URL template and JSON Pointers (RFC 6901).

use http::{HeaderMap, HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit};
use super::query::{Query, iso};
use crate::config::HttpEngine;

#[derive(Debug)]
pub(super) struct Http(pub(super) HttpEngine);

impl Engine for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn most(&self) -> usize {
        super::MOST_RESULTS
    }

    fn ask(&self, query: &Query) -> Asking {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let path = filled(&self.0.path, query, &encode);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = self.0.body.as_ref().map(|template| {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            filled_json(template, query).to_string()
        });
        let path = path.trim_start_matches('/').to_owned();
        Asking { method: self.0.method.clone(), path, headers, body: body.unwrap_or_default().into() }
    }

    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem> {
        let body = answer.json()?;
        let results = body.pointer(&self.0.results).and_then(Value::as_array);
        let results = results.ok_or(EngineProblem::Shape("there is no list where `results` points"))?;
        let at = |result: &Value, pointer: &str| result.pointer(pointer).map(plain).unwrap_or_default();
        let at_some = |result: &Value, pointer: &Option<String>| {
            pointer.as_deref().map(|pointer| at(result, pointer)).filter(|text| !text.is_empty())
        };
        let hit = |result: &Value| Hit {
            title: at(result, &self.0.title),
            url: at(result, &self.0.url),
            snippet: at_some(result, &self.0.snippet).unwrap_or_default(),
            published_at: at_some(result, &self.0.published_at),
            site_name: None,
        };
        Ok(results.iter().map(hit).collect())
    }
}

/// What a place stands for.
fn value_of(place: &str, query: &Query) -> Option<String> {
    Some(match place {
        "query" => query.with_operators(),
        "count" => query.count.to_string(),
        "language" => query.language.clone().unwrap_or_default(),
        "country" => query.country.clone().unwrap_or_default(),
        "after" => query.after.map(iso).unwrap_or_default(),
        "before" => query.before.map(iso).unwrap_or_default(),
        _ => return None,
    })
}

/// The template with every `{place}` filled. What is in braces and no place stays as it is.
fn filled(template: &str, query: &Query, encode: &dyn Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        rest = &rest[open..];
        let place = rest.find('}').map(|close| (&rest[1..close], close));
        match place.and_then(|(place, close)| Some((value_of(place, query)?, close))) {
            Some((value, close)) => {
                text.push_str(&encode(&value));
                rest = &rest[close + 1..];
            }
            None => {
                text.push('{');
                rest = &rest[1..];
            }
        }
    }
    text + rest
}

/// The same in every text of a JSON value; a text that is `{count}` alone becomes a number.
fn filled_json(template: &Value, query: &Query) -> Value {
    match template {
        Value::String(text) if text == "{count}" => query.count.into(),
        Value::String(text) => filled(text, query, &str::to_owned).into(),
        Value::Array(items) => items.iter().map(|item| filled_json(item, query)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), filled_json(value, query)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

/// A text as it is, a number as it is written, a list of texts joined.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Object(_) => String::new(),
    }
}
