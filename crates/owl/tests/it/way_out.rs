//! The whole way out, through the program itself: names from the DNS servers that the operator names, every connection
//! through the operator's proxy, and everything that is not public remembered.

use std::net::SocketAddr;

use owl_testkit::client::Client;
use owl_testkit::dns::DnsAnswer;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::proxy::{ConnectProxy, ProxyOptions};
use owl_testkit::web::Answer;
use owl_testkit::{DnsServer, WebServer};
use serde_json::Value;

use crate::support::{Program, owl, run, write};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789";
const CHAT: &str = "/v1/chat/completions";

/// A world in which `pictures.example.com` is public, though all that listens is on loopback.
struct World {
    dns: DnsServer,
    proxy: ConnectProxy,
    pictures: WebServer,
    server: InferenceServer,
}

impl World {
    fn new() -> Self {
        let dns = DnsServer::start();
        let public = "93.184.215.14".parse().expect("an address");
        dns.script("pictures.example.com", [DnsAnswer::addresses(&[public])]);
        dns.script("inside.example.com", [DnsAnswer::addresses(&["10.0.0.1".parse().expect("an address")])]);
        let credentials = Some(("owl".to_owned(), "by night".to_owned()));
        let proxy = ConnectProxy::start(ProxyOptions { credentials, ..ProxyOptions::default() });
        let pictures = WebServer::start();
        pictures.on("/owl.png", Answer::ok(PNG));
        pictures.on("/inside", Answer::redirect(302, "http://10.0.0.1/"));
        let server = InferenceServer::start(InferenceOptions::default());
        proxy.route(SocketAddr::new(public, 80), pictures.address());
        Self { dns, proxy, pictures, server }
    }

    fn config(&self, store: &str) -> String {
        format!(
            r#"{{
              gateway: {{ listen: "127.0.0.1:0", keys: [{{ name: "ci", key: "client-key" }}] }},
              egress: {{
                resolver: {{ servers: ["{}"] }},
                proxy: {{ url: "{}", username: "owl", password: "by night", except: ["127.0.0.0/8"] }},
              }},
              store: "{store}",
              models: {{ providers: {{ owl: {{ baseUrl: "{}", allowPrivateNetwork: true }} }} }},
            }}"#,
            self.dns.address(),
            self.proxy.url(),
            self.server.base_url(),
        )
    }

    fn chat(url: &str) -> String {
        format!(
            r#"{{"model":"tiny-chat","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
        )
    }
}

#[test]
fn a_public_picture_arrives_and_metadata_does_not() {
    run(async {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("owl.db").display().to_string();
        let config = world.config(&store);
        let mut program = Program::serve(&config);
        let mut client = Client::connect(program.address().await).await.unwrap();

        let mut post = async |url: &str, id: &str| {
            let headers = ["Authorization: Bearer client-key".to_owned(), format!("x-request-id: {id}")];
            let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
            client.post(CHAT, &headers, &World::chat(url)).await.unwrap()
        };
        assert_eq!(post("http://pictures.example.com/owl.png", "public").await.status, 200);
        let metadata = post("http://169.254.169.254/latest/meta-data/?token=hidden", "metadata").await;
        assert_eq!(metadata.status, 400, "{}", metadata.text());
        assert_eq!(post("http://inside.example.com/", "inside").await.status, 400);
        assert_eq!(post("http://pictures.example.com/inside", "pivot").await.status, 400);

        let asked = world.server.log().requests();
        let bodies: Vec<String> = asked.iter().map(|request| String::from_utf8_lossy(&request.body).into()).collect();
        let chats: Vec<&String> = bodies.iter().filter(|body| body.contains("messages")).collect();
        assert_eq!(chats.len(), 1, "the server saw the one chat that was let through: {chats:?}");
        assert!(chats[0].contains("data:image/png;base64,"), "{}", chats[0]);
        assert_eq!(world.proxy.asked(), ["93.184.215.14:80", "93.184.215.14:80"]);
        assert_eq!(world.pictures.requests().len(), 2);

        program.terminate();
        assert!(program.ended().await.status.success());
        let path = write(folder.path(), "owl.json5", &config);
        let refused = audited(&path, &["--denied"]).await;
        let of = |id: &str| {
            let record = refused.iter().find(|record| record["request_id"] == id);
            record
                .map(|record| (record["rule"].as_str().unwrap().to_owned(), record["url"].as_str().unwrap().to_owned()))
        };
        let url = "http://169.254.169.254/latest/meta-data/?…(12 bytes)";
        assert_eq!(of("metadata"), Some(("metadata-address".to_owned(), url.to_owned())));
        assert_eq!(of("inside"), Some(("private-address".to_owned(), "http://inside.example.com/".to_owned())));
        assert_eq!(of("pivot").map(|(rule, _)| rule).as_deref(), Some("private-address"));
        assert_eq!(of("public"), None);
        assert!(refused.iter().all(|record| record["key"] == "ci" && record["component"] == "gateway"), "{refused:?}");

        let private = audited(&path, &["--private", "--component", "provider owl"]).await;
        assert!(!private.is_empty(), "one record for each connection to the provider");
        for connection in private {
            let (rule, status) = (&connection["rule"], &connection["status"]);
            assert_eq!((rule, status), (&"allow-private-network".into(), &200.into()), "{connection}");
            assert!(connection["received"].as_u64() > Some(0) && connection["sent"].as_u64() > Some(0), "{connection}");
        }
    });
}

/// The records that `owl audit` shows.
async fn audited(config: &std::path::Path, arguments: &[&str]) -> Vec<Value> {
    let ended = owl(&[&["audit", "--json"], arguments].concat(), config).await;
    assert!(ended.status.success(), "{}", ended.stderr);
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
}
