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
    let secret = Digest::of(&request.secret);
    // Anyone can ask: only the bearer of a token is worth the cost of a signature.
    if !state.database.is_token_usable(&secret, now()).await? {
        return Err(refused());
    }
    let client = ClientId(rand::random());
    // The certificate is made before the token is used up, so that a bad request does not cost the token.
    let certificate =
        state.identity.client_certificate(client, &request.certificate_request).map_err(|error| match error {
            IdentityError::Certificate(_) => {
                Refusal::Client(StatusCode::BAD_REQUEST, "The certificate request is no valid PKCS#10 request in DER.")
            }
            error => Refusal::Site(error.into()),
        })?;
    if !state.database.enroll_client(&secret, client, &request.hostname, now()).await? {
        return Err(refused());
    }
    tracing::info!(client.id = %client, hostname = %request.hostname, "Client enrolled");
    let authority = state.identity.authority_certificate().to_vec();
    Ok(farrier_protocol::encode(&EnrollmentReply { client, certificate, authority })?)
}

fn refused() -> Refusal {
    tracing::warn!("Enrolment with an unknown, used or expired token refused");
    Refusal::Client(
        StatusCode::FORBIDDEN,
        "The token is unknown, used or expired: get a new one with `farrier token create` on the site.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::{Database, StateWriter};
    use crate::identity::SiteIdentity;
    use farrier_protocol::enrollment::SECRET_BYTES;
    use std::sync::Arc;

    const CONFIG: &str = "listen = \"127.0.0.1:0\"\naddress = \"https://site.example.org\"";

    #[tokio::test]
    async fn a_certificate_request_is_looked_at_only_with_a_usable_token() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_file(&folder.path().join("site.db")).await.unwrap();
        let state = ManagementPoint {
            database: database.clone(),
            states: StateWriter::new(database.clone()),
            identity: Arc::new(SiteIdentity::load_or_create(folder.path()).unwrap()),
            config: Arc::new(toml::from_str(CONFIG).unwrap()),
        };
        let secret = [7; SECRET_BYTES];
        let nonsense = EnrollmentRequest { secret, certificate_request: vec![0], hostname: heapless::String::new() };
        let body = Bytes::from(farrier_protocol::encode(&nonsense).unwrap());
        let answer = async || match enroll(State(state.clone()), body.clone()).await {
            Err(Refusal::Client(status, _)) => status,
            other => panic!("{other:?}"),
        };
        assert_eq!(answer().await, StatusCode::FORBIDDEN);

        database.create_token(&Digest::of(&secret), now(), now() + 3600).await.unwrap();
        assert_eq!(answer().await, StatusCode::BAD_REQUEST);
        assert!(database.is_token_usable(&Digest::of(&secret), now()).await.unwrap(), "a bad request costs no token");
    }
}
