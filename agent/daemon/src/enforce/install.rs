//! The installer at work: from here on the endpoint changes, so the journal is always one step ahead.

use super::board::Item;
use super::installers::{Installers, Selected, blobs, update};
use super::{Engine, Turn, chance, conduct_of_failure};
use crate::clock::now;
use crate::deployments::OfferedFile;
use crate::scan::conduct;
use crate::user::Posted;
use anyhow::{Context as _, bail};
use farrier_agent_core::enforcement::{BootId, Decision, JobKey, Outcome};
use farrier_agent_core::versions::Conduct;
use farrier_runtime::Installation;
use farrier_runtime::install::{self, BlobFile, Change, Options, RestartSubject, Update};

/// Changes of a plan that the log has, at most.
const MAX_LOGGED_CHANGES: usize = 50;

/// Everything is ready; only a call is missing.
struct Ready {
    installation: Installation,
    update: Update,
    blobs: Vec<BlobFile>,
}

impl Engine {
    /// Plans and installs.
    pub(super) async fn install(&mut self, turn: &mut Turn<'_, '_>, key: JobKey) -> anyhow::Result<()> {
        let Some((item, job)) = turn.board.item(key).map(|(item, job)| (item.clone(), job)) else { return Ok(()) };
        let selected = match Installers::new(turn.session).select(&turn.board, &item, job, self.store()) {
            Ok(selected) => selected,
            Err(error) => return self.refuse(turn, &item, &error),
        };
        self.selections.insert(key, selected.clone());
        if !self.verify(&selected.contents).await {
            let reason = "a downloaded file is gone or was damaged: it is downloaded again";
            turn.alter(key, |job| job.content_missing(reason, None, chance(), now()));
            return turn.commit();
        }
        let options = Options { allow_removals: item.policy.allow_removals, more: Vec::new() };
        let mut ready = match self.plan(turn, &item, &selected, options.clone()) {
            Ok(ready) => ready,
            Err(error) => return self.refuse(turn, &item, &error),
        };
        // A plan takes its time: a window may have closed, or somebody set the clock.
        if !matches!(self.decide_about(turn, key), Some(Decision::Install)) {
            return Ok(());
        }
        let boot = turn.boot;
        if turn.alter(key, |job| job.installation_begun(boot, now())).is_none() {
            return Ok(());
        }
        turn.commit()?;
        self.send(turn).await;
        let _posted = Posted::new(turn.session, &turn.board);
        tracing::info!(update = item.offer.name, deployment.id = %key.0, "Installing");
        let installed = ready.installation.install(&ready.update, &ready.blobs, options);
        self.sight = None;
        let conduct = match &installed {
            Ok(_) => Conduct::Sound,
            Err(error) => conduct(&anyhow::Error::new(error.clone())),
        };
        match installed {
            Ok(outcome) => {
                let (notes, restart) = (notes(&outcome, None), restart(&outcome, turn.boot));
                tracing::info!(update = item.offer.name, notes, restart = restart.is_some(), "The installer is done");
                let outcome = Outcome::Done { notes: &notes, restart };
                turn.alter(key, |job| job.installation_ended(outcome, now()));
            }
            Err(error) => {
                let reason = error.to_string();
                tracing::warn!(update = item.offer.name, error = reason, "The installer failed");
                turn.alter(key, |job| job.installation_ended(Outcome::Failed(&reason), now()));
            }
        }
        turn.commit()?;
        turn.judge(&item.offer.installer, conduct);
        Ok(())
    }

