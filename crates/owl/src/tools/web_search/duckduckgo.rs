//! DuckDuckGo without a key: its page for browsers without scripts, `GET /html/`.
//!
//! There is no agreement about this page: it may change, and it may ask for a person, which is told as what it is.

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit};
use super::query::{Freshness, Query, iso, today};

#[derive(Debug)]
pub(super) struct DuckDuckGo;

/// What is read of its page: links and snippets of results that are no advertisements, that there are none, and that it
/// asks for a person.
const PARTS: &str = ".result:not(.result--ad) a.result__a, .result:not(.result--ad) .result__snippet, .no-results, \
                     .anomaly-modal__title";

/// How many results its first page has.
const MOST: usize = 30;

impl Engine for DuckDuckGo {
    fn name(&self) -> &'static str {
        "duckduckgo"
    }

    fn most(&self) -> usize {
        MOST
    }

    fn ask(&self, query: &Query) -> Asking {
        let words = query.with_operators();
        let region = match (&query.country, &query.language) {
            (Some(country), Some(language)) => Some(format!("{}-{language}", country.to_ascii_lowercase())),
            (Some(_), None) | (None, _) => None,
        };
        let span = match (query.freshness, query.after, query.before) {
            (Some(Freshness::Day), ..) => Some("d".to_owned()),
            (Some(Freshness::Week), ..) => Some("w".to_owned()),
            (Some(Freshness::Month), ..) => Some("m".to_owned()),
            (Some(Freshness::Year), ..) => Some("y".to_owned()),
            (None, None, None) => None,
            (None, after, before) => {
                let after = after.map_or_else(|| "1970-01-01".to_owned(), iso);
                Some(format!("{after}..{}", iso(before.unwrap_or_else(today))))
            }
        };
        let mut fields = vec![("q", words.as_str())];
        let optional = [("kl", region.as_deref()), ("df", span.as_deref())];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        Asking::get("html/", &fields)
    }

    fn read(&self, answer: &Answer) -> Result<Vec<Hit>, EngineProblem> {
        let page = String::from_utf8_lossy(&answer.body);
        let parts = owl_extract::select(&page, PARTS).map_err(|_| EngineProblem::Shape("Owl cannot read its page"))?;
        let has = |class: &str| parts.iter().any(|part| part.class.split_ascii_whitespace().any(|one| one == class));
        let mut hits: Vec<Hit> = Vec::new();
        // Whether the link before was a result: a snippet belongs to the link before it.
        let mut kept = false;
        for part in &parts {
            if part.class.split_ascii_whitespace().any(|class| class == "result__a") {
                let url = part.href.as_deref().and_then(destination);
                kept = url.is_some();
                hits.extend(url.map(|url| Hit { title: part.text.clone(), url, ..Hit::default() }));
            } else if kept
                && let Some(hit) = hits.last_mut()
                && hit.snippet.is_empty()
            {
                hit.snippet.clone_from(&part.text);
            }
        }
        match parts.as_slice() {
            [] => Err(EngineProblem::Shape("its page is not one of results; it may have changed, name another engine")),
            _ if has("anomaly-modal__title") => Err(EngineProblem::Challenge),
            _ => Ok(hits),
        }
    }

    fn explain(&self, status: u16) -> Option<&'static str> {
        (status == 202 || status == 403 || status == 418)
            .then_some("it takes Owl for a bot and asks for a person; wait, or name another engine")
    }
}

/// Where a link of its page leads: DuckDuckGo counts clicks on the way there. Nothing for an advertisement.
fn destination(href: &str) -> Option<String> {
    let link = url::Url::parse("https://duckduckgo.com/html/").ok()?.join(href).ok()?;
    match (link.host_str(), link.path()) {
        (Some("duckduckgo.com"), "/l/") => {
            link.query_pairs().find(|(name, _)| name == "uddg").map(|(_, url)| url.into_owned())
        }
        (Some("duckduckgo.com"), "/y.js") => None,
        _ => Some(link.into()),
    }
}
