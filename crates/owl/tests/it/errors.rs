//! What a client is told when something fails: a stable code, who is to blame, what happened, and what to do.

use owl_testkit::certificates::Identity;
use owl_testkit::http::ServerTls;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Authority, Credential, FaultServer, Step};
use tempfile::TempDir;

use crate::support::{
    Owl, Records, chat_body, check_error, check_error_body, nobody, one_provider, run, until_broken, with_gateway,
    write,
};

#[test]
fn a_client_that_is_not_known() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let keys = r#"keys: [{ name: "ci", key: "right-key" }, { name: "dev", key: "other-key" }]"#;
        let owl = Owl::start(&with_gateway(&server.base_url(), keys)).await;
        let wrong: [&[&str]; 7] = [
            &[],
            &["Authorization: Bearer wrong"],
            &["Authorization: Bearer right-key2"],
            &["Authorization: Basic right-key"],
            &["Authorization: right-key"],
            &["x-api-key: wrong"],
            &["Authorization: Bearer wrong", "x-api-key: wrong"],
        ];
        for headers in wrong {
            for path in ["/v1/chat/completions", "/v1/models", "/v1/models/x", "/v1/x", "/", "/v2"] {
                let answer = owl.post(path, headers, "{}").await;
                check_error(&answer, 401, "invalid_api_key", &["gateway.keys"]);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
                check_error(&owl.get(path, headers).await, 401, "invalid_api_key", &["gateway.keys"]);
            }
        }
        assert_eq!(server.log().opened(), 0);
        // OpenAI's clients always show a Bearer key, if only a placeholder.
        let right: [(&[&str], &str); 5] = [
            (&["Authorization: Bearer right-key"], "ci"),
            (&["authorization: bearer other-key"], "dev"),
            (&["X-Api-Key: right-key"], "ci"),
            (&["Authorization: Bearer none", "x-api-key: right-key"], "ci"),
            (&["Authorization: Bearer right-key", "x-api-key: none"], "ci"),
        ];
        for (nth, (headers, name)) in right.into_iter().enumerate() {
            let id = format!("errors-key-{nth}");
            let answer = owl.post("/v1/x", &[headers, &[&format!("X-Request-Id: {id}")]].concat(), "{}").await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(Records::of(&id).await["key"], name);
        }
    });
}

#[test]
fn a_credential_that_the_upstream_refuses_is_not_the_clients() {
    run(async {
        for credential in [Credential::Bearer("a".to_owned()), Credential::Basic("a".to_owned(), "b".to_owned())] {
            let server = InferenceServer::start(InferenceOptions { credential, ..InferenceOptions::default() });
            let owl = Owl::start(&one_provider(&server.base_url(), r#"apiKey: "sk-owls-own""#)).await;
            let answer = owl.post("/v1/x", &["X-Request-Id: errors-auth"], "{}").await;
            check_error(&answer, 502, "upstream_auth_failed", &["provider owl", "401", "apiKey"]);
            assert!(!answer.text().contains("sk-owls-own"), "{}", answer.text());
            assert_eq!(answer.header("www-authenticate"), None);
            assert_eq!(Records::of("errors-auth").await["outcome"], "upstream_failed");
        }
    });
}

#[test]
fn what_an_upstream_answers() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        // Its own errors in JSON pass as they are.
        for status in [400, 403, 404, 422, 429, 500, 503] {
            for (model, stream) in [("tiny-chat", false), ("tiny-chat", true), ("owl/tiny-chat", false)] {
                let body = chat_body(model, &format!("[[error {status}]]"), stream);
                let answer = owl.post("/v1/chat/completions", &[], &body).await;
                let code = if status == 400 {
                    "scripted_bad_request"
                } else if status == 429 {
                    "scripted_rate_limit"
                } else {
                    "scripted"
                };
                assert_eq!(answer.status, status, "{}", answer.text());
                check_error_body(&answer.json(), code, &[&format!("scripted error {status}")]);
                let retry_after = matches!(status, 429 | 503).then_some("7");
                assert_eq!(answer.header("retry-after"), retry_after);
            }
        }
        // Pages of a proxy in front of it are told in a sentence, with the same status.
        for (status, code, part) in [
            (400, "upstream_error", "400 Bad Request"),
            (404, "upstream_error", "baseUrl"),
            (413, "upstream_error", "client_max_body_size"),
            (429, "upstream_error", "429 Too Many Requests"),
            (500, "upstream_error", "500 Internal Server Error"),
            (502, "upstream_error", "the proxy in front of the server got no answer"),
            (503, "upstream_error", "503 Service Unavailable"),
            (504, "upstream_error", "504 Gateway Timeout"),
        ] {
            let answer = owl.chat(&format!("[[html {status}]]"), true).await;
            check_error(&answer, status, code, &["provider owl", &status.to_string(), "text/html", part]);
            assert!(!answer.text().contains('<'), "{}", answer.text());
        }
        let answer = owl.chat("[[html 403]]", false).await;
        check_error(&answer, 502, "upstream_auth_failed", &["provider owl", "403"]);
    });
}

