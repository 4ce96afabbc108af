//! Why an update has its state on a client.

use super::sql::{Sql, client_id, update_id};
use super::{Database, state};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;
use std::collections::HashMap;

/// One reason: something on the client that the update is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingRow {
    /// What on the client, for example the installed package `libssl3`.
    pub subject: String,
    /// What was found there.
    pub state: ComplianceState,
    /// The reason in words.
    pub detail: String,
}

impl FindingRow {
    pub(super) fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            subject: row.try_get("subject")?,
            state: state(row.try_get("state")?)?,
            detail: row.try_get("detail")?,
        })
    }
}

impl Database {
    /// The findings of one client about these updates.
    pub(super) async fn findings_of_client(
        &self,
        client: ClientId,
        updates: impl IntoIterator<Item = UpdateId>,
    ) -> Result<HashMap<UpdateId, Vec<FindingRow>>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT u.update_id AS id, f.subject AS subject, f.state AS state, f.detail AS detail \
             FROM software_updates u JOIN findings f ON f.software_update_id = u.id \
             AND f.client_id = (SELECT id FROM clients WHERE client_id = ",
        );
        sql.bind(client).push(") WHERE u.update_id IN (");
        list(&mut sql, updates).push(") ORDER BY u.id, f.state DESC, f.subject");
        grouped(&sql.all(&self.pool).await?, |row| update_id(row, "id"))
    }

    /// The findings of these clients about one update.
    pub(super) async fn findings_of_update(
        &self,
        update: UpdateId,
        clients: impl IntoIterator<Item = ClientId>,
    ) -> Result<HashMap<ClientId, Vec<FindingRow>>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT c.client_id AS id, f.subject AS subject, f.state AS state, f.detail AS detail \
             FROM clients c JOIN findings f ON f.client_id = c.id \
             AND f.software_update_id = (SELECT id FROM software_updates WHERE update_id = ",
        );
        sql.bind(update).push(") WHERE c.client_id IN (");
        list(&mut sql, clients).push(") ORDER BY c.id, f.state DESC, f.subject");
        grouped(&sql.all(&self.pool).await?, |row| client_id(row, "id"))
    }
}

/// Appends a page's worth of values; `IN ()` is no SQL, so an empty list asks for nothing.
fn list<V: Into<super::sql::Value>>(sql: &mut Sql, values: impl IntoIterator<Item = V>) -> &mut Sql {
    let mut empty = true;
    for value in values {
        if !empty {
            sql.push(", ");
        }
        sql.bind(value);
        empty = false;
    }
    if empty { sql.push("NULL") } else { sql }
}

fn grouped<K: std::hash::Hash + Eq>(
    rows: &[AnyRow],
    key: impl Fn(&AnyRow) -> Result<K, sqlx::Error>,
) -> Result<HashMap<K, Vec<FindingRow>>, sqlx::Error> {
    let mut findings: HashMap<K, Vec<FindingRow>> = HashMap::new();
    for row in rows {
        findings.entry(key(row)?).or_default().push(FindingRow::of(row)?);
    }
    Ok(findings)
}
