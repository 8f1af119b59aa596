//! The Responses API: forwarded where it is there, built on chat completions where not, and remembered.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use serde_json::{Value, json};

use crate::agent::{World, plan};
use crate::support::{Owl, check_error, run, with_gateway};

async fn post(owl: &Owl, body: &Value) -> Value {
    let answer = owl.post("/v1/responses", &[], &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn id(response: &Value) -> String {
    response["id"].as_str().expect("an id").to_owned()
}

fn kinds(response: &Value) -> Vec<&str> {
    response["output"].as_array().expect("a list").iter().filter_map(|item| item["type"].as_str()).collect()
}

#[test]
fn a_model_searches_and_cites() {
    run(async {
        let world = World::new().await;
        let mut body = json!({
            "model": "tiny-chat", "input": world.research(), "tools": [{ "type": "web_search" }, { "type": "web_fetch" }],
            "include": ["web_search_call.action.sources"],
        });
        let response = post(&world.owl, &body).await;
        assert_eq!(response["status"], "completed");
        assert_eq!(kinds(&response), ["reasoning", "web_search_call", "message", "web_search_call", "message"]);
        assert_eq!(response["output"][1]["action"]["sources"][0]["url"], world.page());
        assert_eq!(response["output"][4]["content"][0]["annotations"][0]["url"], world.page());
        body["stream"] = true.into();
        let text = world.owl.post("/v1/responses", &[], &body.to_string()).await.text();
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .filter(|data| *data != "[DONE]")
            .map(|data| serde_json::from_str(data).expect("JSON"))
            .collect();
        for (at, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], at);
        }
        let last = events.last().expect("events");
        assert_eq!(last["type"], "response.completed");
        assert_eq!(kinds(&last["response"]), kinds(&response));
        assert!(events.iter().any(|event| event["type"] == "response.output_text.annotation.added"));
        // It can be had again as soon as it is complete.
        let again = world.owl.get(&format!("/v1/responses/{}", id(&last["response"])), &[]).await;
        assert_eq!(again.json(), last["response"]);
    });
}

#[test]
fn a_server_that_has_the_api_gets_the_request_as_it_is() {
    run(async {
        let world = World::new().await;
        let odd = r#"{ "input" : "hi",  "model":"tiny-chat", "temperature": 1.0e0 }"#;
        assert_eq!(world.owl.post("/v1/responses", &[], odd).await.json()["id"], "resp_upstream");
        assert_eq!(world.model.log().requests().last().expect("asked").body, odd.as_bytes());
        let chat = World::with("responses: \"chat\"", "").await;
        let body = json!({ "model": "tiny-chat", "input": "hi" });
        assert!(id(&post(&chat.owl, &body).await).starts_with("resp_owl"));
    });
}

