//! Collections: named sets of clients.
//!
//! What a collection is defined by, and who is in, are two things: definitions are written by administrators;
//! members follow in [`Database::update_members`], which looks only at what changed.

mod change;
mod definitions;
mod evaluation;
mod facts;

pub use definitions::{CollectionDefinition, DefinitionError};
pub use evaluation::{Which, Written};
pub use facts::{ClientFacts, EvaluationInput, Membership, StoredCollection};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One collection of this site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CollectionId(pub i64);

/// The collection of all clients, which every site has and nobody can change.
pub const ALL_CLIENTS: CollectionId = CollectionId(1);

impl fmt::Display for CollectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for CollectionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
