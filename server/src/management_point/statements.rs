//! Statements: what a client is told with every poll, signed by the site's assignment keys.
//!
//! What a statement says of the repository, and the keys that sign it, change with a publication: they are read once for
//! each. A poll costs one signature.

use super::Refusal;
use crate::database::{Database, Publication};
use crate::keys::{KeyRole, Keys};
use crate::repository::roles::ROOT;
use anyhow::{Context as _, ensure};
use farrier_protocol::assignment::Assignment;
use farrier_protocol::poll::{MAX_STATEMENT_SIGNATURES, PollRequest, Statement, Tenant};
use farrier_protocol::{Digest, UnixTime};
use farrier_trust::{Draft, Root, SigningKey, sign_statement};
use std::sync::{Arc, Mutex, PoisonError};

/// How long a statement counts: for a client that keeps it, not for the one that has just asked.
const STATEMENT_SECONDS: i64 = 7 * 24 * 60 * 60;

/// Signs what clients are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Statements {
    database: Database,
    keys: Keys,
    director: Arc<Mutex<Option<Arc<Director>>>>,
}

/// Who signs, and for whose repository, as of one publication.
#[derive(Debug)]
struct Director {
    publication: u64,
    tenant: Tenant,
    root: u64,
    keys: Vec<SigningKey>,
}

impl Statements {
    /// With these keys.
    #[must_use]
    pub fn new(database: Database, keys: Keys) -> Self {
        Self { database, keys, director: Arc::default() }
    }

    /// The encoded answer to a poll: a statement, and the assignment if the client does not have it.
    pub(super) async fn answer(
        &self,
        publication: &Publication,
        request: &PollRequest,
        assignment: &Assignment,
        now: UnixTime,
    ) -> Result<Vec<u8>, Refusal> {
        let director = self.director(publication).await?;
        let encoded = farrier_protocol::encode(assignment)?;
        let digest = Digest::of(&encoded);
        let statement = Statement {
            tenant: director.tenant,
            client: assignment.assessment.client,
            version: assignment.assessment.version,
            issued_at: now,
            expires: now + STATEMENT_SECONDS,
            nonce: request.nonce,
            platform: request.platform.clone(),
            assignment: digest,
            length: u32::try_from(encoded.len())?,
            root: director.root,
            timestamp: publication.timestamp,
        };
        let signed = sign_statement(&statement, &director.keys);
        let is_known = request.known == Some(digest);
        Ok(farrier_protocol::encode(&signed.reply((!is_known).then_some(&encoded)))?)
    }

    async fn director(&self, publication: &Publication) -> anyhow::Result<Arc<Director>> {
        let known = self.director.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known.filter(|known| known.publication == publication.version) {
            return Ok(known);
        }
        let director = Arc::new(self.read_director(publication).await?);
        *self.director.lock().unwrap_or_else(PoisonError::into_inner) = Some(director.clone());
        Ok(director)
    }

    async fn read_director(&self, publication: &Publication) -> anyhow::Result<Director> {
        let root = publication.role_version(ROOT).context("the publication names no root")?;
        let bytes = self.database.metadata_version(ROOT, root).await?.context("the published root is not there")?;
        let content: Root = Draft::from_bytes(ROOT, &bytes)?.content()?;
        let site = content.site.context("the root names no site")?;
        let named = site.assignment.keyids.iter().filter_map(|id| content.keys.get(id)?.to_ed25519());
        let named: Vec<[u8; 32]> = named.collect();
        let mut keys = self.keys.signers(KeyRole::Assignment)?;
        keys.retain(|key| named.contains(key.public().as_bytes()));
        keys.truncate(MAX_STATEMENT_SIGNATURES);
        ensure!(
            keys.len() as u64 >= site.assignment.threshold,
            "assignments cannot be signed: root version {root} asks for {} keys, and {} of them are on the site; restore \
             them from a backup, or sign a root with others (`farrier keys rotate assignment`)",
            site.assignment.threshold,
            keys.len()
        );
        Ok(Director { publication: publication.version, tenant: site.tenant, root, keys })
    }
}
