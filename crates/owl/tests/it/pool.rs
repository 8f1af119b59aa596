//! Pooled connections: which are used again, which are replaced, and what is an error at once.

use std::sync::Arc;

use owl_testkit::client::RawResponse;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{ClosedBy, ConnectionId, FaultServer, Gate, Step};

use crate::support::{Owl, chat_body, check_error, one_provider, run};

/// A server's answer after a request.
fn exchange() -> [Step; 2] {
    [Step::ReadRequest, Step::answer("{}")]
}

/// Sends requests one after the other; what is expected of each is a status and, for errors, a code and a part of the
/// message. At the end so many connections were opened, and so many requests were read.
async fn check(scripts: Vec<Vec<Step>>, expect: &[(u16, &str, &str)], opened: usize, read: usize) {
    let server = FaultServer::start(scripts.clone());
    let owl = Owl::start(&one_provider(&server.origin(), "")).await;
    for (status, code, part) in expect {
        let answer = owl.post("/v1/x", &[], "{\"a\":1}").await;
        if code.is_empty() {
            assert_eq!(answer.status, *status, "{scripts:?}: {}", answer.text());
        } else {
            check_error(&answer, *status, code, &[part]);
        }
    }
    assert_eq!((server.log().opened(), server.log().requests().len()), (opened, read), "{scripts:?}");
}

const FINE: (u16, &str, &str) = (200, "", "");

#[test]
fn which_connections_are_used_again_and_which_replaced() {
    run(async {
        let [request, answer] = exchange();
        let good = vec![request.clone(), answer.clone(), request.clone(), answer.clone(), Step::Hang];
        let unanswered = (502, "upstream_disconnected", "closed the connection before it answered");
        let broken = (502, "upstream_disconnected", "in the middle of its answer");
        let then = |last: Vec<Step>| {
            vec![[vec![request.clone(), answer.clone(), request.clone()], last].concat(), good.clone()]
        };
        // Used again.
        check(vec![good.clone()], &[FINE, FINE], 1, 2).await;
        // A used one that ends before any byte is replaced once, silently.
        check(then(vec![Step::Close]), &[FINE, FINE, FINE], 2, 4).await;
        check(then(vec![Step::Reset]), &[FINE, FINE, FINE], 2, 4).await;
        // A fresh one that ends is an error at once.
        check(vec![vec![request.clone()], good.clone()], &[unanswered, FINE], 2, 2).await;
        check(
            vec![vec![request.clone(), Step::Reset], good.clone()],
            &[(502, "upstream_disconnected", "before it answered"), FINE],
            2,
            2,
        )
        .await;
        check(vec![vec![], good.clone()], &[(502, "upstream_disconnected", "before it answered"), FINE], 2, 1).await;
        // The replacement is fresh.
        let [stale, _] = then(vec![Step::Close]).try_into().unwrap();
        check(vec![stale, vec![request.clone()], good.clone()], &[FINE, unanswered, FINE], 3, 4).await;
        // After a byte of the answer nothing is sent twice.
        check(then(vec![Step::send("HTTP/1.1 2")]), &[FINE, broken, FINE], 2, 3).await;
        check(
            then(vec![Step::send("H"), Step::Reset]),
            &[FINE, (502, "upstream_disconnected", "in the middle"), FINE],
            2,
            3,
        )
        .await;
        // A server that says so, or speaks HTTP/1.0, is not asked again over the same connection.
        let closing = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}";
        check(vec![vec![request.clone(), Step::send(closing), Step::Hang], good.clone()], &[FINE, FINE], 2, 2).await;
        let old = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        check(vec![vec![request.clone(), Step::send(old), Step::Hang], good.clone()], &[FINE, FINE], 2, 2).await;
        // Bytes that nobody asked for make a connection unusable, and are nobody's answer.
        let unasked = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
        check(vec![vec![request.clone(), Step::send(unasked), Step::Hang], good], &[FINE, FINE], 2, 2).await;
    });
}

