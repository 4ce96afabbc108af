//! Software updates: the list, and one of them.

use super::sql::{Sql, client_id, update_id};
use super::{Database, FindingRow, Order, Page, StateCounts, as_text, classification, title};
use crate::config::Classification;
use farrier_protocol::{ClientId, ComplianceState, Digest, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Which updates, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateFilter {
    /// Words that must all occur in source, version, summary or the name of a binary package.
    pub search: String,
    /// Only updates with this state on at least one client; `NotRequired`: on every client.
    pub state: Option<ComplianceState>,
    /// Only this classification.
    pub classification: Option<Classification>,
    /// Only this suite.
    pub suite: Option<String>,
    /// Also updates that something newer supersedes.
    pub superseded: bool,
    /// The order.
    pub sort: UpdateSort,
    /// Its direction.
    pub order: Order,
    /// The page, from 1.
    pub page: i64,
}

impl Default for UpdateFilter {
    fn default() -> Self {
        Self {
            search: String::new(),
            state: None,
            classification: None,
            suite: None,
            superseded: false,
            sort: UpdateSort::Required,
            order: Order::Descending,
            page: 1,
        }
    }
}

/// What updates are sorted by. Ties go to the more urgent update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateSort {
    /// Clients that require it.
    Required,
    /// Source package and version.
    Title,
    /// Classification.
    Classification,
    /// Suite.
    Suite,
    /// When the site first saw it.
    FirstSeen,
    /// Clients that are compliant.
    Compliant,
}

impl UpdateSort {
    fn sql(self, order: Order) -> String {
        let keys: &[&str] = match self {
            Self::Required => &["COALESCE(c.required, 0)"],
            Self::Title => &["u.source", "u.version"],
            Self::Classification => &["u.classification"],
            Self::Suite => &["s.name"],
            Self::FirstSeen => &["u.first_seen_at"],
            Self::Compliant => &["-COALESCE(c.required + c.unknown, 0)"],
        };
        let direction = order.sql();
        keys.iter().map(|key| format!("{key} {direction}, ")).collect()
    }
}

/// One update in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateRow {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// What the source package is, in the upstream's words.
    pub summary: String,
    /// What kind of update.
    pub classification: Classification,
    /// Where it comes from.
    pub suite: String,
    /// When the site first saw it.
    pub first_seen_at: i64,
    /// Whether something newer replaces it.
    pub superseded: bool,
    /// Scanned clients by state.
    pub clients: StateCounts,
    /// Clients that have it or do not need it, in percent of the scanned ones.
    pub percent_compliant: Option<f64>,
}

/// Another update, named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateLink {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// Where it comes from.
    pub suite: String,
}

/// A binary package of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PackageRow {
    /// Its name.
    pub name: String,
    /// Its architecture.
    pub architecture: String,
    /// Its version.
    pub version: String,
    /// Bytes.
    pub size: i64,
    /// SHA-256 of the file.
    #[serde(serialize_with = "as_text")]
    pub sha256: Digest,
}

/// Everything about one update but its clients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UpdateDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: UpdateRow,
    /// `{suite}/{source}/{version}`.
    pub name: String,
    /// When it vanished from the upstream.
    pub expired_at: Option<i64>,
    /// The update that replaces it.
    pub superseded_by: Option<UpdateLink>,
    /// The updates it replaces.
    pub supersedes: Vec<UpdateLink>,
    /// Its binary packages.
    pub packages: Vec<PackageRow>,
}

/// A client and its state for one update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UpdateClient {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
    /// Since when it has this state; none for `NotRequired`, which is not stored.
    pub changed_at: Option<i64>,
    /// Why.
    pub findings: Vec<FindingRow>,
}

const ROW: &str = "SELECT u.update_id, u.name, u.source, u.version, u.summary, u.classification, u.first_seen_at, \
    u.expired_at, CASE WHEN u.superseded_by IS NULL THEN 0 ELSE 1 END AS superseded, s.name AS suite, \
    COALESCE(c.required, 0) AS required, COALESCE(c.unknown, 0) AS unknown, COALESCE(c.installed, 0) AS installed";
const FROM: &str = " FROM software_updates u JOIN suites s ON s.id = u.suite_id \
    LEFT JOIN update_summaries c ON c.software_update_id = u.id";
const PACKAGE_MATCHES: &str = "u.id IN (SELECT software_update_id FROM packages WHERE name";

