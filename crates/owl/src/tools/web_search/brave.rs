//! Brave Search: `GET /res/v1/web/search`, with the key in `X-Subscription-Token`.
//!
//! Source: <https://api-dashboard.search.brave.com/app/documentation/web-search/get-started>.

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit, some_text, text};
use super::query::{Freshness, Query, iso, today};

#[derive(Debug)]
pub(super) struct Brave;

/// The most that Brave gives at once.
const MOST: usize = 20;

impl Engine for Brave {
    fn name(&self) -> &'static str {
        "brave"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn ask(&self, query: &Query) -> Asking {
        let words = query.with_operators();
        let count = query.count.to_string();
        let span = match (query.freshness, query.after, query.before) {
            (Some(Freshness::Day), ..) => Some("pd".to_owned()),
            (Some(Freshness::Week), ..) => Some("pw".to_owned()),
            (Some(Freshness::Month), ..) => Some("pm".to_owned()),
            (Some(Freshness::Year), ..) => Some("py".to_owned()),
            (None, None, None) => None,
            (None, after, before) => {
                let after = after.map_or_else(|| "1970-01-01".to_owned(), iso);
                Some(format!("{after}to{}", iso(before.unwrap_or_else(today))))
            }
        };
        let mut fields = vec![("q", words.as_str()), ("count", count.as_str()), ("text_decorations", "false")];
        let optional = [
            ("country", query.country.as_deref()),
            ("search_lang", query.language.as_deref()),
            ("freshness", span.as_deref()),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Asking::get("res/v1/web/search", &fields)
    }

    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem> {
        let body = answer.json()?;
        // Nothing found is an answer without `web`.
        let results = body["web"]["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        if body["type"] != "search" && results.is_empty() {
            return Err(EngineProblem::Shape("it is not Brave's answer to a search"));
        }
        let hit = |result: &serde_json::Value| Hit {
            title: text(result, "title"),
            url: text(result, "url"),
            snippet: text(result, "description"),
            published_at: some_text(result, "page_age"),
            site_name: some_text(&result["profile"], "name"),
        };
        Ok(results.iter().map(hit).collect())
    }
}
