//! Where this agent has the compiled forms of plugins from: it compiles them, or the site has compiled and signed them.

use crate::agent::Agent;
use crate::content::{Content, Unavailable};
use crate::identity::Identity;
use crate::policy::{Policy, Target};
use farrier_protocol::Digest;
#[cfg(feature = "full")]
use farrier_runtime::{ArtefactCache, Compiler};
use farrier_runtime::{ArtefactError, EngineId, LoadError, SignedArtefact, Source};
use std::collections::BTreeMap;
use std::io;

/// The compiled forms of this agent's plugins.
pub(crate) enum Artefacts<'a> {
    /// What is compiled here.
    #[cfg(feature = "full")]
    Compiled(ArtefactCache, &'a Compiler),
    /// What the site has compiled.
    Signed(ComponentArtefacts<'a>),
}

/// The artefacts that the site has signed of the components of a policy, out of the content that is here.
pub(crate) struct ComponentArtefacts<'a> {
    content: &'a Content,
    targets: ArtefactTargets,
}

/// By the digest of a component: the target of the repository that is its artefact for this agent's engine. Only what was
/// found in verified metadata belongs in here.
pub(crate) type ArtefactTargets = BTreeMap<Digest, Target>;

impl<'a> Artefacts<'a> {
    /// Those of an agent that compiles, or else those that the site has signed of what is in this policy.
    pub(crate) fn open(
        agent: &'a Agent,
        identity: &Identity,
        content: &'a Content,
        policy: &Policy,
    ) -> anyhow::Result<Self> {
        #[cfg(feature = "full")]
        if let Some(compiler) = &agent.compiler {
            use anyhow::Context as _;
            let folder = agent.layout.artefacts();
            let cache = ArtefactCache::open(&folder, identity.device_key)
                .with_context(|| format!("the folder of compiled plugins {} cannot be made", folder.display()))?;
            return Ok(Self::Compiled(cache, compiler));
        }
        #[cfg(not(feature = "full"))]
        let _ = identity;
        let targets = agent.engine().map(|engine| policy.artefacts(engine)).unwrap_or_default();
        Ok(Self::Signed(ComponentArtefacts { content, targets }))
    }

    /// Where a runtime has them from.
    pub(crate) fn source(&self) -> Source<'_> {
        match self {
            #[cfg(feature = "full")]
            Self::Compiled(cache, compiler) => Source::Compiled(cache, compiler),
            Self::Signed(artefacts) => Source::Signed(artefacts),
        }
    }

    /// Forgets those of all components but these. What is signed is content, and goes with other content.
    pub(crate) fn retain(&self, components: &[Digest]) -> io::Result<()> {
        match self {
            #[cfg(feature = "full")]
            Self::Compiled(cache, _) => cache.retain(components),
            Self::Signed(_) => {
                let _ = components;
                Ok(())
            }
        }
    }
}

impl farrier_runtime::Artefacts for ComponentArtefacts<'_> {
    fn artefact(
        &self,
        engine: EngineId,
        component: &Digest,
        max_bytes: usize,
    ) -> Result<SignedArtefact, ArtefactError> {
        let Target { digest: sha256, length } =
            *self.targets.get(component).ok_or(ArtefactError::Missing { engine })?;
        if length > max_bytes as u64 {
            return Err(ArtefactError::TooLarge { engine, limit: max_bytes });
        }
        let mut bytes = Vec::new();
        match self.content.read(&sha256, max_bytes, &mut bytes) {
            Ok(()) => Ok(SignedArtefact { bytes, sha256 }),
            Err(error) => Err(ArtefactError::Unreadable { engine, source: error.into() }),
        }
    }
}

/// An error of loading, in which an artefact that is not on the disk is what any content is that is not: what the next
/// poll fetches.
pub(crate) fn load_error(error: LoadError) -> anyhow::Error {
    let LoadError::Artefact(ArtefactError::Unreadable { engine, source }) = error else { return error.into() };
    match source.downcast::<Unavailable>() {
        Ok(unavailable) => anyhow::Error::new(*unavailable).context(format!("the artefact for {engine} is not here")),
        Err(source) => LoadError::Artefact(ArtefactError::Unreadable { engine, source }).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farrier_runtime::{Compiler, Limits, Profile, Runtime};

    /// Content with the artefact of the hostile plugin, and where it is signed.
    struct World {
        _folder: tempfile::TempDir,
        content: Content,
        component: Vec<u8>,
        targets: ArtefactTargets,
    }

    impl World {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let content = Content::open(&folder.path().join("content")).unwrap();
            let hostile = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/dist/hostile.wasm");
            let component = std::fs::read(hostile).unwrap();
            let engine = Profile::Pulley.engine().unwrap();
            let artefact = Compiler::InProcess.precompile(engine, &component, &Limits::default()).unwrap();
            let target = Target { digest: Digest::of(&artefact), length: artefact.len() as u64 };
            let mut incoming = content.receive(&target.digest, target.length).unwrap();
            incoming.write(&artefact).unwrap();
            incoming.finish().unwrap();
            let targets = [(Digest::of(&component), target)].into();
            Self { _folder: folder, content, component, targets }
        }

        fn load(&self, limits: Limits) -> anyhow::Result<()> {
            let artefacts = ComponentArtefacts { content: &self.content, targets: self.targets.clone() };
            let runtime = Runtime::new(Profile::Pulley, limits).unwrap();
            runtime.load(&self.component, Source::Signed(&artefacts)).map(drop).map_err(load_error)
        }

        fn refusal(&self) -> anyhow::Error {
            self.load(Limits::default()).unwrap_err()
        }
    }

    #[test]
    fn a_signed_artefact_is_loaded_from_the_content() {
        World::new().load(Limits::default()).unwrap();
    }

    #[test]
    fn without_a_signed_artefact_nothing_is_loaded() {
        let mut world = World::new();
        world.targets.clear();
        let error = world.refusal().to_string();
        assert!(error.contains("the site has no artefact for wasmtime-"), "{error}");
    }

    #[test]
    fn a_signed_artefact_that_is_not_here_is_missing_content() {
        let mut world = World::new();
        let absent = Digest([7; 32]);
        world.targets.values_mut().for_each(|target| target.digest = absent);
        let error = world.refusal();
        assert_eq!(error.downcast_ref(), Some(&Unavailable(absent)));
        assert!(error.to_string().contains("the artefact for wasmtime-"), "{error}");
    }

    #[test]
    fn a_signed_artefact_that_is_too_large_is_not_read() {
        let world = World::new();
        let length = world.targets.values().next().unwrap().length;
        let limit = usize::try_from(length).unwrap() - 1;
        let error = world.load(Limits { artefact_bytes: limit, ..Limits::default() }).unwrap_err();
        assert!(error.to_string().ends_with(&format!("has more than {limit} bytes")), "{error}");
    }
}
