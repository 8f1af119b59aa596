//! Nothing lost, nothing invented: bodies arrive byte for byte, both ways, save the model's name where it is spliced.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{FaultServer, Step};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::{Owl, Records, chat_body, check_error, one_provider, run};

/// How many bodies are sent.
const BODIES: usize = 1_000;

/// How the client names the model of a generated body, as JSON tokens: what it writes, what the server must read, and
/// what must come back where the server repeats it.
const MODELS: [[&str; 3]; 5] = [
    ["", "", ""],
    [r#""tiny-chat""#, r#""tiny-chat""#, r#""tiny-chat""#],
    [r#""tiny\u002dchat""#, r#""tiny\u002dchat""#, r#""tiny\u002dchat""#],
    [r#""owl/tiny-chat""#, r#""tiny-chat""#, r#""owl/tiny-chat""#],
    [r#""owl\/tiny-ch\u0061t""#, r#""tiny-chat""#, r#""owl/tiny-chat""#],
];

#[test]
fn a_thousand_bodies_arrive_as_they_were_sent() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let mut client = owl.client().await;
        let mut runner = TestRunner::deterministic();
        let bodies = generated_body();
        for nth in 0..BODIES {
            let (before, after) = bodies.new_tree(&mut runner).unwrap().current();
            let [sent, received, returned] = MODELS[nth % MODELS.len()].map(|model| assemble(&before, model, &after));
            client.request("POST", "/v1/unheard/of", &["x-echo-body: 1", JSON], sent.as_bytes()).await.unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!(answer.status, 200, "{sent:?}: {}", answer.text());
            assert_same(&server.next_request().await.body, received.as_bytes(), "what the server got");
            assert_same(&answer.body, returned.as_bytes(), "what the client got");
        }
    });
}

const JSON: &str = "Content-Type: application/json";

#[track_caller]
fn assert_same(seen: &[u8], expect: &[u8], what: &str) {
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(show(seen), show(expect), "{what}");
    assert_eq!(seen, expect, "{what}");
}

/// An object of the members before the model, the model if there is one, and the members after it.
fn assemble(before: &[String], model: &str, after: &[String]) -> String {
    let model = (!model.is_empty()).then(|| format!(" \"model\"\t: {model}"));
    let members: Vec<&str> = before.iter().chain(&model).chain(after).map(String::as_str).collect();
    format!("{{{}}}", members.join(","))
}

fn generated_body() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let members = || prop::collection::vec(member(top_level_key(), value()), 0..6);
    (members(), members())
}

fn space() -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(vec!["", "", "", " ", "  ", "\n", "\r\n\t"])
}

fn member(key: impl Strategy<Value = String>, value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (space(), key, space(), space(), value, space())
        .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"))
}

/// Few keys, so that they often occur twice; none that Owl acts on.
fn top_level_key() -> impl Strategy<Value = String> {
    let keys =
        ["a", "temperature", "n", "", "schlüssel", "\\u0061", "\\ud83e\\udd89", "\\ud800", "Model_", "response_format"];
    prop::sample::select(keys.map(|key| format!("\"{key}\"")).to_vec())
}

fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        " ",
        "  ",
        "é",
        "🦉",
        "日本",
        "\u{2028}",
        "\u{7f}",
        "\\n",
        "\\/",
        "/",
        "\\\"",
        "\\\\",
        "\\u00e9",
        "\\u00E9",
        "\\ud83e\\udd89",
        "\\udd89",
        "\\u0000",
        "tiny-chat!",
        "owl/tiny-chat",
        "{",
        "]",
        "data: ",
    ];
    let pieces = prop::sample::select(pieces.to_vec());
    prop::collection::vec(pieces, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    let numbers = [
        "1.0",
        "1e3",
        "1E+2",
        "0.1e-7",
        "-0",
        "-0.0",
        "0",
        "9223372036854775808",
        "18446744073709551616",
        "1e400",
        "123456789012345678901234567890",
        "3.141592653589793238462643383279502884",
        "2.50",
        "1.7976931348623157e309",
    ];
    prop::sample::select(numbers.to_vec()).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec!["true", "false", "null"]).prop_map(str::to_owned);
    let leaf = prop_oneof![3 => text(), 3 => number(), 1 => words];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let elements = prop::collection::vec((space(), inner.clone(), space()), 0..4);
        let array = elements.prop_map(|elements| {
            let elements: Vec<String> = elements.iter().map(|(a, value, b)| format!("{a}{value}{b}")).collect();
            format!("[{}]", elements.join(","))
        });
        let key = prop_oneof![Just("\"model\"".to_owned()), Just("\"stream\"".to_owned()), text()];
        let members = prop::collection::vec(member(key, inner), 0..4);
        prop_oneof![array, members.prop_map(|members| format!("{{{}}}", members.join(",")))]
    })
}

