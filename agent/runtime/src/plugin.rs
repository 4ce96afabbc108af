//! Loading: from the bytes of a component to a plugin that can scan.

use crate::artefact::{Artefact, ArtefactError, Artefacts, Source};
#[cfg(feature = "compiler")]
use crate::cache::ArtefactCache;
#[cfg(feature = "compiler")]
use crate::compile::{CompileError, Compiler};
use crate::endpoint::Endpoint;
use crate::engine::{MEMORY_RESERVATION_BYTES, Profile, SharedTicker};
use crate::grants::Grants;
use crate::install::{self, InstallerPlugin, InstallerPre};
use crate::limits::{LimitExceeded, Limits};
use crate::manifest::{AskedLimits, Manifest, ManifestError, World};
use crate::parts;
use crate::scan::Scan;
use crate::text::printable;
use crate::world::{self, ApplicabilityPre, State};
use farrier_protocol::Digest;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

/// Bytes of the engine's words on an artefact that does not fit, at most.
const MAX_PROBLEM_BYTES: usize = 256;

/// A component host: one engine, one set of limits.
#[derive(Clone)]
pub struct Runtime {
    host: Arc<Host>,
}

/// What all plugins of a runtime share.
pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) ticker: SharedTicker,
    /// What an applicability plugin finds: nothing in it has an effect.
    applicability: Linker<State>,
    /// What an installer plugin finds.
    installer: Linker<install::State>,
    profile: Profile,
}

/// A loaded plugin. Cheap to clone; every scan gets a store of its own.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) host: Arc<Host>,
    pub(crate) world: ApplicabilityPre<State>,
    pub(crate) manifest: Arc<Manifest>,
    /// The host's, and what the manifest asks for less of.
    pub(crate) limits: Arc<Limits>,
}

/// Why a component cannot be run here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Larger than [`Limits::component_bytes`].
    #[error("the component has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No manifest, or none that can be read.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// For another world or another version of `farrier:policy`.
    #[error("this host cannot run the plugin: {0}")]
    OtherWorld(String),
    /// It asks for more than this client gives a plugin.
    #[error(
        "the plugin asks for {asked} {unit}, and this client gives a plugin {limit}: write `{setting} = {asked}` under \
         [limits] in agent.toml, or ask for less in its plugin.toml"
    )]
    AsksForMore {
        /// What it asks for.
        asked: u64,
        /// The limit.
        limit: u64,
        /// The unit of both: `bytes of memory`.
        unit: &'static str,
        /// The setting in `agent.toml`.
        setting: &'static str,
    },
    /// Put together of more than [`Limits::instances`] or [`Limits::parts`].
    #[error(transparent)]
    Limit(#[from] LimitExceeded),
    /// It could not be compiled.
    #[cfg(feature = "compiler")]
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It is not compiled here, and what the site compiled cannot be used.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
    /// It wants something that no plugin of its world gets.
    #[error(
        "the plugin imports `{import}`, which is not in the world `{world}` (its only imports are {list}); build it \
         with farrier-plugin-sdk and without WASI",
        list = imports(*world).join(", ")
    )]
    Import {
        /// The world.
        world: World,
        /// What it wants.
        import: String,
    },
    /// It lacks what makes it a plugin.
    #[error("the plugin does not export `{}`, which every plugin of the world `{world}` has to", export(*world))]
    Export {
        /// The world.
        world: World,
    },
    /// It has the right imports and exports by name, but not as they are.
    #[error("the plugin does not fit the world `{world}`: {problem}")]
    Mismatch {
        /// The world.
        world: World,
        /// What does not fit.
        problem: String,
    },
    /// The engine itself failed.
    #[error("the engine failed: {0}")]
    Engine(String),
}

impl Runtime {
    /// A host with this profile and these limits.
    ///
    /// # Errors
    /// When the engine does not run on this machine, or not with these limits.
    pub fn new(profile: Profile, limits: Limits) -> Result<Self, LoadError> {
        if limits.memory_bytes as u64 > MEMORY_RESERVATION_BYTES {
            let bytes = limits.memory_bytes;
            return Err(LoadError::Engine(format!(
                "a guest cannot have {bytes} bytes of memory, at most {MEMORY_RESERVATION_BYTES}"
            )));
        }
        let engine = profile.running_engine(limits.wasm_stack_bytes).map_err(|error| engine_error(&error))?;
        let applicability = world::linker(&engine).map_err(|error| engine_error(&error))?;
        let installer = install::linker(&engine).map_err(|error| engine_error(&error))?;
        let ticker = SharedTicker::default();
        Ok(Self { host: Arc::new(Host { engine, limits, ticker, applicability, installer, profile }) })
    }

