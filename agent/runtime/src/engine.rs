//! The engine profile: every setting of the engine that compiled code depends on, in one place.
//!
//! An artefact runs only in an engine with the settings it was compiled for. Who compiles and who runs take them from
//! here, on the same machine or on two, and whatever changes here has to change [`SETTINGS_REVISION`].

use crate::text::printable;
use farrier_protocol::Digest;
use std::fmt;
use std::str::FromStr;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::{Config, Engine, UpdateDeadline, WasmFeatures};

/// The exact version of the engine; a test compares it with `Cargo.lock`.
const WASMTIME_VERSION: &str = "48.0.8";
/// Grows with every change of [`config`].
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

/// How components are executed on this machine.
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

    /// Whether components can be executed as code of this machine: whether Cranelift compiles all of them for its processor.
    pub const HAS_NATIVE: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

    /// The fastest that this machine has.
    #[must_use]
    pub const fn fastest() -> Self {
        if Self::HAS_NATIVE { Self::Native } else { Self::Pulley }
    }

    /// Names everything an artefact depends on: engine version, target and settings. Artefacts are cached under it.
    #[must_use]
    pub fn id(self) -> String {
        match self {
            Self::Native => id(&format!("native-{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
            Self::Pulley => PULLEY.to_string(),
            Self::Counting => id(&format!("counting-{}-{}", std::env::consts::ARCH, std::env::consts::OS)),
        }
    }

    /// The engine that a site makes artefacts for which run in this profile; none, if no site does.
    #[must_use]
    pub fn engine(self) -> Option<EngineId> {
        let id = self.id();
        EngineId::ALL.into_iter().find(|engine| engine.to_string() == id)
    }

    /// An engine that only runs what is compiled; it touches no page of the compiler.
    pub(crate) fn running_engine(self, wasm_stack_bytes: usize) -> wasmtime::Result<Engine> {
        let target = match self {
            Self::Pulley => Some(PULLEY.triple()),
            Self::Native | Self::Counting if Self::HAS_NATIVE => None,
            Self::Native | Self::Counting => {
                let arch = std::env::consts::ARCH;
                return Err(wasmtime::Error::msg(format!(
                    "nobody compiles components to code of {arch} machines: write `engine = \"pulley\"` under \
                     [plugins] in agent.toml, or nothing"
                )));
            }
        };
        let mut config = config(target, self == Self::Counting)?;
        #[cfg(feature = "compiler")]
        config.enable_compiler(false);
        Engine::new(config.max_wasm_stack(wasm_stack_bytes))
    }
}

/// An engine of agents: what an artefact is compiled for, by a machine of whatever kind.
///
/// Native code needs nothing of a processor but what each of its architecture has, whoever compiles it, so that it runs
/// on all of them and is the same wherever it was made. Everywhere else there is Pulley: Cranelift knows no 32-bit
/// processor, and for RISC-V it compiles a `memory.copy` of constant length, which nearly every component has, only with
/// the vector extension, which nearly no machine has (wasmtime issue 13959).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EngineId {
    /// Code of 64-bit processors of Intel and AMD, under Linux.
    NativeX86_64,
    /// Code of 64-bit ARM processors, under Linux.
    NativeAarch64,
    /// Bytecode for 64-bit processors, such as RISC-V.
    Pulley64,
    /// Bytecode for 32-bit processors, such as ARMv7.
    Pulley32,
}

/// The repository's target that is the artefact of the component with this digest for the engine with this id, which may
/// be one of another version.
#[must_use]
pub fn artefact_target(engine: &str, component: &Digest) -> String {
    format!("native/{}/{component}", segment(engine))
}

fn segment(engine: &str) -> String {
    engine.replace('/', "-")
}

/// Says of no engine of this version that it is one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no engine of this version of farrier ({known}): bring the agent and its site to the same version",
    known = EngineId::ALL.map(|engine| engine.to_string()).join(", ")
)]
pub struct UnknownEngine(String);

impl EngineId {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NativeX86_64, Self::NativeAarch64, Self::Pulley64, Self::Pulley32];

    /// What it executes, without the version and the settings of the engine: `native-aarch64-linux`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NativeX86_64 => "native-x86_64-linux",
            Self::NativeAarch64 => "native-aarch64-linux",
            Self::Pulley64 => "pulley64",
            Self::Pulley32 => "pulley32",
        }
    }

    /// The id as one segment of a path: `wasmtime-48.0.8-native-aarch64-linux-settings-1`.
    #[must_use]
    pub fn path_segment(self) -> String {
        segment(&self.to_string())
    }

    /// The repository's target that is the artefact of the component with this digest.
    #[must_use]
    pub fn target(self, component: &Digest) -> String {
        artefact_target(&self.to_string(), component)
    }

    /// What the compiler calls it.
    pub(crate) const fn triple(self) -> &'static str {
        match self {
            Self::NativeX86_64 => "x86_64-unknown-linux-gnu",
            Self::NativeAarch64 => "aarch64-unknown-linux-gnu",
            Self::Pulley64 => "pulley64",
            Self::Pulley32 => "pulley32",
        }
    }
}

