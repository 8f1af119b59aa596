//! The listener's certificate and key: read, and fitted together.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ServerTls;

/// A file of the listener's that cannot be used.
pub(crate) struct ServerTlsError {
    /// The key below `gateway.tls` that is wrong: `cert` or `key`.
    pub(crate) key: &'static str,
    /// What is wrong, without the key.
    pub(crate) reason: String,
}

impl ServerTlsError {
    fn in_file(key: &'static str, path: &Path, reason: impl std::fmt::Display) -> Self {
        Self { key, reason: format!("{}: {reason}", path.display()) }
    }
}

impl ServerTls {
    /// Reads the files and builds what the listener shows, without its protocols.
    ///
    /// # Errors
    /// The first file that cannot be read, holds nothing of its kind, or does not fit the other.
    pub(crate) fn load(&self) -> Result<ServerConfig, ServerTlsError> {
        let chain = self.chain()?;
        let key = std::fs::read(&self.key).map_err(|error| ServerTlsError::in_file("key", &self.key, error))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
            let reason = "it holds no unencrypted PEM private key (-----BEGIN PRIVATE KEY-----)";
            ServerTlsError::in_file("key", &self.key, reason)
        })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ServerTlsError { key: "cert", reason: error.to_string() })?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| self.misfit(&error))
    }

    fn chain(&self) -> Result<Vec<CertificateDer<'static>>, ServerTlsError> {
        let pem = std::fs::read(&self.cert).map_err(|error| ServerTlsError::in_file("cert", &self.cert, error))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let chain =
            chain.map_err(|error| ServerTlsError::in_file("cert", &self.cert, format!("not a PEM file: {error}")))?;
        if chain.is_empty() {
            let reason = "it holds no PEM certificate (-----BEGIN CERTIFICATE-----)";
            return Err(ServerTlsError::in_file("cert", &self.cert, reason));
        }
        Ok(chain)
    }

    fn misfit(&self, error: &rustls::Error) -> ServerTlsError {
        match error {
            rustls::Error::InconsistentKeys(_) => {
                let reason = format!("the key does not fit the certificate in {}", self.cert.display());
                ServerTlsError::in_file("key", &self.key, reason)
            }
            rustls::Error::InvalidCertificate(reason) => {
                ServerTlsError::in_file("cert", &self.cert, format!("this certificate cannot be read: {reason:?}"))
            }
            other => ServerTlsError::in_file("key", &self.key, other),
        }
    }
}
