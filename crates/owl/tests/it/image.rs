//! The tool `image`: where pictures come from, what is done to them, and who looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use owl::context::RequestContext;
use owl::gateway::ToolRequest;
use owl::tools::{Asker, Content, Silent, ToolError, ToolFault, ToolResult};
use owl_testkit::fault::Step;
use owl_testkit::inference::{InferenceOptions, InferenceServer};
use owl_testkit::web::{Answer, WebServer};
use serde_json::{Value, json};

use crate::support::{Owl, run};

/// An uncompressed picture of this size, every pixel grey.
pub(crate) fn bmp(width: u32, height: u32) -> Vec<u8> {
    let row = (width * 3).next_multiple_of(4);
    let size = row * height;
    let mut bytes = b"BM".to_vec();
    for field in [54 + size, 0, 54, 40, width, height] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(&[1, 0, 24, 0]);
    for field in [0, size, 2835, 2835, 0, 0] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.resize(bytes.len() + size as usize, 0x80);
    bytes
}

fn data_url(bytes: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(bytes))
}

/// A server whose model sees, pictures on the web, and Owl between them.
struct World {
    server: InferenceServer,
    web: WebServer,
    owl: Owl,
}

impl World {
    /// `image` are the keys of `tools.image`; `MODEL` in them names the model.
    async fn new(image: &str) -> Self {
        let server = InferenceServer::start(InferenceOptions::default());
        let web = WebServer::start();
        web.on("/owl.bmp", Answer::ok(bmp(40, 20)).header("Content-Type", "image/jpeg"));
        let image = image.replace("MODEL", r#"model: "owl/tiny-chat""#);
        let config = format!(
            "{{ models: {{ providers: {{ owl: {{ baseUrl: {:?}, allowPrivateNetwork: true }} }} }}, \
             tools: {{ image: {{ {image} }} }} }}",
            server.base_url()
        );
        let owl = Owl::start(&config).await;
        Self { server, web, owl }
    }

    async fn ask(&self, arguments: Value) -> Result<ToolResult, ToolError> {
        self.owl.tool("image", arguments).await
    }

    /// The same for somebody who sees.
    async fn show(&self, arguments: Value) -> Result<ToolResult, ToolError> {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        let asked = ToolRequest {
            name: "image",
            arguments: &arguments,
            asker: Asker::Model,
            sees: true,
            progress: &Silent,
            approval: None,
        };
        self.owl.gateway().call_tool(&RequestContext::local(), asked).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.web.origin())
    }

    /// What the model was asked.
    fn asked(&self) -> Vec<Value> {
        let requests = self.server.log().requests();
        let bodies = requests.iter().filter(|request| !request.body.is_empty());
        bodies.map(|request| serde_json::from_slice(&request.body).expect("JSON")).collect()
    }
}

fn code(result: Result<ToolResult, ToolError>) -> &'static str {
    result.expect_err("a failure").code
}

#[test]
fn a_vision_model_looks() {
    run(async {
        let world = World::new("MODEL").await;
        let result =
            world.ask(json!({ "prompt": "How many?", "image": data_url(&bmp(4, 2)) })).await.expect("an answer");
        let [Content::Text(text)] = result.content.as_slice() else { panic!("{result:?}") };
        assert!(text.contains("I see an image."), "{text}");
        assert_eq!(result.details["model"], "owl/tiny-chat");
        let picture = &result.details["images"][0];
        assert_eq!(
            (&picture["width"], &picture["height"], &picture["source"]),
            (&4.into(), &2.into(), &"data:".into())
        );
        assert_eq!(picture["original"]["mediaType"], "image/bmp", "what the bytes are, not what the URL says");

        let asked = world.asked();
        let content = &asked[0]["messages"][0]["content"];
        assert_eq!(content[1]["text"], "How many?");
        let url = content[0]["image_url"]["url"].as_str().expect("a URL");
        assert!(url.starts_with("data:image/png;base64,") || url.starts_with("data:image/jpeg;base64,"), "{url}");

        // By its other name, without a prompt, and with another model.
        let arguments = json!({ "images": [data_url(&bmp(4, 2)), data_url(&bmp(2, 4))], "model": "tiny-chat" });
        let result = world.owl.tool("image_tool", arguments).await.expect("an answer");
        assert_eq!(result.details["images"].as_array().map(Vec::len), Some(2));
        assert_eq!(world.asked()[1]["messages"][0]["content"].as_array().map(Vec::len), Some(3));
    });
}

#[test]
fn who_sees_gets_the_picture() {
    run(async {
        let world = World::new("").await;
        let result = world.show(json!({ "image": data_url(&bmp(4, 2)) })).await.expect("a picture");
        let [Content::Picture { data, media_type }] = result.content.as_slice() else { panic!("{result:?}") };
        assert_eq!(*media_type, "image/png");
        assert!(data.starts_with(b"\x89PNG"));
        let error = world.ask(json!({ "image": data_url(&bmp(4, 2)) })).await.expect_err("nobody looks");
        assert_eq!((error.fault, error.code), (ToolFault::Configuration, "no_vision_model"));
        assert!(error.hint.is_some_and(|hint| hint.contains("tools.image.model")));
        assert_eq!(world.asked(), Vec::<Value>::new());
    });
}

