//! `POST /v4/poll`: what this client is to do, and how the repository stands.

use super::client::Client;
use super::{ManagementPoint, Refusal};
use crate::config::ManagementPointConfig;
use crate::database::{AssignmentVersion, ClientAbilities, ClientDeployment, Publication, PublishedDeployments, now};
use crate::plugins::rollout::{OneClient, RollOut};
use crate::windows;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use farrier_protocol::assignment::{
    Assessment, AssignedDeployment, Assignment, MAX_CATALOGS, MAX_DEPLOYMENTS, Schedule, Standing,
};
use farrier_protocol::deployment::policy_target;
use farrier_protocol::poll::PollRequest;
use farrier_protocol::{ClientId, Digest};
use farrier_runtime::EngineId;
use std::sync::Arc;

pub(super) async fn poll(
    State(state): State<ManagementPoint>,
    Client(client, abilities): Client,
    body: Bytes,
) -> Result<Vec<u8>, Refusal> {
    let request: PollRequest = farrier_protocol::decode(&body).map_err(|_| Refusal::MALFORMED)?;
    let PollRequest { engine, boot, hardware, .. } = &request;
    let has_other_engine =
        state.database.note_contact_details(client, engine.as_deref(), *boot, *hardware, now()).await?;
    let is_ours = || engine.as_deref().is_some_and(|engine| engine.parse::<EngineId>().is_ok());
    if has_other_engine && is_ours() {
        // Its artefacts may not be compiled yet.
        state.signals.content_changed.notify_one();
    }
    let publication = current(&state).await?;
    let assignment = assignment(&state, client, &abilities, &publication).await?;
    state.statements.answer(&publication, &request, &assignment, now()).await
}

/// An agent from before the repository was signed after TUF.
pub(super) async fn gone() -> (StatusCode, &'static str) {
    let sentence = "This site speaks a newer protocol: update the agent and enrol it again.";
    (StatusCode::GONE, sentence)
}

// On the heap, because it is too large to pass through the stack several times.
async fn assignment(
    state: &ManagementPoint,
    client: ClientId,
    abilities: &ClientAbilities,
    publication: &Publication,
) -> Result<Box<Assignment>, Refusal> {
    let database = &state.database;
    let version = database.assignment_version().await?;
    let roll_out = database.plugin_roll_out(version.version).await?;
    let member_of = database.memberships_among(client, roll_out.collections()).await?;
    let one = OneClient { abilities, member_of: &member_of };
    let mut assignment = Box::new(Assignment::from(assessment(client, publication, version, &state.config)));
    assign_plugins(&mut assignment, publication, &roll_out, &one);
    let deployments = database.assigned_deployments(client).await?;
    assign_deployments(&mut assignment, &publication.deployments, &deployments);
    assignment.windows = windows::for_client(database, client, now()).await?;
    Ok(assignment)
}

/// The plugins that some catalog needs, with the catalogs, and the installers that some deployment needs. A plugin of
/// which no version counts yet is left out with its catalogs, which nobody could evaluate.
fn assign_plugins(assignment: &mut Assignment, publication: &Publication, roll_out: &RollOut, client: &OneClient<'_>) {
    let (content, deployments) = (&publication.content, &publication.deployments);
    let scans = |digest: &Digest| content.plugins.iter().any(|plugin| plugin.digest == *digest);
    let mut seen: Vec<&str> = Vec::new();
    for name in content.catalogs.iter().map(|catalog| catalog.plugin.as_str()) {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let Some(choice) = roll_out.scanning(name, client, scans) else { continue };
        // Whatever does not fit is left out; the publisher says so.
        if assignment.assessment.plugins.push(choice.counts.clone()).is_err() {
            break;
        }
        // Cannot overflow, like that of the installers: there are at most as many as plugins.
        assignment.fallbacks.extend(choice.fallback.cloned().map(Box::new));
        if let Some(shadow) = choice.shadow {
            let _ = assignment.shadows.push(Box::new(shadow.clone()));
        }
    }
    let Assessment { plugins, catalogs, .. } = &mut assignment.assessment;
    let is_assigned = |name: &str| plugins.iter().any(|plugin| plugin.name == name);
    let usable = content.catalogs.iter().filter(|catalog| is_assigned(&catalog.plugin));
    catalogs.extend(usable.take(MAX_CATALOGS).cloned());

    let installs = |digest: &Digest| deployments.installers.iter().any(|installer| installer.digest == *digest);
    let mut seen: Vec<&str> = Vec::new();
    for name in deployments.installers.iter().map(|installer| installer.name.as_str()) {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let Some(choice) = roll_out.installing(name, client, installs) else { continue };
        if assignment.installers.push(choice.counts.clone()).is_err() {
            break;
        }
        assignment.installer_fallbacks.extend(choice.fallback.cloned().map(Box::new));
    }
}

async fn current(state: &ManagementPoint) -> Result<Arc<Publication>, Refusal> {
    state.database.current_publication().await?.ok_or(Refusal::Client(
        StatusCode::SERVICE_UNAVAILABLE,
        "The site has published nothing yet: it is starting. Try again in a minute.",
    ))
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
        version: publication.content_version.max(version.version),
        issued_at: publication.content_at.max(version.changed_at),
        schedule: Schedule { poll_seconds: seconds(config.poll_every), scan_seconds: seconds(config.scan_every) },
        plugins: heapless::Vec::new(),
        catalogs: heapless::Vec::new(),
    }
}

