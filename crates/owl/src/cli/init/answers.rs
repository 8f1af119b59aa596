//! The questions, the flags that answer them, and what follows from the answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use http::HeaderName;
use owl_egress::credential::BasicCredential;
use owl_egress::{Authentication, Denied, OAuth2, PolicyRules, Secret, SecretSource, TargetUrl, TlsOptions};

use super::ask::{Asker, Stop, missing};
use crate::config::{DeclaredModel, Environment};

/// Where Owl listens unless told otherwise.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6950);

/// Every answer, as a flag.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Where the inference server's API begins
    #[arg(long, value_name = "URL", value_parser = secret)]
    base_url: Option<Secret>,
    /// How Owl authenticates; bearer with a secret and none without one, if nothing is said
    #[arg(long, value_name = "KIND")]
    auth: Option<Kind>,
    /// The user name, for basic
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// The header's name, for header
    #[arg(long, value_name = "NAME")]
    header_name: Option<String>,
    /// Where tokens come from, for oauth2
    #[arg(long, value_name = "URL")]
    token_url: Option<String>,
    /// The client's id, for oauth2
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// A scope to ask for, for oauth2; may be repeated
    #[arg(long, value_name = "SCOPE")]
    scope: Vec<String>,
    /// The environment variable that holds the key or the password; the file will only name it
    #[arg(long, value_name = "VARIABLE", conflicts_with = "secret_file")]
    secret_env: Option<String>,
    /// The file that holds the key or the password; the configuration will only name it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// A PEM file of certificate authorities, for a private CA
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A PEM file with a client certificate
    #[arg(long, value_name = "FILE")]
    client_cert: Option<PathBuf>,
    /// A PEM file with the client certificate's key
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// The server may be on a private network or on this machine
    #[arg(long)]
    allow_private_network: bool,
    /// A model that clients may use; may be repeated. Without it, all that the server lists
    #[arg(long, value_name = "MODEL")]
    model: Vec<String>,
    /// Where Owl listens
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Make a key that clients must show; needed when Owl listens beyond this machine
    #[arg(long)]
    generate_key: bool,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// How Owl authenticates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    None,
    Bearer,
    Basic,
    Header,
    #[value(name = "oauth2")]
    OAuth2,
}

/// Where a secret stands.
#[derive(Clone, Debug)]
pub(super) enum Given {
    /// In this environment variable, whose value it was just now.
    Variable(String, Secret),
    File(PathBuf),
    Literal(Secret),
}

/// How Owl authenticates, with everything that belongs to it.
#[derive(Clone, Debug)]
pub(super) enum Login {
    None,
    Bearer(Given),
    Basic { username: String, password: Given },
    Header { name: HeaderName, value: Given },
    OAuth2 { token_url: TargetUrl, client_id: String, secret: Given, scopes: Vec<String> },
}

/// All answers.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) base_url: TargetUrl,
    pub(super) login: Login,
    pub(super) tls: TlsOptions,
    pub(super) allow_private_network: bool,
    /// The same for the token URL, which has a policy of its own.
    pub(super) allow_private_token_url: bool,
    /// The models that are named by hand; all without any.
    pub(super) models: Vec<String>,
    pub(super) listen: SocketAddr,
    pub(super) gateway_key: Option<Secret>,
}

impl Answers {
    /// Asks for the server and for how Owl authenticates. Files are named as seen from the configuration's folder.
    pub(super) fn collect(flags: &Flags, asker: &Asker, output: &Path) -> Result<Self, Stop> {
        let parse = |text: &str| TargetUrl::parse_operator(text).map_err(|error| error.to_string());
        let given = flags.base_url.as_ref().map(Secret::expose);
        let prompt = "Where does the server's API begin? (such as http://192.168.7.20:8000)";
        let (base_url, user_info) = asker.text(given, "--base-url", prompt, None, parse)?;
        let login = match user_info {
            Some((username, password)) => login_from_base_url(flags, &username, password)?,
            None => login(flags, asker, output)?,
        };
        let named = |file: &Option<PathBuf>| file.as_ref().map(|file| seen_from(output, file));
        let tls = TlsOptions {
            ca: named(&flags.ca),
            client_cert: named(&flags.client_cert),
            client_key: named(&flags.client_key),
            ..TlsOptions::default()
        };
        Ok(Self {
            base_url,
            login,
            tls,
            allow_private_network: flags.allow_private_network,
            allow_private_token_url: flags.allow_private_network,
            models: flags.model.clone(),
            listen: LISTEN,
            gateway_key: None,
        })
    }

