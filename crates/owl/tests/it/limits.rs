//! What one client may ask for: sizes, times, connections.

use std::io::ErrorKind;
use std::time::Instant;

use owl_testkit::inference::{InferenceOptions, InferenceServer};

use crate::support::{Owl, Records, check_error, one_provider, run, with_gateway};

async fn start(limits: &str) -> (InferenceServer, Owl) {
    let server = InferenceServer::start(InferenceOptions::default());
    let owl = Owl::start(&with_gateway(&server.base_url(), &format!("limits: {{ {limits} }}"))).await;
    (server, owl)
}

/// A name of megabytes is compared with no other name, and is not repeated in the log, where it would push out other lines.
#[test]
fn a_huge_model_name_costs_little() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let known: Vec<String> = (0..50).map(|nth| format!("\"{}{nth}\"", "k".repeat(60))).collect();
        let body = format!(r#"{{"model":"{}"}}"#, "k".repeat(8 << 20));
        for (models, status) in [(known.join(", "), 404), ("\"*\"".to_owned(), 200)] {
            let owl = Owl::start(&one_provider(&server.base_url(), &format!("models: [{models}]"))).await;
            let id = format!("limits-huge-model-{status}");
            let begun = Instant::now();
            let answer = owl.post("/v1/x", &[&format!("X-Request-Id: {id}")], &body).await;
            assert_eq!(answer.status, status);
            assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
            let record = Records::of(&id).await;
            assert!(record.values().all(|value| value.len() <= 4096), "{status}");
        }
    });
}

#[test]
fn bodies_larger_than_the_limit() {
    run(async {
        let (server, owl) = start(r#"requestBody: "1KiB""#).await;
        let too_large = async |headers: &str, body: &str| {
            let mut client = owl.client().await;
            client.send(format!("POST /v1/x HTTP/1.1\r\nHost: owl\r\n{headers}\r\n\r\n{body}")).await.unwrap();
            let answer = client.response().await.unwrap();
            check_error(&answer, 413, "body_too_large", &["1024 bytes", "gateway.limits.requestBody"]);
        };
        // Announced: nothing of it needs to be sent.
        too_large("Content-Length: 1025", "").await;
        too_large("Content-Length: 99999999999999", "").await;
        too_large("Transfer-Encoding: chunked", &format!("401\r\n{}\r\n", "x".repeat(1025))).await;
        too_large("Transfer-Encoding: chunked", &format!("400\r\n{}\r\n1\r\nx\r\n", "x".repeat(1024))).await;
        assert_eq!(server.log().opened(), 0);
        let full = format!("\"{}\"", "x".repeat(1022));
        assert_eq!(owl.post("/v1/x", &["x-echo-body: 1"], &full).await.text(), full);
    });
}

#[test]
fn heads_larger_than_the_limit() {
    run(async {
        let (server, owl) = start(r#"requestHeaders: "8KiB""#).await;
        let large = format!("X-Large: {}", "x".repeat(9 << 10));
        assert_eq!(owl.get("/v1/x", &[&large]).await.status, 431);
        let path = format!("/v1/{}", "x".repeat(9 << 10));
        let status = owl.get(&path, &[]).await.status;
        assert!(matches!(status, 414 | 431), "{status}");
        assert_eq!(server.log().opened(), 0);
        let fine = format!("X-Large: {}", "x".repeat(6 << 10));
        assert_eq!(owl.get("/v1/x", &[&fine]).await.status, 200);
    });
}

#[test]
fn a_body_that_pauses_too_long() {
    run(async {
        let (server, owl) = start(r#"bodyTimeout: "150ms""#).await;
        for begin in ["", "{\"a\""] {
            let mut client = owl.client().await;
            client.send(format!("POST /v1/x HTTP/1.1\r\nHost: owl\r\nContent-Length: 9\r\n\r\n{begin}")).await.unwrap();
            let answer = client.response().await.unwrap();
            check_error(&answer, 408, "body_timeout", &["0.15 s", "gateway.limits.bodyTimeout"]);
            // What would follow cannot be told from the rest of the body.
            assert!(
                client
                    .rest()
                    .await
                    .map_or_else(|error| error.kind() == ErrorKind::ConnectionReset, |rest| rest.is_empty())
            );
        }
        assert_eq!(server.log().opened(), 0);
    });
}

#[test]
fn a_body_that_trickles() {
    run(async {
        let (server, owl) = start(r#"bodyTimeout: "300ms""#).await;
        let mut client = owl.client().await;
        let head =
            "POST /v1/x HTTP/1.1\r\nHost: owl\r\nX-Request-Id: limits-trickle\r\nContent-Length: 1000000\r\n\r\n";
        client.send(head).await.unwrap();
        // A byte, and the time that another request takes, again and again: never a pause that is too long.
        let trickle = async {
            loop {
                let _owl_may_have_closed = client.send("x").await;
                assert_eq!(owl.get("/healthz", &[]).await.status, 200);
            }
        };
        let record = tokio::select! {
            record = Records::of("limits-trickle") => record,
            () = trickle => unreachable!("it has no end"),
        };
        assert_eq!((record["code"].as_str(), record["status"].as_str()), ("body_timeout", "408"));
        assert!(record["error"].contains("came too slowly"), "{record:?}");
        assert_eq!(server.log().opened(), 0);
    });
}

#[test]
fn a_head_that_does_not_end_and_a_connection_that_idles() {
    run(async {
        let (_server, owl) = start(r#"headerTimeout: "150ms""#).await;
        for begin in ["", "P", "PRI * HTTP/2.0\r\n", "GET /v1/x HTTP/1.1\r\nHost: o"] {
            let mut client = owl.client().await;
            client.send(begin).await.unwrap();
            let rest = client.rest().await.unwrap();
            assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{begin:?}: {rest:?}");
        }
        let mut client = owl.client().await;
        assert_eq!(client.get("/healthz", &[]).await.unwrap().status, 200);
        assert!(client.rest().await.unwrap().is_empty());
    });
}

#[test]
fn more_connections_than_there_are_places() {
    run(async {
        let (server, owl) = start("connections: 2").await;
        let mut first = owl.client().await;
        let mut second = owl.client().await;
        for client in [&mut first, &mut second] {
            assert_eq!(client.get("/v1/files", &[]).await.unwrap().status, 200);
            server.next_request().await;
        }
        // The third is taken by the kernel, and waits for Owl.
        let mut third = owl.client().await;
        third.request("GET", "/v1/third", &[], b"").await.unwrap();
        let mut head = Box::pin(third.head());
        for _ in 0..20 {
            let answer = tokio::select! {
                biased;
                _ = &mut head => panic!("served beyond the limit"),
                answer = first.get("/v1/files", &[]) => answer.unwrap(),
            };
            assert_eq!(answer.status, 200);
            assert_eq!(server.next_request().await.path, "/v1/files");
        }
        drop(second);
        assert_eq!(head.await.unwrap().status, 200);
        assert_eq!(server.next_request().await.path, "/v1/third");
    });
}
