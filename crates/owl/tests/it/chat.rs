//! `owl chat`: what goes to which stream, what the server is asked, how it ends.

use owl_testkit::{ClosedBy, Credential, InferenceServer};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::command::{Owl, check_parts, end, one_model, run, signal};

const SENTENCE: &str = "The small grey owl reads every question twice.";

fn chat(arguments: &[&str], server: &InferenceServer) -> Owl {
    Owl::new(&[&["chat"], arguments].concat()).at(&server.base_url())
}

/// The body of the chat request that a server got.
fn asked(server: &InferenceServer) -> Value {
    let chats = server.log().requests().into_iter().filter(|request| request.path == "/v1/chat/completions");
    chats.last().expect("a chat request").json()
}

#[test]
fn only_the_answer_is_printed() {
    run(async {
        let server = one_model();
        let check = async |prompt: &str, expect: &str| {
            chat(&[prompt], &server).run("").await.check(&format!("{expect}\n"));
        };
        check("hello", SENTENCE).await;
        check("[[think]] hello", SENTENCE).await;
        check("[[utf8]]", "é 🦉 日本語 ñ").await;
        check("[[sse-odd]]", SENTENCE).await;
        check("[[count 3]]", " 1 2 3").await;
    });
}

#[test]
fn the_prompt_comes_from_the_command_line_and_the_pipe() {
    run(async {
        let server = one_model();
        let check = async |arguments: &[&str], stdin: &str, expect: Value| {
            assert_eq!(chat(arguments, &server).run(stdin).await.code, Some(0));
            assert_eq!(asked(&server)["messages"], expect);
        };
        check(&["why", "is", "it?"], "", json!([{"role": "user", "content": "why is it?"}])).await;
        check(&[], "  from\na pipe\n\n", json!([{"role": "user", "content": "  from\na pipe"}])).await;
        check(&["Shorten:"], "a text\n", json!([{"role": "user", "content": "Shorten:\n\na text"}])).await;
        let system = json!([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}]);
        check(&["--system", "Be brief", "hi"], "", system).await;
        assert_eq!(asked(&server)["model"], "tiny-chat");
        assert_eq!(asked(&server)["stream_options"], json!({"include_usage": true}));
    });
}

#[test]
fn the_model_is_named_or_the_first() {
    run(async {
        let server = one_model();
        server.set_models(&["one", "two"]);
        let ended = chat(&["hi"], &server).run("").await;
        assert_eq!(ended.stderr, "note: using one, the first of 2 models; -m names another\n");
        assert_eq!((ended.code, &asked(&server)["model"]), (Some(0), &json!("one")));
        chat(&["-m", "owl/two", "hi"], &server).run("").await.check(&format!("{SENTENCE}\n"));
        assert_eq!(asked(&server)["model"], "two");
        server.set_models(&[]);
        let ended = chat(&["hi"], &server).run("").await;
        ended.check_failure(1, &["owl: provider owl lists no model; -m names one all the same"]);
    });
}

#[test]
fn json_has_the_answer_and_what_is_known_of_it() {
    run(async {
        let server = one_model();
        let ended = chat(&["--json", "[[think]] hi"], &server).run("").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let answer: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(answer["model"], "tiny-chat");
        assert_eq!(answer["content"], SENTENCE);
        assert_eq!(answer["reasoning"], "Perhaps both readings hold here.");
        assert_eq!(answer["finish_reason"], "stop");
        assert_eq!(answer["usage"], json!({"prompt_tokens": 2, "completion_tokens": 8}));
        assert!(answer["seconds"].as_f64() >= answer["seconds_to_first_token"].as_f64(), "{answer}");
    });
}

#[test]
fn what_fails_is_said_in_one_line() {
    run(async {
        let server = one_model();
        let check = async |prompt: &str, parts: &[&str]| {
            chat(&["--json", prompt], &server).run("").await.check_failure(1, parts);
        };
        check("[[error 503]]", &["owl: provider owl: it answered 503: "]).await;
        check("[[html 502]]", &["owl: provider owl (http://127.0.0.1:", "502 Bad Gateway", "the proxy in front"]).await;
        check("[[redirect http://127.0.0.1:1/x]]", &["a redirect to http://127.0.0.1:1/x"]).await;
        check("[[cut]]", &["owl: provider owl: ", "in the middle of its answer"]).await;
        server.answer("/v1/chat/completions", 200, "application/json", "[");
        check("hi", &["owl: provider owl: its answer is not a chat completion: "]).await;
        server.answer("/v1/chat/completions", 400, "application/json", r#"{"detail":"a\u001b[2Jb"}"#);
        check("hi", &["owl: provider owl: it answered 400: a[2Jb\n"]).await;
        server.demand(Credential::Basic("u".to_owned(), "p".to_owned()));
        let wrong = chat(&["-m", "x", "hi"], &server).with("OWL_AUTH", "basic").with("OWL_API_KEY", "u:canary");
        let ended = wrong.run("").await;
        ended.check_failure(1, &["it refused Owl's credential with status 401"]);
        assert!(!ended.stderr.contains("canary"));
    });
}

#[test]
fn a_broken_answer_keeps_what_was_said() {
    run(async {
        let ended = chat(&["[[cut]]"], &one_model()).run("").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "The small\n"));
    });
}

#[test]
fn a_private_address_is_refused_before_anything_connects() {
    run(async {
        let server = one_model();
        let ended = Owl::new(&["chat", "hi"]).with("OWL_BASE_URL", &server.base_url()).run("").await;
        ended.check_failure(1, &["owl: provider owl: 127.0.0.1 is in 127.0.0.0/8", "allowPrivateNetwork: true"]);
        assert_eq!(server.log().opened(), 0);
    });
}

