//! The content of jobs: what the installer selected is fetched, in the order of the jobs, for as long as the turn
//! allows.

use super::board::Item;
use super::installers::{Installers, Selected};
use super::{Engine, Turn, chance, conduct_of_failure};
use crate::clock::now;
use crate::deployments::OfferedFile;
use crate::download::{Bytes, Fetched, Obstacle, UpdateStore, Wanted};
use crate::site::Site;
use farrier_agent_core::enforcement::JobKey;
use farrier_protocol::Digest;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How often the site hears of the progress of downloads.
const PROGRESS_PERIOD: Duration = Duration::from_secs(60);

/// How the fetching of one file ended.
enum File {
    /// It is here.
    Here,
    /// The turn's time is up, or the job's allowance used.
    Later,
    /// It cannot be had now.
    Missing(Obstacle),
}

impl Engine {
    /// Whether everything that the installer selected is here, with the way back where there is to be one.
    pub(super) fn is_content_ready(&self, item: &Item) -> bool {
        self.selected(item).is_some_and(|selected| {
            let has_way_back = self.without_previous.contains(&item.key) || self.has_all(&selected.previous);
            self.has_all(&selected.contents) && has_way_back
        })
    }

    /// Whether everything that a roll-back needs is here.
    pub(super) fn is_previous_ready(&self, item: &Item) -> bool {
        self.selected(item).is_some_and(|selected| !selected.previous.is_empty() && self.has_all(&selected.previous))
    }

    /// Fetches the content of these jobs.
    pub(super) async fn download(&mut self, turn: &mut Turn<'_, '_>, jobs: &[JobKey]) -> anyhow::Result<()> {
        let begun = self.begin(turn, jobs);
        turn.commit()?;
        self.sight = None;
        let site = turn.session.site()?;
        let pinned = self.pinned(turn);
        for (key, allowance) in begun {
            let is_over = self.fetch(turn, key, allowance, &pinned, &site).await;
            self.commit_progress(turn)?;
            if is_over || Instant::now() >= turn.until {
                break;
            }
        }
        turn.session.agent.progress.clear();
        Ok(())
    }

    /// Stores what came. The site need not hear of every megabyte.
    fn commit_progress(&mut self, turn: &mut Turn<'_, '_>) -> anyhow::Result<()> {
        let is_time = self.progress_told_at.is_none_or(|told_at| told_at.elapsed() >= PROGRESS_PERIOD);
        if is_time {
            self.progress_told_at = Some(Instant::now());
        }
        turn.board.commit(&turn.session.spool, is_time)
    }

    /// Has the installer select. All jobs at once, because the scan that they were decided by proves nothing after a
    /// download.
    fn begin(&mut self, turn: &mut Turn<'_, '_>, jobs: &[JobKey]) -> Vec<(JobKey, u64)> {
        let mut begun = Vec::new();
        for key in jobs {
            let Some((item, job)) = turn.board.item(*key) else { continue };
            let selected = match Installers::new(turn.session).select(&turn.board, item, job, self.downloads.store()) {
                Ok(selected) => selected,
                Err(error) => {
                    let (reason, is_its_time) = (format!("{error:#}"), job.is_its_time(&item.terms, now()));
                    // Before its time that costs no attempt: what is in the way may be gone by then.
                    let installer = item.offer.installer.clone();
                    turn.alter(*key, |job| match is_its_time {
                        true => job.refused(&reason, chance(), now()),
                        false => job.content_missing(&reason, None, chance(), now()),
                    });
                    turn.judge(&installer, conduct_of_failure(&error));
                    continue;
                }
            };
            let length = selected.files().map(|file| file.length).sum();
            let left = self.missing_bytes(&selected);
            self.selections.insert(*key, selected);
            if let Some(allowance) = turn.alter(*key, |job| job.download_begun(length, left, now())) {
                begun.push((*key, allowance));
            }
        }
        begun
    }

