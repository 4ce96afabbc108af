//! Several devices with one identity: disks that were copied after the enrolment.
//!
//! What tells devices apart that show the same certificate: the kernel gives every boot an id of its own, so one that comes
//! back after another was seen is of another device; and hardware does not change to and fro. What is noticed stays until
//! an administrator dismisses it or the client is enrolled again.

use super::rows::storable;
use super::{Database, Engine, now};
use farrier_protocol::{ClientId, Digest, UnixTime};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _};

/// Boots of a client that are remembered.
const KEPT_BOOTS: i64 = 8;
/// No machine restarts more often than this again and again: more boots are of several devices, so many of them that
/// each one's is forgotten before it comes back.
const MIN_BOOT_SECONDS: i64 = 60;
/// How long an engine counts as in use after the last contact of a client that needs it.
const ENGINE_IN_USE_SECONDS: i64 = 30 * 24 * 3_600;

/// How it was noticed that several devices use one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CloneEvidence {
    /// A boot id came back after another one was seen.
    BootCameBack = 1,
    /// The hardware changed back to what it was before.
    HardwareChangedBack = 2,
    /// There were more boots than one machine has.
    TooManyBoots = 3,
}

impl CloneEvidence {
    /// The evidence, for people.
    #[must_use]
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::BootCameBack => "a boot id came back after another one was seen",
            Self::HardwareChangedBack => "the hardware changed to and fro",
            Self::TooManyBoots => "there were more boots than one machine has",
        }
    }
}

/// That several devices use one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cloned {
    /// How that was noticed last.
    pub evidence: CloneEvidence,
    /// When it was noticed first.
    pub since: UnixTime,
    /// When it was noticed last.
    pub seen_at: UnixTime,
}

/// What is known of the device behind a client.
#[derive(Debug, PartialEq, Eq)]
struct Device {
    row: i64,
    engine: String,
    boot: Option<Vec<u8>>,
    hardware: Option<Vec<u8>>,
    former_hardware: Option<Vec<u8>>,
    is_cloned: bool,
}

impl Database {
    /// Notes what a client says of its device with every poll: the engine that it needs precompiled artefacts for, which
    /// boot this is, and which hardware. Writes only if something changed; returns whether it needs another engine's
    /// artefacts than before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_contact_details(
        &self,
        client: ClientId,
        engine: Option<&str>,
        boot: Option<[u8; 16]>,
        hardware: Option<Digest>,
        now: UnixTime,
    ) -> Result<bool, sqlx::Error> {
        let engine = storable(engine.unwrap_or_default());
        let mut connection = self.pool.acquire().await?;
        let known = Device::read(&mut connection, client, "").await?;
        drop(connection);
        if known.is_none_or(|known| known.has(&engine, boot, hardware)) {
            return Ok(false);
        }
        let lock = if self.engine() == Engine::Postgres { " FOR UPDATE" } else { "" };
        let mut transaction = self.begin_write().await?;
        let Some(mut device) = Device::read(&mut transaction, client, lock).await? else { return Ok(false) };
        let hardware_evidence = hardware.and_then(|hardware| device.note_hardware(hardware));
        let boot_evidence = match boot {
            Some(boot) => device.note_boot(&mut transaction, boot, now).await?,
            None => None,
        };
        let has_other_engine = device.engine != engine;
        device.engine = engine.into_owned();
        device.write(&mut transaction).await?;
        let evidence = boot_evidence.or(hardware_evidence);
        if let Some(evidence) = evidence {
            device.note_clone(&mut transaction, evidence, now).await?;
        }
        transaction.commit().await?;
        if evidence.is_some() && !device.is_cloned {
            tracing::warn!(client.id = %client, ?evidence, "Several devices use the identity of one client");
        }
        Ok(has_other_engine)
    }

    /// Forgets that several devices use an identity, and looks anew. `false` if that was not noticed of such a client.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn dismiss_clone(&self, client: ClientId) -> Result<bool, sqlx::Error> {
        let mut transaction = self.begin_write().await?;
        let noticed = sqlx::query("SELECT id FROM clients WHERE client_id = $1 AND clone_evidence IS NOT NULL")
            .bind(client.as_bytes())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = noticed else { return Ok(false) };
        forget_device(&mut transaction, row.try_get("id")?).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// The engines that admitted clients need precompiled artefacts for which were here within the last 30 days, the one
    /// that most of them need first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn engines_in_use(&self) -> Result<Vec<String>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT lite_engine, COUNT(*) AS clients FROM clients WHERE lite_engine <> '' AND admission = 0 \
             AND last_contact_at >= $1 GROUP BY lite_engine",
        )
        .bind(now() - ENGINE_IN_USE_SECONDS)
        .fetch_all(&self.pool)
        .await?;
        let engine = |row: &AnyRow| Ok((row.try_get("clients")?, row.try_get("lite_engine")?));
        let mut engines = rows.iter().map(engine).collect::<Result<Vec<(i64, String)>, sqlx::Error>>()?;
        // Not by the database: the two kinds differ about the order of names.
        engines.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        Ok(engines.into_iter().map(|(_, engine)| engine).collect())
    }
}

/// Forgets which device a client is: whichever comes next is the one.
pub(super) async fn forget_device(connection: &mut AnyConnection, row: i64) -> Result<(), sqlx::Error> {
    for sql in [
        "UPDATE clients SET boot = NULL, former_hardware = NULL, clone_evidence = NULL, cloned_since = NULL, \
         clone_seen_at = NULL WHERE id = $1",
        "DELETE FROM client_boots WHERE client_id = $1",
    ] {
        sqlx::query(sql).bind(row).execute(&mut *connection).await?;
    }
    Ok(())
}