#[test]
fn unknown_models_get_similar_names() {
    run(async {
        let server = one_model();
        let config = format!(
            "{{ models: {{ providers: {{ owl: {{ baseUrl: {:?}, allowPrivateNetwork: true, models: [\"tiny-chat\"] }} }} }} }}",
            server.base_url()
        );
        let ended = Owl::new(&["chat", "-m", "tiny-hat", "hi"]).configured(&config).run("").await;
        ended.check_failure(1, &["no provider has a model named \"tiny-hat\"; did you mean tiny-chat"]);
        let ended = Owl::new(&["chat", "-m", "zzz", "hi"]).configured(&config).run("").await;
        ended.check_failure(1, &["no provider has a model named \"zzz\"; `owl models` lists them"]);
    });
}

#[test]
fn bad_usage_is_exit_code_2() {
    run(async {
        let server = one_model();
        chat(&[], &server).run(" \n").await.check_failure(2, &["there is no prompt"]);
        chat(&["--json"], &server).run("").await.check_failure(2, &["--json needs a prompt"]);
        chat(&[], &server).run(b"\xff").await.check_failure(2, &["is not UTF-8"]);
        let ended = Owl::new(&["chat", "hi"]).run("").await;
        assert_eq!(ended.code, Some(2));
        check_parts(&ended.stderr, &["OWL_BASE_URL"]);
    });
}

#[test]
fn a_reader_that_had_enough_ends_it_quietly() {
    run(async {
        let server = one_model();
        let (mut child, _folder) = chat(&["[[long]]"], &server).start();
        drop(child.stdin.take());
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 4]).await.unwrap();
        drop(out);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!((end(child).await.code(), said.as_str()), (Some(0), ""));
        check_left(&server).await;
    });
}

#[test]
fn an_interrupt_ends_the_answer_upstream_too() {
    run(async {
        let server = one_model();
        // While it waits for the first token, and in the middle of the answer.
        for (prompt, read) in [("[[slow]]", 0), ("[[long]]", 4)] {
            let (mut child, _folder) = chat(&["-m", "tiny-chat", prompt], &server).start();
            drop(child.stdin.take());
            child.stdout.as_mut().unwrap().read_exact(&mut vec![0; read]).await.unwrap();
            let request = server.next_request().await;
            signal(&child, "INT");
            let output = child.wait_with_output().await.unwrap();
            assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(130), &b""[..]), "{prompt}");
            assert_eq!(server.closed(request.connection).await.by, ClosedBy::Peer, "{prompt}");
        }
    });
}

/// Waits until the connection of the last request was closed by Owl.
async fn check_left(server: &InferenceServer) {
    let request = server.log().requests().pop().expect("a request");
    assert_eq!(server.closed(request.connection).await.by, ClosedBy::Peer);
}

#[test]
fn a_model_uses_tools() {
    run(async {
        let server = one_model();
        let web = owl_testkit::WebServer::start();
        let page = owl_testkit::web::Answer::ok("<title>P</title><p>Owls hunt at night.</p>");
        web.on("/p", page.header("Content-Type", "text/html"));
        let config = format!(
            "{{ models: {{ providers: {{ owl: {{ baseUrl: {:?}, allowPrivateNetwork: true }} }} }}, \
             tools: {{ web: {{ fetch: {{ allowHosts: [\"{}\"] }} }} }} }}",
            server.base_url(),
            web.address()
        );
        let plan = json!([
            { "text": "I look.", "calls": [
                { "name": "web_fetch", "arguments": { "url": format!("{}/p", web.origin()) } },
                { "name": "web_fetch", "arguments": { "url": "http://10.0.0.1/" } },
            ] },
            { "text": "At night." },
        ]);
        let question = format!("[[plan {plan}]]");
        let ended = Owl::new(&["chat", "--tools", &question]).configured(&config).run("").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "I look.\nAt night.\n"), "{}", ended.stderr);
        let mut lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("web_fetch ")).collect();
        lines.sort_unstable();
        assert_eq!(lines.len(), 2, "{}", ended.stderr);
        assert!(
            lines[0].contains("\"http://10.0.0.1/\" · 10.0.0.1 is not allowed by the egress policy"),
            "{}",
            lines[0]
        );
        assert!(lines[1].contains("/p\" · done · "), "{}", lines[1]);
        let ended = Owl::new(&["chat", "--tools=web_search", "hi"]).configured(&config).run("").await;
        ended.check_failure(1, &["the tool web_search is not switched on here; there are: web_fetch, image"]);
    });
}

#[test]
fn a_picture_is_shown_to_the_model() {
    run(async {
        let server = one_model();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gif");
        // A GIF of one pixel becomes what every model takes.
        std::fs::write(&file, b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;")
            .unwrap();
        let name = file.to_str().expect("text");
        chat(&["--image", name, "What is it?"], &server).run("").await.check("I see an image.\n");
        let content = &asked(&server)["messages"][0]["content"];
        assert_eq!(content[0], json!({ "type": "text", "text": "What is it?" }));
        assert!(content[1]["image_url"]["url"].as_str().is_some_and(|url| url.starts_with("data:image/")), "{content}");
        std::fs::write(&file, "no picture").unwrap();
        chat(&["--image", name, "What is it?"], &server).run("").await.check_failure(2, &["cannot be used", "PNG"]);
        chat(&["--image", "/none.png", "What is it?"], &server).run("").await.check_failure(2, &["/none.png"]);
        chat(&["--continue", "hi"], &server).run("").await.check_failure(2, &["no conversation is kept yet"]);
    });
}
