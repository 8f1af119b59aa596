//! What holds for everything that leaves Owl: the rules beside every policy, the resolver, the proxy, the rates.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use owl_egress::policy::Cidr;
use owl_egress::proxy::Proxy;
use owl_egress::rate::{Rate, RateLimiter, RateLimits};
use owl_egress::resolve::{Resolver, ResolverOptions};
use owl_egress::target::{InvalidTarget, Scheme};
use owl_egress::{AuditSink, Network, PolicyRules, Secret, TargetUrl};

use super::build::Builder;
use super::problem::KeyPath;
use super::provider::UserInfo;
use super::raw_egress::{RawEgress, RawProxy, RawProxyTable, RawRate, RawResolver};
use super::raw_value::{List, RawBaseUrl, RawLiteral, RawSecret};

/// The keys that open addresses. In `egress` they would open them for everybody's URLs.
pub(crate) const OPENING_KEYS: [&str; 5] =
    ["allowPrivateNetwork", "allowHosts", "allowCidrs", "allowPorts", "onlyHosts"];

/// The port of DNS.
const DNS: u16 = 53;

/// The largest burst that follows from a rate.
const LARGEST_BURST: u32 = 100;

/// What holds for everything that leaves Owl.
#[derive(Clone, Debug)]
pub struct EgressConfig {
    /// The rules beside those of every policy: Owl's own sockets and what `egress` blocks or describes. They open nothing.
    pub everywhere: PolicyRules,
    /// Who resolves names.
    pub resolver: ResolverOptions,
    /// The proxy that every connection goes through.
    pub proxy: Option<Proxy>,
    /// How often URLs may be fetched that a client or a model chose.
    pub rates: RateLimits,
}

impl EgressConfig {
    /// What all clients of this process share; each call makes one that shares nothing with the others.
    pub fn network(&self, audit: Arc<dyn AuditSink>) -> Network {
        Network {
            resolver: Resolver::new(self.resolver.clone()),
            proxy: self.proxy.clone().map(Arc::new),
            rates: Some(Arc::new(RateLimiter::new(self.rates))),
            audit,
        }
    }
}

impl Builder<'_, '_> {
    /// The rules that stand beside those of every policy.
    pub(crate) fn everywhere(&mut self, raw: &RawEgress, own_sockets: Vec<SocketAddr>) -> PolicyRules {
        let path = KeyPath::of("egress");
        PolicyRules {
            block_hosts: self.patterns(&raw.block_hosts, &path.key("blockHosts")),
            block_cidrs: self.patterns(&raw.block_cidrs, &path.key("blockCidrs")),
            fake_ip_ranges: self.patterns(&raw.fake_ip_ranges, &path.key("fakeIpRanges")),
            nat64_prefixes: self.patterns(&raw.nat64_prefixes, &path.key("nat64Prefixes")),
            own_sockets,
            ..PolicyRules::default()
        }
    }

    /// `egress`. `raw` is completed with what its proxy's URL holds.
    pub(crate) fn egress(&mut self, raw: &mut RawEgress, everywhere: PolicyRules) -> Option<EgressConfig> {
        let path = KeyPath::of("egress");
        let resolver = self.resolver(&raw.resolver, &path.key("resolver"));
        let proxy = raw.proxy.as_mut().map(|raw| self.proxy(raw, &path.key("proxy")));
        let limits = path.key("rateLimit");
        let per_key = self.rate(&raw.rate_limit.per_key, &limits.key("perKey"));
        let per_destination = self.rate(&raw.rate_limit.per_destination, &limits.key("perDestination"));
        let private = self.rate(&raw.rate_limit.per_private_destination, &limits.key("perPrivateDestination"));
        let rates =
            RateLimits { per_key: per_key?, per_destination: per_destination?, per_private_destination: private? };
        Some(EgressConfig { everywhere, resolver: resolver?, proxy: super::build::unwrap_inner(proxy)?, rates })
    }