impl Database {
    /// One page of the updates that are not expired, with counts as old as the [summary](Database::summary).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_rows(&self, filter: &UpdateFilter) -> Result<Page<UpdateRow>, sqlx::Error> {
        let (scanned, unassessed) = (self.scanned_clients().await?, self.unassessed_clients().await?);
        let order = format!(
            " ORDER BY {}u.classification DESC, u.priority DESC, u.source, u.id DESC",
            filter.sort.sql(filter.order)
        );
        // Sorting ids and keys instead of whole rows halves the cost of a late page.
        let mut sql = Sql::new(ROW);
        sql.push(FROM).push(" WHERE u.id IN (SELECT u.id").push(FROM);
        conditions(&mut sql, filter).push(&order).page(filter.page).push(")").push(&order);
        let rows = sql.all(&self.pool).await?;
        let items = rows.iter().map(|row| UpdateRow::of(row, scanned, unassessed)).collect::<Result<_, _>>()?;
        let mut count = Sql::new("SELECT COUNT(*) FROM software_updates u");
        if filter.state.is_some() {
            count.push(" LEFT JOIN update_summaries c ON c.software_update_id = u.id");
        }
        let total = conditions(&mut count, filter).total(&self.pool, filter.page, rows.len()).await?;
        Ok(Page::new(items, total, filter.page))
    }

    /// One update; none if the site does not know it. Its counts are exact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_detail(&self, id: UpdateId) -> Result<Option<UpdateDetail>, sqlx::Error> {
        let mut sql = Sql::new(ROW);
        sql.push(FROM).push(" WHERE u.update_id = ").bind(id);
        let Some(row) = sql.optional(&self.pool).await? else { return Ok(None) };
        let mut update = UpdateRow::of(&row, 0, 0)?;
        update.clients = self.update_counts(id).await?;
        update.percent_compliant = update.clients.percent_compliant();
        Ok(Some(UpdateDetail {
            name: row.try_get("name")?,
            expired_at: row.try_get("expired_at")?,
            superseded_by: self.superseding(id).await?,
            supersedes: self.superseded(id).await?,
            packages: self.packages_of_update(id).await?,
            row: update,
        }))
    }

    /// One page of the admitted clients that have this state for this update, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn update_clients(
        &self,
        update: UpdateId,
        state: ComplianceState,
        page: i64,
    ) -> Result<Page<UpdateClient>, sqlx::Error> {
        let from = match state {
            ComplianceState::NotRequired => {
                " FROM clients c LEFT JOIN compliance_states s ON s.client_id = c.id AND s.software_update_id = "
            }
            _ => " FROM compliance_states s JOIN clients c ON c.id = s.client_id WHERE s.software_update_id = ",
        };
        let condition = |sql: &mut Sql| {
            sql.push(from).push("(SELECT id FROM software_updates WHERE update_id = ").bind(update).push(")");
            match state {
                ComplianceState::NotRequired => sql.push(" WHERE s.state IS NULL AND c.scanned_at IS NOT NULL"),
                _ => sql.push(" AND s.state = ").bind(state as i64),
            };
            sql.push(" AND c.admission = 0");
        };
        let mut sql = Sql::new("SELECT c.client_id, c.hostname, s.changed_at");
        condition(&mut sql);
        sql.push(" ORDER BY c.hostname, c.id").page(page);
        let rows = sql.all(&self.pool).await?;
        let mut count = Sql::new("SELECT COUNT(*)");
        condition(&mut count);
        let total = count.total(&self.pool, page, rows.len()).await?;
        let mut clients = rows.iter().map(UpdateClient::of).collect::<Result<Vec<_>, _>>()?;
        let mut findings = self.findings_of_update(update, clients.iter().map(|client| client.id)).await?;
        for client in &mut clients {
            client.findings = findings.remove(&client.id).unwrap_or_default();
        }
        Ok(Page::new(clients, total, page))
    }

    async fn update_counts(&self, id: UpdateId) -> Result<StateCounts, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT state, COUNT(*) AS clients FROM compliance_states \
             WHERE client_id NOT IN (SELECT id FROM clients WHERE admission <> 0) AND software_update_id = \
             (SELECT id FROM software_updates WHERE update_id = ",
        );
        sql.bind(id).push(") GROUP BY state");
        let stored = super::overview::stored_counts(&sql.all(&self.pool).await?)?;
        let (scanned, unassessed) = (self.scanned_clients().await?, self.unassessed_clients().await?);
        let counts = StateCounts::of_stored(stored.required, stored.unknown, stored.installed, scanned);
        Ok(counts.with_unassessed(unassessed))
    }

    async fn superseding(&self, id: UpdateId) -> Result<Option<UpdateLink>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT n.update_id, n.source, n.version, s.name AS suite FROM software_updates u \
             JOIN software_updates n ON n.id = u.superseded_by JOIN suites s ON s.id = n.suite_id WHERE u.update_id = ",
        );
        sql.bind(id).optional(&self.pool).await?.as_ref().map(UpdateLink::of).transpose()
    }

    async fn superseded(&self, id: UpdateId) -> Result<Vec<UpdateLink>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT o.update_id, o.source, o.version, s.name AS suite FROM software_updates u \
             JOIN software_updates o ON o.superseded_by = u.id JOIN suites s ON s.id = o.suite_id \
             WHERE o.expired_at IS NULL AND u.update_id = ",
        );
        sql.bind(id).push(" ORDER BY o.first_seen_at DESC, o.id DESC");
        sql.all(&self.pool).await?.iter().map(UpdateLink::of).collect()
    }

    async fn packages_of_update(&self, id: UpdateId) -> Result<Vec<PackageRow>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT p.name, p.architecture, p.version, p.size, p.sha256 FROM packages p \
             WHERE p.software_update_id = (SELECT id FROM software_updates WHERE update_id = ",
        );
        sql.bind(id).push(") ORDER BY p.name, p.architecture, p.version");
        sql.all(&self.pool).await?.iter().map(PackageRow::of).collect()
    }
}

