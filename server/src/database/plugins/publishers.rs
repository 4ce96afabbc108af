//! Whose signatures are accepted.

use crate::database::Database;
use crate::database::rows::storable;
use farrier_protocol::UnixTime;
use sqlx::Row as _;

/// Bytes of an Ed25519 public key.
const KEY_BYTES: usize = 32;

/// Somebody whose plugins may be pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publisher {
    /// The name.
    pub name: String,
    /// The Ed25519 public key.
    pub public_key: [u8; KEY_BYTES],
    /// Since when.
    pub added_at: UnixTime,
}

impl Database {
    /// All of them, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn plugin_publishers(&self) -> Result<Vec<Publisher>, sqlx::Error> {
        let rows = sqlx::query("SELECT name, public_key, added_at FROM plugin_publishers ORDER BY name");
        let of_row = |row: &sqlx::any::AnyRow| {
            let key: &[u8] = row.try_get("public_key")?;
            Ok(Publisher {
                name: row.try_get("name")?,
                public_key: key
                    .try_into()
                    .map_err(|_| sqlx::Error::Decode("a publisher's key does not have 32 bytes".into()))?,
                added_at: row.try_get("added_at")?,
            })
        };
        rows.fetch_all(&self.pool).await?.iter().map(of_row).collect()
    }

    /// Adds one; `false` if the name or the key is taken.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_plugin_publisher(
        &self,
        name: &str,
        key: &[u8; KEY_BYTES],
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let sql =
            "INSERT INTO plugin_publishers (public_key, name, added_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let added = sqlx::query(sql).bind(key.to_vec()).bind(storable(name).into_owned()).bind(now);
        Ok(added.execute(&self.pool).await?.rows_affected() == 1)
    }

    /// Removes one; `false` if there is none of this name. What was pushed stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remove_plugin_publisher(&self, name: &str) -> Result<bool, sqlx::Error> {
        let removed = sqlx::query("DELETE FROM plugin_publishers WHERE name = $1").bind(name.to_owned());
        Ok(removed.execute(&self.pool).await?.rows_affected() == 1)
    }
}
