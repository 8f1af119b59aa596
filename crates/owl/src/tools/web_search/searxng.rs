//! SearXNG, self-hosted: `GET /search?format=json`.
//!
//! Source: <https://docs.searxng.org/dev/search_api.html>.

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit, some_text, text};
use super::query::{Freshness, Query, today};

#[derive(Debug)]
pub(super) struct SearXng {
    pub(super) categories: Vec<String>,
    pub(super) engines: Vec<String>,
}

impl Engine for SearXng {
    fn name(&self) -> &'static str {
        "searxng"
    }

    fn most(&self) -> usize {
        super::MOST_RESULTS
    }

    fn ask(&self, query: &Query) -> Asking {
        let words = query.with_operators();
        let (categories, engines) = (self.categories.join(","), self.engines.join(","));
        let language = match (&query.language, &query.country) {
            (Some(language), Some(country)) => Some(format!("{language}-{country}")),
            (Some(language), None) => Some(language.clone()),
            // SearXNG knows a country only behind a language.
            (None, _) => None,
        };
        let span = query.span(today()).map(|span| match span {
            Freshness::Day => "day",
            Freshness::Week => "week",
            Freshness::Month => "month",
            Freshness::Year => "year",
        });
        let mut fields = vec![("q", words.as_str()), ("format", "json")];
        let optional = [
            ("categories", Some(categories.as_str()).filter(|text| !text.is_empty())),
            ("engines", Some(engines.as_str()).filter(|text| !text.is_empty())),
            ("language", language.as_deref()),
            ("time_range", span),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Asking::get("search", &fields)
    }

    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem> {
        if answer.content_type.starts_with("text/html") {
            return Err(EngineProblem::Shape(
                "it answers with a page: add `json` to `search.formats` in its settings.yml",
            ));
        }
        let body = answer.json()?;
        let results = body["results"].as_array().ok_or(EngineProblem::Shape("there is no list `results` in it"))?;
        let hit = |result: &serde_json::Value| Hit {
            title: text(result, "title"),
            url: text(result, "url"),
            snippet: text(result, "content"),
            published_at: some_text(result, "publishedDate"),
            site_name: None,
        };
        Ok(results.iter().map(hit).collect())
    }

    fn explain(&self, status: u16) -> Option<&'static str> {
        match status {
            403 => Some("JSON is switched off there: add `json` to `search.formats` in its settings.yml"),
            429 => Some(
                "its limiter takes Owl for a bot: allow Owl's address in its limiter.toml, or switch `server.limiter` off",
            ),
            _ => None,
        }
    }
}
