//! The site at a glance: what the first page and `farrier status` show.

use super::sql::{Sql, client_id, update_id};
use super::{Contact, Database, FindingRow, StateCounts, as_text, classification, state, title};
use crate::config::Classification;
use farrier_protocol::{ClientId, ComplianceState, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Urgent updates on the overview.
const URGENT_UPDATES: i64 = 10;
/// Failed scans on the overview.
const SCAN_FAILURES: i64 = 5;

/// The overview.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Overview {
    /// When the states were counted, in Unix seconds.
    pub counted_at: Option<i64>,
    /// Updates and their states on all clients.
    pub compliance: Compliance,
    /// The same by classification, the most urgent first.
    pub classifications: Vec<ClassificationCounts>,
    /// The clients.
    pub clients: ClientFigures,
    /// The most urgent required updates.
    pub urgent: Vec<UrgentUpdate>,
    /// Failed scans, the latest contact first; [`ClientFigures::failed`] says how many there are.
    pub scan_failures: Vec<ScanFailure>,
}

/// Updates and their states, on all admitted clients or one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Compliance {
    /// Software updates that are not expired.
    pub updates: i64,
    /// Clients that have scanned.
    pub clients: i64,
    /// Pairs of such an update and such a client, by state.
    pub states: StateCounts,
}

/// The part of one classification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClassificationCounts {
    /// Which one.
    pub classification: Classification,
    /// Software updates that are not expired.
    pub updates: i64,
    /// Those of them that a client requires and nothing newer supersedes.
    pub required_updates: i64,
    /// Pairs of update and scanned client, by state.
    pub states: StateCounts,
}

/// Admitted clients by how they fare, and how many are not admitted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ClientFigures {
    /// Admitted.
    pub total: i64,
    /// Have scanned at least once.
    pub scanned: i64,
    /// Require at least one update.
    pub required: i64,
    /// Require none, but could not tell for at least one.
    pub unknown: i64,
    /// Scanned, and neither of that.
    pub compliant: i64,
    /// A plugin failed in their last scan.
    pub failed: i64,
    /// By the age of the last contact.
    pub contact: ContactCounts,
    /// Wait for an administrator's approval.
    pub waiting: i64,
    /// Revoked.
    pub revoked: i64,
    /// May be other devices than they were, or several.
    pub in_doubt: i64,
}

/// Clients by the age of the last contact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ContactCounts {
    /// At most a day.
    pub day: i64,
    /// Longer, at most 7 days.
    pub week: i64,
    /// Longer, at most 30 days.
    pub month: i64,
    /// Longer than 30 days.
    pub older: i64,
}

/// A required update worth a look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UrgentUpdate {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// What the source package is.
    pub summary: String,
    /// What kind of update.
    pub classification: Classification,
    /// Where it comes from.
    pub suite: String,
    /// Clients that require it.
    pub clients: i64,
    /// Why, on one of them.
    pub reason: Option<FindingRow>,
}

/// A plugin that failed in a client's last scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanFailure {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub client: ClientId,
    /// Its name.
    pub hostname: String,
    /// The plugin.
    pub plugin: String,
    /// What went wrong.
    pub error: String,
    /// When it scanned.
    pub scanned_at: Option<i64>,
}

