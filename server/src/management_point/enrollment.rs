//! `POST /v2/enroll`: a one-time token for a client certificate.

use super::{ManagementPoint, Refusal};
use crate::config::ClientApproval;
use crate::database::{Admission, Enrollment, TokenFor, TokenTerms, now};
use crate::identity::{ClientCertificate, IdentityError, SiteIdentity};
use crate::repository::roles::ROOT;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest};
use farrier_protocol::{ClientId, Digest};

pub(super) async fn enroll(State(state): State<ManagementPoint>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let request: EnrollmentRequest = farrier_protocol::decode(&body).map_err(|_| Refusal::MALFORMED)?;
    let secret = Digest::of(&request.secret);
    // Anyone can ask: only the bearer of a token is worth the cost of a signature.
    let terms = state.database.usable_token(&secret, now()).await?.ok_or_else(refused)?;
    let root = root(&state, &terms).await?;
    let known = known_client(&state, &terms, &request).await?;
    let client = known.unwrap_or_else(|| ClientId(rand::random()));
    // The certificate is made before the token is used up, so that a bad request does not cost the token.
    let certificate = certificate_for(&state.identity, client, &request.certificate_request)?;
    let enrollment = Enrollment {
        client,
        takes_over: known.is_some(),
        hostname: &request.hostname,
        hardware: request.hardware,
        certificate: certificate.record,
        waits_for_approval: waits_for_approval(&state, &terms),
    };
    let admission = state.database.enroll_client(&secret, &enrollment, now()).await?.ok_or_else(refused)?;
    report(&state, &enrollment, admission).await;
    Ok(farrier_protocol::encode(&EnrollmentReply {
        client,
        certificate: certificate.der,
        authority: state.identity.authority_certificate().to_vec(),
        root,
        waits_for_approval: admission == Admission::WaitsForApproval,
    })?)
}

/// The root metadata that the bearer of the token was told to trust: the site may have a newer one meanwhile.
async fn root(state: &ManagementPoint, terms: &TokenTerms) -> Result<Vec<u8>, Refusal> {
    let root = match terms.root {
        Some(version) => state.database.metadata_version(ROOT, version).await?,
        None => state.database.current_metadata(ROOT).await?.map(|root| root.bytes),
    };
    root.ok_or(Refusal::Client(
        StatusCode::SERVICE_UNAVAILABLE,
        "The site has no repository yet. Try again in a minute.",
    ))
}

/// The client that the bearer of the token becomes, if it is not a new one.
async fn known_client(
    state: &ManagementPoint,
    terms: &TokenTerms,
    request: &EnrollmentRequest,
) -> Result<Option<ClientId>, Refusal> {
    Ok(match (terms.whom, request.hardware) {
        (TokenFor::Client(client), _) => Some(client),
        (TokenFor::SameHardware, Some(hardware)) => state.database.only_client_with(&hardware).await?,
        (TokenFor::SameHardware, None) | (TokenFor::NewClient, _) => None,
    })
}

/// An administrator who names the client has decided already; what a device says of its hardware decides nothing.
fn waits_for_approval(state: &ManagementPoint, terms: &TokenTerms) -> bool {
    let is_named = matches!(terms.whom, TokenFor::Client(_));
    state.config.approve_clients == ClientApproval::Manual && !is_named
}

/// A certificate for the key of this request.
pub(super) fn certificate_for(
    identity: &SiteIdentity,
    client: ClientId,
    request: &[u8],
) -> Result<ClientCertificate, Refusal> {
    identity.client_certificate(client, request).map_err(|error| match error {
        IdentityError::Certificate(_) => {
            Refusal::Client(StatusCode::BAD_REQUEST, "The certificate request is no valid PKCS#10 request in DER.")
        }
        error => Refusal::Site(error.into()),
    })
}

async fn report(state: &ManagementPoint, enrollment: &Enrollment<'_>, admission: Admission) {
    let Enrollment { client, hostname, takes_over, hardware, .. } = *enrollment;
    tracing::info!(client.id = %client, hostname, again = takes_over, ?admission, "Client enrolled");
    if let Some(hardware) = hardware
        // The client itself is one that has it.
        && matches!(state.database.only_client_with(&hardware).await, Ok(None))
    {
        tracing::warn!(client.id = %client, "Another client has the same hardware");
    }
}

fn refused() -> Refusal {
    tracing::warn!("Enrolment with an unknown, used or expired token refused");
    Refusal::Client(
        StatusCode::FORBIDDEN,
        "The token is unknown, used or expired: get a new one with `farrier token create` on the site.",
    )
}