#[test]
fn a_server_that_closes_after_each_answer_is_never_a_failure() {
    run(async {
        // It does not say that it closes. Whenever Owl notices, before, while or after it sends the next request, the
        // connection is replaced.
        let server = FaultServer::start([exchange().to_vec()]);
        let owl = Arc::new(Owl::start(&one_provider(&server.origin(), "")).await);
        let clients = (0..4).map(|_| {
            let owl = Arc::clone(&owl);
            tokio::spawn(async move {
                let mut client = owl.client().await;
                for _ in 0..500 {
                    let answer = client.post("/v1/x", &[], "{}").await.unwrap();
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        assert_eq!(server.log().requests().len(), 2000);
    });
}

#[test]
fn idle_connections_are_closed_after_their_time() {
    run(async {
        for (more, is_kept) in
            [(r#"idleTimeout: "50ms""#, true), (r#"idleTimeout: "0s""#, false), ("maxIdleConnections: 0", false)]
        {
            let server = FaultServer::start([[exchange().to_vec(), exchange().to_vec(), vec![Step::Hang]].concat()]);
            let owl = Owl::start(&one_provider(&server.origin(), more)).await;
            assert_eq!(owl.post("/v1/x", &[], "{}").await.status, 200);
            let before = server.next_request().await.at;
            let closed = server.closed(ConnectionId(0)).await;
            assert_eq!(closed.by, ClosedBy::Peer);
            assert!(!is_kept || closed.at - before >= std::time::Duration::from_millis(50), "{more}");
        }
    });
}

#[test]
fn the_number_of_idle_connections_is_bounded() {
    run(async {
        let gate = Gate::new();
        let script = vec![Step::ReadRequest, Step::Wait(gate.clone()), Step::answer("{}"), Step::Hang];
        let server = FaultServer::start([script]);
        let owl =
            Arc::new(Owl::start(&one_provider(&server.origin(), r#"maxIdleConnections: 2, idleTimeout: "1h""#)).await);
        let answers = post_together(&owl, 5);
        // Concurrent requests have connections of their own.
        server.opened(5).await;
        gate.open();
        for answer in answers {
            assert_eq!(answer.await.unwrap().status, 200);
        }
        let closed = |events: &[owl_testkit::Event]| {
            let closed = events.iter().filter(|event| matches!(event, owl_testkit::Event::Closed(_))).count();
            (closed == 3).then_some(())
        };
        server.log().wait_for(closed).await;
    });
}

fn post_together(owl: &Arc<Owl>, count: usize) -> Vec<tokio::task::JoinHandle<RawResponse>> {
    let post = |_| {
        let owl = Arc::clone(owl);
        tokio::spawn(async move { owl.post("/v1/x", &[], "{}").await })
    };
    (0..count).map(post).collect()
}

#[test]
fn a_cut_answer_takes_its_connection_along() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let mut client = owl.client().await;
        let body = chat_body("tiny-chat", "[[long]]", true);
        client.request("POST", "/v1/chat/completions", &[], body.as_bytes()).await.unwrap();
        client.head().await.unwrap();
        let first = server.next_request().await.connection;
        drop(client);
        server.closed(first).await;
        assert_eq!(owl.chat("hello", false).await.status, 200);
        assert_ne!(server.next_request().await.connection, first);
    });
}

#[test]
fn one_providers_failures_do_not_touch_another() {
    run(async {
        let stuck = FaultServer::start([vec![Step::ReadRequest, Step::Hang]]);
        let broken = FaultServer::start([vec![]]);
        let good = FaultServer::start([[exchange(), exchange(), exchange()].concat()]);
        let provider = |id: &str, origin: String| format!("{id}: {{ baseUrl: {origin:?}, allowPrivateNetwork: true }}");
        let providers =
            [provider("stuck", stuck.origin()), provider("broken", broken.origin()), provider("good", good.origin())];
        let owl = Owl::start(&format!("{{ models: {{ providers: {{ {} }} }} }}", providers.join(","))).await;
        let mut waiting = owl.client().await;
        waiting.request("POST", "/v1/x", &["x-owl-provider: stuck"], b"{}").await.unwrap();
        stuck.next_request().await;
        for _ in 0..3 {
            let answer = owl.post("/v1/x", &["x-owl-provider: broken"], "{}").await;
            check_error(&answer, 502, "upstream_disconnected", &["provider broken"]);
            assert_eq!(owl.post("/v1/x", &["x-owl-provider: good"], "{}").await.status, 200);
        }
        assert_eq!((stuck.log().opened(), broken.log().opened(), good.log().opened()), (1, 3, 1));
    });
}
