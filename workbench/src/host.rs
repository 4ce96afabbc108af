//! The agent's own host, for the workbench: a component loaded under an engine, with what its manifest asks for.

use crate::project::world_of;
use crate::table::AllowedGrants;
use anyhow::{Context as _, Result, anyhow};
use farrier_runtime::{
    ArtefactCache, Compiler, Endpoint, GrantLists, Grants, InstallLimits, Installation, InstallerGrants,
    InstallerPlugin, KEY_BYTES, Limits, Manifest, Plugin, Profile, Runtime, Scan, Source, World,
};
use std::time::Duration;
use tempfile::TempDir;

/// Time of a call into an installer: a test that needs more is stuck.
const MAX_RUN: Duration = Duration::from_secs(60);

/// A compiled component has at most so many times the bytes of the component.
const ARTEFACT_RATIO: usize = 16;

/// An engine that runs components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Cranelift: code of this machine.
    Cranelift,
    /// Pulley: bytecode of any machine, interpreted.
    Pulley,
    /// One that counts instructions, the same everywhere.
    Counting,
}

impl Engine {
    /// Those that agents have.
    pub const OF_AGENTS: [Self; 2] = [Self::Cranelift, Self::Pulley];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cranelift => "Cranelift",
            Self::Pulley => "Pulley",
            Self::Counting => "counting",
        }
    }

    /// A component larger than an agent takes by default is run all the same: `inspect` warns of it.
    fn runtime(self, component_bytes: usize) -> Result<Runtime> {
        let agents = Limits::default();
        let limits = Limits {
            component_bytes: agents.component_bytes.max(component_bytes),
            artefact_bytes: agents.artefact_bytes.max(component_bytes.saturating_mul(ARTEFACT_RATIO)),
            ..agents
        };
        Ok(match self {
            Self::Cranelift => Runtime::new(Profile::Native, limits)?,
            Self::Pulley => Runtime::new(Profile::Pulley, limits)?,
            Self::Counting => Runtime::counting(limits)?,
        })
    }
}

/// Loads components; what they are compiled to is kept for as long as this lives.
pub(crate) struct Loader {
    cache: ArtefactCache,
    _folder: TempDir,
}

/// A component that an engine has loaded.
pub(crate) enum Loaded {
    Applicability(Plugin),
    Installer(InstallerPlugin),
}

impl Loaded {
    pub(crate) fn world(&self) -> World {
        match self {
            Self::Applicability(_) => World::Applicability,
            Self::Installer(_) => World::Installer,
        }
    }
}

impl Loader {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| anyhow!("the system gives no random numbers ({error})"))?;
        Ok(Self { cache: ArtefactCache::open(folder.path(), key)?, _folder: folder })
    }

    /// Loads a component for the world its manifest names.
    pub(crate) fn load(&self, component: &[u8], engine: Engine) -> Result<Loaded> {
        let runtime = engine.runtime(component.len())?;
        let source = Source::Compiled(&self.cache, &Compiler::InProcess);
        Ok(match world_of(&Manifest::read(component)?)? {
            World::Applicability => Loaded::Applicability(runtime.load(component, source)?),
            World::Installer => Loaded::Installer(runtime.load_installer(component, source)?),
        })
    }
}

/// Everything that a manifest asks for, less what a case does not allow.
fn allowed(manifest: &Manifest, allowed: Option<&AllowedGrants>) -> (GrantLists, GrantLists) {
    let all = GrantLists::from(manifest);
    let less = allowed.map_or_else(
        || all.clone(),
        |allowed| GrantLists {
            read: allowed.read.clone().unwrap_or_else(|| all.read.clone()),
            write: allowed.write.clone().unwrap_or_else(|| all.write.clone()),
            run: allowed.run.clone().unwrap_or_else(|| all.run.clone()),
        },
    );
    (all, less)
}

/// A scan of an endpoint, with everything that the manifest asks for, less what is not allowed.
pub(crate) fn scan(plugin: &Plugin, endpoint: &Endpoint, grants: Option<&AllowedGrants>) -> Result<Scan> {
    let (all, less) = allowed(plugin.manifest(), grants);
    Ok(plugin.scan(endpoint, Grants::new(plugin.manifest(), &all.read, &less.read)?))
}

/// An installation on an endpoint, likewise.
pub(crate) fn installation(
    plugin: &InstallerPlugin,
    endpoint: &Endpoint,
    grants: Option<&AllowedGrants>,
) -> Result<Installation> {
    let (all, less) = allowed(plugin.manifest(), grants);
    let grants = InstallerGrants::new(plugin.manifest(), &all, &less)?;
    Ok(plugin.open(endpoint, grants, InstallLimits { max_run: MAX_RUN }, |_| {}))
}

/// Does this without the host's own lines in the log: what went wrong is in the results.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::new(), work)
}
