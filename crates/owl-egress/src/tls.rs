//! TLS towards an upstream: which authorities are trusted, which certificate is shown, and what a failure means.
//!
//! Every upstream has its own [`TlsProfile`]; nothing is shared between them. Verification cannot be switched off: a
//! private authority, or a self-signed certificate, is named by `ca`.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use crate::target::{Host, TargetUrl};

/// What TLS towards one upstream is made of.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// A PEM file of certificate authorities; they replace the system's for this upstream, unless `keep_system`.
    pub ca: Option<PathBuf>,
    /// Whether the system's authorities are trusted beside those of `ca`: for clients that go to many servers.
    pub keep_system: bool,
    /// A PEM file with the client certificate and its chain; the key too, when `client_key` is unset.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the client certificate's private key.
    pub client_key: Option<PathBuf>,
    /// The name to verify the server's certificate against, when it is not the URL's host.
    pub server_name: Option<String>,
}

/// A TLS file that cannot be used.
#[derive(Debug)]
pub struct TlsOptionsError {
    /// The key below `tls` that is wrong: `ca`, `clientCert`, `clientKey` or `serverName`.
    pub key: &'static str,
    reason: String,
}

impl TlsOptionsError {
    fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self { key, reason: reason.into() }
    }

    fn in_file(key: &'static str, path: &Path, reason: impl fmt::Display) -> Self {
        Self::new(key, format!("{}: {reason}", path.display()))
    }

    /// What is wrong, without the key.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for TlsOptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tls.{}: {}", self.key, self.reason)
    }
}

impl Error for TlsOptionsError {}

/// TLS, ready for use towards one upstream.
#[derive(Clone)]
pub struct TlsProfile {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name: Option<ServerName<'static>>,
    trust: Trust,
    warnings: Vec<String>,
    shows_certificate: bool,
}

/// Whose signature is believed; only for messages.
#[derive(Clone)]
enum Trust {
    System,
    File(PathBuf),
    SystemAndFile(PathBuf),
}

impl fmt::Debug for TlsProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsProfile").field("client_certificate", &self.shows_certificate).finish_non_exhaustive()
    }
}

impl TlsOptions {
    /// Reads the files and builds the profile.
    ///
    /// # Errors
    /// The first file that cannot be read, holds nothing of its kind, or does not fit the other.
    pub fn load(&self) -> Result<TlsProfile, TlsOptionsError> {
        let mut warnings = Vec::new();
        let (verifier, trust) = match &self.ca {
            Some(path) if self.keep_system => {
                (PinnedOrSigned::new(path, system_roots(), &mut warnings)?, Trust::SystemAndFile(path.clone()))
            }
            Some(path) => {
                (PinnedOrSigned::new(path, RootCertStore::empty(), &mut warnings)?, Trust::File(path.clone()))
            }
            None => (PinnedOrSigned::signed_by(system_roots(), Vec::new(), "ca")?, Trust::System),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&verifier.provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsOptionsError::new("ca", error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&self.client_cert, &self.client_key) {
            (None, None) => builder.with_no_client_auth(),
            (None, Some(_)) => {
                return Err(TlsOptionsError::new("clientKey", "a key without a certificate; add tls.clientCert"));
            }
            (Some(cert_path), key_path) => {
                let chain = certificates("clientCert", cert_path)?;
                if let Some(expiry) = chain.first().and_then(expired) {
                    let path = cert_path.display();
                    warnings.push(format!("the client certificate in {path} expired on {expiry}"));
                }
                let key = private_key(cert_path, key_path.as_deref())?;
                builder.with_client_auth_cert(chain, key).map_err(|error| key_error(key_path, cert_path, &error))?
            }
        };
        // One request has one connection, so that dropping the request closes it: HTTP/1.1 alone.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server_name = self.server_name.as_deref().map(parse_server_name).transpose()?;
        Ok(TlsProfile {
            config: Arc::new(config),
            server_name,
            trust,
            warnings,
            shows_certificate: self.client_cert.is_some(),
        })
    }
}

fn parse_server_name(name: &str) -> Result<ServerName<'static>, TlsOptionsError> {
    ServerName::try_from(name.to_owned())
        .map_err(|_| TlsOptionsError::new("serverName", format!("{name:?} is neither a DNS name nor an address")))
}

