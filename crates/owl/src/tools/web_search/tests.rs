//! How each engine is asked, and how its answers are read. The answers have the shape that each engine documents.

use serde_json::{Value, json};

use super::engine::{Answer, Engine, EngineProblem, Hit};
use super::query::{Query, QueryArguments};
use super::{brave, duckduckgo, http, searxng, tavily};
use crate::config::HttpEngine;

fn query(arguments: Value) -> Query {
    let arguments: QueryArguments = serde_json::from_value(arguments).expect("the right shape");
    Query::new(arguments, 5, 20).expect("right")
}

/// Everything that a call can say.
fn full() -> Query {
    query(json!({
        "query": "owls & \"barns\"", "count": 7, "country": "AT", "language": "de", "dateAfter": "2026-01-02",
        "dateBefore": "2026-02-03", "domains": ["a.example"], "excludeDomains": ["b.example"],
    }))
}

fn json_answer(body: &Value) -> Answer {
    Answer { content_type: "application/json".into(), body: body.to_string().into() }
}

fn page(body: &str) -> Answer {
    Answer { content_type: "text/html; charset=utf-8".into(), body: body.to_owned().into() }
}

fn searxng(categories: &[&str], engines: &[&str]) -> searxng::SearXng {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    searxng::SearXng { categories: owned(categories), engines: owned(engines) }
}

#[test]
fn searxng_is_asked() {
    let path = searxng(&[], &[]).ask(&query(json!({ "query": "a b" }))).path;
    assert_eq!(path, "search?q=a+b&format=json");
    let path = searxng(&["it", "science"], &["wikipedia"]).ask(&full()).path;
    assert_eq!(
        path,
        "search?q=owls+%26+%22barns%22+site%3Aa.example+-site%3Ab.example&format=json&categories=it%2Cscience\
         &engines=wikipedia&language=de-AT&time_range=year"
    );
    let path = searxng(&[], &[]).ask(&query(json!({ "query": "a", "freshness": "week", "country": "AT" }))).path;
    assert_eq!(path, "search?q=a&format=json&time_range=week", "a country alone is not something SearXNG knows");
}

#[test]
fn searxng_answers() {
    let engine = searxng(&[], &[]);
    let answer = json!({
        "query": "owl", "number_of_results": 0, "unresponsive_engines": [["google", "timeout"]],
        "results": [
            { "url": "https://a.example/1", "title": "One", "content": "first", "publishedDate": "2026-01-02T03:04:05", "engine": "ddg" },
            { "url": "https://a.example/2", "title": "Two", "content": null, "publishedDate": null },
        ],
    });
    let hits = engine.read(&json_answer(&answer)).expect("results");
    assert_eq!(hits[0].published_at.as_deref(), Some("2026-01-02T03:04:05"));
    assert_eq!(hits[1], Hit { title: "Two".into(), url: "https://a.example/2".into(), ..Hit::default() });
    assert!(
        matches!(engine.read(&page("<html>")), Err(EngineProblem::Shape(reason)) if reason.contains("search.formats"))
    );
    assert_eq!(engine.read(&Answer { content_type: String::new(), body: "{".into() }), Err(EngineProblem::NotJson));
    assert!(engine.explain(403).is_some_and(|reason| reason.contains("settings.yml")));
}

#[test]
fn brave_is_asked() {
    let path = brave::Brave.ask(&query(json!({ "query": "a", "freshness": "month" }))).path;
    assert_eq!(path, "res/v1/web/search?q=a&count=5&text_decorations=false&freshness=pm");
    let path = brave::Brave.ask(&full()).path;
    assert!(
        path.ends_with("&count=7&text_decorations=false&country=AT&search_lang=de&freshness=2026-01-02to2026-02-03"),
        "{path}"
    );
}

#[test]
fn brave_answers() {
    let answer = json!({
        "type": "search", "query": { "original": "owl" },
        "web": { "type": "search", "results": [{
            "title": "One", "url": "https://a.example/", "description": "first", "page_age": "2026-01-02T00:00:00",
            "profile": { "name": "A", "long_name": "a.example" },
        }] },
    });
    let hits = brave::Brave.read(&json_answer(&answer)).expect("results");
    assert_eq!((hits[0].snippet.as_str(), hits[0].site_name.as_deref()), ("first", Some("A")));
    assert_eq!(brave::Brave.read(&json_answer(&json!({ "type": "search" }))), Ok(Vec::new()), "nothing was found");
    assert!(matches!(brave::Brave.read(&json_answer(&json!({}))), Err(EngineProblem::Shape(_))));
}

#[test]
fn tavily_is_asked() {
    let asking = tavily::Tavily.ask(&full());
    let body: Value = serde_json::from_slice(&asking.body).expect("JSON");
    assert_eq!(asking.path, "search");
    let expect = json!({
        "query": "owls & \"barns\"", "max_results": 7, "start_date": "2026-01-02", "end_date": "2026-02-03",
        "include_domains": ["a.example"], "exclude_domains": ["b.example"],
    });
    assert_eq!(body, expect);
}

