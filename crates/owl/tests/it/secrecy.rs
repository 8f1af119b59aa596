//! No secret is ever shown: the program runs with canaries for secrets, through success and every failure, and none of
//! them is in what it logs, answers or prints.

use std::net::SocketAddr;
use std::path::Path;

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Authority, Client, Credential, FaultServer, Step, TokenOptions, TokenServer};

use crate::support::{Program, nobody, owl, run, write};

/// Every secret holds this word, in a spelling that survives base64 and form encoding in some shape of [`SHAPES`].
const CANARY: &str = "canary";

/// The word as it is, and the three ways in which base64 can spell it.
const SHAPES: [&str; 4] = [CANARY, "Y2FuYXJ5", "NhbmFye", "jYW5hcn"];

#[track_caller]
fn assert_no_canary(text: &str, whence: &str) {
    for shape in SHAPES {
        assert!(!text.to_lowercase().contains(&shape.to_lowercase()), "{shape} is in {whence}: {text}");
    }
}

/// Servers for all that can happen, and the configuration that leads to them.
struct World {
    good: InferenceServer,
    refusing: InferenceServer,
    tokens: TokenServer,
    _faults: Vec<FaultServer>,
    _secure: InferenceServer,
    _gone: (socket2::Socket, SocketAddr),
    config: String,
    paths: Vec<String>,
}

impl World {
    fn new(folder: &Path, format: &str) -> Self {
        let file = write(folder, "secret", "canary-of-a-file\n").display().to_string();
        let broken = write(folder, "broken", "canary\u{7}broken").display().to_string();
        let good = InferenceServer::start(InferenceOptions::default());
        let refusing = InferenceServer::start(InferenceOptions {
            credential: Credential::Bearer("something else".to_owned()),
            ..InferenceOptions::default()
        });
        let refused = "HTTP/1.1 401 X\r\nContent-Type: application/json\r\n";
        let echo = r#"{"error":{"message":"Incorrect API key provided: canary-key"}}"#;
        let location =
            "HTTP/1.1 307 X\r\nLocation: http://u:canary@other.example/?key=canary#canary\r\nContent-Length: 0\r\n\r\n";
        let faults = [
            vec![Step::ReadRequest],
            vec![Step::ReadRequest, Step::send("nonsense\r\n\r\n")],
            vec![Step::ReadRequest, Step::send(&format!("{refused}Content-Length: {}\r\n\r\n{echo}", echo.len()))],
            vec![Step::ReadRequest, Step::send(location)],
            vec![Step::ReadRequest, Step::Hang],
            vec![Step::ReadRequest, Step::send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), Step::Reset],
        ];
        let faults: Vec<FaultServer> = faults.into_iter().map(|script| FaultServer::start([script])).collect();
        let tls = Some(Authority::new("unknown").server(&["localhost"]).server_tls());
        let secure = InferenceServer::start(InferenceOptions { tls, ..InferenceOptions::default() });
        let tokens = TokenServer::start(TokenOptions::default());
        let gone = nobody();