    fn resolver(&mut self, raw: &RawResolver, path: &KeyPath) -> Option<ResolverOptions> {
        let raw = match raw {
            RawResolver::System(_) => return Some(ResolverOptions::System),
            RawResolver::Servers(raw) => raw,
        };
        let mut servers = Vec::new();
        let mut right = !self.is_broken(path);
        for (index, text) in raw.servers.iter() {
            match name_server(text) {
                Ok(server) => servers.push(server),
                Err(message) => {
                    let help =
                        "write an address, with its port where that is not 53: \"10.0.0.2\" or \"127.0.0.1:5353\"";
                    self.report(&path.key("servers").index(index), message, help);
                    right = false;
                }
            }
        }
        right.then_some(ResolverOptions::Servers(servers))
    }

    /// The proxy. What its URL holds beside the address is taken out of it.
    fn proxy(&mut self, raw: &mut RawProxy, path: &KeyPath) -> Option<Proxy> {
        let url_path = match raw {
            RawProxy::Url(_) => path.clone(),
            RawProxy::Table(_) => path.key("url"),
        };
        let typed = match raw {
            RawProxy::Url(url) | RawProxy::Table(RawProxyTable { url, .. }) => url.0.clone(),
        };
        let url = match proxy_url(&typed) {
            Ok((url, user_info)) => Some((url, user_info)),
            Err((message, help)) => {
                self.report(&url_path, message, help);
                None
            }
        };
        let (url, user_info) = url.map_or((None, None), |(url, user_info)| (Some(url), user_info));
        let except = match raw {
            RawProxy::Url(_) => Vec::new(),
            RawProxy::Table(raw) => self.patterns::<Cidr>(&raw.except, &path.key("except")),
        };
        let credentials = match user_info {
            Some(user_info) => self.proxy_user_info(raw, user_info, &url_path, path),
            None => match raw {
                RawProxy::Url(_) => Some(None),
                RawProxy::Table(raw) => self.proxy_credentials(raw, path),
            },
        };
        Some(Proxy { url: url?, credentials: credentials?, except: except.iter().map(Cidr::net).collect() })
    }

    /// User name and password that stood in the proxy's URL. `raw` is completed with them, so that they are shown (the
    /// password as `****`).
    fn proxy_user_info(
        &mut self,
        raw: &mut RawProxy,
        (username, password): UserInfo,
        url_path: &KeyPath,
        path: &KeyPath,
    ) -> Option<Option<UserInfo>> {
        if let RawProxy::Table(raw) = raw {
            let beside = [("username", raw.username.is_some()), ("password", raw.password.is_some())];
            if let Some((key, _)) = beside.into_iter().find(|(_, written)| *written) {
                let message = format!("`url` holds a user and a password, and so `{key}` contradicts it");
                self.report(&path.key(key), message, format!("remove `user:password@` from `url`, or remove `{key}`"));
                return None;
            }
        }
        let fits =
            self.fits_basic(&username, url_path) && (password.expose().is_empty() || self.literal(&password, url_path));
        let (url, except) = match raw {
            RawProxy::Url(url) => (url.0.clone(), List::default()),
            RawProxy::Table(raw) => (raw.url.0.clone(), std::mem::take(&mut raw.except)),
        };
        for key in ["url", "username", "password"] {
            let from = if *url_path == *path { "from egress.proxy" } else { "from egress.proxy.url" };
            self.note(path.key(key), from);
        }
        *raw = RawProxy::Table(RawProxyTable {
            url: RawBaseUrl(url),
            username: Some(username.clone()),
            password: Some(RawSecret::Literal(RawLiteral(password.clone()))),
            except,
        });
        fits.then_some(Some((username, password)))
    }

    fn proxy_credentials(&mut self, raw: &RawProxyTable, path: &KeyPath) -> Option<Option<UserInfo>> {
        match (&raw.username, &raw.password) {
            (None, None) => (!self.is_broken(&path.key("password"))).then_some(None),
            (None, Some(_)) => {
                if !self.is_broken(&path.key("username")) {
                    self.report(
                        &path.key("password"),
                        "there is a password, but no `username`",
                        "write `username` beside it",
                    );
                }
                None
            }
            (Some(username), password) => {
                let fits = self.fits_basic(username, &path.key("username"));
                let password = match password {
                    None if self.is_broken(&path.key("password")) => None,
                    None => Some(Secret::new("")),
                    // Some proxies take a token as the user name and no password.
                    Some(RawSecret::Literal(RawLiteral(empty))) if empty.expose().is_empty() => Some(empty.clone()),
                    Some(secret) => self.secret_now(secret, &path.key("password")),
                };
                // Where nothing may be read, a file's content is no problem.
                let password = password.or_else(|| self.is_sealed().then(|| Secret::new("")));
                (fits && !self.is_broken(&path.key("password"))).then_some(Some((username.clone(), password?)))
            }
        }
    }

