//! The steps from a text to a verdict, each with what was seen, in words for people who do not judge URLs every day.

use std::net::IpAddr;

use owl_egress::address::{AddressClass, Tier, classify};
use owl_egress::policy::{EgressPolicy, Hint, Nat64Prefix, Opened, Opening, Stage, Verdict};
use owl_egress::target::{Host, InvalidTarget};
use owl_egress::{Denied, TargetUrl};

use super::answers::{Lookup, Names};
use super::basis::Basis;
use super::remedy::{self, Remedy};

/// What is to be judged.
#[derive(Debug)]
pub(super) enum Asked {
    /// A text that may be a URL.
    Text(String),
    /// A provider's URL.
    Target(TargetUrl),
}

/// One step.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Whether it is here that the URL was refused.
    pub(super) refused: bool,
    pub(super) text: String,
}

/// The whole way of one URL.
#[derive(Debug)]
pub(super) struct Reasoning {
    /// The text as it may be shown: without credentials and query.
    pub(super) asked: String,
    /// What the parser made of it.
    pub(super) canonical: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) verdict: Verdict,
    pub(super) stage: Stage,
    pub(super) rule: &'static str,
    pub(super) address: Option<IpAddr>,
    pub(super) range: Option<String>,
    pub(super) hint: Option<Hint>,
    /// The verdict in a sentence, without what would open it.
    pub(super) message: String,
    /// Why there is such a rule.
    pub(super) why: Option<&'static str>,
    /// What is worth knowing.
    pub(super) remark: Option<String>,
    pub(super) remedy: Remedy,
}

impl Reasoning {
    /// Judges what was asked.
    pub(super) async fn about(basis: &Basis, names: &Names, asked: Asked) -> Self {
        match asked {
            Asked::Target(target) => Self::of_target(basis, names, target.to_string(), target, String::new()).await,
            Asked::Text(text) => match TargetUrl::parse(&text) {
                Ok(target) => {
                    let change = change(&text, &target);
                    Self::of_target(basis, names, shown(&text), target, change).await
                }
                Err(error) => Self::unusable(&text, &error),
            },
        }
    }

    fn unusable(text: &str, error: &InvalidTarget) -> Self {
        let name = match error.stage() {
            Stage::Scheme => "scheme",
            Stage::Name => "name",
            Stage::Parse | Stage::UserInfo | Stage::Port | Stage::Dns | Stage::Ip => "parsed",
        };
        let why = match error.stage() {
            Stage::UserInfo => {
                Some("a URL with a user name or password is a way to disguise a host, or to leak a secret")
            }
            Stage::Scheme => Some("other schemes read files or speak to other services"),
            Stage::Parse | Stage::Port | Stage::Name | Stage::Dns | Stage::Ip => None,
        };
        Self {
            asked: shown(text),
            canonical: None,
            steps: vec![Step { name, refused: true, text: error.to_string() }],
            verdict: error.verdict(),
            stage: error.stage(),
            rule: error.rule(),
            address: None,
            range: None,
            hint: None,
            message: error.to_string(),
            why,
            remark: None,
            remedy: Remedy::NotThePolicy,
        }
    }

    async fn of_target(basis: &Basis, names: &Names, asked: String, target: TargetUrl, change: String) -> Self {
        let mut steps = Steps::default();
        steps.ok("parsed", format!("{target}{change}"));
        steps.ok("scheme", target.scheme().to_string());
        if let Err(denied) = basis.judge_target(basis.policy(), &target) {
            // What blocks a host looks at nothing else.
            if denied.stage == Stage::Name && denied.rule != "blocked-host" {
                steps.ok("port", port(basis, &target));
            }
            steps.refused(if denied.stage == Stage::Port { "port" } else { "name" }, denied.reason());
            return Self::denied(basis, asked, &target, names.known(&target).as_deref(), steps, &denied);
        }
        steps.ok("port", port(basis, &target));
        steps.ok("name", name(&target));
        let lookup = names.look_up(&target, basis.is_operators()).await;
        let Some(addresses) = lookup.addresses() else {
            steps.refused("lookup", lookup.told());
            return Self::not_looked_up(asked, &target, steps, &lookup);
        };
        if addresses.is_empty() {
            steps.refused("lookup", lookup.told());
        } else {
            steps.ok("lookup", lookup.told());
        }
        for ip in addresses {
            match judge(basis.policy(), &target, &[*ip], lookup.nat64()) {
                Ok(opened) => opened.iter().for_each(|opened| steps.ok("address", open(&target, *ip, opened))),
                Err(denied) => steps.refused("address", closed(*ip, &denied)),
            }
        }
        match judge(basis.policy(), &target, addresses, lookup.nat64()) {
            Ok(opened) => Self::allowed(asked, &target, steps, &opened),
            Err(denied) => Self::denied(basis, asked, &target, Some(addresses), steps, &denied),
        }
    }

