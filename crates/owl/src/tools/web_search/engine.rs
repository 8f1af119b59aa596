//! What a search engine is: how it is asked, and how its answer is read. Both are pure.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;

use super::query::Query;

/// A search engine. The next one is made by copying the shortest.
pub(super) trait Engine: Send + Sync + fmt::Debug {
    /// Its name in results.
    fn name(&self) -> &'static str;

    /// The most results that it gives at once.
    fn most(&self) -> usize;

    /// How it is asked.
    fn ask(&self, query: &Query) -> Asking;

    /// What it found. The status is 200 to 299.
    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem>;

    /// What a status beyond that means here, where it means something of its own.
    fn explain(&self, _status: u16) -> Option<&'static str> {
        None
    }
}

/// A question, ready to be sent below the engine's base URL.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) method: Method,
    /// Path and query, without a leading slash.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Asking {
    /// A GET of `path` with these fields as its query.
    pub(super) fn get(path: &str, fields: &[(&str, &str)]) -> Self {
        let query = form(fields);
        Self { method: Method::GET, path: format!("{path}?{query}"), headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// Fields as `application/x-www-form-urlencoded`.
pub(super) fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// What came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body as JSON.
    pub(super) fn json(&self) -> Result<Value, EngineProblem> {
        serde_json::from_slice(&self.body).map_err(|_| EngineProblem::NotJson)
    }
}

/// A result, as the engine gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) title: String,
    pub(super) url: String,
    pub(super) snippet: String,
    pub(super) published_at: Option<String>,
    pub(super) site_name: Option<String>,
}

/// Why an answer could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EngineProblem {
    /// It is not JSON.
    NotJson,
    /// It has another shape than this engine's answers.
    Shape(&'static str),
    /// The engine wants to see a person.
    Challenge,
}

/// A text at a key, or nothing.
pub(super) fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

/// A text at a key that may be missing or empty.
pub(super) fn some_text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}
