//! The applicability world as the host provides it: facts and log, and nothing else.

use crate::engine::go_on;
use crate::facts::Facts;
use crate::limits::{ALL_FUEL, InstanceMeter, Limits};
use crate::log::GuestLog;
use std::time::Instant;
use wasmtime::component::{HasData, Linker};
use wasmtime::{Engine, Store};

pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "applicability",
        imports: { default: trappable },
        with: { "farrier:policy/facts.file": crate::facts::OpenFile },
        additional_derives: [PartialEq],
    });
}

pub(crate) use bindings::farrier::policy::{facts, log, types};
pub(crate) use bindings::{Applicability, ApplicabilityPre};

/// The interfaces a plugin may import, without their version.
pub(crate) const IMPORTS: [&str; 3] = ["farrier:policy/types", "farrier:policy/facts", "farrier:policy/log"];
/// The interface it has to export, without its version.
pub(crate) const EXPORT: &str = "farrier:policy/compliance";

/// What the host keeps for one guest. It outlives the guest's store, so that what is logged once is logged once a scan.
pub(crate) struct State {
    pub(crate) facts: Facts,
    pub(crate) log: GuestLog,
    meter: InstanceMeter,
}

impl State {
    pub(crate) fn new(facts: Facts, log: GuestLog, limits: &Limits) -> Self {
        Self { facts, log, meter: InstanceMeter::new(limits) }
    }

    /// Bytes of linear memory the guest took until now.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.meter.memory_bytes()
    }

    /// A store for a new guest.
    pub(crate) fn into_store(mut self, engine: &Engine, limits: &Limits) -> Store<Self> {
        self.meter = InstanceMeter::new(limits);
        self.facts.close_all();
        let mut store = Store::new(engine, self);
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(limits.passed_bytes);
        store.set_max_component_handles(limits.handles);
        // An error where the engine does not count: then there is nothing to give.
        let _ = store.set_fuel(ALL_FUEL);
        store.epoch_deadline_callback(|guest| Ok(go_on(Instant::now(), guest.data().facts.deadline())));
        store
    }
}

impl types::Host for Facts {}

/// Facts, as linkers find them.
pub(crate) struct HasFacts;

impl HasData for HasFacts {
    type Data<'a> = &'a mut Facts;
}

/// The log, as linkers find it.
pub(crate) struct HasLog;

impl HasData for HasLog {
    type Data<'a> = &'a mut GuestLog;
}

/// Links what [`IMPORTS`] names.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    types::add_to_linker::<_, HasFacts>(&mut linker, |state: &mut State| &mut state.facts)?;
    facts::add_to_linker::<_, HasFacts>(&mut linker, |state: &mut State| &mut state.facts)?;
    log::add_to_linker::<_, HasLog>(&mut linker, |state: &mut State| &mut state.log)?;
    Ok(linker)
}