#[test]
fn the_private_network_is_closed_until_it_is_opened() {
    run(async {
        let closed = World::new("MODEL").await;
        let url = closed.url("/owl.bmp");
        let error = closed.ask(json!({ "image": url })).await.expect_err("closed");
        assert_eq!((error.fault, error.code), (ToolFault::Refused, "url_refused"));
        assert!(!error.message.contains("allowPrivateNetwork"), "a model is told no key: {}", error.message);
        assert!(error.for_operator.is_some_and(|text| text.starts_with("tools.image: ")));
        assert_eq!(closed.web.requests().len(), 0);
        let widened = closed.ask(json!({ "image": url, "allowPrivateNetwork": true })).await;
        assert_eq!(code(widened), "invalid_arguments");
        let schema = &closed.owl.gateway().tools().get("image").expect("the tool").definition().parameters;
        assert!(schema["properties"].get("allowPrivateNetwork").is_none());

        let open = World::new("MODEL, allowPrivateNetwork: true").await;
        let url = open.url("/owl.bmp");
        let result = open.ask(json!({ "image": url })).await.expect("a picture");
        assert_eq!(result.details["images"][0]["source"], url.as_str());
        assert_eq!(code(open.ask(json!({ "image": url, "allowPrivateNetwork": false })).await), "url_refused");
        open.ask(json!({ "image": url, "allowPrivateNetwork": true })).await.expect("as granted");
        assert_eq!(open.web.requests().len(), 2);
        let schema = &open.owl.gateway().tools().get("image").expect("the tool").definition().parameters;
        assert_eq!(schema["properties"]["allowPrivateNetwork"]["type"], "boolean");
    });
}

#[test]
fn paths_lie_below_the_roots() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("owl.bmp"), bmp(4, 2)).unwrap();
        let world = World::new(&format!("MODEL, roots: [{:?}]", folder.path())).await;
        let absolute = folder.path().join("owl.bmp").display().to_string();
        world.ask(json!({ "image": absolute })).await.expect("a picture");
        world.ask(json!({ "image": "owl.bmp" })).await.expect("a picture");
        assert_eq!(code(world.ask(json!({ "image": "/etc/hostname" })).await), "path_refused");
        assert_eq!(code(world.ask(json!({ "image": "file:///etc/hostname" })).await), "invalid_arguments");
        let none = World::new("MODEL").await;
        assert_eq!(code(none.ask(json!({ "image": absolute })).await), "path_refused");
    });
}

#[test]
fn limits_hold() {
    run(async {
        let world = World::new("MODEL, allowPrivateNetwork: true, maxSide: 64, maxBytes: \"4KiB\", maxImages: 2").await;
        let result = world.ask(json!({ "image": data_url(&bmp(128, 4)) })).await.expect("a picture");
        let picture = &result.details["images"][0];
        assert_eq!((&picture["width"], &picture["height"]), (&64.into(), &2.into()), "{picture}");
        assert_eq!(picture["original"]["width"], 128);
        assert_eq!(code(world.ask(json!({ "image": data_url(&bmp(50, 50)) })).await), "image_too_large");
        world.web.on("/large", Answer::ok(bmp(50, 50)));
        assert_eq!(code(world.ask(json!({ "image": world.url("/large") })).await), "body_too_large");
        let one = data_url(&bmp(1, 1));
        assert_eq!(code(world.ask(json!({ "images": [one, one, one] })).await), "invalid_arguments");
        assert_eq!(code(world.ask(json!({})).await), "invalid_arguments");

        let gate = owl_testkit::fault::Gate::default();
        world.web.on("/slow", Answer::steps(vec![Step::Wait(gate.clone())]));
        let hurried = World::new("MODEL, allowPrivateNetwork: true, timeout: \"20ms\"").await;
        let error = hurried.ask(json!({ "image": world.url("/slow") })).await.expect_err("too slow");
        assert_eq!(error.fault, ToolFault::Timeout, "{error:?}");
    });
}

#[test]
fn what_is_no_picture_is_told_as_what_it_is() {
    run(async {
        let world = World::new("MODEL, allowPrivateNetwork: true").await;
        world.web.on("/page", Answer::ok("<html><body>hello").header("Content-Type", "image/png"));
        world.web.on("/gone", Answer::status(404));
        let error = world.ask(json!({ "image": world.url("/page") })).await.expect_err("a page");
        assert_eq!(error.code, "image_type_refused", "{error}");
        let svg =
            "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'><image href='http://169.254.169.254/'/></svg>";
        let error = world.ask(json!({ "image": svg })).await.expect_err("SVG");
        assert_eq!(error.code, "image_type_refused", "{error}");
        assert_eq!(code(world.ask(json!({ "image": world.url("/gone") })).await), "image_unavailable");
        let unknown = world.ask(json!({ "image": data_url(&bmp(1, 1)), "model": "other/large" })).await;
        assert!(matches!(code(unknown), "vision_model_not_found" | "vision_failed"));
        assert_eq!(world.asked().iter().filter(|body| body["model"] == "tiny-chat").count(), 0);
    });
}
