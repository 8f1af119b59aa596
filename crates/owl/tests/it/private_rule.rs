//! The rule on private networks, as the program obeys it: it stops before any connection, and says what opens the address.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::{Client, FaultServer, Step};

use crate::support::{Program, run};

/// The program's configuration with these keys of the provider `owl`.
fn config(base_url: &str, more: &str) -> String {
    format!("{{ models: {{ providers: {{ owl: {{ baseUrl: {base_url:?}, {more} }} }} }} }}")
}

async fn check_refused(base_url: &str, more: &str, parts: &[&str]) {
    let ended = Program::serve(&config(base_url, more)).ended().await;
    assert_eq!(ended.status.code(), Some(1), "{base_url} {more}: {}", ended.stderr);
    assert!(!ended.stderr.contains("listening"), "{}", ended.stderr);
    for part in [&["provider owl"], parts].concat() {
        assert!(ended.stderr.contains(part), "{part:?} is not in: {}", ended.stderr);
    }
}

#[test]
fn the_program_stops_before_any_connection() {
    run(async {
        let server = FaultServer::start([vec![Step::Hang]]);
        let port = server.address().port();
        let opens = "allowPrivateNetwork: true";
        check_refused(&server.origin(), "", &["127.0.0.1", "127.0.0.0/8", opens]).await;
        check_refused(&format!("http://localhost:{port}"), "", &["localhost", opens]).await;
        check_refused(&format!("http://[::ffff:127.0.0.1]:{port}"), "", &["127.0.0.0/8", opens]).await;
        check_refused(&format!("http://0x7f.1:{port}"), "", &["127.0.0.1", opens]).await;
        check_refused(&format!("https://[::1]:{port}"), "", &["::1", opens]).await;
        check_refused("http://10.1.2.3:8000", "", &["10.1.2.3", "10.0.0.0/8", opens]).await;
        check_refused("http://192.168.7.20:8000", r#"allowCidrs: ["192.168.8.0/24"]"#, &["192.168.0.0/16", opens])
            .await;
        check_refused("http://vllm:8000", "", &["vllm", opens]).await;
        check_refused("http://169.254.169.254", opens, &["169.254.169.254", r#"allowCidrs: ["169.254.169.254/32"]"#])
            .await;
        check_refused("http://metadata.google.internal", opens, &["metadata.google.internal", "nothing opens it"])
            .await;
        check_refused(&server.origin(), r#"allowPrivateNetwork: true, blockCidrs: ["127.0.0.0/8"]"#, &["blockCidrs"])
            .await;
        check_refused("http://127.0.0.1:6379", opens, &["6379", "allowPorts: [6379]"]).await;
        let token = format!(
            r#"allowPrivateNetwork: true, auth: {{ type: "oauth2", tokenUrl: "{}/token", clientId: "owl", clientSecret: "s" }}"#,
            server.origin()
        );
        check_refused(&server.origin(), &token, &["127.0.0.1", opens]).await;
        let nowhere =
            r#"auth: { type: "oauth2", tokenUrl: "http://nope.invalid/t", clientId: "owl", clientSecret: "s" }"#;
        check_refused("http://10.1.2.3:8000", nowhere, &["10.1.2.3", opens]).await;
        assert_eq!(server.log().opened(), 0);
    });
}

#[test]
fn all_refusals_are_told_at_once() {
    run(async {
        let config = r#"{ models: { providers: { a: { baseUrl: "http://127.0.0.1:1234" }, b: { baseUrl: "http://10.0.0.1:1234" },
            c: { baseUrl: "http://93.184.216.34" } } } }"#;
        let ended = Program::serve(config).ended().await;
        assert_eq!(ended.status.code(), Some(1));
        for (part, is_there) in [("provider a: 127.0.0.1", true), ("provider b: 10.0.0.1", true), ("provider c", false)]
        {
            assert_eq!(ended.stderr.contains(part), is_there, "{}", ended.stderr);
        }
    });
}

#[test]
fn what_opens_an_address() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let port = server.address().port();
        for (host, more) in [
            ("127.0.0.1", "allowPrivateNetwork: true"),
            ("localhost", "allowPrivateNetwork: true"),
            ("localhost", r#"allowHosts: ["localhost"]"#),
            ("127.0.0.1", r#"allowHosts: ["127.0.0.1"]"#),
            ("127.0.0.1", r#"allowCidrs: ["127.0.0.1/32"]"#),
        ] {
            let mut program = Program::serve(&config(&format!("http://{host}:{port}"), more));
            let mut client = Client::connect(program.address().await).await.unwrap();
            let answer = client.post("/v1/x", &[], "{}").await.unwrap();
            assert_eq!(answer.status, 200, "{host} {more}: {}", answer.text());
        }
    });
}

#[test]
fn a_name_that_does_not_resolve_is_a_warning() {
    run(async {
        let server = InferenceServer::start(InferenceOptions::default());
        let mut program = Program::serve(&format!(
            r#"{{ models: {{ providers: {{
                later: {{ baseUrl: "http://name.invalid" }},
                owl: {{ baseUrl: "{}", allowPrivateNetwork: true }},
            }} }} }}"#,
            server.base_url()
        ));
        let address = program.address().await;
        program
            .line(|line| {
                (line.contains("WARN") && line.contains("later") && line.contains("name.invalid")).then_some(())
            })
            .await;
        let mut client = Client::connect(address).await.unwrap();
        let answer = client.post("/v1/embeddings", &[], r#"{"model":"tiny-chat"}"#).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list = client.get("/v1/models", &[]).await.unwrap().json();
        assert_eq!(list["data"][0]["id"], "tiny-chat");
        let ready = client.get("/readyz", &[]).await.unwrap();
        assert_eq!((ready.status, ready.json()["providers"]["later"].as_str()), (200, Some("failing")));
        assert_eq!(ready.json()["providers"]["owl"], "ready");
    });
}
