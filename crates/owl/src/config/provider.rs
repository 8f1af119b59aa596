//! One provider: from what was typed to what `owl_egress` needs, and how Owl authenticates to it.
//!
//! The scheme is always what `auth` says, never guessed from the key. A key that would not be sent is an error, since
//! somebody believes that it is; only OWL_API_KEY, which may be set for other reasons, is a
//! warning, and not even that where the file uses it elsewhere.

use std::collections::{BTreeMap, HashSet};

use http::HeaderName;
use owl_egress::header::is_senders;
use owl_egress::target::Scheme;
use owl_egress::{
    Authentication, BasicCredential, Network, OAuth2, PolicyRules, Secret, SecretSource, TargetUrl, Timeouts,
    TlsOptions, UpstreamOptions,
};

use super::build::Builder;
use super::problem::{KeyPath, Origin, spelt};
use super::raw::{RawAuth, RawAuthKind, RawAuthTable, RawModel, RawOAuth2, RawProvider, RawTimeouts, RawTls};
use super::raw_value::{List, RawLiteral, RawSecret};
use super::{DeclaredModel, ModelsConfig, ProviderConfig};

/// The user name and the password that stood in a URL.
pub(crate) type UserInfo = (String, Secret);

/// What was typed of how Owl authenticates to an address of the operator's.
pub(crate) struct RawLogin<'a> {
    pub(crate) auth: &'a mut Option<RawAuth>,
    pub(crate) api_key: Option<&'a RawSecret>,
    /// What to write where a key is missing.
    pub(crate) example: &'static str,
}

impl Builder<'_, '_> {
    /// One provider; `None` where a problem was reported.
    pub(crate) fn provider(
        &mut self,
        id: &str,
        raw: &mut RawProvider,
        path: &KeyPath,
        everywhere: &PolicyRules,
    ) -> Option<ProviderConfig> {
        self.check_id(id, path);
        let base_url = self.base_url(raw.base_url.0.expose(), "https://llm.corp.example/v1", &path.key("baseUrl"));
        let (base_url, user_info) = base_url.map_or((None, None), |(url, user_info)| (Some(url), user_info));
        let mut login =
            RawLogin { auth: &mut raw.auth, api_key: raw.api_key.as_ref(), example: "apiKey: \"${OWL_API_KEY}\"" };
        let authentication = self.authentication(&mut login, user_info, path, everywhere);
        let headers = self.headers(&raw.headers, authentication.as_ref(), &path.key("headers"));
        let tls = self.tls(&raw.tls, base_url.as_ref(), &path.key("tls"));
        let models = self.models(&raw.models, &path.key("models"));
        let refresh = self.positive(&raw.models_refresh, &path.key("modelsRefresh"));
        let compat = self.compat(&raw.compat, &raw.models, path);
        let auto_tools = self.auto_tools(&raw.tools, &path.key("tools"));
        let timeouts = self.timeouts(&raw.timeouts, &path.key("timeouts"));
        let idle_timeout = self.duration(&raw.idle_timeout, &path.key("idleTimeout"));
        let rules = self.policy(&raw.policy, path, everywhere);
        let (all, declared) = models?;
        let upstream = UpstreamOptions {
            name: id.to_owned(),
            base_url: base_url?,
            authentication: authentication?,
            headers: headers?,
            tls: tls?,
            rules,
            timeouts: timeouts?,
            idle_timeout: idle_timeout?,
            max_idle: raw.max_idle_connections,
            network: Network::default(),
        };
        Some(ProviderConfig {
            upstream,
            models: ModelsConfig { all, declared, refresh: refresh? },
            responses: raw.responses.into(),
            messages: raw.messages.into(),
            compat,
            auto_tools,
        })
    }

