//! `POST /v1/enroll`: a one-time token for a client certificate.

use super::{ManagementPoint, Refusal};
use crate::database::now;
use crate::identity::IdentityError;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest};
use farrier_protocol::{ClientId, Digest};

pub(super) async fn enroll(State(state): State<ManagementPoint>, body: Bytes) -> Result<Vec<u8>, Refusal> {
    let request: EnrollmentRequest = farrier_protocol::decode(&body).map_err(|_| Refusal::MALFORMED)?;
    let client = ClientId(rand::random());
    // The certificate is made before the token is used up, so that a bad request does not cost the token.
    let certificate =
        state.identity.client_certificate(client, &request.certificate_request).map_err(|error| match error {
            IdentityError::Certificate(_) => {
                Refusal::Client(StatusCode::BAD_REQUEST, "The certificate request is no valid PKCS#10 request in DER.")
            }
            error => Refusal::Site(error.into()),
        })?;
    let secret = Digest::of(&request.secret);
    if !state.database.enroll_client(&secret, client, &request.hostname, now()).await? {
        tracing::warn!("Enrolment with an unknown, used or expired token refused");
        return Err(Refusal::Client(
            StatusCode::FORBIDDEN,
            "The token is unknown, used or expired: get a new one with `farrier token create` on the site.",
        ));
    }
    tracing::info!(client.id = %client, hostname = %request.hostname, "Client enrolled");
    let authority = state.identity.authority_certificate().to_vec();
    Ok(farrier_protocol::encode(&EnrollmentReply { client, certificate, authority })?)
}
