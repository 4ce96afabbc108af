//! `POST /v2/renew`: a new certificate for one that is still good.

use super::client::CertificateHolder;
use super::enrollment::certificate_for;
use super::{ManagementPoint, Refusal};
use crate::database::KeptOut;
use axum::body::Bytes;
use axum::extract::State;
use farrier_protocol::enrollment::{Exclusion, RenewalReply, RenewalRequest};

pub(super) async fn renew(
    State(state): State<ManagementPoint>,
    CertificateHolder { client, certificate }: CertificateHolder,
    body: Bytes,
) -> Result<Vec<u8>, Refusal> {
    let request: RenewalRequest = farrier_protocol::decode(&body).map_err(|_| Refusal::MALFORMED)?;
    let new = certificate_for(&state.identity, client, &request.certificate_request)?;
    if !state.database.renew_certificate(client, &certificate, &new.record).await? {
        // It was taken from the client between the two looks at it.
        let kept_out = KeptOut { exclusion: Exclusion::Superseded, reason: String::new() };
        return Err(Refusal::KeptOut(client, kept_out));
    }
    tracing::info!(client.id = %client, "Certificate renewed");
    Ok(farrier_protocol::encode(&RenewalReply { certificate: new.der })?)
}