/// What a server answers to `body` at `path` arrives as from the server itself, but for the model's name.
async fn check_answer(server: &InferenceServer, owl: &Owl, path: &str, body: &str) {
    let mut direct = owl_testkit::Client::connect(server.address()).await.unwrap();
    let expect = direct.post(path, &[], body).await.unwrap();
    assert_eq!(expect.status, 200, "{}", expect.text());
    for (sent, named) in [("tiny-chat", "tiny-chat"), ("owl/tiny-chat", "owl/tiny-chat")] {
        let answer = owl.post(path, &[], &body.replace("tiny-chat", sent)).await;
        let expect_body = renamed(&expect.body, &format!(r#""model":"{named}""#));
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_same(&answer.body, &expect_body, &format!("{path} {sent} {body}"));
        assert_eq!(answer.header("content-type"), expect.header("content-type"));
    }
}

/// The body with each `"model":"tiny-chat"` replaced.
fn renamed(body: &[u8], by: &str) -> Vec<u8> {
    let member = br#""model":"tiny-chat""#;
    let mut renamed = Vec::new();
    let mut rest = body;
    while let Some(at) = rest.windows(member.len()).position(|window| window == member) {
        renamed.extend_from_slice(&rest[..at]);
        renamed.extend_from_slice(by.as_bytes());
        rest = &rest[at + member.len()..];
    }
    renamed.extend_from_slice(rest);
    renamed
}

#[test]
fn answers_arrive_as_the_server_wrote_them() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for text in ["hello", "[[sse-odd]]", "[[utf8]]", "[[think]]", "[[count 2000]]", "[[tool]]"] {
            for stream in [false, true] {
                let chat = format!(
                    r#"{{"model":"tiny-chat","messages":[{{"role":"user","content":"{text}"}}],"stream":{stream},
                        "stream_options":{{"include_usage":true}}}}"#
                );
                check_answer(&server, &owl, "/v1/chat/completions", &chat).await;
                let completion = format!(r#"{{"model":"tiny-chat","prompt":"{text}","stream":{stream}}}"#);
                check_answer(&server, &owl, "/v1/completions", &completion).await;
                let response = format!(r#"{{"model":"tiny-chat","input":"{text}","stream":{stream}}}"#);
                check_answer(&server, &owl, "/v1/responses", &response).await;
            }
        }
        check_answer(&server, &owl, "/v1/embeddings", r#"{"model":"tiny-chat","input":["a","b"]}"#).await;
        check_answer(&server, &owl, "/v1/rerank", r#"{"model":"tiny-chat","query":"q","documents":["a","b"]}"#).await;
        check_answer(&server, &owl, "/v1/images/generations", r#"{"model":"tiny-chat","prompt":"p"}"#).await;
        check_answer(&server, &owl, "/v1/audio/speech", r#"{"model":"tiny-chat","input":"i"}"#).await;
    });
}

/// One of the forms that the OpenAI clients write, with a file that looks like a form itself.
fn form(boundary: &str, model: &str) -> Vec<u8> {
    let mut form = Vec::new();
    form.extend_from_slice(
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"ä \\\"b\\\".wav\"\r\n")
            .as_bytes(),
    );
    form.extend_from_slice(
        b"Content-Type: audio/wav\r\n\r\nRIFF\0\xff\xfe--\r\nmodel\r\n\"model\":\"owl/tiny-chat\"\r\n",
    );
    form.extend_from_slice(
        format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}").as_bytes(),
    );
    form.extend_from_slice(
        format!("\r\n--{boundary}\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nowl/tiny-chat").as_bytes(),
    );
    form.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    form
}

#[test]
fn of_a_form_only_the_model_is_replaced() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for (typed, boundary) in [("----owl7MA4", "----owl7MA4"), ("\"a b\"", "a b")] {
            for (sent, received) in [("tiny-chat", "tiny-chat"), ("owl/tiny-chat", "tiny-chat")] {
                let content_type = format!("Content-Type: multipart/form-data; boundary={typed}");
                let mut client = owl.client().await;
                let path = "/v1/audio/transcriptions";
                client.request("POST", path, &[&content_type], &form(boundary, sent)).await.unwrap();
                let answer = client.response().await.unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                assert_eq!(answer.json()["model"], sent, "{}", answer.text());
                assert_same(&server.next_request().await.body, &form(boundary, received), sent);
            }
        }
    });
}

