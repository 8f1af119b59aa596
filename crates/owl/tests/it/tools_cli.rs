//! The tools as a person calls them: `owl tools`, `owl fetch`, `owl search`, `owl image`.

use owl_testkit::InferenceServer;
use owl_testkit::certificates::Authority;
use owl_testkit::web::{Answer, WebServer};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use crate::command::{Ended, Owl, Place, check_parts, end, one_model, run, signal};
use crate::image::bmp;

/// Two results, one of which would command a terminal.
const RESULTS: &str = r#"{ "hits": [
    { "title": "Barn\u001b]0;owned\u0007 owls", "url": "https://owls.example.com/barn", "s": "They  hunt\nat night." },
    { "title": "Owl boxes", "url": "https://boxes.example.com/", "s": "How to build one." }
] }"#;

/// A search of one's own at this origin, with these further keys.
fn search_config(origin: &str, keys: &str) -> String {
    format!(
        r#"{{ tools: {{ web: {{ search: {{
            baseUrl: "{origin}", {keys}
            engine: {{
                type: "http", method: "POST", path: "find", results: "/hits", snippet: "/s",
                body: {{ q: "{{query}}", n: "{{count}}", after: "{{after}}", from: "{{country}} {{language}}" }},
            }},
        }} }} }} }}"#
    )
}

fn engine() -> WebServer {
    let web = WebServer::start();
    web.on("/find", Answer::ok(RESULTS).header("Content-Type", "application/json"));
    web
}

async fn search(web: &WebServer, keys: &str, arguments: &[&str]) -> Ended {
    let config = search_config(&web.origin(), keys);
    Owl::new(&[&["search"], arguments].concat()).configured(&config).run("").await
}

fn outcome(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn tools_are_listed_with_what_they_may_reach() {
    run(async {
        let place = Place::new();
        place.owl(&["tools"]).check(
            "web_fetch   on   public addresses\n\
             image       on   public addresses\n\
             web_search  off  tools.web.search names no engine, or is switched off\n",
        );
        place.write(
            "owl.json5",
            r#"{ tools: {
                web: {
                    fetch: { allowPrivateNetwork: true, allowPorts: [6379], onlyHosts: ["*.corp.example"] },
                    search: { engine: "searxng", baseUrl: "http://searx.lan:8080", allowHosts: ["searx.lan"] },
                },
                image: { enabled: false },
            } }"#,
        );
        place.owl(&["tools"]).check(
            "web_fetch   on   only *.corp.example; this machine and private networks; ports 6379\n\
             image       off  tools.image.enabled is false\n\
             web_search  on   searxng at http://searx.lan:8080; private addresses of searx.lan\n",
        );
        let ended = place.owl(&["tools", "--json"]);
        let listed = outcome(&ended);
        let names: Vec<&str> =
            listed["tools"].as_array().into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
        assert_eq!(names, ["web_fetch", "web_search"]);
        assert!(listed["tools"][1]["parameters"]["properties"]["query"].is_object(), "{listed}");
    });
}

#[test]
fn a_search_reads_as_a_list() {
    run(async {
        let web = engine();
        let open = "allowPrivateNetwork: true,";
        search(&web, open, &["barn", "owls"]).await.check(
            "1. Barn]0;owned owls\n   https://owls.example.com/barn\n   They hunt at night.\n\n\
             2. Owl boxes\n   https://boxes.example.com/\n   How to build one.\n",
        );
        let flags =
            ["-n", "3", "--country", "de", "--language", "en", "--after", "2026-01-31", "--domain", "a.example"];
        search(&web, open, &[&flags[..], &["x"]].concat()).await;
        let requests = web.requests();
        assert_eq!(requests[0].json(), json!({ "q": "barn owls", "n": 5, "after": "", "from": " " }));
        let body = requests[1].json();
        assert_eq!((&body["n"], &body["after"]), (&json!(3), &json!("2026-01-31")));
        let from = body["from"].as_str().map(str::to_lowercase);
        assert_eq!(from.as_deref(), Some("de en"));
        check_parts(body["q"].as_str().unwrap_or_default(), &["x", "a.example"]);
    });
}

