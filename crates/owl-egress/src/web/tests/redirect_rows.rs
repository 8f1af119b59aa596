//! Every row of `redirects.jsonl`: what each hop answers, and where the client ends.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use owl_testkit::dns::DnsAnswer;
use owl_testkit::{Authority, DnsServer};
use serde::Deserialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{World, authority_file, client_in, read_head, resolver_asking};
use crate::audit::Caller;
use crate::rows::named_rules;
use crate::target::TargetUrl;
use crate::web::{WebError, WebRequest, WebResponse};

#[derive(Deserialize)]
struct Row {
    id: String,
    policy: String,
    start: String,
    request: RowRequest,
    hops: Vec<Hop>,
    first_dns: Option<Answers>,
    expect: String,
    why: String,
    final_url: Option<String>,
    final_method: Option<String>,
    final_body: Option<bool>,
    stop_at: Option<usize>,
    forwarded: Option<serde_json::Map<String, Value>>,
}

#[derive(Deserialize)]
struct RowRequest {
    method: String,
    #[serde(default)]
    headers: serde_json::Map<String, Value>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct Hop {
    status: u16,
    #[serde(default)]
    location: Value,
    location_bytes_hex: Option<String>,
    #[serde(default)]
    body: String,
    /// What the name in `location` resolves to.
    dns: Answers,
}

#[derive(Clone, Default, Deserialize)]
struct Answers {
    #[serde(rename = "A", default)]
    a: Vec<String>,
}

/// What a server was asked.
#[derive(Clone, Debug, Default)]
struct Asked {
    head: String,
    body: String,
}

#[tokio::test]
async fn redirects_end_where_the_row_says() {
    let text = include_str!("../../../tests/cases/redirects.jsonl");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).expect("a row");
        if let Err(reason) = run(&row).await {
            wrong.push(format!("{} ({}): {reason}", row.id, row.why));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

async fn run(row: &Row) -> Result<(), String> {
    let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
    let authority = Authority::new("private");
    let ca = authority_file(&authority);
    let names = ["a.example.com", "b.example.com", "example.com", "evil.example.net", "127.0.0.1"];
    let world = Arc::new(world(row, &asked).with_tls(&authority.server(&names)));
    let dns = DnsServer::start();
    for (name, addresses) in names_of(row) {
        let addresses: Vec<IpAddr> = addresses.iter().map(|ip| ip.parse().expect("an address")).collect();
        dns.script(&name, [DnsAnswer::addresses(&addresses)]);
    }
    let client = client_in(&world, |options| {
        options.rules = named_rules(&row.policy);
        options.tls.ca = Some(ca.to_path_buf());
        options.network.resolver = resolver_asking(&dns);
    });
    let headers =
        row.request.headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or("").to_owned()));
    let request = WebRequest {
        method: row.request.method.parse().expect("a method"),
        url: row.start.clone(),
        headers: headers.collect(),
        body: row.request.body.clone().into(),
        caller: Caller::default(),
    };
    let result = client.fetch(request).await;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    check_verdict(row, &result)?;
    check_last_request(row, &asked)?;
    match row.stop_at {
        Some(hops) if asked.len() != hops => Err(format!("{} requests were sent instead of {hops}", asked.len())),
        _ => Ok(()),
    }
}

fn check_verdict(row: &Row, result: &Result<WebResponse, WebError>) -> Result<(), String> {
    let verdict = match result {
        Ok(response) if response.redirects.is_empty() => "final",
        Ok(_) => "allow",
        Err(error) if error.is_refusal() => "deny",
        Err(_) => "error",
    };
    if verdict != row.expect {
        return Err(format!("{verdict} instead of {}: {:?}", row.expect, result.as_ref().err()));
    }
    let (Some(expected), Ok(response)) = (&row.final_url, result) else { return Ok(()) };
    let expected = TargetUrl::parse(expected).expect("a URL");
    if response.url == expected { Ok(()) } else { Err(format!("it ended at {}", response.url)) }
}

fn check_last_request(row: &Row, asked: &[Asked]) -> Result<(), String> {
    let last = asked.last().cloned().unwrap_or_default();
    let line = |name: &str| last.head.to_lowercase().contains(&format!("\r\n{name}: "));
    for (name, expected) in row.forwarded.iter().flatten() {
        if line(name) != expected.as_bool().expect("a boolean") {
            return Err(format!("{name} is sent: {}", line(name)));
        }
    }
    if let Some(method) = &row.final_method
        && !last.head.starts_with(&format!("{method} "))
    {
        return Err(format!("the last request began {:?}", last.head.lines().next()));
    }
    match row.final_body {
        Some(expected) if last.body.is_empty() == expected => Err(format!("the last body was {:?}", last.body)),
        _ => Ok(()),
    }
}

/// The nth request gets the nth hop's answer, whoever it asks; one more gets `200`.
fn world(row: &Row, asked: &Arc<Mutex<Vec<Asked>>>) -> World {
    let answers: Arc<[Vec<u8>]> = row.hops.iter().map(answer).collect();
    let asked = Arc::clone(asked);
    World::serving(move |_, mut stream| {
        let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
        async move {
            let head = read_head(&mut stream).await;
            let length = head.to_lowercase().split_once("content-length: ").map_or(0, |(_, rest)| {
                rest.lines().next().and_then(|length| length.trim().parse().ok()).expect("a length")
            });
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.expect("the body");
            let body = String::from_utf8(body).expect("text");
            let number = {
                let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.push(Asked { head, body });
                asked.len()
            };
            let last = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
            // The client may leave before it has read everything.
            let _ = stream.write_all(answers.get(number - 1).unwrap_or(&last)).await;
            let _ = stream.shutdown().await;
        }
    })
}

fn answer(hop: &Hop) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", hop.status, hop.body.len()).into_bytes();
    let locations: Vec<Vec<u8>> = match (&hop.location, &hop.location_bytes_hex) {
        (_, Some(hex)) => vec![bytes_of_hex(hex)],
        (Value::String(one), None) => vec![one.clone().into_bytes()],
        (Value::Array(several), None) => {
            several.iter().map(|one| one.as_str().expect("a location").as_bytes().to_vec()).collect()
        }
        _ => Vec::new(),
    };
    for location in locations {
        answer.extend_from_slice(b"Location: ");
        answer.extend_from_slice(&location);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(hop.body.as_bytes());
    answer
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

/// Every name of the row and what it resolves to.
fn names_of(row: &Row) -> Vec<(String, Vec<String>)> {
    let first = row.first_dns.clone().unwrap_or_else(|| Answers { a: vec!["93.184.215.14".to_owned()] });
    let start = TargetUrl::parse(&row.start).expect("a URL");
    let mut names = vec![(start.host().to_string(), first.a)];
    for hop in &row.hops {
        if let Some(target) = hop.location.as_str().and_then(|location| start.join(location).ok())
            && names.iter().all(|(name, _)| *name != target.host().to_string())
        {
            names.push((target.host().to_string(), hop.dns.a.clone()));
        }
    }
    names
}
