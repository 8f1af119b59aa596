//! What must hold for any bytes. The fuzz targets call the same functions.
//!
//! `serde_json` is the judge: an independent reader, which here may build whatever it likes.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use owl_wire::compat::{Compat, TextCalls};
use owl_wire::messages::MessagesRequest;
use owl_wire::request::splice;
use owl_wire::responses::ResponsesRequest;
use owl_wire::sse::{Event, SseParser};
use owl_wire::turn::{TurnDecoder, TurnEvent};
use owl_wire::{BodyKind, JsonError, ModelSplicer, RequestFacts};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The name that [`response_splice`] looks for, and what it writes instead.
pub(crate) const UPSTREAM_NAME: &str = "a/é\"1";
pub(crate) const CLIENT_NAME: &str = "owl/a";

/// An object's members in order, duplicates included, with the text of their values.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// The request scanner accepts what `serde_json` accepts, reads the same model, and splices nothing but that.
pub(crate) fn request_scan(body: &[u8]) {
    let judge = serde_json::from_slice::<Members<'_>>(body);
    let facts = match (RequestFacts::scan(body), &judge) {
        (Ok(facts), _) => facts,
        (Err(error), Err(_)) => return assert!(!error.to_string().is_empty()),
        // Decided by Owl, not by the grammar.
        (Err(JsonError::DuplicateKey { .. } | JsonError::ModelNotAString { .. }), Ok(_)) => return,
        (Err(error), Ok(_)) => panic!("only Owl refuses {:?}: {error}", String::from_utf8_lossy(body)),
    };
    let Ok(Members(members)) = judge else {
        // serde_json cannot hold a key with a lone surrogate, and does not nest as deep.
        let reason = judge.err().map(|error| error.to_string()).unwrap_or_default();
        let limits = ["surrogate", "unexpected end of hex escape", "recursion limit", "invalid unicode code point"];
        assert!(limits.iter().any(|limit| reason.contains(limit)), "only serde_json refuses: {reason}");
        return;
    };
    let value = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| value.get());
    let model = value("model").map(|token| serde_json::from_str::<Cow<'_, str>>(token).expect("a string"));
    assert_eq!(facts.model.as_ref().map(|model| &*model.name), model.as_deref());
    assert_eq!(facts.stream, value("stream").and_then(|token| token.parse().ok()));
    if let Some(model) = facts.model {
        let bytes = Bytes::copy_from_slice(body);
        let spliced = splice(&bytes, model.span.clone(), CLIENT_NAME);
        assert_eq!(RequestFacts::scan(&spliced).ok().and_then(|facts| facts.model).expect("named").name, CLIENT_NAME);
        let tail = body.len() - model.span.end;
        assert_eq!(spliced[..model.span.start], body[..model.span.start]);
        assert_eq!(spliced[spliced.len() - tail..], body[model.span.end..]);
    }
}

/// Cuts `bytes` at sizes that `seed` decides.
pub(crate) fn chunks(bytes: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let most = [1, 2, 5, 40][(seed >> 60) as usize % 4];
        let (chunk, tail) = rest.split_at(rest.len().min(1 + (seed >> 33) as usize % most));
        chunks.push(chunk);
        rest = tail;
    }
    chunks
}

/// The answer's splicer gives the same for any chunking, changes nothing without a match, holds back no more than a
/// name, and for a body that is one JSON object agrees with the reference.
pub(crate) fn response_splice(body: &[u8], seed: u64) {
    for kind in [BodyKind::Json, BodyKind::EventStream] {
        let whole = run(kind, UPSTREAM_NAME, [body]);
        let cut = run(kind, UPSTREAM_NAME, chunks(body, seed));
        assert_eq!(cut, whole, "{kind:?}: the chunks must not matter");
        let unmatched = run(kind, "a name that no test has", chunks(body, seed));
        assert_eq!(unmatched, body, "{kind:?}: nothing to replace");
    }
    if let Some(expect) = reference(body) {
        let seen = run(BodyKind::Json, UPSTREAM_NAME, chunks(body, seed));
        assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(&expect));
    }
    if let Some(expect) = stream_reference(body) {
        let seen = run(BodyKind::EventStream, UPSTREAM_NAME, chunks(body, seed));
        assert_eq!(String::from_utf8_lossy(&seen), String::from_utf8_lossy(&expect));
    }
}

fn run<'a>(kind: BodyKind, name: &str, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut splicer = ModelSplicer::new(kind, name, CLIENT_NAME);
    let mut output = Vec::new();
    let mut input = 0;
    let mut replaced = 0;
    for chunk in chunks {
        input += chunk.len();
        let piece = splicer.push(Bytes::copy_from_slice(chunk));
        output.extend_from_slice(&piece);
        // Replacements make the output shorter or longer; what is missing besides is held back. A replacement always
        // leaves in one piece.
        replaced += memchr::memmem::find_iter(&piece, CLIENT_NAME).count();
        let longest_name = 6 * name.len() + 2;
        assert!(output.len() + longest_name * (replaced + 1) >= input, "more is held back than may be the name");
    }
    output.extend_from_slice(&splicer.finish());
    output
}

