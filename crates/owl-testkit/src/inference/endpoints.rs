//! Which path answers what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::chat::{Chat, Completion, Turn, last_user_text, speak, text_of};
use super::responses::Responses;
use super::script::Script;
use super::{Action, multipart, reply};
use crate::event::Request;
use crate::http::Body;

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Answers a request; `path` is its path below the prefix, `forced` is what a test set for this path.
pub(super) fn answer(models: &[String], path: &str, request: &Request, forced: Option<Script>) -> Action {
    if let Some(action) = forced.as_ref().and_then(obey) {
        return action;
    }
    if request.header("x-echo-body").is_some() {
        let content_type = request.header("content-type").unwrap_or("application/octet-stream");
        return reply::bytes(StatusCode::OK, content_type, request.body.clone()).into();
    }
    match (request.method.as_str(), path) {
        ("GET", "/v1/models") => list(models).into(),
        ("GET", _) if path.starts_with("/v1/models/") => one(models, &path["/v1/models/".len()..]).into(),
        ("POST", "/v1/audio/transcriptions" | "/v1/audio/translations") => transcribe(models, request).into(),
        (
            "POST",
            "/v1/chat/completions"
            | "/v1/completions"
            | "/v1/embeddings"
            | "/v1/responses"
            | "/v1/rerank"
            | "/v1/images/generations"
            | "/v1/audio/speech",
        ) => with_model(models, path, request, forced),
        _ if path.starts_with("/v1/") => echo(path, request).into(),
        _ => reply::html(StatusCode::NOT_FOUND).into(),
    }
}

/// The scripts that do not depend on the endpoint.
fn obey(script: &Script) -> Option<Action> {
    match script {
        Script::Slow => Some(Action::NeverAnswer),
        Script::Error(status) => {
            let (kind, code) = match *status {
                400 => ("BadRequestError", "scripted_bad_request"),
                429 => ("RateLimitError", "scripted_rate_limit"),
                _ => ("ScriptedError", "scripted"),
            };
            Some(reply::error(*status, &format!("scripted error {status}"), kind, &code.into()).into())
        }
        Script::Html(status) => {
            Some(reply::html(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY)).into())
        }
        Script::Redirect(location) => Some(reply::redirect(location).into()),
        Script::Say
        | Script::Long
        | Script::Flood
        | Script::Count(_)
        | Script::Stall
        | Script::Cut
        | Script::Tool
        | Script::Think
        | Script::Utf8
        | Script::SseOdd => None,
    }
}

fn with_model(models: &[String], path: &str, request: &Request, forced: Option<Script>) -> Action {
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return reply::error(400, "the body is not JSON", "BadRequestError", &400.into()).into();
    };
    let Some(model) = body["model"].as_str() else {
        return reply::error(400, "model: field required", "BadRequestError", &400.into()).into();
    };
    if !models.iter().any(|known| known == model) {
        return unknown(model).into();
    }
    let prompt = match path {
        "/v1/chat/completions" => last_user_text(&body),
        "/v1/completions" => text_of(&body["prompt"]),
        "/v1/responses" => responses_text(&body["input"]),
        _ => String::new(),
    };
    let script = forced.unwrap_or_else(|| Script::find(&prompt));
    if let Some(action) = obey(&script) {
        return action;
    }
    let model = model.to_owned();
    let is_streamed = body["stream"] == true;
    let include_usage = body["stream_options"]["include_usage"] == true;
    let turn = Turn::new(&body, &prompt, &script);
    match path {
        "/v1/chat/completions" if !body["messages"].is_array() => {
            reply::error(400, "messages: field required", "BadRequestError", &400.into()).into()
        }
        "/v1/chat/completions" => speak(Chat { model, include_usage }, turn, &script, is_streamed),
        "/v1/completions" => speak(Completion { model, include_usage }, turn, &script, is_streamed),
        "/v1/responses" => speak(Responses::new(model), turn, &script, is_streamed),
        "/v1/embeddings" => embed(&body).into(),
        "/v1/rerank" => rerank(&body).into(),
        "/v1/audio/speech" => reply::bytes(StatusCode::OK, "audio/mpeg", vec![0xff, 0xfb, 0x90, 0x00, 0x4f]).into(),
        _ => reply::odd_json(&json!({"created": 1_700_000_000, "data": [{"b64_json": PIXEL}]})).into(),
    }
}