    /// Has the installer do what is left to do once a scan proved what it did.
    pub(super) fn finish_update(&mut self, turn: &mut Turn<'_, '_>, key: JobKey) -> anyhow::Result<()> {
        let Some(item) = turn.board.item(key).map(|(item, _)| item.clone()) else { return Ok(()) };
        turn.alter(key, |job| {
            job.finish_begun();
            Ok(())
        });
        turn.commit()?;
        let posted = Posted::new(turn.session, &turn.board);
        let finished = Installers::new(turn.session)
            .open(&turn.board, &item)
            .and_then(|mut installation| Ok(installation.finish(&update(&item.offer))?));
        drop(posted);
        // It may have changed the endpoint; and its next try is to come after another scan.
        self.sight = None;
        match finished {
            Ok(outcome) => {
                // What it did is proved, so nothing waits for this restart.
                let notes = notes(&outcome, Some("the machine is to be restarted"));
                tracing::info!(update = item.offer.name, notes, "The installer has finished");
                turn.alter(key, |job| {
                    job.finish_ended(Ok(&notes));
                    Ok(())
                });
            }
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(update = item.offer.name, error = reason, "The installer could not finish");
                turn.alter(key, |job| {
                    job.finish_ended(Err(&reason));
                    Ok(())
                });
                turn.judge(&item.offer.installer, conduct_of_failure(&error));
            }
        }
        turn.commit()
    }

    /// Brings back what was there before.
    pub(super) async fn roll_back(&mut self, turn: &mut Turn<'_, '_>, key: JobKey) -> anyhow::Result<()> {
        let Some(item) = turn.board.item(key).map(|(item, _)| item.clone()) else { return Ok(()) };
        let ready = self.ready_to_roll_back(turn, &item).await;
        if turn.alter(key, |job| job.roll_back_begun(now())).is_none() {
            return Ok(());
        }
        turn.commit()?;
        self.send(turn).await;
        let _posted = Posted::new(turn.session, &turn.board);
        tracing::info!(update = item.offer.name, deployment.id = %key.0, "Rolling back");
        let rolled_back = ready.and_then(|mut ready| {
            ready.installation.roll_back(&ready.update, &ready.blobs)?;
            Ok(())
        });
        self.sight = None;
        match rolled_back {
            Ok(()) => drop(turn.alter(key, |job| job.roll_back_ended(Ok(()), now()))),
            Err(error) => {
                let reason = format!("{error:#}");
                tracing::warn!(update = item.offer.name, error = reason, "The roll-back failed");
                turn.alter(key, |job| job.roll_back_ended(Err(&reason), now()));
                turn.judge(&item.offer.installer, conduct_of_failure(&error));
            }
        };
        turn.commit()
    }

    fn plan(&self, turn: &Turn<'_, '_>, item: &Item, selected: &Selected, options: Options) -> anyhow::Result<Ready> {
        let mut installation = Installers::new(turn.session).open(&turn.board, item)?;
        let (update, blobs) = (update(&item.offer), blobs(self.store(), &selected.contents));
        let changes = installation.plan(&update, &blobs, options)?;
        for Change { subject, action, detail } in changes.iter().take(MAX_LOGGED_CHANGES) {
            tracing::info!(update = item.offer.name, subject, action, detail, "Planned");
        }
        Ok(Ready { installation, update, blobs })
    }

    async fn ready_to_roll_back(&self, turn: &Turn<'_, '_>, item: &Item) -> anyhow::Result<Ready> {
        let selected = self.selections.get(&item.key).context("nothing is known of what was there before")?;
        if !self.verify(&selected.previous).await {
            bail!("the content of what was there before is gone or was damaged");
        }
        let installation = Installers::new(turn.session).open(&turn.board, item)?;
        Ok(Ready { installation, update: update(&item.offer), blobs: blobs(self.store(), &selected.previous) })
    }

    /// Whether every byte is as it was signed; what is not is removed.
    async fn verify(&self, files: &[OfferedFile]) -> bool {
        let mut all = true;
        for file in files {
            all &= self.store().verify(&file.digest, file.length).await;
        }
        all
    }

    fn refuse(&self, turn: &mut Turn<'_, '_>, item: &Item, error: &anyhow::Error) -> anyhow::Result<()> {
        let (key, reason) = (item.key, format!("{error:#}"));
        tracing::warn!(deployment.id = %key.0, update.id = %key.1, error = reason, "The installer refuses");
        turn.alter(key, |job| job.refused(&reason, chance(), now()));
        turn.commit()?;
        turn.judge(&item.offer.installer, conduct_of_failure(error));
        Ok(())
    }

    fn decide_about(&self, turn: &Turn<'_, '_>, key: JobKey) -> Option<Decision> {
        let position = turn.board.items().position(|(item, _)| item.key == key)?;
        self.decide(turn, position).map(|(_, decision)| decision)
    }
}

/// What an administrator should know, in one text; of a restart of the machine, this.
fn notes(outcome: &install::Outcome, machine: Option<&str>) -> String {
    let restarts = outcome.restarts.iter().filter_map(|restart| match &restart.subject {
        RestartSubject::Service(service) => Some(format!("the service {service} is to be restarted")),
        RestartSubject::Other(other) => Some(format!("{other} is to be restarted")),
        RestartSubject::Machine => machine.map(str::to_owned),
    });
    outcome.notes.iter().cloned().chain(restarts).collect::<Vec<_>>().join("; ")
}

/// The boot in which it was installed, if it takes effect with the next one.
fn restart(outcome: &install::Outcome, boot: Option<BootId>) -> Option<BootId> {
    boot.filter(|_| outcome.restarts.iter().any(|restart| restart.subject == RestartSubject::Machine))
}
