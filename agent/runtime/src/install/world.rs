//! The installer world as the host provides it: what an applicability plugin has, and effects that need grants.

use super::content::Contents;
use super::files::Writer;
use super::process::Processes;
use super::time::Time;
use super::watch::{Restarts, Watch};
use crate::endpoint::Endpoint;
use crate::engine::TICKS_AT_ONCE;
use crate::facts::{Facts, OpenFile};
use crate::limits::{ALL_FUEL, InstanceMeter, Limits};
use crate::log::GuestLog;
use crate::world::{HasLog, facts, log, types};
use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime::{Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "installer",
        imports: { default: trappable },
        with: {
            "farrier:policy/types": crate::world::bindings::farrier::policy::types,
            "farrier:policy/facts": crate::world::bindings::farrier::policy::facts,
            "farrier:policy/log": crate::world::bindings::farrier::policy::log,
            "farrier:policy/content.blob": crate::install::content::Content,
            "farrier:policy/files.folder": crate::install::files::OpenFolder,
            "farrier:policy/files.target": crate::install::files::OpenTarget,
            "farrier:policy/process.program": crate::install::process::OpenProgram,
        },
    });
}

pub(super) use bindings::Installer;
pub(crate) use bindings::InstallerPre;
pub(super) use bindings::exports::farrier::policy::installation as wire;
pub(super) use bindings::farrier::policy::{content, files, process, progress, restart};

/// The interfaces a plugin may import, without their version.
pub(crate) const IMPORTS: [&str; 8] = [
    "farrier:policy/types",
    "farrier:policy/facts",
    "farrier:policy/log",
    "farrier:policy/content",
    "farrier:policy/files",
    "farrier:policy/process",
    "farrier:policy/progress",
    "farrier:policy/restart",
];
/// The interface it has to export, without its version.
pub(crate) const EXPORT: &str = "farrier:policy/installation";

/// What the host keeps for one guest.
pub(crate) struct State {
    pub(super) endpoint: Endpoint,
    pub(super) facts: Facts,
    pub(super) log: GuestLog,
    pub(super) contents: Contents,
    pub(super) writer: Writer,
    pub(super) processes: Processes,
    pub(super) watch: Watch,
    pub(super) restarts: Restarts,
    pub(super) time: Time,
    pub(super) limits: Limits,
    pub(super) meter: InstanceMeter,
}

impl State {
    /// A store for this guest.
    pub(super) fn into_store(self, engine: &Engine, limits: &Limits) -> Store<Self> {
        let handles = limits.handles.saturating_add(self.contents.len());
        let mut store = Store::new(engine, self);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.passed_bytes);
        store.set_max_component_handles(handles);
        // An error where the engine does not count: then there is nothing to give.
        let _ = store.set_fuel(ALL_FUEL);
        store.epoch_deadline_callback(|guest| guest.data().time.go_on());
        store.set_epoch_deadline(TICKS_AT_ONCE);
        store
    }
}

/// Links what [`IMPORTS`] names.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    facts::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    log::add_to_linker::<_, HasLog>(&mut linker, |state: &mut State| &mut state.log)?;
    content::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    files::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    process::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    progress::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    restart::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}

impl types::Host for State {}

/// As for an applicability plugin, except that waiting for the endpoint is no computing.
impl facts::Host for State {
    fn open_file(&mut self, path: String) -> wasmtime::Result<Result<Resource<OpenFile>, types::Error>> {
        let answer = self.facts.open_file(path);
        self.time.returned();
        answer
    }

    fn list_folder(&mut self, path: String) -> wasmtime::Result<Result<Vec<String>, types::Error>> {
        let answer = self.facts.list_folder(path);
        self.time.returned();
        answer
    }

    fn stat(&mut self, path: String) -> wasmtime::Result<Result<facts::Status, types::Error>> {
        let answer = self.facts.stat(path);
        self.time.returned();
        answer
    }

    fn digest(&mut self, path: String) -> wasmtime::Result<Result<String, types::Error>> {
        let answer = self.facts.digest(path);
        self.time.returned();
        answer
    }

    fn os(&mut self) -> wasmtime::Result<Vec<facts::Fact>> {
        let answer = self.facts.os();
        self.time.returned();
        answer
    }

    fn query(&mut self, name: String, argument: String) -> wasmtime::Result<Result<String, types::Error>> {
        let answer = self.facts.query(name, argument);
        self.time.returned();
        answer
    }
}

impl facts::HostFile for State {
    fn size(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<u64> {
        self.facts.size(file)
    }

    fn read(&mut self, file: Resource<OpenFile>, max: u32) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        let answer = self.facts.read(file, max);
        self.time.returned();
        answer
    }

    fn read_at(
        &mut self,
        file: Resource<OpenFile>,
        offset: u64,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, types::Error>> {
        let answer = self.facts.read_at(file, offset, max);
        self.time.returned();
        answer
    }

    fn drop(&mut self, file: Resource<OpenFile>) -> wasmtime::Result<()> {
        self.facts.drop(file)
    }
}