#[test]
fn other_bodies_and_paths_pass() {
    run(async {
        let loops = (0..40).flat_map(|_| [Step::ReadRequest, Step::answer("{}")]).collect();
        let server = FaultServer::start([loops]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        let mut client = owl.client().await;
        let large = vec![b'x'; 3 << 20];
        let cases: &[(&str, &str, &str, &[u8])] = &[
            ("POST", "/v1/chat/completions?api-version=2024&x=%20%2f&y", "", b"{}"),
            ("POST", "/v1/a//b/%7Etilde/%2F%3F/+;=@:!$&'()*,", "", b""),
            ("GET", "/v1/files", "", b""),
            ("GET", "/v1/files?", "", b""),
            ("GET", "/v1/files?a=1?b=2", "", b""),
            ("GET", "/v1/files/%E6%97%A5%ff%00", "", b""),
            ("GET", "/v1/modelsx", "", b""),
            ("GET", "/v1/trailing/", "", b""),
            ("DELETE", "/v1/models/org/tiny", "", b""),
            ("POST", "/v1/models", "", b"{}"),
            ("DELETE", "/v1/files/1", "", b""),
            ("PUT", "/v1/files/1", "text/plain", b"plain\0text"),
            ("PATCH", "/v1/files/1", "application/octet-stream", &large),
            ("OPTIONS", "/v1/files", "", b""),
            ("BREW", "/v1/coffee", "application/json", b"{\"model\":\"x\"}"),
            ("POST", "/v1/array", "application/json", b"[ 1.0, {\"model\":\"owl/x\"} ]"),
            ("POST", "/v1/text", "application/json", b" \"text\" "),
            ("POST", "/v1/number", "application/json", b"1e3"),
            ("POST", "/v1/null", "application/json", b"null"),
            ("POST", "/v1/form", "application/x-www-form-urlencoded", b"model=owl%2Fx&a=b"),
            ("POST", "/v1/typeless", "", b"{\"model\":\"x\", \"a\":1.0}"),
            ("POST", "/v1/mistyped", "text/plain", b"{\"model\":\"x\", \"a\":1.0}"),
        ];
        for (method, path, content_type, body) in cases {
            let content_type = format!("Content-Type: {content_type}");
            let headers: &[&str] = if content_type.ends_with(' ') { &[] } else { &[&content_type] };
            client.request(method, path, headers, body).await.unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
            let request = server.next_request().await;
            let target =
                request.path.clone() + &request.query.as_ref().map_or(String::new(), |query| format!("?{query}"));
            assert_eq!((request.method.as_str(), target.as_str()), (*method, *path));
            assert!(request.body == *body, "{method} {path}: {:?}", request.body);
        }
    });
}

#[test]
fn a_body_in_pieces_arrives_whole() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let mut client = owl.client().await;
        let head = "POST /v1/x HTTP/1.1\r\nHost: owl\r\nx-echo-body: 1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.send(head).await.unwrap();
        for chunk in ["8\r\n{\"model\"\r\n", "2\r\n:\"\r\n", "e\r\nowl/tiny-chat\"\r\n", "1\r\n}\r\n", "0\r\n\r\n"] {
            client.send(chunk).await.unwrap();
        }
        let answer = client.response().await.unwrap();
        assert_eq!(answer.text(), r#"{"model":"owl/tiny-chat"}"#);
        assert_eq!(server.next_request().await.body, r#"{"model":"tiny-chat"}"#);
    });
}

