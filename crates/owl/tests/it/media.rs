//! URLs that a client puts into a request: what is refused reaches nobody, what is fetched arrives as the content itself, and
//! everything else arrives byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use owl_testkit::client::RawResponse;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{ClosedBy, FaultServer, Step};

use crate::support::{Owl, Records, check_error, nobody, run, with_gateway};

const CHAT: &str = "/v1/chat/completions";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789";
const WAV: &[u8] = b"RIFF\x10\0\0\0WAVEfmt ";
const PDF: &[u8] = b"%PDF-1.7 x";
/// What lets the pages of these tests be fetched: they listen on loopback.
const OPEN: &str = "allowPrivateNetwork: true";

/// A chat whose second part is `part`, spelt so that any rewriting shows.
fn chat(part: &str) -> String {
    format!(
        r#"{{ "model":"tiny-chat","n" : 1.0, "messages":[{{"role":"user","content":[{{"type":"text","text":"see http://169.254.169.254/"}}, {part}]}}],"x":1e2 }}"#
    )
}

fn image(url: &str) -> String {
    chat(&format!(r#"{{"type":"image_url","image_url":{{"url":"{url}"}}}}"#))
}

/// A complete answer.
fn page(status: &str, headers: &str, content: &[u8]) -> Vec<Step> {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", content.len());
    vec![Step::ReadRequest, Step::Send(Bytes::from([head.as_bytes(), content].concat()))]
}

fn found(content: &[u8]) -> Vec<Step> {
    page("200 OK", "Content-Type: text/html\r\n", content)
}

fn data_url(media_type: &str, content: &[u8]) -> String {
    format!("data:{media_type};base64,{}", STANDARD.encode(content))
}

/// Owl with these keys of `gateway`, in front of an inference server.
async fn start(gateway: &str) -> (InferenceServer, Owl) {
    let server = InferenceServer::start(InferenceOptions::default());
    let owl = Owl::start(&with_gateway(&server.base_url(), gateway)).await;
    (server, owl)
}

/// Checks that a chat is refused, that `param` says which part it is about, and that nothing reached the server.
async fn check_refused(gateway: &str, body: &str, status: u16, code: &str, param: Option<&str>, parts: &[&str]) {
    let (server, owl) = start(gateway).await;
    for body in [body.to_owned(), body.replacen('{', r#"{"stream":true,"#, 1)] {
        let answer = owl.post(CHAT, &[], &body).await;
        check_error(&answer, status, code, parts);
        assert_eq!(answer.json()["error"]["param"].as_str(), param, "{}", answer.text());
        for hidden in ["hidden", "secret", "resolved"] {
            assert!(!answer.text().contains(hidden), "{}", answer.text());
        }
    }
    assert!(server.log().requests().is_empty(), "the server was asked: {body}");
}

/// Checks what the server gets in place of a chat's part, and that the rest is as it was sent.
async fn check_arrives(gateway: &str, sent: &str, received: &str) {
    let (server, owl) = start(gateway).await;
    let answer = owl.post(CHAT, &["x-echo-body: 1"], sent).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = server.next_request().await.body;
    assert_eq!(String::from_utf8_lossy(&seen), received);
    assert_eq!(answer.text(), received);
}

const URL: &str = "messages[0].content[1].image_url.url";

#[test]
fn cloud_metadata_is_never_fetched() {
    run(async {
        for gateway in ["", OPEN] {
            let url = "http://169.254.169.254/latest/meta-data/?hidden=1";
            let parts = [URL, "http://169.254.169.254/latest/meta-data/?…(8 bytes)", "not allowed", "data: URL"];
            check_refused(gateway, &image(url), 400, "url_refused", Some(URL), &parts).await;
            let url = "http://metadata.google.internal/computeMetadata/v1/";
            check_refused(gateway, &image(url), 400, "url_refused", Some(URL), &["metadata.google.internal"]).await;
        }
    });
}

#[test]
fn private_addresses_are_closed_by_default() {
    run(async {
        let pages = FaultServer::start([found(PNG)]);
        let port = pages.address().port();
        for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "2130706433", "[::ffff:127.0.0.1]"] {
            let url = format!("http://{host}:{port}/a");
            check_refused("", &image(&url), 400, "url_refused", Some(URL), &[URL, "not allowed"]).await;
        }
        for spelling in [r"\u0068ttp:\/\/", "HTTP://", r" \nht\ttp:\\\\", "http:"] {
            let url = format!("{spelling}127.0.0.1:{port}/a");
            check_refused("", &image(&url), 400, "url_refused", Some(URL), &["127.0.0.1"]).await;
        }
        check_refused("", &image("http://10.0.0.1/"), 400, "url_refused", Some(URL), &["10.0.0.1"]).await;
        check_refused("", &image("http://user:secret@example.com/"), 400, "url_refused", Some(URL), &[URL]).await;
        assert_eq!(pages.log().opened(), 0);
    });
}

#[test]
fn other_schemes_are_not_passed_on() {
    run(async {
        for (url, scheme) in [
            ("file:///etc/passwd", "file"),
            ("FTP://h/hidden", "ftp"),
            ("s3://hidden", "s3"),
            ("gs://hidden", "gs"),
            ("httpx://hidden", "httpx"),
            ("//hidden.example/a", "//"),
        ] {
            for gateway in ["", OPEN, "media: 'refuse'"] {
                check_refused(gateway, &image(url), 400, "url_refused", Some(URL), &[URL, scheme]).await;
            }
            let body = image(url);
            check_arrives("media: 'forward'", &body, &body).await;
        }
    });
}

#[test]
fn every_shape_is_seen() {
    run(async {
        let (server, owl) = start("").await;
        for (path, body, param) in [
            (
                "/v1/responses",
                r#"{"input":[{"content":[{"type":"input_image","image_url":"http://10.0.0.1/"}]}]}"#,
                "input[0].content[0].image_url",
            ),
            (
                "/v1/responses",
                r#"{"input":[{"content":[{"type":"input_file","file_url":"http://10.0.0.1/"}]}]}"#,
                "input[0].content[0].file_url",
            ),
            (
                "/v1/messages",
                r#"{"messages":[{"content":[{"type":"image","source":{"type":"url","url":"http://10.0.0.1/"}}]}]}"#,
                "messages[0].content[0].source.url",
            ),
            ("/v1/rerank", r#"{"query":"q","documents":[{"image":"http://10.0.0.1/"}]}"#, "documents[0].image"),
            ("/v1/embeddings", r#"{"input":[{"image":"http://10.0.0.1/"}]}"#, "input[0].image"),
            ("/v1/images/edits", r#"{"im\u0061ge":"http://10.0.0.1/"}"#, r#"["im\u0061ge"]"#),
            ("/v1/any", r#"[{"image_url":"data:,","image_url":"http://10.0.0.1/"}]"#, "[0].image_url"),
        ] {
            let answer = owl.post(path, &[], body).await;
            if path == "/v1/messages" {
                // Anthropic's clients get their own shape, which has no `param`.
                let told = answer.json();
                assert_eq!((answer.status, &told["error"]["type"]), (400, &"invalid_request_error".into()));
                assert!(told["error"]["message"].as_str().is_some_and(|message| message.starts_with(param)), "{told}");
                continue;
            }
            check_error(&answer, 400, "url_refused", &[param, "10.0.0.1"]);
            assert_eq!(answer.json()["error"]["param"], param);
        }
        assert!(server.log().requests().is_empty());
    });
}

/// llama.cpp reads a body as JSON whatever its type says, and takes a byte order mark with it; FastAPI reads UTF-16.
#[test]
fn a_body_that_only_hides_that_it_is_json_is_not_passed_on() {
    run(async {
        let (server, owl) = start("").await;
        let body = image("http://169.254.169.254/");
        let utf16: Vec<u8> = body.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = ["\u{feff}", &body].concat().into_bytes();
        for bytes in [marked, [b"\xfe\xff", utf16.as_slice()].concat(), utf16] {
            for header in ["Content-Type: text/plain", "Content-Type: application/json", "x: y"] {
                let mut client = owl.client().await;
                client.request("POST", CHAT, &[header], &bytes).await.unwrap();
                check_error(&client.response().await.unwrap(), 400, "invalid_body", &[]);
            }
        }
        assert!(server.log().requests().is_empty());
    });
}

/// Posts with these headers and no others.
async fn post_as(owl: &Owl, path: &str, headers: &[&str], body: &str) -> RawResponse {
    let mut client = owl.client().await;
    client.request("POST", path, headers, body.as_bytes()).await.unwrap();
    client.response().await.unwrap()
}

/// Some servers decode what is compressed, read an array or JSON in front of a form, or do not look at the type at all.
#[test]
fn what_some_servers_would_read_all_the_same_is_not_passed_on() {
    run(async {
        let (server, owl) = start("").await;
        let body = image("http://169.254.169.254/");
        let post = async |headers: &[&str], body: &str, code: &str, parts: &[&str]| {
            check_error(&post_as(&owl, CHAT, headers, body).await, 400, code, parts);
        };
        for plain in ["Content-Type: text/plain", "Content-Type: application/octet-stream", "x: y"] {
            for coding in ["gzip", "x-gzip, br", "Identity, gzip"] {
                let coding = format!("Content-Encoding: {coding}");
                post(&[plain, &coding], "\u{1f}compressed", "invalid_body", &["Content-Encoding"]).await;
            }
        }
        for plain in ["Content-Type: text/plain", "x: y"] {
            post(&[plain], &format!("[{body}]"), "url_refused", &["[0].messages"]).await;
        }
        let form = "Content-Type: multipart/form-data; boundary=x";
        post(&[form], &format!("{body}\r\n--x--\r\n"), "invalid_body", &["form", "JSON"]).await;
        let mistyped = ["Content-Type: application/json; é"];
        post(&mistyped, &format!("/**/{body}"), "invalid_body", &["JSON"]).await;
        assert!(server.log().requests().is_empty());
        assert_eq!(owl.post(CHAT, &["Content-Encoding: identity"], &chat("{}")).await.status, 200);
    });
}

/// Endpoints for pictures and films take a URL in a form's field, too, and fetch it.
#[test]
fn urls_in_forms_are_not_passed_on() {
    run(async {
        let form = |field: &str, content: &str| {
            let part =
                |name, content| format!("--x\r\nContent-Disposition: form-data; name={name}\r\n\r\n{content}\r\n");
            format!("{}{}--x--\r\n", part("model", "tiny-chat"), part(field, content))
        };
        let kind = "Content-Type: multipart/form-data; boundary=x";
        for gateway in ["", OPEN, "media: 'refuse'"] {
            let (server, owl) = start(gateway).await;
            for (field, url) in [("url", "http://169.254.169.254/a?hidden=1"), ("image[]", "file:///hidden")] {
                let answer = post_as(&owl, "/v1/images/edits", &[kind], &form(field, url)).await;
                check_error(&answer, 400, "url_refused", &[field]);
                assert_eq!(answer.json()["error"]["param"].as_str(), Some(field));
                assert!(!answer.text().contains("hidden"), "{}", answer.text());
            }
            assert!(server.log().requests().is_empty());
        }
        let (_server, owl) = start("media: 'forward'").await;
        let passed = form("url", "http://169.254.169.254/");
        assert_eq!(post_as(&owl, "/v1/images/edits", &[kind, "x-echo-body: 1"], &passed).await.text(), passed);
        let (_server, owl) = start("").await;
        for (field, content) in [("prompt", "http://h/"), ("image", "data:image/png;base64,iVBO")] {
            let passed = form(field, content);
            assert_eq!(post_as(&owl, "/v1/images/edits", &[kind, "x-echo-body: 1"], &passed).await.text(), passed);
        }
    });
}

#[test]
fn without_a_url_nothing_changes() {
    run(async {
        let data = image(&data_url("image/png", PNG));
        let others = [data.as_str(), r#"{"model":"tiny-chat","input":"http://169.254.169.254/"}"#];
        let tools = r#"{"tools":[{"image_url":"http://169.254.169.254/"}],"metadata":{"image":"http://10.0.0.1/"}}"#;
        for body in others.into_iter().chain([tools, r#"{"images":["iVBORw0KGgo=","file-1","a.png"]}"#]) {
            for gateway in ["", OPEN, "media: 'refuse'", "media: 'forward'"] {
                check_arrives(gateway, body, body).await;
            }
        }
    });
}

#[test]
fn modes() {
    run(async {
        let pages = FaultServer::start([found(PNG)]);
        let body = image(&pages.origin());
        let refuse = format!("{OPEN}, media: 'refuse'");
        check_refused(&refuse, &body, 400, "url_refused", Some(URL), &[URL, "data: URL"]).await;
        check_arrives(&format!("{OPEN}, media: 'forward'"), &body, &body).await;
        assert_eq!(pages.log().opened(), 0);
    });
}

#[test]
fn what_a_url_leads_to_takes_its_place() {
    run(async {
        for (part, content, expect) in [
            (r#"{"type":"image_url","image_url":{"url":URL,"detail":"low"}}"#, PNG, data_url("image/png", PNG)),
            (r#"{"type":"image_url","image_url": URL }"#, PNG, data_url("image/png", PNG)),
            (r#"{"input_audio":{"data":URL,"format":"wav"},"type":"input_audio"}"#, WAV, STANDARD.encode(WAV)),
            (r#"{"type":"file","file":{"file_url":URL}}"#, PDF, data_url("application/pdf", PDF)),
            (r#"{"type":"file","file":{"file_data":URL}}"#, b"a,b\n1,2", data_url("text/html", b"a,b\n1,2")),
            (r#"{"type":"image","source":{"type":"url","url":URL}}"#, PNG, data_url("image/png", PNG)),
        ] {
            let pages = FaultServer::start([found(content)]);
            let url = format!("\"{}/a?b=c#d\"", pages.origin());
            let sent = chat(&part.replace("URL", &url));
            let received = chat(&part.replace("URL", &format!("\"{expect}\"")));
            check_arrives(OPEN, &sent, &received).await;
            let asked = pages.next_request().await;
            assert_eq!(
                (asked.method.as_str(), asked.path.as_str(), asked.query.as_deref()),
                ("GET", "/a", Some("b=c"))
            );
            for header in ["authorization", "cookie", "x-echo-body", "x-request-id", "referer"] {
                assert_eq!(asked.header(header), None, "{header}");
            }
        }
    });
}

#[test]
fn many_urls_of_one_request() {
    run(async {
        let pages = FaultServer::start([found(PNG)]);
        let (server, owl) = start(&format!("{OPEN}, media: {{ maxCount: 12 }}")).await;
        let body = |value: &dyn Fn(usize) -> String| {
            let images: Vec<String> = (0..12).map(value).collect();
            format!(r#"{{"model" : "owl/tiny-chat","images":[{}]}}"#, images.join(" , "))
        };
        // Six URLs, each of them twice.
        let sent = body(&|nth| format!("\"{}/{}\"", pages.origin(), nth % 6));
        let answer = owl.post("/v1/x", &["X-Request-Id: media-many"], &sent).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let expect = body(&|_| format!("\"{}\"", data_url("image/png", PNG))).replace("owl/tiny-chat", "tiny-chat");
        let asked = server.next_request().await;
        assert_eq!(String::from_utf8_lossy(&asked.body), expect);
        assert_eq!(asked.header("content-length"), Some(expect.len().to_string().as_str()));
        assert_eq!(pages.log().requests().len(), 6, "each URL is fetched once");
        let record = Records::of("media-many").await;
        assert_eq!((record["media_count"].as_str(), record["media_bytes"].as_str()), ("12", "216"));
        assert_eq!(record["bytes_in"], sent.len().to_string());
    });
}

#[test]
fn streams_get_it_too() {
    run(async {
        let pages = FaultServer::start([found(PNG)]);
        let (server, owl) = start(OPEN).await;
        let body = image(&pages.origin()).replacen('{', r#"{"stream":true,"#, 1);
        let answer = owl.post(CHAT, &[], &body).await;
        assert!(answer.text().starts_with("data: "), "{}", answer.text());
        let seen = server.next_request().await.json();
        assert_eq!(seen["messages"][0]["content"][1]["image_url"]["url"], data_url("image/png", PNG));
    });
}

#[test]
fn a_redirect_leads_nowhere_that_the_url_may_not() {
    run(async {
        for target in [
            "http://169.254.169.254/latest/meta-data/?hidden",
            "http://metadata.google.internal/hidden",
            "file:///etc/passwd",
        ] {
            let pages = FaultServer::start([page("302 Found", &format!("Location: {target}\r\n"), b"")]);
            check_refused(OPEN, &image(&pages.origin()), 400, "url_refused", Some(URL), &[URL]).await;
        }
        let to = FaultServer::start([found(PNG)]);
        let pages = FaultServer::start([page("302 Found", &format!("Location: {}/b\r\n", to.origin()), b"")]);
        check_arrives(OPEN, &image(&pages.origin()), &image(&data_url("image/png", PNG))).await;
    });
}

#[test]
fn what_came_is_something_else() {
    run(async {
        let html = b"<!DOCTYPE html><p>hidden";
        for (steps, parts) in [
            (found(html), ["an HTML page", "24 bytes"]),
            (page("200 OK", "Content-Type: image/png\r\n", html), ["an image was expected", "an HTML page"]),
            (found(b"hidden"), ["text came", "6 bytes"]),
            (found(b"<svg>hidden</svg>"), ["SVG", "PNG"]),
            (found(WAV), ["audio/wav", "16 bytes"]),
            (found(b""), ["nothing", URL]),
            (page("404 Not Found", "", PNG), ["404", URL]),
            (page("204 No Content", "", b""), ["204", URL]),
            (page("500 Oh", "", html), ["500", URL]),
        ] {
            let pages = FaultServer::start([steps]);
            check_refused(OPEN, &image(&pages.origin()), 400, "url_fetch_failed", Some(URL), &parts).await;
        }
    });
}

#[test]
fn limits() {
    run(async {
        let large = [PNG, &[0; 2000]].concat();
        let pages = FaultServer::start([found(&large)]);
        let two = chat(&format!(r#"{{"images":["{0}/a","{0}/b"]}}"#, pages.origin()));
        let settings = |media: &str| format!("{OPEN}, media: {{ {media} }}");
        let check = async |media: &str, body: &str, code: &str, param: Option<&str>, part: &str| {
            check_refused(&settings(media), body, 400, code, param, &[part]).await;
        };
        check("maxBytes: '2000B'", &image(&pages.origin()), "url_too_large", Some(URL), "gateway.media.maxBytes").await;
        let one = chat(&format!(r#"{{"images":["{0}/a","{0}/a"]}}"#, pages.origin()));
        let second = Some("messages[0].content[1].images[1]");
        check("maxTotalBytes: '3KiB'", &one, "url_too_large", second, "gateway.media.maxTotalBytes").await;
        check("maxCount: 1", &two, "too_many_urls", None, "gateway.media.maxCount").await;
        let expect = two.replace(&format!("{}/a", pages.origin()), &data_url("image/png", &large));
        let expect = expect.replace(&format!("{}/b", pages.origin()), &data_url("image/png", &large));
        check_arrives(&settings("maxCount: 2, maxBytes: '2018B', maxTotalBytes: '4036B'"), &two, &expect).await;
    });
}

#[test]
fn servers_that_do_not_answer() {
    run(async {
        let (_held, address) = nobody();
        let body = image(&format!("http://{address}/"));
        check_refused(OPEN, &body, 502, "url_fetch_failed", Some(URL), &[URL, "connection refused"]).await;
        let pages = FaultServer::start([vec![Step::ReadRequest, Step::send("nonsense\r\n\r\n")]]);
        check_refused(OPEN, &image(&pages.origin()), 502, "url_fetch_failed", Some(URL), &["not HTTP"]).await;
        let pages = FaultServer::start([vec![Step::ReadRequest, Step::Hang]]);
        let soon = format!("{OPEN}, media: {{ timeout: '100ms' }}");
        let (server, owl) = start(&soon).await;
        let answer = owl.post(CHAT, &[], &image(&pages.origin())).await;
        check_error(&answer, 504, "url_fetch_failed", &[URL, "within"]);
        assert!(server.log().requests().is_empty());
    });
}

#[test]
fn a_client_that_goes_away_ends_the_fetch() {
    run(async {
        let pages = FaultServer::start([vec![Step::ReadRequest, Step::Hang]]);
        let (server, owl) = start(OPEN).await;
        let mut client = owl.client().await;
        let body = image(&pages.origin());
        client.request("POST", CHAT, &["X-Request-Id: media-gone"], body.as_bytes()).await.unwrap();
        let fetch = pages.next_request().await;
        drop(client);
        assert_eq!(pages.closed(fetch.connection).await.by, ClosedBy::Peer);
        assert_eq!(Records::of("media-gone").await["outcome"], "client_gone");
        assert!(server.log().requests().is_empty());
    });
}

#[test]
fn too_often() {
    run(async {
        let pages = FaultServer::start([found(PNG)]);
        let server = InferenceServer::start(InferenceOptions::default());
        let config = with_gateway(&server.base_url(), OPEN);
        let once = "egress: { rateLimit: { perPrivateDestination: { rate: '1/min', burst: 1 } } }, gateway:";
        let owl = Owl::start(&config.replacen("gateway:", once, 1)).await;
        assert_eq!(owl.post(CHAT, &[], &image(&pages.origin())).await.status, 200);
        let answer = owl.post(CHAT, &[], &image(&pages.origin())).await;
        check_error(&answer, 429, "rate_limited", &[URL]);
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert_eq!(pages.log().opened(), 1);
    });
}
