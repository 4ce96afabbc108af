//! The identity of an enrolled agent, for whoever talks to a site in its place.

use anyhow::Context as _;
use farrier_protocol::ClientId;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;

/// What an agent's identity file begins with.
#[derive(Deserialize)]
pub struct Identity {
    _client: ClientId,
    _site: String,
    _root: Vec<u8>,
    authority: Vec<u8>,
    /// In DER.
    pub certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// The identity of the agent with this data folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(data: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(data.join("identity"))?;
        // A line that says what the file is, a digest, and the identity itself.
        let line = bytes.iter().position(|byte| *byte == b'\n').context("no identity")?;
        let content = bytes.get(line + 1 + 32..).context("no identity")?;
        Ok(postcard::take_from_bytes(content)?.0)
    }

    /// TLS as this agent, to the site that it trusts.
    ///
    /// # Errors
    /// When its certificates are none.
    pub fn tls(&self) -> anyhow::Result<ClientConfig> {
        tls(self.authority.clone().into(), Some(self))
    }
}

/// TLS to the site with this authority, as an agent or as nobody.
pub(crate) fn tls(authority: CertificateDer<'static>, identity: Option<&Identity>) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(match identity {
        Some(Identity { certificate, key, .. }) => tls.with_client_auth_cert(
            vec![CertificateDer::from(certificate.clone())],
            PrivatePkcs8KeyDer::from(key.clone()).into(),
        )?,
        None => tls.with_no_client_auth(),
    })
}
