//! Models: which are listed under which names, and where a request for one goes.

use owl_testkit::inference::{InferenceOptions, InferenceServer};
use serde_json::Value;

use crate::support::{Owl, check_error, nobody, run};

fn server(models: &[&str]) -> InferenceServer {
    let models = models.iter().map(|&model| model.to_owned()).collect();
    InferenceServer::start(InferenceOptions { models, ..InferenceOptions::default() })
}

/// A configuration with these providers: id, base URL, further keys.
fn providers(providers: &[(&str, &str, &str)]) -> String {
    let one = |(id, url, more): &(&str, &str, &str)| {
        format!("{id}: {{ baseUrl: {url:?}, allowPrivateNetwork: true, {more} }}")
    };
    let all: Vec<String> = providers.iter().map(one).collect();
    format!("{{ models: {{ providers: {{ {} }} }} }}", all.join(", "))
}

async fn listed(owl: &Owl) -> Vec<String> {
    let list = owl.get("/v1/models", &[]).await.json();
    assert_eq!(list["object"], "list");
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn names_are_bare_where_one_provider_has_them() {
    run(async {
        let (a, b) = (server(&["tiny-chat", "org/both"]), server(&["org/both", "b-only"]));
        let owl = Owl::start(&providers(&[("a", &a.base_url(), ""), ("b", &b.base_url(), "")])).await;
        let expect = ["tiny-chat", "a/tiny-chat", "a/org/both", "b/org/both", "b-only", "b/b-only"];
        assert_eq!(listed(&owl).await, expect);
        // Everything that is listed can be asked for by that name, encoded or not, and is the server's object.
        for id in expect {
            let answer = owl.get(&format!("/v1/models/{id}"), &[]).await;
            assert_eq!((answer.status, &answer.json()["id"]), (200, &Value::from(id)));
            let encoded = id.replace('/', "%2F");
            assert_eq!(owl.get(&format!("/v1/models/{encoded}"), &[]).await.body, answer.body, "{id}");
        }
        for (model, provider) in
            [("tiny-chat", Some(&a)), ("b-only", Some(&b)), ("a/org/both", Some(&a)), ("b/org/both", Some(&b))]
        {
            let answer = owl.post("/v1/embeddings", &[], &format!(r#"{{"model":"{model}"}}"#)).await;
            assert_eq!((answer.status, &answer.json()["model"]), (200, &Value::from(model)), "{}", answer.text());
            let found = provider.unwrap().log().requests();
            let last = found.last().unwrap().json();
            assert_eq!(last["model"], model.trim_start_matches("a/").trim_start_matches("b/"));
        }
        let ambiguous = owl.post("/v1/embeddings", &[], r#"{"model":"org/both"}"#).await;
        check_error(&ambiguous, 404, "model_not_found", &["\"org/both\"", "a/org/both", "b/org/both"]);
    });
}

#[test]
fn objects_are_the_servers_own_but_for_the_id() {
    run(async {
        let a = server(&[]);
        let object = r#"{ "created":1.0, "id" :  "we\/ird\u002dname" ,"x":[1e3,9223372036854775808,{"id":"we/ird-name"}],"ä":"\u00e4"}"#;
        a.answer("/v1/models", 200, "application/json", format!("{{\"object\":\"list\", \"data\":[{object}]}}"));
        let owl = Owl::start(&providers(&[("a", &a.base_url(), "")])).await;
        for id in ["we/ird-name", "a/we/ird-name"] {
            let answer = owl.get(&format!("/v1/models/{id}"), &[]).await;
            assert_eq!(answer.text(), object.replace(r#""we\/ird\u002dname""#, &format!("{id:?}")));
        }
        let list = owl.get("/v1/models", &[]).await.text();
        assert!(list.contains(&object.replace(r#""we\/ird\u002dname""#, "\"a/we/ird-name\"")), "{list}");
    });
}

#[test]
fn a_provider_that_is_down_leaves_the_others_listed() {
    run(async {
        for scripted in ["[[error 500]]", "[[html 404]]", "[[redirect http://other.example/]]", "[[html 401]]"] {
            let (a, b) = (server(&["m"]), server(&["n"]));
            let broken = server(&["o"]);
            broken.script("/v1/models", scripted);
            let (_held, address) = nobody();
            let urls = [
                ("a", a.base_url()),
                ("broken", broken.base_url()),
                ("b", b.base_url()),
                ("gone", format!("http://{address}")),
            ];
            let urls: Vec<(&str, &str, &str)> = urls.iter().map(|(id, url)| (*id, url.as_str(), "")).collect();
            let owl = Owl::start(&providers(&urls)).await;
            assert_eq!(listed(&owl).await, ["m", "a/m", "n", "b/n"], "{scripted}");
            assert_eq!(owl.post("/v1/embeddings", &[], r#"{"model":"n"}"#).await.status, 200);
            // Its full names go through all the same: it may know the model without listing it.
            assert_eq!(owl.post("/v1/embeddings", &[], r#"{"model":"broken/o"}"#).await.status, 200, "{scripted}");
            // Once it is well again, it is listed again.
            broken.behave("/v1/models");
            owl.gateway().refresh_all().await;
            assert_eq!(listed(&owl).await, ["m", "a/m", "n", "b/n", "o", "broken/o"], "{scripted}");
            // What stops working keeps the list that was read last.
            broken.script("/v1/models", scripted);
            owl.gateway().refresh_all().await;
            assert_eq!(listed(&owl).await.len(), 6, "{scripted}");
        }
    });
}

#[test]
fn lists_are_refreshed_in_the_background() {
    run(async {
        let a = server(&["m"]);
        let owl = Owl::start(&providers(&[("a", &a.base_url(), r#"modelsRefresh: "20ms""#)])).await;
        let _refreshing = owl.gateway().keep_fresh();
        a.next_request().await;
        a.set_models(&["n"]);
        // The request after the next was sent when the answer to the next had been taken in.
        let read = a.log().requests().len();
        a.log()
            .wait_for(|events| {
                (events.iter().filter(|event| matches!(event, owl_testkit::Event::Request(_))).count() > read + 1)
                    .then_some(())
            })
            .await;
        assert_eq!(listed(&owl).await, ["n", "a/n"]);
    });
}

#[test]
fn declared_models_and_other_names() {
    run(async {
        let a = server(&["Qwen/Qwen3", "other"]);
        let check = async |models: &str, expect: &[&str]| {
            let owl = Owl::start(&providers(&[("a", &a.base_url(), &format!("models: {models}"))])).await;
            assert_eq!(listed(&owl).await, expect, "{models}");
            owl
        };
        check(r#"["*"]"#, &["Qwen/Qwen3", "a/Qwen/Qwen3", "other", "a/other"]).await;
        let owl = check(r#"["other"]"#, &["other", "a/other"]).await;
        let refused = owl.post("/v1/embeddings", &[], r#"{"model":"Qwen/Qwen3"}"#).await;
        check_error(&refused, 404, "model_not_found", &[]);
        let owl = check(
            r#"["*", { id: "chat", upstream: "Qwen/Qwen3" }]"#,
            &["chat", "a/chat", "Qwen/Qwen3", "a/Qwen/Qwen3", "other", "a/other"],
        )
        .await;
        for name in ["chat", "a/chat"] {
            let answer = owl.post("/v1/embeddings", &[], &format!(r#"{{"model":"{name}"}}"#)).await;
            assert_eq!((answer.status, &answer.json()["model"]), (200, &Value::from(name)), "{}", answer.text());
            assert_eq!(a.log().requests().last().unwrap().json()["model"], "Qwen/Qwen3");
            let object = owl.get(&format!("/v1/models/{name}"), &[]).await.json();
            assert_eq!((&object["id"], &object["max_model_len"]), (&Value::from(name), &Value::from(131_072)));
        }
        // A server that has no list is fine where the models are declared.
        a.script("/v1/models", "[[html 404]]");
        let owl = check(r#"[{ id: "chat", upstream: "Qwen/Qwen3" }]"#, &["chat", "a/chat"]).await;
        assert!(owl.gateway().is_ready());
        assert_eq!(
            owl.post("/v1/embeddings", &["x-owl-provider: a"], r#"{"model":"chat"}"#).await.json()["model"],
            "chat"
        );
    });
}

#[test]
fn names_that_nobody_has() {
    run(async {
        let (a, b) = (server(&["llama-3.1-8b"]), server(&["qwen3-8b"]));
        let owl = Owl::start(&providers(&[("a", &a.base_url(), ""), ("b", &b.base_url(), "")])).await;
        let check = async |model: &str, parts: &[&str]| {
            let answer = owl.post("/v1/chat/completions", &[], &format!(r#"{{"model":"{model}"}}"#)).await;
            check_error(&answer, 404, "model_not_found", parts);
            assert_eq!(answer.json()["error"]["param"], "model");
            let answer = owl.get(&format!("/v1/models/{model}"), &[]).await;
            check_error(&answer, 404, "model_not_found", parts);
        };
        check("llama-3.1-8B", &["did you mean llama-3.1-8b"]).await;
        check("qwen-8b", &["did you mean qwen3-8b"]).await;
        check("gpt-4o", &["no provider has a model named \"gpt-4o\"", "GET /v1/models lists them"]).await;
        check("c/x", &[]).await;
        // The upstream judges for itself what it does not list.
        let answer = owl.post("/v1/chat/completions", &[], r#"{"model":"a/loaded-on-demand"}"#).await;
        assert_eq!((answer.status, answer.header("server")), (404, Some("owl-testkit")));
    });
}

#[test]
fn requests_without_a_model() {
    run(async {
        let (a, b) = (server(&["m"]), server(&["m"]));
        let one = Owl::start(&providers(&[("a", &a.base_url(), "")])).await;
        assert_eq!(one.get("/v1/files", &[]).await.status, 200);
        let two = Owl::start(&providers(&[("a", &a.base_url(), ""), ("b", &b.base_url(), "")])).await;
        for (method, body) in [("GET", ""), ("POST", "{}"), ("POST", "[]"), ("DELETE", "")] {
            let mut client = two.client().await;
            client.request(method, "/v1/files", &[], body.as_bytes()).await.unwrap();
            check_error(&client.response().await.unwrap(), 400, "provider_required", &["x-owl-provider", "a, b"]);
            client.request(method, "/v1/files", &["x-owl-provider: b"], body.as_bytes()).await.unwrap();
            assert_eq!(client.response().await.unwrap().status, 200);
            assert_eq!(b.next_request().await.header("x-owl-provider"), None);
        }
        let unknown = two.get("/v1/files", &["x-owl-provider: c"]).await;
        check_error(&unknown, 404, "provider_not_found", &["\"c\"", "a, b"]);
        // With a model the header decides between two that have it.
        for (header, server) in [("x-owl-provider: a", &a), ("x-owl-provider: b", &b)] {
            let before = server.log().requests().len();
            assert_eq!(two.post("/v1/embeddings", &[header], r#"{"model":"m"}"#).await.json()["model"], "m");
            assert_eq!(server.log().requests().len(), before + 1);
        }
    });
}
