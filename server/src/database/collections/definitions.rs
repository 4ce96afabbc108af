//! Writing and reading the definitions of collections.

use super::change::Change;
use super::{ALL_CLIENTS, CollectionId};
use crate::database::rows::storable;
use crate::database::{Database, assignment_version};
use farrier_protocol::{ClientId, UnixTime};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row as _};
use std::collections::BTreeSet;

/// What a collection is made by. A client is in if it is a static member, if the query holds for it, or if it is a
/// member of an included collection; but never if it is a member of an excluded one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionDefinition {
    /// Its name, unique on the site.
    pub name: String,
    /// What it is for, in words.
    pub description: String,
    /// The query of a rule-based collection.
    pub query: Option<String>,
    /// The static members.
    pub clients: BTreeSet<ClientId>,
    /// Collections whose members are added.
    pub includes: BTreeSet<CollectionId>,
    /// Collections whose members are taken away, whatever else says they are in.
    pub excludes: BTreeSet<CollectionId>,
}

/// Why a definition is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// There is another one with this name.
    #[error("there is a collection named {0:?} already: choose another name, or change that one")]
    NameTaken(String),
    /// It does not exist.
    #[error("there is no collection {0} (any more): look at the list of collections")]
    Unknown(CollectionId),
    /// A static member does not exist.
    #[error("client {0} is not known to this site: write the id of an enrolled client")]
    UnknownClient(ClientId),
    /// Includes and excludes lead back to the collection itself.
    #[error("{} would depend on itself ({}): leave one of these out", .0.first().map_or("", String::as_str), .0.join(" -> "))]
    Cycle(Vec<String>),
    /// Something still needs it.
    #[error("{name} cannot be removed, because {user} uses it: change or remove that first")]
    InUse {
        /// The collection.
        name: String,
        /// What uses it, with its name.
        user: String,
    },
    /// The collection of all clients is as it is.
    #[error("All clients is always every client of the site: it cannot be changed or removed")]
    AllClients,
    /// The database failed.
    #[error("the site database cannot be used")]
    Database(#[from] sqlx::Error),
}

/// Relations of collections, as stored in `kind`.
pub(super) const INCLUDE: i64 = 0;
pub(super) const EXCLUDE: i64 = 1;

