//! Tavily: `POST /search`, with the key as Bearer.
//!
//! Source: <https://docs.tavily.com/documentation/api-reference/endpoint/search>.

use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit, some_text, text};
use super::query::{Freshness, Query, iso};

#[derive(Debug)]
pub(super) struct Tavily;

/// The most that Tavily gives at once.
const MOST: usize = 20;

impl Engine for Tavily {
    fn name(&self) -> &'static str {
        "tavily"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn ask(&self, query: &Query) -> Asking {
        let mut body = json!({ "query": query.text, "max_results": query.count });
        let span = query.freshness.map(|span| match span {
            Freshness::Day => "day",
            Freshness::Week => "week",
            Freshness::Month => "month",
            Freshness::Year => "year",
        });
        let mut say = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                body[key] = value;
            }
        };
        say("time_range", span.map(Value::from));
        say("start_date", query.after.map(iso).map(Value::from));
        say("end_date", query.before.map(iso).map(Value::from));
        say("include_domains", (!query.domains.is_empty()).then(|| query.domains.clone().into()));
        say("exclude_domains", (!query.exclude_domains.is_empty()).then(|| query.exclude_domains.clone().into()));
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Asking { method: Method::POST, path: "search".to_owned(), headers, body: body.to_string().into() }
    }

    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem> {
        let body = answer.json()?;
        let results = body["results"].as_array().ok_or(EngineProblem::Shape("there is no list `results` in it"))?;
        let hit = |result: &Value| Hit {
            title: text(result, "title"),
            url: text(result, "url"),
            snippet: text(result, "content"),
            published_at: some_text(result, "published_date"),
            site_name: None,
        };
        Ok(results.iter().map(hit).collect())
    }
}