    /// How often something may be done; `None` inside for no limit.
    pub(crate) fn rate(&mut self, raw: &RawRate, path: &KeyPath) -> Option<Option<Rate>> {
        let (text, text_path, burst) = match raw {
            RawRate::Text(text) => (text, path.clone(), None),
            RawRate::Table(raw) => (&raw.rate, path.key("rate"), raw.burst),
        };
        if text.0 == "unlimited" {
            if burst.is_some() {
                self.report(&path.key("burst"), "without a limit there is no burst", "remove it, or write a rate");
                return None;
            }
            return Some(None);
        }
        match super::unit::rate(&text.0) {
            Ok(per_minute) => {
                let burst = burst.unwrap_or((per_minute / 2).clamp(1, LARGEST_BURST));
                Some(Some(Rate { per_minute, burst }))
            }
            Err((message, help)) => {
                self.report(&text_path, message, help);
                None
            }
        }
    }
}

/// `10.0.0.2`, `[::1]:5353` and the like.
fn name_server(text: &str) -> Result<SocketAddr, &'static str> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let mut server = match (text.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(server), _) => server,
        (Err(_), Ok(address)) => SocketAddr::new(address, DNS),
        (Err(_), Err(_)) => return Err("this is not the address of a DNS server"),
    };
    let address = server.ip().to_canonical();
    if server.port() == 0 {
        return Err("no DNS server listens on port 0");
    }
    if address.is_unspecified() || address.is_multicast() {
        return Err("no DNS server has this address");
    }
    // Not a new one: that of a link-local server would have lost its link.
    server.set_ip(address);
    Ok(server)
}

/// The proxy's URL, and the user name and password that stood in it.
fn proxy_url(typed: &Secret) -> Result<(TargetUrl, Option<UserInfo>), (String, &'static str)> {
    const HELP: &str = "for example \"http://proxy.corp.example:3128\"";
    let wrong = |message: &str| Err((message.to_owned(), HELP));
    if !typed.expose().contains("://") {
        return wrong("begin it with http://");
    }
    let (url, user_info) = match TargetUrl::parse_operator(typed.expose()) {
        Ok(parsed) => parsed,
        Err(InvalidTarget::Query | InvalidTarget::Fragment) => {
            return wrong("a proxy is a host and a port: leave out the `?` or `#` and what follows it");
        }
        Err(InvalidTarget::Scheme(scheme)) if scheme.is_empty() => return wrong("begin it with http://"),
        Err(InvalidTarget::Scheme(scheme)) => {
            return Err((format!("the scheme {scheme} is not spoken with a proxy, only http is"), HELP));
        }
        Err(
            error @ (InvalidTarget::Parse(_)
            | InvalidTarget::TooLong
            | InvalidTarget::UserInfo
            | InvalidTarget::Host(_)),
        ) => {
            return Err((error.to_string(), HELP));
        }
    };
    match (url.scheme(), url.path()) {
        (Scheme::Https, _) => wrong("Owl speaks cleartext HTTP with its proxy: write http://"),
        (Scheme::Http, "" | "/") => Ok((url, user_info)),
        (Scheme::Http, _) => wrong("a proxy is a host and a port: leave out the path"),
    }
}

#[cfg(test)]
mod tests {
    use super::name_server;

    #[test]
    fn servers_are_read_as_they_are_written() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(name_server(text).ok().map(|server| server.to_string()).as_deref(), expected, "{text}");
        };
        check("10.0.0.2", Some("10.0.0.2:53"));
        check("127.0.0.1:5353", Some("127.0.0.1:5353"));
        check("::1", Some("[::1]:53"));
        check("[::1]", Some("[::1]:53"));
        check("[::ffff:10.0.0.2]:54", Some("10.0.0.2:54"));
        check("[fe80::1%2]:53", Some("[fe80::1%2]:53"));
        for wrong in ["", "dns.corp.example", "10.0.0.2:0", "0.0.0.0", "[::]:53", "224.0.0.1"] {
            check(wrong, None);
        }
    }
}