    fn denied(
        basis: &Basis,
        asked: String,
        target: &TargetUrl,
        addresses: Option<&[IpAddr]>,
        steps: Steps,
        denied: &Denied,
    ) -> Self {
        // A special range with a well-known use needs no other reason.
        let explained = denied.rule == "special-address" && denied.remark.is_some();
        Self {
            asked,
            canonical: Some(target.to_string()),
            steps: steps.0,
            verdict: Verdict::Deny,
            stage: denied.stage,
            rule: denied.rule,
            address: denied.address,
            range: denied.range.clone(),
            hint: denied.hint.clone(),
            message: denied.reason(),
            why: if explained { None } else { why(denied.rule, basis.is_operators()) },
            remark: denied.remark.map(|remark| remark.to_string()),
            remedy: remedy::of(basis, target, addresses, denied),
        }
    }

    fn not_looked_up(asked: String, target: &TargetUrl, steps: Steps, lookup: &Lookup) -> Self {
        Self {
            asked,
            canonical: Some(target.to_string()),
            steps: steps.0,
            verdict: Verdict::Deny,
            stage: Stage::Dns,
            rule: "no-lookup",
            address: None,
            range: None,
            hint: None,
            message: format!("the lookup of {} is {}", target.host(), lookup.told()),
            why: None,
            remark: Some("leave --offline out, or say with --resolve what the name leads to".to_owned()),
            remedy: Remedy::NotThePolicy,
        }
    }

    fn allowed(asked: String, target: &TargetUrl, steps: Steps, opened: &[Opened]) -> Self {
        let first = opened.first();
        let written = matches!(target.host(), Host::Address(_)) || target.is_localhost();
        let keys: Vec<&str> = opened.iter().filter_map(|opened| opened.by.key()).collect();
        let message = match keys.first() {
            None => "every address of it is public".to_owned(),
            Some(key) => format!("`{key}` opens what is not public"),
        };
        Self {
            asked,
            canonical: Some(target.to_string()),
            steps: steps.0,
            verdict: Verdict::Allow,
            stage: if written { Stage::Ip } else { Stage::Dns },
            rule: first.map_or(Opening::Public, |opened| opened.by).name(),
            address: first.map(|opened| opened.connect_to),
            range: first.map(|opened| opened.class.to_string()),
            hint: None,
            message,
            why: None,
            remark: None,
            remedy: Remedy::NotThePolicy,
        }
    }
}

/// Judges addresses as the guard does.
fn judge(
    policy: &EgressPolicy,
    target: &TargetUrl,
    addresses: &[IpAddr],
    nat64: &[Nat64Prefix],
) -> Result<Vec<Opened>, Denied> {
    policy.judge_discovered(target, policy.judge_addresses(target, addresses)?, nat64)
}

#[derive(Default)]
struct Steps(Vec<Step>);

impl Steps {
    fn ok(&mut self, name: &'static str, text: String) {
        self.0.push(Step { name, refused: false, text });
    }

    fn refused(&mut self, name: &'static str, text: String) {
        self.0.push(Step { name, refused: true, text });
    }
}

/// What the parser made of the host, where that is not what was typed.
fn change(text: &str, target: &TargetUrl) -> String {
    let rest = text.split_once("//").map_or(text, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let typed = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() => host,
        Some(_) | None => authority,
    };
    let read = match target.host() {
        Host::Address(IpAddr::V6(ip)) => format!("[{ip}]"),
        Host::Name(_) | Host::Address(_) => target.host().to_string(),
    };
    if typed == read {
        return String::new();
    }
    let typed: String = typed.chars().take(100).collect();
    format!("; the host {} is another way to write {read}", typed.escape_debug())
}

fn port(basis: &Basis, target: &TargetUrl) -> String {
    let port = target.port();
    match service(port) {
        Some(name) if basis.policy().rules().allow_ports.contains(&port) => {
            format!("{port}, usually {name}; opened by `allowPorts`")
        }
        Some(name) => format!("{port}, usually {name}; named in a `host:port` entry"),
        None => format!("{port}, nothing is known against it"),
    }
}

/// What usually listens on the ports that have to be opened.
fn service(port: u16) -> Option<&'static str> {
    Some(match port {
        873 => "rsync",
        1433 => "SQL Server",
        1521 => "Oracle",
        2181 => "ZooKeeper",
        2375 | 2376 => "Docker's control plane",
        2379 | 2380 => "etcd",
        3306 => "MySQL",
        3389 => "Remote Desktop",
        4369 => "Erlang's port mapper",
        5432 => "PostgreSQL",
        5672 => "RabbitMQ",
        5900 => "VNC",
        5984 | 5986 => "CouchDB or WinRM",
        5985 => "WinRM",
        6379 => "Redis",
        8500 => "Consul",
        9042 => "Cassandra",
        9092 => "Kafka",
        9200 | 9300 => "Elasticsearch",
        10250 | 10255 => "Kubernetes' kubelet",
        11211 => "memcached",
        27017 => "MongoDB",
        _ => return None,
    })
}

