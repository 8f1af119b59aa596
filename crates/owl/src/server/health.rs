//! `/healthz`: the process serves. `/readyz`: at least one provider answers.
//!
//! Neither asks for a key, so neither says more than names and states.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::Door;
use crate::provider::Reachability;

pub(super) async fn healthz() -> Response {
    json(StatusCode::OK, &serde_json::json!({ "status": "ok" }))
}

pub(super) async fn readyz(State(door): State<Arc<Door>>) -> Response {
    let state = |reachability: &Reachability| match reachability {
        Reachability::Unknown => "unknown",
        Reachability::Answers(_) => "ready",
        Reachability::Fails(_) => "failing",
    };
    let providers: serde_json::Map<String, serde_json::Value> = door
        .gateway
        .providers()
        .iter()
        .map(|provider| (provider.id().to_owned(), state(provider.known().reachability()).into()))
        .collect();
    let (status, word) = if door.gateway.is_ready() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    json(status, &serde_json::json!({ "status": word, "providers": providers }))
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
