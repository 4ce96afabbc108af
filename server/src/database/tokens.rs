//! Enrolment tokens: the database knows the digests of their secrets only.

use super::Database;
use farrier_protocol::{Digest, UnixTime};

impl Database {
    /// Stores a token by the SHA-256 of its secret.
    ///
    /// # Errors
    /// When the database fails, or the secret is not new.
    pub async fn create_token(&self, secret: &Digest, now: UnixTime, expires_at: UnixTime) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO enrollment_tokens (secret, created_at, expires_at) VALUES ($1, $2, $3)")
            .bind(secret.as_bytes())
            .bind(now)
            .bind(expires_at)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Whether there is a token with this secret that can still be used. Only using it up tells for sure.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn is_token_usable(&self, secret: &Digest, now: UnixTime) -> Result<bool, sqlx::Error> {
        let usable: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM enrollment_tokens WHERE secret = $1 AND used_at IS NULL AND expires_at > $2",
        )
        .bind(secret.as_bytes())
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(usable > 0)
    }
}

/// Uses a token up; `false` if there is none with this secret, or it was used before, or it has expired.
pub(super) async fn consume(
    connection: &mut sqlx::AnyConnection,
    secret: &Digest,
    now: UnixTime,
) -> Result<bool, sqlx::Error> {
    // One statement checks and marks: of two that come at once, the second finds the token used.
    let used = sqlx::query(
        "UPDATE enrollment_tokens SET used_at = $1 WHERE secret = $2 AND used_at IS NULL AND expires_at > $3",
    )
    .bind(now)
    .bind(secret.as_bytes())
    .bind(now)
    .execute(connection)
    .await?;
    Ok(used.rows_affected() == 1)
}
