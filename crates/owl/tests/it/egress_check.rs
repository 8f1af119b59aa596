//! `owl egress check`: the verdicts of the case files, the exit codes, and what is told.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use owl_testkit::{DnsAnswer, DnsServer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::command::{Ended, Owl, Place, run};
use crate::egress_invariants;

fn cases(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../owl-egress/tests/cases");
    std::fs::read_to_string(folder.join(name)).expect("cases")
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Runs rows through `--batch` and gives the answers.
fn batch(input: &str) -> (Ended, Vec<Value>) {
    let ended = run(Owl::new(&["egress", "check", "--batch"]).run(input));
    let answers = rows(&ended.stdout);
    (ended, answers)
}

#[test]
fn every_url_row_has_its_verdict_and_stage() {
    let policies: Value = serde_json::from_str(&cases("policies.json")).expect("JSON");
    let expected = rows(&cases("urls.jsonl"));
    let mut input = String::new();
    for row in &expected {
        let policy = &policies["policies"][row["policy"].as_str().expect("a name")];
        let row = json!({ "id": row["id"], "url": row["url"], "policy": policy, "dns": row["dns"] });
        writeln!(input, "{row}").expect("written");
    }
    let (ended, answers) = batch(&input);
    assert_eq!((ended.code, ended.stderr.as_str(), answers.len()), (Some(0), "", expected.len()));
    for (row, answer) in expected.iter().zip(&answers) {
        assert_eq!(answer["id"], row["id"]);
        assert_eq!((&answer["verdict"], &answer["stage"]), (&row["expect"], &row["stage"]), "{answer} for {row}");
        let keys: Vec<&String> = answer.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["id", "verdict", "stage", "rule", "address", "range", "hint"]);
        let judged_an_address = row["stage"] == "ip" || (row["stage"] == "dns" && !row["dns"].is_null());
        assert!(judged_an_address || answer["address"].is_null(), "{answer}");
        if row["stage"] == "ip" && answer["rule"] != "own-socket" {
            // The address that was judged is the one that the canonical URL names.
            let host = row["canonical_host"].as_str().expect("a host").trim_matches(['[', ']']);
            let named = host.parse().map(|ip: std::net::IpAddr| ip.to_canonical().to_string());
            assert!(named.is_err() || answer["address"] == named.expect("an address"), "{answer} for {row}");
        }
    }
}

#[test]
fn every_address_row_has_its_tier_and_verdict() {
    let expected = rows(&cases("ips.jsonl"));
    let mut input = String::new();
    for row in &expected {
        for policy in [Value::Null, json!({ "allowPrivateNetwork": true })] {
            writeln!(input, "{}", json!({ "id": [row["ip"]], "ip": row["ip"], "policy": policy })).expect("written");
        }
    }
    let (ended, answers) = batch(&input);
    assert_eq!((ended.code, answers.len()), (Some(0), 2 * expected.len()));
    for (row, pair) in expected.iter().zip(answers.chunks(2)) {
        for (answer, allowed) in pair.iter().zip([row["tier"] == "public", row["allowPrivateNetwork"] == true]) {
            assert_eq!((&answer["id"], &answer["tier"]), (&json!([row["ip"]]), &row["tier"]), "{answer} for {row}");
            assert_eq!(answer["verdict"], if allowed { "allow" } else { "deny" }, "{answer} for {row}");
            let block = row["block"].as_str().unwrap_or_default();
            assert!(answer["range"].as_str().expect("a text").starts_with(block), "{answer} for {row}");
        }
    }
}

#[test]
fn wrong_rows_are_told_and_the_others_judged() {
    let (ended, answers) = batch(
        "{\"id\": 1, \"url\": 5}\n\n{\"id\": 2, \"ip\": \"10.0.0.1\", \"policy\": {\"blockCidrs\": [\"10.0.0.1\"]}}\n{\"id\": 3, \"ip\": \"8.8.8.8\"}\n{",
    );
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.stderr, "owl: rows that were wrong: 3, the first on line 1; each has an `error` in the output\n");
    assert_eq!(answers[0], json!({ "id": 1, "line": 1, "error": "line 1: `url` is not a text" }));
    assert_eq!(
        answers[1]["error"],
        "line 3: policy: 1:17: blockCidrs[0]: it has no length: write `10.0.0.1/32` for this address alone"
    );
    assert_eq!(answers[2]["verdict"], "allow");
    assert_eq!(answers[3]["line"], 5);
}

