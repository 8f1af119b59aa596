//! What people are told, and that every key arrives.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use owl_testkit::certificates::Authority;
use proptest::prelude::*;
use serde_json::Value as Json;

use super::json5::DEPTH_LIMIT;
use super::*;

/// What people read, in a file of its own beside this one: `INSTA_UPDATE=always cargo test -p owl-gateway --lib config` writes it.
macro_rules! snapshot {
    ($($text:tt)*) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($($text)*);
        })
    };
}

mod egress;
mod overlay;
mod tools;

/// A text as the file `owl.json5`, with these flags and variables, without touching any file.
fn effective(text: &str, overrides: &Overrides, variables: &[(&str, &str)]) -> Result<Effective, Problems> {
    let input = Input { source: Some(PathBuf::from("owl.json5")), text: text.to_owned() };
    Effective::build(input, overrides, &Environment::these(variables.iter().copied()), Terms::SEALED)
}

/// The same without a file.
fn without_file(overrides: &Overrides, variables: &[(&str, &str)]) -> Result<Effective, Problems> {
    let input = Input { source: None, text: String::new() };
    Effective::build(input, overrides, &Environment::these(variables.iter().copied()), Terms::SEALED)
}

fn told(result: &Result<Effective, Problems>) -> String {
    match result {
        Err(problems) => problems.to_string(),
        Ok(effective) if effective.config.warnings.is_empty() => "right".to_owned(),
        Ok(effective) => {
            effective.config.warnings.iter().map(|warning| format!("warning: {warning}")).collect::<Vec<_>>().join("\n")
        }
    }
}

/// Each text with what is said about it, for a snapshot.
fn table(texts: &[&str]) -> String {
    let mut out = String::new();
    for text in texts {
        let told =
            told(&effective(text, &Overrides::default(), &[("KEY", "k-1"), ("PAIR", "user:pass"), ("EMPTY", "")]));
        let _ = writeln!(out, "{text}\n=> {}\n", told.replace('\n', "\n   "));
    }
    out
}

/// A configuration in which the provider `owl` has these keys too.
fn provider(keys: &str) -> String {
    format!("{{ models: {{ providers: {{ owl: {{ baseUrl: \"https://llm.corp.example\",\n{keys} }} }} }} }}")
}

/// The same with these keys in front.
fn with_provider(keys: &str) -> String {
    format!("{{\n{keys}, models: {{ providers: {{ owl: {{ baseUrl: \"https://llm.corp.example\" }} }} }} }}")
}

