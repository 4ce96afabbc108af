//! Artefacts: compiled components, and where a host without a compiler has them from.

#[cfg(feature = "compiler")]
use crate::cache::ArtefactCache;
#[cfg(feature = "compiler")]
use crate::compile::Compiler;
use crate::engine::EngineId;
use farrier_protocol::Digest;
use std::error::Error;

/// A compiled component: bytes that the engine trusts blindly, which is why only this crate can make one.
pub struct Artefact {
    bytes: Vec<u8>,
    start: usize,
}

impl Artefact {
    /// What a compiler of ours has just written.
    #[cfg(feature = "compiler")]
    pub(crate) fn compiled(bytes: Vec<u8>) -> Self {
        Self { bytes, start: 0 }
    }

    /// What the cache has authenticated, from `start` on.
    #[cfg(feature = "compiler")]
    pub(crate) fn authenticated(bytes: Vec<u8>, start: usize) -> Self {
        Self { bytes, start }
    }

    /// What a site has signed, if these very bytes are that.
    pub(crate) fn signed(artefact: SignedArtefact) -> Option<Self> {
        let SignedArtefact { bytes, sha256 } = artefact;
        (Digest::of(&bytes) == sha256).then_some(Self { bytes, start: 0 })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Where the compiled form of a component comes from.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// Out of the cache, or else from the compiler, and then it is kept.
    #[cfg(feature = "compiler")]
    Compiled(&'a ArtefactCache, &'a Compiler),
    /// From the site, which has compiled and signed it. Nothing is compiled, and nothing is believed that is not signed.
    Signed(&'a dyn Artefacts),
}

/// The artefacts that a site has signed.
///
/// Whoever implements it vouches for the digest alone: it has to be that of the repository's target
/// [`EngineId::target`], found in metadata that was verified. The bytes may come from anywhere.
pub trait Artefacts {
    /// The artefact of this component, for this engine.
    ///
    /// # Errors
    /// When the site has signed none ([`ArtefactError::Missing`]), or when there are no bytes to read, or too many.
    fn artefact(&self, engine: EngineId, component: &Digest, max_bytes: usize)
    -> Result<SignedArtefact, ArtefactError>;
}

/// Bytes that should be what a site has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedArtefact {
    /// The bytes, as they came.
    pub bytes: Vec<u8>,
    /// SHA-256 of what was signed.
    pub sha256: Digest,
}

/// Why there is no artefact to run.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// No site compiles for this machine in this profile.
    #[error(
        "this agent compiles nothing itself, and no site compiles for {profile}: write `engine = \"pulley\"` under \
         [plugins] in agent.toml, or install the full agent"
    )]
    NoEngine {
        /// The id of the profile.
        profile: String,
    },
    /// The site has signed none.
    #[error(
        "this agent compiles nothing itself, and the site has no artefact for {engine}: publish one there, with an agent \
         of the same version (`farrier plugin precompile` shows what it makes), or install the full agent"
    )]
    Missing {
        /// For which engine.
        engine: EngineId,
    },
    /// It is signed, and cannot be read.
    #[error("the artefact for {engine} is not here")]
    Unreadable {
        /// For which engine.
        engine: EngineId,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It has more bytes than this host takes.
    #[error("the artefact for {engine} has more than {limit} bytes")]
    TooLarge {
        /// For which engine.
        engine: EngineId,
        /// The limit.
        limit: usize,
    },
    /// What is here is not what was signed.
    #[error("the artefact for {engine} is not the one that the site has signed: it was altered, and is not run")]
    Altered {
        /// For which engine.
        engine: EngineId,
    },
    /// It is signed as what it is not.
    #[error(
        "the artefact that the site has signed for {engine} is for another engine ({problem}): publish it again there"
    )]
    OtherEngine {
        /// For which engine it should be.
        engine: EngineId,
        /// The engine's words.
        problem: String,
    },
}
