//! `owl demo`: what it prints works.

use std::net::SocketAddr;

use owl_testkit::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};

use crate::command::{Owl, check_parts, end, run, signal};

/// A demo that has shown all its steps.
struct Demo {
    child: Child,
    address: SocketAddr,
    told: String,
    _rest: BufReader<ChildStdout>,
}

impl Demo {
    async fn start(listen: &str) -> Self {
        let (mut child, _folder) = Owl::new(&["demo", "--listen", listen]).start();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut told = String::new();
        while !told.contains("Requests show up here:") {
            assert_ne!(out.read_line(&mut told).await.unwrap(), 0, "it ended: {told}");
        }
        let (_, rest) = told.split_once("Owl listens on http://").unwrap();
        let address = rest.split(". ").next().unwrap().parse().unwrap();
        Self { child, address, told, _rest: out }
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await.unwrap()
    }

    async fn stop(self) {
        signal(&self.child, "TERM");
        assert!(end(self.child).await.success());
    }
}

/// What stands between two texts.
fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in {text}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end:?} in {rest}")).0
}

#[test]
fn it_shows_the_refusal_and_then_an_answer() {
    run(async {
        let demo = Demo::start("127.0.0.1:0").await;
        let refusal =
            "   owl: provider owl: 127.0.0.1 is in 127.0.0.0/8, loopback; `allowPrivateNetwork: true` opens it\n";
        check_parts(&demo.told, &[refusal, "> What do owls do at night?\nYou ask: ", "as I said it.\n"]);
        demo.stop().await;
    });
}

#[test]
fn the_curl_line_works() {
    run(async {
        let demo = Demo::start("127.0.0.1:0").await;
        let line = demo.told.lines().find(|line| line.starts_with("curl ")).unwrap();
        check_parts(
            line,
            &[&format!("http://{}/v1/chat/completions", demo.address), "-H 'content-type: application/json'"],
        );
        let body = between(line, "-d '", "'");
        let mut client = demo.client().await;
        let answer = client.post("/v1/chat/completions", &[], body).await.unwrap();
        let text = answer.text();
        assert_eq!(answer.status, 200, "{text}");
        check_parts(&text, &[r#""delta":{"content":"Hoo-hoo, "}"#, r#""finish_reason":"stop""#, "data: [DONE]\n\n"]);
        demo.stop().await;
    });
}

#[test]
fn the_server_behind_it_serves_what_clients_try_first() {
    run(async {
        let demo = Demo::start("127.0.0.1:0").await;
        let mut client = demo.client().await;
        let list = client.get("/v1/models", &[]).await.unwrap().json();
        let names: Vec<&str> =
            list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
        assert_eq!(names, ["tiny-owl", "owl/tiny-owl", "tiny-owl-embed", "owl/tiny-owl-embed"]);

        let check = async |client: &mut Client, path: &str, body: Value, status: u16| {
            let answer = client.post(path, &[], &body.to_string()).await.unwrap();
            assert_eq!(answer.status, status, "{}", answer.text());
            answer.json()
        };
        let question = json!([{"role": "user", "content": "one two"}]);
        let whole = json!({"model": "owl/tiny-owl", "messages": question, "max_tokens": 3});
        let answer = check(&mut client, "/v1/chat/completions", whole, 200).await;
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        assert_eq!(answer["usage"], json!({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}));

        let embed = json!({"model": "tiny-owl-embed", "input": ["a", "b", "a"]});
        let answer = check(&mut client, "/v1/embeddings", embed, 200).await;
        let vector = |index: usize| &answer["data"][index]["embedding"];
        assert_eq!(vector(0).as_array().map(Vec::len), Some(8));
        assert!(vector(0) == vector(2) && vector(0) != vector(1));

        let nothing = json!({"model": "tiny-owl", "messages": []});
        check(&mut client, "/v1/chat/completions", nothing, 400).await;
        let unknown = json!({"model": "owl/big-owl", "messages": question});
        check(&mut client, "/v1/chat/completions", unknown, 404).await;
        demo.stop().await;
    });
}

#[test]
fn the_server_behind_it_wants_the_password() {
    run(async {
        let demo = Demo::start("127.0.0.1:0").await;
        let upstream = between(&demo.told, "   http://", "/v1").parse().unwrap();
        for headers in [&[][..], &["Authorization: Basic b3dsOndyb25n"], &["Authorization: Bearer owl"]] {
            let mut client = Client::connect(upstream).await.unwrap();
            let answer = client.get("/v1/models", headers).await.unwrap();
            assert_eq!(answer.status, 401);
            assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"owl demo\", charset=\"UTF-8\""));
        }
        demo.stop().await;
    });
}

#[test]
fn the_configuration_that_it_prints_is_one() {
    run(async {
        let demo = Demo::start("127.0.0.1:0").await;
        let text = between(&demo.told, "run `owl serve`:\n\n", "\n\nOwl listens on");
        let config = owl::config::check_text(text.as_bytes()).unwrap();
        assert_eq!(config.gateway.listen, demo.address);
        assert!(config.providers[0].upstream.rules.allow_private_network);
        // And it is the one that works: the same server answers to it.
        let ended = Owl::new(&["models"]).configured(text).run("").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        check_parts(&ended.stdout, &["tiny-owl        owl       8192\n"]);
        demo.stop().await;
    });
}

#[test]
fn a_port_that_is_taken_is_no_obstacle() {
    run(async {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wanted = taken.local_addr().unwrap();
        let demo = Demo::start(&wanted.to_string()).await;
        check_parts(
            &demo.told,
            &[&format!("({wanted} is taken by another program, so Owl listens on {}.)", demo.address)],
        );
        assert_ne!(demo.address, wanted);
        assert_eq!(demo.client().await.get("/healthz", &[]).await.unwrap().status, 200);
        demo.stop().await;
    });
}

#[test]
fn it_listens_on_loopback_only() {
    run(async {
        let ended = Owl::new(&["demo", "--listen", "0.0.0.0:0"]).run("").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        check_parts(&ended.stderr, &["it listens on loopback only"]);
    });
}

#[test]
fn a_reader_that_had_enough_ends_it_quietly() {
    run(async {
        let (mut child, _folder) = Owl::new(&["demo", "--listen", "127.0.0.1:0"]).start();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 4]).await.unwrap();
        drop(out);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!((end(child).await.code(), said.as_str()), (Some(0), ""));
    });
}
