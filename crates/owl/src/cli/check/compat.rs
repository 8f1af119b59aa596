//! What a server gets wrong with a model, and the `compat` that puts it right; and which APIs it has besides chat completions.

use owl_wire::chat::ChatPiece;
use serde_json::{Value, json};

use super::call::Caller;
use super::report::{Examination, Finding, Step};
use super::talk::{CHAT, read_chat};

/// The most tokens where only the status counts.
const FEW: u64 = 1;

/// The most tokens where the model has to think and call.
const MANY: u64 = 512;

/// Tries it all. Only called for a model that answers a plain question.
pub(super) async fn of_chat(exam: &mut Examination, caller: &Caller<'_>, model: &str) {
    exam.take(Step::Compat, async { (flags(caller, model).await.into_ability(), ()) }).await;
    let responses = json!({ "model": model, "input": "Say owl.", "max_output_tokens": 16 });
    exam.take(Step::Responses, async {
        (api(caller, "responses", ("object", "response"), responses).await.into_ability(), ())
    })
    .await;
    let messages =
        json!({ "model": model, "max_tokens": FEW, "messages": [{ "role": "user", "content": "Say owl." }] });
    exam.take(Step::Messages, async {
        (api(caller, "messages", ("type", "message"), messages).await.into_ability(), ())
    })
    .await;
}

/// Asks an API; `says` is the member by which its answers are known.
async fn api(caller: &Caller<'_>, path: &str, says: (&str, &str), body: Value) -> Finding {
    match caller.post(path, body.to_string().into_bytes()).await {
        Ok(answer) if answer.status.is_success() => {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            if body[says.0] == says.1 {
                return Finding::ok("the server has it; requests are forwarded");
            }
            Finding::no(format!("what it answers is of another API; write `{path}: \"chat\"` into the provider"))
        }
        Ok(answer) => Finding::no(format!("{}; Owl answers over chat completions", caller.tell(&answer))),
        Err(trouble) => caller.trouble(trouble),
    }
}

/// The flags that the server needs, as they are written in the configuration.
async fn flags(caller: &Caller<'_>, model: &str) -> Finding {
    let mut flags: Vec<String> = Vec::new();
    let question = json!([{ "role": "user", "content": "Say owl." }]);
    let refuses = async |change: Value| -> Result<bool, Finding> {
        let mut body = json!({ "model": model, "max_tokens": FEW, "messages": question });
        for (key, value) in change.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        let answer =
            caller.post(CHAT, body.to_string().into_bytes()).await.map_err(|trouble| caller.trouble(trouble))?;
        Ok(matches!(answer.status.as_u16(), 400 | 422 | 500))
    };
    let developer = json!({ "messages": [{ "role": "developer", "content": "Be brief." }, question[0]] });
    let parts = json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "Say owl." }] }] });
    let options = json!({ "stream": true, "stream_options": { "include_usage": true } });
    for (change, flag) in
        [(developer, "developerRole: false"), (parts, "contentParts: false"), (options, "streamOptions: false")]
    {
        match refuses(change).await {
            Ok(true) => flags.push(flag.to_owned()),
            Ok(false) => {}
            Err(finding) => return finding,
        }
    }
    // Where plain functions are refused, the keywords are not what is wrong.
    match (
        refuses(json!({ "tools": [tool(&json!({}))] })).await,
        refuses(json!({ "tools": [tool(&keywords())] })).await,
    ) {
        (Ok(false), Ok(true)) => flags.push("schemaWithout: [\"pattern\", \"maxLength\"]".to_owned()),
        (Err(finding), _) | (_, Err(finding)) => return finding,
        (Ok(_), Ok(_)) => {}
    }
    match called(caller, model).await {
        Ok(Some(piece)) => flags.extend(of_text(&piece)),
        Ok(None) => {}
        Err(finding) => return finding,
    }
    if flags.is_empty() {
        return Finding::ok("nothing to write");
    }
    let line = format!("compat: {{ {} }}", flags.join(", "));
    Finding::warn(line.clone()).advise(format!("write `{line}` into the provider, or into the model's entry"))
}

fn keywords() -> Value {
    json!({ "pattern": "^[A-Z][a-z]+$", "maxLength": 100_000 })
}

fn tool(more: &Value) -> Value {
    let mut city = json!({ "type": "string", "description": "The city's name" });
    for (key, value) in more.as_object().into_iter().flatten() {
        city[key] = value.clone();
    }
    let parameters = json!({ "type": "object", "properties": { "city": city }, "required": ["city"] });
    let description = "Gets the weather in a city now";
    json!({ "type": "function", "function": { "name": "get_weather", "description": description, "parameters": parameters } })
}

/// The answer to a question that wants a call.
async fn called(caller: &Caller<'_>, model: &str) -> Result<Option<ChatPiece>, Finding> {
    let content = "What is the weather in Oslo now? Call get_weather to find out.";
    let body = json!({
        "model": model, "max_tokens": MANY, "messages": [{ "role": "user", "content": content }], "tools": [tool(&json!({}))],
    });
    let answer = caller.post(CHAT, body.to_string().into_bytes()).await.map_err(|trouble| caller.trouble(trouble))?;
    Ok(read_chat(&answer).filter(|_| answer.status.is_success()))
}

/// What stands in the text and is not found without being told of: the marks of Hermes, Mistral and Llama are.
fn of_text(piece: &ChatPiece) -> Vec<String> {
    let text = piece.content.trim();
    let mut flags = Vec::new();
    let is_call = serde_json::from_str::<Value>(text).is_ok_and(|value| value["name"] == "get_weather");
    if piece.tool_calls.is_empty() && is_call {
        flags.push("toolCalls: \"llama\"".to_owned());
    }
    if text.contains("</think>") && !text.contains("<think>") {
        flags.push("reasoning: \"open\"".to_owned());
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_text_tells() {
        let check = |content: &str, expect: &[&str]| {
            let piece = ChatPiece { content: content.to_owned(), ..ChatPiece::default() };
            assert_eq!(of_text(&piece), expect, "{content}");
        };
        check("It is sunny.", &[]);
        check(" {\"name\": \"get_weather\", \"parameters\": {}}", &["toolCalls: \"llama\""]);
        check("{\"name\": \"Oslo\"}", &[]);
        check("<tool_call>{}</tool_call>", &[]);
        check("<think>a</think>b", &[]);
        check("a</think>b", &["reasoning: \"open\""]);
    }
}
