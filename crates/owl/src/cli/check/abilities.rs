//! What a server may or may not be able to do. A missing ability is no failure.

use owl_wire::chat::ChatPiece;
use serde_json::{Value, json};

use super::call::Caller;
use super::report::{Examination, Finding, Step};
use super::talk::{CHAT, question, read_chat};

/// The most tokens for these questions: a model that thinks first needs room.
const TOKENS: u64 = 512;

/// A red square of 32 by 32 pixels, as PNG; smaller ones are refused by some models.
const RED_SQUARE: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAACAAAAAgCAIAAAD8GO2jAAAAKklEQVR42mO4IyJCU8QwasGoBaMWjFowasGoBaMWjFowasGoBaMWDBULAJ3LED19/LmKAAAAAElFTkSuQmCC";

/// Tries what a chat model may be able to do.
pub(super) async fn of_chat(exam: &mut Examination, caller: &Caller<'_>, model: &str) {
    exam.take(Step::Tools, async { (tools(caller, model).await.into_ability(), ()) }).await;
    exam.take(Step::JsonSchema, async { (json_schema(caller, model).await.into_ability(), ()) }).await;
    exam.take(Step::Vision, async { (vision(caller, model).await.into_ability(), ()) }).await;
}

/// Tries embeddings, which need no chat.
pub(super) async fn of_embeddings(exam: &mut Examination, caller: &Caller<'_>, model: &str) {
    exam.take(Step::Embeddings, async { (embeddings(caller, model).await.into_ability(), ()) }).await;
}

/// Sends a question with extra fields; a refusal comes back as the finding.
async fn ask(
    caller: &Caller<'_>,
    model: &str,
    content: Value,
    extra: impl IntoIterator<Item = (&'static str, Value)>,
) -> Result<ChatPiece, Finding> {
    let mut request = question(model, content, TOKENS);
    request.extra.extend(extra.into_iter().map(|(key, value)| (key.to_owned(), value)));
    let answer = caller.post(CHAT, request.to_bytes()).await.map_err(|trouble| caller.trouble(trouble))?;
    if !answer.status.is_success() {
        return Err(Finding::no(caller.tell(&answer)));
    }
    read_chat(&answer).ok_or_else(|| Finding::no("the answer is not a chat completion"))
}

async fn tools(caller: &Caller<'_>, model: &str) -> Finding {
    let parameters = json!({
        "type": "object",
        "properties": { "city": { "type": "string", "description": "The city's name" } },
        "required": ["city"],
    });
    let function =
        json!({ "name": "get_weather", "description": "Gets the weather in a city now", "parameters": parameters });
    let tools = json!([{ "type": "function", "function": function }]);
    let content = "What is the weather in Oslo now? Call get_weather to find out.".into();
    let piece = match ask(caller, model, content, [("tools", tools), ("tool_choice", "auto".into())]).await {
        Ok(piece) => piece,
        Err(finding) => return finding,
    };
    let Some(call) = piece.tool_calls.first() else {
        let said = caller.quote(&piece.content);
        return Finding::no(format!("the model answered in words: {said:?}"));
    };
    let name = caller.quote(call.name.as_deref().unwrap_or_default());
    let arguments = caller.quote(&call.arguments);
    if serde_json::from_str::<Value>(&call.arguments).is_ok_and(|arguments| arguments.is_object()) {
        Finding::ok(format!("{name}({arguments})"))
    } else {
        Finding::no(format!("{name} was called with what is no JSON object: {arguments}"))
    }
}

async fn json_schema(caller: &Caller<'_>, model: &str) -> Finding {
    let schema = json!({
        "type": "object",
        "properties": { "bird": { "type": "string" }, "legs": { "type": "integer" } },
        "required": ["bird", "legs"],
        "additionalProperties": false,
    });
    let format = json!({ "type": "json_schema", "json_schema": { "name": "bird", "strict": true, "schema": schema } });
    // The question does not ask for JSON: a model that answers with it was made to.
    let content = "Name a bird, and say how many legs it has.".into();
    let piece = match ask(caller, model, content, [("response_format", format)]).await {
        Ok(piece) => piece,
        Err(finding) => return finding,
    };
    let said = caller.quote(&piece.content);
    match serde_json::from_str::<Value>(&piece.content) {
        Ok(value) if value["bird"].is_string() && value["legs"].is_i64() => Finding::ok(said),
        _ if piece.finish_reason.as_deref() == Some("length") => {
            Finding::no(format!("the answer was cut off after {TOKENS} tokens: {said:?}"))
        }
        _ => Finding::no(format!("the schema was ignored: {said:?}")),
    }
}

async fn vision(caller: &Caller<'_>, model: &str) -> Finding {
    let content = json!([
        { "type": "text", "text": "Which colour is this square? Reply with one word." },
        { "type": "image_url", "image_url": { "url": RED_SQUARE } },
    ]);
    match ask(caller, model, content, []).await {
        Ok(piece) => {
            let said = caller.quote(&piece.content);
            if piece.content.to_lowercase().contains("red") {
                return Finding::ok(format!("{said:?} for a red square"));
            }
            Finding::warn(format!("{said:?} for a red square"))
                .advise("the image was taken; whether the model looks at it is another matter")
        }
        Err(finding) => finding,
    }
}

async fn embeddings(caller: &Caller<'_>, model: &str) -> Finding {
    let body = json!({ "model": model, "input": "owl" }).to_string().into_bytes();
    let answer = match caller.post("embeddings", body).await {
        Ok(answer) => answer,
        Err(trouble) => return caller.trouble(trouble),
    };
    if !answer.status.is_success() {
        return Finding::no(caller.tell(&answer));
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match body["data"][0]["embedding"].as_array() {
        Some(vector) => Finding::ok(format!("{}: {} dimensions", caller.quote(model), vector.len())),
        None => Finding::no("the answer holds no embedding"),
    }
}
