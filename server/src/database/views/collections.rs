//! Collections: the list, one of them, and its members.

use super::sql::{Sql, client_id};
use super::{Database, Page, as_text};
use crate::database::CollectionId;
use farrier_protocol::ClientId;
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// One collection in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionRow {
    /// Which collection.
    pub id: CollectionId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its query.
    pub query: Option<String>,
    /// How many clients are in.
    pub members: i64,
    /// How many of them are static members.
    pub static_clients: i64,
    /// How many windows it has.
    pub windows: i64,
    /// How many deployments it is the target of.
    pub deployments: i64,
    /// Whether its members are up to date: they are not in the moment after a change of its definition.
    pub evaluated: bool,
    /// When its definition last changed.
    pub changed_at: i64,
}

/// A collection by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionLink {
    /// Which collection.
    pub id: CollectionId,
    /// Its name.
    pub name: String,
}

/// Everything about one collection but its members and windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: CollectionRow,
    /// When it was made.
    pub created_at: i64,
    /// Collections whose members are added.
    pub includes: Vec<CollectionLink>,
    /// Collections whose members are taken away.
    pub excludes: Vec<CollectionLink>,
    /// Collections that include or exclude it.
    pub used_by: Vec<CollectionLink>,
}

/// A client in a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CollectionMember {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
    /// Its operating system.
    pub operating_system: String,
    /// When it last talked to the site.
    pub last_contact_at: i64,
    /// Since when it is in.
    pub since: i64,
    /// Whether it is a static member.
    pub is_static: bool,
}

const ROW: &str = "SELECT c.id, c.name, c.description, c.query, c.unevaluated, c.created_at, c.changed_at, \
    (SELECT COUNT(*) FROM collection_members m WHERE m.collection_id = c.id) AS members, \
    (SELECT COUNT(*) FROM collection_clients s WHERE s.collection_id = c.id) AS static_clients, \
    (SELECT COUNT(*) FROM maintenance_windows w WHERE w.collection_id = c.id) AS windows, \
    (SELECT COUNT(*) FROM deployments d WHERE d.collection_id = c.id) AS deployments FROM collections c";

impl Database {
    /// All collections: All clients first, the others by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_rows(&self) -> Result<Vec<CollectionRow>, sqlx::Error> {
        let mut sql = Sql::new(ROW);
        sql.push(" ORDER BY CASE WHEN c.id = 1 THEN 0 ELSE 1 END, LOWER(c.name), c.id");
        sql.all(&self.pool).await?.iter().map(CollectionRow::of).collect()
    }

    /// One collection; none if it does not exist (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_detail(&self, id: CollectionId) -> Result<Option<CollectionDetail>, sqlx::Error> {
        let mut sql = Sql::new(ROW);
        sql.push(" WHERE c.id = ").bind(id.0);
        let Some(row) = sql.optional(&self.pool).await? else { return Ok(None) };
        Ok(Some(CollectionDetail {
            row: CollectionRow::of(&row)?,
            created_at: row.try_get("created_at")?,
            includes: self.collection_links("r.other_id = c.id AND r.kind = 0 AND r.collection_id = ", id).await?,
            excludes: self.collection_links("r.other_id = c.id AND r.kind = 1 AND r.collection_id = ", id).await?,
            used_by: self.collection_links("r.collection_id = c.id AND r.other_id = ", id).await?,
        }))
    }

    /// One page of the members whose name or operating system has these words, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn collection_members(
        &self,
        id: CollectionId,
        search: &str,
        page: i64,
    ) -> Result<Page<CollectionMember>, sqlx::Error> {
        let conditions = |sql: &mut Sql| {
            sql.push(" FROM collection_members m JOIN clients c ON c.id = m.client_id WHERE m.collection_id = ");
            sql.bind(id.0).search(search, &["c.hostname", "c.operating_system"], None);
        };
        let mut sql = Sql::new(
            "SELECT c.client_id, c.hostname, c.operating_system, c.last_contact_at, m.since, \
             (SELECT COUNT(*) FROM collection_clients s WHERE s.collection_id = m.collection_id AND s.client_id = c.id) \
             AS is_static",
        );
        conditions(&mut sql);
        sql.push(" ORDER BY c.hostname, c.id").page(page);
        let rows = sql.all(&self.pool).await?;
        let mut count = Sql::new("SELECT COUNT(*)");
        conditions(&mut count);
        let total = count.total(&self.pool, page, rows.len()).await?;
        Ok(Page::new(rows.iter().map(CollectionMember::of).collect::<Result<_, _>>()?, total, page))
    }

    /// The collections that a client is in, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_collections(&self, client: ClientId) -> Result<Vec<CollectionLink>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT c.id, c.name FROM collection_members m JOIN collections c ON c.id = m.collection_id \
             WHERE m.client_id = (SELECT id FROM clients WHERE client_id = ",
        );
        sql.bind(client).push(") ORDER BY LOWER(c.name), c.id");
        sql.all(&self.pool).await?.iter().map(CollectionLink::of).collect()
    }

    async fn collection_links(&self, related: &str, id: CollectionId) -> Result<Vec<CollectionLink>, sqlx::Error> {
        let mut sql = Sql::new("SELECT DISTINCT c.id, c.name FROM collections c JOIN collection_relations r ON ");
        sql.push(related).bind(id.0).push(" ORDER BY c.name, c.id");
        sql.all(&self.pool).await?.iter().map(CollectionLink::of).collect()
    }
}

impl CollectionRow {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: CollectionId(row.try_get("id")?),
            name: row.try_get("name")?,
            description: row.try_get("description")?,
            query: row.try_get("query")?,
            members: row.try_get("members")?,
            static_clients: row.try_get("static_clients")?,
            windows: row.try_get("windows")?,
            deployments: row.try_get("deployments")?,
            evaluated: row.try_get::<i64, _>("unevaluated")? == 0,
            changed_at: row.try_get("changed_at")?,
        })
    }
}

impl CollectionLink {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self { id: CollectionId(row.try_get("id")?), name: row.try_get("name")? })
    }
}

impl CollectionMember {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            operating_system: row.try_get("operating_system")?,
            last_contact_at: row.try_get("last_contact_at")?,
            since: row.try_get("since")?,
            is_static: row.try_get::<i64, _>("is_static")? != 0,
        })
    }
}
