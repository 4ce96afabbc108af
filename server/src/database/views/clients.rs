//! Clients: the list, and one of them.

use super::sql::{Sql, client_id, update_id};
use super::{Compliance, Database, FindingRow, Order, Page, StateCounts, as_text, classification, title};
use crate::config::Classification;
use crate::database::{Admission, Cloned};
use farrier_protocol::{ClientId, ComplianceState, Digest, UpdateId};
use serde::Serialize;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Which clients, in which order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFilter {
    /// Words that must all occur in host name, operating system or agent version.
    pub search: String,
    /// Only clients that fare like this.
    pub group: Option<ClientGroup>,
    /// Only admitted clients with a last contact of this age.
    pub contact: Option<Contact>,
    /// The order.
    pub sort: ClientSort,
    /// Its direction.
    pub order: Order,
    /// The page, from 1.
    pub page: i64,
}

impl Default for ClientFilter {
    fn default() -> Self {
        Self {
            search: String::new(),
            group: None,
            contact: None,
            sort: ClientSort::LastContact,
            order: Order::Descending,
            page: 1,
        }
    }
}

/// How a client fares. Only admitted clients are in a group that says what they require.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientGroup {
    /// It requires at least one update.
    Required,
    /// It requires none, but could not tell for at least one.
    Unknown,
    /// It has scanned, and neither of that.
    Compliant,
    /// A plugin failed in its last scan.
    Failed,
    /// It has not scanned yet.
    NeverScanned,
    /// An administrator has to approve it.
    WaitsForApproval,
    /// An administrator revoked it.
    Revoked,
    /// It may be another device than it was, or several: see [`ClientIdentity::is_in_doubt`].
    InDoubt,
}

/// The age of a client's last contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contact {
    /// At most a day.
    Day,
    /// Longer, at most 7 days.
    Week,
    /// Longer, at most 30 days.
    Month,
    /// Longer than 30 days.
    Older,
}

impl Contact {
    const DAY_SECONDS: i64 = 24 * 60 * 60;

    /// The greatest age of this and all younger contacts.
    #[must_use]
    pub fn seconds(self) -> i64 {
        match self {
            Self::Day => Self::DAY_SECONDS,
            Self::Week => 7 * Self::DAY_SECONDS,
            Self::Month => 30 * Self::DAY_SECONDS,
            Self::Older => i64::MAX,
        }
    }

    fn younger(self) -> Option<Self> {
        match self {
            Self::Day => None,
            Self::Week => Some(Self::Day),
            Self::Month => Some(Self::Week),
            Self::Older => Some(Self::Month),
        }
    }
}

/// What clients are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientSort {
    /// Host name.
    Hostname,
    /// When it last talked to the site.
    LastContact,
    /// When it last scanned.
    LastScan,
    /// How many updates it requires.
    Required,
    /// For how many it could not tell.
    Unknown,
}

impl ClientSort {
    fn sql(self) -> &'static str {
        match self {
            Self::Hostname => "c.hostname",
            Self::LastContact => "c.last_contact_at",
            Self::LastScan => "COALESCE(c.scanned_at, 0)",
            Self::Required => "COALESCE(n.required, 0)",
            Self::Unknown => "COALESCE(n.unknown, 0)",
        }
    }
}

/// One client in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientRow {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
    /// Its operating system.
    pub operating_system: String,
    /// Its processor architecture as its kernel names it.
    pub machine: String,
    /// The version of its agent.
    pub agent_version: String,
    /// When it last talked to the site.
    pub last_contact_at: i64,
    /// When it last scanned.
    pub scanned_at: Option<i64>,
    /// Plugins that failed in its last scan.
    pub failed_plugins: i64,
    /// Updates by state; all zero before the first scan.
    pub updates: StateCounts,
    /// Who it is, and whether it is let in.
    #[serde(flatten)]
    pub identity: ClientIdentity,
}

/// Who a client is, and whether it is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientIdentity {
    /// Whether it is let in.
    pub admission: Admission,
    /// Since when; none if nobody ever decided about it.
    pub admission_at: Option<i64>,
    /// Why it is revoked; else empty.
    pub admission_reason: String,
    /// Until when its certificate is valid; none if it has to enrol again.
    pub certificate_expires_at: Option<i64>,
    /// Other clients, none of them revoked, that say the same of their hardware.
    pub same_hardware: i64,
    /// That several devices use its identity.
    pub cloned: Option<Cloned>,
}

