//! What is searched for: what the call says, checked, and what that means for results whatever the engine makes of it.

use serde::Deserialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use url::Url;

use super::engine::Hit;
use crate::tools::ToolError;

/// The longest query, in characters.
const LONGEST: usize = 400;
/// The most domains that may be named.
const MOST_DOMAINS: usize = 20;

/// What a call says.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct QueryArguments {
    pub(super) query: String,
    pub(super) count: Option<usize>,
    pub(super) country: Option<String>,
    pub(super) language: Option<String>,
    pub(super) freshness: Option<Freshness>,
    pub(super) date_after: Option<String>,
    pub(super) date_before: Option<String>,
    pub(super) domains: Vec<String>,
    pub(super) exclude_domains: Vec<String>,
    pub(super) allow_private_network: Option<bool>,
}

/// How old results may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Freshness {
    Day,
    Week,
    Month,
    Year,
}

/// A search, checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) count: usize,
    /// ISO 3166-1 alpha-2, in capitals.
    pub(super) country: Option<String>,
    /// ISO 639-1, in small letters.
    pub(super) language: Option<String>,
    pub(super) freshness: Option<Freshness>,
    pub(super) after: Option<Date>,
    pub(super) before: Option<Date>,
    pub(super) domains: Vec<String>,
    pub(super) exclude_domains: Vec<String>,
}

impl Query {
    /// Checks what a call says.
    ///
    /// # Errors
    /// The argument that is wrong.
    pub(super) fn new(arguments: QueryArguments, count: usize, most: usize) -> Result<Self, ToolError> {
        let QueryArguments { query, country, language, freshness, date_after, date_before, .. } = arguments;
        let text = query.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            return Err(ToolError::arguments("query is empty: write what to search for"));
        }
        if text.chars().count() > LONGEST {
            return Err(ToolError::arguments(format!("query is longer than {LONGEST} characters")));
        }
        let count = match arguments.count {
            Some(0) => return Err(ToolError::arguments(format!("count is 0; write 1 to {most}"))),
            Some(wanted) => wanted.min(most),
            None => count.min(most),
        };
        let after = date_after.map(|text| date("dateAfter", &text)).transpose()?;
        let before = date_before.map(|text| date("dateBefore", &text)).transpose()?;
        if freshness.is_some() && (after.is_some() || before.is_some()) {
            return Err(ToolError::arguments(
                "freshness and dateAfter/dateBefore contradict each other: write one of the two",
            ));
        }
        if let (Some(after), Some(before)) = (after, before)
            && after > before
        {
            return Err(ToolError::arguments("dateAfter lies behind dateBefore"));
        }
        let domains = domains("domains", arguments.domains)?;
        let exclude_domains = self::domains("excludeDomains", arguments.exclude_domains)?;
        let country =
            country.map(|text| code("country", &text, "DE")).transpose()?.map(|code| code.to_ascii_uppercase());
        let language = language.map(|text| code("language", &text, "de")).transpose()?;
        Ok(Self { text, count, country, language, freshness, after, before, domains, exclude_domains })
    }

    /// The words with the domains as operators, for engines that know no field for them.
    pub(super) fn with_operators(&self) -> String {
        let mut text = self.text.clone();
        match self.domains.as_slice() {
            [] => {}
            [only] => text.push_str(&format!(" site:{only}")),
            several => {
                let sites: Vec<String> = several.iter().map(|domain| format!("site:{domain}")).collect();
                text.push_str(&format!(" ({})", sites.join(" OR ")));
            }
        }
        for domain in &self.exclude_domains {
            text.push_str(&format!(" -site:{domain}"));
        }
        text
    }

    /// The smallest span that holds everything asked for, for engines that know spans alone.
    pub(super) fn span(&self, today: Date) -> Option<Freshness> {
        let after = match (self.freshness, self.after) {
            (Some(freshness), _) => return Some(freshness),
            (None, Some(after)) => after,
            (None, None) => return None,
        };
        match (today - after).whole_days() {
            ..=1 => Some(Freshness::Day),
            2..=7 => Some(Freshness::Week),
            8..=30 => Some(Freshness::Month),
            31..=365 => Some(Freshness::Year),
            _ => None,
        }
    }

    /// Whether a result is what was asked for: of the right domain and, where its date is known, of the right time.
    pub(super) fn admits(&self, hit: &Hit) -> bool {
        let Some(host) = web_host(&hit.url) else { return false };
        let below = |domain: &String| {
            host == *domain || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        if !self.domains.is_empty() && !self.domains.iter().any(below) || self.exclude_domains.iter().any(below) {
            return false;
        }
        let Some(published) = hit.published_at.as_deref().and_then(day_of) else { return true };
        self.after.is_none_or(|after| published >= after) && self.before.is_none_or(|before| published <= before)
    }
}

/// Today, in UTC.
pub(super) fn today() -> Date {
    OffsetDateTime::now_utc().date()
}

/// A day as `2026-11-24`.
pub(super) fn iso(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

/// The host of an http(s) URL.
pub(super) fn web_host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    url.host_str().map(|host| host.trim_end_matches('.').to_owned())
}

/// The day that a date of an engine's begins with: `2026-11-24`, `2026-11-24T10:00:00Z`.
fn day_of(text: &str) -> Option<Date> {
    Date::parse(text.get(..10)?, format_description!("[year]-[month]-[day]")).ok()
}

fn date(name: &str, text: &str) -> Result<Date, ToolError> {
    let wrong = || ToolError::arguments(format!("{name} is not a date: write it as 2026-01-31"));
    if text.len() != 10 {
        return Err(wrong());
    }
    day_of(text).ok_or_else(wrong)
}

