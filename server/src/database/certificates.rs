//! Which certificates count: a client's newest, and the one before it until the newest is used for the first time. So a
//! renewal whose answer is lost costs nothing, and a certificate that was copied stops working with the next renewal.

use super::clients::ClientAbilities;
use super::{Admission, Database};
use farrier_protocol::enrollment::Exclusion;
use farrier_protocol::{ClientId, Digest, UnixTime};
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// How exactly the last contact is known. A client that asks more often costs no more writes.
const CONTACT_RESOLUTION_SECONDS: i64 = 60;

/// What the site keeps of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// SHA-256 of its DER.
    pub digest: Digest,
    /// Until when it is valid.
    pub expires_at: UnixTime,
}

/// A client that is not let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// Why.
    pub exclusion: Exclusion,
    /// What the administrator said who revoked it.
    pub reason: String,
}

/// What is known of a client that shows a certificate.
struct Known {
    admission: Admission,
    reason: String,
    is_newest: bool,
    has_previous: bool,
    last_contact_at: UnixTime,
    abilities: ClientAbilities,
}

impl Database {
    /// Notes the contact of a client with this certificate, and says what it can run, or why it is kept out. The
    /// certificate before the one that is shown is void from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn admit_client(
        &self,
        client: ClientId,
        certificate: &Digest,
        now: UnixTime,
    ) -> Result<Result<ClientAbilities, KeptOut>, sqlx::Error> {
        let kept_out = |exclusion, reason| Ok(Err(KeptOut { exclusion, reason }));
        let row = sqlx::query(
            "SELECT admission, admission_reason, certificate, previous_certificate, last_contact_at, wit, \
             plugin_memory_bytes, component_bytes FROM clients WHERE client_id = $1",
        )
        .bind(client.as_bytes())
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return kept_out(Exclusion::Unknown, String::new()) };
        let Some(known) = Known::of_row(&row, certificate)? else {
            return kept_out(Exclusion::Superseded, String::new());
        };
        if known.is_newest && known.has_previous {
            self.forget_previous_certificate(client, certificate).await?;
        }
        if (known.last_contact_at - now).abs() >= CONTACT_RESOLUTION_SECONDS {
            self.note_contact(client, now).await?;
        }
        match known.admission {
            Admission::Admitted => Ok(Ok(known.abilities)),
            Admission::WaitsForApproval => kept_out(Exclusion::WaitsForApproval, String::new()),
            Admission::Revoked => kept_out(Exclusion::Revoked, known.reason),
        }
    }

    /// Makes `new` the newest certificate of a client, and `used`, with which it asked, the one before it. `false` if that
    /// one does not count (any more), or the client is revoked.
    ///
    /// # Errors
    /// When the database fails; then nothing changed.
    pub async fn renew_certificate(
        &self,
        client: ClientId,
        used: &Digest,
        new: &IssuedCertificate,
    ) -> Result<bool, sqlx::Error> {
        let renewed = sqlx::query(
            "UPDATE clients SET certificate = $1, previous_certificate = $2, certificate_expires_at = $3 \
             WHERE client_id = $4 AND (certificate = $2 OR previous_certificate = $2) AND admission <> $5",
        )
        .bind(new.digest.as_bytes())
        .bind(used.as_bytes())
        .bind(new.expires_at)
        .bind(client.as_bytes())
        .bind(Admission::Revoked as i64)
        .execute(&self.pool)
        .await?;
        Ok(renewed.rows_affected() == 1)
    }

    async fn forget_previous_certificate(&self, client: ClientId, newest: &Digest) -> Result<(), sqlx::Error> {
        // Only while it is the newest: it may have been renewed meanwhile.
        sqlx::query("UPDATE clients SET previous_certificate = NULL WHERE client_id = $1 AND certificate = $2")
            .bind(client.as_bytes())
            .bind(newest.as_bytes())
            .execute(&self.pool)
            .await
            .map(|_| ())
    }

    async fn note_contact(&self, client: ClientId, now: UnixTime) -> Result<(), sqlx::Error> {
        // Whoever comes back after longer than a collection's query asks for may be a member now. A client that was here
        // all the time costs nothing more.
        sqlx::query(
            "UPDATE clients SET unevaluated = CASE WHEN $1 - last_contact_at >= \
             (SELECT MIN(contact_seconds) FROM collections) THEN 1 ELSE unevaluated END, last_contact_at = $1 \
             WHERE client_id = $2",
        )
        .bind(now)
        .bind(client.as_bytes())
        .execute(&self.pool)
        .await
        .map(|_| ())
    }
}

impl Known {
    /// None if the certificate is not the client's.
    fn of_row(row: &AnyRow, certificate: &Digest) -> Result<Option<Self>, sqlx::Error> {
        let newest: Option<Vec<u8>> = row.try_get("certificate")?;
        let previous: Option<Vec<u8>> = row.try_get("previous_certificate")?;
        let is_shown = |stored: &Option<Vec<u8>>| stored.as_deref() == Some(certificate.as_bytes());
        let is_newest = is_shown(&newest);
        if !is_newest && !is_shown(&previous) {
            return Ok(None);
        }
        Ok(Some(Self {
            admission: Admission::from_number(row.try_get("admission")?)?,
            reason: row.try_get("admission_reason")?,
            is_newest,
            has_previous: previous.is_some(),
            last_contact_at: row.try_get("last_contact_at")?,
            abilities: ClientAbilities::of_row(row)?,
        }))
    }
}