        let key = r#"apiKey: "canary-key""#.to_owned();
        let (url, token_url) = (good.base_url(), tokens.url());
        let oauth2 = |secret: &str| {
            format!(
                r#"auth: {{ type: "oauth2", tokenUrl: "{token_url}", clientId: "owl", clientSecret: "{secret}", allowPrivateNetwork: true }}"#
            )
        };
        let mut providers = vec![
            ("bearer".to_owned(), url.clone(), key.clone()),
            ("pair".to_owned(), url.clone(), r#"auth: "basic", apiKey: "user:canary""#.to_owned()),
            ("base64".to_owned(), url.clone(), r#"auth: "basic", apiKey: "dXNlcjpjYW5hcnk=""#.to_owned()),
            (
                "basic".to_owned(),
                url.clone(),
                r#"auth: { type: "basic", username: "user", password: "canary-password" }"#.to_owned(),
            ),
            (
                "header".to_owned(),
                url.clone(),
                r#"auth: { type: "header", name: "X-Key", value: "canary-value" }"#.to_owned(),
            ),
            ("extra".to_owned(), url.clone(), r#"headers: { "X-Key": "canary-extra" }"#.to_owned()),
            ("userinfo".to_owned(), url.replace("http://", "http://user:canary-user-info@"), String::new()),
            ("file".to_owned(), url.clone(), format!("apiKey: {{ file: {file:?} }}")),
            ("broken".to_owned(), url.clone(), format!("apiKey: {{ file: {broken:?} }}")),
            (
                "command".to_owned(),
                url.clone(),
                r#"apiKey: { command: ["printf", "canary%s", "-of-a-command"] }"#.to_owned(),
            ),
            (
                "failing".to_owned(),
                url.clone(),
                r#"apiKey: { command: ["sh", "-c", "echo canary; echo canary >&2; exit 3"] }"#.to_owned(),
            ),
            ("oauth2".to_owned(), url.clone(), oauth2("token secret")),
            ("oauth2-refused".to_owned(), url, oauth2("canary-client-secret")),
            ("refusing".to_owned(), refusing.base_url(), key.clone()),
            ("secure".to_owned(), format!("https://localhost:{}", secure.address().port()), key.clone()),
            ("gone".to_owned(), format!("http://user:canary@{}", gone.1), String::new()),
            ("nowhere".to_owned(), "http://user:canary@name.invalid".to_owned(), String::new()),
        ];
        for (nth, fault) in faults.iter().enumerate() {
            providers.push((
                format!("fault{nth}"),
                fault.origin(),
                format!(r#"{key}, timeouts: {{ firstByte: "100ms" }}"#),
            ));
        }
        let entry = |(id, url, more): &(String, String, String)| {
            format!("{id:?}: {{ baseUrl: {url:?}, allowPrivateNetwork: true, {more} }}")
        };
        let entries: Vec<String> = providers.iter().map(entry).collect();
        let config = format!(
            r#"{{ log: {{ format: "{format}", level: "debug" }}, gateway: {{ keys: [{{ name: "ci", key: "canary-gateway-key" }}] }},
                models: {{ providers: {{ {} }} }} }}"#,
            entries.join(", ")
        );
        let paths = providers.into_iter().map(|(id, ..)| id).collect();
        Self { good, refusing, tokens, _faults: faults, _secure: secure, _gone: gone, config, paths }
    }
}

/// What the program answers to one request; only the good ones may be forwarded, and those say nothing.
async fn ask(client: &mut Client, path: &str, headers: &[&str], body: &str) -> String {
    let answer = client.post(path, headers, body).await;
    let Ok(answer) = answer else { return String::new() };
    let head: Vec<String> = answer.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    format!("{} {}\n\n{}", answer.status, head.join("\n"), answer.text())
}

#[test]
fn no_secret_is_logged_or_answered() {
    for format in ["text", "json"] {
        run(async {
            let folder = tempfile::tempdir().unwrap();
            let world = World::new(folder.path(), format);
            let mut program = Program::serve(&world.config);
            let address = program.address().await;
            let key = "Authorization: Bearer canary-gateway-key";
            let mut failures = 0;
            for id in &world.paths {
                for (path, body) in [
                    ("/v1/embeddings", format!(r#"{{"model":"{id}/tiny-chat","input":"canary-prompt"}}"#)),
                    (
                        "/v1/chat/completions",
                        format!(
                            r#"{{"model":"{id}/tiny-chat","messages":[{{"role":"user","content":"[[cut]] canary-prompt"}}],"stream":true}}"#
                        ),
                    ),
                    (
                        "/v1/embeddings?api-key=canary-query",
                        format!(r#"{{"model":"{id}/tiny-chat","model":"canary"}}"#),
                    ),
                ] {
                    let mut client = Client::connect(address).await.unwrap();
                    let headers = [key, "x-api-key: canary-client", "Cookie: canary"];
                    let answer = ask(&mut client, path, &headers, &body).await;
                    failures += usize::from(answer.starts_with("502"));
                    assert_no_canary(&answer, &format!("the answer of {id}"));
                }
            }
            assert!(failures >= 18, "only {failures} failures were seen");
            let mut client = Client::connect(address).await.unwrap();
            for headers in [vec!["Authorization: Bearer canary-wrong"], vec!["x-api-key: canary-wrong"], vec![]] {
                assert_no_canary(&ask(&mut client, "/v1/x", &headers, "{}").await, "a refusal");
            }
            for path in ["/readyz", "/healthz", "/v1/models"] {
                client.request("GET", path, &[key], b"").await.unwrap();
                assert_no_canary(&client.response().await.unwrap().text(), path);
            }
            // The credentials did arrive.
            let shown: Vec<String> = world
                .good
                .log()
                .requests()
                .iter()
                .filter_map(|request| request.header("authorization").map(str::to_owned))
                .collect();
            for scheme in [
                "Bearer canary-key",
                "Bearer canary-of-a-file",
                "Bearer canary-of-a-command",
                "Basic dXNlcjpjYW5hcnk=",
                "Bearer token-",
            ] {
                assert!(shown.iter().any(|value| value.starts_with(scheme)), "{scheme} is not among {shown:?}");
            }
            assert!(!world.refusing.log().requests().is_empty() && world.tokens.issued() > 0);
            program.terminate();
            let ended = program.ended().await;
            assert!(ended.status.success(), "{ended:?}");
            assert!(ended.stderr.lines().count() > world.paths.len() * 3, "{}", ended.stderr);
            for line in ended.stderr.lines() {
                assert_no_canary(line, "the log");
            }
        });
    }
}

#[test]
fn no_secret_is_printed() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let world = World::new(folder.path(), "text");
        let file = write(folder.path(), "owl.json5", &world.config);
        let shown = owl(&["config", "show"], &file).await;
        assert!(shown.status.success(), "{shown:?}");
        // The words of a command are not secrets themselves: only what it prints is.
        let commands = ["canary%s", "-of-a-command", "echo canary"];
        let lines = shown.stdout.lines().filter(|line| !commands.iter().any(|command| line.contains(command)));
        for line in lines {
            assert_no_canary(line, "config show");
        }
        for arguments in [&["config", "check"][..], &["check", "--json"]] {
            let checked = owl(arguments, &file).await;
            assert_no_canary(&checked.stdout, "standard output");
            assert_no_canary(&checked.stderr, "standard error");
        }
        // What is wrong is told without what is there.
        for wrong in [
            r#"{ models: { providers: { owl: { baseUrl: "http://user:canary@[::1", apiKey: "canary" } } } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "ftp://user:canary@host", auth: "canary" } } } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "https://host/?key=canary", apiKey: "canary\n" } } } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "https://host", auth: "basic", apiKey: "canary" } } } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "https://u:canary@host", auth: "bearer", apiKey: "canary" } } } }"#,
            r#"{ gateway: { keys: [{ name: "a", key: "canary 1" }, { name: "b", key: "canary 1" }] } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "https://host", apiKey: "canary } } } }"#,
            r#"{ models: { providers: { owl: { baseUrl: "https://host", apiKey: ["canary"], headers: { "X-A": {x: "canary"} } } } } }"#,
        ] {
            let file = write(folder.path(), "wrong.json5", wrong);
            for arguments in [&["config", "check"][..], &["config", "show"], &["serve"]] {
                let ended = owl(arguments, &file).await;
                assert_eq!(ended.status.code(), Some(2), "{wrong}: {ended:?}");
                assert_no_canary(&ended.stdout, wrong);
                assert_no_canary(&ended.stderr, wrong);
            }
        }
    });
}