impl ClientIdentity {
    /// Whether it may be another device than it was, or several.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.admission != Admission::Revoked && (self.cloned.is_some() || self.same_hardware > 0)
    }

    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            admission: Admission::from_number(row.try_get("admission")?)?,
            admission_at: row.try_get("admission_at")?,
            admission_reason: row.try_get("admission_reason")?,
            certificate_expires_at: row.try_get("certificate_expires_at")?,
            same_hardware: row.try_get("same_hardware")?,
            cloned: Cloned::of_row(row)?,
        })
    }
}

/// A client, for a link to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientLink {
    /// Which client.
    #[serde(serialize_with = "as_text")]
    pub id: ClientId,
    /// Its name.
    pub hostname: String,
}

/// How a plugin fared in a client's last scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientPlugin {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Empty, or what went wrong.
    pub error: String,
}

/// Everything about one client but its updates.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClientDetail {
    /// As in the list, with exact counts.
    #[serde(flatten)]
    pub row: ClientRow,
    /// When it enrolled.
    pub enrolled_at: i64,
    /// How many updates its last scan evaluated.
    pub scan_evaluated: i64,
    /// The version of the assignment its last scan followed.
    pub scan_assignment: Option<i64>,
    /// The plugins of its last scan.
    pub plugins: Vec<ClientPlugin>,
    /// SHA-256 of what its hardware says of itself, where it does.
    pub hardware: Option<String>,
    /// Other clients, none of them revoked, with this hardware.
    pub same_hardware_clients: Vec<ClientLink>,
}

/// An update and its state on one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientUpdate {
    /// Which update.
    #[serde(serialize_with = "as_text")]
    pub id: UpdateId,
    /// Source package and version.
    pub title: String,
    /// What kind of update.
    pub classification: Classification,
    /// Where it comes from.
    pub suite: String,
    /// Whether something newer replaces it.
    pub superseded: bool,
    /// Since when it has this state; none for `NotRequired`, which is not stored.
    pub changed_at: Option<i64>,
    /// Why.
    pub findings: Vec<FindingRow>,
}

const ROW: &str = "SELECT c.client_id, c.hostname, c.operating_system, c.machine, c.agent_version, c.enrolled_at, \
    c.last_contact_at, c.scanned_at, c.scan_evaluated, c.scan_assignment, \
    (SELECT COUNT(*) FROM client_plugins p WHERE p.client_id = c.id AND p.error <> '') AS failed_plugins, \
    COALESCE(n.required, 0) AS required, COALESCE(n.unknown, 0) AS unknown, COALESCE(n.installed, 0) AS installed, \
    c.hardware, c.admission, c.admission_at, c.admission_reason, c.certificate_expires_at, c.clone_evidence, \
    c.cloned_since, c.clone_seen_at, (SELECT COUNT(*) FROM clients o WHERE o.hardware = c.hardware AND o.id <> c.id AND \
    o.admission <> 2) AS same_hardware";
/// Other devices may use the identity of `c`, or `c` may be the device of another client.
pub(super) const IN_DOUBT: &str = "(c.admission <> 2 AND (c.clone_evidence IS NOT NULL OR EXISTS (SELECT 1 FROM clients o \
    WHERE o.hardware = c.hardware AND o.id <> c.id AND o.admission <> 2)))";
const FROM: &str = " FROM clients c LEFT JOIN client_summaries n ON n.client_id = c.id";

