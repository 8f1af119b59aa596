//! `tools.web.search`: the engine that was named, and what it needs. No engine's address is known to Owl before the operator
//! has named that engine.

use http::{HeaderName, Method};
use owl_egress::{Authentication, Network, PolicyRules, SecretSource, TargetUrl, Timeouts, UpstreamOptions};
use serde_json::Value as Json;

use super::build::Builder;
use super::json5::Value;
use super::problem::KeyPath;
use super::provider::{RawLogin, UserInfo};
use super::raw::RawAuth;
use super::raw_tools::{RawEngine, RawEngineKind, RawEngineTable, RawMethod, RawSearch};
use super::raw_value::{List, RawBaseUrl};
use super::template::{check_pointer, places};
use super::{EngineConfig, HttpEngine, SearchConfig};

/// What to write where a key is missing.
const KEY_EXAMPLE: &str = "apiKey: \"${SEARCH_KEY}\"";

/// The longest that a connection may take to come to be, where a search may take longer.
const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

/// What distinguishes the engines as far as the configuration goes.
#[derive(Clone, Copy)]
struct Kind {
    /// The word that names it, or its `type`.
    name: &'static str,
    /// Its public address, where it has one.
    base_url: Option<&'static str>,
    login: KindOfLogin,
}

/// How Owl authenticates to an engine.
#[derive(Clone, Copy)]
enum KindOfLogin {
    /// As `auth` says.
    Any,
    /// With `apiKey` in this header.
    Header(&'static str),
    /// With `apiKey` as Bearer.
    Bearer,
    /// Not at all.
    None,
}

const SEARXNG: Kind = Kind { name: "searxng", base_url: None, login: KindOfLogin::Any };
const BRAVE: Kind = Kind {
    name: "brave",
    base_url: Some("https://api.search.brave.com"),
    login: KindOfLogin::Header("x-subscription-token"),
};
const TAVILY: Kind = Kind { name: "tavily", base_url: Some("https://api.tavily.com"), login: KindOfLogin::Bearer };
const DUCKDUCKGO: Kind =
    Kind { name: "duckduckgo", base_url: Some("https://html.duckduckgo.com"), login: KindOfLogin::None };
const HTTP: Kind = Kind { name: "http", base_url: None, login: KindOfLogin::Any };

impl Kind {
    fn of(raw: &RawEngine) -> Self {
        match raw {
            RawEngine::Kind(RawEngineKind::SearXng) => SEARXNG,
            RawEngine::Kind(RawEngineKind::Brave) => BRAVE,
            RawEngine::Kind(RawEngineKind::Tavily) => TAVILY,
            RawEngine::Kind(RawEngineKind::DuckDuckGo) => DUCKDUCKGO,
            RawEngine::Table(_) => HTTP,
        }
    }
}

impl Builder<'_, '_> {
    /// `tools.web.search`; `Some(None)` without an engine. `raw` is completed with what follows from it.
    pub(crate) fn search(
        &mut self,
        raw: &mut RawSearch,
        path: &KeyPath,
        everywhere: &PolicyRules,
    ) -> Option<Option<SearchConfig>> {
        let Some(engine) = &raw.engine else { return self.without_engine(path).then_some(None) };
        let kind = Kind::of(engine);
        let engine = self.engine(engine, &raw.categories, &raw.engines, path);
        let base_url = self.engine_url(&mut raw.base_url, kind, path);
        let (base_url, user_info) = base_url.map_or((None, None), |(url, user_info)| (Some(url), user_info));
        let authentication = self.engine_login(raw, user_info, kind, path, everywhere);
        let headers = self.headers(&raw.headers, authentication.as_ref(), &path.key("headers"));
        let tls = self.tls(&raw.tls, base_url.as_ref(), &path.key("tls"));
        let rules = self.policy(&raw.policy, path, everywhere);
        let timeout = self.positive(&raw.timeout, &path.key("timeout"));
        let cache = self.cache(&raw.cache, &path.key("cache"));
        let rate = self.rate(&raw.rate_limit, &path.key("rateLimit"));
        let timeout = timeout?;
        let upstream = UpstreamOptions {
            name: kind.name.to_owned(),
            base_url: base_url?,
            authentication: authentication?,
            headers: headers?,
            tls: tls?,
            rules,
            timeouts: Timeouts {
                connect: timeout.min(CONNECT),
                first_byte: Some(timeout),
                between_bytes: Some(timeout),
            },
            idle_timeout: UpstreamOptions::IDLE_TIMEOUT,
            max_idle: UpstreamOptions::MAX_IDLE,
            network: Network::default(),
        };
        let config = SearchConfig { upstream, engine: engine?, count: raw.count, timeout, cache: cache?, rate: rate? };
        Some(Some(config))
    }