    /// Asks where Owl listens; beyond loopback it makes a key for clients.
    pub(super) fn settle_listener(&mut self, flags: &Flags, asker: &Asker) -> Result<(), Stop> {
        let parse = |text: &str| {
            text.parse::<SocketAddr>().map_err(|_| "write an address and a port, such as 127.0.0.1:6950".to_owned())
        };
        self.listen = match &flags.listen {
            Some(given) => asker.text(Some(given), "--listen", "", None, parse)?,
            None if asker.can_ask() && asker.confirm("May other machines use Owl?", false)? => {
                let everywhere = format!("0.0.0.0:{}", LISTEN.port());
                asker.text(None, "--listen", "Which address does it listen on?", Some(&everywhere), parse)?
            }
            None => LISTEN,
        };
        let is_open = !self.listen.ip().to_canonical().is_loopback();
        let wanted = flags.generate_key
            || (is_open
                && if asker.can_ask() {
                    asker.confirm("Others can reach that address, so clients need a key. Make one?", true)?
                } else {
                    asker.assumes_yes()
                });
        if wanted {
            self.gateway_key = Some(generate_key()?);
        } else if is_open {
            let listen = self.listen;
            return Err(Stop::Usage(format!(
                "other machines can reach {listen}, so clients need a key: give --generate-key"
            )));
        }
        Ok(())
    }

    /// Whether the private network is open already for what was refused; a slot to open it.
    pub(super) fn private_network_for(&mut self, denied: &Denied) -> &mut bool {
        let is_server = denied.host == self.base_url.host().to_string() && denied.port == self.base_url.port();
        if is_server { &mut self.allow_private_network } else { &mut self.allow_private_token_url }
    }

    pub(super) fn declared(&self) -> Vec<DeclaredModel> {
        let declare = |name: &String| DeclaredModel { name: name.clone(), upstream: name.clone() };
        self.models.iter().map(declare).collect()
    }

    /// Whether the file will hold a secret itself.
    pub(super) fn holds_secret(&self) -> bool {
        self.gateway_key.is_some() || matches!(self.given(), Some(Given::Literal(_)))
    }

    /// The variable that must be set where Owl is started.
    pub(super) fn secret_variable(&self) -> Option<&str> {
        match self.given()? {
            Given::Variable(name, _) => Some(name),
            Given::File(_) | Given::Literal(_) => None,
        }
    }

    fn given(&self) -> Option<&Given> {
        match &self.login {
            Login::None => None,
            Login::Bearer(given)
            | Login::Basic { password: given, .. }
            | Login::Header { value: given, .. }
            | Login::OAuth2 { secret: given, .. } => Some(given),
        }
    }

    /// What the server is tried with.
    pub(super) fn authentication(&self) -> Authentication {
        match &self.login {
            Login::None => Authentication::None,
            Login::Bearer(key) => Authentication::Bearer(key.source()),
            Login::Basic { username, password } => Authentication::Basic(BasicCredential::UserPassword {
                username: username.clone(),
                password: password.source(),
            }),
            Login::Header { name, value } => Authentication::Header { name: name.clone(), value: value.source() },
            Login::OAuth2 { token_url, client_id, secret, scopes } => {
                let allow_private_network = self.allow_private_token_url;
                Authentication::OAuth2(Box::new(OAuth2 {
                    token_url: token_url.clone(),
                    client_id: client_id.clone(),
                    client_secret: secret.source(),
                    scopes: scopes.clone(),
                    rules: PolicyRules { allow_private_network, ..PolicyRules::default() },
                }))
            }
        }
    }
}

impl Given {
    fn source(&self) -> SecretSource {
        match self {
            Self::Variable(_, secret) | Self::Literal(secret) => SecretSource::Literal(secret.clone()),
            Self::File(path) => SecretSource::File(path.clone()),
        }
    }
}

/// `user:password@` in the base URL is Basic authentication.
fn login_from_base_url(flags: &Flags, username: &str, password: Secret) -> Result<Login, Stop> {
    let contradicts = !matches!(flags.auth, None | Some(Kind::Basic))
        || flags.username.is_some()
        || flags.secret_env.is_some()
        || flags.secret_file.is_some();
    if contradicts {
        return Err(Stop::Usage("--base-url holds a user and a password, and another flag contradicts it".to_owned()));
    }
    let username = user_name(username).map_err(|error| Stop::Usage(format!("--base-url: the user name: {error}")))?;
    Ok(Login::Basic { username, password: Given::Literal(password) })
}