/// What a client sees of one raw answer of the upstream's.
async fn check_raw(answer: &str, status: u16, code: &str, parts: &[&str]) {
    let server = FaultServer::start([vec![Step::ReadRequest, Step::send(answer)]]);
    let owl = Owl::start(&one_provider(&server.origin(), "")).await;
    let seen = owl.post("/v1/x", &[], "{}").await;
    check_error(&seen, status, code, &[&["provider owl"], parts].concat());
    assert_eq!(server.log().opened(), 1, "{answer}");
    for secret in ["token", "secret", "hidden"] {
        assert!(!seen.text().contains(secret), "{}", seen.text());
    }
}

#[test]
fn answers_that_are_not_the_apis() {
    run(async {
        let redirect = |status: &str, location: &str| {
            format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
        };
        for (location, shown) in [
            ("https://login.corp.example/start?token=1#hidden", "https://login.corp.example/start"),
            ("http://user:secret@10.0.0.1:8080/v1", "http://10.0.0.1:8080/v1"),
            ("/login?next=token", "/login"),
            ("//secret@other.example/a", "redirect"),
            ("login?token", "redirect"),
            ("javascript:secret", "redirect"),
        ] {
            for status in [
                "301 Moved Permanently",
                "302 Found",
                "303 See Other",
                "307 Temporary Redirect",
                "308 Permanent Redirect",
            ] {
                check_raw(
                    &redirect(status, location),
                    502,
                    "upstream_redirect",
                    &[shown, &status[..3], "does not follow"],
                )
                .await;
            }
        }
        let retry = "HTTP/1.1 429 Slow Down\r\nContent-Type: text/plain\r\nRetry-After: 11\r\nContent-Length: 9\r\n\r\nslow down";
        check_raw(retry, 429, "upstream_error", &["429", "text/plain", "slow down"]).await;
        check_raw("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", 500, "upstream_error", &["500", "without a body"])
            .await;
        check_raw(
            "HTTP/1.1 401 X\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"error\":\"sk-hidden\"}",
            502,
            "upstream_auth_failed",
            &["401"],
        )
        .await;
        let switch = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        check_raw(switch, 502, "upstream_error", &["101", "another protocol"]).await;
        check_raw("HTTP/1.1 700 X\r\nContent-Length: 0\r\n\r\n", 502, "upstream_error", &["700"]).await;
        check_raw("HTTP/1.1 407 X\r\nContent-Length: 0\r\n\r\n", 502, "upstream_auth_failed", &["407"]).await;
        check_raw("garbage\r\n\r\n", 502, "upstream_disconnected", &["not HTTP/1.1"]).await;
        check_raw("\u{15}\u{3}\u{3}\0\u{2}\u{2}F", 502, "upstream_disconnected", &["not HTTP/1.1"]).await;
        check_raw("", 502, "upstream_disconnected", &["closed the connection before it answered"]).await;
        check_raw("HTTP/1.1 200 OK\r\nContent-", 502, "upstream_disconnected", &["in the middle of its answer"]).await;
    });
}

#[test]
fn retry_after_of_a_page_is_kept() {
    run(async {
        let page =
            "HTTP/1.1 429 Slow Down\r\nContent-Type: text/html\r\nRetry-After: 11\r\nContent-Length: 4\r\n\r\nslow";
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send(page)]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        assert_eq!(owl.post("/v1/x", &[], "{}").await.header("retry-after"), Some("11"));
    });
}

