//! `owl audit`, run as a person runs it, on a store that was filled as the server fills it.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use insta::assert_snapshot;
use owl::audit::AuditLog;
use owl::config::StoreConfig;
use owl_egress::address::Tier;
use owl_egress::audit::{Access, AccessEnd, AccessId, AuditEvent, AuditSink as _, Caller};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::{Owl, Place, end, run, signal};

/// 2023-11-14T22:13:20Z.
const START: u64 = 1_700_000_000;

fn store(path: &Path) -> StoreConfig {
    // Old records are wanted here.
    StoreConfig { path: Some(path.to_owned()), max_age: Duration::from_secs(400_000 * 3600), ..StoreConfig::default() }
}

fn access(second: u64, address: &str, tier: Tier, rule: &'static str) -> Access {
    let address: IpAddr = address.parse().unwrap();
    Access {
        id: AccessId::next(),
        at: UNIX_EPOCH + Duration::from_millis((START + second) * 1_000 + 7),
        caller: Caller { request_id: Some(format!("req_{second}").into()), key: Some("alice".into()) },
        component: "gateway".into(),
        policy: "{}".into(),
        url: format!("http://{address}/"),
        host: address.to_string(),
        port: 80,
        addresses: vec![address],
        tier: Some(tier),
        range: None,
        rule,
        reason: String::new(),
    }
}

/// Five records: a refusal, a connection that ended, one that did not, a public one by an exemption, a hostile URL.
fn fill(path: &Path) {
    let keeper = AuditLog::start(&store(path));
    let log = keeper.log();
    let refuse = |access| log.record(AuditEvent::Refused(Box::new(access)));
    let open = |access| log.record(AuditEvent::Opened(Box::new(access)));
    refuse(access(0, "169.254.169.254", Tier::Metadata, "metadata"));
    let own = Caller::default();
    let connection = access(60, "192.168.7.20", Tier::Private, "allow-private-network");
    let id = connection.id;
    open(Access { component: "provider owl".into(), caller: own.clone(), ..connection });
    let (received, sent, duration) = (123_456, 789, Duration::from_millis(61_500));
    log.record(AuditEvent::Ended(AccessEnd { id, received, sent, duration, status: Some(200) }));
    open(Access {
        component: "provider lab".into(),
        caller: own,
        ..access(120, "10.0.0.9", Tier::Private, "allow-cidrs")
    });
    open(access(180, "198.18.0.5", Tier::Public, "fake-ip"));
    let bob = Caller { key: Some("bob".into()), request_id: None };
    let url = "http://10.1.2.3/\u{1b}]0;owned\u{7}\u{9b}31m".to_owned();
    refuse(Access { caller: bob, url, ..access(240, "10.1.2.3", Tier::Private, "private") });
    drop(keeper);
}

#[test]
fn records_are_shown_as_a_table() {
    run(async {
        let place = Place::new();
        fill(&place.path("owl.db"));
        let told = |arguments: &[&str]| place.owl(&[&["audit", "--store", "owl.db"], arguments].concat()).told(&[]);
        assert_snapshot!("all", told(&[]));
        assert_snapshot!("summary", told(&["--summary"]));
        assert_snapshot!("wrong_time", told(&["--since", "yesterday"]));
    });
}

#[test]
fn a_summary_counts_what_was_lost_whatever_else_is_wanted() {
    run(async {
        let place = Place::new();
        let path = place.path("owl.db");
        fill(&path);
        let lose = "INSERT INTO accesses (run, access, time_ms, verdict, component, policy, url, host, port, addresses, \
                    rule, reason, lost) VALUES (1, 0, ?1, 'lost', 'owl', '', '', '', 0, '', '', '', ?2)";
        let connection = rusqlite::Connection::open(&path).unwrap();
        for (second, lost) in [(60, 3), (240, 4)] {
            connection.execute(lose, [i64::try_from(START + second).unwrap() * 1_000, lost]).unwrap();
        }
        let check = |arguments: &[&str], expect: i64| {
            let ended = place.owl(&[&["audit", "--summary", "--json", "--store", "owl.db"], arguments].concat());
            let lines: Vec<serde_json::Value> =
                ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let lost: Vec<_> = lines.iter().filter(|line| line["verdict"] == "lost").collect();
            assert!(matches!(lost.as_slice(), [only] if only["count"] == expect), "{arguments:?}: {}", ended.stdout);
        };
        check(&[], 7);
        check(&["--limit", "1"], 7);
        check(&["--denied", "--key", "bob"], 7);
        check(&["--since", "2023-11-14T22:15:20Z"], 4);
        check(&["--until", "2023-11-14T22:13:30Z"], 0);
    });
}

