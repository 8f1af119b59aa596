//! The invariants over generated input: JSON with everything odd that the grammar allows, broken JSON, and event streams.

use proptest::prelude::*;

use crate::invariants;

/// A string token, sometimes with escapes where none are needed.
fn string() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "\"model\"",
        "\"model\"",
        "\"mod\\u0065l\"",
        "\"response\"",
        "\"message\"",
        "\"m\\u0065ssage\"",
        "\"stream\"",
        "\"tools\"",
        "\"image_url\"",
        "\"im\\u0061ge\"",
        "\"url\"",
        "\"type\"",
        "\"source\"",
        "\"input\"",
        "\"modality\"",
        "\"image\"",
        "\"http://h/a\"",
        "\" hTTps:\\/\\/h\"",
        "\"file:/a\"",
        "\"a/é\\\"1\"",
        "\"a\\/\\u00e9\\\"1\"",
        "\"\\u0061\\u002f\\u00e9\\u0022\\u0031\"",
        "\"a/é\\\"\"",
        "\"a/é\\\"12\"",
        "\"\\ud83e\\udd89 \\n\\t\\\\\"",
        "\"\"",
    ]);
    let any = any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string"));
    prop_oneof![4 => known.prop_map(String::from), 1 => any]
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\t ", "\r\n"])
}

fn scalar() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec!["1.0", "1e3", "-0", "9223372036854775808", "0.5E-7", "true", "false", "null"]);
    prop_oneof![3 => string(), 2 => odd.prop_map(String::from)]
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let member = (space(), string(), space(), space(), value, space());
    let member = member.prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"));
    prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(",")))
}

fn json() -> impl Strategy<Value = String> {
    let value = scalar().prop_recursive(3, 24, 4, |inner| {
        let array =
            prop::collection::vec((space(), inner.clone()).prop_map(|(space, value)| space.to_owned() + &value), 0..4);
        prop_oneof![2 => object(inner), 1 => array.prop_map(|values| format!("[{}]", values.join(",")))]
    });
    (space(), object(value), space()).prop_map(|(before, object, after)| format!("{before}{object}{after}"))
}

/// JSON with one byte changed, taken out or put in.
fn broken_json() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(b"{}[]\",:\\u0e-.t\n \x01\xff".to_vec()), any::<u8>()];
    (json(), any::<prop::sample::Index>(), byte, 0..3).prop_map(|(json, at, byte, how)| {
        let mut bytes = json.into_bytes();
        let at = at.index(bytes.len());
        let end = if how == 1 { at } else { at + 1 };
        bytes.splice(at..end, (how > 0).then_some(byte));
        bytes
    })
}

fn event_stream() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(vec![
        "",
        "",
        "data",
        "data:",
        ": x",
        "id: 1",
        "id: \0",
        "event: x",
        "retry: 5",
        "datax: 1",
        "\u{feff}",
        "data: [DONE]",
        "retry: 99999999999999999999999",
    ]);
    // Where the document has a line end, it goes on in another data line, sometimes after an empty one or a comment.
    let next = prop::sample::select(vec!["\r\ndata:", "\rdata: ", "\ndata\ndata:", "\n: x\ndata:"]);
    let data = (json(), next, space()).prop_map(|(json, next, end)| format!("data: {json}{end}").replace("\r\n", next));
    let line = prop_oneof![3 => fixed.prop_map(|line| line.as_bytes().to_vec()), 2 => data.prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..12)];
    let end = prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n"]);
    prop::collection::vec((line, end), 0..12)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.as_bytes().to_vec()].concat()).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn requests(body in json()) {
        invariants::request_scan(body.as_bytes());
    }

    #[test]
    fn broken_requests(body in broken_json()) {
        invariants::request_scan(&body);
    }

    #[test]
    fn urls_in_requests(body in json()) {
        invariants::media(body.as_bytes());
    }

    #[test]
    fn urls_in_broken_requests(body in broken_json()) {
        invariants::media(&body);
    }

    #[test]
    fn answers(body in json(), seed in any::<u64>()) {
        prop_assert!(invariants::reference(body.as_bytes()).is_some());
        invariants::response_splice(body.as_bytes(), seed);
    }

    #[test]
    fn broken_answers(body in broken_json(), seed in any::<u64>()) {
        invariants::response_splice(&body, seed);
    }

    #[test]
    fn streams(stream in event_stream(), seed in any::<u64>()) {
        invariants::sse(&stream, seed);
        invariants::response_splice(&stream, seed);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), seed in any::<u64>()) {
        invariants::request_scan(&bytes);
        invariants::media(&bytes);
        invariants::response_splice(&bytes, seed);
        invariants::sse(&bytes, seed);
    }
}