    /// A host that counts the instructions of its guests, for measuring: see [`Scan::instructions`]. What it compiles is
    /// slower, and kept apart from what others compile.
    ///
    /// # Errors
    /// As [`Runtime::new`].
    pub fn counting(limits: Limits) -> Result<Self, LoadError> {
        Self::new(Profile::Counting, limits)
    }

    /// The limits of every guest, unless its manifest asks for less.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.host.limits
    }

    /// Loads an applicability plugin, in the compiled form that the source has of it.
    ///
    /// The component has to be authentic: its digest in the repository is for the caller to check.
    ///
    /// # Errors
    /// When it is not a plugin that this host can run.
    pub fn load(&self, component: &[u8], source: Source<'_>) -> Result<Plugin, LoadError> {
        let world = World::Applicability;
        let (manifest, component) = self.prepare(world, component, source)?;
        let linked = self.link(world, &self.host.applicability, &component, ApplicabilityPre::new)?;
        let (host, limits) = (Arc::clone(&self.host), Arc::new(self.limits_of(&manifest)?));
        Ok(Plugin { host, world: linked, manifest: Arc::new(manifest), limits })
    }

    /// Loads an installer plugin, as [`Runtime::load`] loads an applicability plugin.
    ///
    /// # Errors
    /// When it is not an installer that this host can run.
    pub fn load_installer(&self, component: &[u8], source: Source<'_>) -> Result<InstallerPlugin, LoadError> {
        let world = World::Installer;
        let (manifest, component) = self.prepare(world, component, source)?;
        let linked = self.link(world, &self.host.installer, &component, InstallerPre::new)?;
        let limits = self.limits_of(&manifest)?;
        Ok(InstallerPlugin::new(Arc::clone(&self.host), linked, manifest, limits))
    }

    /// The manifest and the compiled component of a plugin for this world.
    fn prepare(&self, world: World, component: &[u8], source: Source<'_>) -> Result<(Manifest, Component), LoadError> {
        let (bytes, limit) = (component.len(), self.host.limits.component_bytes);
        if bytes > limit {
            return Err(LoadError::TooLarge { bytes, limit });
        }
        let manifest = Manifest::read(component)?;
        manifest.check_runs_in(world).map_err(LoadError::OtherWorld)?;
        self.limits_of(&manifest)?;
        parts::check(component, &self.host.limits)?;
        let component = match source {
            #[cfg(feature = "compiler")]
            Source::Compiled(cache, compiler) => self.cached_or_compiled(component, cache, compiler)?,
            Source::Signed(artefacts) => self.precompiled(&Digest::of(component), artefacts)?,
        };
        Ok((manifest, component))
    }

    /// The limits of a plugin: what it asks for less of, it gets less of.
    fn limits_of(&self, manifest: &Manifest) -> Result<Limits, LoadError> {
        let AskedLimits { memory_mebibytes, call_seconds } = manifest.limits;
        let limits = self.host.limits.clone();
        let granted = |asked: Option<u64>, limit: u64, unit, setting| match asked {
            Some(asked) if asked > limit => Err(LoadError::AsksForMore { asked, limit, unit, setting }),
            asked => Ok(asked.unwrap_or(limit)),
        };
        let memory = memory_mebibytes.map(|mebibytes| u64::from(mebibytes) << 20);
        let memory = granted(memory, limits.memory_bytes as u64, "bytes of memory", "memory_bytes")?;
        let call = call_seconds.map(|seconds| u64::from(seconds) * 1_000);
        let call = granted(call, limits.call_milliseconds, "milliseconds a call", "call_milliseconds")?;
        let memory_bytes = usize::try_from(memory).unwrap_or(limits.memory_bytes);
        Ok(Limits { memory_bytes, call_milliseconds: call, ..limits })
    }

    /// What the site compiled of the component with this digest.
    fn precompiled(&self, component: &Digest, artefacts: &dyn Artefacts) -> Result<Component, ArtefactError> {
        let Host { engine: host, limits, profile, .. } = &*self.host;
        let engine = profile.engine().ok_or_else(|| ArtefactError::NoEngine { profile: profile.id() })?;
        let limit = limits.artefact_bytes;
        let signed = artefacts.artefact(engine, component, limit)?;
        if signed.bytes.len() > limit {
            return Err(ArtefactError::TooLarge { engine, limit });
        }
        let artefact = Artefact::signed(signed).ok_or(ArtefactError::Altered { engine })?;
        deserialize(host, &artefact).map_err(|error| ArtefactError::OtherEngine {
            engine,
            problem: printable(&format!("{error:#}"), MAX_PROBLEM_BYTES),
        })
    }

    #[cfg(feature = "compiler")]
    fn cached_or_compiled(
        &self,
        component: &[u8],
        cache: &ArtefactCache,
        compiler: &Compiler,
    ) -> Result<Component, LoadError> {
        let Host { engine, limits, profile, .. } = &*self.host;
        let digest = Digest::of(component);
        if let Some(artefact) = cache.load(*profile, &digest, limits) {
            match deserialize(engine, &artefact) {
                Ok(component) => return Ok(component),
                // Authentic and yet unfit: the machine's processor is another one now.
                Err(error) => tracing::info!(component.digest = %digest, %error, "A cached artefact does not fit."),
            }
        }
        tracing::info!(component.digest = %digest, profile = profile.id(), "Compiling a component.");
        let artefact = compiler.compile(*profile, component, limits)?;
        let component = deserialize(engine, &artefact).map_err(|error| engine_error(&error))?;
        cache.store(*profile, &digest, &artefact);
        Ok(component)
    }

    /// Links a component of this world, whose linker holds what the world has and nothing else.
    fn link<T: 'static, P>(
        &self,
        world: World,
        linker: &Linker<T>,
        component: &Component,
        typed: impl FnOnce(InstancePre<T>) -> wasmtime::Result<P>,
    ) -> Result<P, LoadError> {
        let (engine, known, wanted) = (&self.host.engine, imports(world), export(world));
        let found = component.component_type();
        if let Some((name, _)) = found.imports(engine).find(|(name, _)| !known.contains(&without_version(name))) {
            return Err(LoadError::Import { world, import: name.to_owned() });
        }
        if !found.exports(engine).any(|(name, _)| without_version(name) == wanted) {
            return Err(LoadError::Export { world });
        }
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch { world, problem: format!("{error:#}") };
        typed(linker.instantiate_pre(component).map_err(mismatch)?).map_err(mismatch)
    }
}

