//! `owl models`: the table, the JSON, and providers that fail.

use owl_testkit::{Credential, InferenceOptions, InferenceServer};
use serde_json::{Value, json};

use crate::command::{Owl, check_parts, one_model, run};

/// Two servers as providers `a` and `b`, where `b` has an alias.
fn two(a: &str, b: &str) -> String {
    format!(
        "{{ models: {{ providers: {{
            a: {{ baseUrl: {a:?}, allowPrivateNetwork: true }},
            b: {{ baseUrl: {b:?}, allowPrivateNetwork: true, models: [{{ id: \"fast\", upstream: \"tiny-chat\" }}, \"tiny-chat\"] }},
        }} }} }}"
    )
}

#[test]
fn the_table_shows_what_there_is_to_say() {
    run(async {
        let server = one_model();
        let list =
            r#"{"data":[{"id":"tiny-chat","max_model_len":32768},{"id":"org/e","meta":{"n_ctx":512}},{"id":"x"}]}"#;
        server.answer("/v1/models", 200, "application/json", list);
        let expect = "MODEL      PROVIDER  CONTEXT\n\
                      tiny-chat  owl       32768\n\
                      org/e      owl       512\n\
                      x          owl\n";
        Owl::new(&["models"]).at(&server.base_url()).run("").await.check(expect);
        server.answer("/v1/models", 200, "application/json", r#"[{"id":"a\u001b[2J"}]"#);
        let expect = "MODEL  PROVIDER\na[2J   owl\n";
        Owl::new(&["models", "owl"]).at(&server.base_url()).run("").await.check(expect);
        server.set_models(&[]);
        server.behave("/v1/models");
        Owl::new(&["models"]).at(&server.base_url()).run("").await.check("");
    });
}

#[test]
fn names_are_those_that_clients_use() {
    run(async {
        let (first, second) = (one_model(), one_model());
        let config = two(&first.base_url(), &second.base_url());
        let expect = "MODEL        PROVIDER  UPSTREAM NAME  CONTEXT\n\
                      a/tiny-chat  a         tiny-chat      131072\n\
                      fast         b         tiny-chat      131072\n\
                      b/tiny-chat  b         tiny-chat      131072\n";
        Owl::new(&["models"]).configured(&config).run("").await.check(expect);
        let expect = "MODEL        PROVIDER  CONTEXT\na/tiny-chat  a         131072\n";
        Owl::new(&["models", "a"]).configured(&config).run("").await.check(expect);
    });
}

#[test]
fn a_provider_that_fails_does_not_hide_the_others() {
    run(async {
        let locked = Credential::Basic("user".to_owned(), "password".to_owned());
        let locked = InferenceServer::start(InferenceOptions { credential: locked, ..InferenceOptions::default() });
        let server = one_model();
        let config = two(&server.base_url(), &locked.base_url());
        let ended = Owl::new(&["models"]).configured(&config).run("").await;
        // What the configuration says of `b` still counts: the bare name would not say which is meant.
        let expect = "MODEL        PROVIDER  CONTEXT\na/tiny-chat  a         131072\n";
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), expect));
        check_parts(&ended.stderr, &["owl: provider b: it refused Owl's credential with status 401"]);

        let ended = Owl::new(&["models", "--json"]).configured(&config).run("").await;
        assert_eq!(ended.code, Some(1));
        let list: Value = serde_json::from_str(&ended.stdout).unwrap();
        let model = json!({"name": "a/tiny-chat", "provider": "a", "upstream": "tiny-chat", "context_length": 131_072});
        assert_eq!(list["models"], json!([model]));
        assert_eq!(list["failed"][0]["provider"], "b");
        check_parts(list["failed"][0]["reason"].as_str().unwrap(), &["401"]);

        let ended = Owl::new(&["models", "a"]).configured(&config).run("").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    });
}

#[test]
fn refusals_say_what_would_open_them() {
    run(async {
        let server = one_model();
        let ended = Owl::new(&["models"]).with("OWL_BASE_URL", &server.base_url()).run("").await;
        ended.check_failure(1, &["provider owl: 127.0.0.1 is in 127.0.0.0/8", "`allowPrivateNetwork: true` opens it"]);
        assert_eq!(server.log().opened(), 0);
    });
}

#[test]
fn an_unknown_provider_is_bad_usage() {
    run(async {
        let server = one_model();
        let ended = Owl::new(&["models", "owls"]).at(&server.base_url()).run("").await;
        ended.check_failure(2, &["no provider is named \"owls\"; there are: owl"]);
        assert_eq!(server.log().opened(), 0);
    });
}