#[test]
fn an_upstream_that_is_not_there() {
    run(async {
        let (_held, address) = nobody();
        let owl = Owl::start(&one_provider(&format!("http://{address}"), "")).await;
        let parts = ["provider owl", &address.to_string(), "connection refused"];
        check_error(&owl.post("/v1/x", &[], "{}").await, 502, "upstream_connect_failed", &parts);
        let owl = Owl::start(&one_provider("http://name.invalid", "")).await;
        check_error(&owl.post("/v1/x", &[], "{}").await, 502, "upstream_dns_failed", &["provider owl", "name.invalid"]);
    });
}

/// Certificates in a folder: the authority's and a client's.
struct Certificates {
    ours: Authority,
    folder: TempDir,
}

impl Certificates {
    fn new() -> Self {
        let (ours, folder) = (Authority::new("ours"), tempfile::tempdir().unwrap());
        write(folder.path(), "ca.pem", ours.certificate());
        ours.client("owl").write(folder.path(), "client").unwrap();
        ours.expired_client("owl").write(folder.path(), "expired").unwrap();
        Authority::new("other").client("owl").write(folder.path(), "other").unwrap();
        Self { ours, folder }
    }

    /// What a client is told of a server with this TLS, when the provider's `tls` is this.
    async fn check(&self, tls: ServerTls, keys: &str, parts: &[&str]) {
        let server = InferenceServer::start(InferenceOptions { tls: Some(tls), ..InferenceOptions::default() });
        let answer = self.ask(&server.base_url(), keys).await;
        if parts.is_empty() {
            assert_eq!(answer.status, 200, "{keys}: {}", answer.text());
        } else {
            check_error(&answer, 502, "upstream_tls_failed", &[&["provider owl"], parts].concat());
        }
    }

    async fn ask(&self, base_url: &str, keys: &str) -> owl_testkit::client::RawResponse {
        let folder = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        let owl = Owl::start_in(folder, &one_provider(base_url, keys)).await;
        owl.post("/v1/x", &[], "{}").await
    }
}

fn demanding(identity: &Identity, ca: &Authority) -> ServerTls {
    ServerTls { client_ca: Some(ca.certificate().to_owned()), ..identity.server_tls() }
}

