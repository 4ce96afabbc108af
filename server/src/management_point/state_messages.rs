//! `POST /v1/state-messages`: into the database, and only then an answer.

use super::client::Client;
use super::{ManagementPoint, Refusal};
use axum::body::Bytes;
use axum::extract::State;
use farrier_protocol::state_message::StateBatch;

pub(super) async fn commit(
    State(state): State<ManagementPoint>,
    Client(client, _): Client,
    body: Bytes,
) -> Result<Vec<u8>, Refusal> {
    let batch: Box<StateBatch> = farrier_protocol::decode(&body).map_err(|_| Refusal::MALFORMED)?;
    let reply = state.states.commit(client, batch).await?;
    Ok(farrier_protocol::encode(&reply)?)
}
