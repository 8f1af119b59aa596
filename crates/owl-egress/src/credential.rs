//! What Owl shows an inference server to be let in, and where it comes from.
//!
//! A [`Secret`] is one from its first byte: it has no `Display`, is never serialized, and its `Debug` prints `****`. It is
//! exposed on the line that builds the header, and that header is marked sensitive.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use http::{HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use crate::policy::PolicyRules;
use crate::target::TargetUrl;

/// The most that a secret's file or command may hold, in bytes.
const SECRET_LIMIT: usize = 64 * 1024;

/// How long a secret's command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// A text that must never be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes `text` in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Call this on the line that needs it and nowhere else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// Where a secret comes from.
#[derive(Clone)]
pub enum SecretSource {
    /// Written in the configuration or taken from the environment.
    Literal(Secret),
    /// The content of a file, without the line break at its end.
    File(PathBuf),
    /// What a command prints, without the line break at its end; the first word is the program.
    Command(Vec<String>),
}

impl fmt::Debug for SecretSource {
    /// Of a command only the program: its arguments may hold a secret of their own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(secret) => f.debug_tuple("Literal").field(secret).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(words) => f.debug_tuple("Command").field(&words.first()).finish_non_exhaustive(),
        }
    }
}

/// Why a secret could not be had.
#[derive(Clone, Debug)]
pub struct SecretError {
    place: String,
    reason: String,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the secret from {} cannot be read: {}", self.place, self.reason)
    }
}

impl std::error::Error for SecretError {}

impl SecretSource {
    /// Whether reading it again can give another value.
    pub fn can_change(&self) -> bool {
        !matches!(self, Self::Literal(_))
    }

    /// Reads the secret now.
    ///
    /// # Errors
    /// The file cannot be read, or the command fails, takes longer than 10 seconds, or prints nothing, more than
    /// 64 KiB or something that is not UTF-8. What was read is never part of the error.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        match self {
            Self::Literal(secret) => Ok(secret.clone()),
            Self::File(path) => {
                let place = format!("file {}", path.display());
                match tokio::fs::read(path).await {
                    Ok(bytes) => one_line(&place, &Zeroizing::new(bytes)),
                    Err(error) => Err(SecretError { place, reason: error.to_string() }),
                }
            }
            Self::Command(words) => run(words).await,
        }
    }
}

async fn run(words: &[String]) -> Result<Secret, SecretError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(SecretError { place: "command".to_owned(), reason: "no program is named".to_owned() });
    };
    let place = format!("command {program}");
    let fail = |reason: String| Err(SecretError { place: place.clone(), reason });
    match tokio::time::timeout(COMMAND_TIMEOUT, output(program, arguments)).await {
        Err(_) => fail(format!("it did not end within {} s", COMMAND_TIMEOUT.as_secs())),
        Ok(Err(error)) => fail(error.to_string()),
        Ok(Ok((status, _))) if !status.success() => fail(format!("it ended with {status}")),
        Ok(Ok((_, printed))) => one_line(&place, &printed),
    }
}

/// What a command prints, up to a little more than a secret may be long, and how it ended.
async fn output(program: &str, arguments: &[String]) -> io::Result<(ExitStatus, Zeroizing<Vec<u8>>)> {
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let mut printed = Zeroizing::new(Vec::new());
    if let Some(pipe) = child.stdout.take() {
        pipe.take(SECRET_LIMIT as u64 + 1).read_to_end(&mut printed).await?;
    }
    Ok((child.wait().await?, printed))
}

/// The content as a secret, without the line break that editors and `echo` leave at the end.
fn one_line(place: &str, bytes: &[u8]) -> Result<Secret, SecretError> {
    let fail = |reason: &str| Err(SecretError { place: place.to_owned(), reason: reason.to_owned() });
    if bytes.len() > SECRET_LIMIT {
        return fail("it is longer than 64 KiB");
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return fail("it is not UTF-8");
    };
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return fail("it is empty");
    }
    Ok(Secret::new(text))
}

