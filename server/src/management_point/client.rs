//! Who is asking: the client id in the verified certificate of the connection.

use super::{ManagementPoint, Refusal};
use crate::database::{ClientAbilities, now};
use crate::tls::PeerCertificate;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use farrier_protocol::ClientId;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// An enrolled client, and what it can run; extracting it notes the contact.
pub(super) struct Client(pub ClientId, pub ClientAbilities);

impl FromRequestParts<ManagementPoint> for Client {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &ManagementPoint) -> Result<Self, Refusal> {
        let certificate = parts.extensions.get::<PeerCertificate>().and_then(|peer| peer.0.as_ref());
        let client = certificate.and_then(subject).ok_or(Refusal::Client(
            StatusCode::UNAUTHORIZED,
            "A client certificate of this site is needed: enrol with `farrier-agent enroll TOKEN`.",
        ))?;
        let abilities = state.database.touch_client(client, now()).await?.ok_or(Refusal::Client(
            StatusCode::FORBIDDEN,
            "This client is not (or no longer) known to the site: enrol it again with a new token.",
        ))?;
        Ok(Self(client, abilities))
    }
}

/// The client id in the subject of a certificate, which TLS has verified already.
fn subject(certificate: &CertificateDer<'static>) -> Option<ClientId> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok()?.parse().ok()
}
