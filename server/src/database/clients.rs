//! Clients: enrolment and contact.

use super::rows::storable;
use super::{Database, tokens};
use farrier_protocol::{ClientId, Digest, UnixTime};

/// How exactly the last contact is known. A client that asks more often costs no more writes.
const CONTACT_RESOLUTION_SECONDS: i64 = 60;

impl Database {
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

    /// Notes a contact; `false` if the site does not know the client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn touch_client(&self, client: ClientId, now: UnixTime) -> Result<bool, sqlx::Error> {
        let last_contact: Option<i64> = sqlx::query_scalar("SELECT last_contact_at FROM clients WHERE client_id = $1")
            .bind(client.as_bytes())
            .fetch_optional(&self.pool)
            .await?;
        let Some(last_contact) = last_contact else { return Ok(false) };
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
        Ok(true)
    }
}