impl Database {
    /// The overview of all clients, with counts as old as the [summary](Database::summary).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn overview(&self, now: i64) -> Result<Overview, sqlx::Error> {
        let scanned = self.scanned_clients().await?;
        let classifications = self.classification_counts(scanned).await?;
        let mut compliance = Compliance { clients: scanned, ..Compliance::default() };
        for part in &classifications {
            compliance.updates += part.updates;
            compliance.states += part.states;
        }
        Ok(Overview {
            counted_at: self.summary().await?.counted_at(),
            compliance,
            classifications,
            clients: self.client_figures(now).await?,
            urgent: self.urgent_updates(URGENT_UPDATES).await?,
            scan_failures: self.scan_failures(SCAN_FAILURES).await?,
        })
    }

    /// Updates and their states on all clients, as old as the [summary](Database::summary), or on one client, exactly.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn compliance(&self, client: Option<ClientId>) -> Result<Compliance, sqlx::Error> {
        if let Some(client) = client {
            return self.client_compliance(client).await;
        }
        let clients = self.scanned_clients().await?;
        let mut compliance = Compliance { clients, ..Compliance::default() };
        for part in self.classification_counts(clients).await? {
            compliance.updates += part.updates;
            compliance.states += part.states;
        }
        Ok(compliance)
    }

    /// The packages on all admitted clients or one for which a required update brings something newer, by name, each once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn required_packages(&self, client: Option<ClientId>) -> Result<Vec<String>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT DISTINCT f.subject FROM compliance_states s \
             JOIN software_updates u ON u.id = s.software_update_id AND u.expired_at IS NULL \
             JOIN findings f ON f.client_id = s.client_id AND f.software_update_id = s.software_update_id \
             AND f.state = 2 WHERE s.state = 2",
        );
        match client {
            Some(client) => {
                sql.push(" AND s.client_id = (SELECT id FROM clients WHERE client_id = ").bind(client).push(")");
            }
            None => _ = sql.push(" AND s.client_id NOT IN (SELECT id FROM clients WHERE admission <> 0)"),
        }
        sql.push(" ORDER BY f.subject");
        sql.all(&self.pool).await?.iter().map(|row| row.try_get(0)).collect()
    }

    /// The most urgent updates that clients require and nothing supersedes: by classification, then by the number of
    /// clients, as old as the [summary](Database::summary).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn urgent_updates(&self, limit: i64) -> Result<Vec<UrgentUpdate>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT u.update_id, u.source, u.version, u.summary, u.classification, s.name AS suite, c.required AS clients, \
             (SELECT x.client_id FROM compliance_states x WHERE x.software_update_id = u.id AND x.state = 2 AND \
             x.client_id NOT IN (SELECT id FROM clients WHERE admission <> 0) LIMIT 1) AS example, u.id AS row_id FROM update_summaries c \
             JOIN software_updates u ON u.id = c.software_update_id JOIN suites s ON s.id = u.suite_id \
             WHERE c.required > 0 AND u.expired_at IS NULL AND u.superseded_by IS NULL \
             ORDER BY u.classification DESC, c.required DESC, u.priority DESC, u.source, u.id LIMIT ",
        );
        let rows = sql.bind(limit).all(&self.pool).await?;
        self.with_reasons(&rows).await
    }

    /// The most urgent updates that one client requires and nothing supersedes: by classification, then by the upstream's
    /// priority.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn urgent_updates_of(&self, client: ClientId, limit: i64) -> Result<Vec<UrgentUpdate>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT u.update_id, u.source, u.version, u.summary, u.classification, s.name AS suite, 1 AS clients, \
             x.client_id AS example, u.id AS row_id FROM compliance_states x \
             JOIN software_updates u ON u.id = x.software_update_id JOIN suites s ON s.id = u.suite_id \
             WHERE x.state = 2 AND u.expired_at IS NULL AND u.superseded_by IS NULL AND x.client_id = \
             (SELECT id FROM clients WHERE client_id = ",
        );
        sql.bind(client).push(") ORDER BY u.classification DESC, u.priority DESC, u.source, u.id LIMIT ").bind(limit);
        let rows = sql.all(&self.pool).await?;
        self.with_reasons(&rows).await
    }

    /// Admitted clients that scanned.
    pub(super) async fn scanned_clients(&self) -> Result<i64, sqlx::Error> {
        Sql::new("SELECT COUNT(*) FROM clients WHERE scanned_at IS NOT NULL AND admission = 0").number(&self.pool).await
    }

    /// Admitted clients that scanned, but whose plugins could evaluate nothing.
    pub(super) async fn unassessed_clients(&self) -> Result<i64, sqlx::Error> {
        let sql = "SELECT COUNT(*) FROM clients WHERE scanned_at IS NOT NULL AND scan_evaluated = 0 AND admission = 0";
        Sql::new(sql).number(&self.pool).await
    }

    /// Pairs of an update of this classification and a client that could evaluate nothing, without a stored state.
    async fn unassessed_answers(&self, counts: &ClassificationCounts, unassessed: i64) -> Result<i64, sqlx::Error> {
        let mut stored = Sql::new(
            "SELECT COUNT(*) FROM clients c JOIN compliance_states s ON s.client_id = c.id \
             JOIN software_updates u ON u.id = s.software_update_id AND u.expired_at IS NULL \
             WHERE c.scanned_at IS NOT NULL AND c.scan_evaluated = 0 AND c.admission = 0 AND u.classification = ",
        );
        let stored = stored.bind(counts.classification as i64).number(&self.pool).await?;
        Ok(counts.updates * unassessed - stored)
    }

    async fn with_reasons(&self, rows: &[AnyRow]) -> Result<Vec<UrgentUpdate>, sqlx::Error> {
        let mut updates = Vec::with_capacity(rows.len());
        for row in rows {
            let (client, update): (Option<i64>, i64) = (row.try_get("example")?, row.try_get("row_id")?);
            let reason = sqlx::query(
                "SELECT subject, state, detail FROM findings WHERE client_id = $1 AND software_update_id = $2 \
                 AND state = 2 ORDER BY subject LIMIT 1",
            )
            .bind(client.unwrap_or_default())
            .bind(update)
            .fetch_optional(&self.pool)
            .await?;
            updates.push(UrgentUpdate {
                id: update_id(row, "update_id")?,
                title: title(row.try_get("source")?, row.try_get("version")?),
                summary: row.try_get("summary")?,
                classification: classification(row.try_get("classification")?)?,
                suite: row.try_get("suite")?,
                clients: row.try_get("clients")?,
                reason: reason.as_ref().map(FindingRow::of).transpose()?,
            });
        }
        Ok(updates)
    }

    async fn client_compliance(&self, client: ClientId) -> Result<Compliance, sqlx::Error> {
        let updates = Sql::new("SELECT COUNT(*) FROM software_updates WHERE expired_at IS NULL");
        let updates = updates.number(&self.pool).await?;
        let mut scan = Sql::new("SELECT scan_evaluated FROM clients WHERE scanned_at IS NOT NULL AND client_id = ");
        let scan = scan.bind(client).optional(&self.pool).await?;
        let evaluated: Option<i64> = scan.as_ref().map(|scan| scan.try_get(0)).transpose()?;
        let clients = i64::from(evaluated.is_some());
        let mut sql = Sql::new(
            "SELECT s.state, COUNT(*) AS clients FROM compliance_states s JOIN software_updates u \
             ON u.id = s.software_update_id AND u.expired_at IS NULL \
             WHERE s.client_id = (SELECT id FROM clients WHERE client_id = ",
        );
        let stored = stored_counts(&sql.bind(client).push(") GROUP BY s.state").all(&self.pool).await?)?;
        let states = StateCounts::of_stored(stored.required, stored.unknown, stored.installed, updates * clients);
        let unassessed = if evaluated == Some(0) { updates } else { 0 };
        Ok(Compliance { updates, clients, states: states.with_unassessed(unassessed) })
    }

    async fn classification_counts(&self, scanned: i64) -> Result<Vec<ClassificationCounts>, sqlx::Error> {
        let totals = sqlx::query(
            "SELECT classification, COUNT(*) AS updates FROM software_updates WHERE expired_at IS NULL \
             GROUP BY classification ORDER BY classification DESC",
        )
        .fetch_all(&self.pool)
        .await?;
        let stored = sqlx::query(
            "SELECT u.classification, CAST(SUM(c.required) AS BIGINT) AS required, CAST(SUM(c.unknown) AS BIGINT) AS unknown, \
             CAST(SUM(c.installed) AS BIGINT) AS installed, \
             CAST(SUM(CASE WHEN c.required > 0 AND u.superseded_by IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS updates \
             FROM update_summaries c JOIN software_updates u ON u.id = c.software_update_id \
             WHERE u.expired_at IS NULL GROUP BY u.classification",
        )
        .fetch_all(&self.pool)
        .await?;
        let unassessed = self.unassessed_clients().await?;
        let mut classifications = Vec::with_capacity(totals.len());
        for total in &totals {
            let mut counts = ClassificationCounts::of(total, &stored, scanned)?;
            if unassessed > 0 {
                let answers = self.unassessed_answers(&counts, unassessed).await?;
                counts.states = counts.states.with_unassessed(answers);
            }
            classifications.push(counts);
        }
        Ok(classifications)
    }

    async fn client_figures(&self, now: i64) -> Result<ClientFigures, sqlx::Error> {
        let mut sql = Sql::new("SELECT COUNT(*) AS total, COUNT(c.scanned_at) AS scanned");
        for (contact, name) in [(Contact::Day, "day"), (Contact::Week, "week"), (Contact::Month, "month")] {
            sql.push(", COALESCE(CAST(SUM(CASE WHEN c.last_contact_at >= ").bind(now - contact.seconds());
            sql.push(" THEN 1 ELSE 0 END) AS BIGINT), 0) AS within_").push(name);
        }
        sql.push(
            ", COALESCE(CAST(SUM(CASE WHEN s.required > 0 THEN 1 ELSE 0 END) AS BIGINT), 0) AS required, \
             COALESCE(CAST(SUM(CASE WHEN COALESCE(s.required, 0) = 0 AND (s.unknown > 0 \
             OR c.scanned_at IS NOT NULL AND c.scan_evaluated = 0) THEN 1 ELSE 0 END) AS BIGINT), 0) AS unknown, \
             (SELECT COUNT(DISTINCT p.client_id) FROM client_plugins p JOIN clients k ON k.id = p.client_id \
             WHERE p.error <> '' AND k.admission = 0) AS failed, \
             (SELECT COUNT(*) FROM clients WHERE admission = 1) AS waiting, \
             (SELECT COUNT(*) FROM clients WHERE admission = 2) AS revoked \
             FROM clients c LEFT JOIN client_summaries s ON s.client_id = c.id WHERE c.admission = 0",
        );
        let rows = sql.all(&self.pool).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let in_doubt = self.clients_in_doubt().await?;
        let count = |column: &str| row.try_get::<i64, _>(column);
        let (total, scanned) = (count("total")?, count("scanned")?);
        let (day, week, month) = (count("within_day")?, count("within_week")?, count("within_month")?);
        let (required, unknown) = (count("required")?, count("unknown")?);
        Ok(ClientFigures {
            total,
            scanned,
            required,
            unknown,
            compliant: (scanned - required - unknown).max(0),
            failed: count("failed")?,
            contact: ContactCounts { day, week: week - day, month: month - week, older: total - month },
            waiting: count("waiting")?,
            revoked: count("revoked")?,
            in_doubt,
        })
    }

    /// Clients whose identity several devices use, and clients that share their hardware.
    async fn clients_in_doubt(&self) -> Result<i64, sqlx::Error> {
        // Not by asking for each client whether others have its hardware: nearly all have their own.
        let sql = "SELECT COUNT(*) FROM clients WHERE admission <> 2 AND (clone_evidence IS NOT NULL OR hardware IN \
                   (SELECT hardware FROM clients WHERE hardware IS NOT NULL AND admission <> 2 GROUP BY hardware \
                   HAVING COUNT(*) > 1))";
        Sql::new(sql).number(&self.pool).await
    }

    async fn scan_failures(&self, limit: i64) -> Result<Vec<ScanFailure>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT c.client_id, c.hostname, c.scanned_at, p.name, p.error FROM client_plugins p \
             JOIN clients c ON c.id = p.client_id WHERE p.error <> '' AND c.admission = 0 \
             ORDER BY c.last_contact_at DESC, c.id, p.name LIMIT ",
        );
        sql.bind(limit).all(&self.pool).await?.iter().map(ScanFailure::of).collect()
    }
}

