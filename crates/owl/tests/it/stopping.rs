//! The end: what runs is finished, what is new is refused, and nothing lasts longer than it may.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Client, ClosedBy, FaultServer, Gate, Step};
use serde_json::Value;

use crate::support::{Owl, Program, one_provider, run, until_broken, with_gateway};

/// An answer that ends when the gate opens.
fn gated(gate: &Gate) -> FaultServer {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    let end = "9\r\ndata: 2\n\n\r\n0\r\n\r\n";
    let script = vec![Step::ReadRequest, Step::send(head), Step::Wait(gate.clone()), Step::send(end), Step::Hang];
    // The list of models is asked for over connections of their own, and never comes.
    FaultServer::start([script])
}

#[test]
fn a_stream_that_runs_is_finished() {
    run(async {
        let gate = Gate::new();
        let server = gated(&gate);
        let mut owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let mut idle = owl.client().await;
        assert_eq!(idle.get("/healthz", &[]).await.unwrap().status, 200);
        let mut client = owl.client().await;
        client.request("POST", "/v1/x", &[], b"{}").await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        let address = owl.address();
        owl.stop();
        // An idle connection is closed at once, which also shows that nothing is accepted any more.
        assert!(idle.rest().await.unwrap().is_empty());
        assert!(Client::connect(address).await.is_err());
        gate.open();
        assert_eq!(until_broken(&mut client).await, "data: 1\n\ndata: 2\n\n");
        assert!(client.rest().await.unwrap().is_empty());
        owl.stopped().await;
    });
}

#[test]
fn the_program_ends_well_on_sigterm() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let mut program = Program::serve(&one_provider(&server.base_url(), ""));
        let address = program.address().await;
        let mut client = Client::connect(address).await.unwrap();
        assert_eq!(client.post("/v1/x", &["X-Request-Id: stopping-1"], "{}").await.unwrap().status, 200);
        program.terminate();
        let ended = program.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        assert_eq!(record(&ended.stderr, "stopping-1")["outcome"], "done");
        assert!(ended.stderr.contains("waiting for open connections"), "{}", ended.stderr);
        assert!(ended.stderr.contains("stopped"), "{}", ended.stderr);
    });
}

#[test]
fn a_stream_that_does_not_end_is_broken_off_after_its_time() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let mut program = Program::serve(&with_gateway(&server.base_url(), r#"drainTimeout: "150ms""#));
        let mut client = Client::connect(program.address().await).await.unwrap();
        let body = crate::support::chat_body("tiny-chat", "[[long]]", true);
        client.request("POST", "/v1/chat/completions", &["X-Request-Id: stopping-2"], body.as_bytes()).await.unwrap();
        assert_eq!(client.head().await.unwrap().status, 200);
        let connection = last_chat(&server).await;
        program.terminate();
        let told = until_broken(&mut client).await;
        assert!(!told.contains("[DONE]"));
        assert_eq!(server.closed(connection).await.by, ClosedBy::Peer);
        let ended = program.ended().await;
        assert!(ended.status.success(), "{ended:?}");
        assert!(ended.stderr.contains("gateway.drainTimeout"), "{}", ended.stderr);
        // Whatever its end, a request leaves its record.
        let record = record(&ended.stderr, "stopping-2");
        assert_eq!((&record["path"], &record["outcome"]), (&"/v1/chat/completions".into(), &"stopped".into()));
    });
}

/// The connection over which the last chat came.
async fn last_chat(server: &InferenceServer) -> owl_testkit::ConnectionId {
    loop {
        let request = server.next_request().await;
        if request.path.ends_with("/chat/completions") {
            return request.connection;
        }
    }
}

/// The record of a request among the lines of a log in JSON.
#[track_caller]
fn record(log: &str, id: &str) -> Value {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let found: Vec<Value> = lines.filter(|line| line["request_id"] == id).collect();
    assert_eq!(found.len(), 1, "{log}");
    found.into_iter().next().unwrap()
}
