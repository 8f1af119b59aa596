//! The keys of `egress` and `store`, and those of `gateway` that are for clients' URLs.

use std::sync::Arc;
use std::time::Duration;

use owl_egress::audit::LogSink;
use owl_egress::resolve::ResolverOptions;

use super::*;
use crate::config::{MediaMode, StoreConfig};

/// A configuration with this `egress` block, and one provider.
fn with_egress(keys: &[&str]) -> String {
    let texts: Vec<String> = keys.iter().map(|keys| with_provider(&format!("egress: {{ {keys} }}"))).collect();
    table(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// What each key becomes that [`FULL`] holds, for the test of every key.
pub(super) fn cases(config: &Config) -> Vec<(&'static str, String, &'static str)> {
    let (rules, media) = (&config.gateway.rules, &config.gateway.media);
    let (egress, store) = (&config.egress, &config.store);
    let proxy = egress.proxy.as_ref().expect("a proxy");
    let (user, password) = proxy.credentials.as_ref().expect("credentials");
    let shown = |value: &dyn std::fmt::Debug| format!("{value:?}");
    // First the gateway's own, then what holds everywhere.
    fn joined<T: std::fmt::Display>(patterns: &[T]) -> String {
        patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    }
    let everywhere = &egress.everywhere;
    vec![
        ("gateway.allowPrivateNetwork", rules.allow_private_network.to_string(), "true"),
        ("gateway.allowHosts", joined(&rules.allow_hosts), "c.corp.example"),
        ("gateway.allowCidrs", joined(&rules.allow_cidrs), "10.30.0.0/16"),
        ("gateway.onlyHosts", joined(&rules.only_hosts), "media.corp.example"),
        ("gateway.blockHosts", joined(&rules.block_hosts), "d.corp.example e.corp.example"),
        ("gateway.blockCidrs", joined(&rules.block_cidrs), "10.67.0.0/16 10.68.0.0/16"),
        ("gateway.allowPorts", shown(&rules.allow_ports), "[6380]"),
        ("gateway.fakeIpRanges", joined(&rules.fake_ip_ranges), "198.19.0.0/16 198.18.0.0/16"),
        ("gateway.nat64Prefixes", joined(&rules.nat64_prefixes), "2001:db8:65::/96 2001:db8:66::/96"),
        ("gateway.(own sockets)", shown(&rules.own_sockets), "[0.0.0.0:7000]"),
        ("gateway.media.mode", shown(&media.mode), "Refuse"),
        ("gateway.media.maxCount", media.max_count.to_string(), "3"),
        ("gateway.media.maxBytes", media.max_bytes.to_string(), "4194304"),
        ("gateway.media.maxTotalBytes", media.max_total_bytes.to_string(), "5242880"),
        ("gateway.media.timeout", shown(&media.timeout), "6s"),
        ("egress.blockHosts", joined(&everywhere.block_hosts), "e.corp.example"),
        ("egress.blockCidrs", joined(&everywhere.block_cidrs), "10.68.0.0/16"),
        ("egress.fakeIpRanges", joined(&everywhere.fake_ip_ranges), "198.18.0.0/16"),
        ("egress.nat64Prefixes", joined(&everywhere.nat64_prefixes), "2001:db8:66::/96"),
        ("egress.resolver.servers", shown(&egress.resolver), "Servers([127.0.0.1:5353, 10.0.0.2:53, [::1]:53])"),
        ("egress.proxy.url", proxy.url.origin(), "http://proxy.corp.example:3128"),
        ("egress.proxy.username", user.clone(), "svc"),
        ("egress.proxy.password", password.expose().to_owned(), "CANARY"),
        ("egress.proxy.except", joined(&proxy.except), "10.0.0.0/8"),
        ("egress.rateLimit.perKey.rate", shown(&egress.rates.per_key), "Some(Rate { per_minute: 600, burst: 7 })"),
        ("egress.rateLimit.perKey.burst", shown(&egress.rates.per_key), "Some(Rate { per_minute: 600, burst: 7 })"),
        (
            "egress.rateLimit.perDestination",
            shown(&egress.rates.per_destination),
            "Some(Rate { per_minute: 60, burst: 30 })",
        ),
        ("egress.rateLimit.perPrivateDestination", shown(&egress.rates.per_private_destination), "None"),
        ("store.path", shown(&store.path), "Some(\"state/owl.db\")"),
        ("store.maxAge", shown(&store.max_age), "2592000s"),
        ("store.responsesMaxAge", shown(&store.responses_max_age), "259200s"),
        ("store.maxSize", store.max_size.to_string(), "209715200"),
    ]
}

#[test]
fn what_holds_everywhere_is_in_every_policy() {
    let text = "{ egress: { blockHosts: [\"x.example.com\"], blockCidrs: [\"10.66.0.0/16\"], fakeIpRanges: [\"198.18.0.0/15\"],\n\
                nat64Prefixes: [\"2001:db8:64::/96\"] },\n\
                models: { providers: { owl: { baseUrl: \"https://llm.corp.example\", blockHosts: [\"y.example.com\"],\n\
                auth: { type: \"oauth2\", tokenUrl: \"https://login.corp.example\", clientId: \"owl\", clientSecret: \"s\" } } } } }";
    let config = effective(text, &Overrides::default(), &[]).expect("right").config;
    let provider = &config.providers[0].upstream;
    let Authentication::OAuth2(oauth2) = &provider.authentication else { panic!("{provider:?}") };
    let hosts = |rules: &PolicyRules| rules.block_hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(hosts(&provider.rules), ["y.example.com", "x.example.com"]);
    assert_eq!(hosts(&oauth2.rules), ["x.example.com"]);
    assert_eq!(hosts(&config.gateway.rules), ["x.example.com"]);
    for rules in [&provider.rules, &oauth2.rules, &config.gateway.rules] {
        assert_eq!(rules.block_cidrs.len(), 1);
        assert_eq!(rules.fake_ip_ranges.len(), 1);
        assert_eq!(rules.nat64_prefixes.len(), 1);
    }
}

#[test]
fn problems_of_egress() {
    snapshot!(with_egress(&[
        "blockHosts: [\"https://x.example.com/\"], blockCidrs: [\"10.66.0.1/16\", \"10.0.0.1\"]",
        "fakeIpRanges: \"198.18.0.0/15\", nat64Prefixes: [\"10.0.0.0/8\"]",
        "allowPrivateNetwork: true, allowHosts: [\"nas.lan\"], allowCidrs: [\"10.0.0.0/8\"], allowPorts: [6379], onlyHosts: [\"a\"]",
        "allowHost: [\"nas.lan\"], blockHost: [\"a\"]",
        "resolver: \"sytem\"",
        "resolver: [\"10.0.0.2\"]",
        "resolver: {}",
        "resolver: { servers: [] }",
        "resolver: { servers: [\"dns.corp.example\", \"10.0.0.2:0\", \"0.0.0.0\", \"[::ffff:0.0.0.0]:53\", \"224.0.0.251:5353\", 53] }",
        "proxy: \"proxy.corp.example:3128\"",
        "proxy: \"https://proxy.corp.example:3128\"",
        "proxy: \"socks5://proxy.corp.example:1080\"",
        "proxy: \"http://proxy.corp.example:3128/path\"",
        "proxy: \"http://proxy.corp.example:3128?key=CANARY\"",
        "proxy: \"http://us%3Aer:CANARY@proxy.corp.example:3128\"",
        "proxy: {}",
        "proxy: { url: \"http://user:CANARY@proxy.corp.example\", username: \"a\", password: \"b\" }",
        "proxy: { url: \"http://proxy.corp.example\", password: \"CANARY\" }",
        "proxy: { url: \"http://proxy.corp.example\", username: \"a:b\", password: \"CAN\\nARY\" }",
        "proxy: { url: \"http://proxy.corp.example\", username: \"a\", password: \"${UNSET}\" }",
        "proxy: { url: \"http://proxy.corp.example\", except: [\"10.0.0.1\", \"*.corp.example\"] }",
        "rateLimit: 60",
        "rateLimit: { perKey: 60, perDestination: \"60\", perPrivateDestination: \"0/min\" }",
        "rateLimit: { perKey: \"60/h\", perDestination: { rate: 5 }, perPrivateDestination: { burst: 5 } }",
        "rateLimit: { perKey: { rate: \"unlimited\", burst: 5 }, perDestination: { rate: \"5/s\", burst: 0 } }",
        "rateLimit: { perkey: \"unlimited\" }",
    ]));
}

#[test]
fn problems_of_media_and_store() {
    snapshot!(gateways(&[
        "gateway: { media: \"inlined\" }",
        "gateway: { media: true }",
        "gateway: { media: { mode: \"off\", maxCount: 0, maxBytes: \"20 MB\", maxTotalBytes: 0, timeout: \"0s\" } }",
        "gateway: { allowCidrs: [\"10.20.0.0\"], onlyHosts: [], allowPorts: [0] }",
        "store: \"\"",
        "store: false",
        "store: { path: \"a\\u0000b\", maxAge: \"0d\", maxSize: \"1KiB\" }",
        "store: { maxAge: \"20y\", maxSize: \"2TB\" }",
        "store: { maxAge: \"4000d\", pth: \"owl.db\" }",
    ]));
}

#[test]
fn media_is_a_word_or_an_object() {
    let check = |written: &str, mode: MediaMode, max_count: usize| {
        let text = with_provider(&format!("gateway: {{ {written} }}"));
        let media = effective(&text, &Overrides::default(), &[]).expect("right").config.gateway.media;
        assert_eq!(media, MediaConfig { mode, max_count, ..MediaConfig::default() }, "{written}");
    };
    check("", MediaMode::Inline, 16);
    check("media: \"inline\"", MediaMode::Inline, 16);
    check("media: \"forward\"", MediaMode::Forward, 16);
    check("media: \"refuse\"", MediaMode::Refuse, 16);
    check("media: {}", MediaMode::Inline, 16);
    check("media: { maxCount: 2 }", MediaMode::Inline, 2);
    check("media: { mode: \"forward\" }", MediaMode::Forward, 16);
}

#[test]
fn where_the_store_is() {
    let check = |written: &str, variables: &[(&str, &str)], expect: Option<&str>| {
        let text = with_provider(written);
        let store = effective(&text, &Overrides::default(), variables).expect("right").config.store;
        let expect = StoreConfig { path: expect.map(PathBuf::from), ..StoreConfig::default() };
        assert_eq!(store, expect, "{written} {variables:?}");
    };
    let home = ("HOME", "/home/a");
    let xdg = ("XDG_STATE_HOME", "/x");
    check("log: {}", &[], None);
    check("log: {}", &[home], Some("/home/a/.local/state/owl/owl.db"));
    check("store: {}", &[home], Some("/home/a/.local/state/owl/owl.db"));
    check("log: {}", &[home, xdg], Some("/x/owl/owl.db"));
    check("log: {}", &[home, ("XDG_STATE_HOME", "x")], Some("/home/a/.local/state/owl/owl.db"));
    check("log: {}", &[home, xdg, ("STATE_DIRECTORY", "/var/lib/owl")], Some("/var/lib/owl/owl.db"));
    check("log: {}", &[home, ("STATE_DIRECTORY", "/var/lib/owl:/var/lib/b")], Some("/var/lib/owl/owl.db"));
    check("store: \"none\"", &[home], None);
    check("store: { path: \"none\" }", &[home], None);
    check("store: \"/srv/a.db\"", &[home], Some("/srv/a.db"));
    check("store: { path: \"a.db\" }", &[home], Some("a.db"));
}

#[test]
fn a_store_below_the_configuration_s_folder_is_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("owl.json5");
    let load = |store: &str| {
        std::fs::write(&file, with_provider(&format!("store: {store:?}"))).expect("a file");
        let named = Overrides { config: Some(file.clone()), ..Overrides::default() };
        Config::load_with(&named, &Environment::these([]))
    };
    assert_eq!(load("owl.db").expect("right").store.path, Some(folder.path().join("owl.db")));
    let problems = load(".").expect_err("a folder").to_string();
    assert!(problems.contains("owl.json5:2:8: store: ") && problems.contains("is a folder"), "{problems}");
}

#[test]
fn the_proxy_s_user_and_password_are_taken_out_of_its_url() {
    for written in ["\"http://us%C3%ABr:c%3Aanary@proxy:3128\"", "{ url: \"http://us%C3%ABr:c%3Aanary@proxy:3128/\" }"]
    {
        let text = with_provider(&format!("egress: {{ proxy: {written} }}"));
        let effective = effective(&text, &Overrides::default(), &[]).expect("right");
        let proxy = effective.config.egress.proxy.as_ref().expect("a proxy");
        let (username, password) = proxy.credentials.as_ref().expect("credentials");
        assert_eq!((username.as_str(), password.expose()), ("usër", "c:anary"));
        assert_eq!(proxy.url.to_string(), "http://proxy:3128/");
        let shown = effective.show();
        assert!(!format!("{:?}{shown}", effective.config).contains("anary"), "{shown}");
        assert!(shown.contains("username: \"usër\", // from egress.proxy"), "{shown}");
    }
}

#[test]
fn the_proxy_s_password_comes_from_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("owl.json5");
    std::fs::write(folder.path().join("password"), "from-file\n").expect("a file");
    let load = |password: &str| {
        let proxy = format!("{{ url: \"http://proxy:3128\", username: \"owl\", password: {{ file: {password:?} }} }}");
        std::fs::write(&file, with_provider(&format!("egress: {{ proxy: {proxy} }}"))).expect("a file");
        let named = Overrides { config: Some(file.clone()), ..Overrides::default() };
        Config::load_with(&named, &Environment::these([]))
    };
    let proxy = load("password").expect("right").egress.proxy.expect("a proxy");
    assert_eq!(proxy.credentials, Some(("owl".to_owned(), Secret::new("from-file"))));
    let problems = load("nothing").expect_err("no such file").to_string();
    assert!(problems.contains("egress.proxy.password.file: ") && !problems.contains("from-file"), "{problems}");
}

#[test]
fn the_network_is_the_one_that_is_written() {
    let network = |text: &str| {
        let config = effective(text, &Overrides::default(), &[]).expect("right").config;
        config.egress.network(Arc::new(LogSink))
    };
    let plain = network(&with_provider("log: {}"));
    assert_eq!(*plain.resolver.options(), ResolverOptions::System);
    assert!(plain.proxy.is_none() && plain.rates.is_some());
    let written =
        network(&with_provider("egress: { resolver: { servers: [\"10.0.0.2\"] }, proxy: \"http://10.0.0.3:3128\" }"));
    assert_eq!(*written.resolver.options(), ResolverOptions::Servers(vec![([10, 0, 0, 2], 53).into()]));
    assert_eq!(written.proxy.expect("a proxy").url.authority(), "10.0.0.3:3128");
}

#[test]
fn the_defaults_that_are_shown_are_those_in_force() {
    let text = with_provider("gateway: { media: {} }, store: {}");
    let config = effective(&text, &Overrides::default(), &[]).expect("right").config;
    assert_eq!(config.gateway.media, MediaConfig::default());
    assert_eq!(config.store.max_age, Duration::from_secs(90 * 86_400));
    assert_eq!(config.store, StoreConfig::default());
}
