//! From what was typed to what is meant: the gateway, the log, and the rules that hold between keys.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use owl_egress::PolicyRules;

use super::env::StateFolder;
use super::json5::{Node, Value};
use super::problem::{KeyPath, Origin, Problem, Reporter};
use super::raw::{
    RawClientKey, RawConfig, RawCors, RawGateway, RawLevel, RawLimits, RawLog, RawLogFormat, RawPolicy, RawServerTls,
};
use super::raw_value::{List, RawDuration, RawPatience, RawSize};
use super::{
    ClientKey, Cors, EgressConfig, GatewayConfig, Level, Limits, LogConfig, LogFormat, ProviderConfig, ServerTls,
    StoreConfig, ToolsConfig,
};

/// Turns the raw configuration into the ready one and reports on the way.
pub(crate) struct Builder<'a, 'r> {
    tree: &'a Node,
    reporter: &'a mut Reporter<'r>,
    folder: &'a Path,
    terms: Terms,
    variables: &'a BTreeMap<KeyPath, Vec<String>>,
    state_folder: Option<StateFolder>,
    notes: BTreeMap<KeyPath, String>,
}

/// What a configuration is built for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether there must be an inference server; the tools work without one.
    pub(crate) needs_provider: bool,
    /// No file is touched, no command is run, and the system is asked nothing.
    pub(crate) sealed: bool,
}

impl Terms {
    /// What `owl serve` needs.
    pub(crate) const SERVER: Self = Self { needs_provider: true, sealed: false };
    /// What the tools need.
    pub(crate) const TOOLS: Self = Self { needs_provider: false, sealed: false };
    /// A server's, looked at and nothing else.
    pub(crate) const SEALED: Self = Self { needs_provider: true, sealed: true };
}

/// Everything but the warnings.
pub(crate) struct Built {
    pub(crate) gateway: GatewayConfig,
    pub(crate) providers: Vec<ProviderConfig>,
    pub(crate) tools: ToolsConfig,
    pub(crate) egress: EgressConfig,
    pub(crate) store: StoreConfig,
    pub(crate) log: LogConfig,
    /// Why a key that nobody wrote has its value, for `owl config show`.
    pub(crate) notes: BTreeMap<KeyPath, String>,
}

impl<'a, 'r> Builder<'a, 'r> {
    /// `variables` are those that the file names itself; `state_folder` is where the environment wants what Owl keeps.
    pub(crate) fn new(
        tree: &'a Node,
        reporter: &'a mut Reporter<'r>,
        folder: &'a Path,
        terms: Terms,
        variables: &'a BTreeMap<KeyPath, Vec<String>>,
        state_folder: Option<StateFolder>,
    ) -> Self {
        Self { tree, reporter, folder, terms, variables, state_folder, notes: BTreeMap::new() }
    }

    /// Builds everything; `None` where a problem was reported. `raw` is completed with what follows from it.
    pub(crate) fn build(mut self, raw: &mut RawConfig) -> Option<Built> {
        let listen = self.listen(&raw.gateway.listen, &KeyPath::of("gateway.listen"));
        let own_sockets = listen.map(|listen| self.own_sockets(listen)).unwrap_or_default();
        let everywhere = self.everywhere(&raw.egress, own_sockets);
        let gateway = self.gateway(&mut raw.gateway, listen, &everywhere);
        let providers_path = KeyPath::of("models.providers");
        if self.terms.needs_provider
            && raw.models.providers.is_empty()
            && matches!(self.tree.value, Value::Object(_))
            && !self.reporter.is_broken(&KeyPath::of("models"))
        {
            let help = "set OWL_BASE_URL (and OWL_API_KEY), or write \
                        `models: { providers: { owl: { baseUrl: \"https://llm.corp.example/v1\" } } }` in owl.json5";
            self.reporter.report_whole(Problem::without_place("no inference server is configured", help));
        }
        let mut providers = Vec::new();
        for (id, raw) in &mut raw.models.providers {
            providers.push(self.provider(id, raw, &providers_path.key(id), &everywhere));
        }
        let tools = self.tools(&mut raw.tools, &everywhere, &providers);
        let egress = self.egress(&mut raw.egress, everywhere);
        let store = self.store(&mut raw.store);
        let log = log(&raw.log);
        Some(Built {
            gateway: gateway?,
            providers: providers.into_iter().collect::<Option<_>>()?,
            tools: tools?,
            egress: egress?,
            store: store?,
            log,
            notes: self.notes,
        })
    }