fn providers(keys: &[&str]) -> String {
    let texts: Vec<String> = keys.iter().map(|keys| provider(keys)).collect();
    table(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn gateways(keys: &[&str]) -> String {
    let texts: Vec<String> = keys.iter().map(|keys| with_provider(keys)).collect();
    table(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn problems_of_syntax() {
    snapshot!(table(&[
        "",
        "// nothing\n",
        "{",
        "{ gateway }",
        "{ gateway: { listen: 127.0.0.1:6950 } }",
        "{ gateway: { listen: localhost } }",
        "{ gateway: { listen: \"127.0.0.1:6950\n\" } }",
        "{ gateway: {} models: {} }",
        "{ log: {} /* never closed",
        "gateway:\n  listen: 127.0.0.1:6950\n",
        "# Owl\n---\ngateway: {}\n",
        "[gateway]\nlisten = \"127.0.0.1:6950\"\n",
        "listen = \"127.0.0.1:6950\"\n",
        "https://llm.corp.example",
        "{} {}",
        "{\n  log: { level: \"a\\1\" },\n}",
    ]));
}

#[test]
fn a_flood_of_brackets_is_one_clear_problem() {
    let problems = check_text("[".repeat(200_000).as_bytes()).expect_err("refused");
    let expect = format!("owl.json5:1:{}: lists and objects are nested more than 64 levels deep", DEPTH_LIMIT + 1);
    assert_eq!(problems.to_string(), expect);
    let problems = check_text(" ".repeat(2 << 20).as_bytes()).expect_err("refused");
    assert_eq!(problems.to_string(), "owl.json5:1:1: the file is larger than 1 MiB");
    let problems = check_text(b"{\n  a: \"\xff\" }").expect_err("refused");
    assert_eq!(problems.to_string(), "owl.json5:2:7: this is not UTF-8\n  help: save the file as UTF-8");
    let many: String = (0..10_000).map(|number| format!("key{number}: 1, ")).collect();
    let problems = check_text(format!("{{ {many} }}").as_bytes()).expect_err("refused");
    assert!(problems.iter().count() <= 101);
}

#[test]
fn problems_of_shape() {
    snapshot!(table(&[
        "[]",
        "{}",
        "{ models: {} }",
        "{ models: { providers: [] } }",
        "{ modles: { providers: {} } }",
        "{ models: { providers: { owl: {} } } }",
        "{ models: { providers: { vllm: {} } } }",
        "{ models: { providers: { owl: { baseurl: \"https://llm.corp.example\" } } } }",
        "{ models: { providers: { owl: { baseUrl: null } } } }",
        "{ models: { providers: { owl: { baseUrl: \"https://a.example.com\", baseUrl: \"https://b.example.com\" } } } }",
        "{ models: { providers: { \"a b\": { baseUrl: \"https://a.example.com\" }, \"a/b\": { baseUrl: \"https://b.example.com\" } } } }",
        "{ gatewayMode: \"private\", models: { providers: { owl: { baseUrl: \"https://a.example.com\", gatewayMode: true } } } }",
        "{ tools: { web: { gatewayMode: true, fetch: { gatewayMode: \"x\" } } }, gateway: { allowPrivateNetwork: true } }",
        "{ gateway: { listen: 6950, keys: \"secret\", tls: { cert: \"a.pem\" }, limits: { requestBody: true, connections: \"many\" } } }",
        "{ gateway: { limits: { connections: 0, requestBody: -1 }, drainTimeout: 5 }, log: { level: \"warning\", format: \"xml\" } }",
    ]));
}

#[test]
fn problems_of_the_gateway() {
    snapshot!(gateways(&[
        "gateway: { listen: \"localhost:6950\" }",
        "gateway: { listen: \"0.0.0.0:6950\" }",
        "gateway: { listen: \"[::ffff:127.0.0.1]:6950\" }",
        "gateway: { listen: \"0.0.0.0:6950\", keys: [{ name: \"ci\" }] }",
        "gateway: { listen: \"0.0.0.0:6950\", keys: [{ name: \"ci\", key: \"${KEY}\" }] }",
        "gateway: { keys: [{ name: \"a\", key: \"k1\" }, { name: \"a\", key: \"k2\" }, { name: \"b\", key: \"k1\" }] }",
        "gateway: { keys: [{ name: \"\", key: \"\" }, { name: \"b\", key: \"two words\" }, 5, { name: \"c\", key: 5 }] }",
        "gateway: { keys: [{ name: \"a\", key: { file: \"f\", command: [\"c\"] } }, { name: \"b\", key: {} }, { name: \"c\", key: { command: [] } }] }",
        "gateway: { tls: {}, cors: {} }",
        "gateway: { tls: { cert: \"\", key: \"\" }, cors: { origins: [] } }",
        "gateway: { cors: { origins: [\"*\", \"https://a.example.com/\", \"a.example.com\", \"https://a.example.com\"] } }",
        "gateway: { limits: { requestBody: \"64 MB\", requestHeaders: \"1KiB\", headerTimeout: \"0s\" } }",
        "gateway: { limits: { requestBody: 1.5, headerTimeout: 10 }, drainTimeout: \"unlimited\" }",
    ]));
}

#[test]
fn problems_of_a_provider() {
    snapshot!(providers(&[
        "baseURL: \"https://llm.corp.example\"",
        "headers: { \"X Y\": \"a\", Host: \"a\", \"Content-Length\": \"5\", Connection: \"close\", \"X-A\": \"1\", \"x-a\": \"2\", ok: \"a\\nb\" }",
        "headers: { Expect: \"100-continue\", \"Accept-Encoding\": \"gzip\" }",
        "auth: { type: \"header\", name: \"accept-encoding\", value: \"x\" }",
        "apiKey: \"${KEY}\", headers: { Authorization: \"Key x\" }",
        "headers: { Authorization: \"Key x\" }",
        "auth: { type: \"header\", name: \"X-Key\", value: \"x\" }, headers: { \"x-key\": \"y\" }",
        "models: []",
        "models: [\"*\", \"a\", { id: \"a\", upstream: \"b\" }, \"*\", { id: \"*\", upstream: \"\" }, { id: \"c\" }, \"\", 7]",
        "modelsRefresh: 60, idleTimeout: \"unlimited\", maxIdleConnections: -1",
        "timeouts: { connect: \"unlimited\", firstByte: 300, betweenBytes: \"forever\", total: \"1m\" }",
        "timeouts: { connect: \"0s\", firstByte: \"0s\" }",
        "onlyHosts: [], allowHosts: [\"\", 5], allowPorts: [0, 70000, 6379.5, \"6379\"]",
        "allowPrivateNetwork: \"yes\"",
        "allow_private_network: true",
        "tls: { clientKey: \"owl.key\", serverName: \"https://x\" }",
        "apiKey: \"${UNSET}${EMPTY}\", headers: { A: \"${\" }",
        "apiKey: { fiel: \"x\" }",
        "apiKey: \"\"",
        "apiKey: \"a\\nb\"",
    ]));
    snapshot!(
        "problems_of_an_address",
        table(&[
            "{ models: { providers: { owl: { baseUrl: \"llm\" } } } }",
            "{ models: { providers: { owl: { baseUrl: \"http://llm.corp.example\", tls: { ca: \"ca.pem\" } } } } }",
            "{ models: { providers: { Owl: { baseUrl: \"http://llm.corp.example\" } } } }",
        ])
    );
}

#[test]
fn problems_of_authentication() {
    snapshot!(providers(&[
        "apiKey: \"${KEY}\"",
        "auth: \"bearer\"",
        "auth: \"basic\"",
        "auth: \"basic\", apiKey: \"${PAIR}\"",
        "auth: \"basic\", apiKey: \"${KEY}\"",
        "auth: \"basic\", apiKey: \"dXNlcjpwYXNz\"",
        "auth: \"none\", apiKey: \"${KEY}\"",
        "auth: \"digest\", apiKey: \"${KEY}\"",
        "auth: \"header\", apiKey: \"${KEY}\"",
        "auth: \"baisc\", apiKey: \"${KEY}\"",
        "auth: true",
        "auth: {}",
        "auth: { type: \"oauth\" }",
        "auth: { type: \"none\" }, apiKey: \"${KEY}\"",
        "auth: { type: \"bearer\", key: \"${KEY}\" }, apiKey: \"${KEY}\"",
        "auth: { type: \"bearer\", token: \"x\" }",
        "auth: { type: \"basic\", username: \"a:b\", password: \"c:d\" }",
        "auth: { type: \"basic\", username: \"a\" }",
        "auth: { type: \"basic\", username: \"a\", password: \"b\" }, apiKey: \"${KEY}\"",
        "auth: { type: \"header\", name: \"X-Key\" }",
        "auth: { type: \"header\", name: \"X-Key\" }, apiKey: \"${KEY}\"",
        "auth: { type: \"header\", name: \"Host\", value: \"${KEY}\" }",
        "auth: { type: \"header\", value: \"${KEY}\" }",
        "auth: { type: \"oauth2\", tokenUrl: \"login\", clientId: \"\", clientSecret: \"${KEY}\", scopes: [\"a b\"], onlyHosts: [] }",
        "apikey: \"${KEY}\", auth: \"bearer\"",
        "apiKey: \"${UNSET}\", auth: \"bearer\"",
    ]));
}

#[test]
fn user_and_password_in_the_base_url() {
    let check = |keys: &str| {
        let text = format!(
            "{{ models: {{ providers: {{ owl: {{ baseUrl: \"https://us%C3%ABr:c%3Aanary@llm.corp.example/v1\"{keys} }} }} }} }}"
        );
        effective(&text, &Overrides::default(), &[])
    };
    for right in ["", ", auth: \"basic\""] {
        let effective = check(right).expect("right");
        let upstream = &effective.config.providers[0].upstream;
        let Authentication::Basic(BasicCredential::UserPassword { username, password }) = &upstream.authentication
        else {
            panic!("{upstream:?}");
        };
        assert_eq!((username.as_str(), expose(password)), ("usër", "c:anary"));
        assert!(!format!("{upstream:?}{}", effective.show()).contains("anary"));
    }
    snapshot!(
        [", apiKey: \"k\"", ", auth: \"none\"", ", auth: \"bearer\", apiKey: \"k\""]
            .map(|keys| told(&check(keys)))
            .join("\n\n")
    );
}

fn expose(source: &SecretSource) -> &str {
    match source {
        SecretSource::Literal(secret) => secret.expose(),
        other => panic!("{other:?}"),
    }
}

use owl_egress::{Authentication, BasicCredential, SecretSource};

/// Every key there is, with a value that is not the default.
const FULL: &str = r##"{
  gateway: {
    listen: "0.0.0.0:7000",
    keys: [{ name: "ci", key: "${TOKEN}-gateway", tools: { auto: ["image"] } }, { name: "two", key: "CANARY-literal" }],
    tls: { cert: "owl.pem", key: "/keys/owl.key" },
    cors: { origins: ["https://app.corp.example"] },
    limits: { requestBody: "1GB", requestHeaders: 131072, connections: 7, headerTimeout: "3s", bodyTimeout: "9s" },
    drainTimeout: "2m",
    media: { mode: "refuse", maxCount: 3, maxBytes: "4MiB", maxTotalBytes: "5MiB", timeout: "6s" },
    allowPrivateNetwork: true,
    allowHosts: ["c.corp.example"], allowCidrs: ["10.30.0.0/16"], onlyHosts: ["media.corp.example"], blockHosts: ["d.corp.example"],
    blockCidrs: ["10.67.0.0/16"], allowPorts: [6380], fakeIpRanges: ["198.19.0.0/16"], nat64Prefixes: ["2001:db8:65::/96"],
  },
  egress: {
    blockHosts: ["e.corp.example"], blockCidrs: ["10.68.0.0/16"], fakeIpRanges: ["198.18.0.0/16"], nat64Prefixes: ["2001:db8:66::/96"],
    resolver: { servers: ["127.0.0.1:5353", "10.0.0.2", "::1"] },
    proxy: { url: "http://proxy.corp.example:3128", username: "svc", password: "CANARY", except: ["10.0.0.0/8"] },
    rateLimit: { perKey: { rate: "10/s", burst: 7 }, perDestination: "60/min", perPrivateDestination: "unlimited" },
  },
  store: { path: "state/owl.db", maxAge: "30d", responsesMaxAge: "3d", maxSize: "200MiB" },
  tools: {
    budget: { steps: 3, calls: 5, parallel: 2, timeout: "7s", resultBytes: "2KiB" },
    web: {
      fetch: {
        enabled: true, maxChars: 20000, maxCharsCap: 30000, maxBytes: "3MiB", maxRedirects: 2, timeout: "11s", userAgent: "corp/1",
        respectRobots: true, cache: { maxSize: "1MiB", maxAge: "1m" }, rateLimit: "30/min", tls: { ca: "web.pem" },
        allowPrivateNetwork: true,
        allowHosts: ["f.corp.example"], allowCidrs: ["10.40.0.0/16"], onlyHosts: ["g.corp.example"], blockHosts: ["h.corp.example"],
        blockCidrs: ["10.69.0.0/16"], allowPorts: [6381], fakeIpRanges: ["198.19.0.0/17"], nat64Prefixes: ["2001:db8:67::/96"],
      },
      search: {
        enabled: true, engine: "searxng", baseUrl: "https://searx.corp.example/find", categories: ["it"], engines: ["wikipedia", "ddg"],
        auth: { type: "basic", username: "svc", password: "CANARY" }, headers: { "X-Search": "CANARY" }, tls: { ca: "searx.pem" },
        count: 7, timeout: "3s", cache: { maxSize: "2MiB", maxAge: "2m" }, rateLimit: { rate: "1/s", burst: 3 },
        allowPrivateNetwork: true,
        allowHosts: ["f.corp.example"], allowCidrs: ["10.40.0.0/16"], onlyHosts: ["g.corp.example"], blockHosts: ["h.corp.example"],
        blockCidrs: ["10.69.0.0/16"], allowPorts: [6381], fakeIpRanges: ["198.19.0.0/17"], nat64Prefixes: ["2001:db8:67::/96"],
      },
    },
    image: {
      enabled: true, roots: ["pictures", "/srv/pictures"], model: "owl/b", maxImages: 3, maxBytes: "4MiB", maxSide: 1024, timeout: "12s",
      rateLimit: "10/min", tls: { ca: "image.pem" },
      allowPrivateNetwork: true,
      allowHosts: ["f.corp.example"], allowCidrs: ["10.40.0.0/16"], onlyHosts: ["g.corp.example"], blockHosts: ["h.corp.example"],
      blockCidrs: ["10.69.0.0/16"], allowPorts: [6381], fakeIpRanges: ["198.19.0.0/17"], nat64Prefixes: ["2001:db8:67::/96"],
    },
  },
  models: {
    providers: {
      bearer: { baseUrl: "https://a.corp.example", apiKey: "${TOKEN}" },
      "bearer.own": { baseUrl: "https://a.corp.example", auth: { type: "bearer", key: { file: "key" } } },
      pair: { baseUrl: "https://a.corp.example", auth: "basic", apiKey: "user:CANARY" },
      basic: { baseUrl: "https://a.corp.example", auth: { type: "basic", username: "svc", password: { command: ["get", "${TOKEN}"] } } },
      header: { baseUrl: "https://a.corp.example", auth: { type: "header", name: "X-Key" }, apiKey: "CANARY" },
      "header.own": { baseUrl: "https://a.corp.example", auth: { type: "header", name: "X-Key", value: "Key CANARY" } },
      oauth2: {
        baseUrl: "https://a.corp.example",
        auth: {
          type: "oauth2", tokenUrl: "https://login.corp.example/token", clientId: "owl", clientSecret: "CANARY", scopes: ["a", "b"],
          allowPrivateNetwork: true,
        },
      },
      none: { baseUrl: "https://a.corp.example", auth: { type: "none" } },
      owl: {
        baseUrl: "https://llm.corp.example:8443/api/v1",
        headers: { "X-Team": "CANARY" },
        tls: { ca: "ca.pem", clientCert: "c.pem", clientKey: "c.key", serverName: "llm" },
        models: ["a", { id: "b", upstream: "org/b", compat: { reasoning: "open" } }],
        responses: "chat", messages: "native", tools: { auto: ["web_search", "web_fetch"] },
        compat: {
          toolCalls: "hermes", reasoning: "off", developerRole: false, contentParts: false, maxTokens: "max_tokens",
          streamOptions: false, schemaWithout: ["pattern"], forwarding: true,
        },
        modelsRefresh: "5m",
        timeouts: { connect: "1s", firstByte: "2s", betweenBytes: "500ms" },
        idleTimeout: "4s",
        maxIdleConnections: 9,
        allowPrivateNetwork: true,
        allowHosts: ["a.corp.example"], allowCidrs: ["10.20.0.0/16"], onlyHosts: ["llm.corp.example"], blockHosts: ["b.corp.example"],
        blockCidrs: ["10.66.0.0/16"], allowPorts: [6379], fakeIpRanges: ["198.18.0.0/15"], nat64Prefixes: ["2001:db8:64::/96"],
      },
    },
  },
  log: { format: "json", level: "debug" },
}"##;

fn full() -> Effective {
    match effective(FULL, &Overrides::default(), &[("TOKEN", "CANARY")]) {
        Ok(effective) => effective,
        Err(problems) => panic!("{problems}"),
    }
}

fn upstream<'a>(config: &'a Config, id: &str) -> &'a UpstreamOptions {
    &config.providers.iter().find(|provider| provider.upstream.name == id).expect(id).upstream
}

#[test]
fn every_key_reaches_the_configuration() {
    let config = full().config;
    let gateway = &config.gateway;
    let owl = config.providers.iter().find(|provider| provider.upstream.name == "owl").expect("owl");
    let (options, rules) = (&owl.upstream, &owl.upstream.rules);
    let flags = owl.compat.of("a");
    let shown = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let authentication = |id: &str| format!("{:?}", upstream(&config, id).authentication);
    let (password, oauth2) = (authentication("basic"), authentication("oauth2"));
    let patterns =
        |patterns: &[&dyn std::fmt::Display]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let cases: Vec<(&str, String, &str)> = vec![
        ("gateway.listen", gateway.listen.to_string(), "0.0.0.0:7000"),
        ("gateway.keys[].name", gateway.keys[0].name.clone(), "ci"),
        ("gateway.keys[].key", gateway.keys[0].key.expose().to_owned(), "CANARY-gateway"),
        ("gateway.tls.cert", shown(&gateway.tls.as_ref().map(|tls| &tls.cert)), "Some(\"owl.pem\")"),
        ("gateway.tls.key", shown(&gateway.tls.as_ref().map(|tls| &tls.key)), "Some(\"/keys/owl.key\")"),
        (
            "gateway.cors.origins",
            shown(&gateway.cors.as_ref().map(|cors| &cors.origins)),
            "Some([\"https://app.corp.example\"])",
        ),
        ("gateway.limits.requestBody", gateway.limits.request_body.to_string(), "1000000000"),
        ("gateway.limits.requestHeaders", gateway.limits.request_headers.to_string(), "131072"),
        ("gateway.limits.connections", gateway.limits.connections.to_string(), "7"),
        ("gateway.limits.headerTimeout", shown(&gateway.limits.header_timeout), "3s"),
        ("gateway.limits.bodyTimeout", shown(&gateway.limits.body_timeout), "9s"),
        ("gateway.drainTimeout", shown(&gateway.drain_timeout), "120s"),
        ("baseUrl", options.base_url.to_string(), "https://llm.corp.example:8443/api/v1"),
        ("apiKey", authentication("bearer"), "Bearer(Literal(****))"),
        ("auth", authentication("pair"), "Basic(Pair(Literal(****)))"),
        ("auth.none.type", authentication("none"), "None"),
        ("auth.bearer.type", authentication("bearer.own"), "Bearer(File(\"key\"))"),
        ("auth.bearer.key", authentication("bearer.own"), "Bearer(File(\"key\"))"),
        ("auth.basic.type", password[..20].to_owned(), "Basic(UserPassword {"),
        ("auth.basic.username", password.contains("username: \"svc\"").to_string(), "true"),
        ("auth.basic.password", password.contains("password: Command(Some(\"get\")").to_string(), "true"),
        ("auth.header.type", authentication("header"), "Header { name: \"x-key\", value: Literal(****) }"),
        ("auth.header.name", authentication("header"), "Header { name: \"x-key\", value: Literal(****) }"),
        ("auth.header.value", authentication("header.own"), "Header { name: \"x-key\", value: Literal(****) }"),
        ("auth.oauth2.type", oauth2[..8].to_owned(), "OAuth2(O"),
        ("auth.oauth2.tokenUrl", oauth2.contains("https://login.corp.example/token").to_string(), "true"),
        ("auth.oauth2.clientId", oauth2.contains("client_id: \"owl\"").to_string(), "true"),
        ("auth.oauth2.clientSecret", oauth2.contains("client_secret: Literal(****)").to_string(), "true"),
        ("auth.oauth2.scopes", oauth2.contains("scopes: [\"a\", \"b\"]").to_string(), "true"),
        ("auth.oauth2.(policy)", oauth2.contains("allow_private_network: true").to_string(), "true"),
        ("headers", shown(&options.headers), "[(\"x-team\", Literal(****))]"),
        ("tls.ca", shown(&options.tls.ca), "Some(\"ca.pem\")"),
        ("tls.clientCert", shown(&options.tls.client_cert), "Some(\"c.pem\")"),
        ("tls.clientKey", shown(&options.tls.client_key), "Some(\"c.key\")"),
        ("tls.serverName", shown(&options.tls.server_name), "Some(\"llm\")"),
        ("models", shown(&(owl.models.all, owl.models.declared.len())), "(false, 2)"),
        ("gateway.keys[].tools", gateway.keys[0].auto_tools.join(" "), "image"),
        ("responses", shown(&owl.responses), "Chat"),
        ("messages", shown(&owl.messages), "Native"),
        ("compat", shown(&owl.compat.of("b").developer_role), "true"),
        ("compat.toolCalls", shown(&flags.text_calls), "Hermes"),
        ("compat.reasoning", shown(&flags.text_reasoning), "Off"),
        ("compat.developerRole", shown(&flags.developer_role), "false"),
        ("compat.contentParts", shown(&flags.content_parts), "false"),
        ("compat.maxTokens", shown(&flags.max_tokens), "MaxTokens"),
        ("compat.streamOptions", shown(&flags.stream_options), "false"),
        ("compat.schemaWithout", shown(&flags.schema_without), "[\"pattern\"]"),
        ("compat.forwarding", shown(&owl.compat.forwarding), "true"),
        ("tools", owl.auto_tools.join(" "), "web_search web_fetch"),
        ("tools.auto", owl.auto_tools.join(" "), "web_search web_fetch"),
        ("models[].compat", shown(&owl.compat.of("b").text_reasoning), "Open"),
        ("models[].id", owl.models.declared[1].name.clone(), "b"),
        ("models[].upstream", owl.models.declared[1].upstream.clone(), "org/b"),
        ("modelsRefresh", shown(&owl.models.refresh), "300s"),
        ("timeouts.connect", shown(&options.timeouts.connect), "1s"),
        ("timeouts.firstByte", shown(&options.timeouts.first_byte), "Some(2s)"),
        ("timeouts.betweenBytes", shown(&options.timeouts.between_bytes), "Some(500ms)"),
        ("idleTimeout", shown(&options.idle_timeout), "4s"),
        ("maxIdleConnections", options.max_idle.to_string(), "9"),
        ("allowPrivateNetwork", rules.allow_private_network.to_string(), "true"),
        ("allowHosts", patterns(&[&rules.allow_hosts[0]]), "a.corp.example"),
        ("allowCidrs", patterns(&[&rules.allow_cidrs[0]]), "10.20.0.0/16"),
        ("onlyHosts", patterns(&[&rules.only_hosts[0]]), "llm.corp.example"),
        ("blockHosts", patterns(&[&rules.block_hosts[0]]), "b.corp.example"),
        ("blockCidrs", patterns(&[&rules.block_cidrs[0]]), "10.66.0.0/16"),
        ("allowPorts", shown(&rules.allow_ports), "[6379]"),
        ("fakeIpRanges", patterns(&[&rules.fake_ip_ranges[0]]), "198.18.0.0/15"),
        ("nat64Prefixes", patterns(&[&rules.nat64_prefixes[0]]), "2001:db8:64::/96"),
        ("(own sockets)", shown(&rules.own_sockets), "[0.0.0.0:7000]"),
        ("log.format", shown(&config.log.format), "Json"),
        ("log.level", config.log.level.to_string(), "DEBUG"),
    ];
    let cases = [cases, egress::cases(&config)].concat().into_iter();
    let cases: Vec<(String, String, &str)> =
        cases.map(|(key, found, expect)| (key.to_owned(), found, expect)).chain(tools::cases(&config)).collect();
    for (key, found, expect) in &cases {
        assert_eq!(found, expect, "{key}");
    }
    // A new key fails here until it has its row above.
    let tested: BTreeSet<&str> = cases.iter().map(|(key, ..)| key.as_str()).collect();
    let missing: Vec<String> = leaves().into_iter().filter(|key| !tested.contains(key.as_str())).collect();
    assert_eq!(missing, Vec::<String>::new());
}

/// Every key of the schema that holds no object of fixed keys, spelt as in the table above.
fn leaves() -> Vec<String> {
    let definitions = &schema()["$defs"];
    let properties = |schema: &Json, path: &str| -> Vec<String> {
        let names = schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys().cloned());
        names.map(|name| format!("{path}{name}")).collect()
    };
    let mut leaves = Vec::new();
    for (name, path) in [
        ("Gateway", "gateway."),
        ("ClientKey", "gateway.keys[]."),
        ("ServerTls", "gateway.tls."),
        ("Cors", "gateway.cors."),
        ("Limits", "gateway.limits."),
        ("Provider", ""),
        ("Tls", "tls."),
        ("RenamedModel", "models[]."),
        ("Timeouts", "timeouts."),
        ("Log", "log."),
        ("MediaTable", "gateway.media."),
        ("Egress", "egress."),
        ("Servers", "egress.resolver."),
        ("ProxyTable", "egress.proxy."),
        ("RateLimits", "egress.rateLimit."),
        ("RateTable", "egress.rateLimit.perKey."),
        ("StoreTable", "store."),
        ("Budget", "tools.budget."),
        ("CompatTable", "compat."),
        ("AutoTools", "tools."),
        ("Fetch", "tools.web.fetch."),
        ("WebTls", "tools.web.fetch.tls."),
        ("Cache", "tools.web.fetch.cache."),
        ("Search", "tools.web.search."),
        ("Cache", "tools.web.search.cache."),
        ("Image", "tools.image."),
        ("WebTls", "tools.image.tls."),
    ] {
        leaves.extend(properties(&definitions[name], path));
    }
    let policy: BTreeSet<String> = leaves.iter().filter(|key| !key.contains('.')).cloned().collect();
    for choice in definitions["AuthTable"]["oneOf"].as_array().expect("a choice") {
        let kind = choice["properties"]["type"]["const"].as_str().expect("a tag");
        let own = properties(choice, "").into_iter().filter(|name| !policy.contains(name));
        leaves.extend(own.map(|name| format!("auth.{kind}.{name}")));
    }
    for choice in super::schema::alternatives(schema(), &definitions["EngineTable"]) {
        let kind = choice["properties"]["type"]["const"].as_str().expect("a tag");
        leaves.extend(properties(choice, &format!("tools.web.search.engine.{kind}.")));
    }
    let inner = [
        "gateway.keys",
        "gateway.tls",
        "gateway.cors",
        "gateway.limits",
        "gateway.media",
        "egress.resolver",
        "egress.proxy",
        "egress.rateLimit",
        "egress.rateLimit.perKey",
        "tls",
        "timeouts",
        "tools.web.fetch.tls",
        "tools.web.fetch.cache",
        "tools.web.search.cache",
        "tools.image.tls",
    ];
    leaves.retain(|key| !inner.contains(&key.as_str()));
    leaves
}

