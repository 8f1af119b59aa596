use super::*;
use crate::answer::samples::{called, searched};
use crate::sse::SseParser;

fn encoder() -> ResponseEncoder {
    let head = AnswerHead { id: "resp_owl1".to_owned(), created: 7, model: "m".to_owned() };
    let request = json!({ "input": "q", "metadata": { "a": "b" }, "tools": [{ "type": "function", "name": "f" }] });
    let request = request.as_object().cloned().unwrap_or_default();
    let echo = super::super::ResponsesRequest::read(request, "resp_owl1").expect("right").echo;
    ResponseEncoder::new(head, echo, true)
}

/// The events of a stream; the last is `[DONE]`.
fn encoded(events: &[AnswerEvent]) -> (Vec<Value>, ResponseEncoder) {
    let mut stream = Vec::new();
    let mut encoder = encoder();
    events.iter().for_each(|event| encoder.event(event, &mut stream));
    let mut parsed = Vec::new();
    SseParser::new(1 << 20).push(&stream, &mut parsed).expect("small");
    assert_eq!(parsed.pop().map(|last| last.data).as_deref(), Some("[DONE]"));
    let data: Vec<Value> = parsed
        .iter()
        .map(|event| {
            let data: Value = serde_json::from_str(&event.data).expect("JSON");
            assert_eq!(event.name.as_deref(), data["type"].as_str());
            data
        })
        .collect();
    (data, encoder)
}

/// What must hold whatever is answered.
fn check_sequence(events: &[Value], encoder: &mut ResponseEncoder) {
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], at, "{event}");
    }
    let last = &events[events.len() - 1]["response"];
    assert_eq!(encoder.whole().as_ref().ok(), Some(last));
    for (index, item) in last["output"].as_array().expect("a list").iter().enumerate() {
        let of = |kind: &str| -> Vec<&Value> {
            events.iter().filter(|event| event["type"] == kind && event["output_index"] == index).collect()
        };
        let (added, done) = (of("response.output_item.added"), of("response.output_item.done"));
        assert_eq!((added.len(), done.len()), (1, 1), "{item}");
        assert_eq!(done[0]["item"], *item);
        assert_eq!(added[0]["item"]["id"], item["id"]);
        for (kind, whole) in [
            ("response.output_text", &item["content"][0]["text"]),
            ("response.reasoning_text", &item["content"][0]["text"]),
            ("response.function_call_arguments", &item["arguments"]),
        ] {
            let pieces = of(&format!("{kind}.delta"));
            let joined: String = pieces.iter().filter_map(|event| event["delta"].as_str()).collect();
            assert!(pieces.is_empty() || *whole == joined, "{item}");
        }
    }
}

#[test]
fn a_search_and_a_citation() {
    let (events, mut encoder) = encoded(&searched());
    check_sequence(&events, &mut encoder);
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
    let message = encoder.response()["output"].as_array().and_then(|items| items.last().cloned()).expect("a message");
    assert_eq!(message["content"][0]["annotations"][0]["start_index"], 4);
}

#[test]
fn calls_of_the_clients() {
    let (events, mut encoder) = encoded(&called());
    check_sequence(&events, &mut encoder);
    let whole = serde_json::to_string_pretty(&encoder.response()).expect("JSON");
    insta::assert_snapshot!(whole);
}

#[test]
fn every_other_end() {
    let ended = |reason: FinishReason| {
        let ending = Ending { reason, usage: None, citations: Vec::new(), budget: None, messages: Vec::new() };
        vec![AnswerEvent::TurnBegan, AnswerEvent::Text("a".to_owned()), AnswerEvent::Ended(Box::new(ending))]
    };
    let (events, mut encoder) = encoded(&ended(FinishReason::Length));
    assert_eq!(events.last().map(|event| event["type"].clone()), Some("response.incomplete".into()));
    let whole = encoder.whole().expect("an answer");
    assert_eq!(
        (&whole["status"], &whole["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    let (_, mut encoder) = encoded(&ended(FinishReason::ContentFilter));
    assert_eq!(encoder.whole().expect("an answer")["incomplete_details"]["reason"], "content_filter");
    let (events, mut encoder) = encoded(&[
        AnswerEvent::TurnBegan,
        AnswerEvent::Text("a".to_owned()),
        AnswerEvent::Failed(ErrorBody::broke_off()),
    ]);
    let last = events.last().expect("events");
    assert_eq!((&last["type"], &last["response"]["status"]), (&json!("response.failed"), &json!("failed")));
    assert!(encoder.whole().is_err());
    assert!(super::ResponseEncoder::new(encoder.head, Map::new(), false).whole().is_err());
}