impl Database {
    /// One page of the clients, with counts as old as the [summary](Database::summary).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_rows(&self, filter: &ClientFilter, now: i64) -> Result<Page<ClientRow>, sqlx::Error> {
        let updates = Sql::new("SELECT COUNT(*) FROM software_updates WHERE expired_at IS NULL");
        let updates = updates.number(&self.pool).await?;
        let order = format!(" ORDER BY {} {}, c.hostname, c.id", filter.sort.sql(), filter.order.sql());
        let mut sql = Sql::new(ROW);
        sql.push(FROM).push(" WHERE c.id IN (SELECT c.id").push(FROM);
        conditions(&mut sql, filter, now).push(&order).page(filter.page).push(")").push(&order);
        let rows = sql.all(&self.pool).await?;
        let items = rows.iter().map(|row| ClientRow::of(row, updates)).collect::<Result<_, _>>()?;
        let mut count = Sql::new("SELECT COUNT(*)");
        let total = conditions(count.push(FROM), filter, now).total(&self.pool, filter.page, rows.len()).await?;
        Ok(Page::new(items, total, filter.page))
    }

    /// All clients of a group, or all of the site, by host name, with counts as old as the
    /// [summary](Database::summary).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all_client_rows(&self, group: Option<ClientGroup>) -> Result<Vec<ClientRow>, sqlx::Error> {
        let mut sql = Sql::new(ROW);
        let filter = ClientFilter { group, ..ClientFilter::default() };
        conditions(sql.push(FROM), &filter, 0).push(" ORDER BY c.hostname, c.id");
        let updates = Sql::new("SELECT COUNT(*) FROM software_updates WHERE expired_at IS NULL");
        let updates = updates.number(&self.pool).await?;
        sql.all(&self.pool).await?.iter().map(|row| ClientRow::of(row, updates)).collect()
    }

    /// One client; none if the site does not know it. Its counts are exact.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_detail(&self, id: ClientId) -> Result<Option<ClientDetail>, sqlx::Error> {
        let mut sql = Sql::new(ROW);
        sql.push(FROM).push(" WHERE c.client_id = ").bind(id);
        let Some(row) = sql.optional(&self.pool).await? else { return Ok(None) };
        let Compliance { states, .. } = self.compliance(Some(id)).await?;
        Ok(Some(ClientDetail {
            row: ClientRow { updates: states, ..ClientRow::of(&row, 0)? },
            enrolled_at: row.try_get("enrolled_at")?,
            scan_evaluated: row.try_get("scan_evaluated")?,
            scan_assignment: row.try_get("scan_assignment")?,
            plugins: self.client_plugins(id).await?,
            hardware: hardware(&row)?,
            same_hardware_clients: self.clients_with_hardware_of(id).await?,
        }))
    }

    async fn clients_with_hardware_of(&self, id: ClientId) -> Result<Vec<ClientLink>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT o.client_id, o.hostname FROM clients c JOIN clients o ON o.hardware = c.hardware AND o.id <> c.id \
             WHERE o.admission <> 2 AND c.client_id = ",
        );
        let rows = sql.bind(id).push(" ORDER BY o.hostname, o.id").all(&self.pool).await?;
        let link =
            |row: &AnyRow| Ok(ClientLink { id: client_id(row, "client_id")?, hostname: row.try_get("hostname")? });
        rows.iter().map(link).collect()
    }

    /// One page of the updates that have this state on this client, the most urgent first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_updates(
        &self,
        client: ClientId,
        state: ComplianceState,
        page: i64,
    ) -> Result<Page<ClientUpdate>, sqlx::Error> {
        let condition = |sql: &mut Sql| {
            sql.push(match state {
                ComplianceState::NotRequired => " FROM software_updates u LEFT JOIN compliance_states x",
                _ => " FROM compliance_states x JOIN software_updates u",
            });
            sql.push(" ON x.software_update_id = u.id AND x.client_id = (SELECT id FROM clients WHERE client_id = ");
            sql.bind(client).push(") JOIN suites s ON s.id = u.suite_id WHERE u.expired_at IS NULL");
            match state {
                ComplianceState::NotRequired => sql.push(" AND x.state IS NULL"),
                _ => sql.push(" AND x.state = ").bind(state as i64),
            };
        };
        let mut sql = Sql::new(
            "SELECT u.update_id, u.source, u.version, u.classification, s.name AS suite, x.changed_at, \
             CASE WHEN u.superseded_by IS NULL THEN 0 ELSE 1 END AS superseded",
        );
        condition(&mut sql);
        sql.push(" ORDER BY superseded, u.classification DESC, u.priority DESC, u.source, u.id").page(page);
        let rows = sql.all(&self.pool).await?;
        let mut count = Sql::new("SELECT COUNT(*)");
        condition(&mut count);
        let total = count.total(&self.pool, page, rows.len()).await?;
        let mut updates = rows.iter().map(ClientUpdate::of).collect::<Result<Vec<_>, _>>()?;
        let mut findings = self.findings_of_client(client, updates.iter().map(|update| update.id)).await?;
        for update in &mut updates {
            update.findings = findings.remove(&update.id).unwrap_or_default();
        }
        Ok(Page::new(updates, total, page))
    }

    async fn client_plugins(&self, id: ClientId) -> Result<Vec<ClientPlugin>, sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT p.name, p.version, p.error FROM client_plugins p \
             WHERE p.client_id = (SELECT id FROM clients WHERE client_id = ",
        );
        sql.bind(id).push(") ORDER BY p.name");
        let plugin = |row: &AnyRow| {
            Ok(ClientPlugin {
                name: row.try_get("name")?,
                version: row.try_get("version")?,
                error: row.try_get("error")?,
            })
        };
        sql.all(&self.pool).await?.iter().map(plugin).collect()
    }
}

