//! A client that goes away ends the upstream's work at once: before the first byte, in mid-stream, and while an answer is
//! computed that does not stream; over HTTP/1.1 and HTTP/2, by an orderly close, by a reset, and by cancelling alone.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{ClosedBy, FaultServer, Step};

use crate::support::{Owl, Records, chat_body, one_provider, run};

/// When the client leaves.
#[derive(Clone, Copy, Debug)]
enum Phase {
    BeforeTheFirstByte,
    InMidStream,
    WhileComputing,
}

const PHASES: [Phase; 3] = [Phase::BeforeTheFirstByte, Phase::InMidStream, Phase::WhileComputing];

impl Phase {
    fn body(self, model: &str) -> String {
        match self {
            Self::BeforeTheFirstByte => chat_body(model, "[[slow]]", true),
            Self::InMidStream => chat_body(model, "[[long]]", true),
            Self::WhileComputing => chat_body(model, "[[long]]", false),
        }
    }
}

/// How the client leaves.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    /// It closes the connection (FIN).
    Closing,
    /// It resets the connection (RST).
    Resetting,
    /// It closes its sending side alone: a proxy that passes a close on does this first.
    HalfClosing,
}

#[test]
fn over_http1() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for phase in PHASES {
            for leaving in [Leaving::Closing, Leaving::Resetting, Leaving::HalfClosing] {
                for model in ["tiny-chat", "owl/tiny-chat"] {
                    check_http1(&server, &owl, phase, leaving, model).await;
                }
            }
        }
        // All of it left nothing behind that would keep Owl from working.
        assert_eq!(owl.chat("hello", false).await.status, 200);
    });
}

async fn check_http1(server: &InferenceServer, owl: &Owl, phase: Phase, leaving: Leaving, model: &str) {
    let id = format!("cancel-{phase:?}-{leaving:?}-{model}");
    let mut client = owl.client().await;
    let headers = ["Content-Type: application/json", &format!("X-Request-Id: {id}")];
    client.request("POST", "/v1/chat/completions", &headers, phase.body(model).as_bytes()).await.unwrap();
    let connection = server.next_request().await.connection;
    if matches!(phase, Phase::InMidStream) {
        assert_eq!(client.head().await.unwrap().status, 200);
        client.chunk().await.unwrap().expect("a piece of the answer");
    }
    let mut half_closed = None;
    match leaving {
        Leaving::Closing => drop(client),
        Leaving::Resetting => client.reset().unwrap(),
        Leaving::HalfClosing => {
            client.half_close().await.unwrap();
            half_closed = Some(client);
        }
    }
    assert_eq!(server.closed(connection).await.by, ClosedBy::Peer, "{id}");
    let record = Records::of(&id).await;
    assert_eq!(record["outcome"], "client_gone", "{record:?}");
    assert_eq!(record["model"], model, "{record:?}");
    drop(half_closed);
}

#[test]
fn over_http2() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for phase in PHASES {
            for with_connection in [false, true] {
                check_http2(&server, &owl, phase, with_connection).await;
            }
        }
    });
}

/// The client cancels one stream; its connection goes too or goes on.
async fn check_http2(server: &InferenceServer, owl: &Owl, phase: Phase, with_connection: bool) {
    let id = format!("cancel-2-{phase:?}-{with_connection}");
    #[expect(clippy::disallowed_methods, reason = "the client's side of the test")]
    let stream = tokio::net::TcpStream::connect(owl.address()).await.unwrap();
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let request = |path: &str, id: &str, body: String| {
        let request = Request::post(format!("http://owl{path}")).header("x-request-id", id);
        request.header("content-type", "application/json").body(Full::new(Bytes::from(body))).unwrap()
    };
    let mut answer = Box::pin(sender.send_request(request("/v1/chat/completions", &id, phase.body("tiny-chat"))));
    let upstream = tokio::select! {
        _ = &mut answer, if !matches!(phase, Phase::InMidStream) => panic!("{id}: an answer"),
        request = server.next_request() => request.connection,
    };
    if matches!(phase, Phase::InMidStream) {
        let mut answer = answer.await.unwrap();
        answer.body_mut().frame().await.expect("a piece").unwrap();
        drop(answer);
    } else {
        drop(answer);
    }
    if with_connection {
        driving.abort();
    }
    assert_eq!(server.closed(upstream).await.by, ClosedBy::Peer, "{id}");
    assert_eq!(Records::of(&id).await["outcome"], "client_gone", "{id}");
    if !with_connection {
        let answer =
            sender.send_request(request("/v1/embeddings", "cancel-2-after", r#"{"model":"tiny-chat"}"#.into())).await;
        assert_eq!(answer.unwrap().status(), 200, "{id}");
        server.next_request().await;
    }
}

#[test]
fn while_a_connection_is_made() {
    run(async {
        // A TLS server that never says its part of the handshake.
        let server = FaultServer::start([vec![Step::Hang]]);
        let base_url = format!("https://{}", server.address());
        let owl = Owl::start(&one_provider(&base_url, "")).await;
        let mut client = owl.client().await;
        let headers = ["X-Request-Id: cancel-connecting"];
        client.request("POST", "/v1/x", &headers, b"{}").await.unwrap();
        server.opened(1).await;
        drop(client);
        let connection = owl_testkit::ConnectionId(0);
        assert_eq!(server.closed(connection).await.by, ClosedBy::Peer);
        assert_eq!(Records::of("cancel-connecting").await["outcome"], "client_gone");
    });
}

#[test]
fn before_the_request_was_complete() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let mut client = owl.client().await;
        let head = "POST /v1/x HTTP/1.1\r\nHost: owl\r\nX-Request-Id: cancel-sending\r\nContent-Length: 100\r\n\r\n{";
        client.send(head).await.unwrap();
        drop(client);
        let record = Records::of("cancel-sending").await;
        assert_eq!((record["code"].as_str(), record.get("provider")), ("body_incomplete", None), "{record:?}");
        assert_eq!(server.log().opened(), 0);
    });
}