#[test]
fn json_is_what_programs_get() {
    run(async {
        let web = engine();
        let ended = search(&web, "allowPrivateNetwork: true,", &["--json", "owls"]).await;
        let told = outcome(&ended);
        assert_eq!((ended.code, told["ok"].as_bool(), ended.stderr.as_str()), (Some(0), Some(true), ""));
        assert_eq!(told["result"]["details"]["results"][1]["title"], "Owl boxes");
        assert_eq!(told["result"]["content"][0]["type"], "text");
        let ended = search(&web, "", &["--json", "owls"]).await;
        let told = outcome(&ended);
        assert_eq!((ended.code, told["ok"].as_bool()), (Some(1), Some(false)));
        assert_eq!(told["error"]["type"], "invalid_request_error");
        // The person at the terminal is the operator.
        check_parts(&ended.stderr, &["owl: ", "tools.web.search", "`allowPrivateNetwork: true` opens it"]);
    });
}

/// A server with a text of ten lines, a page of an error, and a place for whoever may fetch from it.
fn pages() -> (WebServer, Place) {
    let web = WebServer::start();
    let lines: Vec<String> = (0..10).map(|line| format!("Line {line} of the text about owls.")).collect();
    let text = |answer: Answer| answer.header("Content-Type", "text/plain; charset=utf-8");
    web.on("/owls.txt", text(Answer::ok(lines.join("\n"))));
    web.on("/escape.txt", text(Answer::ok("before \u{1b}]0;owned\u{1b}\\ behind")));
    web.on("/none.txt", text(Answer::status(404).body("There is no such text.")));
    web.on("/robots.txt", text(Answer::ok("User-agent: *\nDisallow: /")));
    let place = Place::new();
    place.write("owl.json5", "{ tools: { web: { fetch: { allowPrivateNetwork: true, respectRobots: true } } } }");
    (web, place)
}

#[test]
fn a_page_reads_as_it_is_without_a_marker() {
    run(async {
        let (web, place) = pages();
        let url = |path: &str| format!("{}{path}", web.origin());
        let ended = place.owl(&["fetch", &url("/owls.txt")]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert_eq!(ended.stdout.lines().count(), 10, "{}", ended.stdout);
        assert!(ended.stdout.starts_with("Line 0 of the text"), "{}", ended.stdout);
        // A person is not asked to obey robots.txt.
        assert!(web.requests().iter().all(|request| request.path == "/owls.txt"));
        let ended = place.owl(&["fetch", &url("/escape.txt")]);
        check_parts(&ended.stdout, &["before ", " behind"]);
        assert!(!ended.stdout.contains(['\u{1b}', '\u{7}']), "{:?}", ended.stdout);
    });
}

#[test]
fn a_long_page_is_read_piece_by_piece() {
    run(async {
        let (web, place) = pages();
        let url = format!("{}/owls.txt", web.origin());
        let ended = place.owl(&["fetch", "--max-chars", "100", &url]);
        assert_eq!(ended.code, Some(0));
        check_parts(&ended.stderr, &["note: there is more; --start "]);
        let next = ended.stderr.split("--start ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
        let rest = place.owl(&["fetch", "--start", next, &url]);
        assert_eq!((rest.code, rest.stderr.as_str()), (Some(0), ""));
        let whole = place.owl(&["fetch", &url]).stdout;
        assert_eq!(format!("{}{}", ended.stdout, rest.stdout).replace('\n', ""), whole.replace('\n', ""));
    });
}

#[test]
fn an_error_s_page_is_printed_and_ends_as_a_failure() {
    run(async {
        let (web, place) = pages();
        let url = format!("{}/none.txt", web.origin());
        let ended = place.owl(&["fetch", &url]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), "There is no such text.\n"));
        check_parts(&ended.stderr, &["owl: http://", "answered with status 404"]);
        let told = outcome(&place.owl(&["fetch", "--json", &url]));
        assert_eq!((&told["ok"], &told["result"]["details"]["status"]), (&json!(true), &json!(404)));
    });
}

