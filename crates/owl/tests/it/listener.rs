//! The listener: HTTP/1.1 and HTTP/2 on one port, TLS, browsers of other origins, and protocols that are not HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use owl_testkit::client::RawResponse;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Authority, FaultServer, Step};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::support::{Owl, chat_body, check_error, one_provider, run, with_gateway};

fn chat(path: &str, model: &str) -> Request<Full<Bytes>> {
    let body = chat_body(model, "[[sse-odd]]", true);
    let request = Request::post(format!("http://owl{path}")).header("content-type", "application/json");
    request.header("x-request-id", "listener").body(Full::new(Bytes::from(body))).unwrap()
}

/// The answer's version, status and body.
async fn over_http2<S>(stream: S, request: Request<Full<Bytes>>) -> (Version, u16, Bytes)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["x-request-id"], "listener");
    let (version, status) = (answer.version(), answer.status().as_u16());
    (version, status, answer.into_body().collect().await.unwrap().to_bytes())
}

#[expect(clippy::disallowed_methods, reason = "the client's side of the test")]
async fn connect(address: SocketAddr) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(address).await.unwrap()
}

#[test]
fn http2_without_tls_by_prior_knowledge() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for model in ["tiny-chat", "owl/tiny-chat"] {
            let expect = owl.post("/v1/chat/completions", &[], &chat_body(model, "[[sse-odd]]", true)).await;
            let seen = over_http2(connect(owl.address()).await, chat("/v1/chat/completions", model)).await;
            assert_eq!(seen, (Version::HTTP_2, 200, expect.body));
        }
        let (_, status, body) = over_http2(connect(owl.address()).await, chat("/v1/chat/completions", "a/b/c")).await;
        assert_eq!(status, 404, "{body:?}");
    });
}

#[test]
fn headers_of_a_connection_do_not_break_http2() {
    run(async {
        let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
                      Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        let server = FaultServer::start([vec![Step::ReadRequest, Step::send(answer)]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let seen = over_http2(connect(owl.address()).await, chat("/v1/x", "m")).await;
        assert_eq!(seen, (Version::HTTP_2, 200, Bytes::from_static(b"{}")));
        assert_eq!(server.next_request().await.header("host"), Some(server.address().to_string().as_str()));
    });
}

#[test]
fn a_stream_that_breaks_is_told_and_reset_over_http2() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let stream = TokioIo::new(connect(owl.address()).await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let request = chat("/v1/chat/completions", "tiny-chat")
            .map(|_| Full::new(Bytes::from(chat_body("tiny-chat", "[[cut]]", true))));
        let mut body = sender.send_request(request).await.unwrap().into_body();
        let mut text = Vec::new();
        let broken = loop {
            match body.frame().await {
                Some(Ok(frame)) => text.extend_from_slice(&frame.into_data().unwrap()),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        let text = String::from_utf8(text).unwrap();
        assert!(broken && text.contains("upstream_disconnected"), "{broken} {text}");
        // The connection goes on.
        let answer = sender.send_request(chat("/v1/chat/completions", "tiny-chat")).await.unwrap();
        assert_eq!(answer.status(), 200);
    });
}

#[test]
fn many_requests_over_one_http2_connection() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(connect(owl.address()).await)).await.unwrap();
        tokio::spawn(connection);
        let asking = (0..50).map(|_| {
            let mut sender = sender.clone();
            tokio::spawn(async move {
                let answer = sender.send_request(chat("/v1/chat/completions", "tiny-chat")).await.unwrap();
                answer.into_body().collect().await.unwrap().to_bytes()
            })
        });
        let mut answers = Vec::new();
        for asking in asking.collect::<Vec<_>>() {
            answers.push(asking.await.unwrap());
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]
            && answer.ends_with(b"data: [DONE]\r\n\r\n") | answer.ends_with(b"data: [DONE]\n\n")));
    });
}

#[test]
fn tls_with_either_protocol() {
    run(async {
        let authority = Authority::new("gateway");
        let folder = tempfile::tempdir().unwrap();
        authority.server(&["localhost"]).write(folder.path(), "owl").unwrap();
        let server = InferenceServer::start(InferenceOptions::default());
        let config = with_gateway(&server.base_url(), r#"tls: { cert: "owl.pem", key: "owl.key" }"#);
        let owl = Owl::start_in(folder, &config).await;
        for (offered, chosen) in
            [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
        {
            let stream = handshake(owl.address(), &authority, &offered).await;
            let alpn = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap());
            assert_eq!(alpn.as_deref(), chosen);
            let request = chat("/v1/chat/completions", "tiny-chat");
            let (version, status) = if chosen == Some("h2") {
                let (version, status, _) = over_http2(stream, request).await;
                (version, status)
            } else {
                let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
                tokio::spawn(connection);
                let answer = sender.send_request(request).await.unwrap();
                (answer.version(), answer.status().as_u16())
            };
            let expect = if chosen == Some("h2") { Version::HTTP_2 } else { Version::HTTP_11 };
            assert_eq!((version, status), (expect, 200));
        }
        // Cleartext on that port is not answered, and does no harm.
        let mut plain = owl.client().await;
        plain.request("GET", "/healthz", &[], b"").await.unwrap();
        assert!(plain.head().await.is_err());
        handshake(owl.address(), &authority, &[]).await;
    });
}

#[expect(clippy::disallowed_types, reason = "the client's side of the test")]
async fn handshake(
    address: SocketAddr,
    authority: &Authority,
    alpn: &[&str],
) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(ServerName::try_from("localhost").unwrap(), connect(address).await).await.unwrap()
}

