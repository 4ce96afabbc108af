//! An installation: calls into guests, each of which changes the endpoint or says why not.

use super::content::{Content, Contents};
use super::error::{InstallCall, InstallError};
use super::files::Writer;
use super::process::Processes;
use super::time::Time;
use super::types::{BlobFile, Change, InstallLimits, InstallerGrants, Options, Outcome, Restart, Selection, Update};
use super::watch::{Restarts, Watch, Watcher};
use super::world::{Installer, InstallerPre, State, wire};
use super::{Entry, answer};
use crate::endpoint::Endpoint;
use crate::facts::Facts;
use crate::limits::{InstanceMeter, Limits, Usage};
use crate::log::GuestLog;
use crate::manifest::Manifest;
use crate::plugin::Host;
use crate::text::printable;
use crate::world::types;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmtime::Store;
use wasmtime::component::Resource;

/// A loaded installer plugin. Cheap to clone.
#[derive(Clone)]
pub struct InstallerPlugin {
    host: Arc<Host>,
    world: InstallerPre<State>,
    manifest: Arc<Manifest>,
    /// The host's, and what the manifest asks for less of.
    limits: Arc<Limits>,
}

/// One plugin at work on one endpoint.
///
/// Every call is a guest of its own in a fresh store, and blocks until the guest has answered: a `select` at most
/// [`Limits::call_milliseconds`], everything else at most [`InstallLimits::max_run`] and a second in which the guest says
/// what happened. Only a program that not even the kernel ends is waited for longer, [`Limits::stop_milliseconds`]. A failed
/// call leaves nothing behind that the next one could stumble over, except on the endpoint.
///
/// Whatever is granted: a `select` only reads facts, and a `plan` changes no file. It may run granted programs, for what
/// they say they would do.
pub struct Installation {
    plugin: InstallerPlugin,
    endpoint: Endpoint,
    grants: InstallerGrants,
    limits: InstallLimits,
    watcher: Watcher,
    usage: Usage,
}

type Answer<T> = wasmtime::Result<Result<T, types::Error>>;

impl InstallerPlugin {
    pub(crate) fn new(host: Arc<Host>, world: InstallerPre<State>, manifest: Manifest, limits: Limits) -> Self {
        Self { host, world, manifest: Arc::new(manifest), limits: Arc::new(limits) }
    }

    /// The plugin's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// An installation on this endpoint. Nothing runs before the first call.
    ///
    /// `watcher` is called, in the thread of the call, with each line of progress: what the plugin says it does, and what the
    /// programs it runs write. The lines are short and harmless to a terminal.
    #[must_use]
    pub fn open(
        &self,
        endpoint: &Endpoint,
        grants: InstallerGrants,
        limits: InstallLimits,
        watcher: impl FnMut(&str) + Send + 'static,
    ) -> Installation {
        let (plugin, endpoint) = (self.clone(), endpoint.clone());
        Installation {
            plugin,
            endpoint,
            grants,
            limits,
            watcher: Arc::new(Mutex::new(watcher)),
            usage: Usage::default(),
        }
    }
}

impl Installation {
    /// Which files of the update this client needs.
    ///
    /// # Errors
    /// When the plugin cannot tell, fails, or names what is not there.
    pub fn select(&mut self, update: &Update) -> Result<Selection, InstallError> {
        let (selection, _) = self.call(InstallCall::Select, &[], |world, store, _| {
            world.farrier_policy_installation().call_select(store, &wire_update(update))
        })?;
        answer::selection(selection, update)
            .map_err(|reason| InstallError::Nonsense { call: InstallCall::Select, reason })
    }

    /// What installing these contents would change, all of it.
    ///
    /// # Errors
    /// Why it must not or cannot be installed, or how the plugin failed.
    pub fn plan(
        &mut self,
        update: &Update,
        contents: &[BlobFile],
        options: Options,
    ) -> Result<Vec<Change>, InstallError> {
        let (changes, _) = self.call(InstallCall::Plan, contents, |world, store, blobs| {
            world.farrier_policy_installation().call_plan(store, &wire_update(update), &blobs, &wire_options(&options))
        })?;
        answer::changes(changes, self.limits())
            .map_err(|reason| InstallError::Nonsense { call: InstallCall::Plan, reason })
    }

    /// Installs these contents.
    ///
    /// # Errors
    /// Why it failed. The endpoint may have been changed all the same.
    pub fn install(
        &mut self,
        update: &Update,
        contents: &[BlobFile],
        options: Options,
    ) -> Result<Outcome, InstallError> {
        let (outcome, restarts) = self.call(InstallCall::Install, contents, |world, store, blobs| {
            world.farrier_policy_installation().call_install(
                store,
                &wire_update(update),
                &blobs,
                &wire_options(&options),
            )
        })?;
        Ok(self.outcome(outcome, restarts))
    }

    /// Makes it stay, now that a scan has found it installed.
    ///
    /// # Errors
    /// Why that failed. The update is installed all the same.
    pub fn finish(&mut self, update: &Update) -> Result<Outcome, InstallError> {
        let (outcome, restarts) = self.call(InstallCall::Finish, &[], |world, store, _| {
            world.farrier_policy_installation().call_finish(store, &wire_update(update))
        })?;
        Ok(self.outcome(outcome, restarts))
    }

