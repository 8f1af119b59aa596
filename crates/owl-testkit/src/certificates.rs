//! A private certificate authority, and leaves good and bad. Everything is PEM text, and can be written to a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use time::{Duration, OffsetDateTime};

use crate::http::ServerTls;

/// A certificate and its private key, as PEM.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key (PKCS #8).
    pub key: String,
}

impl Identity {
    /// A server's TLS with this certificate.
    #[must_use]
    pub fn server_tls(&self) -> ServerTls {
        ServerTls { certificates: self.certificate.clone(), key: self.key.clone(), client_ca: None }
    }

    /// Writes `NAME.pem` and `NAME.key` into a folder and returns the two paths.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, folder: &Path, name: &str) -> io::Result<(PathBuf, PathBuf)> {
        let certificate = folder.join(format!("{name}.pem"));
        let key = folder.join(format!("{name}.key"));
        fs::write(&certificate, &self.certificate)?;
        fs::write(&key, &self.key)?;
        Ok((certificate, key))
    }
}

/// A certificate authority that nobody trusts unless told to. Two of them never trust each other's leaves.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority; `name` is what its subject says.
    ///
    /// # Panics
    /// Never in practice: the parameters are fixed.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = params(&[], name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.self_signed(&key).expect("a CA signs itself").pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    /// The authority's own certificate, as PEM: what a client must trust.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A server certificate for names and addresses (`localhost`, `127.0.0.1`, …).
    #[must_use]
    pub fn server(&self, names: &[&str]) -> Identity {
        self.sign(params(names, names.first().unwrap_or(&"nobody")), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// The same, but it ended yesterday.
    #[must_use]
    pub fn expired_server(&self, names: &[&str]) -> Identity {
        self.sign(expired(params(names, "expired")), ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A client certificate.
    #[must_use]
    pub fn client(&self, name: &str) -> Identity {
        self.sign(params(&[], name), ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// The same, but it ended yesterday.
    #[must_use]
    pub fn expired_client(&self, name: &str) -> Identity {
        self.sign(expired(params(&[], name)), ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose) -> Identity {
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("the CA can sign").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

/// Writes one of everything into a folder: `ca`, `other-ca`; `server` (localhost, 127.0.0.1, ::1), `named`
/// (owl-upstream.test only), `expired`, `other` (signed by the other CA); `client`, `expired-client`, `other-client`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_all(folder: &Path) -> io::Result<()> {
    let here = ["localhost", "127.0.0.1", "::1"];
    let (ca, other) = (Authority::new("Owl testkit CA"), Authority::new("Another CA"));
    fs::create_dir_all(folder)?;
    fs::write(folder.join("ca.pem"), ca.certificate())?;
    fs::write(folder.join("other-ca.pem"), other.certificate())?;
    for (name, identity) in [
        ("server", ca.server(&here)),
        ("named", ca.server(&["owl-upstream.test"])),
        ("expired", ca.expired_server(&here)),
        ("other", other.server(&here)),
        ("client", ca.client("owl")),
        ("expired-client", ca.expired_client("owl")),
        ("other-client", other.client("owl")),
    ] {
        identity.write(folder, name)?;
    }
    Ok(())
}

fn params(names: &[&str], subject: &str) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names that a certificate can hold");
    params.distinguished_name.push(DnType::CommonName, subject);
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after = now + Duration::days(30);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(30);
    params.not_after = now - Duration::days(1);
    params
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

    use super::{Authority, Identity};

    /// What a client that trusts `authority` says to a leaf that it meets under a name.
    fn judge(authority: &Authority, leaf: &Identity, name: &'static str) -> Result<(), String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let leaf = CertificateDer::from_pem_slice(leaf.certificate.as_bytes()).unwrap();
        let name = ServerName::try_from(name).unwrap();
        let verdict = verifier.verify_server_cert(&leaf, &[], &name, &[], UnixTime::now());
        verdict.map(|_| ()).map_err(|error| error.to_string())
    }

    #[test]
    fn leaves_are_good_and_bad_as_asked() {
        let (ours, other) = (Authority::new("ours"), Authority::new("other"));
        let names = ["localhost", "127.0.0.1"];
        let check = |leaf: &Identity, name, expect: Option<&str>| match (judge(&ours, leaf, name), expect) {
            (Ok(()), None) => {}
            (Err(error), Some(part)) if error.contains(part) => {}
            (verdict, _) => panic!("{name}: {verdict:?}, not {expect:?}"),
        };
        check(&ours.server(&names), "localhost", None);
        check(&ours.server(&names), "127.0.0.1", None);
        check(&ours.server(&names), "elsewhere.example", Some("not valid for name"));
        check(&ours.expired_server(&names), "localhost", Some("expired"));
        check(&other.server(&names), "localhost", Some("UnknownIssuer"));
    }

    #[test]
    fn everything_is_written() {
        let folder = std::env::temp_dir().join(format!("owl-testkit-{}", std::process::id()));
        super::write_all(&folder).unwrap();
        let count = std::fs::read_dir(&folder).unwrap().count();
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(count, 16);
    }
}
