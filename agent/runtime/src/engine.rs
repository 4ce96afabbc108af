//! The engine profile: every setting of the engine that compiled code depends on, in one place.
//!
//! An artefact runs only in an engine with the settings it was compiled for. Compiler and agent both take them from
//! [`Profile`], and whatever changes here has to change [`Profile::id`].

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, OptLevel, UpdateDeadline, WasmFeatures};

/// The exact version of the engine; a test compares it with `Cargo.lock`.
const WASMTIME_VERSION: &str = "48.0.8";
/// Grows with every change of [`Profile::config`].
const SETTINGS_REVISION: u32 = 1;

/// Address space of one linear memory, which is also as far as it can grow: it never moves.
pub(crate) const MEMORY_RESERVATION_BYTES: u64 = 64 << 20;
/// Address space that faults, on both sides of a linear memory.
const MEMORY_GUARD_BYTES: u64 = 64 << 10;
/// The period of the epoch.
const TICK_MILLISECONDS: u64 = 10;
/// How many ticks a guest computes before it is asked whether its time is up. They come late, each by a little, so that many
/// of them are no measure of time.
pub(crate) const TICKS_AT_ONCE: u64 = 1;
/// Stack of the ticker's thread, which calls nothing deep.
const TICKER_STACK_BYTES: usize = 64 << 10;

/// How components are executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// As code of this machine.
    Native,
    /// As bytecode of the Pulley interpreter: any machine, no executable memory, some thirty times slower.
    Pulley,
    /// As code of this machine that counts the instructions of the component. For measuring: the number is the same on
    /// every machine.
    Counting,
}

impl Profile {
    /// The profiles that agents use.
    pub const ALL: [Self; 2] = [Self::Native, Self::Pulley];

    /// Names everything an artefact depends on: engine version, target and settings. Artefacts are cached under it.
    #[must_use]
    pub fn id(self) -> String {
        let target = match self {
            Self::Native => format!("native-{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            Self::Pulley => PULLEY_TARGET.to_owned(),
            Self::Counting => format!("counting-{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        };
        format!("wasmtime-{WASMTIME_VERSION}/{target}/settings-{SETTINGS_REVISION}")
    }

    /// The profile of this machine with this id.
    #[must_use]
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([Self::Counting]).find(|profile| profile.id() == id)
    }

    /// An engine that compiles. It costs megabytes; only a compiling process makes one.
    pub(crate) fn compiling_engine(self) -> wasmtime::Result<Engine> {
        Engine::new(self.config()?.cranelift_opt_level(OptLevel::Speed))
    }

    /// An engine that only runs what is compiled; it touches no page of the compiler.
    pub(crate) fn running_engine(self, wasm_stack_bytes: usize) -> wasmtime::Result<Engine> {
        Engine::new(self.config()?.enable_compiler(false).max_wasm_stack(wasm_stack_bytes))
    }

    fn config(self) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        if self == Self::Pulley {
            config.target(PULLEY_TARGET)?;
        }
        config
            .memory_reservation(MEMORY_RESERVATION_BYTES)
            .memory_reservation_for_growth(0)
            .memory_guard_size(MEMORY_GUARD_BYTES)
            .memory_may_move(false)
            .memory_init_cow(false)
            .epoch_interruption(true)
            .consume_fuel(self == Self::Counting)
            .generate_address_map(false)
            .native_unwind_info(cfg!(windows))
            .wasm_backtrace_max_frames(None)
            .wasm_features(UNNEEDED_FEATURES, false);
        Ok(config)
    }
}

#[cfg(all(target_pointer_width = "64", target_endian = "little"))]
const PULLEY_TARGET: &str = "pulley64";
#[cfg(all(target_pointer_width = "32", target_endian = "little"))]
const PULLEY_TARGET: &str = "pulley32";

/// What no guest of ours is compiled to: each feature less is a way less into the compiler.
const UNNEEDED_FEATURES: WasmFeatures = WasmFeatures::TAIL_CALL
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::THREADS);

/// Whether a guest may go on computing whose time ends then.
pub(crate) fn go_on(now: Instant, end: Instant) -> UpdateDeadline {
    if now < end { UpdateDeadline::Continue(TICKS_AT_ONCE) } else { UpdateDeadline::Interrupt }
}

/// The engine's clock: a thread that advances the epoch as long as it is held.
pub(crate) struct Ticker {
    // Dropping the sender is what ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let tick = move || {
            while stopped.recv_timeout(Duration::from_millis(TICK_MILLISECONDS)) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        };
        let builder = std::thread::Builder::new().name("farrier-epoch".to_owned()).stack_size(TICKER_STACK_BYTES);
        Ok(Self { stop: Some(stop), thread: Some(builder.spawn(tick)?) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread cannot panic, and a clock that did is of no more use to anyone.
            let _ = thread.join();
        }
    }
}

/// One ticker for all scans of a runtime, and none while there is no scan.
#[derive(Clone, Default)]
pub(crate) struct SharedTicker(Arc<Mutex<Weak<Ticker>>>);

impl SharedTicker {
    pub(crate) fn hold(&self, engine: &Engine) -> std::io::Result<Arc<Ticker>> {
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ticker) = shared.upgrade() {
            return Ok(ticker);
        }
        let ticker = Arc::new(Ticker::start(engine.clone())?);
        *shared = Arc::downgrade(&ticker);
        Ok(ticker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_names_the_engine_that_is_linked() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, after) = lock.split_once("name = \"wasmtime\"\nversion = \"").unwrap();
        let (version, _) = after.split_once('"').unwrap();
        assert_eq!(version, WASMTIME_VERSION, "change WASMTIME_VERSION with the dependency");
    }

    #[test]
    fn profiles_have_different_ids() {
        let profiles = [Profile::Native, Profile::Pulley, Profile::Counting];
        assert_eq!(profiles.map(Profile::id).into_iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        for profile in profiles {
            assert_eq!(Profile::from_id(&profile.id()), Some(profile));
        }
        assert_eq!(Profile::from_id("wasmtime-1.0.0/pulley64/settings-1"), None);
    }

    #[test]
    fn late_ticks_give_a_guest_no_more_time() {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(10);
        // As on a machine on which every thread is woken a third of a period late.
        let (mut now, period) = (begin, Duration::from_millis(TICK_MILLISECONDS) * 4 / 3);
        while let UpdateDeadline::Continue(ticks) = go_on(now, end) {
            now += period * u32::try_from(ticks).unwrap();
        }
        assert!(now >= end && now - end < Duration::from_millis(50), "{:?}", now - begin);
    }

    #[test]
    fn the_ticker_lives_as_long_as_a_scan_holds_it() {
        let engine = Profile::Native.running_engine(256 << 10).unwrap();
        let shared = SharedTicker::default();
        let first = shared.hold(&engine).unwrap();
        let second = shared.hold(&engine).unwrap();
        assert!(Arc::ptr_eq(&first, &second));
        drop((first, second));
        assert!(shared.0.lock().unwrap().upgrade().is_none());
    }
}
