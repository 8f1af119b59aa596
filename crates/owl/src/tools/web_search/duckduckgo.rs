//! DuckDuckGo without a key: its page for browsers without scripts, `GET /html/`.
//!
//! There is no agreement about this page: it may change, and it may ask for a person, which is told as what it is.

use super::engine::{Answer, Asking, Engine, EngineProblem, Hit};
use super::query::{Freshness, Query, iso, today};

#[derive(Debug)]
pub(super) struct DuckDuckGo;

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
        todo!("{answer:?}")
    }

    fn explain(&self, status: u16) -> Option<&'static str> {
        (status == 202 || status == 403 || status == 418)
            .then_some("it takes Owl for a bot and asks for a person; wait, or name another engine")
    }
}