/// A program that gives one row and waits gets its answer.
#[test]
fn answers_come_while_the_pipe_is_open() {
    run(async {
        let (mut owl, _folder) = Owl::new(&["egress", "check", "--batch"]).start();
        let (mut input, output) = (owl.stdin.take().unwrap(), owl.stdout.take().unwrap());
        let mut lines = BufReader::new(output).lines();
        for id in 0..3 {
            input.write_all(format!("{{\"id\": {id}, \"url\": \"http://[::1]/\"}}\n").as_bytes()).await.unwrap();
            let answer: Value = serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
            assert_eq!((&answer["id"], &answer["verdict"]), (&json!(id), &json!("deny")));
        }
        drop(input);
        assert_eq!(lines.next_line().await.unwrap(), None);
        assert!(owl.wait().await.unwrap().success());
    });
}

/// `owl egress check URL | head -1 && fetch` must not take a refusal for leave.
#[test]
fn the_exit_code_is_the_verdict_when_nobody_reads_the_answer() {
    run(async {
        let (mut owl, _folder) = Owl::new(&["egress", "check", "http://1.1.1.1/", "http://10.0.0.1/"]).start();
        drop(owl.stdout.take());
        assert_eq!(owl.wait().await.unwrap().code(), Some(1));
    });
}

#[test]
fn a_batch_comes_from_a_file_too() {
    run(async {
        let place = Place::new();
        place.write("rows.jsonl", "{\"ip\": \"8.8.8.8\"}\n");
        let ended = place.owl(&["egress", "check", "--batch", "rows.jsonl"]);
        assert_eq!((ended.code, rows(&ended.stdout)[0]["tier"].as_str()), (Some(0), Some("public")));
        let ended = place.owl(&["egress", "check", "--batch", "none.jsonl"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains("none.jsonl cannot be read"), "{}", ended.stderr);
    });
}

const CONFIG: &str = r#"{ models: { providers: { gpu: {
    baseUrl: "http://gpu.corp.example:8000/v1", allowHosts: ["other.lan"],
} } }, tools: {
    web: { fetch: { allowHosts: ["wiki.lan"] }, search: { engine: "searxng", baseUrl: "http://searx.lan:8080" } },
    image: { enabled: false },
} }"#;

/// What `owl egress check` says, with the exit code.
fn told(arguments: &[&str]) -> String {
    let all = [&["egress", "check", "--offline"], arguments].concat();
    let ended = run(Owl::new(&all).configured(CONFIG).with("OWL_CONFIG", "owl.json5").run(""));
    format!("{}{}exit code {}\n", ended.stdout, ended.stderr, ended.code.expect("a code"))
}

#[test]
fn ten_urls_of_real_life() {
    let told = told(&[
        "--resolve",
        "www.example.org=198.18.0.9",
        "--resolve",
        "example.com=93.184.215.14,2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "--resolve",
        "mixed.example.net=8.8.8.8,10.0.0.1,127.0.0.1",
        "https://Example.com/cat.png",
        "http://169.254.169.254/latest/meta-data/iam/",
        "http://0x7f.1/admin",
        "http://localhost:11434/v1",
        "http://host.docker.internal:8000/",
        "http://vllm.models.svc.cluster.local/",
        "https://www.example.org/",
        "http://10.1.2.3:6379/",
        "http://mixed.example.net:5432/",
        "https://user:canary@example.com/?key=canary",
    ]);
    assert!(!told.contains("canary"), "{told}");
    insta::assert_snapshot!(told);
}