impl Database {
    /// Makes a collection. `contact_seconds` is the shortest age that its query asks a last contact for.
    ///
    /// # Errors
    /// When it does not fit the others, or the database fails; then nothing is made.
    pub async fn create_collection(
        &self,
        definition: &CollectionDefinition,
        contact_seconds: Option<i64>,
        now: UnixTime,
    ) -> Result<CollectionId, DefinitionError> {
        let mut change = Change::begin(self).await?;
        change.check_name(None, &definition.name).await?;
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO collections (name, description, query, contact_seconds, unevaluated, created_at, changed_at) \
             VALUES ($1, $2, $3, $4, 0, $5, $6) RETURNING id",
        )
        .bind(&definition.name)
        .bind(&definition.description)
        .bind(&definition.query)
        .bind(contact_seconds)
        .bind(now)
        .bind(now)
        .fetch_one(&mut *change.transaction)
        .await?;
        let id = CollectionId(id);
        change.relate(id, definition).await?;
        change.check_cycles(id).await?;
        change.set_clients(id, &definition.clients).await?;
        // Where nothing but static members can be in, they alone are looked at.
        if definition.query.is_some() || !definition.includes.is_empty() {
            change.mark_unevaluated(id).await?;
        }
        change.transaction.commit().await?;
        Ok(id)
    }

    /// Replaces the definition of a collection.
    ///
    /// # Errors
    /// When there is none, it does not fit the others, or the database fails; then nothing changed.
    pub async fn change_collection(
        &self,
        id: CollectionId,
        definition: &CollectionDefinition,
        contact_seconds: Option<i64>,
        now: UnixTime,
    ) -> Result<(), DefinitionError> {
        if id == ALL_CLIENTS {
            return Err(DefinitionError::AllClients);
        }
        let mut change = Change::begin(self).await?;
        let before = definition_of(&mut change.transaction, id).await?.ok_or(DefinitionError::Unknown(id))?;
        change.check_name(Some(id), &definition.name).await?;
        sqlx::query(
            "UPDATE collections SET name = $1, description = $2, query = $3, contact_seconds = $4, \
             changed_at = CASE WHEN changed_at >= $5 THEN changed_at + 1 ELSE $5 END WHERE id = $6",
        )
        .bind(&definition.name)
        .bind(&definition.description)
        .bind(&definition.query)
        .bind(contact_seconds)
        .bind(now)
        .bind(id.0)
        .execute(&mut *change.transaction)
        .await?;
        change.relate(id, definition).await?;
        change.check_cycles(id).await?;
        change.set_clients(id, &definition.clients).await?;
        let rules = |definition: &CollectionDefinition| {
            (definition.query.clone(), definition.includes.clone(), definition.excludes.clone())
        };
        if rules(&before) != rules(definition) {
            change.mark_unevaluated(id).await?;
        }
        change.transaction.commit().await?;
        Ok(())
    }

    /// Removes a collection with its windows.
    ///
    /// # Errors
    /// When something still uses it, there is none, or the database fails.
    pub async fn remove_collection(&self, id: CollectionId, now: UnixTime) -> Result<(), DefinitionError> {
        if id == ALL_CLIENTS {
            return Err(DefinitionError::AllClients);
        }
        let mut change = Change::begin(self).await?;
        let name: Option<String> = sqlx::query_scalar("SELECT name FROM collections WHERE id = $1")
            .bind(id.0)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let name = name.ok_or(DefinitionError::Unknown(id))?;
        if let Some(user) = change.user_of(id).await? {
            return Err(DefinitionError::InUse { name, user });
        }
        sqlx::query("DELETE FROM collections WHERE id = $1").bind(id.0).execute(&mut *change.transaction).await?;
        assignment_version::bump(&mut change.transaction, now).await?;
        change.transaction.commit().await?;
        Ok(())
    }

    /// The definition of a collection; none if it does not exist (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_definition(&self, id: CollectionId) -> Result<Option<CollectionDefinition>, sqlx::Error> {
        definition_of(&mut *self.pool.acquire().await?, id).await
    }

    /// Whether a collection exists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_exists(&self, id: CollectionId) -> Result<bool, sqlx::Error> {
        let found =
            sqlx::query("SELECT id FROM collections WHERE id = $1").bind(id.0).fetch_optional(&self.pool).await?;
        Ok(found.is_some())
    }

    /// The collection with this name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_named(&self, name: &str) -> Result<Option<CollectionId>, sqlx::Error> {
        let id = sqlx::query_scalar("SELECT id FROM collections WHERE name = $1").bind(storable(name).into_owned());
        Ok(id.fetch_optional(&self.pool).await?.map(CollectionId))
    }
}

async fn definition_of(
    connection: &mut AnyConnection,
    id: CollectionId,
) -> Result<Option<CollectionDefinition>, sqlx::Error> {
    let row = sqlx::query("SELECT name, description, query FROM collections WHERE id = $1").bind(id.0);
    let Some(row) = row.fetch_optional(&mut *connection).await? else { return Ok(None) };
    let clients = sqlx::query(
        "SELECT c.client_id FROM collection_clients s JOIN clients c ON c.id = s.client_id WHERE s.collection_id = $1",
    );
    let clients = clients.bind(id.0).fetch_all(&mut *connection).await?;
    let client = |row: &sqlx::any::AnyRow| {
        let bytes: Vec<u8> = row.try_get("client_id")?;
        ClientId::from_slice(&bytes).ok_or_else(|| sqlx::Error::Decode("a client's id is no id".into()))
    };
    let relations = sqlx::query("SELECT other_id, kind FROM collection_relations WHERE collection_id = $1");
    let mut definition = CollectionDefinition {
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        query: row.try_get("query")?,
        clients: clients.iter().map(client).collect::<Result<_, sqlx::Error>>()?,
        includes: BTreeSet::new(),
        excludes: BTreeSet::new(),
    };
    for row in relations.bind(id.0).fetch_all(&mut *connection).await? {
        let other = CollectionId(row.try_get("other_id")?);
        if is_exclude(row.try_get("kind")?)? {
            definition.excludes.insert(other);
        } else {
            definition.includes.insert(other);
        }
    }
    Ok(Some(definition))
}

/// Whether a stored relation takes members away.
pub(super) fn is_exclude(kind: i64) -> Result<bool, sqlx::Error> {
    match kind {
        INCLUDE => Ok(false),
        EXCLUDE => Ok(true),
        kind => Err(sqlx::Error::Decode(format!("a collection is related in the unknown way {kind}").into())),
    }
}
