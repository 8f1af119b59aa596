//! Every row of `dns.jsonl`: what a resolver answers, in turn, and where connections go.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::join_all;
use owl_testkit::DnsServer;
use serde_json::Value;

use super::{Behaviour, World, client_in, get, ok, resolver_asking};
use crate::rows::named_rules;
use crate::web::WebClient;

#[tokio::test]
async fn connections_go_where_the_row_says() {
    let text = include_str!("../../../tests/cases/dns.jsonl");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).expect("a row");
        if let Err(reason) = run(&row).await {
            wrong.push(format!("{} ({}): {reason}", row["id"], row["why"]));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The world of a row, whose addresses all answer but those that a step calls silent or closed.
struct Scene {
    dns: DnsServer,
    world: Arc<World>,
    own_sockets: Vec<SocketAddr>,
}

impl Scene {
    fn of(row: &Value) -> Self {
        let steps = row["steps"].as_array().expect("steps");
        let listed = |key: &str| steps.iter().flat_map(|step| texts(&step[key])).collect::<Vec<_>>();
        let (silent, closed) = (listed("connect_silent"), listed("connect_fails"));
        let answers: Vec<(String, Vec<u8>)> =
            steps.iter().flat_map(|step| texts(&step["connect"]).into_iter().map(|ip| (ip, answer(step)))).collect();
        let world = World::new(move |address| {
            let ip = address.ip().to_string();
            if silent.contains(&ip) {
                Behaviour::Silent
            } else if closed.contains(&ip) {
                Behaviour::Refuse
            } else {
                let bytes =
                    answers.iter().find(|(listed, _)| same(listed, address.ip())).map(|(_, bytes)| bytes.clone());
                World::answering(bytes.unwrap_or_else(|| ok("", b""))).behaviour_of(address)
            }
        });
        let dns = DnsServer::start();
        dns.script_row(row);
        let own_sockets =
            texts(&row["env"]["selfSockets"]).iter().map(|text| text.parse().expect("a socket")).collect();
        Self { dns, world: Arc::new(world), own_sockets }
    }

    fn client(&self, step: &Value) -> WebClient {
        client_in(&self.world, |options| {
            options.rules = named_rules(step["policy"].as_str().expect("a policy"));
            options.rules.own_sockets.extend(&self.own_sockets);
            options.network.resolver = resolver_asking(&self.dns);
        })
    }

    async fn fetch(&self, step: &Value) -> &'static str {
        match self.client(step).fetch(get(step["url"].as_str().expect("a URL"))).await {
            Ok(_) => "allow",
            Err(error) if error.is_refusal() => "deny",
            Err(_) => "error",
        }
    }
}

async fn run(row: &Value) -> Result<(), String> {
    let scene = Scene::of(row);
    let steps = row["steps"].as_array().expect("steps");
    let parallel = steps.iter().all(|step| step["parallel"] == true);
    if parallel {
        let verdicts = join_all(steps.iter().map(|step| scene.fetch(step))).await;
        for (step, verdict) in steps.iter().zip(verdicts) {
            check_verdict(step, verdict)?;
        }
        return check_connections(steps, &scene.world.dialled());
    }
    let mut seen = 0;
    for (number, step) in steps.iter().enumerate() {
        // What a redirect leads to was fetched with the step before it.
        if number > 0 && steps[number - 1]["redirect_to"] == step["url"] {
            continue;
        }
        if number > 0 {
            scene.dns.script_step(step);
        }
        let before = scene.dns.lookups_of(name_of(step));
        let verdict = scene.fetch(step).await;
        let then = steps.get(number + 1).filter(|next| step["redirect_to"] == next["url"]);
        check_verdict(then.unwrap_or(step), verdict)?;
        let lookups = scene.dns.lookups_of(name_of(step)) - before;
        let most = step["max_lookups"].as_u64().expect("a number");
        if lookups as u64 > most {
            return Err(format!("{lookups} lookups instead of {most}"));
        }
        let dialled = scene.world.dialled();
        let step_and_next: Vec<Value> = std::iter::once(step.clone()).chain(then.cloned()).collect();
        check_connections(&step_and_next, &dialled[seen..])?;
        seen = dialled.len();
    }
    check_queries(steps, &scene.dns)
}

fn check_verdict(step: &Value, verdict: &str) -> Result<(), String> {
    if step["expect"] == verdict { Ok(()) } else { Err(format!("{verdict} instead of {}", step["expect"])) }
}

/// At least one connection where one is allowed, all of them to listed addresses.
fn check_connections(steps: &[Value], dialled: &[SocketAddr]) -> Result<(), String> {
    let allowed: Vec<String> = steps.iter().flat_map(|step| texts(&step["connect"])).collect();
    let forbidden = |key: &str| steps.iter().flat_map(|step| texts(&step[key])).collect::<Vec<_>>();
    for address in dialled {
        let is_in = |list: &[String]| list.iter().any(|listed| same(listed, address.ip()));
        if !is_in(&allowed) {
            return Err(format!("a connection went to {address}"));
        }
        if forbidden("must_not_connect_extra").iter().any(|listed| same(listed, address.ip())) {
            return Err(format!("a connection went to {address}, which must not be"));
        }
    }
    if dialled.is_empty() != allowed.is_empty() {
        return Err(format!("{} connections were made; allowed are {allowed:?}", dialled.len()));
    }
    Ok(())
}

fn check_queries(steps: &[Value], dns: &DnsServer) -> Result<(), String> {
    let queries = dns.queries();
    for name in steps.iter().flat_map(|step| texts(&step["must_not_query"])) {
        if queries.iter().any(|query| query.name == name.trim_end_matches('.')) {
            return Err(format!("DNS was asked for {name}"));
        }
    }
    Ok(())
}

fn answer(step: &Value) -> Vec<u8> {
    if let Some(location) = step["redirect_to"].as_str() {
        return format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes();
    }
    let headers = step["response_headers"].as_object().into_iter().flatten();
    let headers: String =
        headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().unwrap_or(""))).collect();
    ok(&headers, b"")
}

/// Whether `listed` is `address`; IPv4-mapped IPv6 is IPv4.
fn same(listed: &str, address: IpAddr) -> bool {
    listed.parse::<IpAddr>().expect("an address").to_canonical() == address
}

fn name_of(step: &Value) -> &str {
    step["name"].as_str().expect("a name")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().expect("a text").to_owned()).collect()
}
