//! Tools that the server runs, as requests name them: entries of `tools` whose type is not `function`.

use serde_json::Value;

/// A tool of Owl's that a request asks for. What it says beside the name narrows what the model may do with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostedTool {
    /// `web_search`, `web_fetch` or `image`.
    pub name: String,
    /// The only domains (and those below them) that may be searched or fetched; empty: all.
    pub allowed_domains: Vec<String>,
    /// Domains that may not.
    pub blocked_domains: Vec<String>,
    /// How often it may be called in one answer.
    pub max_uses: Option<u64>,
    /// The country that results are for, if a call names none: ISO 3166-1, two letters.
    pub country: Option<String>,
    /// How many results a search gives, if a call does not say.
    pub count: Option<u64>,
}

impl HostedTool {
    /// A tool without any narrowing.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Reads an entry of `tools`; `None` if it is no tool of Owl's. OpenAI's and Anthropic's spellings are known:
    /// `web_search_preview`, `web_search_2025_08_26`, `web_search_20250305`.
    pub fn read(entry: &Value) -> Option<Self> {
        let kind = entry.get("type")?.as_str()?;
        let name = Self::name_of(kind)?;
        let domains = |lists: [&Value; 2]| {
            let listed = lists.into_iter().filter_map(Value::as_array).flatten();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let filters = &entry["filters"];
        let location = &entry["user_location"];
        let country = location["country"].as_str().or_else(|| location["approximate"]["country"].as_str());
        let count = match entry["search_context_size"].as_str() {
            Some("low") => Some(3),
            Some("high") => Some(10),
            // The middle is the operator's own choice.
            Some(_) | None => None,
        };
        Some(Self {
            name: name.to_owned(),
            allowed_domains: domains([&filters["allowed_domains"], &entry["allowed_domains"]]),
            blocked_domains: domains([&filters["blocked_domains"], &entry["blocked_domains"]]),
            max_uses: entry["max_uses"].as_u64(),
            country: country.map(str::to_owned),
            count: count.filter(|_| name == "web_search"),
        })
    }

    /// The tool that this type stands for.
    pub fn name_of(kind: &str) -> Option<&'static str> {
        let dated = |name: &str| {
            let rest = kind.strip_prefix(name)?;
            let rest = rest.strip_prefix("_preview").unwrap_or(rest);
            rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit()).then_some(())
        };
        ["web_search", "web_fetch", "image"].into_iter().find(|name| dated(name).is_some())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_spelling() {
        let check = |kind: &str, expect: Option<&str>| assert_eq!(HostedTool::name_of(kind), expect, "{kind}");
        for kind in [
            "web_search",
            "web_search_preview",
            "web_search_preview_2025_03_11",
            "web_search_2025_08_26",
            "web_search_20250305",
        ] {
            check(kind, Some("web_search"));
        }
        check("web_fetch_20250910", Some("web_fetch"));
        check("image", Some("image"));
        for kind in ["function", "web_searches", "web_search_tool", "image_generation", "image_url", "file_search", ""]
        {
            check(kind, None);
        }
    }

    #[test]
    fn what_narrows() {
        let entry = json!({ "type": "web_search", "filters": { "allowed_domains": ["a.example"] }, "blocked_domains": ["b.example"],
            "max_uses": 2, "user_location": { "type": "approximate", "country": "DE" }, "search_context_size": "low" });
        let expect = HostedTool {
            name: "web_search".to_owned(),
            allowed_domains: vec!["a.example".to_owned()],
            blocked_domains: vec!["b.example".to_owned()],
            max_uses: Some(2),
            country: Some("DE".to_owned()),
            count: Some(3),
        };
        assert_eq!(HostedTool::read(&entry), Some(expect));
        assert_eq!(
            HostedTool::read(&json!({ "type": "image", "search_context_size": "low" })),
            Some(HostedTool::new("image"))
        );
        assert_eq!(HostedTool::read(&json!("web_search")), None);
    }
}
