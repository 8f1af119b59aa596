use serde_json::json;

use super::*;
use crate::compat::{TextCalls, TextReasoning};

fn tools() -> Vec<String> {
    ["get_weather", "f"].map(str::to_owned).to_vec()
}

/// The events of an answer that comes in these pieces, texts and arguments joined.
fn read<'a>(
    kind: BodyKind,
    compat: &Compat,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<TurnEvent>, TurnError> {
    let mut decoder = TurnDecoder::new(kind, compat, &tools()).asked_with(40);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(piece, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(joined(out))
}

fn joined(events: Vec<TurnEvent>) -> Vec<TurnEvent> {
    let mut whole: Vec<TurnEvent> = Vec::new();
    for event in events {
        match (whole.last_mut(), &event) {
            (Some(TurnEvent::Text(text)), TurnEvent::Text(piece))
            | (Some(TurnEvent::Reasoning(text)), TurnEvent::Reasoning(piece)) => text.push_str(piece),
            (
                Some(TurnEvent::CallArguments { index, piece: text }),
                TurnEvent::CallArguments { index: same, piece },
            ) if index == same => {
                text.push_str(piece);
            }
            _ => whole.push(event),
        }
    }
    whole
}

/// Every file of the golden folder, whole and byte by byte.
#[test]
fn what_servers_send() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/turns");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(paths.len() >= 12);
    for path in paths {
        let bytes = std::fs::read(&path).expect("a file");
        let is_stream = path.extension().is_some_and(|kind| kind == "sse");
        let kind = if is_stream { BodyKind::EventStream } else { BodyKind::Json };
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let compat = match name.as_str() {
            name if name.contains("open-think") => Compat { text_reasoning: TextReasoning::Open, ..Compat::default() },
            name if name.contains("llama-json") => Compat { text_calls: TextCalls::Llama, ..Compat::default() },
            _ => Compat::default(),
        };
        let whole = read(kind, &compat, [bytes.as_slice()]);
        assert_eq!(read(kind, &compat, bytes.chunks(1)), whole, "{name}");
        assert_eq!(read(kind, &compat, bytes.chunks(7)), whole, "{name}");
        let lines: Vec<String> = match whole {
            Ok(events) => events.iter().map(|event| format!("{event:?}")).collect(),
            Err(error) => vec![format!("{error:?}")],
        };
        insta::assert_snapshot!(name, lines.join("\n"));
    }
}

/// The text told apart: `T(text)`, `R(reasoning)`, `C(name arguments)`.
fn told(compat: &Compat, text: &str, cut: usize) -> String {
    let mut reader = TextReader::new(compat, &tools());
    let mut pieces = Vec::new();
    let letters: Vec<char> = text.chars().collect();
    for piece in letters.chunks(cut) {
        reader.push(&piece.iter().collect::<String>(), &mut pieces);
    }
    reader.finish(&mut pieces);
    let mut whole: Vec<(char, String)> = Vec::new();
    for piece in pieces {
        let (kind, text) = match piece {
            TextPiece::Text(text) => ('T', text),
            TextPiece::Reasoning(text) => ('R', text),
            TextPiece::Call { name, arguments } => ('C', format!("{name} {arguments}")),
        };
        match whole.last_mut() {
            Some((same, before)) if *same == kind && kind != 'C' => before.push_str(&text),
            _ => whole.push((kind, text)),
        }
    }
    whole.into_iter().map(|(kind, text)| format!("{kind}({text})")).collect()
}

#[track_caller]
fn check(compat: &Compat, text: &str, expect: &str) {
    for cut in [1, 2, 5, 1000] {
        assert_eq!(told(compat, text, cut), expect, "{text:?} by {cut}");
    }
}

#[test]
fn reasoning_in_the_text() {
    let auto = Compat::default();
    check(&auto, "<think>\nhm\n</think>\n\nHi", "R(hm\n)T(Hi)");
    check(&auto, " \n<think>a<b</thin</think>c", "R(a<b</thin)T(c)");
    check(&auto, "<thinking>", "T(<thinking>)");
    check(&auto, "<thi", "T(<thi)");
    check(&auto, "a <think>b</think>", "T(a <think>b</think>)");
    check(&auto, "<think>never ends", "R(never ends)");
    check(
        &Compat { text_reasoning: TextReasoning::Off, ..Compat::default() },
        "<think>a</think>b",
        "T(<think>a</think>b)",
    );
    check(&Compat { text_reasoning: TextReasoning::Open, ..Compat::default() }, "a</think>\nb", "R(a)T(b)");
}