#[test]
fn defaults() {
    let config =
        without_file(&Overrides::default(), &[("OWL_BASE_URL", "https://llm.corp.example")]).expect("right").config;
    snapshot!(without_network(&format!("{config:#?}")));
}

/// The text without what a provider gets from the whole process, which is not the configuration's.
fn without_network(text: &str) -> String {
    let (mut out, mut end) = (String::new(), None);
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if end.is_none() && line.trim_start().starts_with("network: Network {") {
            end = Some(indent);
        } else if end.is_none() {
            let _ = writeln!(out, "{line}");
        } else if end == Some(indent) {
            end = None;
        }
    }
    out
}

#[test]
fn the_canary_is_never_shown() {
    let effective = full();
    let shown = format!("{:?}\n{}", effective.config, effective.show());
    // The words of a command are printed by its `Debug`, which belongs to the egress crate; all else is hidden.
    assert!(!shown.replace("Command([\"get\", \"CANARY\"])", "").contains("CANARY"), "{shown}");
    let wrong = FULL
        .replace("gateway: {", "gateway: { nokey: \"CANARY\",")
        .replace("\"json\"", "\"CANARY\"")
        .replace("\"5m\"", "\"CANARY\"");
    let wrong = wrong
        .replace("\"bearer\", key", "\"CANARY\", key")
        .replace("CANARY-literal", "CANARY two")
        .replace("user:CANARY", "CANARY");
    let wrong = wrong
        .replace("Key CANARY", "Key\\nCANARY")
        .replace("\"GB\"", "\"CANARY\"")
        .replace("\"0.0.0.0:7000\"", "\"CANARY\"");
    let problems = super::tests::effective(&wrong, &Overrides::default(), &[("TOKEN", "CANARY")]).err().expect("wrong");
    assert!(problems.iter().count() > 6, "{problems}");
    assert!(!format!("{problems}{problems:?}").contains("CANARY"), "{problems}");
    let overrides = Overrides {
        api_key: Some(Secret::new("CANARY")),
        gateway_key: Some(Secret::new("CANARY")),
        base_url: Some(Secret::new("http://u:CANARY@h")),
        ..Overrides::default()
    };
    assert!(!format!("{overrides:?}").contains("CANARY"));
}