    fn gateway(
        &mut self,
        raw: &mut RawGateway,
        listen: Option<SocketAddr>,
        everywhere: &PolicyRules,
    ) -> Option<GatewayConfig> {
        let path = KeyPath::of("gateway");
        let keys = self.client_keys(&mut raw.keys, &path.key("keys"));
        if let Some(listen) = listen
            && !listen.ip().to_canonical().is_loopback()
            && raw.keys.is_empty()
            && !self.reporter.is_broken(&path.key("keys"))
        {
            let help =
                "add one: `keys: [{ name: \"ci\", key: \"${OWL_GATEWAY_KEY}\" }]`, or listen on \"127.0.0.1:6950\"";
            self.report(
                &path.key("listen"),
                "other machines can reach this address, and no client key is configured",
                help,
            );
        }
        let tls = raw.tls.as_ref().map(|raw| self.server_tls(raw, &path.key("tls")));
        let cors = raw.cors.as_ref().map(|raw| self.cors(raw, &path.key("cors").key("origins")));
        let limits = self.limits(&raw.limits, &path.key("limits"));
        let drain_timeout = self.duration(&raw.drain_timeout, &path.key("drainTimeout"));
        let rules = self.policy(&raw.policy, &path, everywhere);
        let media = self.media(&raw.media, &path.key("media"));
        Some(GatewayConfig {
            listen: listen?,
            keys,
            tls: unwrap_inner(tls)?,
            cors: unwrap_inner(cors)?,
            limits: limits?,
            drain_timeout: drain_timeout?,
            rules,
            media: media?,
        })
    }