fn name(target: &TargetUrl) -> String {
    match target.host() {
        Host::Address(ip) => format!("{ip} is an address: there is no name to judge"),
        Host::Name(name) if target.is_localhost() => format!("{name} is this machine, which the policy opens"),
        Host::Name(name) => format!("{name}, nothing is known against it"),
    }
}

fn open(target: &TargetUrl, ip: IpAddr, opened: &Opened) -> String {
    let range = place(ip, &opened.class);
    let inner = if opened.class.tier == classify(ip).tier { "" } else { " inside, below a NAT64 prefix" };
    match opened.by.key() {
        None => format!("{range}{inner}: public, so it is open"),
        Some("allowHosts") => format!("{range}{inner}: opened by the entry of `allowHosts` for {}", target.host()),
        Some(key) => format!("{range}{inner}: opened by `{key}`"),
    }
}

fn closed(ip: IpAddr, denied: &Denied) -> String {
    match denied.class() {
        Some(class) => format!("{}: {}", place(ip, &class), tier(class.tier, denied.rule)),
        None => denied.reason(),
    }
}

fn place(ip: IpAddr, class: &AddressClass) -> String {
    match class.block {
        // An address that is a block of its own would be said twice.
        Some(block) if block.prefix_len() == block.max_prefix_len() => format!("{ip} is {}", class.name),
        Some(_) => format!("{ip} is in {class}"),
        None => format!("{ip} is {class}"),
    }
}

/// What the tier is in plain words, and that it is closed.
fn tier(tier: Tier, rule: &str) -> &'static str {
    match (rule, tier) {
        ("blocked-address", _) => "blocked by the policy",
        ("own-socket", _) => "Owl's own socket",
        (_, Tier::Public) => "public",
        (_, Tier::Private) => "inside a private network, which nothing here opens",
        (_, Tier::Loopback) => "this machine itself, which nothing here opens",
        (_, Tier::LinkLocal) => "on this very link, which nothing here opens",
        (_, Tier::Metadata) => "a cloud's own service, which nothing here opens",
        (_, Tier::Special) => "set aside for a special use, which nothing here opens",
        (_, Tier::Never) => "never the address of one server",
    }
}

/// Why there is such a rule.
fn why(rule: &str, is_operators: bool) -> Option<&'static str> {
    Some(match rule {
        "localhost-name" | "loopback-address" | "single-label" | "private-suffix" | "private-address"
            if is_operators =>
        {
            "for a server of your own this is the right thing to open; it is closed in case the address is not what you meant"
        }
        "bad-port" => {
            "what listens there speaks another protocol, and can be made to obey what looks like a web request"
        }
        "service-port" => {
            "databases and queues obey whoever reaches them, and one line of a web request can be a command"
        }
        "metadata-name" => {
            "it hands out credentials, and a URL from a model or a page that points there is how they get stolen"
        }
        "metadata-address" => "a URL from a model or a page that points there is how they get stolen",
        "dead-suffix" => "no public server has a name below it",
        "localhost-name" | "loopback-address" => {
            "services on this machine often trust whoever is on it, and a URL from elsewhere would borrow that trust"
        }
        "single-label" | "private-suffix" | "private-address" => {
            "a URL from elsewhere would reach what only your own network can reach"
        }
        "link-local-address" => "routers and cloud services listen there for their own machines only",
        "special-address" => "no public server is there, so an answer that points there is a mistake or an attack",
        "own-socket" => "a request would come back in through Owl, as if somebody on this machine had sent it",
        _ => return None,
    })
}

/// The text as it may be shown: without credentials, query and fragment, on one line.
fn shown(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (start, behind) = (&text[..end], &text[end..]);
    let slashes = start.find("//").map_or(0, |at| at + 2);
    let authority_end = start[slashes..].find(['/', '\\']).map_or(start.len(), |at| slashes + at);
    let host = start[slashes..authority_end].rfind('@').map(|at| slashes + at);
    let mut plain = match host {
        Some(at) => format!("{}****{}", &start[..slashes], &start[at..]),
        None => start.to_owned(),
    };
    if !behind.is_empty() {
        plain.push_str(&behind[..1]);
        plain.push('…');
    }
    let long = plain.char_indices().nth(200).map(|(at, _)| at);
    let cut = long.map_or(plain.as_str(), |at| &plain[..at]);
    let dots = if long.is_some() { "…" } else { "" };
    format!("{}{dots}", cut.escape_debug())
}