#[test]
fn what_is_in_effect_is_shown_with_its_source() {
    let text = "{ gateway: { keys: [{ name: \"ci\", key: \"${KEY}\" }] },\n models: { providers: { owl: { baseUrl: \"https://a.example.com\",\n\
                apiKey: { command: [\"get\", \"${KEY}\", \"x\"] } }, two: { baseUrl: \"https://b.example.com\" } } } }";
    let overrides = Overrides { listen: Some("127.0.0.1:1".to_owned()), ..Overrides::default() };
    let variables = [("KEY", "k-1"), ("OWL_BASE_URL", "https://a.example.com/v2"), ("OWL_GATEWAY_KEY", "k-2")];
    let shown = effective(text, &overrides, &variables).expect("right").show();
    assert!(::json5::from_str::<Json>(&shown).is_ok(), "{shown}");
    snapshot!(shown);
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let file = "{ gateway: { listen: \"127.0.0.1:1\" }, models: { providers: { owl: { baseUrl: \"https://file.example.com\", apiKey: \"file\", auth: \"bearer\" } } } }";
    let variables = [
        ("OWL_BASE_URL", "https://variable.example.com"),
        ("OWL_API_KEY", "variable:x"),
        ("OWL_AUTH", "basic"),
        ("OWL_ALLOW_PRIVATE_NETWORK", "1"),
        ("OWL_GATEWAY_KEY", "variable"),
        ("OWL_LISTEN", "127.0.0.1:2"),
    ];
    let flags = Overrides {
        config: None,
        base_url: Some(Secret::new("https://flag.example.com")),
        api_key: Some(Secret::new("flag")),
        auth: Some("bearer".to_owned()),
        allow_private_network: Some(false),
        gateway_key: Some(Secret::new("flag")),
        listen: Some("127.0.0.1:3".to_owned()),
    };
    let check = |result: Result<Effective, Problems>,
                 url: &str,
                 authentication: &str,
                 key: &str,
                 private: bool,
                 port: u16,
                 client: &[(&str, &str)]| {
        let config = match result {
            Ok(effective) => effective.config,
            Err(problems) => panic!("{problems}"),
        };
        let upstream = upstream(&config, "owl");
        assert_eq!(upstream.base_url.origin(), url);
        assert_eq!(format!("{:?}", upstream.authentication), authentication);
        let (Authentication::Bearer(source) | Authentication::Basic(BasicCredential::Pair(source))) =
            &upstream.authentication
        else {
            panic!("{authentication}");
        };
        assert_eq!(
            (expose(source), upstream.rules.allow_private_network, config.gateway.listen.port()),
            (key, private, port)
        );
        let keys: Vec<_> = config.gateway.keys.iter().map(|key| (key.name.as_str(), key.key.expose())).collect();
        assert_eq!(keys, client);
    };
    let none = Overrides::default();
    let (bearer, basic) = ("Bearer(Literal(****))", "Basic(Pair(Literal(****)))");
    check(effective(file, &none, &[]), "https://file.example.com", bearer, "file", false, 1, &[]);
    check(
        effective(file, &none, &variables),
        "https://variable.example.com",
        basic,
        "variable:x",
        true,
        2,
        &[("env", "variable")],
    );
    check(
        without_file(&none, &variables),
        "https://variable.example.com",
        basic,
        "variable:x",
        true,
        2,
        &[("env", "variable")],
    );
    check(
        effective(file, &flags, &variables),
        "https://flag.example.com",
        bearer,
        "flag",
        false,
        3,
        &[("flag", "flag")],
    );
    check(without_file(&flags, &variables), "https://flag.example.com", bearer, "flag", false, 3, &[("flag", "flag")]);
}

