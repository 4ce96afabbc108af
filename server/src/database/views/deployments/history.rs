//! A deployment over time.

use super::counts::EnforcementCounts;
use super::list::enforcement_state;
use crate::database::Database;
use farrier_protocol::DeploymentId;
use serde::Serialize;
use sqlx::Row as _;
use std::collections::BTreeMap;

/// How the clients stood at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryPoint {
    /// When.
    pub at: i64,
    /// The clients by how far they were from then on.
    pub clients: EnforcementCounts,
}

impl Database {
    /// The course of a deployment, or of its phase at this place: a point whenever the counts changed, oldest first,
    /// thinned out evenly to at most so many, the last of which always stays.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn deployment_history(
        &self,
        deployment: DeploymentId,
        phase: Option<i64>,
        most: usize,
    ) -> Result<Vec<HistoryPoint>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT h.at, h.phase, h.state, h.clients FROM deployment_history h \
             JOIN deployments d ON d.id = h.deployment_id WHERE d.deployment_id = $1 ORDER BY h.at",
        )
        .bind(deployment.as_bytes())
        .fetch_all(&self.pool)
        .await?;
        let mut phases: BTreeMap<i64, EnforcementCounts> = BTreeMap::new();
        let mut points: Vec<HistoryPoint> = Vec::new();
        for row in rows {
            let (at, place): (i64, i64) = (row.try_get("at")?, row.try_get("phase")?);
            if phase.is_some_and(|phase| phase != place) {
                continue;
            }
            let state = enforcement_state(row.try_get::<Option<i64>, _>("state")?.filter(|state| *state >= 0))?;
            phases.entry(place).or_default().set(state, row.try_get("clients")?);
            let mut clients = EnforcementCounts::default();
            phases.values().for_each(|counts| clients += *counts);
            match points.last_mut() {
                Some(last) if last.at == at => last.clients = clients,
                _ => points.push(HistoryPoint { at, clients }),
            }
        }
        Ok(thinned(points, most))
    }
}

fn thinned(points: Vec<HistoryPoint>, most: usize) -> Vec<HistoryPoint> {
    let (count, most) = (points.len(), most.max(1));
    if count <= most {
        return points;
    }
    let kept = |index: usize| (index + 1) * most / count > index * most / count;
    points.into_iter().enumerate().filter(|(index, _)| kept(*index)).map(|(_, point)| point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_point_always_stays() {
        for (count, most) in [(0, 5), (3, 5), (5, 5), (6, 5), (1_000, 7), (10, 1), (10, 0)] {
            let points = (0..count).map(|at| HistoryPoint { at, clients: EnforcementCounts::default() }).collect();
            let left = thinned(points, most);
            assert!(left.len() <= most.max(1), "{count} {most}");
            assert_eq!(left.last().map(|point| point.at), (count > 0).then(|| count - 1), "{count} {most}");
        }
    }
}
