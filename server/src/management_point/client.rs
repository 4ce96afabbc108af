//! Who is asking: the client id in the verified certificate of the connection, if the site still takes that certificate.

use super::{ManagementPoint, Refusal};
use crate::database::{ClientAbilities, KeptOut, now};
use crate::tls::PeerCertificate;
use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use farrier_protocol::enrollment::Exclusion;
use farrier_protocol::{ClientId, Digest};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

/// An admitted client, and what it can run; extracting it notes the contact.
pub(super) struct Client(pub ClientId, pub ClientAbilities);

/// A client that is admitted, or would be if it were approved; extracting it notes the contact.
pub(super) struct CertificateHolder {
    pub client: ClientId,
    /// SHA-256 of the certificate that it shows.
    pub certificate: Digest,
}

impl FromRequestParts<ManagementPoint> for Client {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &ManagementPoint) -> Result<Self, Refusal> {
        let CertificateHolder { client, certificate } = shown(parts)?;
        let admitted = state.database.admit_client(client, &certificate, now()).await?;
        admitted.map(|abilities| Self(client, abilities)).map_err(|kept_out| Refusal::KeptOut(client, kept_out))
    }
}

impl FromRequestParts<ManagementPoint> for CertificateHolder {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &ManagementPoint) -> Result<Self, Refusal> {
        let holder = shown(parts)?;
        match state.database.admit_client(holder.client, &holder.certificate, now()).await? {
            Err(kept_out) if kept_out.exclusion != Exclusion::WaitsForApproval => {
                Err(Refusal::KeptOut(holder.client, kept_out))
            }
            _ => Ok(holder),
        }
    }
}

/// What the connection's certificate says, which TLS has verified already.
fn shown(parts: &Parts) -> Result<CertificateHolder, Refusal> {
    let certificate = parts.extensions.get::<PeerCertificate>().and_then(|peer| peer.0.as_ref());
    let holder = certificate.and_then(|certificate| {
        Some(CertificateHolder { client: subject(certificate)?, certificate: Digest::of(certificate) })
    });
    holder.ok_or(Refusal::Client(
        StatusCode::UNAUTHORIZED,
        "A client certificate of this site is needed: enrol with `farrier-agent enroll TOKEN`.",
    ))
}

fn subject(certificate: &CertificateDer<'static>) -> Option<ClientId> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    name.as_str().ok()?.parse().ok()
}

/// Why a client is kept out, and what to do about it, for people.
pub(super) fn sentence(client: ClientId, kept_out: &KeptOut) -> String {
    match kept_out.exclusion {
        Exclusion::Unknown => {
            "This client is not (or no longer) known to the site: enrol it again with a new token.".to_owned()
        }
        Exclusion::Superseded => format!(
            "This certificate of client {client} was replaced: an endpoint has enrolled as this client since, or has \
             renewed the certificate. If that was another device, enrol this one again with a new token."
        ),
        Exclusion::Revoked if kept_out.reason.is_empty() => {
            format!("This client is revoked. `farrier client restore {client}` on the site lets it in again.")
        }
        Exclusion::Revoked => format!(
            "This client is revoked ({}). `farrier client restore {client}` on the site lets it in again.",
            kept_out.reason
        ),
        Exclusion::WaitsForApproval => {
            format!("This client waits for an administrator: `farrier client approve {client}` on the site lets it in.")
        }
    }
}
