//! The site database: all SQL is below this module, one function per need, rows in and out as types.
//!
//! SQLite (embedded, the default) and PostgreSQL run the same queries through sqlx's `Any` driver. What that asks of the
//! SQL: placeholders are `$1`, integers are `BIGINT` (`i64`), truth is `0` or `1`, sums are cast to `BIGINT`, no
//! `Arc<str>` is bound (the driver of SQLite panics), and a long list travels as rows of `VALUES` that [`rows`] writes.

mod admission;
mod assignment_version;
mod authored;
mod certificates;
mod clients;
mod clones;
mod collections;
mod connect;
mod contents;
mod deployment_rules;
mod deployment_templates;
mod deployments;
mod metadata;
mod native_artefacts;
mod plugins;
mod publications;
mod rows;
mod states;
mod suites;
mod supersedence;
mod sync_runs;
mod tokens;
mod update_groups;
mod updates;
pub mod views;
mod windows;

pub use admission::Admission;
pub use assignment_version::AssignmentVersion;
pub use authored::{AuthoredContent, AuthoredRow, AuthoredRule, AuthoredUpdate, AuthoredWrite};
pub use certificates::{IssuedCertificate, KeptOut};
pub use clients::{AbilityGroup, ClientAbilities, Enrollment};
pub use clones::{CloneEvidence, Cloned};
pub use collections::{
    ALL_CLIENTS, ClientFacts, CollectionDefinition, CollectionId, DefinitionError, EvaluationInput, Membership,
    StoredCollection, Which, Written,
};
pub use connect::{Database, DatabaseError, Engine};
pub use contents::{Content, ContentFigures, ContentSourceRow, ContentState, DeployedGroup, DeployedPackage};
pub use deployment_rules::{DeploymentRule, RuleCandidate};
pub use deployment_templates::DeploymentTemplate;
pub use deployments::{
    AuthoredPart, ClientDeployment, ContentNeed, DeploymentHead, DeploymentRecord, GroupOfRecord,
    PublishableDeployment, PublishableFile, PublishableUpdate, RuleOfRecord, RuleRun, StatusChange,
};
pub use metadata::{PendingMetadata, StoredMetadata};
pub use native_artefacts::{NativeArtefact, StoredArtefact};
pub use plugins::{
    CollectionAssignment, GrantDecision, NewVersion, PluginChange, Publisher, RegisteredPlugin, RegisteredVersion,
    Trial, TrialFigures, compare_versions,
};
pub use publications::{
    Basis, CatalogPackage, CatalogUpdate, Publication, PublishedContent, PublishedDeployments, PublishedPolicy,
    PublishedRole,
};
pub use states::{StateError, StateWriter};
pub use suites::{Follow, Suite};
pub use sync_runs::{Requester, SuitePhase, SuiteSync, SyncRun, UnknownWord};
pub use tokens::{TokenFor, TokenTerms};
pub use update_groups::{GroupedUpdate, UpdateGroup};
pub use updates::{ImportCounts, ImportedPackage, ImportedUpdate, SuiteImport};
pub use windows::{MaintenanceWindow, WindowDefinition};

use std::time::{SystemTime, UNIX_EPOCH};

/// Rows of one multi-row statement, at most: ten columns of them stay below SQLite's 32,766 parameters.
pub const ROWS_PER_STATEMENT: usize = 2_000;

/// Now, in Unix seconds, as the database stores time.
#[must_use]
pub fn now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX)
}