#[test]
fn problems_without_a_file() {
    let url = ("OWL_BASE_URL", "https://llm.corp.example");
    let check = |variables: &[(&str, &str)]| {
        format!("{variables:?}\n=> {}\n", told(&without_file(&Overrides::default(), variables)).replace('\n', "\n   "))
    };
    snapshot!(
        [
            check(&[]),
            check(&[("OWL_API_KEY", "k")]),
            check(&[("OWL_BASE_URL", "")]),
            check(&[("OWL_BASE_URL", "llm.corp.example")]),
            check(&[url, ("OWL_API_KEY", "k${X}")]),
            check(&[url, ("OWL_AUTH", "basic")]),
            check(&[url, ("OWL_AUTH", "Basic"), ("OWL_API_KEY", "u:p")]),
            check(&[url, ("OWL_AUTH", "none"), ("OWL_API_KEY", "k")]),
            check(&[url, ("OWL_AUTH", "basic"), ("OWL_API_KEY", "k")]),
            check(&[url, ("OWL_ALLOW_PRIVATE_NETWORK", "yes")]),
            check(&[url, ("OWL_LISTEN", "0.0.0.0:6950")]),
            check(&[url, ("OWL_LISTEN", "6950")]),
            check(&[url, ("OWL_LISTEN", "0.0.0.0:6950"), ("OWL_GATEWAY_KEY", "k")]),
            check(&[url, ("OWL_GATEWAY_KEY", "two words")]),
        ]
        .join("\n")
    );
    let flags = Overrides { api_key: Some(Secret::new("k")), auth: Some("none".to_owned()), ..Overrides::default() };
    snapshot!("problems_of_flags", told(&without_file(&flags, &[url])) + "\n\n" + &told(&without_file(&flags, &[])));
}