#[test]
fn a_private_page_is_refused_opened_and_remembered() {
    run(async {
        let (web, place) = pages();
        let url = format!("{}/owls.txt", web.origin());
        let ended = place.owl(&["fetch", "--no-private", &url]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
        place.write("owl.json5", "{}");
        for flags in [&[][..], &["--no-private"]] {
            let ended = place.owl(&[&["fetch"], flags, &[url.as_str()]].concat());
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
            check_parts(&ended.stderr, &["owl: ", "127.0.0.1", "allowHosts"]);
        }
        assert_eq!(web.log().opened(), 0, "nothing was connected to");
        check_parts(&place.owl(&["audit", "--json"]).stdout, &["tool web_fetch", "127.0.0.1"]);
        place.write("owl.json5", "{ tools: { web: { fetch: { allowCidrs: [\"127.0.0.0/8\"] } } } }");
        assert_eq!(place.owl(&["fetch", &url]).code, Some(0));
    });
}

#[test]
fn a_private_engine_is_closed_opened_and_narrowed_again() {
    run(async {
        let web = engine();
        let check = async |keys: &str, flags: &[&str], code: i32| {
            let before = web.requests().len();
            let ended = search(&web, keys, &[flags, &["owls"]].concat()).await;
            assert_eq!(ended.code, Some(code), "{keys} {flags:?}: {ended:?}");
            assert_eq!(web.requests().len() > before, code == 0, "{keys} {flags:?}");
        };
        check("", &[], 1).await;
        check("", &["--no-private"], 1).await;
        check("allowPrivateNetwork: true,", &[], 0).await;
        check("allowPrivateNetwork: true,", &["--no-private"], 1).await;
        // No flag opens anything.
        check("", &["--allow-private-network"], 2).await;
    });
}

#[test]
fn a_private_engine_that_is_closed_stops_the_gateway_s_start() {
    run(async {
        let (web, server) = (engine(), one_model());
        let place = Place::at(&server.base_url());
        place.write("owl.json5", &search_config(&web.origin(), ""));
        let ended = place.owl(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!((ended.code, web.log().opened()), (Some(1), 0));
        check_parts(&ended.stderr, &["owl: tools.web.search: ", "`allowPrivateNetwork: true` opens it"]);
        // A command that asks nobody there does not care.
        assert_eq!(place.owl(&["tools"]).code, Some(0));
    });
}

#[test]
fn a_tool_trusts_its_own_authority_beside_the_system_s() {
    run(async {
        let server = one_model();
        let place = with_picture(&server);
        let (system, corp) = (Authority::new("system"), Authority::new("corp"));
        place.write("system.pem", system.certificate());
        place.write("corp.pem", corp.certificate());
        let place = place.with("SSL_CERT_FILE", "system.pem");
        let webs = [&system, &corp].map(|authority| {
            let web = WebServer::start_tls(&authority.server(&["localhost"]).server_tls());
            web.on("/owl.bmp", Answer::ok(bmp(4, 2)));
            web
        });
        let check = |tls: &str, codes: [i32; 2]| {
            place.write("owl.json5", &format!("{{ tools: {{ image: {{ allowPrivateNetwork: true, {tls} }} }} }}"));
            let found = webs.each_ref().map(|web| {
                let url = format!("{}/owl.bmp", web.origin());
                place.owl(&["image", "-m", "tiny-chat", &url]).code.unwrap_or(-1)
            });
            assert_eq!(found, codes, "{tls}");
        };
        check("", [0, 1]);
        check("tls: { ca: \"corp.pem\" }", [0, 0]);
    });
}

#[test]
fn a_tool_that_is_off_says_how_to_have_it() {
    run(async {
        let place = Place::new();
        let ended = place.owl(&["search", "owls"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        check_parts(&ended.stderr, &["owl: there is no search engine\n", "engine: \"searxng\""]);
        place.write("owl.json5", "{ tools: { web: { fetch: { enabled: false } }, image: { enabled: false } } }");
        let ended = place.owl(&["fetch", "--json", "https://example.com/"]);
        let told = outcome(&ended);
        assert_eq!((ended.code, &told["error"]["code"]), (Some(1), &json!("tool_not_found")));
        place.write("a.bmp", "");
        let ended = place.owl(&["image", "a.bmp"]);
        check_parts(&ended.stderr, &["owl: image is switched off\n", "remove `enabled: false` from tools.image"]);
    });
}

/// A place with a picture in it, whose provider is this server.
fn with_picture(server: &InferenceServer) -> Place {
    let place = Place::at(&server.base_url());
    std::fs::write(place.path("owl.bmp"), bmp(40, 20)).unwrap();
    place
}

#[test]
fn a_person_asks_about_any_file_of_theirs() {
    run(async {
        let server = one_model();
        let place = with_picture(&server);
        let ended = place.owl(&["image", "-m", "tiny-chat", "owl.bmp", "What", "is it?"]);
        ended.check("I see an image.\n");
        let asked = server.log().requests().into_iter().filter(|request| !request.body.is_empty()).last();
        let asked = asked.expect("a question").json();
        let content = &asked["messages"][0]["content"];
        assert_eq!(content[1]["text"], "What is it?");
        check_parts(content[0]["image_url"]["url"].as_str().unwrap_or_default(), &["data:image/png;base64,"]);
        // Without a model nobody can look, and the file stays where it is.
        let ended = place.owl(&["image", "owl.bmp"]);
        assert_eq!(ended.code, Some(1));
        check_parts(&ended.stderr, &["tools.image.model"]);
    });
}

#[test]
fn the_picture_that_a_model_would_be_shown_is_written() {
    run(async {
        let server = one_model();
        let place = with_picture(&server);
        place.write("owl.json5", "{ tools: { image: { maxSide: 64, model: \"tiny-chat\" } } }");
        std::fs::write(place.path("wide.bmp"), bmp(200, 100)).unwrap();
        let ended = place.owl(&["image", "-o", "small.png", "wide.bmp"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""), "{}", ended.stderr);
        check_parts(&ended.stderr, &["note: small.png is image/png, "]);
        let written = std::fs::read(place.path("small.png")).unwrap();
        assert!(written.starts_with(b"\x89PNG"));
        let side = |at: usize| u32::from_be_bytes(written[at..at + 4].try_into().unwrap());
        assert_eq!((side(16), side(20)), (64, 32));
        assert!(server.log().requests().is_empty(), "nobody was asked");
    });
}

#[test]
fn a_private_picture_is_refused_opened_and_remembered() {
    run(async {
        let server = one_model();
        let place = with_picture(&server);
        let web = WebServer::start();
        web.on("/owl.bmp", Answer::ok(bmp(4, 2)));
        let url = format!("{}/owl.bmp", web.origin());
        let ended = place.owl(&["image", "-m", "tiny-chat", &url]);
        assert_eq!((ended.code, ended.stdout.as_str(), web.requests().len()), (Some(1), "", 0));
        check_parts(&ended.stderr, &["owl: ", "127.0.0.1", "allowHosts"]);
        let remembered = place.owl(&["audit", "--json"]);
        check_parts(&remembered.stdout, &["tool image", "127.0.0.1"]);
        place.write("owl.json5", "{ tools: { image: { allowPrivateNetwork: true } } }");
        place.owl(&["image", "-m", "tiny-chat", &url]).check("I see an image.\n");
        let ended = place.owl(&["image", "-m", "tiny-chat", "--no-private", &url]);
        assert_eq!((ended.code, web.requests().len()), (Some(1), 1), "{ended:?}");
    });
}

#[test]
fn bad_usage_is_told_from_failure() {
    run(async {
        let place = Place::new();
        place.write("a.bmp", "");
        for arguments in [
            &["image", "none.png"][..],
            &["image", "a.bmp", "none.PNG"],
            &["image", "-o", "x.png", "a.bmp", "a question"],
            &["image", "-o", "x.png", "-m", "m", "a.bmp"],
            &["image"],
            &["search"],
            &["search", "--freshness", "day", "--after", "2026-01-01", "x"],
            &["search", "--freshness", "hour", "x"],
            &["fetch"],
            &["fetch", "--mode", "pdf", "https://example.com"],
            &["fetch", "--max-chars", "0", "https://example.com"],
            &["fetch", "--allow-private-network", "http://127.0.0.1/"],
            &["tools", "--config", "none.json5"],
        ] {
            let ended = place.owl(arguments);
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}: {}", ended.stderr);
            assert!(!ended.stderr.is_empty(), "{arguments:?}");
        }
    });
}

#[test]
fn an_interrupt_ends_a_search_at_once() {
    run(async {
        let web = WebServer::start();
        web.on("/find", Answer::steps(vec![owl_testkit::fault::Step::Hang]));
        let config = search_config(&web.origin(), "allowPrivateNetwork: true,");
        let (mut child, _folder) = Owl::new(&["search", "owls"]).configured(&config).start();
        let request = web.log().next_request().await;
        signal(&child, "INT");
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!((end(child).await.code(), said.as_str()), (Some(130), ""));
        web.log().closed(request.connection).await;
    });
}

#[test]
fn the_help_says_what_there_is() {
    run(async {
        let place = Place::new();
        let mut all = String::new();
        for command in ["fetch", "search", "image", "tools"] {
            all += &format!("$ owl {command} --help\n{}\n", place.owl(&[command, "--help"]).stdout);
        }
        insta::assert_snapshot!(all);
    });
}