fn login(flags: &Flags, asker: &Asker, output: &Path) -> Result<Login, Stop> {
    let has_secret = flags.secret_env.is_some() || flags.secret_file.is_some();
    let kind = match flags.auth {
        Some(kind) => kind,
        None if asker.can_ask() => ask_kind(asker)?,
        None if has_secret => Kind::Bearer,
        None => Kind::None,
    };
    let secret = |prompt: &str, variable: &str| given_secret(flags, asker, output, prompt, variable);
    match kind {
        Kind::None if has_secret => {
            Err(Stop::Usage("--auth none sends no secret; leave out one of the two".to_owned()))
        }
        Kind::None => Ok(Login::None),
        Kind::Bearer => Ok(Login::Bearer(secret("The key", "OWL_API_KEY")?)),
        Kind::Basic => {
            let username = asker.text(flags.username.as_deref(), "--username", "User name", None, user_name)?;
            Ok(Login::Basic { username, password: secret("The password", "OWL_PASSWORD")? })
        }
        Kind::Header => {
            let parse = |text: &str| {
                HeaderName::from_bytes(text.as_bytes()).map_err(|_| "this is not the name of a header".to_owned())
            };
            let name = asker.text(flags.header_name.as_deref(), "--header-name", "Header", Some("X-API-Key"), parse)?;
            Ok(Login::Header { name, value: secret("The header's value", "OWL_API_KEY")? })
        }
        Kind::OAuth2 => {
            let parse = |text: &str| TargetUrl::parse(text).map_err(|error| error.to_string());
            let token_url = asker.text(flags.token_url.as_deref(), "--token-url", "Token URL", None, parse)?;
            let client_id = asker.text(flags.client_id.as_deref(), "--client-id", "Client id", None, not_empty)?;
            let secret = secret("The client's secret", "OWL_CLIENT_SECRET")?;
            Ok(Login::OAuth2 { token_url, client_id, secret, scopes: flags.scope.clone() })
        }
    }
}

fn ask_kind(asker: &Asker) -> Result<Kind, Stop> {
    let choices = [
        (Kind::None, "with nothing"),
        (Kind::Bearer, "with a key (Authorization: Bearer)"),
        (Kind::Basic, "with a user name and a password (Basic)"),
        (Kind::Header, "with a key in another header (X-API-Key)"),
        (Kind::OAuth2, "with OAuth 2.0 client credentials"),
    ];
    let index = asker.choose("How does Owl authenticate to the server?", &choices.map(|(_, text)| text))?;
    Ok(choices[index].0)
}

fn user_name(text: &str) -> Result<String, String> {
    match text {
        "" => Err("it is empty".to_owned()),
        _ if text.contains(':') => Err("a user name cannot hold a colon (RFC 7617)".to_owned()),
        _ if text.chars().any(char::is_control) => Err("a user name cannot hold a control character".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text.to_owned()) }
}

/// Where the secret stands: as a flag says, or as it is answered.
fn given_secret(flags: &Flags, asker: &Asker, output: &Path, prompt: &str, variable: &str) -> Result<Given, Stop> {
    if let Some(name) = &flags.secret_env {
        return from_variable(name).map_err(|error| Stop::Usage(format!("--secret-env: {error}")));
    }
    if let Some(file) = &flags.secret_file {
        return from_file(output, file).map_err(|error| Stop::Usage(format!("--secret-file: {error}")));
    }
    if !asker.can_ask() {
        return Err(missing("--secret-env VARIABLE or --secret-file FILE"));
    }
    let places = [
        "I type it: it is kept in the configuration, which only I can read",
        "in an environment variable",
        "in a file",
    ];
    match asker.choose(&format!("{prompt}: where is it?"), &places)? {
        0 => asker.secret(prompt).map(Given::Literal),
        1 => asker.text(None, "--secret-env", "Which variable?", Some(variable), from_variable),
        _ => asker.text(None, "--secret-file", "Which file?", None, |text| from_file(output, Path::new(text))),
    }
}

fn from_variable(name: &str) -> Result<Given, String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.is_empty() || name.starts_with(|letter: char| letter.is_ascii_digit()) || !name.chars().all(allowed) {
        // Not quoted: people put the secret itself here.
        return Err("this is not the name of an environment variable; give its name, not its value".to_owned());
    }
    let value = Environment::Process.get(name).map_err(|_| format!("the environment variable {name} is not set"))?;
    Ok(Given::Variable(name.to_owned(), Secret::new(value)))
}

fn from_file(output: &Path, file: &Path) -> Result<Given, String> {
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.is_dir() => Err(format!("{} is a folder", file.display())),
        Ok(_) => Ok(Given::File(seen_from(output, file))),
        Err(error) => Err(format!("{} cannot be read: {error}", file.display())),
    }
}

/// A path as it must stand in the configuration, whose relative paths start at its own folder.
fn seen_from(output: &Path, file: &Path) -> PathBuf {
    let is_here = output.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    if is_here { file.to_owned() } else { std::path::absolute(file).unwrap_or_else(|_| file.to_owned()) }
}

/// 256 random bits, in hexadecimal.
fn generate_key() -> Result<Secret, Stop> {
    let mut bytes = [0; 32];
    let random = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    random.fill(&mut bytes).map_err(|_| Stop::Failed("the system gives no random numbers".to_owned()))?;
    Ok(Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
}