impl Device {
    async fn read(connection: &mut AnyConnection, client: ClientId, lock: &str) -> Result<Option<Self>, sqlx::Error> {
        let sql = format!(
            "SELECT id, lite_engine, boot, hardware, former_hardware, clone_evidence FROM clients \
             WHERE client_id = $1{lock}"
        );
        let row = sqlx::query(AssertSqlSafe(sql)).bind(client.as_bytes()).fetch_optional(connection).await?;
        row.as_ref().map(Self::of_row).transpose()
    }

    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            row: row.try_get("id")?,
            engine: row.try_get("lite_engine")?,
            boot: row.try_get("boot")?,
            hardware: row.try_get("hardware")?,
            former_hardware: row.try_get("former_hardware")?,
            is_cloned: row.try_get::<Option<i64>, _>("clone_evidence")?.is_some(),
        })
    }

    /// Whether all of this is known. A device that does not say its boot or hardware may be the one that did.
    fn has(&self, engine: &str, boot: Option<[u8; 16]>, hardware: Option<Digest>) -> bool {
        self.engine == engine
            && boot.is_none_or(|boot| self.boot.as_deref() == Some(&boot[..]))
            && hardware.is_none_or(|hardware| self.hardware.as_deref() == Some(hardware.as_bytes()))
    }

    fn note_hardware(&mut self, hardware: Digest) -> Option<CloneEvidence> {
        let said = Some(hardware.as_bytes().to_vec());
        if said == self.hardware {
            return None;
        }
        let is_back = said == self.former_hardware;
        self.former_hardware = std::mem::replace(&mut self.hardware, said);
        is_back.then_some(CloneEvidence::HardwareChangedBack)
    }

    async fn note_boot(
        &mut self,
        connection: &mut AnyConnection,
        boot: [u8; 16],
        now: UnixTime,
    ) -> Result<Option<CloneEvidence>, sqlx::Error> {
        if self.boot.as_deref() == Some(&boot[..]) {
            return Ok(None);
        }
        self.boot = Some(boot.to_vec());
        let seen_before = sqlx::query("DELETE FROM client_boots WHERE client_id = $1 AND boot = $2")
            .bind(self.row)
            .bind(&boot[..])
            .execute(&mut *connection)
            .await?;
        sqlx::query(
            "INSERT INTO client_boots (client_id, number, boot, first_seen_at) SELECT $1, COALESCE(MAX(number), 0) + 1, \
             $2, $3 FROM client_boots WHERE client_id = $1",
        )
        .bind(self.row)
        .bind(&boot[..])
        .bind(now)
        .execute(&mut *connection)
        .await?;
        if seen_before.rows_affected() > 0 {
            return Ok(Some(CloneEvidence::BootCameBack));
        }
        self.keep_last_boots(connection, now).await
    }

    /// Removes all but the last boots, and says whether those are too many for their time.
    async fn keep_last_boots(
        &self,
        connection: &mut AnyConnection,
        now: UnixTime,
    ) -> Result<Option<CloneEvidence>, sqlx::Error> {
        sqlx::query(
            "DELETE FROM client_boots WHERE client_id = $1 AND number <= \
             (SELECT number FROM client_boots WHERE client_id = $1 ORDER BY number DESC LIMIT 1 OFFSET $2)",
        )
        .bind(self.row)
        .bind(KEPT_BOOTS)
        .execute(&mut *connection)
        .await?;
        let row = sqlx::query(
            "SELECT COUNT(*) AS boots, MIN(first_seen_at) AS first_seen_at FROM client_boots WHERE client_id = $1",
        )
        .bind(self.row)
        .fetch_one(connection)
        .await?;
        let boots: i64 = row.try_get("boots")?;
        let first_seen_at: i64 = row.try_get("first_seen_at")?;
        let are_too_many = boots == KEPT_BOOTS && now - first_seen_at < KEPT_BOOTS * MIN_BOOT_SECONDS;
        Ok(are_too_many.then_some(CloneEvidence::TooManyBoots))
    }

    async fn write(&self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE clients SET lite_engine = $1, boot = $2, hardware = $3, former_hardware = $4 WHERE id = $5")
            .bind(&self.engine)
            .bind(&self.boot)
            .bind(&self.hardware)
            .bind(&self.former_hardware)
            .bind(self.row)
            .execute(connection)
            .await
            .map(|_| ())
    }

    async fn note_clone(
        &self,
        connection: &mut AnyConnection,
        evidence: CloneEvidence,
        now: UnixTime,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE clients SET clone_evidence = $1, cloned_since = COALESCE(cloned_since, $2), clone_seen_at = $2 \
             WHERE id = $3",
        )
        .bind(evidence as i64)
        .bind(now)
        .bind(self.row)
        .execute(connection)
        .await
        .map(|_| ())
    }
}

impl Cloned {
    /// What a row of `clients` holds of it.
    pub(super) fn of_row(row: &AnyRow) -> Result<Option<Self>, sqlx::Error> {
        let evidence = match row.try_get("clone_evidence")? {
            None => return Ok(None),
            Some(1_i64) => CloneEvidence::BootCameBack,
            Some(2) => CloneEvidence::HardwareChangedBack,
            Some(3) => CloneEvidence::TooManyBoots,
            Some(number) => return Err(sqlx::Error::Decode(format!("{number} is no evidence of a clone").into())),
        };
        Ok(Some(Self { evidence, since: row.try_get("cloned_since")?, seen_at: row.try_get("clone_seen_at")? }))
    }
}
