//! The installer plugins at work: which files of an update they select, and the calls that change the endpoint.

use super::board::{Board, Item, fetch_if_missing};
use crate::deployments::{Offer, OfferedFile};
use crate::download::UpdateStore;
use crate::progress::Progress;
use crate::scan::Scanner;
use crate::session::Session;
use anyhow::Context as _;
use farrier_agent_core::enforcement::Job;
use farrier_protocol::Digest;
use farrier_protocol::assignment::AssignedInstaller;
use farrier_runtime::install::{BlobFile, Entry, Update};
use farrier_runtime::{GrantLists, InstallLimits, Installation, InstallerGrants, InstallerPlugin};
use std::collections::BTreeMap;
use std::time::Duration;

/// The shortest time an installation gets, whatever its policy says.
const MIN_RUN_SECONDS: u32 = 60;

/// The installers of one turn, each loaded once.
pub(super) struct Installers<'a> {
    session: &'a Session<'a>,
    scanner: Option<Scanner<'a>>,
    loaded: BTreeMap<Digest, (InstallerPlugin, InstallerGrants)>,
}

/// What an installer selected of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selected {
    /// Of what: another offer needs another selection.
    offer: Offer,
    /// What is to be installed.
    pub(super) contents: Vec<OfferedFile>,
    /// What a roll-back would install.
    pub(super) previous: Vec<OfferedFile>,
}

impl Selected {
    /// Whether it was made of this offer.
    pub(super) fn is_of(&self, offer: &Offer) -> bool {
        self.offer == *offer
    }

    /// The files that are needed, those to be installed first.
    pub(super) fn files(&self) -> impl Iterator<Item = &OfferedFile> {
        self.contents.iter().chain(&self.previous)
    }
}

impl<'a> Installers<'a> {
    /// The installers on this session's endpoint.
    pub(super) fn new(session: &'a Session<'a>) -> Self {
        Self { session, scanner: None, loaded: BTreeMap::new() }
    }

    /// An installer at work on this update. Its words are shown to whoever watches.
    pub(super) fn open(&mut self, board: &Board, item: &Item) -> anyhow::Result<Installation> {
        let name = &item.offer.installer;
        let assigned = board.installer(name)?;
        let failed = || format!("the installer {name} cannot be used");
        if let Some(unfit) = board.unfit(&assigned.digest) {
            return Err(anyhow::Error::new(unfit.clone())).with_context(failed);
        }
        let (plugin, grants) = self.load(assigned).with_context(failed)?;
        let seconds = item.offer.max_run_seconds.max(MIN_RUN_SECONDS);
        let limits = InstallLimits { max_run: Duration::from_secs(seconds.into()) };
        let (update, progress) = (item.offer.name.clone(), Progress::on_terminal());
        let watcher = move |words: &str| {
            progress.show(format_args!("{update}: {words}"));
            tracing::debug!(update, words, "The installer is at work");
        };
        Ok(plugin.open(&self.session.agent.endpoint, grants, limits, watcher))
    }

    /// Which files this client needs of an update.
    ///
    /// Once the installer has been at work, the endpoint may be half way: then what is in `store` counts, too, because
    /// it was selected before.
    pub(super) fn select(
        &mut self,
        board: &Board,
        item: &Item,
        job: &Job,
        store: &UpdateStore,
    ) -> anyhow::Result<Selected> {
        let offer = &item.offer;
        let selection = self.open(board, item)?.select(&update(offer))?;
        let was_selected = |file: &OfferedFile| job.installations() > 0 && store.has(&file.digest, file.length);
        let pick = |files: &[OfferedFile], is_chosen: &dyn Fn(usize, &OfferedFile) -> bool| -> Vec<_> {
            let files = files.iter().enumerate().filter(|(position, file)| is_chosen(*position, file));
            files.map(|(_, file)| file.clone()).collect()
        };
        let mut contents = pick(&offer.contents, &|position, _| selection.contents.contains(&position));
        if contents.is_empty() {
            contents = pick(&offer.contents, &|_, file| was_selected(file));
        }
        // What its author has put into the instructions needs no content.
        anyhow::ensure!(
            !contents.is_empty() || offer.contents.is_empty(),
            "the installer {} finds nothing to install of it, although a scan says that it is required",
            offer.installer
        );
        let previous = match item.policy.roll_back {
            true => {
                let is_chosen =
                    |position: usize, file: &OfferedFile| selection.previous.contains(&position) || was_selected(file);
                pick(&offer.previous, &is_chosen)
            }
            false => Vec::new(),
        };
        Ok(Selected { offer: offer.clone(), contents, previous })
    }

    fn load(&mut self, assigned: &AssignedInstaller) -> anyhow::Result<(InstallerPlugin, InstallerGrants)> {
        if let Some((plugin, grants)) = self.loaded.get(&assigned.digest) {
            return Ok((plugin.clone(), grants.clone()));
        }
        let session = self.session;
        let scanner = match &self.scanner {
            Some(scanner) => scanner,
            None => {
                let policy = session.policy().context("there is no policy to install by")?;
                self.scanner.insert(Scanner::open(session.agent, &session.identity, &session.content, &policy)?)
            }
        };
        let plugin = scanner.installer(assigned).inspect_err(|error| fetch_if_missing(session, error))?;
        let own = &session.agent.config.plugins;
        let allowed = GrantLists { read: own.read.clone(), write: own.write.clone(), run: own.run.clone() };
        let grants = InstallerGrants::new(plugin.manifest(), &GrantLists::from(assigned), &allowed)?;
        self.loaded.insert(assigned.digest, (plugin.clone(), grants.clone()));
        Ok((plugin, grants))
    }
}

/// An offer as installers see it.
pub(super) fn update(offer: &Offer) -> Update {
    let entries = |files: &[OfferedFile]| {
        let entry = |file: &OfferedFile| Entry { label: file.label.clone(), digest: file.digest, length: file.length };
        files.iter().map(entry).collect()
    };
    Update {
        name: offer.name.clone(),
        contents: entries(&offer.contents),
        previous: entries(&offer.previous),
        instructions: offer.instructions.clone(),
    }
}

/// Downloaded files as installers see them.
pub(super) fn blobs(store: &UpdateStore, files: &[OfferedFile]) -> Vec<BlobFile> {
    let blob = |file: &OfferedFile| BlobFile {
        label: file.label.clone(),
        path: store.path(&file.digest),
        digest: file.digest,
        length: file.length,
    };
    files.iter().map(blob).collect()
}
