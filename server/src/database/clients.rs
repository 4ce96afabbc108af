//! Clients: enrolment, and what they can run.

use super::rows::storable;
use super::{ALL_CLIENTS, Admission, CollectionId, Database, IssuedCertificate, clones, tokens};
use farrier_protocol::{ClientId, Digest, UnixTime};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row as _};

/// An endpoint that becomes a client.
#[derive(Debug, Clone, Copy)]
pub struct Enrollment<'a> {
    /// Which client.
    pub client: ClientId,
    /// Whether the site has this client already, which then is this endpoint from now on; else it is a new one.
    pub takes_over: bool,
    /// Its name.
    pub hostname: &'a str,
    /// SHA-256 of what its hardware says of itself, where it does.
    pub hardware: Option<Digest>,
    /// The only certificate that counts from now on.
    pub certificate: IssuedCertificate,
    /// Whether an administrator has to approve it before it is let in.
    pub waits_for_approval: bool,
}

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
    pub(super) fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
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

    /// Uses up the token whose secret has this digest and enrols the client, both or neither; says whether the client is
    /// let in. None if the token is unknown, used or expired.
    ///
    /// # Errors
    /// When the database fails, or there is no client to take over (any more); then the token can still be used.
    pub async fn enroll_client(
        &self,
        secret: &Digest,
        enrollment: &Enrollment<'_>,
        now: UnixTime,
    ) -> Result<Option<Admission>, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        if !tokens::consume(&mut transaction, secret, now).await? {
            return Ok(None);
        }
        let (row, admission) = match enrollment.takes_over {
            true => enrollment.take_over(&mut transaction, secret, now).await?,
            false => enrollment.insert(&mut transaction, now).await?,
        };
        sqlx::query("UPDATE enrollment_tokens SET client_id = $1 WHERE secret = $2")
            .bind(row)
            .bind(secret.as_bytes())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(Some(admission))
    }

    /// The client with this hardware, if there is exactly one that is not revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn only_client_with(&self, hardware: &Digest) -> Result<Option<ClientId>, sqlx::Error> {
        let sql = "SELECT client_id FROM clients WHERE hardware = $1 AND admission <> 2 LIMIT 2";
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(sql).bind(hardware.as_bytes()).fetch_all(&self.pool).await?;
        match &ids[..] {
            [id] => client_id(id).map(Some),
            _ => Ok(None),
        }
    }

    /// Whether the site knows this client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_exists(&self, client: ClientId) -> Result<bool, sqlx::Error> {
        let query = sqlx::query_scalar("SELECT COUNT(*) FROM clients WHERE client_id = $1").bind(client.as_bytes());
        let clients: i64 = query.fetch_one(&self.pool).await?;
        Ok(clients > 0)
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
        ids.iter().map(|id| client_id(id)).collect()
    }
}

impl Enrollment<'_> {
    /// Adds the client. Returns its row, and whether it is let in.
    async fn insert(&self, connection: &mut AnyConnection, now: UnixTime) -> Result<(i64, Admission), sqlx::Error> {
        let admission = if self.waits_for_approval { Admission::WaitsForApproval } else { Admission::Admitted };
        let row = sqlx::query(
            "INSERT INTO clients (client_id, hostname, enrolled_at, last_contact_at, admission, admission_at, hardware, \
             certificate, certificate_expires_at) VALUES ($1, $2, $3, $3, $4, $3, $5, $6, $7) RETURNING id",
        )
        .bind(self.client.as_bytes())
        .bind(storable(self.hostname).into_owned())
        .bind(now)
        .bind(admission as i64)
        .bind(self.hardware.map(|hardware| hardware.as_bytes().to_vec()))
        .bind(self.certificate.digest.as_bytes())
        .bind(self.certificate.expires_at)
        .fetch_one(connection)
        .await?;
        Ok((row.try_get("id")?, admission))
    }

    /// Makes an existing client this endpoint, with everything that is known of it: the one that the token is for, or one
    /// with the same hardware that is not revoked. Its other certificates are void, and it is not revoked any more; one
    /// that waits for approval goes on waiting.
    async fn take_over(
        &self,
        connection: &mut AnyConnection,
        secret: &Digest,
        now: UnixTime,
    ) -> Result<(i64, Admission), sqlx::Error> {
        let row = sqlx::query(
            "UPDATE clients SET hostname = $1, last_contact_at = $2, hardware = COALESCE($3, hardware), certificate = $4, \
             previous_certificate = NULL, certificate_expires_at = $5, admission_at = $2, admission_reason = '', \
             admission = CASE WHEN $6 = 1 OR admission = 1 THEN 1 ELSE 0 END, lite_engine = '', unevaluated = 1 \
             WHERE client_id = $7 AND (EXISTS (SELECT 1 FROM enrollment_tokens t WHERE t.secret = $8 AND \
             t.for_client = clients.id) OR hardware = $3 AND admission <> 2) RETURNING id, admission",
        )
        .bind(storable(self.hostname).into_owned())
        .bind(now)
        .bind(self.hardware.map(|hardware| hardware.as_bytes().to_vec()))
        .bind(self.certificate.digest.as_bytes())
        .bind(self.certificate.expires_at)
        .bind(i64::from(self.waits_for_approval))
        .bind(self.client.as_bytes())
        .bind(secret.as_bytes())
        .fetch_one(&mut *connection)
        .await?;
        let (row, admission) = (row.try_get("id")?, Admission::from_number(row.try_get("admission")?)?);
        clones::forget_device(connection, row).await?;
        Ok((row, admission))
    }
}

pub(super) fn client_id(id: &[u8]) -> Result<ClientId, sqlx::Error> {
    ClientId::from_slice(id).ok_or_else(|| sqlx::Error::Decode("no client's id".into()))
}