/// Rows of `state` and `clients` as counts; what is not stored stays 0.
pub(super) fn stored_counts(rows: &[AnyRow]) -> Result<StateCounts, sqlx::Error> {
    let mut counts = StateCounts::default();
    for row in rows {
        let count = row.try_get("clients")?;
        match state(row.try_get("state")?)? {
            ComplianceState::NotRequired => counts.not_required = count,
            ComplianceState::Installed => counts.installed = count,
            ComplianceState::Required => counts.required = count,
            ComplianceState::Unknown => counts.unknown = count,
        }
    }
    Ok(counts)
}

impl ClassificationCounts {
    fn of(total: &AnyRow, stored: &[AnyRow], scanned: i64) -> Result<Self, sqlx::Error> {
        let number: i64 = total.try_get("classification")?;
        let updates: i64 = total.try_get("updates")?;
        let mut counts = Self {
            classification: classification(number)?,
            updates,
            required_updates: 0,
            states: StateCounts::of_stored(0, 0, 0, updates * scanned),
        };
        for row in stored {
            if row.try_get::<i64, _>("classification")? == number {
                let count = |column: &str| row.try_get::<i64, _>(column);
                counts.required_updates = count("updates")?;
                counts.states = StateCounts::of_stored(
                    count("required")?,
                    count("unknown")?,
                    count("installed")?,
                    updates * scanned,
                );
            }
        }
        Ok(counts)
    }
}

impl ScanFailure {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            client: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            plugin: row.try_get("name")?,
            error: row.try_get("error")?,
            scanned_at: row.try_get("scanned_at")?,
        })
    }
}