    /// Without an engine nothing else may be written, for nobody would read it; only that the tool is off.
    fn without_engine(&mut self, path: &KeyPath) -> bool {
        if self.is_broken(&path.key("engine")) {
            return false;
        }
        let (members, off) = match self.find(path).map(|node| &node.value) {
            Some(Value::Object(members)) => {
                let off = |member: &super::json5::Member| {
                    member.key == "enabled" && matches!(member.node.value, Value::Bool(false))
                };
                (members.len(), members.iter().any(off))
            }
            Some(_) | None => (0, false),
        };
        if members == 0 || off || self.is_broken(path) {
            return true;
        }
        let help = "write `engine: \"searxng\"` (or \"brave\", \"tavily\", \"duckduckgo\", { type: \"http\", … }) beside it, or \
                    remove `search`";
        self.report(path, "no `engine` is named, so that there is nothing to search with", help);
        false
    }

    fn engine(
        &mut self,
        raw: &RawEngine,
        categories: &List<String>,
        engines: &List<String>,
        path: &KeyPath,
    ) -> Option<EngineConfig> {
        let is_searxng = matches!(raw, RawEngine::Kind(RawEngineKind::SearXng));
        let mut right = true;
        for (key, list) in [("categories", categories), ("engines", engines)] {
            let path = path.key(key);
            if self.is_written(&path) && !is_searxng {
                let message = format!("`{}` has no such choice, so that this would not be used", Kind::of(raw).name);
                self.report(&path, message, "remove it; only \"searxng\" has it");
                right = false;
            }
            for (index, name) in list.iter() {
                if name.trim().is_empty() || name.contains(',') || name.chars().any(char::is_control) {
                    self.report(&path.index(index), "this is no name", "write one name per entry, without commas");
                    right = false;
                }
            }
        }
        let names = |list: &List<String>| list.iter().map(|(_, name)| name.clone()).collect();
        let config = match raw {
            RawEngine::Kind(RawEngineKind::SearXng) => {
                EngineConfig::SearXng { categories: names(categories), engines: names(engines) }
            }
            RawEngine::Kind(RawEngineKind::Brave) => EngineConfig::Brave,
            RawEngine::Kind(RawEngineKind::Tavily) => EngineConfig::Tavily,
            RawEngine::Kind(RawEngineKind::DuckDuckGo) => EngineConfig::DuckDuckGo,
            RawEngine::Table(table) => EngineConfig::Http(Box::new(self.http_engine(table, &path.key("engine"))?)),
        };
        right.then_some(config)
    }

    /// Where the engine is: what was typed, or its public address.
    fn engine_url(
        &mut self,
        raw: &mut Option<RawBaseUrl>,
        kind: Kind,
        path: &KeyPath,
    ) -> Option<(TargetUrl, Option<UserInfo>)> {
        let path = path.key("baseUrl");
        match (&*raw, kind.base_url) {
            (Some(url), _) => self.base_url(url.0.expose(), "http://searx.lan:8080", &path),
            (None, _) if self.is_broken(&path) => None,
            (None, Some(url)) => {
                let public = self.base_url(url, url, &path);
                *raw = Some(RawBaseUrl(owl_egress::Secret::new(url)));
                self.note(path, &format!("the public address of {}", kind.name));
                public
            }
            (None, None) => {
                let help = "write `baseUrl: \"http://searx.lan:8080\"`, the address of yours";
                self.report(&path, "this key is missing: the engine could be anywhere", help);
                None
            }
        }
    }

    fn engine_login(
        &mut self,
        raw: &mut RawSearch,
        user_info: Option<UserInfo>,
        kind: Kind,
        path: &KeyPath,
        everywhere: &PolicyRules,
    ) -> Option<Authentication> {
        let mut login = RawLogin { auth: &mut raw.auth, api_key: raw.api_key.as_ref(), example: KEY_EXAMPLE };
        if let KindOfLogin::Any = kind.login {
            return self.authentication(&mut login, user_info, path, everywhere);
        }
        if user_info.is_some() {
            let message = format!("`{}` knows no user and password, so that they would not be sent", kind.name);
            self.report(&path.key("baseUrl"), message, "remove `user:password@`");
            return None;
        }
        self.refuse_auth(login.auth.as_ref(), kind, path)?;
        match kind.login {
            KindOfLogin::Any => None,
            KindOfLogin::Header(name) => {
                let value = self.engine_key(&login, kind, path)?;
                Some(Authentication::Header { name: HeaderName::from_static(name), value })
            }
            KindOfLogin::Bearer => self.engine_key(&login, kind, path).map(Authentication::Bearer),
            KindOfLogin::None => {
                if login.api_key.is_some() {
                    let message = format!("`{}` takes no key, so that this one would not be sent", kind.name);
                    self.report(&path.key("apiKey"), message, "remove it");
                    return None;
                }
                Some(Authentication::None)
            }
        }
    }

