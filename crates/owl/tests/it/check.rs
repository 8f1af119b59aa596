//! `owl check`: one server after the other that is wrong in one way, and what the doctor says.

use std::net::TcpListener;

use owl_testkit::{
    Authority, Credential, FaultServer, InferenceOptions, InferenceServer, Step, TokenOptions, TokenServer,
};
use serde_json::Value;

use crate::command::{CANARY, Ended, Owl, Place, one_model, run};

fn server(options: InferenceOptions) -> InferenceServer {
    InferenceServer::start(options)
}

fn plain() -> InferenceServer {
    server(InferenceOptions::default())
}

/// The outcome, with the server's address replaced.
fn told(ended: &Ended, server: &InferenceServer) -> String {
    let address = server.address();
    ended.told(&[(&address.to_string(), "SERVER"), (&address.port().to_string(), "PORT")])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_can_do_everything() {
    let basic = Credential::Basic("owl".to_owned(), CANARY.to_owned());
    let server =
        server(InferenceOptions { credential: basic, prefix: "/llm".to_owned(), ..InferenceOptions::default() });
    let place = Place::at(&server.base_url()).with("OWL_AUTH", "basic").with("OWL_API_KEY", &format!("owl:{CANARY}"));
    insta::assert_snapshot!(told(&place.owl(&["check"]), &server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_not_connected_to() {
    let server = plain();
    let place = Place::new().with("OWL_BASE_URL", &server.base_url());
    insta::assert_snapshot!(told(&place.owl(&["check"]), &server));
    assert_eq!(server.log().opened(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_json_says() {
    let server = plain();
    let ended = Place::at(&server.base_url()).owl(&["check", "owl", "--json", "-m", "tiny-chat"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &report["ok"], &ended.stderr), (Some(0), &Value::Bool(true), &String::new()));
    let provider = &report["providers"][0];
    assert_eq!((&provider["id"], &provider["baseUrl"]), (&"owl".into(), &server.base_url().into()));
    let steps: Vec<(&str, &str)> = provider["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            assert!(step["ms"].is_u64() && step["detail"].is_string(), "{step}");
            (step["step"].as_str().unwrap(), step["status"].as_str().unwrap())
        })
        .collect();
    let expect = [
        ("name", "ok"),
        ("addresses", "ok"),
        ("policy", "ok"),
        ("connect", "ok"),
        ("tls", "skipped"),
        ("authentication", "ok"),
        ("models", "ok"),
        ("chat", "ok"),
        ("streaming", "ok"),
        ("usage", "ok"),
        ("tools", "ok"),
        ("json-schema", "ok"),
        ("vision", "warn"),
        ("compat", "ok"),
        ("responses", "ok"),
        ("messages", "no"),
        ("embeddings", "ok"),
    ];
    assert_eq!(steps, expect);
}

/// The lines of the steps that did not go well, with their advice.
fn trouble(ended: &Ended) -> Vec<String> {
    let is_good = |line: &&str| line.starts_with("  ok ") || line.starts_with("  skipped ") || !line.starts_with(' ');
    let lines = ended.stdout.lines().filter(|line| !is_good(line));
    lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[track_caller]
fn check_trouble(ended: &Ended, code: i32, expect: &[&str]) {
    assert_eq!((trouble(ended), ended.code), (expect.iter().map(|&line| line.to_owned()).collect(), Some(code)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential() {
    let basic = || Credential::Basic("owl".to_owned(), "right".to_owned());
    let wrong = format!("owl:{CANARY}");
    let cases = [
        (
            basic(),
            "basic",
            "FAILED authentication the server answered 401, asking for Basic; Owl sent Basic, user and password",
            "→ look at the user name and the password",
        ),
        (
            basic(),
            "bearer",
            "FAILED authentication the server answered 401, asking for Basic; Owl sent a bearer key",
            "→ it asks for Basic: write auth: \"basic\", with apiKey: \"user:password\"",
        ),
        (
            Credential::Bearer("right".to_owned()),
            "bearer",
            "FAILED authentication the server answered 401; Owl sent a bearer key",
            "→ look at apiKey; some servers take it in a header of their own (auth.type: \"header\")",
        ),
    ];
    for (credential, auth, detail, advice) in cases {
        let server = server(InferenceOptions { credential, ..InferenceOptions::default() });
        let place = Place::at(&server.base_url()).with("OWL_AUTH", auth).with("OWL_API_KEY", &wrong);
        check_trouble(&place.owl(&["check"]), 1, &[detail, advice, "1 step failed"]);
    }
    let server = server(InferenceOptions { credential: basic(), ..InferenceOptions::default() });
    let detail = "FAILED authentication the server answered 401, asking for Basic; Owl sent no credential";
    let advice = "→ write auth: \"basic\" and apiKey: \"user:password\"";
    check_trouble(&Place::at(&server.base_url()).owl(&["check"]), 1, &[detail, advice, "1 step failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_quotes_the_key() {
    for (status, path) in [(401, "/v1/models"), (403, "/v1/models"), (500, "/v1/models"), (400, "/v1/chat/completions")]
    {
        let server = plain();
        let quoted = serde_json::json!({ "error": { "message": format!("bad key {CANARY}\u{1b}[31m!") } });
        server.answer(path, status, "application/json", quoted.to_string());
        let ended = Place::at(&server.base_url()).with("OWL_API_KEY", CANARY).owl(&["check"]);
        assert_eq!(ended.code, Some(1), "{status} {path}");
        assert_eq!(ended.stdout.contains("bad key **** [31m!"), status != 401 && status != 403, "{}", ended.stdout);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path() {
    let server = server(InferenceOptions { prefix: "/llm".to_owned(), ..InferenceOptions::default() });
    let origin = server.base_url().replace("/llm/v1", "");
    let right = format!("→ the API is at another path: write baseUrl: \"{origin}/llm/v1\"");
    for path in ["/llm/v1/chat/completions", "/llm/v1/v1", "/llm/v1/models"] {
        let ended = Place::at(&format!("{origin}{path}")).owl(&["check"]);
        let trouble = trouble(&ended);
        assert_eq!((ended.code, trouble.get(1)), (Some(1), Some(&right)), "{path}: {trouble:?}");
    }
    let ended = Place::at(&format!("{origin}/other")).owl(&["check"]);
    let detail = "FAILED models the server answered 404 (text/html): 404 Not Found 404 Not Found nginx/1.22.1";
    let advice = "→ is the path in baseUrl right? Owl asked for /other/v1/models";
    check_trouble(&ended, 1, &[detail, advice, "1 step failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_not_followed() {
    let server = plain();
    let cases = [
        ("https://127.0.0.1/v1/models?secret=1", "https://127.0.0.1/v1/models", "→ write https:// in baseUrl"),
        ("/login?next=x", "/login", "→ write the path where the API really is in baseUrl"),
        (
            "https://sso.corp.example/start",
            "https://sso.corp.example/start",
            "→ is this a page to log in? then the API needs another address, or another way to authenticate; \
             else write the new host in baseUrl",
        ),
    ];
    for (location, shown, advice) in cases {
        server.script("/v1/models", &format!("[[redirect {location}]]"));
        let ended = Place::at(&server.base_url()).owl(&["check"]);
        let detail =
            format!("FAILED authentication the server answered 307, a redirect to {shown}; Owl does not follow it");
        check_trouble(&ended, 1, &[&detail, advice, "1 step failed"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_list_of_models() {
    let server = plain();
    server.answer("/v1/models", 404, "application/json", r#"{"detail":"Not Found"}"#);
    let place = Place::at(&server.base_url());
    let detail = "the server answered 404 (application/json): Not Found";
    let advice = "→ Owl asked for /v1/models; when the path is right and the server has no such list, name a model: \
                  -m MODEL, and models: [\"MODEL\"] in the configuration";
    check_trouble(&place.owl(&["check"]), 1, &[&format!("FAILED models {detail}"), advice, "1 step failed"]);
    let ended = place.owl(&["check", "-m", "tiny-chat"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains(&format!("warn     models            {detail}")), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_cannot_do_is_no_failure() {
    let server = server(InferenceOptions { models: vec!["tiny-chat".to_owned()], ..InferenceOptions::default() });
    server.answer("/v1/embeddings", 404, "application/json", r#"{"error":{"message":"this model makes none"}}"#);
    let ended = Place::at(&server.base_url()).owl(&["check"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let expect = "no embeddings the server answered 404 (application/json): this model makes none";
    assert!(trouble(&ended).contains(&expect.to_owned()), "{}", ended.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_fails() {
    let server = plain();
    server.script("/v1/chat/completions", "[[error 503]]");
    let ended = Place::at(&server.base_url()).owl(&["check"]);
    let detail = "FAILED chat tiny-chat: the server answered 503 (application/json): scripted error 503";
    let advice = "→ the proxy in front of the server gets no answer from it";
    check_trouble(&ended, 1, &[detail, advice, "1 step failed"]);
    assert!(ended.stdout.contains("ok       embeddings"), "embeddings need no chat: {}", ended.stdout);

    server.script("/v1/chat/completions", "[[cut]]");
    assert_eq!(Place::at(&server.base_url()).owl(&["check"]).code, Some(1));
    server.script("/v1/chat/completions", "[[slow]]");
    let ended = Place::at(&server.base_url()).owl(&["check", "--timeout", "1"]);
    let detail = "FAILED chat no complete answer within 1 s";
    let advice = "→ is the model still being loaded? --timeout sets how long to wait";
    check_trouble(&ended, 1, &[detail, advice, "1 step failed"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_and_no_http() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = Place::at(&format!("http://{unused}")).owl(&["check"]);
    assert_eq!(ended.code, Some(1));
    let first = format!(
        "FAILED connect no connection to http://{unused}: connection refused (is the server running, and on this port?)"
    );
    assert_eq!(trouble(&ended).first(), Some(&first));

    let hello = || vec![Step::ReadRequest, Step::send("SSH-2.0-OpenSSH_9.9\r\n")];
    let fault = FaultServer::start([vec![], hello(), hello()]);
    let ended = Place::at(&fault.origin()).owl(&["check"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(trouble(&ended)[0].starts_with("FAILED authentication"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates() {
    let ca = Authority::new("Owl test CA");
    let good = ca.server(&["localhost", "127.0.0.1"]);
    let server_tls = |identity: &owl_testkit::certificates::Identity| InferenceOptions {
        tls: Some(identity.server_tls()),
        ..InferenceOptions::default()
    };
    let place = Place::new();
    place.write("ca.pem", ca.certificate());
    let run = |server: &InferenceServer, tls: &str| {
        let url = server.base_url();
        let text = format!(
            "{{ models: {{ providers: {{ gpu: {{ baseUrl: {url:?}, allowPrivateNetwork: true, {tls} }} }} }} }}"
        );
        place.write("owl.json5", &text);
        place.owl(&["check", "gpu"])
    };
    let good = server(server_tls(&good));
    let ended = run(&good, "tls: { ca: \"ca.pem\" }");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.contains("TLS")).unwrap().to_owned();
    let start = "  ok       TLS               TLS 1.3; certificate from CN=Owl test CA; valid until ";
    assert!(line.starts_with(start) && line.ends_with(" days left)"), "{line}");

    let ended = run(&good, "");
    assert_eq!(ended.code, Some(1));
    assert!(trouble(&ended)[0].contains("for a private CA, write its PEM file as tls.ca"), "{ended:?}");

    let expired = server(server_tls(&ca.expired_server(&["localhost", "127.0.0.1"])));
    let ended = run(&expired, "tls: { ca: \"ca.pem\" }");
    assert_eq!(ended.code, Some(1));
    assert!(trouble(&ended)[0].contains("the server's certificate has expired"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_url_has_a_policy_of_its_own() {
    let tokens = TokenServer::start(TokenOptions { client_secret: CANARY.to_owned(), ..TokenOptions::default() });
    let server = plain();
    let client_id = TokenOptions::default().client_id;
    let (base_url, token_url) = (server.base_url(), tokens.url());
    let place = Place::new().with("SECRET", CANARY);
    let configure = |secret: &str, policy: &str| {
        let auth = format!(
            "{{ type: 'oauth2', tokenUrl: '{token_url}', clientId: '{client_id}', clientSecret: '{secret}', {policy} }}"
        );
        let provider = format!("{{ baseUrl: '{base_url}', allowPrivateNetwork: true, auth: {auth} }}");
        place.write("owl.json5", &format!("{{ models: {{ providers: {{ gpu: {provider} }} }} }}"));
        place.owl(&["check"])
    };
    let closed = configure("${SECRET}", "");
    let advice = "→ if you trust it, add to models.providers.gpu.auth: allowPrivateNetwork: true";
    assert_eq!((closed.code, trouble(&closed)[1].as_str()), (Some(1), advice));
    assert_eq!((server.log().opened(), tokens.log().opened()), (0, 0));
    let wrong = configure("wrong", "allowPrivateNetwork: true");
    assert!(
        trouble(&wrong)[0].starts_with("FAILED authentication the OAuth 2.0 token endpoint answered 401"),
        "{wrong:?}"
    );
    assert_eq!(configure("${SECRET}", "allowPrivateNetwork: true").code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_usage_ends_with_two() {
    let server = plain();
    let ended = Place::at(&server.base_url()).owl(&["check", "gpu"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), "owl: no provider is named \"gpu\"; there are: owl\n"));
    assert_eq!(Place::new().owl(&["check"]).code, Some(2));
    assert_eq!(Place::new().owl(&["check", "--timeout", "0"]).code, Some(2));
    assert_eq!(server.log().opened(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_provider_does_not_hide_the_others() {
    let server = plain();
    let place = Place::new();
    let good = server.base_url();
    let text = format!(
        "{{ models: {{ providers: {{ a: {{ baseUrl: \"http://10.255.0.1\" }}, b: {{ baseUrl: {good:?}, allowPrivateNetwork: true }} }} }} }}"
    );
    place.write("owl.json5", &text);
    let ended = place.owl(&["check", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code, &report["ok"]), (Some(1), &Value::Bool(false)));
    let status = |provider: usize, step: usize| report["providers"][provider]["steps"][step]["status"].as_str();
    assert_eq!((status(0, 2), status(0, 3), status(1, 8)), (Some("failed"), Some("skipped"), Some("ok")));
}

#[test]
fn what_a_server_gets_wrong_is_told_as_it_is_written() {
    run(async {
        let server = one_model();
        let ended = Owl::new(&["check", "--json"]).at(&server.base_url()).run("").await;
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let step = |name: &str| {
            let steps = report["providers"][0]["steps"].as_array().expect("steps");
            steps.iter().find(|step| step["step"] == name).expect("the step").clone()
        };
        assert_eq!((&step("compat")["status"], &step("compat")["detail"]), (&"ok".into(), &"nothing to write".into()));
        assert_eq!(step("responses")["status"], "ok");
        assert_eq!(step("messages")["status"], "no");
        // One that answers calls as Llama's models do, and lacks the other API.
        let call = r#"{"choices":[{"message":{"content":"a</think>{}"},"finish_reason":"stop"}]}"#;
        server.answer("/v1/chat/completions", 200, "application/json", call);
        server.answer("/v1/responses", 404, "application/json", r#"{"detail":"Not Found"}"#);
        let ended = Owl::new(&["check", "--json"]).at(&server.base_url()).run("").await;
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        let told = report.to_string();
        assert!(told.contains("compat: { reasoning: \\\"open\\\" }"), "{told}");
        assert!(told.contains("Owl answers over chat completions"), "{told}");
    });
}
