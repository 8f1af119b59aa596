//! Flags and variables over a file that was not written for them, and variables that nobody reads.

use super::*;

/// What is said of the provider `owl` with these keys when `--base-url` or OWL_BASE_URL names another place.
fn moved(keys: &str, url: &str, variables: &[(&str, &str)]) -> String {
    let all: Vec<(&str, &str)> = variables.iter().copied().chain([("OWL_BASE_URL", url)]).collect();
    told(&effective(&provider(keys), &Overrides::default(), &all))
}

#[test]
fn what_is_the_file_s_servers_does_not_go_to_another() {
    let mut out = String::new();
    for keys in [
        "apiKey: \"CANARY\"",
        "apiKey: \"CANARY\", headers: { \"X-Team\": \"CANARY\" }, allowPrivateNetwork: true",
        "auth: { type: \"basic\", username: \"a\", password: \"CANARY\" }",
        "auth: { type: \"oauth2\", tokenUrl: \"https://login.corp.example\", clientId: \"owl\", clientSecret: \"CANARY\" }",
        "tls: { ca: \"ca.pem\", clientCert: \"owl.pem\", clientKey: \"owl.key\" }",
        "allowCidrs: [\"10.0.0.0/8\"], allowPorts: [6379]",
    ] {
        let told = moved(keys, "https://elsewhere.example.com", &[]);
        assert!(!told.contains("CANARY"), "{told}");
        let _ = writeln!(out, "{keys}\n=> {}\n", told.replace('\n', "\n   "));
    }
    let flag = Overrides { base_url: Some(Secret::new("https://elsewhere.example.com")), ..Overrides::default() };
    let told = told(&effective(&provider("apiKey: \"k\""), &flag, &[]));
    let _ = writeln!(out, "--base-url\n=> {}", told.replace('\n', "\n   "));
    snapshot!(out);
}

#[test]
fn what_belongs_to_no_server_goes_along() {
    let other = "https://elsewhere.example.com";
    let right = |keys: &str, url: &str, variables: &[(&str, &str)]| {
        assert_eq!(moved(keys, url, variables), "right", "{keys} {url}");
    };
    right("models: [\"a\"], modelsRefresh: \"5m\", onlyHosts: [\"*.example.com\"]", other, &[]);
    right("headers: {}, allowPrivateNetwork: false, allowCidrs: [], auth: \"none\"", other, &[]);
    // The same server, whatever the path.
    right("apiKey: \"k\", allowPrivateNetwork: true", "https://llm.corp.example:443/api/v2", &[]);
    // Given anew with the address.
    right("apiKey: \"k\"", other, &[("OWL_API_KEY", "k-2")]);
    right("allowPrivateNetwork: true", other, &[("OWL_ALLOW_PRIVATE_NETWORK", "true")]);
    right("auth: { type: \"basic\", username: \"a\", password: \"b\" }", other, &[("OWL_AUTH", "none")]);
    // A file that leaves the address to the variable.
    let text = "{ models: { providers: { owl: { apiKey: \"k\" } } } }";
    assert_eq!(told(&effective(text, &Overrides::default(), &[("OWL_BASE_URL", other)])), "right");
    let text = "{ models: { providers: { owl: { baseUrl: \"${OWL_BASE_URL}\", apiKey: \"k\" } } } }";
    assert_eq!(told(&effective(text, &Overrides::default(), &[("OWL_BASE_URL", other)])), "right");
    // Another port is another server.
    assert!(moved("apiKey: \"k\"", "https://llm.corp.example:8443", &[]).contains("another server"));
}

#[test]
fn a_misspelt_variable_is_told() {
    let told = |name: &str| told(&effective(&with_provider("log: {}"), &Overrides::default(), &[(name, "CANARY")]));
    let check = |name: &str, meant: &str| {
        let expect =
            format!("warning: Owl does not know the environment variable {name}\n  help: did you mean {meant}?");
        assert_eq!(told(name), expect);
    };
    check("OWL_LISTN", "OWL_LISTEN");
    check("OWL_BASEURL", "OWL_BASE_URL");
    check("OWL_API_KEYS", "OWL_API_KEY");
    check("OWL_ALLOW_PRIVATE_NETWORKS", "OWL_ALLOW_PRIVATE_NETWORK");
    check("OWL_GATEWAYKEY", "OWL_GATEWAY_KEY");
    // Kubernetes sets these beside a service of this name.
    let foreign = ["OWL_SERVICE_HOST", "OWL_SERVICE_PORT", "OWL_PORT", "OWL_PORT_6950_TCP", "OWL_PORT_6950_TCP_ADDR"];
    for name in foreign.into_iter().chain(["OWL_CLIENT_SECRET", "OWL_PASSWORD", "LISTN", "OWL_", "OWL_\u{1b}[1mLISTEN"])
    {
        assert_eq!(told(name), "right", "{name}");
    }
    let named = with_provider("gateway: { keys: [{ name: \"a\", key: \"${OWL_API_KEY_2}\" }] }");
    assert_eq!(super::told(&effective(&named, &Overrides::default(), &[("OWL_API_KEY_2", "k-1")])), "right");
}

#[test]
fn a_file_of_another_language_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: &str, expect: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a file");
        let named = Overrides { config: Some(file), ..Overrides::default() };
        let told = told(&Effective::load(&named, &Environment::these([]), Terms::SERVER));
        assert!(told.contains(expect), "{told}");
    };
    check("owl.yaml", "- a\n- b\n", "owl.yaml:1:1: this looks like YAML, and Owl reads JSON5");
    check("owl.toml", "a.b = 5\n", "owl.toml:1:1: this looks like TOML, and Owl reads JSON5");
    // JSON is a part of YAML: the name does not matter where the text is right.
    check("right.yaml", &with_provider("log: {}"), "right");
}