    fn listen(&mut self, text: &str, path: &KeyPath) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            let help =
                "write an address and a port, for example \"127.0.0.1:6950\", \"[::1]:6950\" or \"0.0.0.0:6950\"";
            self.report(path, "this is not an address to listen on", help);
        }
        address
    }

    /// Where this very Owl answers: a provider there would be an endless loop. A wildcard listens on the addresses of all
    /// interfaces, as far as the system tells them.
    fn own_sockets(&self, listen: SocketAddr) -> Vec<SocketAddr> {
        let mut own = vec![listen];
        if listen.ip().is_unspecified() && !self.terms.sealed {
            let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
            own.extend(interfaces.iter().map(|interface| SocketAddr::new(interface.ip(), listen.port())));
        }
        own
    }

    /// The keys of clients. The key of the flag or the variable is left out where the file lists it already.
    fn client_keys(&mut self, raw: &mut List<RawClientKey>, path: &KeyPath) -> Vec<ClientKey> {
        let mut keys: Vec<ClientKey> = Vec::new();
        let mut repeated = Vec::new();
        for (index, raw) in raw.iter() {
            let path = path.index(index);
            if raw.name.is_empty() || raw.name.chars().any(char::is_control) {
                let help = "give it one for the logs, for example \"ci\"";
                self.report(&path.key("name"), "this is no name", help);
            }
            let Some(key) = self.secret_now(&raw.key, &path.key("key")) else { continue };
            if let Some(earlier) = keys.iter().find(|earlier| earlier.key == key) {
                if matches!(self.origin(&path.key("key")), Origin::File { .. }) {
                    let message = format!("this is the same key as that of {:?}", earlier.name);
                    self.report(
                        &path.key("key"),
                        message,
                        "give each client a key of its own, or remove one of the two",
                    );
                } else {
                    repeated.push(index);
                }
                continue;
            }
            if key.expose().contains(|c: char| c.is_whitespace() || !c.is_ascii()) {
                let help = "use letters, digits and signs of ASCII, for example the output of `openssl rand -hex 32`";
                let message = "no client can send a key with a blank or a character outside ASCII";
                self.report(&path.key("key"), message, help);
            }
            if keys.iter().any(|earlier| earlier.name == raw.name) {
                self.report(&path.key("name"), "another key has this name", "give each key a name of its own");
            }
            let auto_tools = self.auto_tools(&raw.tools, &path.key("tools"));
            keys.push(ClientKey { name: raw.name.clone(), key, auto_tools });
        }
        raw.remove(&repeated);
        keys
    }

    fn server_tls(&mut self, raw: &RawServerTls, path: &KeyPath) -> Option<ServerTls> {
        let cert = self.readable_file(&raw.cert, &path.key("cert"));
        let key = self.readable_file(&raw.key, &path.key("key"));
        let tls = ServerTls { cert: cert?, key: key? };
        if self.may_read([&tls.cert, &tls.key].into_iter())
            && let Err(error) = tls.load()
        {
            self.report(&path.key(error.key), error.reason, "");
        }
        Some(tls)
    }

    fn cors(&mut self, raw: &RawCors, path: &KeyPath) -> Option<Cors> {
        if raw.origins.is_empty() && !self.reporter.is_broken(path) {
            self.report(path, "this list is empty", "name an origin, write [\"*\"], or remove `cors`");
            return None;
        }
        let mut right = true;
        for (index, origin) in raw.origins.iter() {
            let rest = origin.split_once("://").filter(|(scheme, _)| !scheme.is_empty()).map(|(_, rest)| rest);
            let plain =
                |rest: &str| !rest.is_empty() && rest.chars().all(|c| c.is_ascii_graphic() && !"/?#@*,".contains(c));
            if origin != "*" && !rest.is_some_and(plain) {
                let help =
                    "write scheme and host, without a path: \"https://app.corp.example\", or \"*\" for every origin";
                self.report(&path.index(index), "this is not an origin", help);
                right = false;
            } else if origin == "*" && raw.origins.iter().count() > 1 {
                self.report(&path.index(index), "`*` is every origin", "write [\"*\"] alone, or only the others");
                right = false;
            }
        }
        right.then(|| Cors { origins: raw.origins.iter().map(|(_, origin)| origin.clone()).collect() })
    }

    fn limits(&mut self, raw: &RawLimits, path: &KeyPath) -> Option<Limits> {
        let request_body = self.size(&raw.request_body, &path.key("requestBody"), 1..=1 << 40, "from 1B to 1024GiB");
        let headers = path.key("requestHeaders");
        let request_headers = self.size(&raw.request_headers, &headers, 8 << 10..=16 << 20, "from 8KiB to 16MiB");
        let header_timeout = self.positive(&raw.header_timeout, &path.key("headerTimeout"));
        let body_timeout = self.positive(&raw.body_timeout, &path.key("bodyTimeout"));
        Some(Limits {
            request_body: request_body?,
            request_headers: usize::try_from(request_headers?).ok()?,
            connections: raw.connections,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
        })
    }

    /// The policy's rules, of a provider, its token URL, the gateway or a tool, with those that hold everywhere.
    pub(crate) fn policy<P>(&mut self, raw: &RawPolicy<P>, path: &KeyPath, everywhere: &PolicyRules) -> PolicyRules
    where
        P: Copy + Default + Into<bool>,
    {
        let written = |reporter: &Reporter<'_>, key| !reporter.is_broken(&path.key(key));
        if raw.only_hosts.is_empty()
            && self.tree.find(&path.key("onlyHosts")).is_some()
            && written(self.reporter, "onlyHosts")
        {
            self.report(
                &path.key("onlyHosts"),
                "this list is empty: nothing would be reachable",
                "name a host, or remove the key",
            );
        }
        let mut rules = PolicyRules {
            allow_private_network: raw.allow_private_network.into(),
            allow_hosts: self.patterns(&raw.allow_hosts, &path.key("allowHosts")),
            allow_cidrs: self.patterns(&raw.allow_cidrs, &path.key("allowCidrs")),
            only_hosts: self.patterns(&raw.only_hosts, &path.key("onlyHosts")),
            block_hosts: self.patterns(&raw.block_hosts, &path.key("blockHosts")),
            block_cidrs: self.patterns(&raw.block_cidrs, &path.key("blockCidrs")),
            allow_ports: raw.allow_ports.iter().map(|(_, port)| *port).collect(),
            fake_ip_ranges: self.patterns(&raw.fake_ip_ranges, &path.key("fakeIpRanges")),
            nat64_prefixes: self.patterns(&raw.nat64_prefixes, &path.key("nat64Prefixes")),
            own_sockets: everywhere.own_sockets.clone(),
        };
        rules.block_hosts.extend_from_slice(&everywhere.block_hosts);
        rules.block_cidrs.extend_from_slice(&everywhere.block_cidrs);
        rules.fake_ip_ranges.extend_from_slice(&everywhere.fake_ip_ranges);
        rules.nat64_prefixes.extend_from_slice(&everywhere.nat64_prefixes);
        rules
    }

    pub(crate) fn patterns<T: std::str::FromStr>(&mut self, raw: &List<String>, path: &KeyPath) -> Vec<T>
    where
        T::Err: std::fmt::Display,
    {
        let mut patterns = Vec::new();
        for (index, text) in raw.iter() {
            match text.parse::<T>() {
                Ok(pattern) => patterns.push(pattern),
                Err(error) => self.report(&path.index(index), error.to_string(), ""),
            }
        }
        patterns
    }

    pub(crate) fn duration(&mut self, raw: &RawDuration, path: &KeyPath) -> Option<Duration> {
        match super::unit::duration(&raw.0) {
            Ok(duration) => Some(duration),
            Err(_) if raw.0 == "unlimited" => {
                self.report(path, "this duration cannot be unlimited", "write one, for example \"30s\"");
                None
            }
            Err((message, help)) => {
                self.report(path, message, help);
                None
            }
        }
    }

    /// A duration that is not zero.
    pub(crate) fn positive(&mut self, raw: &RawDuration, path: &KeyPath) -> Option<Duration> {
        let duration = self.duration(raw, path)?;
        if duration.is_zero() {
            self.report(path, "this duration is zero", "write a longer one, for example \"5s\"");
            return None;
        }
        Some(duration)
    }

    /// How old something may become.
    pub(crate) fn age(&mut self, raw: &RawDuration, path: &KeyPath) -> Option<Duration> {
        match super::unit::age(&raw.0) {
            Ok(age) if !age.is_zero() => Some(age),
            Ok(_) => {
                self.report(path, "this duration is zero", "write a longer one, for example \"90d\"");
                None
            }
            Err((message, help)) => {
                self.report(path, message, help);
                None
            }
        }
    }

    /// A duration that is not zero, or `None` for `unlimited`.
    pub(crate) fn patience(&mut self, raw: &RawPatience, path: &KeyPath) -> Option<Option<Duration>> {
        if raw.0 == "unlimited" {
            return Some(None);
        }
        match super::unit::duration(&raw.0) {
            Ok(duration) if !duration.is_zero() => Some(Some(duration)),
            Ok(_) => {
                self.report(path, "this duration is zero", "write a longer one, or \"unlimited\"");
                None
            }
            Err((message, help)) => {
                self.report(path, message, format!("{help}, or \"unlimited\""));
                None
            }
        }
    }

    pub(crate) fn size(
        &mut self,
        raw: &RawSize,
        path: &KeyPath,
        range: std::ops::RangeInclusive<u64>,
        spelt: &str,
    ) -> Option<u64> {
        let bytes = match raw {
            RawSize::Bytes(bytes) => Ok(*bytes),
            RawSize::Text(text) => super::unit::size(text),
        };
        match bytes {
            Ok(bytes) if range.contains(&bytes) => Some(bytes),
            Ok(_) => {
                self.report(path, "this size is out of range", format!("write one {spelt}"));
                None
            }
            Err((message, help)) => {
                self.report(path, message, help);
                None
            }
        }
    }

    /// Where the environment wants what Owl keeps, and which variable says so.
    pub(crate) fn state_folder(&self) -> Option<StateFolder> {
        self.state_folder.clone()
    }

    pub(crate) fn in_folder(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.terms.sealed
    }

    /// Whether the file names `${variable}` somewhere.
    pub(crate) fn is_named(&self, variable: &str) -> bool {
        self.variables.values().flatten().any(|name| name == variable)
    }

    pub(crate) fn is_broken(&self, path: &KeyPath) -> bool {
        self.reporter.is_broken(path)
    }

    /// What was typed at `path`.
    pub(crate) fn find(&self, path: &KeyPath) -> Option<&Node> {
        self.tree.find(path)
    }

    /// Whether anything was typed at `path`.
    pub(crate) fn is_written(&self, path: &KeyPath) -> bool {
        self.find(path).is_some()
    }

    pub(crate) fn origin(&self, path: &KeyPath) -> Origin {
        self.tree.origin_of(path)
    }

    pub(crate) fn report(&mut self, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        let origin = self.origin(path);
        self.reporter.report(origin, path, message, help);
    }

    pub(crate) fn warn(&mut self, path: &KeyPath, message: impl Into<String>, help: impl Into<String>) {
        let origin = self.origin(path);
        self.reporter.warn(origin, path, message, help);
    }

    pub(crate) fn note(&mut self, path: KeyPath, why: &str) {
        self.notes.insert(path, why.to_owned());
    }
}

/// Absent is fine, present but wrong is not.
pub(crate) fn unwrap_inner<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    value.map_or(Some(None), |inner| inner.map(Some))
}

fn log(raw: &RawLog) -> LogConfig {
    let format = match raw.format {
        RawLogFormat::Auto => LogFormat::Auto,
        RawLogFormat::Text => LogFormat::Text,
        RawLogFormat::Json => LogFormat::Json,
    };
    let level = match raw.level {
        RawLevel::Error => Level::ERROR,
        RawLevel::Warn => Level::WARN,
        RawLevel::Info => Level::INFO,
        RawLevel::Debug => Level::DEBUG,
        RawLevel::Trace => Level::TRACE,
    };
    LogConfig { format, level }
}
