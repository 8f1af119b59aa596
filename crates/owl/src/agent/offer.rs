//! What a request may use of Owl's tools: how they are offered to the model, and what the request narrows.

use std::fmt;

use owl_wire::hosted::HostedTool;
use serde_json::{Map, Value, json};

use crate::tools::ToolSet;

/// The tools of Owl's that one request may use.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    tools: Vec<Offered>,
}

#[derive(Clone, Debug)]
struct Offered {
    /// What the request says of it.
    asked: HostedTool,
    /// The names that a model may call it by.
    names: Vec<&'static str>,
    /// As a function of a chat completion.
    function: Value,
    used: u64,
}

/// Why a request's tools cannot be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferError {
    /// The operator has not switched it on.
    Unknown {
        /// The tool.
        name: String,
        /// Those that are on.
        known: Vec<&'static str>,
    },
    /// The client has a function of the same name.
    NameTaken {
        /// The name.
        name: String,
    },
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, known } if known.is_empty() => {
                write!(f, "the tool {name} is not switched on here, nor is any other")
            }
            Self::Unknown { name, known } => {
                write!(f, "the tool {name} is not switched on here; there are: {}", known.join(", "))
            }
            Self::NameTaken { name } => write!(
                f,
                "there is a function {name} beside the tool {name} that Owl runs: rename the function, or leave the tool out"
            ),
        }
    }
}

impl std::error::Error for OfferError {}

impl Offer {
    /// What `asked` and `auto` name, of what is switched on. A tool that is in both counts as asked for; one of `auto` makes way for a
    /// function of the client's, whose names are `taken`.
    ///
    /// # Errors
    /// [`OfferError`].
    pub fn new(set: &ToolSet, asked: Vec<HostedTool>, auto: &[String], taken: &[String]) -> Result<Self, OfferError> {
        let mut offer = Self::default();
        for one in asked {
            if taken.contains(&one.name) {
                return Err(OfferError::NameTaken { name: one.name });
            }
            offer.add(set, one)?;
        }
        for name in auto.iter().filter(|name| !taken.contains(name)) {
            offer.add(set, HostedTool::new(name))?;
        }
        Ok(offer)
    }

    fn add(&mut self, set: &ToolSet, asked: HostedTool) -> Result<(), OfferError> {
        let Some(tool) = set.get(&asked.name) else {
            let known = set.all().iter().map(|tool| tool.definition().name).collect();
            return Err(OfferError::Unknown { name: asked.name, known });
        };
        let definition = tool.definition();
        if self.tools.iter().any(|offered| offered.names[0] == definition.name) {
            return Ok(());
        }
        let function = json!({ "type": "function", "function": {
            "name": definition.name, "description": definition.description, "parameters": definition.parameters,
        } });
        let names = [definition.name].into_iter().chain(definition.aliases.iter().copied()).collect();
        self.tools.push(Offered { asked, names, function, used: 0 });
        Ok(())
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// Whether a call of this name is Owl's to run.
    pub fn has(&self, name: &str) -> bool {
        self.tools.iter().any(|offered| offered.names.contains(&name))
    }

    /// The names in it.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.tools.iter().map(|offered| offered.names[0])
    }

    /// Puts its functions in front of the client's, and makes a wish for a hosted tool one for the function.
    pub(super) fn put_into(&self, body: &mut Map<String, Value>) {
        if self.is_empty() {
            return;
        }
        let mut tools: Vec<Value> = self.tools.iter().map(|offered| offered.function.clone()).collect();
        if let Some(Value::Array(own)) = body.remove("tools") {
            tools.extend(own);
        }
        body.insert("tools".to_owned(), tools.into());
        let wished = body.get("tool_choice").and_then(|choice| choice["type"].as_str()).and_then(HostedTool::name_of);
        if let Some(name) = wished {
            body.insert("tool_choice".to_owned(), json!({ "type": "function", "function": { "name": name } }));
        }
    }

    /// Judges a call by what the request narrows, and changes its arguments accordingly.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(super) fn narrow(&mut self, name: &str, arguments: &mut Map<String, Value>) -> Result<(), String> {
        let Some(offered) = self.tools.iter_mut().find(|offered| offered.names.contains(&name)) else {
            return Err(format!("there is no tool {name:?}"));
        };
        offered.used += 1;
        let (asked, used) = (&offered.asked, offered.used);
        if let Some(most) = asked.max_uses.filter(|most| used > *most) {
            return Err(format!(
                "{name} may be called {most} times for this answer, and was; answer with what is there"
            ));
        }
        match offered.names[0] {
            "web_search" => narrow_search(asked, arguments),
            "web_fetch" => narrow_fetch(asked, arguments),
            _ => Ok(()),
        }
    }

    /// Judges what a call gave: a page that redirects does not lead out of the domains that a request names.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(super) fn admit(&self, name: &str, details: &Value) -> Result<(), String> {
        let offered =
            self.tools.iter().find(|offered| offered.names.contains(&name) && offered.names[0] == "web_fetch");
        let Some(offered) = offered else { return Ok(()) };
        let Some(url) = details.get("finalUrl").or_else(|| details.get("url")) else { return Ok(()) };
        narrow_fetch(&offered.asked, &[("url".to_owned(), url.clone())].into_iter().collect())
    }
}