#[test]
fn a_server_that_lacks_it_is_not_asked_again() {
    run(async {
        let world = World::new().await;
        let body = json!({ "model": "tiny-chat", "input": "hi" });
        let tried = || world.model.log().requests().iter().filter(|request| request.path == "/v1/responses").count();
        // A model that is not there is no API that is not there.
        let unknown =
            r#"{"error":{"message":"The model `tiny-chat` does not exist.","type":"NotFoundError","code":404}}"#;
        world.model.answer("/v1/responses", 404, "application/json", unknown);
        let answer = world.owl.post("/v1/responses", &[], &body.to_string()).await;
        assert_eq!((answer.status, answer.text()), (404, unknown.to_owned()));
        world.model.answer("/v1/responses", 404, "application/json", r#"{"detail":"Not Found"}"#);
        for _ in 0..3 {
            assert_eq!(post(&world.owl, &body).await["status"], "completed");
        }
        assert_eq!(tried(), 2);
        let pages = World::new().await;
        pages.model.answer("/v1/responses", 404, "text/html", "<h1>404</h1>");
        assert!(id(&post(&pages.owl, &body).await).starts_with("resp_owl"));
        let native = World::with("responses: \"native\"", "").await;
        native.model.answer("/v1/responses", 404, "application/json", r#"{"detail":"Not Found"}"#);
        assert_eq!(native.owl.post("/v1/responses", &[], &body.to_string()).await.status, 404);
    });
}

#[test]
fn a_conversation_goes_on() {
    run(async {
        let world = World::with("responses: \"chat\"", "").await;
        let text = plan(&json!([
            { "calls": [{ "name": "web_search", "arguments": { "query": "owls" } }, { "name": "lookup", "arguments": { "key": 7 } }] },
            { "text": "All is known." },
        ]));
        let tools = json!([{ "type": "web_search" }, { "type": "function", "name": "lookup", "parameters": { "type": "object" } }]);
        let first = post(
            &world.owl,
            &json!({ "model": "tiny-chat", "instructions": "Be brief.", "input": text, "tools": tools }),
        )
        .await;
        assert_eq!(kinds(&first), ["function_call", "web_search_call"]);
        let call = &first["output"][0]["call_id"];
        let second = post(
            &world.owl,
            &json!({
                "model": "tiny-chat", "previous_response_id": first["id"], "tools": tools,
                "input": [{ "type": "function_call_output", "call_id": call, "output": "value" }],
            }),
        )
        .await;
        assert_eq!(second["output"][0]["content"][0]["text"], "All is known.");
        let third =
            post(&world.owl, &json!({ "model": "tiny-chat", "previous_response_id": second["id"], "input": "and?" }))
                .await;
        assert_eq!(third["previous_response_id"], second["id"]);
        let asked = world.asked().pop().expect("asked");
        let roles: Vec<&str> =
            asked["messages"].as_array().unwrap().iter().filter_map(|message| message["role"].as_str()).collect();
        // The instructions were for the first response alone.
        assert_eq!(roles, ["user", "assistant", "tool", "tool", "assistant", "user"]);
        let items = world.owl.get(&format!("/v1/responses/{}/input_items?limit=1", id(&second)), &[]).await.json();
        assert_eq!((&items["data"][0]["call_id"], &items["has_more"]), (call, &json!(false)));
        let wrong = world.owl.get(&format!("/v1/responses/{}/input_items?limit=0", id(&second)), &[]).await;
        check_error(&wrong, 400, "invalid_body", &["limit"]);
        let deleted = world.owl.client().await;
        drop(deleted);
    });
}

#[test]
fn what_is_not_kept_or_not_ones_own_is_not_there() {
    run(async {
        let model = InferenceServer::start(InferenceOptions::default());
        let keys = "keys: [{ name: \"a\", key: \"key-a\" }, { name: \"b\", key: \"key-b\" }]";
        let config = with_gateway(&model.base_url(), keys)
            .replace("allowPrivateNetwork: true", "allowPrivateNetwork: true, responses: \"chat\"");
        let owl = Owl::start(&config).await;
        let of = |key: &str| format!("Authorization: Bearer {key}");
        let body = json!({ "model": "tiny-chat", "input": "hi" });
        let kept = owl.post("/v1/responses", &[&of("key-a")], &body.to_string()).await.json();
        let path = format!("/v1/responses/{}", id(&kept));
        assert_eq!(owl.get(&path, &[&of("key-a")]).await.json(), kept);
        check_error(&owl.get(&path, &[&of("key-b")]).await, 404, "response_not_found", &["kept for this client"]);
        let on = json!({ "model": "tiny-chat", "input": "hi", "previous_response_id": kept["id"] }).to_string();
        let answer = owl.post("/v1/responses", &[&of("key-b")], &on).await;
        check_error(&answer, 404, "response_not_found", &["kept for this client"]);
        assert_eq!(answer.json()["error"]["param"], "previous_response_id");
        let mut client = owl.client().await;
        client.request("DELETE", &path, &[&of("key-b")], b"").await.unwrap();
        assert_eq!(client.response().await.unwrap().status, 404);
        client.request("DELETE", &path, &[&of("key-a")], b"").await.unwrap();
        assert_eq!(client.response().await.unwrap().json()["deleted"], true);
        check_error(&owl.get(&path, &[&of("key-a")]).await, 404, "response_not_found", &[]);
        let unkept = json!({ "model": "tiny-chat", "input": "hi", "store": false }).to_string();
        let unkept = owl.post("/v1/responses", &[&of("key-a")], &unkept).await.json();
        let path = format!("/v1/responses/{}", id(&unkept));
        check_error(&owl.get(&path, &[&of("key-a")]).await, 404, "response_not_found", &[]);
    });
}

#[test]
fn in_the_background() {
    run(async {
        let world = World::with("responses: \"chat\"", "").await;
        let begun = post(&world.owl, &json!({ "model": "tiny-chat", "input": "[[slow]]", "background": true })).await;
        assert_eq!(begun["status"], "in_progress");
        let asked = world.model.next_request().await;
        let cancelled = world.owl.post(&format!("/v1/responses/{}/cancel", id(&begun)), &[], "").await.json();
        assert_eq!(cancelled["status"], "cancelled");
        // The model's work has ended with it.
        world.model.closed(asked.connection).await;
        let again = world.owl.get(&format!("/v1/responses/{}", id(&begun)), &[]).await.json();
        assert_eq!(again["status"], "cancelled");
        let waited = post(&world.owl, &json!({ "model": "tiny-chat", "input": "hi" })).await;
        let refused = world.owl.post(&format!("/v1/responses/{}/cancel", id(&waited)), &[], "").await;
        check_error(&refused, 400, "response_not_cancellable", &["not made in the background"]);
        let both = json!({ "model": "tiny-chat", "input": "hi", "background": true, "stream": true }).to_string();
        check_error(&world.owl.post("/v1/responses", &[], &both).await, 400, "invalid_body", &["background"]);
    });
}

#[test]
fn what_cannot_be_said_is_named() {
    run(async {
        let world = World::with("responses: \"chat\"", "").await;
        let body =
            json!({ "model": "tiny-chat", "input": [{ "role": "user", "content": [{ "type": "input_video" }] }] });
        let answer = world.owl.post("/v1/responses", &[], &body.to_string()).await;
        check_error(&answer, 400, "invalid_body", &["input[0].content[0].type"]);
        assert_eq!(answer.json()["error"]["param"], "input[0].content[0].type");
    });
}
