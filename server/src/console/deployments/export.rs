//! `/deployments/{id}/export.csv`: every client of a deployment as a table, streamed.

use super::super::State;
use super::super::problem::Problem;
use super::detail::{deployment, parse_id};
use crate::database::Database;
use crate::database::views::CSV_HEAD;
use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use farrier_protocol::DeploymentId;
use futures_util::stream;

pub(in super::super) async fn csv(Shared(state): Shared<State>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = parse_id(&id)?;
    deployment(&state, id).await?;
    let head = stream::iter([Ok(format!("{CSV_HEAD}\r\n"))]);
    let body = Body::from_stream(stream::StreamExt::chain(head, lines(state.database().clone(), id)));
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"deployment-{id}.csv\"")),
    ];
    Ok((headers, body).into_response())
}

/// A block of lines for some clients at a time. A table that breaks off is never taken for a whole one: the connection
/// breaks off with it.
fn lines(database: Database, id: DeploymentId) -> impl stream::Stream<Item = Result<String, sqlx::Error>> {
    stream::try_unfold((database, Some(0)), move |(database, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let (rows, next) = database.deployment_csv(id, after).await?;
        let block: String = rows.iter().map(crate::database::views::CsvRow::line).collect();
        Ok(Some((block, (database, next))))
    })
}