fn assign_deployments(assignment: &mut Assignment, published: &PublishedDeployments, deployments: &[ClientDeployment]) {
    let assigned = deployments.iter().filter_map(|of_client| assigned(of_client, published));
    assignment.deployments.extend(assigned.take(MAX_DEPLOYMENTS));
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
    use crate::database::{ALL_CLIENTS, CollectionAssignment, PublishedContent, PublishedPolicy, RegisteredPlugin};
    use crate::plugins::fixture::plugin as plugin_with;
    use crate::plugins::rollout::{assigned_installer, assigned_plugin};
    use farrier_protocol::DeploymentId;
    use farrier_protocol::assignment::AssignedCatalog;
    use farrier_runtime::World;
    use std::collections::HashSet;

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

    fn whole(deployments: &[ClientDeployment]) -> Box<Assignment> {
        let mut assignment = Box::new(Assignment::from(assessment()));
        assign_deployments(&mut assignment, &published(), deployments);
        assignment
    }

    #[test]
    fn what_is_not_published_yet_is_not_assigned_yet() {
        let open = Standing::Open { since: 4 };
        let assignment =
            whole(&[of_client(PUBLISHED, open), of_client(CANCELLED, Standing::Cancelled), of_client(WAITING, open)]);
        let assigned: Vec<_> =
            assignment.deployments.iter().map(|assigned| (assigned.deployment, assigned.standing)).collect();
        assert_eq!(assigned, [(PUBLISHED, open), (CANCELLED, Standing::Cancelled)]);
        let first = &assignment.deployments[0];
        assert_eq!((first.digest, first.phase, first.retries), (Digest::of(b"policy"), 2, 1));
        assert_eq!(first.target, "policies/01010101010101010101010101010101");
    }

    #[test]
    fn the_most_that_can_be_assigned_fits_the_wire() {
        let assignment = whole(&vec![of_client(CANCELLED, Standing::Cancelled); MAX_DEPLOYMENTS + 9]);
        assert_eq!(assignment.deployments.len(), MAX_DEPLOYMENTS);
        let bytes = farrier_protocol::encode(&*assignment).unwrap();
        assert_eq!(farrier_protocol::decode::<Assignment>(&bytes).unwrap(), *assignment);
    }

    fn catalog(plugin: usize) -> AssignedCatalog {
        AssignedCatalog {
            plugin: format!("plugin-{plugin}").as_str().try_into().unwrap(),
            scope: "any".try_into().unwrap(),
            target: format!("catalogs/{plugin}").as_str().try_into().unwrap(),
            digest: Digest::of(&[1]),
        }
    }

    /// A roll-out of ten applicability plugins and an installer, and a publication of everything but the first catalog.
    fn site() -> (RollOut, Publication) {
        let mut plugins: Vec<_> = (0..10)
            .map(|number| registered(&format!("plugin-{number}"), World::Applicability))
            .chain([registered("installer", World::Installer), registered("other-installer", World::Installer)])
            .collect();
        plugins[3].shadow = Some(CollectionAssignment {
            version: 3,
            collection: ALL_CLIENTS,
            collection_name: String::new(),
            assigned_at: 1,
        });
        let scanning = plugins.iter().filter(|plugin| plugin.world == World::Applicability);
        let installer = &plugins[10];
        let content = PublishedContent {
            plugins: scanning
                .flat_map(|plugin| plugin.versions.iter().filter_map(|version| assigned_plugin(plugin, version)))
                .collect(),
            catalogs: (1..10).chain([20]).map(catalog).collect(),
        };
        let installers = installer.versions.iter().filter_map(|version| assigned_installer(installer, version));
        let deployments = PublishedDeployments { installers: installers.collect(), policies: Vec::new() };
        let publication = Publication {
            version: 9,
            published_at: 8,
            content_version: 9,
            content_at: 8,
            timestamp: Digest([0; 32]),
            roles: Vec::new(),
            content,
            deployments,
        };
        (RollOut::of(&plugins), publication)
    }

    fn registered(name: &str, world: World) -> RegisteredPlugin {
        let mut plugin = plugin_with(name, world, &["1.0.0", "1.1.0", "1.2.0"]);
        (plugin.current, plugin.previous) = (Some(2), Some(1));
        plugin
    }

    #[test]
    fn a_client_is_assigned_what_catalogs_and_deployments_need_with_shadows_and_fallbacks() {
        let (roll_out, publication) = site();
        let (abilities, member_of) = (ClientAbilities::default(), HashSet::new());
        let client = OneClient { abilities: &abilities, member_of: &member_of };
        let mut assignment = Box::new(Assignment::from(assessment()));
        assign_plugins(&mut assignment, &publication, &roll_out, &client);
        let Assessment { plugins, catalogs, .. } = &assignment.assessment;
        let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        assert_eq!(names, (1..10).map(|number| format!("plugin-{number}")).collect::<Vec<_>>());
        assert!(plugins.iter().all(|plugin| plugin.version == "1.1.0"));
        assert_eq!(catalogs.len(), 9, "the catalog whose plugin nobody has is left out");
        assert_eq!(assignment.fallbacks.len(), 9);
        assert!(assignment.fallbacks.iter().all(|plugin| plugin.version == "1.0.0"));
        let shadows: Vec<_> = assignment.shadows.iter().map(|plugin| (&*plugin.name, &*plugin.version)).collect();
        assert_eq!(shadows, [("plugin-3", "1.2.0")]);
        let installers = assignment.installers.iter().map(|installer| (&*installer.name, &*installer.version));
        assert_eq!(installers.collect::<Vec<_>>(), [("installer", "1.1.0")], "nothing deployed needs the other one");
        assert_eq!(assignment.installer_fallbacks[0].version, "1.0.0");
        let bytes = farrier_protocol::encode(&*assignment).unwrap();
        assert_eq!(farrier_protocol::decode::<Assignment>(&bytes).unwrap(), *assignment);
    }
}