    fn refuse_auth(&mut self, auth: Option<&RawAuth>, kind: Kind, path: &KeyPath) -> Option<()> {
        if auth.is_none() {
            return (!self.is_broken(&path.key("auth"))).then_some(());
        }
        let (message, help) = match kind.login {
            KindOfLogin::None => {
                (format!("`{}` takes no key, so that `auth` has nothing to send", kind.name), "remove it")
            }
            KindOfLogin::Any | KindOfLogin::Header(_) | KindOfLogin::Bearer => (
                format!("how `{}` gets its key is fixed, so that `auth` says nothing", kind.name),
                "write `apiKey` alone",
            ),
        };
        self.report(&path.key("auth"), message, help);
        None
    }

    fn engine_key(&mut self, login: &RawLogin<'_>, kind: Kind, path: &KeyPath) -> Option<SecretSource> {
        let path = path.key("apiKey");
        match login.api_key {
            Some(key) => self.secret(key, &path),
            None if self.is_broken(&path) => None,
            None => {
                let message = format!("this key is missing: `{}` answers nobody without one", kind.name);
                self.report(&path, message, format!("write `{}`", login.example));
                None
            }
        }
    }

    fn http_engine(&mut self, raw: &RawEngineTable, path: &KeyPath) -> Option<HttpEngine> {
        let RawEngineTable::Http { method, path: template, body, results, title, url, snippet, published_at } = raw;
        let template_path = path.key("path");
        let below = self.http_path(template, &template_path);
        let body_path = path.key("body");
        let body = body.as_ref().map(|body| &body.0);
        let in_body = body.map(|body| self.body_places(body, &body_path));
        let method = match (method, body) {
            (RawMethod::Get, Some(_)) => {
                self.report(&body_path, "a GET carries no body", "write `method: \"POST\"` beside it, or remove it");
                None
            }
            (RawMethod::Get, None) => Some(Method::GET),
            (RawMethod::Post, _) => Some(Method::POST),
        };
        let right = [("results", Some(results)), ("title", Some(title)), ("url", Some(url))]
            .into_iter()
            .chain([("snippet", snippet.as_ref()), ("publishedAt", published_at.as_ref())])
            .map(|(key, pointer)| pointer.is_none_or(|pointer| self.pointer(pointer, &path.key(key))))
            .fold(true, |all, right| all & right);
        let (below, in_path) = below?;
        let in_body = super::build::unwrap_inner(in_body)?.unwrap_or_default();
        let may_have_one = self.is_broken(&body_path);
        if !may_have_one && !in_path.iter().chain(&in_body).any(|place| *place == "query") {
            let help = "write `{query}` where the engine expects it, for example \"search?q={query}\"";
            self.report(&template_path, "what is searched for has no place, in the path or in the body", help);
            return None;
        }
        right.then_some(HttpEngine {
            method: method?,
            path: below,
            body: body.cloned(),
            results: results.clone(),
            title: title.clone(),
            url: url.clone(),
            snippet: snippet.clone(),
            published_at: published_at.clone(),
        })
    }

    /// The path without a slash in front, and its places.
    fn http_path(&mut self, template: &str, path: &KeyPath) -> Option<(String, Vec<&'static str>)> {
        let below = template.strip_prefix('/').unwrap_or(template);
        let places = match places(below) {
            Ok(places) => places,
            Err((message, help)) => {
                self.report(path, message, help);
                return None;
            }
        };
        let (segments, _) = below.split_once('?').unwrap_or((below, ""));
        let leaves = segments.split('/').any(|segment| matches!(segment, "." | ".."));
        let sendable = !below.contains(['#', '\\']) && below.chars().all(|c| c.is_ascii_graphic());
        if template.contains("://") || template.starts_with("//") || leaves || !sendable {
            let help = "write what stands behind `baseUrl`, percent-encoded: \"api/search?q={query}\"";
            self.report(path, "this is not a path with a query", help);
            return None;
        }
        Some((below.to_owned(), places))
    }

    /// The places in all texts of the body; `None` where a problem was reported.
    fn body_places(&mut self, body: &Json, path: &KeyPath) -> Option<Vec<&'static str>> {
        match body {
            Json::Null | Json::Bool(_) | Json::Number(_) => Some(Vec::new()),
            Json::String(text) => match places(text) {
                Ok(places) => Some(places),
                Err((message, help)) => {
                    self.report(path, message, help);
                    None
                }
            },
            Json::Array(elements) => {
                let inner = elements.iter().enumerate().map(|(index, inner)| (path.index(index), inner));
                self.all_places(inner.collect())
            }
            Json::Object(members) => {
                self.all_places(members.iter().map(|(key, inner)| (path.key(key), inner)).collect())
            }
        }
    }

    fn all_places(&mut self, inner: Vec<(KeyPath, &Json)>) -> Option<Vec<&'static str>> {
        let found: Vec<_> = inner.into_iter().map(|(path, inner)| self.body_places(inner, &path)).collect();
        Some(found.into_iter().collect::<Option<Vec<_>>>()?.concat())
    }

    fn pointer(&mut self, text: &str, path: &KeyPath) -> bool {
        match check_pointer(text) {
            Ok(()) => true,
            Err((message, help)) => {
                self.report(path, message, help);
                false
            }
        }
    }
}
