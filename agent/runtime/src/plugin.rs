//! Loading: from the bytes of a component to a plugin that can scan.

use crate::cache::ArtefactCache;
use crate::compile::{Artefact, CompileError, Compiler};
use crate::engine::{MEMORY_RESERVATION_BYTES, Profile, SharedTicker};
use crate::facts::Endpoint;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::manifest::{Manifest, ManifestError};
use crate::scan::Scan;
use crate::world::{ApplicabilityPre, EXPORT, IMPORTS, State, linker};
use farrier_protocol::Digest;
use std::sync::Arc;
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

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
    linker: Linker<State>,
    profile: Profile,
}

/// A loaded plugin. Cheap to clone; every scan gets a store of its own.
#[derive(Clone)]
pub struct Plugin {
    host: Arc<Host>,
    world: ApplicabilityPre<State>,
    manifest: Arc<Manifest>,
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
    /// It could not be compiled.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It wants something that no plugin of its world gets.
    #[error(
        "the plugin imports `{0}`, which is not in the world `applicability` (its only imports are {list}); build it \
         with farrier-plugin-sdk and without WASI",
        list = IMPORTS.join(", ")
    )]
    Import(String),
    /// It lacks what makes it a plugin.
    #[error("the plugin does not export `{EXPORT}`, which every plugin of the world `applicability` has to")]
    Export,
    /// It has the right imports and exports by name, but not as they are.
    #[error("the plugin does not fit the world `applicability`: {0}")]
    Mismatch(String),
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
        let linker = linker(&engine).map_err(|error| engine_error(&error))?;
        Ok(Self { host: Arc::new(Host { engine, limits, ticker: SharedTicker::default(), linker, profile }) })
    }

    /// The limits of every guest.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.host.limits
    }

    /// Loads a plugin, from the cache if it is there, else by compiling it.
    ///
    /// The component has to be authentic: its digest in the repository is for the caller to check.
    ///
    /// # Errors
    /// When it is not a plugin that this host can run.
    pub fn load(&self, component: &[u8], cache: &ArtefactCache, compiler: &Compiler) -> Result<Plugin, LoadError> {
        let (bytes, limit) = (component.len(), self.host.limits.component_bytes);
        if bytes > limit {
            return Err(LoadError::TooLarge { bytes, limit });
        }
        let manifest = Manifest::read(component)?;
        manifest.check_runs_here().map_err(LoadError::OtherWorld)?;
        let component = self.cached_or_compiled(component, cache, compiler)?;
        let world = self.link(&component)?;
        Ok(Plugin { host: Arc::clone(&self.host), world, manifest: Arc::new(manifest) })
    }

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

    fn link(&self, component: &Component) -> Result<ApplicabilityPre<State>, LoadError> {
        let Host { engine, linker, .. } = &*self.host;
        let world = component.component_type();
        if let Some((name, _)) = world.imports(engine).find(|(name, _)| !IMPORTS.contains(&without_version(name))) {
            return Err(LoadError::Import(name.to_owned()));
        }
        if !world.exports(engine).any(|(name, _)| without_version(name) == EXPORT) {
            return Err(LoadError::Export);
        }
        let mismatch = |error: wasmtime::Error| LoadError::Mismatch(format!("{error:#}"));
        ApplicabilityPre::new(linker.instantiate_pre(component).map_err(mismatch)?).map_err(mismatch)
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
        Scan::new(Arc::clone(&self.host), self.world.clone(), &self.manifest.name, endpoint, grants)
    }
}

// "farrier:policy/facts@0.1.0" -> "farrier:policy/facts"; the linker compares the versions.
fn without_version(name: &str) -> &str {
    name.split_once('@').map_or(name, |(name, _)| name)
}

fn engine_error(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine(format!("{error:#}"))
}

/// Hands compiled code to the engine.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, artefact: &Artefact) -> wasmtime::Result<Component> {
    // SAFETY: the engine has to be given the unaltered output of its own compiler. An `Artefact` is nothing else: it is
    // made in two places, by `Compiler::compile` of what the compiler has just written, in this process or in a child
    // that runs a program of ours, and by `ArtefactCache::load` of bytes that carry a MAC under the device's key, which
    // only `store` computes, for what `compile` returned. What is
    // read here is the very buffer over which the MAC was computed, no file that could change in between. That artefact
    // and engine agree in version and settings is checked by the engine, and again by the profile's id under the MAC.
    unsafe { Component::deserialize(engine, artefact.bytes()) }
}