fn conditions<'a>(sql: &'a mut Sql, filter: &UpdateFilter) -> &'a mut Sql {
    sql.push(" WHERE u.expired_at IS NULL");
    if !filter.superseded {
        sql.push(" AND u.superseded_by IS NULL");
    }
    if let Some(classification) = filter.classification {
        sql.push(" AND u.classification = ").bind(classification as i64);
    }
    if let Some(suite) = &filter.suite {
        // The sum keeps the engine from walking a large suite through its index, in another order than the rows lie.
        sql.push(" AND u.suite_id + 0 = (SELECT id FROM suites WHERE name = ").bind(suite.as_str()).push(")");
    }
    match filter.state {
        None => {}
        Some(ComplianceState::Required) => _ = sql.push(" AND c.required > 0"),
        Some(ComplianceState::Unknown) => _ = sql.push(" AND c.unknown > 0"),
        Some(ComplianceState::Installed) => _ = sql.push(" AND c.installed > 0"),
        Some(ComplianceState::NotRequired) => {
            sql.push(" AND COALESCE(c.required, 0) + COALESCE(c.unknown, 0) + COALESCE(c.installed, 0) = 0");
        }
    }
    sql.search(&filter.search, &["u.source", "u.version", "u.summary"], Some(PACKAGE_MATCHES))
}

impl UpdateRow {
    fn of(row: &AnyRow, scanned: i64, unassessed: i64) -> Result<Self, sqlx::Error> {
        let clients = StateCounts::of_stored(
            row.try_get("required")?,
            row.try_get("unknown")?,
            row.try_get("installed")?,
            scanned,
        )
        .with_unassessed(unassessed);
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(row.try_get("source")?, row.try_get("version")?),
            summary: row.try_get("summary")?,
            classification: classification(row.try_get("classification")?)?,
            suite: row.try_get("suite")?,
            first_seen_at: row.try_get("first_seen_at")?,
            superseded: row.try_get::<i64, _>("superseded")? != 0,
            clients,
            percent_compliant: clients.percent_compliant(),
        })
    }
}

impl UpdateLink {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(row.try_get("source")?, row.try_get("version")?),
            suite: row.try_get("suite")?,
        })
    }
}

impl PackageRow {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let sha256: Vec<u8> = row.try_get("sha256")?;
        Ok(Self {
            name: row.try_get("name")?,
            architecture: row.try_get("architecture")?,
            version: row.try_get("version")?,
            size: row.try_get("size")?,
            sha256: Digest::from_slice(&sha256).ok_or_else(|| super::unreadable("sha256 is no digest".into()))?,
        })
    }
}

impl UpdateClient {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            changed_at: row.try_get("changed_at")?,
            findings: Vec::new(),
        })
    }
}