#[test]
fn a_key_of_the_environment_that_the_file_names_is_used() {
    let check = |password: &str, expect: &str| {
        let auth = format!("auth: {{ type: \"basic\", username: \"owl\", password: {password:?} }}");
        let told = told(&effective(&provider(&auth), &Overrides::default(), &[("OWL_API_KEY", "k")]));
        assert!(told.starts_with(expect), "{password}: {told}");
    };
    check("${OWL_API_KEY}", "right");
    check("other", "warning: OWL_API_KEY: models.providers.owl.apiKey: this key is not used");
    check("$${OWL_API_KEY}", "warning: OWL_API_KEY: models.providers.owl.apiKey: this key is not used");
}

#[test]
fn a_gateway_key_that_is_listed_is_not_added() {
    let names = |text: &str| {
        let result = effective(text, &Overrides::default(), &[("OWL_GATEWAY_KEY", "k-1")]);
        let config = result.expect("right").config;
        config.gateway.keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&with_provider("gateway: { keys: [{ name: \"ci\", key: \"${OWL_GATEWAY_KEY}\" }] }")), ["ci"]);
    assert_eq!(names(&with_provider("gateway: { keys: [{ name: \"ci\", key: \"k-2\" }] }")), ["ci", "env"]);
    assert_eq!(names(&with_provider("log: {}")), ["env"]);
}

