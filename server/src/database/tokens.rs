//! Enrolment tokens: the database knows the digests of their secrets only.

use super::Database;
use super::clients::client_id;
use farrier_protocol::{ClientId, Digest, UnixTime};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// Which client the bearer of a token becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFor {
    /// A new one.
    NewClient,
    /// This one, which is re-keyed.
    Client(ClientId),
    /// The one with the same hardware, if there is exactly one; else a new one.
    SameHardware,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenTerms {
    /// Whom it enrols.
    pub whom: TokenFor,
    /// The version of the repository's root that its bearer is told to trust; the current one if none was noted.
    pub root: Option<u64>,
}

impl Database {
    /// Stores a token of a new client by the SHA-256 of its secret.
    ///
    /// # Errors
    /// When the database fails, or the secret is not new.
    pub async fn create_token(&self, secret: &Digest, now: UnixTime, expires_at: UnixTime) -> Result<(), sqlx::Error> {
        let terms = TokenTerms { whom: TokenFor::NewClient, root: None };
        self.create_token_for(&terms, secret, now, expires_at).await
    }

    /// Stores a token with these terms by the SHA-256 of its secret.
    ///
    /// # Errors
    /// When the database fails, the secret is not new, or there is no such client.
    pub async fn create_token_for(
        &self,
        terms: &TokenTerms,
        secret: &Digest,
        now: UnixTime,
        expires_at: UnixTime,
    ) -> Result<(), sqlx::Error> {
        let client = match terms.whom {
            TokenFor::Client(client) => {
                let row = sqlx::query("SELECT id FROM clients WHERE client_id = $1").bind(client.as_bytes());
                Some(row.fetch_one(&self.pool).await?.try_get::<i64, _>("id")?)
            }
            TokenFor::NewClient | TokenFor::SameHardware => None,
        };
        let root = terms.root.map(i64::try_from).transpose().map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(
            "INSERT INTO enrollment_tokens (secret, created_at, expires_at, for_client, same_hardware, root_version) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(secret.as_bytes())
        .bind(now)
        .bind(expires_at)
        .bind(client)
        .bind(i64::from(terms.whom == TokenFor::SameHardware))
        .bind(root)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// What the token with this secret is for, if it can still be used. Only using it up tells for sure.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn usable_token(&self, secret: &Digest, now: UnixTime) -> Result<Option<TokenTerms>, sqlx::Error> {
        let row = sqlx::query(
            "SELECT t.same_hardware, t.root_version, c.client_id FROM enrollment_tokens t \
             LEFT JOIN clients c ON c.id = t.for_client \
             WHERE t.secret = $1 AND t.used_at IS NULL AND t.expires_at > $2",
        )
        .bind(secret.as_bytes())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        row.as_ref().map(TokenTerms::of_row).transpose()
    }
}

impl TokenTerms {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let whom = match row.try_get::<Option<Vec<u8>>, _>("client_id")? {
            Some(client) => TokenFor::Client(client_id(&client)?),
            None if row.try_get::<i64, _>("same_hardware")? != 0 => TokenFor::SameHardware,
            None => TokenFor::NewClient,
        };
        let root = row.try_get::<Option<i64>, _>("root_version")?.map(i64::cast_unsigned);
        Ok(Self { whom, root })
    }
}

/// Voids the tokens by which this client could be enrolled again.
pub(super) async fn revoke(connection: &mut AnyConnection, client: ClientId) -> Result<(), sqlx::Error> {
    sqlx::query(
        "DELETE FROM enrollment_tokens WHERE used_at IS NULL AND for_client = \
         (SELECT id FROM clients WHERE client_id = $1)",
    )
    .bind(client.as_bytes())
    .execute(connection)
    .await
    .map(|_| ())
}

/// Uses a token up; `false` if there is none with this secret, or it was used before, or it has expired.
pub(super) async fn consume(
    connection: &mut AnyConnection,
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