    /// Fetches what one job needs. Returns whether the turn is over.
    async fn fetch(
        &mut self,
        turn: &mut Turn<'_, '_>,
        key: JobKey,
        mut allowance: u64,
        pinned: &BTreeSet<Digest>,
        site: &Site,
    ) -> bool {
        let (Some(item), Some(selected)) =
            (turn.board.item(key).map(|(item, _)| item.clone()), self.selections.get(&key).cloned())
        else {
            return false;
        };
        let is_previous = |file: &OfferedFile| !selected.contents.contains(file);
        for file in selected.files() {
            turn.session.agent.progress.show(format_args!(
                "Downloading {} ({})",
                file.label,
                Bytes(self.missing_bytes(&selected))
            ));
            match self.fetch_file(turn, &item, file, &mut allowance, pinned, site).await {
                File::Here if allowance > 0 => {}
                // More than was ever signed: whether it goes on is decided anew.
                File::Here => return false,
                File::Later => return Instant::now() >= turn.until,
                // A way back is good to have, but no reason not to go on.
                File::Missing(obstacle) if is_previous(file) => {
                    tracing::info!(file = file.label, %obstacle, "There is no way back from this installation");
                    self.without_previous.insert(key);
                    break;
                }
                File::Missing(obstacle) => {
                    let retry_after = retry_after_seconds(&obstacle);
                    let reason = obstacle.to_string();
                    turn.alter(key, |job| job.content_missing(&reason, retry_after, chance(), now()));
                    return false;
                }
            }
        }
        turn.alter(key, |job| job.content_ready(now()));
        false
    }

    async fn fetch_file(
        &mut self,
        turn: &mut Turn<'_, '_>,
        item: &Item,
        file: &OfferedFile,
        allowance: &mut u64,
        pinned: &BTreeSet<Digest>,
        site: &Site,
    ) -> File {
        let OfferedFile { digest, length, url, .. } = file.clone();
        let wanted = Wanted { digest, length, url, sources: &item.policy.sources };
        let (fetched, bytes) = self.downloads.advance(&wanted, pinned, site, turn.until).await;
        *allowance = allowance.saturating_sub(bytes);
        if bytes > 0 {
            let left = self.selections.get(&item.key).map_or(0, |selected| self.missing_bytes(selected));
            turn.alter(item.key, |job| {
                job.downloaded(bytes, left);
                Ok(())
            });
        }
        match fetched {
            Fetched::Complete => File::Here,
            Fetched::Blocked(obstacle) => File::Missing(obstacle),
            Fetched::More => File::Later,
        }
    }

    fn selected(&self, item: &Item) -> Option<&Selected> {
        self.selections.get(&item.key).filter(|selected| selected.is_of(&item.offer))
    }

    fn has_all(&self, files: &[OfferedFile]) -> bool {
        files.iter().all(|file| self.store().has(&file.digest, file.length))
    }

    fn missing_bytes(&self, selected: &Selected) -> u64 {
        selected.files().map(|file| self.store().missing_bytes(&file.digest, file.length)).sum()
    }

    /// What must not make room for anything: whatever a job may still need. Of a job whose selection is not known that
    /// is all that is offered.
    fn pinned(&self, turn: &Turn<'_, '_>) -> BTreeSet<Digest> {
        let is_needed = |(key, digest): &(JobKey, Digest)| {
            self.selections.get(key).is_none_or(|selected| selected.files().any(|file| file.digest == *digest))
        };
        turn.board.offered_files().filter(is_needed).map(|(_, digest)| digest).collect()
    }

    pub(super) fn store(&self) -> &UpdateStore {
        self.downloads.store()
    }
}

fn retry_after_seconds(obstacle: &Obstacle) -> Option<u32> {
    match obstacle {
        Obstacle::NoSource { retry_after_seconds, .. } => *retry_after_seconds,
        Obstacle::QuotaUsed { until } => u32::try_from(until.saturating_sub(now())).ok(),
        Obstacle::DiskFull { .. } | Obstacle::CacheFull { .. } | Obstacle::Disk { .. } => None,
    }
}