    /// Brings back what was there before.
    ///
    /// # Errors
    /// Why that failed. The endpoint may have been changed all the same.
    pub fn roll_back(&mut self, update: &Update, previous: &[BlobFile]) -> Result<Outcome, InstallError> {
        let (outcome, restarts) = self.call(InstallCall::RollBack, previous, |world, store, blobs| {
            world.farrier_policy_installation().call_roll_back(store, &wire_update(update), &blobs)
        })?;
        Ok(self.outcome(outcome, restarts))
    }

    /// Instructions of all calls together, if the runtime is one that [counts](crate::Runtime::counting) them.
    #[must_use]
    pub fn instructions(&self) -> Option<u64> {
        self.plugin.host.counts_instructions().then_some(self.usage.instructions)
    }

    /// Bytes of linear memory of the call that took most.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.usage.memory_bytes
    }

    fn limits(&self) -> &Limits {
        &self.plugin.limits
    }

    fn outcome(&self, outcome: wire::Outcome, restarts: Vec<Restart>) -> Outcome {
        let Limits { notes: most, sentence_bytes, .. } = *self.limits();
        let notes = outcome.notes.iter().take(most).map(|note| printable(note, sentence_bytes)).collect();
        Outcome { notes, restarts }
    }

    /// The time of a call that begins now.
    fn time(&self, call: InstallCall) -> Time {
        let (max_run, limits) = (self.limits.max_run, self.limits());
        match call {
            InstallCall::Start | InstallCall::Select => {
                let computing = Duration::from_millis(limits.call_milliseconds);
                Time::starting_now(computing.min(max_run), limits).without_grace()
            }
            InstallCall::Plan | InstallCall::Install | InstallCall::Finish | InstallCall::RollBack => {
                Time::starting_now(max_run, limits)
            }
        }
    }

    /// Puts a question to a fresh guest.
    fn call<T>(
        &mut self,
        call: InstallCall,
        contents: &[BlobFile],
        ask: impl FnOnce(&Installer, &mut Store<State>, Vec<Resource<Content>>) -> Answer<T>,
    ) -> Result<(T, Vec<Restart>), InstallError> {
        let (Host { engine, ticker, .. }, limits) = (&*self.plugin.host, &*self.plugin.limits);
        let contents = Contents::open(contents)?;
        let _ticker = ticker.hold(engine).map_err(|error| InstallError::Host(error.to_string()))?;
        let mut store = self.state(call, contents).into_store(engine, limits);
        let failed = |call, error: &wasmtime::Error, store: &Store<State>| {
            let State { log, time, .. } = store.data();
            let failure = InstallError::of_engine(call, error, log.last_words(), limits, time.total_seconds());
            tracing::warn!(plugin.name = self.plugin.manifest.name, reason = %failure, "An installer failed.");
            failure
        };
        let world = self.plugin.world.instantiate(&mut store);
        let world = world.map_err(|error| failed(InstallCall::Start, &error, &store))?;
        let blobs = store.data_mut().contents.hand_over().map_err(|error| InstallError::Host(error.to_string()))?;
        let answer = ask(&world, &mut store, blobs);
        self.usage.add(&store, store.data().meter.memory_bytes());
        match answer {
            Ok(Ok(answer)) => Ok((answer, store.into_data().restarts.into_requests())),
            Ok(Err(error)) => Err(InstallError::refused(call, &error, limits)),
            Err(error) => Err(failed(call, &error, &store)),
        }
    }

    fn state(&self, call: InstallCall, contents: Contents) -> State {
        let (limits, endpoint, time) = (self.limits(), &self.endpoint, self.time(call));
        let InstallerGrants { read, write, run } = self.grants.clone();
        let mut facts = Facts::new(endpoint, read, limits);
        facts.set_deadline(time.last_end());
        State {
            endpoint: endpoint.clone(),
            facts,
            log: GuestLog::new(&self.plugin.manifest.name, endpoint, limits),
            contents,
            writer: Writer::new(endpoint, write, call, limits),
            processes: Processes::new(endpoint, run, call, limits),
            watch: Watch::new(Arc::clone(&self.watcher), limits),
            restarts: Restarts::new(limits),
            time,
            limits: limits.clone(),
            meter: InstanceMeter::new(limits),
        }
    }
}

fn wire_update(update: &Update) -> wire::Update {
    let entries = |entries: &[Entry]| {
        let entry = |entry: &Entry| wire::Entry {
            label: entry.label.clone(),
            digest: entry.digest.to_string(),
            length: entry.length,
        };
        entries.iter().map(entry).collect()
    };
    wire::Update {
        name: update.name.clone(),
        instructions: update.instructions.clone(),
        contents: entries(&update.contents),
        previous: entries(&update.previous),
    }
}

fn wire_options(options: &Options) -> wire::Options {
    wire::Options { allow_removals: options.allow_removals, more: options.more.clone() }
}