#[test]
fn calls_in_the_text() {
    let auto = Compat::default();
    check(
        &auto,
        "I look.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>",
        "T(I look.\n)C(f {\"a\":1})",
    );
    check(
        &auto,
        "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n<tool_call>{\"name\":\"f\",\"arguments\":\"{}\"}</tool_call> end",
        "C(f {})C(f {})T(end)",
    );
    check(
        &auto,
        "<tool_call>\n<function=f>\n<parameter=n>\n5\n</parameter>\n<parameter=s>\ntwo\nlines\n</parameter>\n</function>\n</tool_call>",
        "C(f {\"n\":5,\"s\":\"two\\nlines\"})",
    );
    check(&auto, "<tool_call>{\"name\":\"f\"}", "C(f {})");
    check(
        &auto,
        "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": [1]}}, {\"name\": \"f\", \"arguments\": {}}]",
        "C(f {\"a\":[1]})C(f {})",
    );
    check(&auto, "[TOOL_CALLS]f{\"a\": 1}[TOOL_CALLS]f[ARGS]{}", "C(f {\"a\":1})C(f {})");
    check(
        &auto,
        "<|python_tag|>{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}; {\"name\": \"f\", \"parameters\": {}}",
        "C(f {\"a\":\"b\"})C(f {})",
    );
    let llama = Compat { text_calls: TextCalls::Llama, ..Compat::default() };
    check(&llama, "{\"name\": \"f\", \"parameters\": {\"a\": 1}}", "C(f {\"a\":1})");
}

#[test]
fn what_is_no_call_stays_text() {
    let auto = Compat::default();
    for text in [
        "<tool_call>{\"name\":\"g\",\"arguments\":{}}</tool_call>",
        "<tool_call>no JSON</tool_call> and more",
        "<tool_call><tool_call>",
        "[TOOL_CALLS]",
        "[TOOL_CALLS]f",
        "[TOOL_CALLS][1]",
        "<|python_tag|>print(1)",
        "{\"name\":\"f\",\"parameters\":{}}",
        "a < b <tool",
        "<",
    ] {
        check(&auto, text, &format!("T({text})"));
    }
    let llama = Compat { text_calls: TextCalls::Llama, ..Compat::default() };
    check(&llama, "{\"answer\": 5}", "T({\"answer\": 5})");
    check(&llama, "{\"name\":\"f\"} is JSON", "T({\"name\":\"f\"} is JSON)");
    let off = Compat { text_calls: TextCalls::Off, ..Compat::default() };
    check(&off, "<tool_call>{\"name\":\"f\"}</tool_call>", "T(<tool_call>{\"name\":\"f\"}</tool_call>)");
    let mut without = TextReader::new(&auto, &[]);
    let mut pieces = Vec::new();
    without.push("<tool_call>{\"name\":\"f\"}</tool_call>", &mut pieces);
    assert_eq!(pieces.len(), 1);
}

#[test]
fn a_million_marks_take_no_longer() {
    let text = "<tool_call></tool_call>".repeat(20_000);
    check_kept(&text);
    check_kept(&"<tool_call>".repeat(50_000));
    check_kept(&"[TOOL_CALLS]{".repeat(50_000));
}