/// The body with each name replaced, worked out with `serde_json`; `None` when it is not an object in JSON.
pub(crate) fn reference(body: &[u8]) -> Option<Vec<u8>> {
    let mut spans = Vec::new();
    let Members(members) = serde_json::from_slice(body).ok()?;
    for (key, value) in members {
        collect(body, &key, value, &mut spans);
        if key != "response" && key != "message" {
            continue;
        }
        let inner = serde_json::from_str::<Members<'_>>(value.get()).map(|members| members.0).unwrap_or_default();
        inner.iter().for_each(|(key, value)| collect(body, key, value, &mut spans));
    }
    let mut output = Vec::new();
    let mut copied = 0;
    for (start, end) in spans {
        output.extend_from_slice(&body[copied..start]);
        output.extend_from_slice(&serde_json::to_vec(CLIENT_NAME).expect("a string"));
        copied = end;
    }
    output.extend_from_slice(&body[copied..]);
    Some(output)
}

/// The event stream with each name replaced in the data of each event; `None` when an event's data begins like an object
/// but is none, as then it matters how far a reader gets.
fn stream_reference(stream: &[u8]) -> Option<Vec<u8>> {
    let mut output = Vec::new();
    // The event that is open: each line with its end, and its data if it is a data line.
    let mut event: Vec<(&[u8], Option<&[u8]>)> = Vec::new();
    let mut rest = stream;
    if let Some(unmarked) = rest.strip_prefix(b"\xef\xbb\xbf") {
        output.extend_from_slice(&stream[..3]);
        rest = unmarked;
    }
    while !rest.is_empty() {
        let length = rest.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(rest.len());
        let end_length = if rest[length..].starts_with(b"\r\n") { 2 } else { rest.len().min(length + 1) - length };
        let data = if &rest[..length] == b"data" { Some(&rest[..0]) } else { rest[..length].strip_prefix(b"data:") };
        event.push((&rest[..length + end_length], data));
        rest = &rest[length + end_length..];
        if length == 0 || rest.is_empty() {
            write_event(&std::mem::take(&mut event), &mut output)?;
        }
    }
    Some(output)
}

fn write_event(lines: &[(&[u8], Option<&[u8]>)], output: &mut Vec<u8>) -> Option<()> {
    let data: Vec<_> = lines.iter().filter_map(|(_, data)| *data).collect();
    let document = data.join(&b'\n');
    let replaced = match reference(&document) {
        Some(replaced) => replaced,
        None if document.trim_ascii_start().starts_with(b"{") => return None,
        None => document,
    };
    let mut replaced = replaced.split(|byte| *byte == b'\n');
    for (line, data) in lines {
        let Some(data) = data else {
            output.extend_from_slice(line);
            continue;
        };
        let end = line.iter().rev().take_while(|byte| b"\r\n".contains(byte)).count();
        output.extend_from_slice(&line[..line.len() - end - data.len()]);
        output.extend_from_slice(replaced.next().expect("a name has no line feed"));
        output.extend_from_slice(&line[line.len() - end..]);
    }
    Some(())
}

fn collect(body: &[u8], key: &str, value: &RawValue, spans: &mut Vec<(usize, usize)>) {
    if key == "model" && serde_json::from_str::<String>(value.get()).is_ok_and(|name| name == UPSTREAM_NAME) {
        let start = value.get().as_ptr() as usize - body.as_ptr() as usize;
        spans.push((start, start + value.get().len()));
    }
}

/// The event parser gives the same events, and the same error, for any chunking, with and without a narrow limit.
pub(crate) fn sse(stream: &[u8], seed: u64) {
    for limit in [16, 1 << 20] {
        let whole = read_events(limit, [stream]);
        assert_eq!(read_events(limit, chunks(stream, seed)), whole, "the chunks must not matter");
        assert!(whole.0.iter().all(|event| event.data.len() <= limit * 3), "an event larger than the limit");
    }
}

fn read_events<'a>(limit: usize, chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, bool) {
    let mut parser = SseParser::new(limit);
    let mut events = Vec::new();
    let mut failed = false;
    for chunk in chunks {
        failed |= parser.push(chunk, &mut events).is_err();
    }
    events.extend(parser.finish());
    (events, failed)
}

/// A form whose model was replaced is a form with that model, and nothing else in it has changed.
pub(crate) fn multipart(body: &[u8]) {
    let content_type = "multipart/form-data; boundary=x";
    let body = bytes::Bytes::copy_from_slice(body);
    let Ok(facts) = owl_wire::FormFacts::scan(content_type, &body) else { return };
    let Some(model) = facts.model else { return };
    let spliced = owl_wire::multipart::splice(&body, model.span.clone(), "another-model");
    assert_eq!(spliced[..model.span.start], body[..model.span.start]);
    assert!(spliced.ends_with(&body[model.span.end..]));
    let again = owl_wire::FormFacts::scan(content_type, &spliced).expect("still a form");
    assert_eq!(again.model.expect("still a model").name, "another-model");
}