#[test]
fn browsers_of_other_origins() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let key = r#"keys: [{ name: "ci", key: "right-key" }]"#;
        for (cors, origin, allowed) in [
            ("", "https://app.example", None),
            (r#"cors: { origins: ["https://app.example"] }"#, "https://app.example", Some("https://app.example")),
            (r#"cors: { origins: ["https://app.example"] }"#, "https://other.example", None),
            (r#"cors: { origins: ["*"] }"#, "https://other.example", Some("*")),
        ] {
            let owl = Owl::start(&with_gateway(&server.base_url(), &format!("{key}, {cors}"))).await;
            let origin = format!("Origin: {origin}");
            let preflight = [
                "Access-Control-Request-Method: POST",
                "Access-Control-Request-Headers: authorization,x-stainless-os",
                &origin,
            ];
            let mut client = owl.client().await;
            client.request("OPTIONS", "/v1/chat/completions", &preflight, b"").await.unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!(answer.header("access-control-allow-origin"), allowed, "{cors} {origin}");
            if allowed.is_some() {
                assert_eq!(answer.status, 200, "{cors} {origin}");
                assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,x-stainless-os"));
                assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
            } else if cors.is_empty() {
                check_error(&answer, 403, "cross_origin_refused", &[]);
            }
            let check = |answer: &RawResponse, status: u16| {
                assert_eq!(answer.status, status, "{cors} {origin}");
                assert_eq!(answer.header("access-control-allow-origin"), allowed, "{cors} {origin}");
            };
            check(&owl.post("/v1/x", &[&origin, "Authorization: Bearer right-key"], "{}").await, 200);
            // A page must be able to read why it was refused.
            check(&owl.post("/v1/x", &[&origin], "{}").await, 401);
        }
    });
}

#[test]
fn other_protocols() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let websocket = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        ];
        check_error(&owl.get("/v1/realtime?model=tiny-chat", &websocket).await, 501, "upgrade_unsupported", &["HTTP"]);
        assert_eq!(server.log().opened(), 0);
        // An offer of HTTP/2 is not a wish: Java's client makes it with every request.
        let h2c = [
            "Connection: Upgrade, HTTP2-Settings",
            "Upgrade: h2c",
            "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
        ];
        assert_eq!(owl.post("/v1/x", &h2c, "{}").await.status, 200);
        let request = server.next_request().await;
        assert_eq!((request.header("upgrade"), request.header("http2-settings")), (None, None));
    });
}

#[test]
fn health_and_readiness_ask_for_no_key() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&with_gateway(&server.base_url(), r#"keys: [{ name: "ci", key: "right-key" }]"#)).await;
        let check = async |path: &str, status: u16, body: &str| {
            let answer = owl.get(path, &[]).await;
            assert_eq!((answer.status, answer.text().as_str()), (status, body));
        };
        check("/healthz", 200, r#"{"status":"ok"}"#).await;
        check("/readyz", 503, r#"{"status":"not ready","providers":{"owl":"unknown"}}"#).await;
        owl.gateway().refresh_all().await;
        check("/readyz", 200, r#"{"status":"ready","providers":{"owl":"ready"}}"#).await;
        server.script("/v1/models", "[[error 500]]");
        owl.gateway().refresh_all().await;
        check("/readyz", 503, r#"{"status":"not ready","providers":{"owl":"failing"}}"#).await;
        check("/healthz", 200, r#"{"status":"ok"}"#).await;
    });
}

/// The kernel's timer for the server's end of a connection to `address`, as `/proc/net/tcp` has it: `02:00001770` is the
/// keep-alive timer, due in 60 s.
#[cfg(target_os = "linux")]
fn timers(address: SocketAddr) -> Vec<(String, u64)> {
    let local = format!("0100007F:{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = rows.filter(|row| row[1] == local && row[3] == "01");
    ours.map(|row| {
        let (kind, due) = row[5].split_once(':').unwrap();
        (kind.to_owned(), u64::from_str_radix(due, 16).unwrap())
    })
    .collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_client_that_vanished_without_a_word_is_looked_for() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let mut client = owl.client().await;
        // Another timer runs until the client has acknowledged the answer.
        let due = loop {
            assert_eq!(client.get("/healthz", &[]).await.unwrap().status, 200);
            if let [(kind, due)] = timers(owl.address()).as_slice()
                && kind == "02"
            {
                break *due;
            }
            tokio::task::yield_now().await;
        };
        assert!(due <= 60 * 100, "{due} hundredths of a second");
    });
}