/// The usual verification, and one case more: a server that shows exactly a certificate of the `ca` file. A self-signed
/// certificate made with `openssl req -x509` calls itself an authority, which is no server's certificate to WebPKI; naming
/// it is at least as strong as naming its signer. The name and the dates are verified in both cases.
#[derive(Debug)]
struct PinnedOrSigned {
    signed: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl PinnedOrSigned {
    /// Trusts what is in the file, and `roots`.
    fn new(path: &Path, mut roots: RootCertStore, warnings: &mut Vec<String>) -> Result<Self, TlsOptionsError> {
        let pinned = certificates("ca", path)?;
        for certificate in &pinned {
            if let Some(expiry) = expired(certificate) {
                warnings.push(format!("a certificate in {} expired on {expiry}", path.display()));
            }
            roots.add(certificate.clone()).map_err(|error| TlsOptionsError::in_file("ca", path, error))?;
        }
        Self::signed_by(roots, pinned, "ca")
    }

    fn signed_by(
        roots: RootCertStore,
        pinned: Vec<CertificateDer<'static>>,
        key: &'static str,
    ) -> Result<Self, TlsOptionsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signed = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| TlsOptionsError::new(key, error.to_string()))?;
        Ok(Self { signed, pinned, provider })
    }
}

impl ServerCertVerifier for PinnedOrSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        if verified.is_ok() || !self.pinned.iter().any(|pinned| pinned == end_entity) {
            return verified;
        }
        let (_, parsed) = X509Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if parsed.validity().not_before.timestamp() > now {
            return Err(CertificateError::NotValidYet.into());
        }
        if parsed.validity().not_after.timestamp() < now {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// The machine's authorities, so that what `curl` trusts works; Mozilla's where the machine has none.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsOptionsError> {
    let pem = std::fs::read(path).map_err(|error| TlsOptionsError::in_file(key, path, error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| TlsOptionsError::in_file(key, path, format!("not a PEM file: {error}")))?;
    if found.is_empty() {
        return Err(TlsOptionsError::in_file(key, path, "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)"));
    }
    Ok(found)
}

fn private_key(cert: &Path, key: Option<&Path>) -> Result<PrivateKeyDer<'static>, TlsOptionsError> {
    let (name, path) = key.map_or(("clientCert", cert), |path| ("clientKey", path));
    let pem = std::fs::read(path).map_err(|error| TlsOptionsError::in_file(name, path, error))?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| {
        let hint = if key.is_none() { "; write the key's file as tls.clientKey" } else { "" };
        let reason = format!("it holds no unencrypted PEM private key (-----BEGIN PRIVATE KEY-----){hint}");
        TlsOptionsError::in_file(name, path, reason)
    })
}

fn key_error(key: &Option<PathBuf>, cert: &Path, error: &rustls::Error) -> TlsOptionsError {
    let (name, path) = key.as_deref().map_or(("clientCert", cert), |path| ("clientKey", path));
    match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsOptionsError::in_file(name, path, format!("the key does not fit the certificate in {}", cert.display()))
        }
        other => TlsOptionsError::in_file(name, path, other),
    }
}

/// The day a certificate expired, if it has.
fn expired(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    (!validity.is_valid() && validity.not_after < x509_parser::time::ASN1Time::now())
        .then(|| validity.not_after.to_string())
}

