//! What is deployed, and what a client that asks for a content is told.

use crate::database::{Content, ContentState, Database};
use crate::deployment::settings::{ContentSource, DeploymentSettings};
use anyhow::Context as _;
use farrier_protocol::{Digest, UnixTime};

/// When a client may ask again for what is on its way.
const ASK_AGAIN_SECONDS: u32 = 30;
/// When a client may ask again for what cannot be had for now, at the latest.
const MAX_ASK_AGAIN_SECONDS: u32 = 60 * 60;

/// What is deployed, as far as content is concerned.
#[derive(Debug, Default)]
pub(super) struct Deployed {
    /// The update groups of deployments that are not cancelled.
    pub(super) groups: Vec<i64>,
    /// Those of them that roll back: earlier versions may be needed, too.
    pub(super) rolling_back: Vec<i64>,
    /// Deployments whose clients may take content from the distribution point, with their update groups.
    pub(super) mirrored: Vec<(i64, i64)>,
}

impl Deployed {
    pub(super) async fn of(database: &Database) -> anyhow::Result<Self> {
        let mut deployed = Self::default();
        for group in database.deployed_groups().await.context("reading the deployments")? {
            let settings: DeploymentSettings = serde_json::from_str(&group.settings)
                .with_context(|| format!("the settings of deployment {} are damaged", group.deployment))?;
            deployed.groups.push(group.update_group);
            if settings.roll_back {
                deployed.rolling_back.push(group.update_group);
            }
            if settings.sources.contains(&ContentSource::DistributionPoint) {
                deployed.mirrored.push((group.deployment, group.update_group));
            }
        }
        Ok(deployed)
    }
}

/// The answer to a client that asks for a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// It is here, with so many bytes.
    Here(u64),
    /// It is wanted, or could not be had so far: ask again after so many seconds.
    Later {
        /// Seconds.
        after_seconds: u32,
        /// Why, where it could not be had.
        reason: Option<String>,
    },
    /// Nobody deploys it.
    Never,
}

/// Looks up a content. What belongs to a deployment and is not here is wanted from now on.
///
/// # Errors
/// When the database fails.
pub async fn ask(database: &Database, digest: &Digest, now: UnixTime) -> anyhow::Result<Asked> {
    let later = Asked::Later { after_seconds: ASK_AGAIN_SECONDS, reason: None };
    match database.content(digest).await.context("looking up a content")? {
        Some(Content { state: ContentState::Stored, size, .. }) => return Ok(Asked::Here(size)),
        Some(Content { state: ContentState::Wanted, .. }) => return Ok(later),
        Some(Content { state: ContentState::Failed, error, retry_at, .. }) => {
            let seconds = retry_at.unwrap_or(now).saturating_sub(now).saturating_add(i64::from(ASK_AGAIN_SECONDS));
            let after_seconds =
                u32::try_from(seconds).unwrap_or_default().clamp(ASK_AGAIN_SECONDS, MAX_ASK_AGAIN_SECONDS);
            return Ok(Asked::Later { after_seconds, reason: error });
        }
        None => {}
    }
    // Anybody may ask for anything: what no upstream has costs one look, not one at every deployment.
    if !database.is_content_of_a_package(digest).await.context("looking up a content")? {
        return Ok(Asked::Never);
    }
    let deployed = Deployed::of(database).await?;
    let package = database.deployed_package(digest, &deployed.groups, &deployed.rolling_back);
    let Some(package) = package.await.context("looking up a package")? else { return Ok(Asked::Never) };
    database.want_contents(&[package], now).await.context("writing what is wanted")?;
    Ok(later)
}
