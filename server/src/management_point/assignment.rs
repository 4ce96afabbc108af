//! `GET /v2/assignment`: what this client is to do. `GET /v1/assignment`: the same for agents that cannot install.

use super::client::Client;
use super::{ManagementPoint, Refusal};
use crate::config::ManagementPointConfig;
use crate::database::{AssignmentVersion, ClientDeployment, Publication, PublishedDeployments, now};
use crate::windows;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use farrier_protocol::assignment::{
    Assessment, AssignedDeployment, Assignment, MAX_CATALOGS, MAX_DEPLOYMENTS, MAX_INSTALLERS, MAX_PLUGINS, Schedule,
    Standing, Windows,
};
use farrier_protocol::deployment::policy_target;
use farrier_protocol::{ClientId, Digest};
use serde::Serialize;
use std::sync::Arc;

pub(super) async fn assignment(
    State(state): State<ManagementPoint>,
    Client(client): Client,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let database = &state.database;
    let version = database.assignment_version().await?;
    let deployments = database.assigned_deployments(client).await?;
    let windows = windows::for_client(database, client, now()).await?;
    let publication = current(&state).await?;
    let assessment = assessment(client, &publication, version, &state.config);
    answer(&*whole(assessment, &publication.deployments, &deployments, windows), &headers)
}

/// The whole assignment: on the heap, because it is too large to pass through the stack several times.
fn whole(
    assessment: Assessment,
    published: &PublishedDeployments,
    deployments: &[ClientDeployment],
    windows: Windows,
) -> Box<Assignment> {
    let mut assignment = Box::new(Assignment::from(assessment));
    assignment.installers.extend(published.installers.iter().take(MAX_INSTALLERS).cloned());
    let assigned = deployments.iter().filter_map(|of_client| assigned(of_client, published));
    assignment.deployments.extend(assigned.take(MAX_DEPLOYMENTS));
    assignment.windows = windows;
    assignment
}

pub(super) async fn assessment_only(
    State(state): State<ManagementPoint>,
    Client(client): Client,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let publication = current(&state).await?;
    let version = state.database.assignment_version().await?;
    answer(&assessment(client, &publication, version, &state.config), &headers)
}

async fn current(state: &ManagementPoint) -> Result<Arc<Publication>, Refusal> {
    state.database.current_publication().await?.ok_or(Refusal::Client(
        StatusCode::SERVICE_UNAVAILABLE,
        "The site has published nothing yet: it is starting. Try again in a minute.",
    ))
}

fn answer(message: &impl Serialize, headers: &HeaderMap) -> Result<Response, Refusal> {
    let body = farrier_protocol::encode(message)?;
    let etag = format!("\"{}\"", Digest::of(&body));
    if headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    Ok(([(ETAG, etag), (CACHE_CONTROL, "private, no-cache".to_owned())], body).into_response())
}

/// Everything in it is a function of what is published and of what an administrator or a phase changed, so that its
/// bytes change only when it says something else.
fn assessment(
    client: ClientId,
    publication: &Publication,
    version: AssignmentVersion,
    config: &ManagementPointConfig,
) -> Assessment {
    let seconds = |period: jiff::SignedDuration| u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
    Assessment {
        client,
        version: publication.version.max(version.version),
        issued_at: publication.published_at.max(version.changed_at),
        schedule: Schedule { poll_seconds: seconds(config.poll_every), scan_seconds: seconds(config.scan_every) },
        plugins: publication.content.plugins.iter().take(MAX_PLUGINS).cloned().collect(),
        catalogs: publication.content.catalogs.iter().take(MAX_CATALOGS).cloned().collect(),
    }
}

/// A deployment that is not published yet is not assigned yet; of a cancelled one nobody needs the policy.
fn assigned(of_client: &ClientDeployment, published: &PublishedDeployments) -> Option<AssignedDeployment> {
    let ClientDeployment { deployment, phase, standing, retries } = *of_client;
    let (target, digest) = match (standing, published.policy(deployment)) {
        (Standing::Cancelled, _) => (policy_target(deployment), Digest([0; Digest::LENGTH])),
        (_, Some(policy)) => (policy.target.clone(), policy.digest),
        (_, None) => return None,
    };
    Some(AssignedDeployment { deployment, target, digest, phase, standing, retries })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::PublishedPolicy;
    use farrier_protocol::DeploymentId;

    const PUBLISHED: DeploymentId = DeploymentId([1; 16]);
    const CANCELLED: DeploymentId = DeploymentId([2; 16]);
    const WAITING: DeploymentId = DeploymentId([3; 16]);

    fn of_client(deployment: DeploymentId, standing: Standing) -> ClientDeployment {
        ClientDeployment { deployment, phase: 2, standing, retries: 1 }
    }

    fn published() -> PublishedDeployments {
        let (target, digest) = (policy_target(PUBLISHED), Digest::of(b"policy"));
        let policy = PublishedPolicy { deployment: PUBLISHED, target, digest };
        PublishedDeployments { installers: Vec::new(), policies: vec![policy] }
    }

    fn assessment() -> Assessment {
        Assessment {
            client: ClientId([7; 16]),
            version: 5,
            issued_at: 6,
            schedule: Schedule { poll_seconds: 60, scan_seconds: 3_600 },
            plugins: heapless::Vec::new(),
            catalogs: heapless::Vec::new(),
        }
    }

    #[test]
    fn what_is_not_published_yet_is_not_assigned_yet() {
        let open = Standing::Open { since: 4 };
        let deployments =
            [of_client(PUBLISHED, open), of_client(CANCELLED, Standing::Cancelled), of_client(WAITING, open)];
        let assignment = whole(assessment(), &published(), &deployments, Windows::default());
        let assigned: Vec<_> =
            assignment.deployments.iter().map(|assigned| (assigned.deployment, assigned.standing)).collect();
        assert_eq!(assigned, [(PUBLISHED, open), (CANCELLED, Standing::Cancelled)]);
        let first = &assignment.deployments[0];
        assert_eq!((first.digest, first.phase, first.retries), (Digest::of(b"policy"), 2, 1));
        assert_eq!(first.target, "policies/01010101010101010101010101010101");
    }

    #[test]
    fn the_most_that_can_be_assigned_fits_the_wire() {
        let deployments = vec![of_client(CANCELLED, Standing::Cancelled); MAX_DEPLOYMENTS + 9];
        let assignment = whole(assessment(), &published(), &deployments, Windows::default());
        assert_eq!(assignment.deployments.len(), MAX_DEPLOYMENTS);
        let bytes = farrier_protocol::encode(&*assignment).unwrap();
        assert_eq!(farrier_protocol::decode::<Assignment>(&bytes).unwrap(), *assignment);
    }
}