fn unknown(model: &str) -> Response<Body> {
    reply::error(404, &format!("The model `{model}` does not exist."), "NotFoundError", &404.into())
}

fn model_object(model: &str) -> String {
    let object = json!({"id": model, "object": "model", "created": 1_700_000_000, "owned_by": "owl-testkit",
                        "root": model, "parent": null, "max_model_len": 131_072});
    reply::add_odd_numbers(&object)
}

fn list(models: &[String]) -> Response<Body> {
    let objects: Vec<String> = models.iter().map(|model| model_object(model)).collect();
    reply::json(StatusCode::OK, &format!(r#"{{"object":"list","data":[{}]}}"#, objects.join(",")))
}

fn one(models: &[String], encoded: &str) -> Response<Body> {
    let model = percent_decode_str(encoded).decode_utf8_lossy();
    if models.iter().any(|known| *known == model) {
        reply::json(StatusCode::OK, &model_object(&model))
    } else {
        unknown(&model)
    }
}

/// A string, or messages in which the last user's content scripts.
fn responses_text(input: &Value) -> String {
    match input {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let last = items.iter().rev().find(|item| item["role"] == "user");
            last.map(|item| text_of(&item["content"])).unwrap_or_default()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn embed(body: &Value) -> Response<Body> {
    let count = match &body["input"] {
        Value::Array(inputs) if !inputs.iter().all(Value::is_number) => inputs.len(),
        _ => 1,
    };
    let dimensions = usize::try_from(body["dimensions"].as_u64().unwrap_or(8)).unwrap_or(8);
    let is_base64 = body["encoding_format"] == "base64";
    let data: Vec<Value> = (0..count)
        .map(|index| {
            // Powers of two: exact as floats of any width.
            let vector: Vec<f32> = (0..dimensions).map(|at| if at == index { 1.0 } else { 0.25 }).collect();
            let embedding = if is_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
                Value::from(STANDARD.encode(bytes))
            } else {
                Value::from(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let usage = json!({"prompt_tokens": count, "total_tokens": count});
    reply::odd_json(&json!({"object": "list", "data": data, "model": body["model"], "usage": usage}))
}

fn rerank(body: &Value) -> Response<Body> {
    let documents = body["documents"].as_array().map(Vec::as_slice).unwrap_or_default();
    let results: Vec<Value> = documents
        .iter()
        .enumerate()
        .rev()
        .map(|(index, document)| json!({"index": index, "document": {"text": document}, "relevance_score": 0.5}))
        .collect();
    let usage = json!({"total_tokens": documents.len()});
    reply::odd_json(&json!({"id": "rerank-owl", "model": body["model"], "results": results, "usage": usage}))
}

fn transcribe(models: &[String], request: &Request) -> Response<Body> {
    let parts = multipart::parse(request.header("content-type").unwrap_or_default(), &request.body);
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    let (Some(model), Some(file)) = (part("model").map(multipart::Part::text), part("file")) else {
        return reply::error(400, "model and file: fields required", "BadRequestError", &400.into());
    };
    if !models.contains(&model) {
        return unknown(&model);
    }
    let name = file.file_name.as_deref().unwrap_or("a file without a name");
    let text = format!("{name}: {} bytes, for {model}", file.body.len());
    if part("response_format").is_some_and(|part| part.text() == "text") {
        return reply::bytes(StatusCode::OK, "text/plain; charset=utf-8", text + "\n");
    }
    reply::odd_json(&json!({"text": text, "model": model, "bytes": file.body.len()}))
}

fn echo(path: &str, request: &Request) -> Response<Body> {
    let headers: Vec<Value> = request
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    reply::json(
        StatusCode::OK,
        &json!({"method": request.method, "path": path, "query": request.query, "headers": headers,
                "body": String::from_utf8_lossy(&request.body), "body_base64": STANDARD.encode(&request.body)})
        .to_string(),
    )
}