#[test]
fn variables_do_not_make_a_provider_beside_others() {
    let text =
        "{ models: { providers: { vllm: { baseUrl: \"https://a.example.com\", apiKey: \"${OWL_API_KEY}\" } } } }";
    let config =
        effective(text, &Overrides::default(), &[("OWL_API_KEY", "k"), ("OWL_AUTH", "none")]).expect("right").config;
    assert_eq!(config.providers.len(), 1);
    assert_eq!(format!("{:?}", config.providers[0].upstream.authentication), "Bearer(Literal(****))");
}

#[test]
fn files_are_found_and_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("owl")).expect("a folder");
    std::fs::write(at("key"), "from-file\n").expect("a file");
    std::fs::write(at("ca.pem"), Authority::new("corp").certificate()).expect("a file");
    let text = "{ gateway: { keys: [{ name: \"f\", key: { file: \"../key\" } }, { name: \"c\", key: { command: [\"echo\", \"from-command\"] } }] },\n\
                models: { providers: { owl: { baseUrl: \"https://a.example.com\", apiKey: { file: \"../key\" }, tls: { ca: \"../ca.pem\" } } } } }";
    std::fs::write(at("owl/owl.json5"), text).expect("a file");
    let home = folder.path().to_str().expect("a path");
    let config = Config::load_with(&Overrides::default(), &Environment::these([("XDG_CONFIG_HOME", home)]));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.source, Some(at("owl/owl.json5")));
    let keys: Vec<_> = config.gateway.keys.iter().map(|key| key.key.expose()).collect();
    assert_eq!(keys, ["from-file", "from-command"]);
    assert_eq!(config.providers[0].upstream.tls.ca, Some(at("owl/../ca.pem")));

    std::fs::write(at("other.json5"), text.replace("../key", "nothing").replace("../ca.pem", "nothing"))
        .expect("a file");
    let other = at("other.json5").to_str().expect("a path").to_owned();
    let told = |overrides: &Overrides, variables: &[(&str, &str)]| {
        let problems = Config::load_with(overrides, &Environment::these(variables.iter().copied())).expect_err("wrong");
        problems.to_string().replace(home, "<folder>")
    };
    let named = Overrides { config: Some(at("none.json5")), ..Overrides::default() };
    let folder_itself = Overrides { config: Some(folder.path().to_owned()), ..Overrides::default() };
    let variables = [("OWL_CONFIG", other.as_str()), ("XDG_CONFIG_HOME", home)];
    snapshot!(
        [told(&Overrides::default(), &variables), told(&named, &variables), told(&folder_itself, &[])].join("\n\n")
    );
}

/// A folder with files for TLS, right and wrong ones.
fn tls_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new("corp");
    let (server, client, old) =
        (authority.server(&["localhost"]), authority.client("owl"), authority.expired_client("owl"));
    for (name, content) in [
        ("ca.pem", authority.certificate()),
        ("owl.pem", &client.certificate),
        ("owl.key", &client.key),
        ("old.pem", &old.certificate),
        ("old.key", &old.key),
        ("server.pem", &server.certificate),
        ("server.key", &server.key),
        ("text.pem", "nothing of the kind\n"),
        ("broken.pem", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"),
        ("garbage.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    ] {
        std::fs::write(folder.path().join(name), content).expect("a file");
    }
    folder
}

/// Each text as the file `owl.json5` of this folder, with what is said about it.
fn table_in(folder: &Path, texts: &[String]) -> String {
    let file = folder.join("owl.json5");
    let mut out = String::new();
    for text in texts {
        std::fs::write(&file, text).expect("a file");
        let named = Overrides { config: Some(file.clone()), ..Overrides::default() };
        let told = told(&Effective::load(&named, &Environment::these([]), Terms::SERVER));
        let told = told.replace(folder.to_str().expect("a path"), "<folder>").replace('\n', "\n   ");
        let _ = writeln!(out, "{text}\n=> {}\n", without_dates(&told));
    }
    out
}

/// The text without the days on which certificates expired.
fn without_dates(text: &str) -> String {
    let cut =
        |line: &str| line.split_once(" expired on ").map_or(line.to_owned(), |(what, _)| format!("{what} expired"));
    text.split('\n').map(cut).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_serve_would_refuse_of_tls_is_refused_here() {
    let folder = tls_files();
    let mut texts: Vec<String> = [
        "ca: \"ca.pem\", clientCert: \"owl.pem\", clientKey: \"owl.key\", serverName: \"llm\"",
        "ca: \"text.pem\"",
        "ca: \"broken.pem\"",
        "ca: \"garbage.pem\"",
        "clientCert: \"owl.key\", clientKey: \"owl.key\"",
        "clientCert: \"owl.pem\"",
        "clientCert: \"owl.pem\", clientKey: \"text.pem\"",
        "clientCert: \"owl.pem\", clientKey: \"server.key\"",
        "ca: \"text.pem\", clientCert: \"owl.pem\", clientKey: \"server.key\"",
        "clientCert: \"old.pem\", clientKey: \"old.key\"",
    ]
    .map(|keys| provider(&format!("tls: {{ {keys} }}")))
    .into();
    texts.extend(
        [
            "cert: \"server.pem\", key: \"server.key\"",
            "cert: \"text.pem\", key: \"server.key\"",
            "cert: \"broken.pem\", key: \"server.key\"",
            "cert: \"garbage.pem\", key: \"server.key\"",
            "cert: \"server.pem\", key: \"server.pem\"",
            "cert: \"server.pem\", key: \"owl.key\"",
        ]
        .map(|keys| with_provider(&format!("gateway: {{ tls: {{ {keys} }} }}"))),
    );
    texts.push(
        "{ models: { providers: {\n  a: { baseUrl: \"https://a.example.com\", tls: { ca: \"text.pem\" } },\n  \
         b: { baseUrl: \"https://b.example.com\", tls: { clientCert: \"owl.pem\", clientKey: \"server.key\" } },\n} } }"
            .to_owned(),
    );
    snapshot!(table_in(folder.path(), &texts));
}

#[test]
fn a_wildcard_s_own_sockets_are_those_of_all_interfaces() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("owl.json5");
    let check = |listen: &str, interfaces: bool| {
        let text = format!(
            "{{ gateway: {{ listen: {listen:?}, keys: [{{ name: \"ci\", key: \"k-1\" }}] }},\n\
             models: {{ providers: {{ owl: {{ baseUrl: \"https://llm.corp.example\", auth: {{ type: \"oauth2\",\n\
             tokenUrl: \"https://login.corp.example\", clientId: \"owl\", clientSecret: \"s\" }} }} }} }} }}"
        );
        std::fs::write(&file, text).expect("a file");
        let overrides = Overrides { config: Some(file.clone()), ..Overrides::default() };
        let config = Config::load_with(&overrides, &Environment::these([])).unwrap_or_else(|wrong| panic!("{wrong}"));
        let mut expect: Vec<SocketAddr> = vec![listen.parse().expect("an address")];
        let interfaces = interfaces.then(if_addrs::get_if_addrs).into_iter().flatten().flatten();
        expect.extend(interfaces.map(|interface| SocketAddr::new(interface.ip(), 7000)));
        let options = &config.providers[0].upstream;
        let Authentication::OAuth2(oauth2) = &options.authentication else { panic!("{options:?}") };
        assert_eq!(options.rules.own_sockets, expect);
        assert_eq!(oauth2.rules.own_sockets, expect);
    };
    check("127.0.0.1:7000", false);
    check("0.0.0.0:7000", true);
    check("[::]:7000", true);
}

#[test]
fn where_files_are_looked_for() {
    let check = |variables: &[(&str, &str)], expect: &[&str]| {
        let files = Environment::these(variables.iter().copied()).search_path();
        assert_eq!(files, expect.iter().map(PathBuf::from).collect::<Vec<_>>());
    };
    check(&[], &["owl.json5", "/etc/owl/owl.json5"]);
    check(&[("HOME", "/home/a")], &["owl.json5", "/home/a/.config/owl/owl.json5", "/etc/owl/owl.json5"]);
    check(&[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "/x")], &["owl.json5", "/x/owl/owl.json5", "/etc/owl/owl.json5"]);
    check(
        &[("HOME", "/home/a"), ("XDG_CONFIG_HOME", "x")],
        &["owl.json5", "/home/a/.config/owl/owl.json5", "/etc/owl/owl.json5"],
    );
}