/// How Owl authenticates to an upstream. Chosen by the operator, never guessed from a key's looks.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// Nothing is sent.
    None,
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(SecretSource),
    /// `Authorization: Basic …` (RFC 7617, UTF-8).
    Basic(BasicCredential),
    /// Any header, the secret being its whole value.
    Header {
        /// The header's name.
        name: HeaderName,
        /// The header's value.
        value: SecretSource,
    },
    /// A token from an OAuth 2.0 client-credentials grant (RFC 6749, section 4.4), sent as Bearer.
    OAuth2(Box<OAuth2>),
}

/// The two ways in which Basic credentials are written.
#[derive(Clone, Debug)]
pub enum BasicCredential {
    /// The user name and the password apart.
    UserPassword {
        /// The user name: without a colon (RFC 7617, section 2).
        username: String,
        /// The password: any text, colons included.
        password: SecretSource,
    },
    /// `user:password`, or that in base64: a colon cannot occur in base64, so the two never meet.
    Pair(SecretSource),
}

/// An OAuth 2.0 client-credentials grant.
#[derive(Clone, Debug)]
pub struct OAuth2 {
    /// Where the token comes from.
    pub token_url: TargetUrl,
    /// The client's id.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretSource,
    /// The scopes asked for; may be empty.
    pub scopes: Vec<String>,
    /// What the token URL's address may be; the provider's own rules do not reach it.
    pub rules: PolicyRules,
}

/// Why a credential is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidCredential {
    /// Neither `user:password` nor that in base64.
    NotAPair,
    /// A user name with a colon: RFC 7617 cannot carry it.
    ColonInUsername,
    /// A control character, which no header can carry.
    ControlCharacter,
}

impl fmt::Display for InvalidCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAPair => "for Basic authentication the key must be `user:password`, or that in base64",
            Self::ColonInUsername => "a Basic user name cannot hold a colon (RFC 7617)",
            Self::ControlCharacter => "a credential cannot hold a line break or another control character",
        })
    }
}

impl std::error::Error for InvalidCredential {}

impl BasicCredential {
    /// Whether `secret` is `user:password` or that in base64.
    ///
    /// # Errors
    /// [`InvalidCredential`] when it is neither.
    pub fn check_pair(secret: &Secret) -> Result<(), InvalidCredential> {
        decode_pair(secret).map(drop)
    }
}

/// The pair as `user:password`. With a colon it is the pair itself; without one it must be the base64 of one.
fn decode_pair(secret: &Secret) -> Result<Zeroizing<String>, InvalidCredential> {
    let text = secret.expose();
    let pair = if text.contains(':') {
        Zeroizing::new(text.to_owned())
    } else {
        let engines = [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD];
        let bytes = engines.iter().find_map(|engine| engine.decode(text.trim()).ok());
        let decoded = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Zeroizing::new);
        decoded.filter(|pair| pair.contains(':')).ok_or(InvalidCredential::NotAPair)?
    };
    if pair.chars().any(char::is_control) { Err(InvalidCredential::ControlCharacter) } else { Ok(pair) }
}

pub(crate) fn bearer_header(token: &Secret) -> Result<HeaderValue, InvalidCredential> {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

pub(crate) fn secret_header(value: &Secret) -> Result<HeaderValue, InvalidCredential> {
    sensitive(&Zeroizing::new(value.expose().to_owned()))
}

pub(crate) fn basic_header(username: &str, password: &Secret) -> Result<HeaderValue, InvalidCredential> {
    if username.contains(':') {
        return Err(InvalidCredential::ColonInUsername);
    }
    let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
    if pair.chars().any(char::is_control) {
        return Err(InvalidCredential::ControlCharacter);
    }
    encode_pair(&pair)
}

pub(crate) fn pair_header(secret: &Secret) -> Result<HeaderValue, InvalidCredential> {
    encode_pair(&decode_pair(secret)?)
}

fn encode_pair(pair: &str) -> Result<HeaderValue, InvalidCredential> {
    sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair))))
}

fn sensitive(text: &Zeroizing<String>) -> Result<HeaderValue, InvalidCredential> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).map_err(|_| InvalidCredential::ControlCharacter)?;
    value.set_sensitive(true);
    Ok(value)
}
