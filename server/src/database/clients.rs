//! Clients: enrolment and contact.

use super::rows::storable;
use super::{ALL_CLIENTS, CollectionId, Database, tokens};
use farrier_protocol::{ClientId, Digest, UnixTime};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// How exactly the last contact is known. A client that asks more often costs no more writes.
const CONTACT_RESOLUTION_SECONDS: i64 = 60;

/// Which plugins a client's agent can run; empty and 0 where it has not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientAbilities {
    /// The newest version of `farrier:policy` it has.
    pub wit: String,
    /// Bytes of memory it gives one plugin, at most.
    pub plugin_memory_bytes: i64,
    /// Bytes of the largest component it takes.
    pub component_bytes: i64,
}

/// Clients whose agents can run the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbilityGroup {
    /// What they can run.
    pub abilities: ClientAbilities,
    /// How many they are.
    pub clients: i64,
}

impl ClientAbilities {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            wit: row.try_get("wit")?,
            plugin_memory_bytes: row.try_get("plugin_memory_bytes")?,
            component_bytes: row.try_get("component_bytes")?,
        })
    }
}

impl Database {
    /// What the members of a collection, or all clients, can run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ability_groups(&self, of: Option<CollectionId>) -> Result<Vec<AbilityGroup>, sqlx::Error> {
        let sql = "SELECT wit, plugin_memory_bytes, component_bytes, COUNT(*) AS clients FROM clients \
                   WHERE $1 = 0 OR id IN (SELECT client_id FROM collection_members WHERE collection_id = $1) \
                   GROUP BY wit, plugin_memory_bytes, component_bytes ORDER BY 4 DESC, 1, 2, 3";
        let of = of.filter(|collection| *collection != ALL_CLIENTS).map_or(0, |collection| collection.0);
        let rows = sqlx::query(sql).bind(of).fetch_all(&self.pool).await?;
        let group = |row: &AnyRow| {
            Ok(AbilityGroup { abilities: ClientAbilities::of_row(row)?, clients: row.try_get("clients")? })
        };
        rows.iter().map(group).collect()
    }

    /// Uses up the token whose secret has this digest and adds the client, both or neither. `false` if the token is
    /// unknown, used or expired.
    ///
    /// # Errors
    /// When the database fails; then the token can still be used.
    pub async fn enroll_client(
        &self,
        secret: &Digest,
        client: ClientId,
        hostname: &str,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        if !tokens::consume(&mut transaction, secret, now).await? {
            return Ok(false);
        }
        sqlx::query("INSERT INTO clients (client_id, hostname, enrolled_at, last_contact_at) VALUES ($1, $2, $3, $4)")
            .bind(client.as_bytes())
            .bind(storable(hostname).into_owned())
            .bind(now)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "UPDATE enrollment_tokens SET client_id = (SELECT id FROM clients WHERE client_id = $1) WHERE secret = $2",
        )
        .bind(client.as_bytes())
        .bind(secret.as_bytes())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The clients with this host name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clients_named(&self, hostname: &str) -> Result<Vec<ClientId>, sqlx::Error> {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar("SELECT client_id FROM clients WHERE hostname = $1 ORDER BY id")
            .bind(storable(hostname).into_owned())
            .fetch_all(&self.pool)
            .await?;
        let id = |id: &Vec<u8>| ClientId::from_slice(id).ok_or_else(|| sqlx::Error::Decode("no client's id".into()));
        ids.iter().map(id).collect()
    }

    /// Notes a contact, and says what the client can run; none if the site does not know the client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_client(&self, client: ClientId, now: UnixTime) -> Result<Option<ClientAbilities>, sqlx::Error> {
        let sql = "SELECT last_contact_at, wit, plugin_memory_bytes, component_bytes FROM clients WHERE client_id = $1";
        let row = sqlx::query(sql).bind(client.as_bytes()).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(None) };
        let last_contact: i64 = row.try_get("last_contact_at")?;
        if (last_contact - now).abs() >= CONTACT_RESOLUTION_SECONDS {
            // Whoever comes back after longer than a collection's query asks for may be a member now. A client that was
            // here all the time costs nothing more.
            sqlx::query(
                "UPDATE clients SET unevaluated = CASE WHEN $1 - last_contact_at >= \
                 (SELECT MIN(contact_seconds) FROM collections) THEN 1 ELSE unevaluated END, last_contact_at = $1 \
                 WHERE client_id = $2",
            )
            .bind(now)
            .bind(client.as_bytes())
            .execute(&self.pool)
            .await?;
        }
        ClientAbilities::of_row(&row).map(Some)
    }
}