/// The interfaces a plugin of this world may import, without their version.
pub(crate) fn imports(world: World) -> &'static [&'static str] {
    match world {
        World::Applicability => &world::IMPORTS,
        World::Installer => &install::IMPORTS,
    }
}

/// The interface it has to export, without its version.
pub(crate) fn export(world: World) -> &'static str {
    match world {
        World::Applicability => world::EXPORT,
        World::Installer => install::EXPORT,
    }
}

impl Host {
    /// Whether the engine counts instructions.
    pub(crate) fn counts_instructions(&self) -> bool {
        self.profile == Profile::Counting
    }
}

impl Plugin {
    /// The plugin's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A scan of this endpoint. Nothing runs before the first question.
    #[must_use]
    pub fn scan(&self, endpoint: &Endpoint, grants: Grants) -> Scan {
        Scan::new(self, endpoint, grants)
    }
}

// "farrier:policy/facts@1.0.0" -> "farrier:policy/facts"; the linker compares the versions.
pub(crate) fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

fn engine_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine(format!("{error:#}"))
}

/// Hands compiled code to the engine.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, artefact: &Artefact) -> wasmtime::Result<Component> {
    // SAFETY: the engine has to be given the unaltered output of its own compiler. An `Artefact` is nothing else: it is
    // made in three places. `Compiler::compile` makes it of what the compiler has just written, in this process or in a
    // child that runs a program of ours. `ArtefactCache::load` makes it of bytes that carry a MAC under the device's key,
    // which only `store` computes, for what `compile` returned. `Artefact::signed` makes it of bytes with the SHA-256
    // that a site signed for this engine and this component: its publisher vouches, with a key for nothing else, that
    // the compiler wrote them, as it vouches for the components of a host that compiles. What is read here is the very
    // buffer over which MAC or SHA-256 was computed, no file that could change in between. That artefact and engine
    // agree in version and settings is checked by the engine, and again by the id under the MAC or in the target's name.
    unsafe { Component::deserialize(engine, artefact.bytes()) }
}