/// The whole id: `wasmtime-48.0.8/native-aarch64-linux/settings-1`.
impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id(self.code()))
    }
}

/// From the whole id, or from its [`path_segment`](EngineId::path_segment).
impl FromStr for EngineId {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        let is_it = |engine: &Self| engine.to_string() == text || engine.path_segment() == text;
        Self::ALL.into_iter().find(is_it).ok_or_else(|| UnknownEngine(printable(text, MAX_ID_BYTES)))
    }
}

/// Bytes of an id that are shown.
const MAX_ID_BYTES: usize = 80;

/// The interpreter of this machine.
const PULLEY: EngineId = if cfg!(target_pointer_width = "32") { EngineId::Pulley32 } else { EngineId::Pulley64 };

fn id(code: &str) -> String {
    format!("wasmtime-{WASMTIME_VERSION}/{code}/settings-{SETTINGS_REVISION}")
}

/// The settings, for this machine or for a target.
fn config(target: Option<&str>, counts: bool) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    if let Some(target) = target {
        config.target(target)?;
    }
    config
        .memory_reservation(MEMORY_RESERVATION_BYTES)
        .memory_reservation_for_growth(0)
        .memory_guard_size(MEMORY_GUARD_BYTES)
        .memory_may_move(false)
        .memory_init_cow(false)
        .epoch_interruption(true)
        .consume_fuel(counts)
        .generate_address_map(false)
        .native_unwind_info(cfg!(windows))
        .wasm_backtrace_max_frames(None)
        .wasm_features(UNNEEDED_FEATURES, false);
    Ok(config)
}

/// What a compiler makes.
#[cfg(feature = "compiler")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    /// What an engine of agents takes.
    For(EngineId),
    /// What only this machine takes.
    Here(Profile),
}

#[cfg(feature = "compiler")]
impl From<Profile> for Product {
    fn from(profile: Profile) -> Self {
        profile.engine().map_or(Self::Here(profile), Self::For)
    }
}

#[cfg(feature = "compiler")]
impl Product {
    pub(crate) fn id(self) -> String {
        match self {
            Self::For(engine) => engine.to_string(),
            Self::Here(profile) => profile.id(),
        }
    }

    pub(crate) fn from_id(id: &str) -> Option<Self> {
        let here = [Profile::Native, Profile::Counting].into_iter().find(|profile| profile.id() == id);
        id.parse().map(Self::For).ok().or(here.map(Self::Here))
    }

    /// An engine that compiles. It costs megabytes; only a compiling process makes one.
    pub(crate) fn compiling_engine(self) -> wasmtime::Result<Engine> {
        let mut config = match self {
            // With a target that is said, the compiler does not look at the processor that it runs on.
            Self::For(engine) => config(Some(engine.triple()), false)?,
            Self::Here(profile) => config(None, profile == Profile::Counting)?,
        };
        Engine::new(config.cranelift_opt_level(wasmtime::OptLevel::Speed))
    }
}

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
        assert_eq!(Profile::Pulley.engine(), Some(PULLEY));
        assert_eq!(Profile::Counting.engine(), None);
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        assert_eq!(Profile::fastest().engine(), Some(EngineId::NativeX86_64));
    }

    #[test]
    fn an_engine_is_known_by_its_id_and_its_path() {
        for engine in EngineId::ALL {
            assert_eq!(engine.to_string().parse(), Ok(engine));
            assert_eq!(engine.path_segment().parse(), Ok(engine));
            assert!(!engine.path_segment().contains('/'));
            assert!(engine.to_string().parse::<farrier_protocol::poll::EngineId>().is_ok(), "it fits into a poll");
        }
        let aarch64 = EngineId::NativeAarch64;
        assert_eq!(aarch64.to_string(), format!("wasmtime-{WASMTIME_VERSION}/native-aarch64-linux/settings-1"));
        let component = Digest([0xab; 32]);
        let segment = format!("wasmtime-{WASMTIME_VERSION}-native-aarch64-linux-settings-1");
        assert_eq!(aarch64.target(&component), format!("native/{segment}/{component}"));
        for stranger in ["wasmtime-1.0.0/pulley64/settings-1", "pulley64", "", "\u{1b}[31m"] {
            let error = stranger.parse::<EngineId>().unwrap_err().to_string();
            assert!(error.contains("/pulley32/settings-1") && !error.contains('\u{1b}'), "{error}");
        }
    }

    #[cfg(feature = "compiler")]
    #[test]
    fn what_a_compiler_is_to_make_is_known_by_its_id() {
        let here = [Profile::Native, Profile::Pulley, Profile::Counting].map(Product::from);
        for product in here.into_iter().chain(EngineId::ALL.map(Product::For)) {
            assert_eq!(Product::from_id(&product.id()), Some(product));
        }
        assert_eq!(Product::from_id("wasmtime-1.0.0/pulley64/settings-1"), None);
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