#[test]
fn each_filter_chooses() {
    run(async {
        let place = Place::new();
        fill(&place.path("owl.db"));
        let check = |arguments: &[&str], expect: &[i64]| {
            let ended = place.owl(&[&["audit", "--json", "--store", "owl.db"], arguments].concat());
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
            let id = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_i64().unwrap();
            assert_eq!(ended.stdout.lines().map(id).collect::<Vec<_>>(), expect, "{arguments:?}");
        };
        check(&[], &[1, 2, 3, 4, 5]);
        check(&["--denied"], &[1, 5]);
        check(&["--private"], &[1, 2, 3, 5]);
        check(&["--denied", "--private", "--key", "bob"], &[5]);
        check(&["--key", "alice"], &[1, 4]);
        check(&["--request", "req_180"], &[4]);
        check(&["--component", "provider lab"], &[3]);
        check(&["--limit", "2"], &[4, 5]);
        check(&["--limit", "1", "--denied"], &[5]);
        check(&["--limit", "0"], &[1, 2, 3, 4, 5]);
        check(&["--since", "2023-11-14T22:15:20Z"], &[3, 4, 5]);
        check(&["--until", "2023-11-14T22:15:20Z"], &[1, 2]);
        check(&["--until", "2023-11-15", "--since", "2023-11-14"], &[1, 2, 3, 4, 5]);
        check(&["--since", "1h"], &[]);
    });
}

#[test]
fn json_has_every_column() {
    run(async {
        let place = Place::new();
        fill(&place.path("owl.db"));
        let ended = place.owl(&["audit", "--json", "--store", "owl.db"]);
        let lines: Vec<serde_json::Map<_, _>> =
            ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |line: usize, key: &str| lines[line][key].to_string();
        assert_eq!(of(0, "time"), "\"2023-11-14T22:13:20.007Z\"");
        assert_eq!(of(1, "duration_ms"), "61500");
        assert_eq!(of(2, "duration_ms"), "null");
        assert_eq!(of(4, "url"), r#""http://10.1.2.3/\u001b]0;owned\u0007\u009b31m""#.replace("\\u009b", "\u{9b}"));
        assert!(!ended.stdout.contains(['\u{1b}', '\u{7}', '\u{9b}']), "escapes are escaped");
        let columns: Vec<&str> = lines[0].keys().map(String::as_str).collect();
        assert_snapshot!("columns", columns.join(" "));
    });
}

#[test]
fn where_nothing_is_recorded_it_says_so() {
    run(async {
        let place = Place::new();
        let ended = place.owl(&["audit", "--store", "none/owl.db"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
        assert_eq!(ended.stderr, "owl: nothing was recorded yet: there is no none/owl.db\n");
        place.write("notes.txt", &"this is no database ".repeat(100));
        let parts = ["the store notes.txt cannot be read", "not one of Owl's"];
        place.owl(&["audit", "--store", "notes.txt"]).check_failure(1, &parts);
        assert_eq!(place.read("notes.txt").len(), 2_000);
    });
}

#[test]
fn it_follows_until_it_is_interrupted() {
    run(async {
        let (mut child, folder) = Owl::new(&["audit", "--follow", "--json", "--denied", "--store", "owl.db"]).start();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // It may begin before there is a file.
        let path = folder.path().join("owl.db");
        fill(&path);
        let keeper = AuditLog::start(&store(&path));
        for id in [1, 5, 6, 7] {
            if id > 5 {
                let refused = access(id, "10.1.2.3", Tier::Private, "private");
                keeper.log().record(AuditEvent::Refused(Box::new(refused)));
            }
            let line = lines.next_line().await.unwrap().expect("a line");
            assert!(line.starts_with(&format!("{{\"id\":{id},")), "{line}");
        }
        // Another file takes its place: the numbers begin anew.
        drop(keeper);
        for file in ["owl.db", "owl.db-wal", "owl.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(file));
        }
        fill(&path);
        for id in [1, 5] {
            let line = lines.next_line().await.unwrap().expect("a line");
            assert!(line.starts_with(&format!("{{\"id\":{id},")), "{line}");
        }
        signal(&child, "INT");
        assert_eq!(end(child).await.code(), Some(0));
    });
}
