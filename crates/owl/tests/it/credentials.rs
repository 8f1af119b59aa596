//! How Owl shows itself to an upstream: every kind of credential, where it comes from, and when it is read again.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Credential, FaultServer, Gate, Step, TokenOptions, TokenServer};

use crate::support::{Owl, check_error, nobody, one_provider, run, write};

/// With these keys of the provider, an upstream that demands this is content, and one that demands another is not.
async fn check(credential: Credential, keys: &str) {
    let server = InferenceServer::start(InferenceOptions { credential, ..InferenceOptions::default() });
    let owl = Owl::start(&one_provider(&server.base_url(), keys)).await;
    for _ in 0..2 {
        let answer =
            owl.post("/v1/x", &["Authorization: Bearer of-the-client", "x-api-key: of-the-client"], "{}").await;
        assert_eq!(answer.status, 200, "{keys}: {}", answer.text());
    }
    assert_eq!(owl.get("/v1/models", &[]).await.json()["data"][0]["id"], "tiny-chat", "{keys}");
    server.demand(Credential::Bearer("another".to_owned()));
    check_error(&owl.post("/v1/x", &[], "{}").await, 502, "upstream_auth_failed", &["401"]);
}

#[test]
fn every_kind_arrives() {
    run(async {
        let bearer = |key: &str| Credential::Bearer(key.to_owned());
        let basic = |user: &str, password: &str| Credential::Basic(user.to_owned(), password.to_owned());
        let header = |name: &str, value: &str| Credential::Header(name.to_owned(), value.to_owned());
        check(bearer("sk-1"), r#"apiKey: "sk-1""#).await;
        // A key's looks mean nothing.
        check(bearer("user:password"), r#"apiKey: "user:password""#).await;
        check(bearer("sk-1"), r#"apiKey: "sk-1", auth: "bearer""#).await;
        check(bearer("sk-1"), r#"auth: { type: "bearer", key: "sk-1" }"#).await;
        check(basic("user", "pass:wörd:"), r#"auth: "basic", apiKey: "user:pass:wörd:""#).await;
        check(basic("user", "password"), r#"auth: "basic", apiKey: "dXNlcjpwYXNzd29yZA==""#).await;
        check(basic("user", "password"), r#"auth: "basic", apiKey: "dXNlcjpwYXNzd29yZA""#).await;
        for (user, password) in [
            ("user", "password"),
            ("jürgen", "ä:ö:ü"),
            ("用户", "密码🦉"),
            ("user", ":"),
            ("user", " a "),
            ("token", ""),
        ] {
            let keys = format!("auth: {{ type: \"basic\", username: {user:?}, password: {password:?} }}");
            check(basic(user, password), &keys).await;
        }
        check(header("x-api-key", "sk-1"), r#"auth: { type: "header", name: "X-API-Key" }, apiKey: "sk-1""#).await;
        check(
            header("authorization", "Key sk-1"),
            r#"auth: { type: "header", name: "Authorization", value: "Key sk-1" }"#,
        )
        .await;
        check(header("x-team", "suche"), r#"headers: { "X-Team": "suche" }"#).await;
        check(header("user-agent", "owl"), r#"headers: { "User-Agent": "owl" }, apiKey: "sk-1""#).await;
    });
}

#[test]
fn a_user_in_the_base_url_is_basic() {
    run(async {
        let credential = Credential::Basic("us er".to_owned(), "p@ss:wörd".to_owned());
        let server = InferenceServer::start(InferenceOptions { credential, ..InferenceOptions::default() });
        let base_url = format!("http://us%20er:p%40ss%3Aw%C3%B6rd@{}", server.address());
        let owl = Owl::start(&one_provider(&base_url, "")).await;
        assert_eq!(owl.post("/v1/x", &[], "{}").await.status, 200);
        assert_eq!(server.next_request().await.header("host"), Some(server.address().to_string().as_str()));
    });
}

#[test]
fn nothing_is_sent_where_there_is_nothing() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        owl.post("/v1/x", &["Authorization: Bearer of-the-client"], "{}").await;
        assert_eq!(server.next_request().await.header("authorization"), None);
    });
}

#[test]
fn a_secret_is_read_again_when_it_is_refused_and_not_otherwise() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let secret = write(folder.path(), "secret", "sk-1\n");
        let calls = write(folder.path(), "calls", "");
        let script = format!("echo x >> {}; cat {}", calls.display(), secret.display());
        let calls = || std::fs::read_to_string(&calls).unwrap().lines().count();
        let command = format!("{{ command: [\"sh\", \"-c\", {script:?}] }}");
        let file = format!("{{ file: {:?} }}", secret.display().to_string());
        for (source, is_command) in [(&command, true), (&file, false)] {
            for (keys, scheme) in [
                (format!("apiKey: {source}"), "Bearer"),
                (format!("auth: {{ type: \"header\", name: \"X-Key\", value: {source} }}"), "x-key"),
                (format!("headers: {{ \"X-Key\": {source} }}"), "x-key"),
            ] {
                let demand = |key: &str| match scheme {
                    "Bearer" => Credential::Bearer(key.to_owned()),
                    header => Credential::Header(header.to_owned(), key.to_owned()),
                };
                write(folder.path(), "secret", "sk-1\n");
                let before = calls();
                let server = InferenceServer::start(InferenceOptions {
                    credential: demand("sk-1"),
                    ..InferenceOptions::default()
                });
                let owl = Owl::start(&one_provider(&server.base_url(), &keys)).await;
                let check = async |status: u16, requests: usize, reads: usize| {
                    assert_eq!(owl.post("/v1/x", &[], "{}").await.status, status, "{keys}");
                    assert_eq!(server.log().requests().len(), requests, "{keys}");
                    assert!(
                        !is_command || calls() - before == reads,
                        "{keys}: {} reads, not {reads}",
                        calls() - before
                    );
                };
                check(200, 1, 1).await;
                // The file changes: as long as the old secret is good, it is not looked at.
                write(folder.path(), "secret", "sk-2");
                check(200, 2, 1).await;
                // Refused: read once, tried once more.
                server.demand(demand("sk-2"));
                check(200, 4, 2).await;
                check(200, 5, 2).await;
                // Refused, and the secret is the same as before: nothing is sent twice.
                server.demand(demand("sk-3"));
                check(502, 6, 3).await;
                // Refused, another secret, refused again: that is that.
                write(folder.path(), "secret", "sk-4");
                check(502, 8, 4).await;
            }
        }
    });
}

#[test]
fn a_secret_that_cannot_be_read() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "secret", "sk-1");
        let owl = Owl::start(&one_provider(
            &server.base_url(),
            &format!("apiKey: {{ file: {:?} }}", file.display().to_string()),
        ))
        .await;
        std::fs::remove_file(&file).unwrap();
        let unavailable = "upstream_credential_unavailable";
        check_error(
            &owl.post("/v1/x", &[], "{}").await,
            502,
            unavailable,
            &["provider owl", &file.display().to_string()],
        );
        for (content, part) in [("", "empty"), ("\n", "empty"), ("a\nb", "line break")] {
            std::fs::write(&file, content).unwrap();
            check_error(&owl.post("/v1/x", &[], "{}").await, 502, unavailable, &[part]);
        }
        std::fs::write(&file, "sk-1").unwrap();
        assert_eq!(owl.post("/v1/x", &[], "{}").await.status, 200);
        for (command, part) in [
            (r#"["false"]"#, "exit status: 1"),
            (r#"["owl-no-such-program"]"#, "owl-no-such-program"),
            (r#"["true"]"#, "empty"),
            (r#"["printf", "\\377"]"#, "UTF-8"),
        ] {
            let owl = Owl::start(&one_provider(&server.base_url(), &format!("apiKey: {{ command: {command} }}"))).await;
            check_error(&owl.post("/v1/x", &[], "{}").await, 502, unavailable, &["provider owl", "command", part]);
        }
        assert_eq!(server.log().requests().len(), 1);
    });
}

/// A provider that logs in with OAuth 2.0.
fn oauth2(server: &InferenceServer, tokens: &TokenServer, secret: &str) -> String {
    let url = tokens.url();
    one_provider(
        &server.base_url(),
        &format!(
            r#"auth: {{ type: "oauth2", tokenUrl: "{url}", clientId: "owl", clientSecret: "{secret}",
                scopes: ["read", "infer"], allowPrivateNetwork: true }}"#
        ),
    )
}

#[test]
fn oauth2_tokens_are_kept_renewed_and_replaced() {
    run(async {
        let tokens = TokenServer::start(TokenOptions::default());
        let server = InferenceServer::start(InferenceOptions {
            credential: Credential::Bearer("token-1".to_owned()),
            ..InferenceOptions::default()
        });
        let owl = Owl::start(&oauth2(&server, &tokens, "token secret")).await;
        let check = async |status: u16, issued: u64| {
            let answer = owl.post("/v1/x", &[], "{}").await;
            assert_eq!((answer.status, tokens.issued()), (status, issued), "{}", answer.text());
        };
        // Fetched when first needed, then kept.
        assert_eq!(tokens.issued(), 0);
        check(200, 1).await;
        check(200, 1).await;
        let request = tokens.log().next_request().await;
        assert_eq!(&request.body[..], b"grant_type=client_credentials&scope=read+infer");
        // Replaced when the upstream refuses it.
        server.demand(Credential::Bearer("token-2".to_owned()));
        check(200, 2).await;
        check(200, 2).await;
        // Of an upstream that refuses every token only one more is fetched.
        server.demand(Credential::Bearer("another".to_owned()));
        check(502, 3).await;
    });
}

#[test]
fn oauth2_tokens_are_renewed_before_they_expire() {
    run(async {
        for (expires_in, issued) in [(Some(0), 3), (Some(3600), 1), (None, 1)] {
            let tokens = TokenServer::start(TokenOptions { expires_in, ..TokenOptions::default() });
            let server = InferenceServer::start(InferenceOptions::default());
            let owl = Owl::start(&oauth2(&server, &tokens, "token secret")).await;
            for nth in 1..=3 {
                assert_eq!(owl.post("/v1/x", &[], "{}").await.status, 200);
                let token = format!("Bearer token-{}", nth.min(issued));
                assert_eq!(server.next_request().await.header("authorization"), Some(token.as_str()));
            }
            assert_eq!(tokens.issued(), issued, "{expires_in:?}");
        }
    });
}

#[test]
fn many_requests_fetch_one_token() {
    run(async {
        let tokens = TokenServer::start(TokenOptions::default());
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = std::sync::Arc::new(Owl::start(&oauth2(&server, &tokens, "token secret")).await);
        let posting = (0..16).map(|_| {
            let owl = std::sync::Arc::clone(&owl);
            tokio::spawn(async move { owl.post("/v1/x", &[], "{}").await.status })
        });
        for posting in posting.collect::<Vec<_>>() {
            assert_eq!(posting.await.unwrap(), 200);
        }
        assert_eq!(tokens.issued(), 1);
    });
}

#[test]
fn oauth2_that_fails() {
    run(async {
        let tokens = TokenServer::start(TokenOptions::default());
        let server = InferenceServer::start(InferenceOptions::default());
        let unavailable = "upstream_credential_unavailable";
        let owl = Owl::start(&oauth2(&server, &tokens, "wrong secret")).await;
        let answer = owl.post("/v1/x", &[], "{}").await;
        check_error(&answer, 502, unavailable, &["provider owl", "token endpoint", "401", "invalid_client"]);
        assert!(!answer.text().contains("wrong secret"));
        // The right secret is all it takes.
        tokens.rotate_secret("wrong secret");
        assert_eq!(owl.post("/v1/x", &[], "{}").await.status, 200);
        let (_held, address) = nobody();
        let config = oauth2(&server, &tokens, "x").replace(&tokens.url(), &format!("http://{address}/token"));
        let owl = Owl::start(&config).await;
        check_error(&owl.post("/v1/x", &[], "{}").await, 502, unavailable, &["token endpoint", "connection refused"]);
        for (answer, part) in [
            ("<html>", "not the JSON"),
            ("{}", "no access_token"),
            (r#"{"access_token":""}"#, "no access_token"),
            (r#"{"access_token":"a\nb"}"#, "line break"),
        ] {
            let endpoint = InferenceServer::start(InferenceOptions::default());
            endpoint.answer("/token", 200, "application/json", answer);
            let config = one_provider(
                &server.base_url(),
                &format!(
                    r#"auth: {{ type: "oauth2", tokenUrl: "http://{}/token", clientId: "owl", clientSecret: "s", allowPrivateNetwork: true }}"#,
                    endpoint.address()
                ),
            );
            let owl = Owl::start(&config).await;
            check_error(&owl.post("/v1/x", &[], "{}").await, 502, unavailable, &[part]);
        }
        assert_eq!(server.log().requests().len(), 1);
    });
}

#[test]
fn requests_that_wait_for_a_token_share_its_failure() {
    run(async {
        // The first asks and is refused while the others wait for it; nobody asks again for them.
        let gate = Gate::new();
        let refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let tokens = FaultServer::start([vec![Step::ReadRequest, Step::Wait(gate.clone()), Step::send(refusal)]]);
        let server = InferenceServer::start(InferenceOptions::default());
        let auth = format!(
            r#"auth: {{ type: "oauth2", tokenUrl: "{}/token", clientId: "owl", clientSecret: "s", allowPrivateNetwork: true }}"#,
            tokens.origin()
        );
        let owl = Owl::start(&one_provider(&server.base_url(), &auth)).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = owl.client().await;
            client.request("POST", "/v1/x", &[], b"{}").await.unwrap();
            clients.push(client);
        }
        tokens.next_request().await;
        // Every request has been read by now: this one was sent last, on the same loop.
        assert_eq!(owl.get("/healthz", &[]).await.status, 200);
        gate.open();
        for mut client in clients {
            let answer = client.response().await.unwrap();
            check_error(&answer, 502, "upstream_credential_unavailable", &["token endpoint", "503"]);
        }
        assert!(tokens.log().requests().len() < 5);
    });
}

#[test]
fn a_lasting_refusal_does_not_fetch_a_token_for_every_request() {
    run(async {
        let tokens = TokenServer::start(TokenOptions::default());
        let credential = Credential::Bearer("never".to_owned());
        let server = InferenceServer::start(InferenceOptions { credential, ..InferenceOptions::default() });
        let owl = Owl::start(&oauth2(&server, &tokens, "token secret")).await;
        for _ in 0..20 {
            check_error(&owl.post("/v1/x", &[], "{}").await, 502, "upstream_auth_failed", &[]);
        }
        assert!(tokens.issued() < 20, "{} tokens", tokens.issued());
    });
}
