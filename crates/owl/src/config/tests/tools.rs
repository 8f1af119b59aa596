//! The keys of `tools`.

use std::time::Duration;

use http::Method;

use super::*;
use crate::config::{Budget, ENGINE_PLACES, EngineConfig, FetchConfig, ImageConfig, SearchConfig};

/// Each text as a configuration's `tools`, with one provider.
fn with_tools(keys: &[&str]) -> String {
    let texts: Vec<String> = keys.iter().map(|keys| with_provider(&format!("tools: {{ {keys} }}"))).collect();
    table(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Each text as `tools.web.search`.
fn with_search(keys: &[&str]) -> String {
    let texts: Vec<String> = keys.iter().map(|keys| format!("web: {{ search: {{ {keys} }} }}")).collect();
    with_tools(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn config(tools: &str) -> Config {
    let text = with_provider(&format!("tools: {{ {tools} }}"));
    match effective(&text, &Overrides::default(), &[("KEY", "CANARY")]) {
        Ok(effective) => effective.config,
        Err(problems) => panic!("{problems}"),
    }
}

fn search_config(keys: &str) -> SearchConfig {
    config(&format!("web: {{ search: {{ {keys} }} }}")).tools.search.expect("an engine")
}

/// What each key becomes that [`FULL`] holds, for the test of every key.
pub(super) fn cases(config: &Config) -> Vec<(String, String, &'static str)> {
    let tools = &config.tools;
    let (fetch, search, image) = (
        tools.fetch.as_ref().expect("fetch"),
        tools.search.as_ref().expect("search"),
        tools.image.as_ref().expect("image"),
    );
    let mut cases = fetch_cases(fetch);
    cases.extend(search_cases(search));
    cases.extend(http_cases());
    cases.extend(image_cases(image));
    cases.extend(budget_cases(tools.budget));
    for (tool, rules) in [("web.fetch", &fetch.rules), ("web.search", &search.upstream.rules), ("image", &image.rules)]
    {
        cases.extend(policy_cases(tool, rules));
    }
    cases.into_iter().map(|(key, found, expect)| (format!("tools.{key}"), found, expect)).collect()
}

type Case = (String, String, &'static str);

fn case(key: &str, found: &dyn std::fmt::Debug, expect: &'static str) -> Case {
    (key.to_owned(), format!("{found:?}"), expect)
}

fn policy_cases(tool: &str, rules: &PolicyRules) -> Vec<Case> {
    fn joined<T: std::fmt::Display>(patterns: &[T]) -> String {
        patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
    let of = |key: &str, found: String, expect| (format!("{tool}.{key}"), found, expect);
    vec![
        of("allowPrivateNetwork", rules.allow_private_network.to_string(), "true"),
        of("allowHosts", joined(&rules.allow_hosts), "f.corp.example"),
        of("allowCidrs", joined(&rules.allow_cidrs), "10.40.0.0/16"),
        of("onlyHosts", joined(&rules.only_hosts), "g.corp.example"),
        // First the tool's own, then what holds everywhere.
        of("blockHosts", joined(&rules.block_hosts), "h.corp.example e.corp.example"),
        of("blockCidrs", joined(&rules.block_cidrs), "10.69.0.0/16 10.68.0.0/16"),
        of("allowPorts", format!("{:?}", rules.allow_ports), "[6381]"),
        of("fakeIpRanges", joined(&rules.fake_ip_ranges), "198.19.0.0/17 198.18.0.0/16"),
        of("nat64Prefixes", joined(&rules.nat64_prefixes), "2001:db8:67::/96 2001:db8:66::/96"),
        of("(own sockets)", format!("{:?}", rules.own_sockets), "[0.0.0.0:7000]"),
    ]
}

fn fetch_cases(fetch: &FetchConfig) -> Vec<Case> {
    vec![
        case("web.fetch.enabled", &config("web: { fetch: { enabled: false } }").tools.fetch.is_none(), "true"),
        case("web.fetch.maxChars", &fetch.max_chars, "20000"),
        case("web.fetch.maxCharsCap", &fetch.max_chars_cap, "30000"),
        case("web.fetch.maxBytes", &fetch.max_bytes, "3145728"),
        case("web.fetch.maxRedirects", &fetch.max_redirects, "2"),
        case("web.fetch.timeout", &fetch.timeout, "11s"),
        case("web.fetch.userAgent", &fetch.user_agent, "Some(\"corp/1\")"),
        case("web.fetch.respectRobots", &fetch.respect_robots, "true"),
        case("web.fetch.cache.maxSize", &fetch.cache.max_size, "1048576"),
        case("web.fetch.cache.maxAge", &fetch.cache.max_age, "60s"),
        case("web.fetch.rateLimit", &fetch.rate, "Some(Rate { per_minute: 30, burst: 15 })"),
        case("web.fetch.tls.ca", &(&fetch.tls.ca, fetch.tls.keep_system), "(Some(\"web.pem\"), true)"),
    ]
}

fn search_cases(search: &SearchConfig) -> Vec<Case> {
    let upstream = &search.upstream;
    let off = config("web: { search: { enabled: false, engine: \"duckduckgo\" } }").tools.search;
    let own = "engine: \"searxng\", baseUrl: \"http://searx.lan\"";
    let bearer = search_config(&format!("{own}, apiKey: \"CANARY\"")).upstream.authentication;
    vec![
        case("web.search.enabled", &off.is_none(), "true"),
        case(
            "web.search.engine",
            &search.engine,
            "SearXng { categories: [\"it\"], engines: [\"wikipedia\", \"ddg\"] }",
        ),
        case(
            "web.search.categories",
            &search.engine,
            "SearXng { categories: [\"it\"], engines: [\"wikipedia\", \"ddg\"] }",
        ),
        case(
            "web.search.engines",
            &search.engine,
            "SearXng { categories: [\"it\"], engines: [\"wikipedia\", \"ddg\"] }",
        ),
        case("web.search.baseUrl", &upstream.base_url.to_string(), "\"https://searx.corp.example/find\""),
        case("web.search.apiKey", &bearer, "Bearer(Literal(****))"),
        case(
            "web.search.auth",
            &upstream.authentication,
            "Basic(UserPassword { username: \"svc\", password: Literal(****) })",
        ),
        case("web.search.headers", &upstream.headers, "[(\"x-search\", Literal(****))]"),
        case("web.search.tls", &upstream.tls.ca, "Some(\"searx.pem\")"),
        case("web.search.count", &search.count, "7"),
        case(
            "web.search.timeout",
            &(search.timeout, upstream.timeouts),
            "(3s, Timeouts { connect: 3s, first_byte: Some(3s), between_bytes: Some(3s) })",
        ),
        case("web.search.cache.maxSize", &search.cache.max_size, "2097152"),
        case("web.search.cache.maxAge", &search.cache.max_age, "120s"),
        case("web.search.rateLimit", &search.rate, "Some(Rate { per_minute: 60, burst: 3 })"),
    ]
}

/// The engine with keys of its own, which cannot stand beside another in one file.
fn http_cases() -> Vec<Case> {
    let search = search_config(
        "baseUrl: \"https://find.corp.example\", engine: { type: \"http\", method: \"POST\", path: \"/api/{language}?key=${KEY}\",\n\
         body: { q: \"{query}\", size: \"{count}\", deep: { list: [1, 1.5, true, null, \"${KEY}\"] } }, results: \"/hits\",\n\
         title: \"/t\", url: \"/u\", snippet: \"/s\", publishedAt: \"/d\" }",
    );
    let shown = format!("{search:?}");
    assert!(!shown.contains("CANARY"), "{shown}");
    let EngineConfig::Http(engine) = search.engine else { panic!("{shown}") };
    let body = engine.body.map(|body| body.to_string());
    let defaults = search_config(
        "baseUrl: \"https://find.corp.example\", engine: { type: \"http\", path: \"?q={query}\", results: \"\" }",
    );
    let EngineConfig::Http(defaults) = defaults.engine else { panic!("{:?}", defaults.engine) };
    let expect = (Method::GET, "?q={query}", "", "/title", "/url", None, None);
    let found = (
        defaults.method,
        defaults.path.as_str(),
        defaults.results.as_str(),
        defaults.title.as_str(),
        defaults.url.as_str(),
        defaults.snippet,
        defaults.published_at,
    );
    assert_eq!(found, expect);
    vec![
        case("web.search.engine.http.type", &search.upstream.name, "\"http\""),
        case("web.search.engine.http.method", &engine.method, "POST"),
        case("web.search.engine.http.path", &engine.path, "\"api/{language}?key=CANARY\""),
        case(
            "web.search.engine.http.body",
            &body.as_deref().unwrap_or_default().replace('"', "'"),
            "\"{'q':'{query}','size':'{count}','deep':{'list':[1,1.5,true,null,'CANARY']}}\"",
        ),
        case("web.search.engine.http.results", &engine.results, "\"/hits\""),
        case("web.search.engine.http.title", &engine.title, "\"/t\""),
        case("web.search.engine.http.url", &engine.url, "\"/u\""),
        case("web.search.engine.http.snippet", &engine.snippet, "Some(\"/s\")"),
        case("web.search.engine.http.publishedAt", &engine.published_at, "Some(\"/d\")"),
    ]
}

fn budget_cases(budget: Budget) -> Vec<Case> {
    vec![
        case("budget.steps", &budget.steps, "3"),
        case("budget.calls", &budget.calls, "5"),
        case("budget.parallel", &budget.parallel, "2"),
        case("budget.timeout", &budget.timeout, "7s"),
        case("budget.resultBytes", &budget.result_bytes, "2048"),
    ]
}

fn image_cases(image: &ImageConfig) -> Vec<Case> {
    vec![
        case("image.enabled", &config("image: { enabled: false }").tools.image.is_none(), "true"),
        case("image.roots", &image.roots, "[\"pictures\", \"/srv/pictures\"]"),
        case("image.model", &image.model, "Some(\"owl/b\")"),
        case("image.maxImages", &image.max_images, "3"),
        case("image.maxBytes", &image.max_bytes, "4194304"),
        case("image.maxSide", &image.max_side, "1024"),
        case("image.timeout", &image.timeout, "12s"),
        case("image.rateLimit", &image.rate, "Some(Rate { per_minute: 10, burst: 5 })"),
        case("image.tls.ca", &(&image.tls.ca, image.tls.keep_system), "(Some(\"image.pem\"), true)"),
    ]
}

#[test]
fn tools_are_on_by_default_and_searching_once_an_engine_is_named() {
    let check = |tools: &str, expect: [bool; 3]| {
        let tools = config(tools).tools;
        assert_eq!([tools.fetch.is_some(), tools.image.is_some(), tools.search.is_some()], expect);
    };
    check("", [true, true, false]);
    check("web: { search: {} }", [true, true, false]);
    check("web: { search: { enabled: false } }", [true, true, false]);
    check("web: { search: { engine: \"duckduckgo\" } }", [true, true, true]);
    check("web: { search: { engine: \"duckduckgo\", enabled: false } }", [true, true, false]);
    check(
        "web: { fetch: { enabled: false }, search: { engine: \"duckduckgo\" } }, image: { enabled: false }",
        [false, false, true],
    );
}

#[test]
fn what_is_ready_by_default_is_what_the_types_say() {
    let tools = config("").tools;
    let fetch = tools.fetch.expect("fetch");
    let rules = fetch.rules.clone();
    assert_eq!(rules.own_sockets.len(), 1);
    assert_eq!(format!("{fetch:?}"), format!("{:?}", FetchConfig { rules: rules.clone(), ..FetchConfig::default() }));
    let image = tools.image.expect("image");
    assert_eq!(format!("{image:?}"), format!("{:?}", ImageConfig { rules, ..ImageConfig::default() }));
}

#[test]
fn an_engine_s_public_address_stands_behind_its_name_only() {
    let check = |keys: &str, url: &str, authentication: &str| {
        let search = search_config(keys);
        assert_eq!(search.upstream.base_url.origin(), url);
        assert_eq!(format!("{:?}", search.upstream.authentication), authentication);
    };
    let brave = "Header { name: \"x-subscription-token\", value: Literal(****) }";
    check("engine: \"brave\", apiKey: \"${KEY}\"", "https://api.search.brave.com", brave);
    check(
        "engine: \"brave\", apiKey: \"k\", baseUrl: \"https://brave.corp.example\"",
        "https://brave.corp.example",
        brave,
    );
    check("engine: \"tavily\", apiKey: \"k\"", "https://api.tavily.com", "Bearer(Literal(****))");
    check("engine: \"duckduckgo\"", "https://html.duckduckgo.com", "None");
    check("engine: \"searxng\", baseUrl: \"http://searx.lan:8080\"", "http://searx.lan:8080", "None");
    let basic = "Basic(UserPassword { username: \"u\", password: Literal(****) })";
    check("engine: \"searxng\", baseUrl: \"https://u:p@searx.corp.example\"", "https://searx.corp.example", basic);
    let oauth = search_config(
        "engine: \"searxng\", baseUrl: \"https://searx.corp.example\", allowPrivateNetwork: true, auth: { type: \"oauth2\",\n\
         tokenUrl: \"https://login.corp.example/token\", clientId: \"owl\", clientSecret: \"CANARY\" }",
    );
    let Authentication::OAuth2(oauth) = &oauth.upstream.authentication else { panic!("{oauth:?}") };
    assert!(!oauth.rules.allow_private_network, "what opens the engine opens no token URL");
}

#[test]
fn what_a_variable_puts_into_an_engine_s_words_is_not_shown() {
    let text = with_provider(
        "tools: { web: { search: { baseUrl: \"https://find.corp.example\", engine: { type: \"http\", method: \"POST\",\n\
         path: \"find?key=${KEY}\", body: { q: \"{query}\", key: [\"${KEY}\"] }, results: \"/hits\" } } } }",
    );
    let shown = effective(&text, &Overrides::default(), &[("KEY", "CANARY")]).expect("right").show();
    assert!(!shown.contains("CANARY"), "{shown}");
    assert!(shown.contains("path: \"****\", // owl.json5:3:7, from KEY"), "{shown}");
    assert!(shown.contains("q: \"{query}\","), "{shown}");
}

#[test]
fn a_tool_opens_nothing_for_another() {
    let config = config(
        "web: { fetch: { allowPrivateNetwork: true }, search: { engine: \"searxng\", baseUrl: \"http://searx.lan\",\n\
         allowHosts: [\"searx.lan\"] } }, image: { allowCidrs: [\"10.0.0.0/8\"] }",
    );
    let opened = |rules: &PolicyRules| {
        (rules.allow_private_network, rules.allow_hosts.len(), rules.allow_cidrs.len(), rules.allow_ports.len())
    };
    let tools = &config.tools;
    assert_eq!(tools.fetch.as_ref().map(|tool| opened(&tool.rules)), Some((true, 0, 0, 0)));
    assert_eq!(tools.search.as_ref().map(|tool| opened(&tool.upstream.rules)), Some((false, 1, 0, 0)));
    assert_eq!(tools.image.as_ref().map(|tool| opened(&tool.rules)), Some((false, 0, 1, 0)));
    assert_eq!(opened(&config.gateway.rules), (false, 0, 0, 0));
    assert_eq!(opened(&config.providers[0].upstream.rules), (false, 0, 0, 0));
}

#[test]
fn a_low_cap_holds_for_the_default_too() {
    let fetch = |keys: &str| config(&format!("web: {{ fetch: {{ {keys} }} }}")).tools.fetch.expect("on");
    assert_eq!(fetch("maxCharsCap: 1000").max_chars, 1000);
    assert_eq!(fetch("maxChars: 1000, maxCharsCap: 1000").max_chars, 1000);
    assert_eq!(fetch("maxCharsCap: 60000").max_chars, 50_000);
    assert_eq!(fetch("cache: { maxSize: 0 }").cache.max_size, 0);
    assert_eq!(fetch("timeout: \"90s\"").timeout, Duration::from_secs(90));
}

#[test]
fn problems_of_tools() {
    snapshot!(with_tools(&[
        "fetch: {}",
        "web: { fetsh: {} }",
        "web: { fetch: { allowPrivateNetworks: true } }",
        "web: { fetch: { enabled: \"no\", maxChars: 60000, maxCharsCap: 5000 } }",
        "web: { fetch: { maxChars: 5, maxBytes: \"1B\", maxRedirects: 21, timeout: \"0s\" } }",
        "web: { fetch: { userAgent: \"\", respectRobots: 1, cache: { maxSize: \"20GiB\", maxAge: \"0s\" }, rateLimit: 30 } }",
        "web: { fetch: { userAgent: \"a\\nb\", cache: \"none\", timeout: \"unlimited\", rateLimit: \"0/min\" } }",
        "web: { fetch: { onlyHosts: [], allowCidrs: [\"10.0.0.1/8\"], tls: { ca: \"\", clientCert: \"a.pem\" } } }",
        "image: { roots: \"/srv\", maxImages: 0, maxSide: 10000, maxBytes: \"2GiB\" }",
        "image: { roots: [\"\", 5], model: \"\", timeout: \"0s\" }",
    ]));
}

#[test]
fn problems_of_search() {
    snapshot!(with_search(&[
        "baseUrl: \"http://searx.lan\"",
        "enabled: true",
        "engine: \"google\"",
        "engine: \"http\"",
        "engine: {}",
        "engine: { type: \"brave\" }",
        "engine: \"searxng\"",
        "engine: \"searxng\", baseUrl: \"searx.lan:8080\"",
        "engine: \"searxng\", baseUrl: \"http://searx.lan\", categories: [\"\", \"a,b\"], engines: [\"a\\nb\"]",
        "engine: \"searxng\", baseUrl: \"http://searx.lan\", auth: \"bearer\"",
        "engine: \"searxng\", baseUrl: \"http://searx.lan\", auth: \"none\", apiKey: \"${KEY}\"",
        "engine: \"searxng\", baseUrl: \"http://searx.lan\", tls: { ca: \"ca.pem\" }",
        "engine: \"brave\"",
        "engine: \"brave\", apiKey: \"\"",
        "engine: \"brave\", apiKey: \"${KEY}\", auth: \"bearer\", categories: [\"it\"], engines: []",
        "engine: \"brave\", apiKey: \"${KEY}\", headers: { \"X-Subscription-Token\": \"x\" }",
        "engine: \"tavily\", apikey: \"${KEY}\"",
        "engine: \"tavily\", apiKey: \"${KEY}\", baseUrl: \"https://u:p@tavily.corp.example\"",
        "engine: \"duckduckgo\", apiKey: \"${KEY}\"",
        "engine: \"duckduckgo\", auth: \"none\"",
        "engine: \"duckduckgo\", count: 50, timeout: \"0s\", cache: { maxSize: true }, rateLimit: \"often\"",
    ]));
}

#[test]
fn problems_of_an_engine_that_answers_in_json() {
    let engine = |keys: &str| format!("baseUrl: \"https://find.corp.example\", engine: {{ type: \"http\", {keys} }}");
    let texts = [
        "",
        "path: \"search\", results: \"/hits\"",
        "path: \"search?q={q}\", results: \"/hits\"",
        "path: \"search?q={query\", results: \"/hits\"",
        "path: \"https://find.corp.example/search?q={query}\", results: \"/hits\"",
        "path: \"//evil.example/?q={query}\", results: \"/hits\"",
        "path: \"../search?q={query}\", results: \"/hits\"",
        "path: \"search?q={query}&a=b c\", results: \"/hits\"",
        "path: \"search?q={query}\", results: \"hits\", title: \"$.title\", url: \"/a~\", snippet: \"~\", publishedAt: \"x\"",
        "path: \"search?q={query}\", results: \"/hits\", method: \"PUT\"",
        "path: \"search?q={query}\", results: \"/hits\", body: { q: \"{query}\" }",
        "path: \"search\", results: \"/hits\", method: \"POST\", body: { q: [\"{qeury}\", { a: \"}\" }], n: 5 }",
        "path: \"search\", results: \"/hits\", method: \"POST\", body: \"q={query}\"",
        "path: \"search\", results: \"/hits\", method: \"POST\", body: { q: \"${UNSET}{query}\" }",
        "path: \"search\", results: \"/hits\", method: \"POST\", body: { q: \"{query}\", n: \"{count}\" }",
    ]
    .map(engine);
    snapshot!(with_search(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
    // The page that people read names every place.
    for place in ENGINE_PLACES {
        assert!(schema_text().contains(&format!("`{{{place}}}`")), "{place}");
    }
}

#[test]
fn problems_of_the_model_that_sees() {
    let providers = |models: &str, model: &str| {
        format!(
            "{{ tools: {{ image: {{ model: {model:?} }} }},\nmodels: {{ providers: {{ gpu: {{ baseUrl: \"https://a.example.com\", models: {models} }} }} }} }}"
        )
    };
    let texts = [
        ("[\"*\"]", "gpu/llava"),
        ("[\"*\"]", "llava"),
        ("[\"*\"]", "Qwen/Qwen3-VL"),
        ("[\"*\"]", "gpi/llava"),
        ("[\"llava\"]", "llava"),
        ("[\"llava\"]", "gpu/llava"),
        ("[\"Qwen/Qwen3-VL\"]", "Qwen/Qwen3-VL"),
        ("[\"llava\"]", "gpu/bakllava"),
        ("[\"llava\"]", "cpu/llava"),
        ("[\"llava\"]", "bakllava"),
    ]
    .map(|(models, model)| providers(models, model));
    snapshot!(table(&texts.iter().map(String::as_str).collect::<Vec<_>>()));
}

#[test]
fn folders_of_pictures_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("pictures")).expect("a folder");
    std::fs::write(folder.path().join("file.png"), "").expect("a file");
    std::os::unix::fs::symlink("pictures", folder.path().join("link")).expect("a link");
    let texts = ["\"pictures\"", "\"none\"", "\"file.png\"", "\"/\""]
        .map(|root| with_provider(&format!("tools: {{ image: {{ roots: [{root}] }} }}")));
    snapshot!(table_in(folder.path(), &texts));
    let file = folder.path().join("owl.json5");
    std::fs::write(&file, with_provider("tools: { image: { roots: [\"link\"] } }")).expect("a file");
    let named = Overrides { config: Some(file), ..Overrides::default() };
    let config = Config::load_with(&named, &Environment::these([])).unwrap_or_else(|wrong| panic!("{wrong}"));
    let real = folder.path().join("pictures").canonicalize().expect("a folder");
    assert_eq!(config.tools.image.map(|image| image.roots), Some(vec![real]));
}

#[test]
fn authorities_of_a_tool_are_loaded_like_any_others() {
    let folder = tls_files();
    let texts = ["ca.pem", "text.pem", "none.pem"]
        .map(|ca| with_provider(&format!("tools: {{ web: {{ fetch: {{ tls: {{ ca: {ca:?} }} }} }} }}")));
    snapshot!(table_in(folder.path(), &texts));
}

#[test]
fn the_tools_need_no_provider() {
    let load = |text: Option<&str>, terms: Terms| {
        let input =
            Input { source: text.map(|_| PathBuf::from("owl.json5")), text: text.unwrap_or_default().to_owned() };
        let result = Effective::build(input, &Overrides::default(), &Environment::these([]), terms);
        result.map(|effective| (effective.config.providers.len(), effective.config.tools.fetch.is_some()))
    };
    let tools = Terms { sealed: true, ..Terms::TOOLS };
    assert_eq!(load(None, tools).expect("right"), (0, true));
    assert_eq!(load(Some("{ log: {} }"), tools).expect("right"), (0, true));
    assert_eq!(load(Some("{ models: { providers: {} } }"), tools).expect("right"), (0, true));
    assert!(load(Some("{ models: { provider: {} } }"), tools).is_err());
    assert!(load(None, Terms::SEALED).is_err());
    assert!(load(Some("{ log: {} }"), Terms::SEALED).is_err());
}

#[test]
fn only_where_a_person_can_be_asked() {
    let tools =
        config("web: { fetch: { allowPrivateNetwork: \"ask\" } }, image: { allowPrivateNetwork: \"ask\" }").tools;
    let (fetch, image) = (tools.fetch.expect("on"), tools.image.expect("on"));
    assert!(fetch.asks && image.asks && !fetch.rules.allow_private_network && !image.rules.allow_private_network);
    let text = r#"{
  gateway: { allowPrivateNetwork: "ask" },
  models: { providers: { owl: { baseUrl: "https://llm.corp.example/v1", allowPrivateNetwork: "ask" } } },
  tools: { web: { fetch: { allowPrivateNetwork: "yes" }, search: { engine: "searxng", baseUrl: "http://searx.lan", allowPrivateNetwork: "ask" } } },
}"#;
    snapshot!(told(&effective(text, &Overrides::default(), &[])));
}