#[test]
fn tls_that_fails() {
    run(async {
        let certificates = Certificates::new();
        let ours = &certificates.ours;
        let here = ["localhost", "127.0.0.1"];
        let good = ours.server(&here);
        let ca = r#"tls: { ca: "ca.pem" }"#;
        let check = async |tls, keys: &str, parts: &[&str]| certificates.check(tls, keys, parts).await;
        check(good.server_tls(), ca, &[]).await;
        check(good.server_tls(), "", &["authority that this machine does not know", "tls.ca"]).await;
        check(Authority::new("b").server(&here).server_tls(), ca, &["not signed by an authority in", "ca.pem"]).await;
        check(ours.expired_server(&here).server_tls(), ca, &["has expired"]).await;
        check(ours.server(&["owl-upstream.test"]).server_tls(), ca, &["for another name", "tls.serverName"]).await;
        let named = r#"tls: { ca: "ca.pem", serverName: "owl-upstream.test" }"#;
        check(ours.server(&["owl-upstream.test"]).server_tls(), named, &[]).await;
        check(good.server_tls(), named, &["for another name"]).await;
        check(demanding(&good, ours), ca, &["client certificate", "tls.clientCert"]).await;
        let client =
            |name: &str| format!(r#"tls: {{ ca: "ca.pem", clientCert: "{name}.pem", clientKey: "{name}.key" }}"#);
        check(demanding(&good, ours), &client("client"), &[]).await;
        check(demanding(&good, ours), &client("expired"), &["client certificate", "expired"]).await;
        check(demanding(&good, ours), &client("other"), &["refuses Owl's client certificate"]).await;
        check(good.server_tls(), &client("client"), &[]).await;
    });
}

#[test]
fn the_wrong_scheme() {
    run(async {
        let certificates = Certificates::new();
        let plain = InferenceServer::start(InferenceOptions::default());
        let answer = certificates.ask(&format!("https://localhost:{}", plain.address().port()), "").await;
        check_error(&answer, 502, "upstream_tls_failed", &["does not speak TLS", "http://"]);
        let tls = Some(certificates.ours.server(&["localhost"]).server_tls());
        let secure = InferenceServer::start(InferenceOptions { tls, ..InferenceOptions::default() });
        let answer = certificates.ask(&format!("http://localhost:{}", secure.address().port()), "").await;
        check_error(&answer, 502, "upstream_disconnected", &["not HTTP/1.1", "https://"]);
    });
}

#[test]
fn timeouts_say_which_key_sets_them() {
    run(async {
        let stalled = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{\"a\"";
        for (script, scheme, timeouts, parts) in [
            (vec![Step::Hang], "https", r#"connect: "150ms""#, ["TLS handshake", "150 ms", "timeouts.connect"]),
            (
                vec![Step::ReadRequest, Step::Hang],
                "http",
                r#"firstByte: "150ms""#,
                ["first byte", "150 ms", "timeouts.firstByte"],
            ),
            (
                vec![Step::ReadRequest, Step::send("HTTP/1.1 200"), Step::Hang],
                "http",
                r#"firstByte: "150ms""#,
                ["first byte", "150 ms", "timeouts.firstByte"],
            ),
        ] {
            let server = FaultServer::start([script]);
            let base_url = format!("{scheme}://{}", server.address());
            let owl = Owl::start(&one_provider(&base_url, &format!("timeouts: {{ {timeouts} }}"))).await;
            check_error(&owl.post("/v1/x", &[], "{}").await, 504, "upstream_timeout", &parts);
            server.closed(owl_testkit::ConnectionId(0)).await;
            assert_eq!(server.log().opened(), 1, "nothing is tried again");
        }
        // Between two pieces the head has long gone out: the answer breaks off.
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send(stalled), Step::Hang]]);
        let owl = Owl::start(&one_provider(&server.origin(), r#"timeouts: { betweenBytes: "150ms" }"#)).await;
        let mut client = owl.client().await;
        client.request("POST", "/v1/x", &["X-Request-Id: errors-between"], b"{}").await.unwrap();
        assert_eq!(client.response().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        let record = Records::of("errors-between").await;
        assert_eq!((record["code"].as_str(), record["outcome"].as_str()), ("upstream_timeout", "upstream_failed"));
        assert!(record["error"].contains("timeouts.betweenBytes"), "{record:?}");
    });
}

#[test]
fn a_stream_that_stalls_ends_with_an_error_event() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), r#"timeouts: { betweenBytes: "150ms" }"#)).await;
        check_broken_stream(&owl, "[[stall]]", "tiny-chat", "upstream_timeout", "timeouts.betweenBytes").await;
        check_broken_stream(&owl, "[[stall]]", "owl/tiny-chat", "upstream_timeout", "timeouts.betweenBytes").await;
    });
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_event_and_a_broken_connection() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for model in ["tiny-chat", "owl/tiny-chat"] {
            check_broken_stream(&owl, "[[cut]]", model, "upstream_disconnected", "in the middle of its answer").await;
        }
        // An answer that does not stream cannot be told anything: it is broken off.
        let mut client = owl.client().await;
        let body = chat_body("tiny-chat", "[[cut]]", false);
        client.request("POST", "/v1/chat/completions", &["X-Request-Id: errors-cut"], body.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        until_broken(&mut client).await;
        let record = Records::of("errors-cut").await;
        assert_eq!((record["code"].as_str(), record["outcome"].as_str()), ("upstream_disconnected", "upstream_failed"));
    });
}

async fn check_broken_stream(owl: &Owl, text: &str, model: &str, code: &str, part: &str) {
    let id = format!("errors-{code}-{model}");
    let mut client = owl.client().await;
    let headers = ["Content-Type: application/json", &format!("X-Request-Id: {id}")];
    let body = chat_body(model, text, true);
    client.request("POST", "/v1/chat/completions", &headers, body.as_bytes()).await.unwrap();
    assert_eq!(client.head().await.unwrap().status, 200);
    let mut events = String::new();
    // The end of the chunks never comes: the client cannot take the answer for complete.
    let broken = loop {
        match client.chunk().await {
            Ok(Some(chunk)) => events.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "{events}");
    let (answer, last) = events.trim_end().rsplit_once("\n\n").unwrap();
    assert!(answer.contains(" small"), "{answer}");
    assert!(!events.contains("[DONE]"), "{events}");
    let last = serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
    check_error_body(&last, code, &["provider owl", part]);
    let record = Records::of(&id).await;
    assert_eq!((record["code"].as_str(), record["outcome"].as_str()), (code, "upstream_failed"), "{record:?}");
}

#[test]
fn a_stream_that_breaks_inside_an_event_gets_no_other() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\n";
        for (sent, is_told) in [
            ("", true),
            ("data: 1\n\n", true),
            ("data: 1\r\n\r\n", true),
            ("data: 1\r\r", true),
            (": comment\n\n", true),
            ("data: {\"half", false),
            ("data: 1\n", false),
            ("data: 1\r\n", false),
        ] {
            let server =
                FaultServer::start([vec![Step::ReadRequest, Step::send(&format!("{head}{sent}")), Step::Close]]);
            let owl = Owl::start(&one_provider(&server.origin(), "")).await;
            let mut client = owl.client().await;
            client.request("POST", "/v1/x", &[], b"{}").await.unwrap();
            assert_eq!(client.head().await.unwrap().status, 200);
            let seen = String::from_utf8(client.rest().await.unwrap().to_vec()).unwrap();
            let told = seen.strip_prefix(sent).unwrap_or_else(|| panic!("{seen:?}"));
            assert_eq!(!told.is_empty(), is_told, "{sent:?} {told:?}");
            assert!(told.is_empty() || (told.starts_with("data: {\"error\":") && told.ends_with("\n\n")), "{told:?}");
        }
    });
}

