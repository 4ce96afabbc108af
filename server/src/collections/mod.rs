//! Collections: what administrators may write, and who is in.
//!
//! Console, JSON API and command line call the functions here. Membership is worked out by [`evaluate`], which the
//! deployment role calls whenever something may have changed; it looks only at clients and collections that did, or
//! whose time has come.

mod evaluation;
mod preview;
pub mod query;

pub use crate::database::{ALL_CLIENTS, CollectionDefinition, CollectionId, DefinitionError};
pub use evaluation::{Evaluation, evaluate};
pub use preview::{Preview, PreviewedClient, preview};
pub use query::{Query, QueryError};

use crate::database::Database;
use farrier_protocol::UnixTime;

/// Bytes of a collection's name, at most.
pub const MAX_NAME_BYTES: usize = 128;

/// Why a collection is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError {
    /// It needs a name.
    #[error(
        "the collection has no name, or one of more than {MAX_NAME_BYTES} bytes: write a short one that says who is in"
    )]
    Name,
    /// The query cannot be read.
    #[error("the query cannot be read")]
    Query(#[from] QueryError),
    /// The definition does not fit the others.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// The query of another collection, which this one includes or excludes, cannot be read.
    #[error("the stored query of {collection} cannot be read (was it written by a newer Farrier?)")]
    Stored {
        /// The name of that collection.
        collection: String,
        /// What is wrong with it.
        source: QueryError,
    },
}

impl From<sqlx::Error> for CollectionError {
    fn from(error: sqlx::Error) -> Self {
        Self::Definition(error.into())
    }
}

impl CollectionError {
    /// The setting that is wrong, where it is one: a field of [`CollectionDefinition`].
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Name | Self::Definition(DefinitionError::NameTaken(_)) => Some("name"),
            Self::Query(_) => Some("query"),
            Self::Definition(DefinitionError::UnknownClient(_)) => Some("clients"),
            Self::Definition(DefinitionError::Cycle(_)) => Some("includes"),
            Self::Definition(_) | Self::Stored { .. } => None,
        }
    }
}

/// Makes a collection. Its members follow with the next evaluation.
///
/// # Errors
/// When the definition makes no sense; then nothing is made.
pub async fn create(
    database: &Database,
    definition: &CollectionDefinition,
    now: UnixTime,
) -> Result<CollectionId, CollectionError> {
    let (definition, query) = checked(definition)?;
    let contact_seconds = query.as_ref().and_then(Query::contact_seconds);
    Ok(database.create_collection(&definition, contact_seconds, now).await?)
}

/// Replaces the definition of a collection. Its members follow with the next evaluation.
///
/// # Errors
/// When the definition makes no sense, or there is no such collection; then nothing changed.
pub async fn change(
    database: &Database,
    id: CollectionId,
    definition: &CollectionDefinition,
    now: UnixTime,
) -> Result<(), CollectionError> {
    let (definition, query) = checked(definition)?;
    let contact_seconds = query.as_ref().and_then(Query::contact_seconds);
    Ok(database.change_collection(id, &definition, contact_seconds, now).await?)
}

/// Removes a collection with its windows.
///
/// # Errors
/// When something still uses it, or there is no such collection.
pub async fn remove(database: &Database, id: CollectionId, now: UnixTime) -> Result<(), CollectionError> {
    Ok(database.remove_collection(id, now).await?)
}

/// The definition as it is stored, with its query.
fn checked(definition: &CollectionDefinition) -> Result<(CollectionDefinition, Option<Query>), CollectionError> {
    let name = definition.name.trim();
    if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('\0') {
        return Err(CollectionError::Name);
    }
    let text = definition.query.as_deref().filter(|query| !query.trim().is_empty());
    // Before it is trimmed: an error points into what was written.
    let query = text.map(str::parse).transpose()?;
    let definition = CollectionDefinition {
        name: name.to_owned(),
        description: definition.description.trim().replace('\0', "\u{FFFD}"),
        query: text.map(|text| text.trim().to_owned()),
        ..definition.clone()
    };
    Ok((definition, query))
}