/// Two letters; `de-AT` and `de_AT` are taken as their first two.
fn code(name: &str, text: &str, example: &str) -> Result<String, ToolError> {
    let first = text.split(['-', '_']).next().unwrap_or_default();
    if first.len() == 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Ok(first.to_ascii_lowercase());
    }
    Err(ToolError::arguments(format!("{name} is not a code of two letters, such as {example:?}")))
}

/// Domains, cleaned: a URL becomes its host, `*.` and `www.` in front are dropped.
fn domains(name: &str, given: Vec<String>) -> Result<Vec<String>, ToolError> {
    if given.len() > MOST_DOMAINS {
        return Err(ToolError::arguments(format!("{name} holds more than {MOST_DOMAINS} domains")));
    }
    let mut domains = Vec::with_capacity(given.len());
    for text in given {
        let wrong = || {
            ToolError::arguments(format!("{name} holds something that is not a domain: write it as \"example.com\""))
        };
        let trimmed = text.trim();
        let url = if trimmed.contains("://") { trimmed.to_owned() } else { format!("http://{trimmed}") };
        let host = web_host(&url.replacen("://*.", "://", 1)).ok_or_else(wrong)?;
        let host = host.strip_prefix("www.").unwrap_or(&host).to_owned();
        // What is not a host's name would be an operator of its own in the engine's language.
        if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte)) {
            return Err(wrong());
        }
        if !domains.contains(&host) {
            domains.push(host);
        }
    }
    Ok(domains)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn query(arguments: serde_json::Value) -> Result<Query, String> {
        let arguments = serde_json::from_value(arguments).expect("the right shape");
        Query::new(arguments, 5, 20).map_err(|error| error.message)
    }

    #[test]
    fn what_a_call_says() {
        let seen =
            query(json!({ "query": " a \n b ", "count": 99, "country": "de", "language": "DE-at" })).expect("right");
        assert_eq!((&*seen.text, seen.count), ("a b", 20));
        assert_eq!((seen.country.as_deref(), seen.language.as_deref()), (Some("DE"), Some("de")));
        assert_eq!(query(json!({ "query": "a" })).map(|seen| seen.count), Ok(5));

        let check = |arguments, part: &str| {
            let message = query(arguments).expect_err("wrong");
            assert!(message.contains(part), "{message}");
        };
        check(json!({ "query": "  " }), "query is empty");
        check(json!({ "query": "x".repeat(401) }), "longer than 400");
        check(json!({ "query": "a", "count": 0 }), "count is 0");
        check(json!({ "query": "a", "country": "Germany" }), "country");
        check(json!({ "query": "a", "dateAfter": "2026-02-30" }), "dateAfter");
        check(json!({ "query": "a", "dateAfter": "2026-02-03", "dateBefore": "2026-02-02" }), "behind");
        check(json!({ "query": "a", "freshness": "day", "dateAfter": "2026-02-03" }), "contradict");
        check(json!({ "query": "a", "domains": ["a b"] }), "domains");
        check(json!({ "query": "a", "excludeDomains": vec!["a.example"; 21] }), "more than 20");
    }

    #[test]
    fn domains_as_operators_and_as_a_sieve() {
        let seen = query(json!({ "query": "a", "domains": ["https://www.One.example/x", "*.two.example"],
            "excludeDomains": ["old.one.example"] }))
        .expect("right");
        assert_eq!(seen.with_operators(), "a (site:one.example OR site:two.example) -site:old.one.example");
        let admits = |url: &str| seen.admits(&Hit { url: url.to_owned(), ..Hit::default() });
        assert!(admits("https://one.example/") && admits("http://a.two.example/x"));
        assert!(!admits("https://done.example/") && !admits("https://old.one.example/"));
        assert!(!admits("ftp://one.example/") && !admits("javascript:alert(1)") && !admits(""));
    }

    #[test]
    fn dates_as_a_sieve() {
        let seen =
            query(json!({ "query": "a", "dateAfter": "2026-01-10", "dateBefore": "2026-01-20" })).expect("right");
        let admits = |date: Option<&str>| {
            seen.admits(&Hit {
                url: "https://a.example/".into(),
                published_at: date.map(str::to_owned),
                ..Hit::default()
            })
        };
        assert!(admits(Some("2026-01-10")) && admits(Some("2026-01-20T23:59:59+01:00")));
        assert!(!admits(Some("2026-01-09")) && !admits(Some("2026-01-21")));
        assert!(admits(None) && admits(Some("3 days ago")), "a date that is not known keeps nothing out");
    }

    #[test]
    fn spans() {
        let day = |text: &str| day_of(text).expect("a date");
        let check = |after: &str, expect: Option<Freshness>| {
            let seen = query(json!({ "query": "a", "dateAfter": after })).expect("right");
            assert_eq!(seen.span(day("2026-11-24")), expect, "{after}");
        };
        check("2026-11-24", Some(Freshness::Day));
        check("2026-11-23", Some(Freshness::Day));
        check("2026-11-22", Some(Freshness::Week));
        check("2026-11-17", Some(Freshness::Week));
        check("2026-11-16", Some(Freshness::Month));
        check("2026-10-24", Some(Freshness::Year));
        check("2020-01-01", None);
        let seen = query(json!({ "query": "a", "freshness": "week" })).expect("right");
        assert_eq!(seen.span(day("2026-11-24")), Some(Freshness::Week));
    }
}
