//! Reading what memberships follow from: collections, and what is known of clients.

use super::CollectionId;
use super::definitions::is_exclude;
use super::evaluation::CLIENTS_PER_TRANSACTION;
use crate::database::Engine;
use crate::database::rows::number_list;
use farrier_protocol::{ClientId, UnixTime};
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// A collection, as evaluation needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCollection {
    /// Which collection.
    pub id: CollectionId,
    /// Its name, for messages.
    pub name: String,
    /// Its query.
    pub query: Option<String>,
    /// Collections whose members are added.
    pub includes: Vec<CollectionId>,
    /// Collections whose members are taken away.
    pub excludes: Vec<CollectionId>,
    /// Whether its definition changed since everybody was looked at.
    pub unevaluated: bool,
    /// The version of its definition.
    pub changed_at: i64,
}

/// What the site knows of a client, as queries ask for it, and where it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFacts {
    /// Its row.
    pub row: i64,
    /// Which client.
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
    /// Its operating system as people see it.
    pub operating_system: String,
    /// `ID` of its os-release.
    pub os: String,
    /// Its release.
    pub release: String,
    /// Its architecture as the kernel names it.
    pub machine: String,
    /// The version of its agent.
    pub agent_version: String,
    /// Its time zone.
    pub time_zone: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// When it enrolled.
    pub enrolled_at: UnixTime,
    /// When it last talked to the site.
    pub last_contact_at: UnixTime,
    /// The collections that it is a static member of.
    pub static_in: BTreeSet<CollectionId>,
    /// Where it is in, and when to look again.
    pub membership: Membership,
}

/// Where a client is in, and when that may change by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The collections that it is a member of.
    pub member_of: BTreeSet<CollectionId>,
    /// When to look again whether it is a member.
    pub due: BTreeMap<CollectionId, UnixTime>,
}

/// Everything that memberships follow from.
#[derive(Debug, Clone, Default)]
pub struct EvaluationInput {
    /// All collections.
    pub collections: Vec<StoredCollection>,
    /// The clients that are looked at.
    pub clients: Vec<ClientFacts>,
}

pub(super) async fn clients_after(connection: &mut AnyConnection, after: i64) -> Result<Vec<i64>, sqlx::Error> {
    let sql = "SELECT id FROM clients WHERE id > $1 ORDER BY id LIMIT $2";
    sqlx::query_scalar(sql).bind(after).bind(CLIENTS_PER_TRANSACTION).fetch_all(connection).await
}

pub(super) async fn collections(connection: &mut AnyConnection) -> Result<Vec<StoredCollection>, sqlx::Error> {
    let rows = sqlx::query("SELECT id, name, query, unevaluated, changed_at FROM collections ORDER BY id");
    let mut collections = BTreeMap::new();
    for row in rows.fetch_all(&mut *connection).await? {
        let id = CollectionId(row.try_get("id")?);
        let collection = StoredCollection {
            id,
            name: row.try_get("name")?,
            query: row.try_get("query")?,
            includes: Vec::new(),
            excludes: Vec::new(),
            unevaluated: row.try_get::<i64, _>("unevaluated")? != 0,
            changed_at: row.try_get("changed_at")?,
        };
        collections.insert(id, collection);
    }
    let rows = sqlx::query("SELECT collection_id, other_id, kind FROM collection_relations");
    for row in rows.fetch_all(connection).await? {
        let other = CollectionId(row.try_get("other_id")?);
        if let Some(collection) = collections.get_mut(&CollectionId(row.try_get("collection_id")?)) {
            let others =
                if is_exclude(row.try_get("kind")?)? { &mut collection.excludes } else { &mut collection.includes };
            others.push(other);
        }
    }
    Ok(collections.into_values().collect())
}

/// The facts of these clients, in the order of their rows. With an engine, the clients stay as they are until the
/// commit: whoever changes one meanwhile comes after.
pub(super) async fn facts(
    connection: &mut AnyConnection,
    lock: Option<Engine>,
    rows: &[i64],
) -> Result<Vec<ClientFacts>, sqlx::Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let is_one = is_one_of("client_id", rows);
    let lock = if lock == Some(Engine::Postgres) { " FOR NO KEY UPDATE" } else { "" };
    let sql = format!(
        "SELECT id, client_id, hostname, operating_system, os, release, machine, agent_version, time_zone, enrolled_at, \
         last_contact_at FROM clients WHERE {} ORDER BY id{lock}",
        is_one_of("id", rows)
    );
    let mut clients = BTreeMap::new();
    for row in sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(&mut *connection).await? {
        let facts = ClientFacts {
            row: row.try_get("id")?,
            id: ClientId::from_slice(&row.try_get::<Vec<u8>, _>("client_id")?)
                .ok_or_else(|| sqlx::Error::Decode("a client's id is no id".into()))?,
            hostname: row.try_get("hostname")?,
            operating_system: row.try_get("operating_system")?,
            os: row.try_get("os")?,
            release: row.try_get("release")?,
            machine: row.try_get("machine")?,
            agent_version: row.try_get("agent_version")?,
            time_zone: row.try_get("time_zone")?,
            enrolled_at: row.try_get("enrolled_at")?,
            last_contact_at: row.try_get("last_contact_at")?,
            tags: BTreeSet::new(),
            static_in: BTreeSet::new(),
            membership: Membership::default(),
        };
        if rows.binary_search(&facts.row).is_ok() {
            clients.insert(facts.row, facts);
        }
    }
    let select = |columns: &str, table: &str| {
        let sql = format!("SELECT client_id, {columns} FROM {table} WHERE {is_one}");
        sqlx::query(AssertSqlSafe(sql)).persistent(false)
    };
    for row in select("tag", "client_tags").fetch_all(&mut *connection).await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.tags.insert(row.try_get("tag")?);
        }
    }
    for row in select("collection_id", "collection_clients").fetch_all(&mut *connection).await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.static_in.insert(CollectionId(row.try_get("collection_id")?));
        }
    }
    for row in select("collection_id", "collection_members").fetch_all(&mut *connection).await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.membership.member_of.insert(CollectionId(row.try_get("collection_id")?));
        }
    }
    for row in select("collection_id, due_at", "collection_due").fetch_all(connection).await? {
        if let Some(client) = clients.get_mut(&row.try_get("client_id")?) {
            client.membership.due.insert(CollectionId(row.try_get("collection_id")?), row.try_get("due_at")?);
        }
    }
    Ok(clients.into_values().collect())
}

/// A condition that holds for these rows, which are sorted. It may hold for some others: a range is found much faster
/// than many single rows.
fn is_one_of(column: &str, rows: &[i64]) -> String {
    match rows {
        [first, .., last] if last.abs_diff(*first) <= 2 * rows.len() as u64 => {
            format!("{column} BETWEEN {first} AND {last}")
        }
        _ => format!("{column} IN ({})", number_list(rows.iter().copied())),
    }
}