fn narrow_search(asked: &HostedTool, arguments: &mut Map<String, Value>) -> Result<(), String> {
    if !asked.allowed_domains.is_empty() {
        let chosen: Vec<&str> = arguments
            .get("domains")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let refused = chosen.iter().find(|domain| !is_below_any(domain, &asked.allowed_domains));
        if let Some(refused) = refused {
            return Err(format!(
                "the search may only look at {}, not at {refused:?}",
                asked.allowed_domains.join(", ")
            ));
        }
        if chosen.is_empty() {
            arguments.insert("domains".to_owned(), json!(asked.allowed_domains));
        }
    }
    if !asked.blocked_domains.is_empty() {
        let mut excluded = arguments.get("excludeDomains").and_then(Value::as_array).cloned().unwrap_or_default();
        excluded.extend(asked.blocked_domains.iter().map(|domain| domain.as_str().into()));
        arguments.insert("excludeDomains".to_owned(), excluded.into());
    }
    let mut default = |key: &str, value: Option<Value>| {
        if let Some(value) = value
            && arguments.get(key).is_none_or(Value::is_null)
        {
            arguments.insert(key.to_owned(), value);
        }
    };
    default("country", asked.country.as_deref().map(Value::from));
    default("count", asked.count.map(Value::from));
    Ok(())
}

fn narrow_fetch(asked: &HostedTool, arguments: &Map<String, Value>) -> Result<(), String> {
    if asked.allowed_domains.is_empty() && asked.blocked_domains.is_empty() {
        return Ok(());
    }
    let url = arguments.get("url").and_then(Value::as_str).unwrap_or_default();
    // What is no URL is told by the tool itself.
    let Some(host) = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)) else { return Ok(()) };
    let host = host.trim_end_matches('.');
    if !asked.allowed_domains.is_empty() && !is_below_any(host, &asked.allowed_domains) {
        return Err(format!("only pages of {} may be fetched for this answer", asked.allowed_domains.join(", ")));
    }
    if is_below_any(host, &asked.blocked_domains) {
        return Err(format!("pages of {host} may not be fetched for this answer"));
    }
    Ok(())
}

/// Whether the domain is one of these, or below one.
fn is_below_any(domain: &str, domains: &[String]) -> bool {
    let domain = domain.to_ascii_lowercase();
    domains.iter().any(|one| {
        let one = one.trim_start_matches("*.").to_ascii_lowercase();
        domain.strip_suffix(&one).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_search_is_narrowed() {
        let asked = HostedTool {
            allowed_domains: vec!["example.org".to_owned()],
            blocked_domains: vec!["old.example.org".to_owned()],
            country: Some("DE".to_owned()),
            ..HostedTool::new("web_search")
        };
        let mut arguments = object(&json!({ "query": "q", "excludeDomains": ["x.example"] }));
        assert_eq!(narrow_search(&asked, &mut arguments), Ok(()));
        let expect = json!({ "query": "q", "excludeDomains": ["x.example", "old.example.org"],
            "domains": ["example.org"], "country": "DE" });
        assert_eq!(Value::from(arguments), expect);
        let mut below = object(&json!({ "domains": ["www.example.org"], "country": "FR" }));
        assert_eq!(narrow_search(&asked, &mut below), Ok(()));
        assert_eq!((&below["domains"], &below["country"]), (&json!(["www.example.org"]), &json!("FR")));
        let mut beside = object(&json!({ "domains": ["notexample.org"] }));
        assert!(narrow_search(&asked, &mut beside).is_err());
    }

    #[test]
    fn a_fetch_is_narrowed() {
        let asked = HostedTool {
            allowed_domains: vec!["Example.org".to_owned()],
            blocked_domains: vec!["old.example.org".to_owned()],
            ..HostedTool::new("web_fetch")
        };
        let check = |url: &str, allowed: bool| {
            assert_eq!(narrow_fetch(&asked, &object(&json!({ "url": url }))).is_ok(), allowed, "{url}");
        };
        check("https://example.org/a", true);
        check("https://WWW.example.org./a", true);
        check("https://old.example.org/", false);
        check("https://notexample.org/", false);
        check("https://example.org.evil.example/", false);
        check("https://example.org@evil.example/", false);
    }
}