impl TlsProfile {
    /// What is odd about the files but does not keep them from being used: expired certificates.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The name that the server's certificate must be for.
    pub(crate) fn name_for(&self, target: &TargetUrl) -> Result<ServerName<'static>, TlsOptionsError> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        match target.host() {
            Host::Address(address) => Ok(ServerName::from(*address)),
            Host::Name(name) => parse_server_name(name),
        }
    }

    /// The same without tickets of earlier sessions, which would tell one server about another visit.
    pub(crate) fn without_resumption(mut self) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.resumption = rustls::client::Resumption::disabled();
        self
    }

    /// What a failed handshake means.
    pub(crate) fn handshake_failure(&self, error: &io::Error) -> String {
        self.explain(error).unwrap_or_else(|| match error.kind() {
            io::ErrorKind::UnexpectedEof => "the server closed the connection in the handshake".to_owned(),
            _ => error.to_string(),
        })
    }

    /// What a failure means, in a clause that says what to do; `None` when `error` is not about TLS.
    pub(crate) fn explain(&self, error: &(dyn Error + 'static)) -> Option<String> {
        let mut reason = explain_tls(rustls_error(error)?, &self.trust, self.shows_certificate);
        for warning in &self.warnings {
            reason.push_str("; ");
            reason.push_str(warning);
        }
        Some(reason)
    }
}

/// The TLS error inside an I/O or HTTP error.
fn rustls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An io::Error's source() skips the error it wraps.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

/// What a failed handshake means, without a word that the server chose.
pub(crate) fn public_failure(error: &io::Error) -> &'static str {
    match rustls_error(error) {
        Some(rustls::Error::InvalidCertificate(reason)) => match reason {
            CertificateError::UnknownIssuer => "its certificate is signed by an authority that is not known",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "its certificate has expired",
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            _ => "its certificate is not acceptable",
        },
        Some(rustls::Error::InvalidMessage(_)) => "it does not speak TLS on this port",
        Some(rustls::Error::AlertReceived(_)) => "it ended the handshake",
        _ => "the handshake broke off",
    }
}

fn explain_tls(error: &rustls::Error, trust: &Trust, shows_certificate: bool) -> String {
    match error {
        rustls::Error::InvalidCertificate(reason) => explain_certificate(reason, trust),
        rustls::Error::AlertReceived(alert) => explain_alert(*alert, shows_certificate),
        rustls::Error::InvalidMessage(_) => {
            "the server does not speak TLS on this port (does its URL begin with http:// instead?)".to_owned()
        }
        other => other.to_string(),
    }
}

fn explain_certificate(reason: &CertificateError, trust: &Trust) -> String {
    match reason {
        CertificateError::UnknownIssuer => match trust {
            Trust::System => "the server's certificate is signed by an authority that this machine does not know; \
                              for a private CA, write its PEM file as tls.ca"
                .to_owned(),
            Trust::File(path) => {
                format!("the server's certificate is not signed by an authority in {} (tls.ca)", path.display())
            }
            Trust::SystemAndFile(path) => format!(
                "the server's certificate is signed by an authority that neither this machine knows nor {} (tls.ca)",
                path.display()
            ),
        },
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({reason})")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("the server's certificate is for another name ({reason}); tls.serverName sets the name to expect")
        }
        other => format!("the server's certificate is not acceptable: {other}"),
    }
}

fn explain_alert(alert: AlertDescription, shows_certificate: bool) -> String {
    match (alert, shows_certificate) {
        (AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure, false) => {
            "the server asks for a client certificate; write tls.clientCert and tls.clientKey".to_owned()
        }
        (
            AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate,
            _,
        ) => format!("the server refuses Owl's client certificate (tls.clientCert): {alert:?}"),
        _ => format!("the server ended the handshake: {alert:?}"),
    }
}

/// What a server showed in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsReport {
    /// The protocol's version, such as `TLSv1_3`.
    pub version: String,
    /// Whom the certificate is for.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when it is valid.
    pub not_after: String,
    /// How many days are left; negative when it has expired.
    pub days_left: i64,
}

impl TlsReport {
    pub(crate) fn read(connection: &rustls::ClientConnection) -> Option<Self> {
        let leaf = connection.peer_certificates()?.first()?;
        let (_, parsed) = X509Certificate::from_der(leaf).ok()?;
        let not_after = parsed.validity().not_after;
        let left = not_after.timestamp() - x509_parser::time::ASN1Time::now().timestamp();
        Some(Self {
            version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            not_after: not_after.to_string(),
            days_left: left.div_euclid(86_400),
        })
    }
}
