//! TLS to the site: its certificate authority, and nothing else in the world, is trusted.

use crate::clock::TrustedClock;
use crate::identity::Identity;
use anyhow::Context as _;
use farrier_protocol::{Digest, UnixTime};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use std::time::Duration;

/// TLS of an enrolled client: the site proves itself to the authority of the enrolment, and the client to the site.
pub(crate) fn enrolled(identity: &Identity, last_accepted: UnixTime) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(identity.authority.clone())).context("the site's authority is no certificate")?;
    let certificate = CertificateDer::from(identity.certificate.clone());
    let key = PrivatePkcs8KeyDer::from(identity.key.clone());
    ClientConfig::builder_with_details(provider(), Arc::new(TrustedClock { last_accepted }))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate], key.into())
        .context("the client's certificate does not fit its key: enrol again with `farrier-agent enroll --force TOKEN`")
}

/// TLS of an endpoint that knows nothing but the token's digest of the site's authority.
pub(crate) fn enrolling(authority: Digest) -> anyhow::Result<ClientConfig> {
    let provider = provider();
    let verifier = Arc::new(TokenVerifier { authority, provider: provider.clone() });
    let clock = Arc::new(TrustedClock { last_accepted: UnixTime::MIN });
    let config = ClientConfig::builder_with_details(provider, clock)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

/// Refuses a client's certificate that a site with this authority would not take at this time.
pub(crate) fn verify_client(authority: &[u8], certificate: &[u8], at: UnixTime) -> anyhow::Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority)).context("the site's authority is no certificate")?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider()).build()?;
    let at = rustls::pki_types::UnixTime::since_unix_epoch(Duration::from_secs(at.try_into()?));
    verifier.verify_client_cert(&CertificateDer::from(certificate), &[], at)?;
    Ok(())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Verifies a site that must show, in its chain, the certificate authority with the digest of the token. With that
/// authority as the only root, everything else is verified as usual: chain, validity, host name.
#[derive(Debug)]
struct TokenVerifier {
    authority: Digest,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TokenVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let authority =
            intermediates.iter().find(|certificate| Digest::of(certificate) == self.authority).ok_or_else(|| {
                rustls::Error::General("the server does not show the certificate authority that the token names".into())
            })?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