#[test]
fn bodies_that_two_readers_could_read_differently_are_refused() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        let check = async |body: &str, parts: &[&str]| {
            check_error(&owl.post("/v1/chat/completions", &[], body).await, 400, "invalid_body", parts);
        };
        check(r#"{"model":"tiny-chat","model":"other"}"#, &["\"model\"", "twice", "byte 21"]).await;
        check(r#"{"model":"tiny-chat","mod\u0065l":"other"}"#, &["twice"]).await;
        check(r#"{"stream":true,"stream":false}"#, &["\"stream\"", "twice"]).await;
        check(r#"{"model":1}"#, &["not a string"]).await;
        check(r#"{"model":"a""#, &["byte"]).await;
        check("\u{feff}{\"model\":\"a\"}", &["byte 0"]).await;
        check("{nonsense}", &["byte"]).await;
        let form = ["Content-Type: multipart/form-data; boundary=x"];
        let answer = owl.post("/v1/chat/completions", &form, r#"{"model":"tiny-chat"}"#).await;
        check_error(&answer, 400, "invalid_body", &["two different", "Content-Type"]);
        check(r#"{"model":"a"} {"model":"b"}"#, &["byte"]).await;
        assert_eq!(server.log().requests().len(), 0);
        check_error(&owl.get("/v1/files/../admin", &[]).await, 400, "invalid_path", &["`..`"]);
        check_error(&owl.get("/v1/files/%2e%2E/admin", &[]).await, 400, "invalid_path", &["`..`"]);
        check_error(&owl.get("/v1/files/..%2fadmin", &[]).await, 400, "invalid_path", &["`..`"]);
        check_error(&owl.get("/v2/files", &[]).await, 404, "unknown_url", &["/v2/files"]);
        check_error(&owl.get("/v1", &[]).await, 404, "unknown_url", &[]);
        assert_eq!(server.log().requests().len(), 0);
    });
}

#[test]
fn a_client_that_does_not_read_holds_the_server_up() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let owl = Owl::start(&one_provider(&server.base_url(), "")).await;
        for model in ["tiny-chat", "owl/tiny-chat"] {
            let mut client = owl.client().await;
            let body = chat_body(model, "[[flood]]", true);
            client.request("POST", "/v1/chat/completions", &[JSON], body.as_bytes()).await.unwrap();
            client.head().await.unwrap();
            let connection = server.next_request().await.connection;
            // Were anything collected, the server could go on for ever; so it stands still while others are served.
            let mut still = 0;
            let mut sent = 0;
            while still < 100 {
                assert_eq!(owl.get("/healthz", &[]).await.status, 200);
                let now = server.log().sent(connection);
                still = if now == sent { still + 1 } else { 0 };
                sent = now;
            }
            // Once it reads, the stream goes on where it was.
            let mut text = String::new();
            while !text.contains(" 500\"") {
                text.push_str(std::str::from_utf8(&client.chunk().await.unwrap().unwrap()).unwrap());
            }
            assert!((1..500).all(|n| text.contains(&format!("\" {n}\""))), "{text}");
        }
    });
}

#[test]
fn a_length_beside_chunks_is_not_passed_on() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answer = format!("{head}b\r\n{{\"a\":\"one\"}}\r\n0\r\n\r\n");
        let server =
            FaultServer::start([vec![Step::ReadRequest, Step::send(&answer), Step::ReadRequest, Step::send(&answer)]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        for method in ["GET", "POST"] {
            let mut client = owl.client().await;
            client.request(method, "/v1/x", &[], b"").await.unwrap();
            let answer = client.response().await.unwrap();
            assert_eq!((answer.text().as_str(), answer.header("content-length")), (r#"{"a":"one"}"#, None));
        }
    });
}

#[test]
fn an_answer_with_trailers_is_complete() {
    run(async {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n";
        // It ends where a name could still go on, so that the last bytes come out at the end only.
        let body = r#"{"a":1,"model":"tiny-ch"#;
        let answer = format!("{head}{:x}\r\n{body}\r\n0\r\nX-Checksum: 1\r\n\r\n", body.len());
        let server =
            FaultServer::start([vec![Step::ReadRequest, Step::send(&answer), Step::ReadRequest, Step::send(&answer)]]);
        let owl = Owl::start(&one_provider(&server.origin(), "")).await;
        for (nth, model) in ["tiny-chat", "owl/tiny-chat"].into_iter().enumerate() {
            let id = format!("bytes-trailers-{nth}");
            let sent = format!(r#"{{"model":"{model}"}}"#);
            let answer = owl.post("/v1/x", &[&format!("X-Request-Id: {id}")], &sent).await;
            assert_eq!(answer.text(), body, "{model}");
            let record = Records::of(&id).await;
            assert_eq!((record["outcome"].as_str(), record["bytes_out"].as_str()), ("done", "23"), "{model}");
        }
    });
}

#[test]
fn media_types_are_known_however_they_are_written() {
    run(async {
        for content_type in ["Text/Event-Stream", "TEXT/EVENT-STREAM ; charset=utf-8", "Application/JSON"] {
            let body = if content_type.starts_with('A') {
                r#"{"model":"tiny-chat"}"#
            } else {
                "data: {\"model\":\"tiny-chat\"}\n\n"
            };
            let length = body.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n{body}");
            let server = FaultServer::start([vec![Step::ReadRequest, Step::send(&answer)]]);
            let owl = Owl::start(&one_provider(&server.origin(), "")).await;
            let answer = owl.post("/v1/x", &[], r#"{"model":"owl/tiny-chat"}"#).await;
            assert_eq!(answer.text(), body.replace("tiny-chat", "owl/tiny-chat"), "{content_type}");
        }
    });
}