    fn check_id(&mut self, id: &str, path: &KeyPath) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if !id.starts_with(plain) || !id.chars().all(|c| plain(c) || "._-".contains(c)) || id.len() > 64 {
            let help = "write a-z, 0-9, `.`, `_` and `-`, a letter or a digit first, 64 characters at most";
            self.report(path, "this is not an id for a provider", help);
        }
    }

    /// An address of the operator's, and what it holds beside that; `example` is what one looks like.
    pub(crate) fn base_url(
        &mut self,
        text: &str,
        example: &str,
        path: &KeyPath,
    ) -> Option<(TargetUrl, Option<UserInfo>)> {
        match TargetUrl::parse_operator(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.report(path, error.to_string(), format!("for example {example:?}"));
                None
            }
        }
    }

    /// How Owl authenticates. `login.auth` is completed with what follows from the other keys.
    pub(crate) fn authentication(
        &mut self,
        login: &mut RawLogin<'_>,
        user_info: Option<UserInfo>,
        path: &KeyPath,
        everywhere: &PolicyRules,
    ) -> Option<Authentication> {
        if self.is_broken(&path.key("auth")) {
            return None;
        }
        if let Some(user_info) = user_info {
            return self.user_info_authentication(login, user_info, path);
        }
        let auth = path.key("auth");
        if login.auth.is_none() {
            let has_key = login.api_key.is_some() || self.is_broken(&path.key("apiKey"));
            *login.auth = Some(RawAuth::Kind(if has_key { RawAuthKind::Bearer } else { RawAuthKind::None }));
            self.note(auth.clone(), if has_key { "because there is an apiKey" } else { "because there is no apiKey" });
        }
        let login = &*login;
        match login.auth.as_ref()? {
            RawAuth::Kind(RawAuthKind::None) | RawAuth::Table(RawAuthTable::None {}) => {
                self.refuse_unused_key(login, "auth is none, so that no key is sent", path)?;
                Some(Authentication::None)
            }
            RawAuth::Kind(RawAuthKind::Bearer) => self.api_key(login, "bearer", path).map(Authentication::Bearer),
            RawAuth::Table(RawAuthTable::Bearer { key: None }) => {
                self.api_key(login, "bearer", path).map(Authentication::Bearer)
            }
            RawAuth::Table(RawAuthTable::Bearer { key: Some(key) }) => {
                let unused = self.refuse_unused_key(login, "auth has a key of its own", path);
                let key = self.secret(key, &auth.key("key"));
                unused.and(key).map(Authentication::Bearer)
            }
            RawAuth::Kind(RawAuthKind::Basic) => self.pair(login, path),
            RawAuth::Table(RawAuthTable::Basic { username, password }) => {
                let unused = self.refuse_unused_key(login, "auth has a username and a password of its own", path);
                let basic = self.basic(username, password, &auth);
                unused.and(basic)
            }
            RawAuth::Table(RawAuthTable::Header { name, value }) => {
                let name = self.header_name(name, &auth.key("name"));
                let value = match value {
                    None => self.api_key(login, "header", path),
                    Some(value) => {
                        let unused = self.refuse_unused_key(login, "auth has a value of its own", path);
                        let value = self.secret(value, &auth.key("value"));
                        unused.and(value)
                    }
                };
                Some(Authentication::Header { name: name?, value: value? })
            }
            RawAuth::Table(RawAuthTable::OAuth2(oauth2)) => {
                let unused = self.refuse_unused_key(login, "auth gets its token from tokenUrl", path);
                let oauth2 = self.oauth2(oauth2, &auth, everywhere);
                unused.and(oauth2)
            }
        }
    }

    /// `user:password@` in the base URL is Basic authentication, and nothing may contradict it.
    fn user_info_authentication(
        &mut self,
        login: &mut RawLogin<'_>,
        (username, password): UserInfo,
        path: &KeyPath,
    ) -> Option<Authentication> {
        let agrees = matches!(login.auth, None | Some(RawAuth::Kind(RawAuthKind::Basic)));
        let contradicting = [("auth", !agrees), ("apiKey", login.api_key.is_some())];
        for (key, _) in contradicting.iter().filter(|(_, contradicts)| *contradicts) {
            let message = format!("`baseUrl` holds a user and a password, and so `{key}` contradicts it");
            self.report(&path.key(key), message, format!("remove `user:password@` from `baseUrl`, or remove `{key}`"));
        }
        if contradicting.iter().any(|(_, contradicts)| *contradicts) {
            return None;
        }
        let password = RawSecret::Literal(RawLiteral(password));
        let authentication = self.basic(&username, &password, &path.key("baseUrl"));
        self.note(path.key("auth"), "from baseUrl");
        *login.auth = Some(RawAuth::Table(RawAuthTable::Basic { username, password }));
        authentication
    }

    /// The `apiKey` that this kind of authentication sends.
    pub(crate) fn api_key(&mut self, login: &RawLogin<'_>, kind: &str, path: &KeyPath) -> Option<SecretSource> {
        if let Some(key) = login.api_key {
            return self.secret(key, &path.key("apiKey"));
        }
        if !self.is_broken(&path.key("apiKey")) {
            let mut help = format!("write `{}` beside it", login.example);
            if *path == KeyPath::of("models.providers.owl") {
                help += ", or set OWL_API_KEY";
            }
            self.report(&path.key("auth"), format!("`{kind}` needs a key, and there is no `apiKey`"), help);
        }
        None
    }

    pub(crate) fn refuse_unused_key(&mut self, login: &RawLogin<'_>, why: &str, path: &KeyPath) -> Option<()> {
        let path = path.key("apiKey");
        if login.api_key.is_none() {
            return Some(());
        }
        if let Origin::Variable(variable) = self.origin(&path) {
            if !self.is_named(variable) {
                self.warn(&path, format!("this key is not used: {why}"), "");
            }
            return Some(());
        }
        self.report(&path, format!("this key would not be used: {why}"), "remove it, or change `auth`");
        None
    }

    /// `auth: "basic"` with `apiKey` as the pair.
    fn pair(&mut self, login: &RawLogin<'_>, path: &KeyPath) -> Option<Authentication> {
        let source = self.api_key(login, "basic", path)?;
        if let SecretSource::Literal(secret) = &source
            && let Err(error) = BasicCredential::check_pair(secret)
        {
            let help = "write `user:password`, or `auth: { type: \"basic\", username: \"…\", password: \"…\" }`";
            self.report(&path.key("apiKey"), error.to_string(), help);
            return None;
        }
        Some(Authentication::Basic(BasicCredential::Pair(source)))
    }

    fn basic(&mut self, username: &str, password: &RawSecret, path: &KeyPath) -> Option<Authentication> {
        let fits = self.fits_basic(username, &path.key("username"));
        let password = match password {
            // Some servers take the key as the user name and no password.
            RawSecret::Literal(literal) if literal.0.expose().is_empty() => SecretSource::Literal(literal.0.clone()),
            password => self.secret(password, &path.key("password"))?,
        };
        let username = username.to_owned();
        fits.then_some(Authentication::Basic(BasicCredential::UserPassword { username, password }))
    }

    fn oauth2(&mut self, raw: &RawOAuth2, path: &KeyPath, everywhere: &PolicyRules) -> Option<Authentication> {
        let token_url = match TargetUrl::parse(&raw.token_url) {
            Ok(url) => Some(url),
            Err(error) => {
                let help = "for example \"https://login.corp.example/oauth2/token\"";
                self.report(&path.key("tokenUrl"), error.to_string(), help);
                None
            }
        };
        if raw.client_id.is_empty() {
            self.report(&path.key("clientId"), "this id is empty", "write the id that the authorization server knows");
        }
        let mut scopes = Vec::new();
        for (index, scope) in raw.scopes.iter() {
            if scope.is_empty() || scope.contains(|c: char| !c.is_ascii_graphic() || c == '"' || c == '\\') {
                self.report(
                    &path.key("scopes").index(index),
                    "this is not a scope",
                    "write one scope per entry, without blanks",
                );
            }
            scopes.push(scope.clone());
        }
        let client_secret = self.secret(&raw.client_secret, &path.key("clientSecret"));
        let rules = self.policy(&raw.policy, path, everywhere);
        Some(Authentication::OAuth2(Box::new(OAuth2 {
            token_url: token_url?,
            client_id: raw.client_id.clone(),
            client_secret: client_secret?,
            scopes,
            rules,
        })))
    }

    fn header_name(&mut self, name: &str, path: &KeyPath) -> Option<HeaderName> {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            self.report(path, "this is not the name of a header", "for example \"X-API-Key\"");
            return None;
        };
        if is_senders(&name) {
            self.report(path, format!("`{name}` is written by Owl itself"), "remove it");
            return None;
        }
        if name == http::header::ACCEPT_ENCODING {
            let message =
                format!("`{name}` is Owl's to write: of a compressed answer it could not read the model's name");
            self.report(path, message, "remove it");
            return None;
        }
        Some(name)
    }

    pub(crate) fn headers(
        &mut self,
        raw: &BTreeMap<String, RawSecret>,
        authentication: Option<&Authentication>,
        path: &KeyPath,
    ) -> Option<Vec<(HeaderName, SecretSource)>> {
        let own = match authentication {
            None | Some(Authentication::None) => None,
            Some(Authentication::Header { name, .. }) => Some(name),
            Some(Authentication::Bearer(_) | Authentication::Basic(_) | Authentication::OAuth2(_)) => {
                Some(&http::header::AUTHORIZATION)
            }
        };
        let mut headers = Vec::new();
        let mut seen = HashSet::new();
        for (typed, value) in raw {
            let path = path.key(typed);
            let name = self.header_name(typed, &path);
            let value = self.secret(value, &path);
            let (Some(name), Some(value)) = (name, value) else { continue };
            if Some(&name) == own || (name == http::header::AUTHORIZATION && own.is_some()) {
                let help = format!(
                    "remove it, or write `auth: {{ type: \"header\", name: {typed:?}, value: … }}` in place of both"
                );
                self.report(&path, format!("`auth` and `headers` would both write `{typed}`"), help);
            } else if !seen.insert(name.clone()) {
                self.report(
                    &path,
                    "this header is written twice: case does not matter in headers",
                    "keep one of the two",
                );
            }
            headers.push((name, value));
        }
        (headers.len() == raw.len()).then_some(headers)
    }

    pub(crate) fn tls(&mut self, raw: &RawTls, base_url: Option<&TargetUrl>, path: &KeyPath) -> Option<TlsOptions> {
        let keys = [
            ("ca", &raw.ca),
            ("clientCert", &raw.client_cert),
            ("clientKey", &raw.client_key),
            ("serverName", &raw.server_name),
        ];
        let is_cleartext = base_url.is_some_and(|url| url.scheme() == Scheme::Http);
        if let Some((key, _)) = keys.iter().find(|(_, value)| value.is_some())
            && is_cleartext
        {
            let help = "write https:// in `baseUrl`, or remove `tls`";
            self.report(path, format!("`baseUrl` is http://, so that `{key}` would not be used"), help);
        }
        if raw.client_key.is_some() && raw.client_cert.is_none() && !self.is_broken(&path.key("clientCert")) {
            let help = "write `clientCert: \"owl.pem\"` beside it";
            self.report(&path.key("clientKey"), "there is a key, but no certificate", help);
        }
        if let Some(name) = &raw.server_name
            && rustls::pki_types::ServerName::try_from(name.as_str()).is_err()
        {
            let help = "write a host's name without scheme and port";
            self.report(&path.key("serverName"), "this is not the name of a server", help);
        }
        let mut file = |key: &str, file: &Option<String>| match file {
            None => Some(None),
            Some(file) => self.readable_file(file, &path.key(key)).map(Some),
        };
        let ca = file("ca", &raw.ca);
        let client_cert = file("clientCert", &raw.client_cert);
        let client_key = file("clientKey", &raw.client_key);
        let options = TlsOptions {
            ca: ca?,
            client_cert: client_cert?,
            client_key: client_key?,
            server_name: raw.server_name.clone(),
            keep_system: false,
        };
        if keys.iter().any(|(_, value)| value.is_some()) {
            self.check_tls(&options, path);
        }
        Some(options)
    }

    /// Loads the files as `owl serve` does, so that what it would refuse is told here, with its place.
    pub(crate) fn check_tls(&mut self, options: &TlsOptions, path: &KeyPath) {
        let files = [&options.ca, &options.client_cert, &options.client_key];
        if self.is_broken(path) || !self.may_read(files.into_iter().flatten()) {
            return;
        }
        let mut loaded = options.load();
        if let Err(error) = &loaded
            && error.key == "ca"
        {
            self.report(&path.key("ca"), error.reason(), "");
            // The certificate does not depend on the authorities: what is wrong with it is told as well.
            loaded = TlsOptions { ca: None, ..options.clone() }.load();
        }
        match loaded {
            Ok(profile) => profile.warnings().iter().for_each(|warning| self.warn(path, warning, "")),
            Err(error) => self.report(&path.key(error.key), error.reason(), ""),
        }
    }

    fn models(&mut self, raw: &List<RawModel>, path: &KeyPath) -> Option<(bool, Vec<DeclaredModel>)> {
        if raw.is_empty() && !self.is_broken(path) {
            self.report(
                path,
                "this list is empty: no model could be used",
                "write [\"*\"] for all models, or name some",
            );
            return None;
        }
        let mut all = false;
        let mut declared = Vec::new();
        let mut names = HashSet::new();
        for (index, model) in raw.iter() {
            let path = path.index(index);
            let (name, name_path, upstream) = match model {
                RawModel::Name(name) => (name, path.clone(), name),
                RawModel::Renamed(model) => (&model.id, path.key("id"), &model.upstream),
            };
            if matches!(model, RawModel::Name(name) if name == "*") {
                if std::mem::replace(&mut all, true) {
                    self.report(&path, "`*` is written twice", "keep one of the two");
                }
                continue;
            }
            let unfit = |name: &str| name.is_empty() || name == "*" || name.chars().any(char::is_control);
            if unfit(name) {
                self.report(&name_path, "this is not a model's name", "write the name that clients say");
            } else if unfit(upstream) {
                self.report(
                    &path.key("upstream"),
                    "this is not a model's name",
                    "write the name that the server knows",
                );
            } else if !names.insert(name) {
                self.report(&name_path, format!("the model {} is declared twice", spelt(name)), "keep one of the two");
            }
            declared.push(DeclaredModel { name: name.clone(), upstream: upstream.clone() });
        }
        Some((all, declared))
    }

    fn timeouts(&mut self, raw: &RawTimeouts, path: &KeyPath) -> Option<Timeouts> {
        let connect = self.positive(&raw.connect, &path.key("connect"));
        let first_byte = self.patience(&raw.first_byte, &path.key("firstByte"));
        let between_bytes = self.patience(&raw.between_bytes, &path.key("betweenBytes"));
        Some(Timeouts { connect: connect?, first_byte: first_byte?, between_bytes: between_bytes? })
    }
}
