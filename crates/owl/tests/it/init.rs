//! `owl config init`, by its flags and without a terminal: what it writes, and what it refuses to write.

use std::os::unix::fs::PermissionsExt as _;

use owl_testkit::{Credential, InferenceOptions, InferenceServer, TokenOptions, TokenServer};

use crate::command::{CANARY, Ended, Place};

fn server(credential: Credential) -> InferenceServer {
    InferenceServer::start(InferenceOptions { credential, ..InferenceOptions::default() })
}

fn mode(place: &Place, name: &str) -> u32 {
    std::fs::metadata(place.path(name)).unwrap().permissions().mode() & 0o777
}

/// Runs the wizard with everything that a server on this machine needs.
fn init(place: &Place, server: &InferenceServer, flags: &[&str]) -> Ended {
    let base_url = server.base_url();
    let common = ["config", "init", "--yes", "--allow-private-network", "--base-url", &base_url];
    place.owl(&[&common, flags].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_and_what_to_do_next() {
    let server = server(Credential::Basic("owl".to_owned(), CANARY.to_owned()));
    let place = Place::new().with("LLM_PASSWORD", CANARY);
    let ended = init(&place, &server, &["--auth", "basic", "--username", "owl", "--secret-env", "LLM_PASSWORD"]);
    let address = server.address();
    let names = [(&*address.to_string(), "SERVER"), (&*address.port().to_string(), "PORT")];
    insta::assert_snapshot!(format!(
        "{}\n--- owl.json5\n{}",
        ended.told(&names),
        place.read("owl.json5").replace(names[0].0, "SERVER")
    ));
    assert_eq!(mode(&place, "owl.json5") & 0o077, 0o044);
    assert_eq!(place.owl(&["config", "check"]).code, Some(0));
    assert_eq!(place.owl(&["check"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_authentication_loads_and_works() {
    let key = || CANARY.to_owned();
    let header = Credential::Header("x-api-key".to_owned(), key());
    let cases: [(Credential, &[&str]); 5] = [
        (Credential::None, &[]),
        (Credential::Bearer(key()), &["--secret-env", "KEY"]),
        (Credential::Bearer(key()), &["--auth", "bearer", "--secret-file", "key.txt"]),
        (Credential::Basic("ö".to_owned(), key()), &["--auth", "basic", "--username", "ö", "--secret-file", "key.txt"]),
        (header, &["--auth", "header", "--header-name", "X-API-Key", "--secret-env", "KEY"]),
    ];
    for (credential, flags) in cases {
        let server = server(credential);
        let place = Place::new().with("KEY", CANARY);
        place.write("key.txt", &format!("{CANARY}\n"));
        let ended = init(&place, &server, flags);
        assert_eq!(ended.code, Some(0), "{flags:?}: {ended:?}");
        assert!(!place.read("owl.json5").contains("canary"), "the secret was copied");
        assert_eq!(place.owl(&["check"]).code, Some(0), "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_the_server() {
    let tokens = TokenServer::start(TokenOptions { client_secret: CANARY.to_owned(), ..TokenOptions::default() });
    let server = server(Credential::None);
    let place = Place::new().with("SECRET", CANARY);
    let (client_id, token_url) = (TokenOptions::default().client_id, tokens.url());
    let flags = [
        "--auth",
        "oauth2",
        "--client-id",
        &client_id,
        "--token-url",
        &token_url,
        "--secret-env",
        "SECRET",
        "--scope",
        "chat",
    ];
    let ended = init(&place, &server, &flags);
    assert_eq!((ended.code, tokens.issued()), (Some(0), 1), "{ended:?}");
    assert_eq!(place.owl(&["check"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_the_file_is_for_its_owner_alone() {
    let server = server(Credential::Basic("owl".to_owned(), CANARY.to_owned()));
    let place = Place::new();
    let typed = server.base_url().replace("http://", "http://owl:canary-7f3a%3Awith$and%22quote@");
    let flags = ["config", "init", "--yes", "--allow-private-network", "-o", "sub.json5", "--base-url", &typed];
    let ended = place.owl(&flags);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(mode(&place, "sub.json5"), 0o600);
    assert_eq!(place.owl(&["check", "--config", "sub.json5"]).code, Some(0));
    // Replacing a file that others may read does not leave it so.
    std::fs::set_permissions(place.path("sub.json5"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(place.owl(&[flags.as_slice(), &["--force"]].concat()).code, Some(0));
    assert_eq!(mode(&place, "sub.json5"), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten_without_force() {
    let server = server(Credential::None);
    let place = Place::new();
    place.write("owl.json5", "// mine");
    let ended = init(&place, &server, &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(2), "owl: owl.json5 exists already; --force replaces it\n"));
    assert_eq!((place.read("owl.json5").as_str(), server.log().opened()), ("// mine", 0));
    assert_eq!(init(&place, &server, &["--force"]).code, Some(0));
    assert_eq!(place.owl(&["config", "check"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_needs_a_word() {
    let server = server(Credential::None);
    let place = Place::new();
    let ended = place.owl(&["config", "init", "--yes", "--base-url", &server.base_url()]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("127.0.0.1 is in 127.0.0.0/8, loopback"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--allow-private-network writes `allowPrivateNetwork: true`"), "{}", ended.stderr);
    assert_eq!((place.path("owl.json5").exists(), server.log().opened()), (false, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_work_is_not_written_down() {
    let server = server(Credential::Bearer("right".to_owned()));
    let place = Place::new().with("KEY", CANARY);
    let ended = init(&place, &server, &["--secret-env", "KEY"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!place.path("owl.json5").exists());
    assert_eq!(init(&place, &server, &["--secret-env", "KEY", "--no-try"]).code, Some(0));
    assert_eq!(place.owl(&["config", "check"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_for_others_makes_a_key() {
    let server = server(Credential::None);
    let place = Place::new();
    let ended = init(&place, &server, &["--listen", "0.0.0.0:7000"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let text = place.read("owl.json5");
    let key = text.split_once("key: \"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0;
    assert!(key.len() == 64 && !ended.stdout.contains(key), "{text}");
    assert_eq!(mode(&place, "owl.json5"), 0o600);
    assert_eq!(place.owl(&["config", "check"]).code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_answer_names_its_flag() {
    let place = Place::new();
    let check = |flags: &[&str], expect: &str| {
        let ended = place.owl(&[&["config", "init"], flags].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(2), format!("owl: {expect}\n").as_str()), "{flags:?}");
        assert!(!place.path("owl.json5").exists());
    };
    let url = ["--base-url", "http://127.0.0.1:1"];
    let none = "there is no terminal to ask on: give";
    check(&[], &format!("{none} --base-url"));
    check(&["--yes"], &format!("{none} --base-url"));
    let secret = format!("{none} --secret-env VARIABLE or --secret-file FILE");
    check(&[&url[..], &["--auth", "bearer"]].concat(), &secret);
    check(&[&url[..], &["--auth", "basic", "--secret-env", "HOME"]].concat(), &format!("{none} --username"));
    check(&[&url[..], &["--auth", "oauth2"]].concat(), &format!("{none} --token-url"));
    check(&["--base-url", "llm.corp.example"], "--base-url: it is not a URL: begin it with http:// or https://");
    let listen = "other machines can reach 0.0.0.0:1, so clients need a key: give --generate-key";
    check(&[&url[..], &["--listen", "0.0.0.0:1"]].concat(), listen);
    check(&[&url[..], &["--listen", "x"]].concat(), "--listen: write an address and a port, such as 127.0.0.1:6950");
    check(
        &[&url[..], &["--secret-env", CANARY]].concat(),
        "--secret-env: this is not the name of an environment variable; give its name, not its value",
    );
    check(
        &[&url[..], &["--secret-env", "NOT_SET"]].concat(),
        "--secret-env: the environment variable NOT_SET is not set",
    );
}
