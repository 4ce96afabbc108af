//! A look at every job: what is merely to be noted is noted, and the work is collected.

use super::{Engine, Next, Turn, chance};
use crate::clock::now;
use crate::enforce::installers::Installers;
use farrier_agent_core::enforcement::{Decision, JobKey, Situation, decide};
use farrier_protocol::UnixTime;
use farrier_protocol::enforcement::EnforcementState;

/// Notes that one job takes in a row, at most: they lead to work, or to an end.
const MAX_NOTES: usize = 16;

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Survey {
    scan: bool,
    finish: Option<JobKey>,
    announce: Vec<(JobKey, Option<UnixTime>)>,
    install: Option<JobKey>,
    roll_back: Option<JobKey>,
    download: Vec<JobKey>,
    restart: Vec<JobKey>,
    next_at: Option<UnixTime>,
}

/// What is done first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work<'a> {
    /// Nothing at this time.
    Nothing,
    /// A scan, which serves all jobs.
    Scan,
    /// One installer that has something left to do.
    Finish(JobKey),
    /// Users are told of a restart, and when it is.
    Announce(&'a [(JobKey, Option<UnixTime>)]),
    /// One installation: between two there is time to hear of the site.
    Install(JobKey),
    /// One roll-back.
    RollBack(JobKey),
    /// The content of these, in this order.
    Download(&'a [JobKey]),
    /// One restart for all of these, once there is nothing else to do.
    Restart(&'a [JobKey]),
}

impl Survey {
    /// What is done first.
    pub(super) fn first(&self) -> Work<'_> {
        if self.scan {
            Work::Scan
        } else if let Some(key) = self.finish {
            Work::Finish(key)
        } else if !self.announce.is_empty() {
            Work::Announce(&self.announce)
        } else if let Some(key) = self.install {
            Work::Install(key)
        } else if let Some(key) = self.roll_back {
            Work::RollBack(key)
        } else if !self.download.is_empty() {
            Work::Download(&self.download)
        } else if !self.restart.is_empty() {
            Work::Restart(&self.restart)
        } else {
            Work::Nothing
        }
    }

    /// When there is something to do, if nothing but time changes.
    pub(super) fn next(&self) -> Next {
        self.next_at.map_or(Next::WhenChanged, Next::At)
    }

    fn wait(&mut self, until: Option<UnixTime>, now: UnixTime) {
        let until = until.filter(|until| *until > now);
        self.next_at = self.next_at.into_iter().chain(until).min();
    }
}

impl Engine {
    /// Looks at every job.
    pub(super) fn survey(&mut self, turn: &mut Turn<'_, '_>) -> Survey {
        self.know_selections(turn);
        let mut survey = Survey::default();
        let keys: Vec<_> = turn.board.items().map(|(item, _)| item.key).collect();
        for (position, key) in keys.into_iter().enumerate() {
            if self.is_mine(key) && !turn.skipped.contains(&key) {
                self.survey_job(turn, position, &mut survey);
            }
        }
        survey
    }

    fn survey_job(&self, turn: &mut Turn<'_, '_>, position: usize, survey: &mut Survey) {
        for _ in 0..MAX_NOTES {
            let Some((key, decision)) = self.decide(turn, position) else { return };
            match decision {
                Decision::Nothing => return,
                Decision::Note(note) => match turn.alter(key, |job| job.note(&note, now())) {
                    Some(true) => continue,
                    Some(false) => return survey.wait(note.until, now()),
                    None => return,
                },
                Decision::Rescan => survey.scan = true,
                Decision::Download => survey.download.push(key),
                Decision::Install => drop(survey.install.get_or_insert(key)),
                Decision::RollBack => drop(survey.roll_back.get_or_insert(key)),
                Decision::Finish => drop(survey.finish.get_or_insert(key)),
                Decision::AnnounceRestart { at } => survey.announce.push((key, at)),
                Decision::Restart => survey.restart.push(key),
            }
            return;
        }
        // They contradict each other; the next turn may know more.
        tracing::error!(position, "A job takes no rest: it is left alone for now");
    }

    /// What is to be done about the job at this position of the board.
    pub(super) fn decide(&self, turn: &Turn<'_, '_>, position: usize) -> Option<(JobKey, Decision)> {
        let (item, job) = turn.board.at(position)?;
        let situation = Situation {
            now: now(),
            calendar: &turn.board.calendar,
            scan: self.sight.as_ref().and_then(|sight| sight.state(item.offer.update)),
            content_ready: self.is_content_ready(item),
            previous_ready: self.is_previous_ready(item),
            boot: turn.boot,
            random: chance(),
        };
        Some((item.key, decide(job, &item.terms, &situation)))
    }

    /// A process that finds content downloaded asks the installer again what it wants of it.
    fn know_selections(&mut self, turn: &mut Turn<'_, '_>) {
        let mut installers = Installers::new(turn.session);
        for (item, job) in turn.board.items() {
            let is_needed = match job.state() {
                EnforcementState::Downloading | EnforcementState::Downloaded | EnforcementState::WaitingForWindow => {
                    true
                }
                // It is tried again, or rolled back, with what is here.
                EnforcementState::Waiting => job.installations() > 0,
                _ => false,
            };
            let is_known = self.selections.get(&item.key).is_some_and(|selected| selected.is_of(&item.offer));
            if !is_needed || is_known || !self.is_mine(item.key) {
                continue;
            }
            match installers.select(&turn.board, item, job, self.downloads.store()) {
                Ok(selected) => drop(self.selections.insert(item.key, selected)),
                // It meets the same trouble when it is about to be downloaded, and says so then.
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::debug!(update = item.offer.name, error, "The installer selects nothing");
                    self.selections.remove(&item.key);
                }
            }
        }
    }
}