/// Every URL that is found is a JSON string; put back where it was, nothing changes; with others in their place, the rest
/// stays; and what `serde_json` reads is read.
pub(crate) fn media(body: &[u8]) {
    let found = match owl_wire::media::scan(body) {
        Ok(found) => found,
        Err(error) => {
            assert!(serde_json::from_slice::<serde_json::Value>(body).is_err(), "only Owl refuses: {error}");
            return;
        }
    };
    assert!(found.slots.len() <= owl_wire::media::MOST_SLOTS);
    if let Ok(facts) = RequestFacts::scan(body) {
        assert!(facts.media || found.slots.is_empty(), "the quick look has missed something");
    }
    let bytes = Bytes::copy_from_slice(body);
    let mut rest = Vec::new();
    let mut end = 0;
    for slot in &found.slots {
        assert!(slot.span.start >= end, "in order, and apart");
        rest.extend_from_slice(&body[end..slot.span.start]);
        rest.extend_from_slice(b"\"data:,\"");
        end = slot.span.end;
        let token = &body[slot.span.clone()];
        assert!(token.len() >= 2 && token.starts_with(b"\"") && token.ends_with(b"\""));
        let reason = serde_json::from_slice::<String>(token).err().map(|error| error.to_string());
        let surrogate = |reason: &String| reason.contains("surrogate") || reason.contains("hex escape");
        assert!(reason.as_ref().is_none_or(surrogate), "{reason:?}");
        assert!(!slot.path.is_empty());
    }
    rest.extend_from_slice(&body[end..]);
    let with = |new: &dyn Fn(&std::ops::Range<usize>) -> Bytes| {
        let all = found.slots.iter().map(|slot| (slot.span.clone(), new(&slot.span))).collect();
        owl_wire::media::splice_all(&bytes, all)
    };
    assert_eq!(with(&|span| bytes.slice(span.clone())), bytes, "spliced by themselves");
    let replaced = with(&|_| Bytes::from_static(b"\"data:,\""));
    assert_eq!(replaced, rest);
    if !found.more {
        assert_eq!(owl_wire::media::scan(&replaced).map(|found| found.slots.len()), Ok(0), "nothing is left");
    }
}

/// A turn means the same however it is cut, nothing of a text gets lost, and calls are told apart.
pub(crate) fn turn(bytes: &[u8], seed: u64) {
    let tools = ["f".to_owned()];
    for kind in [BodyKind::EventStream, BodyKind::Json] {
        for text_calls in [TextCalls::Auto, TextCalls::Llama] {
            let compat = Compat { text_calls, ..Compat::default() };
            let read = |pieces: &[&[u8]]| {
                let mut decoder = TurnDecoder::new(kind, &compat, &tools);
                let mut events = Vec::new();
                let outcome = pieces.iter().try_for_each(|piece| decoder.push(piece, &mut events));
                (outcome.and_then(|()| decoder.finish(&mut events)), events)
            };
            let (outcome, events) = read(&[bytes]);
            let at = usize::try_from(seed).unwrap_or(0) % (bytes.len() + 1);
            let (again, cut) = read(&[&bytes[..at], &bytes[at..]]);
            assert_eq!(outcome, again);
            assert_eq!(told(&events), told(&cut));
            let mut ids: Vec<&str> = Vec::new();
            for event in &events {
                if let TurnEvent::CallBegan { index, id, .. } = event {
                    assert_eq!(*index, ids.len());
                    assert!(!id.is_empty() && !ids.contains(&id.as_str()));
                    ids.push(id);
                }
            }
        }
    }
}

/// The texts and arguments of a turn, joined.
fn told(events: &[TurnEvent]) -> (String, String, Vec<String>) {
    let (mut text, mut reasoning, mut arguments) = (String::new(), String::new(), Vec::<String>::new());
    for event in events {
        match event {
            TurnEvent::Text(piece) => text.push_str(piece),
            TurnEvent::Reasoning(piece) => reasoning.push_str(piece),
            TurnEvent::CallBegan { name, .. } => arguments.push(format!("{name} ")),
            TurnEvent::CallArguments { index, piece } => arguments[*index].push_str(piece),
            TurnEvent::Refusal(_) | TurnEvent::Extra(_) | TurnEvent::Finish(_) | TurnEvent::Usage(_) => {}
        }
    }
    (text, reasoning, arguments)
}

/// Requests of the other APIs become the body of a chat completion, or an error that names a part.
pub(crate) fn conversions(bytes: &[u8]) {
    let Ok(Value::Object(request)) = serde_json::from_slice::<Value>(bytes) else { return };
    match ResponsesRequest::read(request.clone(), "resp_1") {
        Ok(read) => assert!(read.into_body(Vec::new())["messages"].is_array()),
        Err(error) => assert!(!error.path.is_empty()),
    }
    match MessagesRequest::read(request.clone()) {
        Ok(read) => assert!(read.body["messages"].is_array()),
        Err(error) => assert!(!error.path.is_empty()),
    }
    let asks = owl_wire::chat::hosted::asks_for_hosted(bytes);
    let mut body = request;
    let hosted = owl_wire::chat::hosted::take_hosted(&mut body);
    // A name that is spelt with escapes is not looked for: such a request is forwarded as it is.
    assert!(!asks || !hosted.is_empty());
}
