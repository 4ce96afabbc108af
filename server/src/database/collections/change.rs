//! Changing definitions: one administrator at a time, everything or nothing.

use super::CollectionId;
use super::definitions::{CollectionDefinition, DefinitionError, EXCLUDE, INCLUDE};
use crate::database::rows::number_list;
use crate::database::{Database, Engine};
use farrier_protocol::ClientId;
use sqlx::{AnyConnection, AssertSqlSafe, Executor as _, Row as _};
use std::collections::{BTreeMap, BTreeSet};

/// A change of definitions under way. One at a time: two that are right each for themselves may make a cycle together.
pub(super) struct Change {
    pub(super) transaction: sqlx::Transaction<'static, sqlx::Any>,
    engine: Engine,
}

impl Change {
    pub(super) async fn begin(database: &Database) -> Result<Self, sqlx::Error> {
        let mut transaction = database.begin_write().await?;
        lock_definitions(&mut transaction, database.engine()).await?;
        Ok(Self { transaction, engine: database.engine() })
    }

    pub(super) async fn check_name(&mut self, id: Option<CollectionId>, name: &str) -> Result<(), DefinitionError> {
        let other: Option<i64> = sqlx::query_scalar("SELECT id FROM collections WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut *self.transaction)
            .await?;
        match other {
            Some(other) if Some(CollectionId(other)) != id => Err(DefinitionError::NameTaken(name.to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) async fn relate(
        &mut self,
        id: CollectionId,
        definition: &CollectionDefinition,
    ) -> Result<(), DefinitionError> {
        sqlx::query("DELETE FROM collection_relations WHERE collection_id = $1")
            .bind(id.0)
            .execute(&mut *self.transaction)
            .await?;
        let includes = definition.includes.difference(&definition.excludes).map(|other| (other, INCLUDE));
        let relations: Vec<_> = includes.chain(definition.excludes.iter().map(|other| (other, EXCLUDE))).collect();
        for (other, kind) in relations {
            let exists = sqlx::query("SELECT id FROM collections WHERE id = $1").bind(other.0);
            if exists.fetch_optional(&mut *self.transaction).await?.is_none() {
                return Err(DefinitionError::Unknown(*other));
            }
            sqlx::query("INSERT INTO collection_relations (collection_id, other_id, kind) VALUES ($1, $2, $3)")
                .bind(id.0)
                .bind(other.0)
                .bind(kind)
                .execute(&mut *self.transaction)
                .await?;
        }
        Ok(())
    }

    pub(super) async fn check_cycles(&mut self, id: CollectionId) -> Result<(), DefinitionError> {
        let rows = sqlx::query("SELECT collection_id, other_id FROM collection_relations")
            .fetch_all(&mut *self.transaction)
            .await?;
        let mut others: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for row in &rows {
            others.entry(row.try_get("collection_id")?).or_default().push(row.try_get("other_id")?);
        }
        let Some(cycle) = cycle_through(id.0, &others) else { return Ok(()) };
        let mut names = Vec::with_capacity(cycle.len());
        for id in cycle {
            let name = sqlx::query_scalar("SELECT name FROM collections WHERE id = $1").bind(id);
            names.push(name.fetch_one(&mut *self.transaction).await?);
        }
        Err(DefinitionError::Cycle(names))
    }

    /// Makes these the static members; the clients that come or go are looked at again.
    pub(super) async fn set_clients(
        &mut self,
        id: CollectionId,
        clients: &BTreeSet<ClientId>,
    ) -> Result<(), DefinitionError> {
        let mut wanted = BTreeSet::new();
        for client in clients {
            let row: Option<i64> = sqlx::query_scalar("SELECT id FROM clients WHERE client_id = $1")
                .bind(client.as_bytes())
                .fetch_optional(&mut *self.transaction)
                .await?;
            wanted.insert(row.ok_or(DefinitionError::UnknownClient(*client))?);
        }
        let stored: Vec<i64> = sqlx::query_scalar("SELECT client_id FROM collection_clients WHERE collection_id = $1")
            .bind(id.0)
            .fetch_all(&mut *self.transaction)
            .await?;
        let stored: BTreeSet<i64> = stored.into_iter().collect();
        for client in wanted.difference(&stored) {
            sqlx::query("INSERT INTO collection_clients (collection_id, client_id) VALUES ($1, $2)")
                .bind(id.0)
                .bind(*client)
                .execute(&mut *self.transaction)
                .await?;
        }
        let gone = number_list(stored.difference(&wanted).copied());
        if !gone.is_empty() {
            let sql = format!("DELETE FROM collection_clients WHERE collection_id = {id} AND client_id IN ({gone})");
            self.transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
        let changed = number_list(wanted.symmetric_difference(&stored).copied());
        if !changed.is_empty() {
            // In the order of their rows, as everybody locks clients.
            let lock = if self.engine == Engine::Postgres { " FOR NO KEY UPDATE" } else { "" };
            let select = format!("SELECT id FROM clients WHERE id IN ({changed}) ORDER BY id{lock}");
            self.transaction.execute(sqlx::raw_sql(AssertSqlSafe(select))).await?;
            let sql = format!("UPDATE clients SET unevaluated = 1 WHERE id IN ({changed})");
            self.transaction.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await?;
        }
        Ok(())
    }

    pub(super) async fn mark_unevaluated(&mut self, id: CollectionId) -> Result<(), sqlx::Error> {
        let query = sqlx::query("UPDATE collections SET unevaluated = 1 WHERE id = $1").bind(id.0);
        query.execute(&mut *self.transaction).await.map(|_| ())
    }

    /// Something that uses the collection, in words.
    pub(super) async fn user_of(&mut self, id: CollectionId) -> Result<Option<String>, sqlx::Error> {
        for (what, sql) in [
            (
                "the collection",
                "SELECT c.name FROM collection_relations r JOIN collections c ON c.id = r.collection_id \
                 WHERE r.other_id = $1",
            ),
            ("the deployment", "SELECT name FROM deployments WHERE collection_id = $1"),
            (
                "a phase of the deployment",
                "SELECT d.name FROM deployment_phases p JOIN deployments d ON d.id = p.deployment_id \
                 WHERE p.collection_id = $1",
            ),
            ("the automatic deployment rule", "SELECT name FROM deployment_rules WHERE collection_id = $1"),
            (
                "the trial of the plugin",
                "SELECT p.name FROM plugin_assignments a JOIN plugins p ON p.id = a.plugin_id \
                 WHERE a.collection_id = $1",
            ),
        ] {
            let name: Option<String> =
                sqlx::query_scalar(sql).bind(id.0).fetch_optional(&mut *self.transaction).await?;
            if let Some(name) = name {
                return Ok(Some(format!("{what} {name}")));
            }
        }
        Ok(None)
    }
}

/// Keeps other changes and evaluations away until the commit. SQLite has one writer anyway.
pub(super) async fn lock_definitions(connection: &mut AnyConnection, engine: Engine) -> Result<(), sqlx::Error> {
    match engine {
        Engine::Sqlite => Ok(()),
        Engine::Postgres => {
            let lock = "SELECT id FROM collections WHERE id = 1 FOR NO KEY UPDATE";
            connection.execute(sqlx::raw_sql(lock)).await.map(|_| ())
        }
    }
}

/// A way from `start` back to itself, with both ends.
fn cycle_through(start: i64, others: &BTreeMap<i64, Vec<i64>>) -> Option<Vec<i64>> {
    let mut came_from: BTreeMap<i64, i64> = BTreeMap::new();
    let mut to_visit = vec![start];
    while let Some(at) = to_visit.pop() {
        for &next in others.get(&at).into_iter().flatten() {
            if next == start {
                let mut way = vec![start, at];
                while way.last() != Some(&start) {
                    way.push(*way.last().and_then(|last| came_from.get(last))?);
                }
                way.reverse();
                return Some(way);
            }
            if came_from.insert(next, at).is_none() {
                to_visit.push(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(relations: &[(i64, &[i64])]) -> Option<Vec<i64>> {
        cycle_through(1, &relations.iter().map(|(id, others)| (*id, others.to_vec())).collect())
    }

    #[test]
    fn a_cycle_is_found_with_its_way() {
        assert_eq!(cycle(&[(1, &[1])]), Some(vec![1, 1]));
        assert_eq!(cycle(&[(1, &[2]), (2, &[1])]), Some(vec![1, 2, 1]));
        assert_eq!(cycle(&[(1, &[4, 2]), (2, &[3]), (3, &[1]), (4, &[3])]), Some(vec![1, 2, 3, 1]));
    }

    #[test]
    fn what_only_leads_to_a_shared_collection_is_no_cycle() {
        assert_eq!(cycle(&[(1, &[2, 3]), (2, &[4]), (3, &[4]), (5, &[1])]), None);
    }
}