fn hardware(row: &AnyRow) -> Result<Option<String>, sqlx::Error> {
    let bytes: Option<Vec<u8>> = row.try_get("hardware")?;
    Ok(bytes.and_then(|bytes| Digest::from_slice(&bytes)).map(|digest| digest.to_string()))
}

fn conditions<'a>(sql: &'a mut Sql, filter: &ClientFilter, now: i64) -> &'a mut Sql {
    use ClientGroup::{InDoubt, Revoked, WaitsForApproval};
    let is_of_admitted = filter.contact.is_some()
        || filter.group.is_some_and(|group| !matches!(group, InDoubt | Revoked | WaitsForApproval));
    sql.push(if is_of_admitted { " WHERE c.admission = 0" } else { " WHERE 1 = 1" });
    match filter.group {
        None => {}
        Some(WaitsForApproval) => _ = sql.push(" AND c.admission = 1"),
        Some(Revoked) => _ = sql.push(" AND c.admission = 2"),
        Some(InDoubt) => _ = sql.push(" AND ").push(IN_DOUBT),
        Some(ClientGroup::Required) => _ = sql.push(" AND n.required > 0"),
        Some(ClientGroup::Unknown) => _ = sql.push({
            " AND COALESCE(n.required, 0) = 0 AND (n.unknown > 0 OR c.scanned_at IS NOT NULL AND c.scan_evaluated = 0)"
        }),
        Some(ClientGroup::Compliant) => {
            sql.push(" AND c.scan_evaluated > 0 AND COALESCE(n.required, 0) + COALESCE(n.unknown, 0) = 0");
        }
        Some(ClientGroup::Failed) => {
            sql.push(" AND c.id IN (SELECT client_id FROM client_plugins WHERE error <> '')");
        }
        Some(ClientGroup::NeverScanned) => _ = sql.push(" AND c.scanned_at IS NULL"),
    }
    if let Some(contact) = filter.contact {
        if contact != Contact::Older {
            sql.push(" AND c.last_contact_at >= ").bind(now - contact.seconds());
        }
        if let Some(younger) = contact.younger() {
            sql.push(" AND c.last_contact_at < ").bind(now - younger.seconds());
        }
    }
    sql.search(&filter.search, &["c.hostname", "c.operating_system", "c.agent_version"], None)
}

impl ClientRow {
    /// Of `updates` in all, those without a row are `NotRequired`, once the client has scanned.
    fn of(row: &AnyRow, updates: i64) -> Result<Self, sqlx::Error> {
        let scanned_at: Option<i64> = row.try_get("scanned_at")?;
        let answers = if scanned_at.is_some() { updates } else { 0 };
        let stored = (row.try_get("required")?, row.try_get("unknown")?, row.try_get("installed")?);
        let unassessed = if row.try_get::<i64, _>("scan_evaluated")? == 0 { answers } else { 0 };
        Ok(Self {
            id: client_id(row, "client_id")?,
            hostname: row.try_get("hostname")?,
            operating_system: row.try_get("operating_system")?,
            machine: row.try_get("machine")?,
            agent_version: row.try_get("agent_version")?,
            last_contact_at: row.try_get("last_contact_at")?,
            scanned_at,
            failed_plugins: row.try_get("failed_plugins")?,
            updates: StateCounts::of_stored(stored.0, stored.1, stored.2, answers).with_unassessed(unassessed),
            identity: ClientIdentity::of_row(row)?,
        })
    }
}

impl ClientUpdate {
    fn of(row: &AnyRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: update_id(row, "update_id")?,
            title: title(row.try_get("source")?, row.try_get("version")?),
            classification: classification(row.try_get("classification")?)?,
            suite: row.try_get("suite")?,
            superseded: row.try_get::<i64, _>("superseded")? != 0,
            changed_at: row.try_get("changed_at")?,
            findings: Vec::new(),
        })
    }
}