#[track_caller]
fn check_kept(text: &str) {
    let mut decoder = TextReader::new(&Compat::default(), &tools());
    let mut pieces = Vec::new();
    decoder.push(text, &mut pieces);
    decoder.finish(&mut pieces);
    let whole: String = pieces
        .into_iter()
        .map(|piece| match piece {
            TextPiece::Text(text) => text,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(whole, text);
}

fn stream(chunks: &[Value]) -> Vec<u8> {
    let events: Vec<String> = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events.concat().into_bytes()
}

fn delta(delta: &Value) -> Value {
    json!({ "choices": [{ "index": 0, "delta": delta }] })
}

#[test]
fn ids_and_indexes() {
    let call = |call: Value| delta(&json!({ "tool_calls": [call] }));
    let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }] });
    let ids = |calls: &[Value]| -> Vec<(String, String)> {
        let chunks: Vec<Value> = calls.iter().cloned().map(call).chain([end.clone()]).collect();
        let events = read(BodyKind::EventStream, &Compat::default(), [stream(&chunks).as_slice()]).expect("right");
        assert!(events.contains(&TurnEvent::Finish(FinishReason::ToolCalls)), "{events:?}");
        let mut seen: Vec<(String, String)> = Vec::new();
        for event in events {
            match event {
                TurnEvent::CallBegan { id, .. } => seen.push((id, String::new())),
                TurnEvent::CallArguments { index, piece } => seen[index].1.push_str(&piece),
                _ => {}
            }
        }
        seen
    };
    let pair = |id: &str, arguments: &str| (id.to_owned(), arguments.to_owned());
    let function = |arguments: &str| json!({ "name": "f", "arguments": arguments });
    // Whole calls that all say index 0, with ids and without.
    let same = [
        json!({ "index": 0, "id": "a", "function": function("{}") }),
        json!({ "index": 0, "id": "b", "function": function("{}") }),
    ];
    assert_eq!(ids(&same), [pair("a", "{}"), pair("b", "{}")]);
    let bare = [json!({ "index": 0, "function": function("{}") }), json!({ "index": 0, "function": function("{}") })];
    assert_eq!(ids(&bare), [pair("call_0", "{}"), pair("call_1", "{}")]);
    // The same id for two calls.
    let twice = [
        json!({ "index": 0, "id": "a", "function": function("{}") }),
        json!({ "index": 1, "id": "a", "function": function("{}") }),
    ];
    assert_eq!(ids(&twice), [pair("a", "{}"), pair("call_1", "{}")]);
    // Pieces that repeat the id and the name, and a name that comes late.
    let pieces = [
        json!({ "index": 0, "id": "a", "function": { "arguments": "{\"x\"" } }),
        json!({ "index": 0, "id": "a", "function": { "name": "f", "arguments": ":" } }),
        json!({ "index": 0, "id": "a", "function": { "name": "f", "arguments": "1}" } }),
    ];
    assert_eq!(ids(&pieces), [pair("a", "{\"x\":1}")]);
    // Arguments as an object, and the API before tools.
    assert_eq!(
        ids(&[json!({ "id": "a", "function": { "name": "f", "arguments": { "x": 1 } } })]),
        [pair("a", "{\"x\":1}")]
    );
    let old = [
        delta(&json!({ "function_call": { "name": "f", "arguments": "{" } })),
        delta(&json!({ "function_call": { "arguments": "}" } })),
        end,
    ];
    let events = read(BodyKind::EventStream, &Compat::default(), [stream(&old).as_slice()]).expect("right");
    assert!(events.contains(&TurnEvent::CallArguments { index: 0, piece: "{}".to_owned() }), "{events:?}");
}

#[test]
fn what_is_broken_says_so() {
    let check = |kind: BodyKind, body: &str, part: &str| {
        let error = read(kind, &Compat::default(), [body.as_bytes()]).expect_err(body);
        assert!(error.to_string().contains(part), "{error} does not say {part}");
    };
    check(BodyKind::EventStream, "", "broke it off");
    check(BodyKind::EventStream, "data: [DONE]\n\n", "broke it off");
    check(BodyKind::EventStream, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n", "broke it off");
    check(BodyKind::EventStream, "data: {\n\n", "not JSON");
    check(BodyKind::EventStream, "data: {\"error\":{\"message\":\"out of memory\"}}\n\n", "out of memory");
    check(BodyKind::Json, "<html>", "not JSON");
    check(BodyKind::Json, "{}", "broke it off");
    check(BodyKind::Json, "{\"detail\":\"no\"}", "no");
    // Without `[DONE]` it is complete once it says why it ended; and with it, even without saying why.
    let finished = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}";
    assert!(read(BodyKind::EventStream, &Compat::default(), [finished.as_bytes()]).is_ok());
    let done = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let events = read(BodyKind::EventStream, &Compat::default(), [done.as_bytes()]).expect("complete");
    let estimate = Usage { input: 10, output: 1, estimated: true, ..Usage::default() };
    assert_eq!(events.last(), Some(&TurnEvent::Usage(estimate)));
}

#[test]
fn what_is_not_known_passes() {
    let chunk = json!({ "id": "x", "system_fingerprint": "s", "timings": null, "choices": [
        { "index": 1, "delta": { "content": "another" } },
        { "index": 0, "delta": { "content": "a", "refusal": "no", "audio": 1 }, "logprobs": { "content": [] }, "finish_reason": "eos_token" },
    ] });
    let events = read(BodyKind::EventStream, &Compat::default(), [stream(&[chunk]).as_slice()]).expect("right");
    let object = |value: Value| value.as_object().cloned().unwrap_or_default();
    let extra = Extra {
        chunk: object(json!({ "system_fingerprint": "s" })),
        choice: object(json!({ "logprobs": { "content": [] } })),
        message: object(json!({ "audio": 1 })),
    };
    assert_eq!(
        events[..3],
        [TurnEvent::Extra(extra), TurnEvent::Text("a".to_owned()), TurnEvent::Refusal("no".to_owned())]
    );
    assert_eq!(events[3], TurnEvent::Finish(FinishReason::Stop));
}