#[test]
fn a_policy_judges_from_the_line_and_from_the_configuration() {
    let mut all = String::new();
    for arguments in [
        &["--policy", "{ allowCidrs: ['10.0.0.0/8'] }", "http://10.1.2.3/"] as &[&str],
        &["--policy", "{ onlyHosts: ['a.example.net'] }", "--resolve", "b.lan=10.0.0.1", "http://b.lan/"],
        &["--policy", "{ blockHosts: ['*.example.net'] }", "http://a.example.net/"],
        &["--policy", "{ allowCidr: [] }", "http://10.1.2.3/"],
        &["--for", "provider:gpu", "--resolve", "gpu.corp.example=10.1.2.3"],
        &["--for", "provider:gpu", "--resolve", "other.lan=10.1.2.3", "http://other.lan/"],
        &["--for", "provider:cpu"],
        &["--for", "gateway", "http://127.0.0.1:6950/v1/models"],
        &["--for", "fetch", "http://10.1.2.3/"],
        &["--for", "fetch", "--resolve", "wiki.lan=10.1.2.3", "http://wiki.lan/"],
        &["--for", "image", "http://10.1.2.3/"],
        &["--for", "search", "--resolve", "searx.lan=10.1.2.3"],
        &["--for", "search", "--resolve", "other.lan=10.1.2.3", "http://other.lan/"],
        &["--for", "everyone", "http://10.1.2.3/"],
        &[],
    ] {
        let _ = writeln!(all, "$ owl egress check {}\n{}", arguments.join(" "), told(arguments));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn names_come_from_the_servers_of_the_configuration_and_are_judged_by_what_nat64_wraps() {
    let ended = run(async {
        let dns = DnsServer::start();
        let script = |name: &str, ip: &str| dns.script(name, [DnsAnswer::addresses(&[ip.parse().unwrap()])]);
        script("ipv4only.arpa", "2a00:64::c000:aa");
        script("nas.example.net", "2a00:64::a00:1");
        script("www.example.net", "2a00:64::808:808");
        let config = format!(
            "{{ egress: {{ resolver: {{ servers: [\"{}\"] }} }},
               models: {{ providers: {{ owl: {{ baseUrl: \"http://127.0.0.1:8000/v1\" }} }} }} }}",
            dns.address()
        );
        let urls = ["http://nas.example.net/", "http://www.example.net/", "http://none.example.net/"];
        let all = [&["egress", "check", "--for", "gateway"], &urls as &[&str]].concat();
        Owl::new(&all).configured(&config).with("OWL_CONFIG", "owl.json5").run("").await
    });
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for part in [
        "2a00:64::a00:1, from the DNS servers of `egress.resolver`",
        "refused: nas.example.net resolves to 2a00:64::a00:1, which is NAT64 for 10.0.0.1",
        "allowed: every address of it is public",
        "no address from the DNS servers of `egress.resolver`: the name does not exist",
    ] {
        assert!(ended.stdout.contains(part), "{part} is missing in {}", ended.stdout);
    }
}

#[test]
fn json_holds_the_steps_and_the_verdict() {
    let text = told(&["--json", "http://0x7f.1/", "http://nas.lan/"]);
    let lines: Vec<&str> = text.lines().collect();
    let one: Value = serde_json::from_str(lines[0]).expect("JSON");
    assert_eq!(
        (&one["verdict"], &one["stage"], &one["rule"]),
        (&json!("deny"), &json!("ip"), &json!("loopback-address"))
    );
    assert_eq!((&one["address"], &one["canonical"]), (&json!("127.0.0.1"), &json!("http://127.0.0.1/")));
    assert_eq!(
        (&one["range"], &one["hint"]),
        (&json!("127.0.0.0/8, loopback"), &json!("allowHosts: [\"127.0.0.1:80\"]"))
    );
    let steps: Vec<(&Value, &Value)> =
        one["steps"].as_array().expect("steps").iter().map(|step| (&step["step"], &step["ok"])).collect();
    assert_eq!(steps[0], (&json!("parsed"), &json!(true)));
    assert_eq!((steps.len(), steps[5]), (6, (&json!("address"), &json!(false))));
    let two: Value = serde_json::from_str(lines[1]).expect("JSON");
    assert_eq!(
        (&two["rule"], &two["write"]),
        (&json!("private-suffix"), &json!("allowHosts: [\"nas.lan\"], in the provider, in `gateway` or in the tool"))
    );
    assert_eq!(lines[2], "exit code 1");
}

#[test]
fn what_a_batch_is_not_for_is_bad_usage() {
    for arguments in [
        &["--batch", "--offline"] as &[&str],
        &["--batch", "--policy", "{}"],
        &["--resolve", "nas.lan", "http://nas.lan/"],
    ] {
        let all = [&["egress", "check"], arguments].concat();
        let ended = run(Owl::new(&all).run(""));
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
    }
    // Nothing is read from a terminal or a pipe without --batch.
    let ended = run(Owl::new(&["egress", "check", "--offline", "http://8.8.8.8/"]).run("nonsense"));
    assert_eq!(ended.code, Some(0));
}

/// Runs the seeds of a fuzz target, each cut in a few ways and with a few bytes turned over.
fn seeds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("the target has seeds") {
        let bytes = std::fs::read(entry.expect("readable").path()).expect("readable");
        check(&bytes);
        for place in 0..bytes.len() {
            check(&bytes[..place]);
            let mut turned = bytes.clone();
            turned[place] ^= 1 << (place % 7);
            check(&turned);
        }
        count += 1;
    }
    assert!(count > 1, "no seeds for {target}");
}

#[test]
fn seeds_of_the_url_target() {
    seeds("egress_url", egress_invariants::egress_url);
}

#[test]
fn seeds_of_the_batch_target() {
    seeds("egress_batch", egress_invariants::egress_batch);
}

/// The judge that is written apart, over the cases: it must not be laxer than they are.
#[test]
fn the_cases_hold_before_the_judge_that_is_written_apart() {
    let policies: Value = serde_json::from_str(&cases("policies.json")).expect("JSON");
    for row in rows(&cases("urls.jsonl")) {
        let policy = &policies["policies"][row["policy"].as_str().expect("a name")];
        let of = |kind: &str| row["dns"][kind].as_array().cloned().unwrap_or_default();
        let answers: Vec<String> =
            of("A").into_iter().chain(of("AAAA")).map(|ip| ip.as_str().expect("a text").to_owned()).collect();
        let url = row["url"].as_str().expect("a text");
        egress_invariants::egress_url(format!("{policy}\n{}\n{url}", answers.join(",")).as_bytes());
    }
    for row in rows(&cases("ips.jsonl")) {
        for policy in ["{}", "{allowPrivateNetwork: true}", "{allowCidrs: [\"0.0.0.0/0\", \"::/0\"]}"] {
            let ip = row["ip"].as_str().expect("a text");
            egress_invariants::egress_url(format!("{policy}\n{ip}\nhttp://name.example.net/").as_bytes());
        }
    }
}

/// Words as a shell would split them, as far as the documents need it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// Every `console` block of docs/egress.md is what the program prints.
#[test]
fn what_the_document_shows_is_what_is_printed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/egress.md");
    let text = std::fs::read_to_string(&file).expect("the document");
    let rows = text.split("```text\n").find(|block| block.starts_with("{\"id\": 1,")).expect("rows");
    let place = Place::new();
    place.write("rows.jsonl", rows.split("```").next().expect("a block"));
    let (mut written, mut count) = (String::new(), 0);
    for (index, block) in text.split("```console\n").enumerate() {
        if index == 0 {
            written.push_str(block);
            continue;
        }
        let (shown, rest) = block.split_once("\n```").expect("an end of the block");
        let line = shown.lines().next().expect("a command");
        let arguments = words(line.strip_prefix("$ owl ").expect("a command"));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let ended = run(async { place.owl(&arguments) });
        let _ = write!(written, "```console\n{line}\n{}{}```{rest}", ended.stdout, ended.stderr);
        count += 1;
    }
    assert!(count >= 4, "only {count} commands were found");
    #[expect(clippy::disallowed_methods, reason = "a test is told to write")]
    let write = std::env::var_os("OWL_WRITE_DOCS").is_some();
    if write {
        std::fs::write(&file, &written).expect("written");
    } else {
        assert!(written == text, "run `OWL_WRITE_DOCS=1 cargo test -p owl-gateway --test it document_shows`");
    }
}