#[test]
fn docs_are_up_to_date() {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    #[expect(clippy::disallowed_methods, reason = "a test is told to write")]
    let write = std::env::var_os("OWL_WRITE_DOCS").is_some();
    for (name, text) in [("owl.schema.json", schema_text()), ("configuration.md", reference())] {
        if write {
            std::fs::create_dir_all(&docs)
                .and_then(|()| std::fs::write(docs.join(name), &text))
                .expect("docs can be written");
        }
        let committed = std::fs::read_to_string(docs.join(name)).unwrap_or_default();
        assert!(
            committed == text,
            "docs/{name} is stale: `OWL_WRITE_DOCS=1 cargo test -p owl-gateway --lib docs` writes it"
        );
    }
}

#[test]
fn the_page_s_configuration_is_right() {
    let page = reference();
    let start = page.find("```json5\n{").expect("an example") + "```json5\n".len();
    let end = page[start..].find("```").expect("its end");
    assert_eq!(told(&effective(&page[start..start + end], &Overrides::default(), &[])), "right");
}

#[test]
fn the_schema_s_examples_and_defaults_fit_it() {
    let environment = Environment::these([
        ("SEARCH_KEY", "e"),
        ("OWL_GATEWAY_KEY", "a"),
        ("OWL_API_KEY", "b"),
        ("OWL_CLIENT_SECRET", "c"),
        ("VLLM_KEY", "d"),
    ]);
    for (name, definition) in schema()["$defs"].as_object().expect("definitions") {
        let tables = super::schema::alternatives(schema(), definition);
        for (key, property) in tables.iter().filter_map(|table| table.get("properties")?.as_object()).flatten() {
            let values =
                property.get("examples").and_then(Json::as_array).into_iter().flatten().chain(property.get("default"));
            for value in values {
                let text = value.to_string();
                let mut reporter = Reporter::new(name, &text);
                let node = json5::parse(&text).expect("an example is JSON5");
                assert!(shape::sift_as(&node, property, &environment, &mut reporter).is_some(), "{name}.{key}: {text}");
                assert!(reporter.finish().is_ok(), "{name}.{key}: {text}");
            }
        }
    }
}

/// The paths of everything inside, as JSON pointers.
fn pointers(json: &Json, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match json {
        Json::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, inner)| pointers(inner, &format!("{at}/{index}"), out));
        }
        Json::Object(members) => members.iter().for_each(|(key, inner)| pointers(inner, &format!("{at}/{key}"), out)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = check_text(&bytes);
    }

    #[test]
    fn a_mutilated_file_ends_without_a_panic(from in any::<prop::sample::Index>(), length in 0..40_usize, with in r#"[\PC]{0,8}"#) {
        let mut bytes = FULL.as_bytes().to_vec();
        let from = from.index(bytes.len());
        bytes.splice(from..(from + length).min(FULL.len()), with.bytes());
        let _ = check_text(&bytes);
    }

    /// Whatever stands where: the shape check finds it, and what it lets through always deserializes.
    #[test]
    fn the_shape_check_is_complete(places in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize), 1..4)) {
        let mut json: Json = ::json5::from_str(FULL).expect("JSON5");
        for (place, value) in places {
            let mut all = Vec::new();
            pointers(&json, "", &mut all);
            let strange = [
                Json::Null, Json::from(true), Json::from(-1), Json::from(1.5), Json::from(1e300), Json::from(7), Json::from("x"), Json::from(""),
                serde_json::json!([]), serde_json::json!({}), serde_json::json!([["x"]]), serde_json::json!({ "file": 5, "type": "basic" }),
            ];
            *json.pointer_mut(&all[place.index(all.len())]).expect("a place") = strange[value].clone();
        }
        let told = told(&effective(&json.to_string(), &Overrides::default(), &[("TOKEN", "CANARY")]));
        prop_assert!(!told.contains("please report this"), "{}\n{}", json, told);
    }
}

#[test]
fn the_fuzz_seeds_end_in_a_configuration_or_in_problems() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/config");
    let results: Vec<bool> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| super::check_text(&std::fs::read(entry.unwrap().path()).unwrap()).is_ok())
        .collect();
    assert!(results.contains(&true) && results.contains(&false), "{results:?}");
}

#[test]
fn problems_of_the_agent_loop() {
    let text = r#"{
  gateway: { keys: [{ name: "a", key: "k", tools: { auto: ["shell"] } }] },
  tools: { budget: { steps: 0, calls: 20000, parallel: 0, timeout: "0s", resultBytes: "1B" } },
  models: { providers: { owl: {
    baseUrl: "https://llm.corp.example/v1", responses: "yes", tools: { auto: ["image", "image"] },
    compat: { toolCalls: "xml", schemaWithout: ["type", ""] },
    models: [{ id: "b", upstream: "c", compat: { forwarding: true } }],
  } } },
}"#;
    snapshot!(told(&effective(text, &Overrides::default(), &[])));
}