#[test]
fn tavily_answers() {
    let answer = json!({ "query": "owl", "results": [
        { "title": "One", "url": "https://a.example/", "content": "first", "score": 0.9, "published_date": "2026-01-02" },
    ] });
    let hits = tavily::Tavily.read(&json_answer(&answer)).expect("results");
    assert_eq!((hits[0].snippet.as_str(), hits[0].published_at.as_deref()), ("first", Some("2026-01-02")));
    assert!(matches!(tavily::Tavily.read(&json_answer(&json!({ "detail": "x" }))), Err(EngineProblem::Shape(_))));
}

fn enterprise() -> http::Http {
    http::Http(HttpEngine {
        method: ::http::Method::POST,
        path: "/find/{language}?q={query}&n={count}&from={after}&{unknown}".into(),
        body: Some(json!({ "text": "about {query}", "size": "{count}", "filters": [{ "lang": "{language}" }, true] })),
        results: "/hits/items".into(),
        title: "/fields/title/0".into(),
        url: "/link".into(),
        snippet: Some("/fields/summary".into()),
        published_at: Some("/date".into()),
    })
}

#[test]
fn any_other_is_asked() {
    let asking = enterprise().ask(&full());
    let words = "owls%20%26%20%22barns%22%20site%3Aa%2Eexample%20%2Dsite%3Ab%2Eexample";
    assert_eq!(asking.path, format!("find/de?q={words}&n=7&from=2026%2D01%2D02&{{unknown}}"));
    let body: Value = serde_json::from_slice(&asking.body).expect("JSON");
    let text = "about owls & \"barns\" site:a.example -site:b.example";
    assert_eq!(body, json!({ "text": text, "size": 7, "filters": [{ "lang": "de" }, true] }));
    // A query is a value, whatever it looks like: it is no further path, field or place.
    let asking = enterprise().ask(&query(json!({ "query": "../x?a=1&b={count}#c" })));
    assert!(asking.path.contains("q=%2E%2E%2Fx%3Fa%3D1%26b%3D%7Bcount%7D%23c&n=5"), "{}", asking.path);
}

#[test]
fn any_other_answers() {
    let answer = json!({ "hits": { "items": [
        { "link": "https://wiki.corp.example/1", "fields": { "title": ["One"], "summary": ["first", "second"] }, "date": 2026 },
        { "fields": {} },
    ] } });
    let hits = enterprise().read(&json_answer(&answer)).expect("results");
    let one = Hit {
        title: "One".into(),
        url: "https://wiki.corp.example/1".into(),
        snippet: "first second".into(),
        published_at: Some("2026".into()),
        site_name: None,
    };
    assert_eq!(hits, [one, Hit::default()]);
    assert!(matches!(enterprise().read(&json_answer(&json!({ "hits": [] }))), Err(EngineProblem::Shape(_))));
}

#[test]
fn duckduckgo_is_asked() {
    let path = duckduckgo::DuckDuckGo.ask(&query(json!({ "query": "a b", "freshness": "day" }))).path;
    assert_eq!(path, "html/?q=a+b&df=d");
    let path = duckduckgo::DuckDuckGo.ask(&full()).path;
    assert!(path.ends_with("&kl=at-de&df=2026-01-02..2026-02-03"), "{path}");
}

#[test]
fn duckduckgo_answers() {
    let answer = page(
        r#"<html><body><div id="links" class="results">
        <div class="result results_links results_links_deep web-result">
          <h2 class="result__title"><a rel="nofollow" class="result__a"
            href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.example%2Fx%3Fy%3D1&amp;rut=abc">The <b>owl</b> &amp; more</a></h2>
          <a class="result__snippet" href="//duckduckgo.com/l/?uddg=https%3A%2F%2Fa.example%2F">All about <b>owls</b>.</a>
        </div>
        <div class="result result--ad"><h2 class="result__title"><a class="result__a"
            href="https://duckduckgo.com/y.js?ad_provider=x">Buy owls</a></h2></div>
        <div class="result"><h2 class="result__title"><a class="result__a" href="https://b.example/">Plain</a></h2></div>
        </div></body></html>"#,
    );
    let hits = duckduckgo::DuckDuckGo.read(&answer).expect("results");
    let hit = |title: &str, url: &str, snippet: &str| Hit {
        title: title.into(),
        url: url.into(),
        snippet: snippet.into(),
        ..Hit::default()
    };
    assert_eq!(
        hits,
        [hit("The owl & more", "https://a.example/x?y=1", "All about owls."), hit("Plain", "https://b.example/", "")]
    );
    let none = page(r#"<html><body><div class="no-results">No results.</div></body></html>"#);
    assert_eq!(duckduckgo::DuckDuckGo.read(&none), Ok(Vec::new()));
    let challenge = page(
        r#"<html><body><form id="challenge-form"><div class="anomaly-modal__title">Bots</div></form></body></html>"#,
    );
    assert_eq!(duckduckgo::DuckDuckGo.read(&challenge), Err(EngineProblem::Challenge));
    assert!(matches!(duckduckgo::DuckDuckGo.read(&page("<html>hello")), Err(EngineProblem::Shape(_))));
}
