//! A deployment as a table: a row for each client and update, and one for each client that has said nothing.

use crate::database::Database;
use crate::database::views::sql::{Sql, client_id};
use crate::database::views::title;
use farrier_protocol::DeploymentId;
use sqlx::Row as _;
use sqlx::any::AnyRow;

/// Clients that are read at once.
const CLIENTS_AT_ONCE: i64 = 500;

/// The table's head.
pub const CSV_HEAD: &str = "client_id,hostname,phase,client_state,update,update_state,since,installations,bytes_left,until,\
     reason,last_contact";

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvRow {
    cells: [String; 12],
    /// The client's row, to read on after.
    client_row: i64,
}

impl Database {
    /// The rows of the next clients after the one with this row (0 for the first), and the row to go on after; none
    /// once there are no more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment_csv(
        &self,
        deployment: DeploymentId,
        after: i64,
    ) -> Result<(Vec<CsvRow>, Option<i64>), sqlx::Error> {
        let mut sql = Sql::new(
            "SELECT k.row_id, k.client_id, k.hostname, k.last_contact_at, k.phase_name, k.client_state, u.source, \
             u.version, s.state, s.since, s.installations, s.bytes_left, s.until, s.reason FROM \
             (SELECT dc.deployment_id, c.id AS row_id, c.client_id, c.hostname, c.last_contact_at, p.name AS \
             phase_name, dc.state AS client_state FROM deployment_clients dc JOIN clients c ON c.id = dc.client_id \
             JOIN deployments d ON d.id = dc.deployment_id \
             JOIN deployment_phases p ON p.deployment_id = dc.deployment_id AND p.position = dc.phase \
             WHERE d.deployment_id = ",
        );
        sql.bind(deployment).push(" AND c.id > ").bind(after).push(" ORDER BY c.id LIMIT ").bind(CLIENTS_AT_ONCE);
        sql.push(
            ") AS k LEFT JOIN deployment_states s ON s.deployment_id = k.deployment_id AND s.client_id = k.row_id ",
        );
        sql.push("LEFT JOIN software_updates u ON u.id = s.software_update_id ORDER BY k.row_id, u.name");
        let rows = sql.all(&self.pool).await?;
        let rows = rows.iter().map(CsvRow::of_row).collect::<Result<Vec<_>, _>>()?;
        let last = rows.last().map(|row| row.client_row);
        Ok((rows, last))
    }
}

impl CsvRow {
    fn of_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let number = |column: &str| row.try_get::<Option<i64>, _>(column);
        let text = |column: &str| row.try_get::<Option<String>, _>(column);
        let shown = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
        let time = |seconds: Option<i64>| seconds.map(instant).unwrap_or_default();
        let state = |state: Option<i64>| {
            super::list::enforcement_state(state).map(|state| state.map_or("", |state| state.as_str()).to_owned())
        };
        let update = match (text("source")?, text("version")?) {
            (Some(source), Some(version)) => title(&source, &version),
            _ => String::new(),
        };
        let client_state = super::ClientProgress::from(super::list::enforcement_state(number("client_state")?)?);
        Ok(Self {
            client_row: row.try_get("row_id")?,
            cells: [
                client_id(row, "client_id")?.to_string(),
                row.try_get("hostname")?,
                row.try_get("phase_name")?,
                client_state.to_string(),
                update,
                state(number("state")?)?,
                time(number("since")?),
                shown(number("installations")?),
                shown(number("bytes_left")?),
                time(number("until")?),
                text("reason")?.unwrap_or_default(),
                time(number("last_contact_at")?),
            ],
        })
    }

    /// As a line of RFC 4180, with its end.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",");
        line.push_str("\r\n");
        line
    }
}

fn instant(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// A cell. What clients say goes to a spreadsheet: nothing of it may be taken for a formula.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{}{}\"", if formula { "'" } else { "" }, cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn what_clients_say_is_text_in_a_spreadsheet() {
        for (cell, written) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=cmd()", "\"'=cmd()\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(quoted(cell), written);
        }
    }
}