#[test]
fn an_early_refusal_is_read_although_the_request_is_not_all_sent() {
    run(async {
        // A proxy that says 413 while the body is on its way, and reads no further.
        let answer = "HTTP/1.1 413 X\r\nContent-Type: text/html\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig";
        let server =
            FaultServer::start([vec![Step::ReadBytes(1000), Step::send(answer), Step::Wait(owl_testkit::Gate::new())]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(16 << 20));
        check_error(&owl.post("/v1/x", &[], &body).await, 413, "upstream_error", &["client_max_body_size"]);
        assert_eq!(server.log().opened(), 1);
    });
}

#[test]
fn the_beginning_of_a_page_is_shown_however_long_it_is() {
    run(async {
        let check = async |page: &str, length: usize, shown: &str| {
            let head = format!("HTTP/1.1 500 X\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n");
            let server = FaultServer::start([vec![Step::ReadRequest, Step::send(&head), Step::send(page)]]);
            let owl = Owl::start(&one_provider(&server.origin(), "")).await;
            check_error(&owl.post("/v1/x", &[], "{}").await, 500, "upstream_error", &[shown]);
        };
        let long = format!("<p>out of memory{}", " x".repeat(40 << 10));
        check(&long, long.len(), "text/html: out of memory x x").await;
        check("<p>out of memory", 999, "text/html: out of memory").await;
        let disguised = "<p>o\u{202e}u\u{200b}t\u{2066} \u{feff}of\u{61c} \u{1b}memory";
        check(disguised, disguised.len(), "text/html: o u t of memory").await;
    });
}

#[test]
fn methods_whose_answers_repeat_the_request_are_not_forwarded() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), r#"apiKey: "sk""#)).await;
        let mut client = owl.client().await;
        client.request("TRACE", "/v1/files", &[], b"").await.unwrap();
        check_error(&client.response().await.unwrap(), 405, "method_refused", &["TRACE"]);
        assert_eq!(server.log().requests().len(), 0);
    });
}

#[test]
fn what_a_server_quotes_of_the_credential_is_blanked() {
    run(async {
        // `user:the password` in base64, as a debug page and a redirect would repeat it.
        let quoted = "dXNlcjp0aGUgcGFzc3dvcmQ=";
        let page = format!("<p>You sent Basic {quoted}, that is the password</p>");
        let page =
            format!("HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{page}", page.len());
        let redirect = format!("HTTP/1.1 302 Found\r\nLocation: /login/{quoted}\r\nContent-Length: 0\r\n\r\n");
        for (answer, status, code) in [(page, 500, "upstream_error"), (redirect, 502, "upstream_redirect")] {
            let server = FaultServer::start([vec![Step::ReadRequest, Step::send(&answer)]]);
            let auth = r#"auth: { type: "basic", username: "user", password: "the password" }"#;
            let owl = Owl::start(&one_provider(&server.origin(), auth)).await;
            let answer = owl.post("/v1/x", &[], "{}").await;
            check_error(&answer, status, code, &["****"]);
            let text = answer.text();
            assert!(!text.contains(quoted) && !text.contains("the password"), "{text}");
        }
    });
}

#[test]
fn interim_answers_without_end_are_an_error() {
    run(async {
        let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(50_000);
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send(&hints), Step::Hang]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        check_error(&owl.post("/v1/x", &[], "{}").await, 502, "upstream_disconnected", &["head of the answer"]);
    });
}
