//! What an agent without a compiler does with a repository, at the level of `farrier-trust` and `farrier-runtime`: a second
//! build of the agent would double the time of the tests.

use farrier_protocol::{Digest, UnixTime};
use farrier_runtime::{
    ArtefactError, Artefacts, Compiler, EngineId, Limits, LoadError, Plugin, Profile, Runtime, SignedArtefact, Source,
};
use farrier_tests::stolen::Repository;
use farrier_trust::{Answer, Client, Floors, Target, TrustError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The profile that every machine has.
const PROFILE: Profile = Profile::Pulley;

/// An agent without a compiler that trusts the first root of a repository.
pub(crate) struct Lite<'a> {
    repository: &'a Repository,
    client: Client,
}

/// What the site signed of one component, and what came of it.
struct Brought(Option<SignedArtefact>);

impl Artefacts for Brought {
    fn artefact(&self, engine: EngineId, _: &Digest, _: usize) -> Result<SignedArtefact, ArtefactError> {
        self.0.clone().ok_or(ArtefactError::Missing { engine })
    }
}

impl<'a> Lite<'a> {
    pub(crate) fn of(repository: &'a Repository) -> Result<Self, TrustError> {
        let root = repository.bytes("1.root.json").expect("every repository has a first root");
        let mut client = Client::new(root, Floors::default())?;
        let mut refresh = client.refresh(now());
        while let Some(request) = refresh.next()? {
            refresh.receive(answer(repository, &request.file))?;
        }
        Ok(Self { repository, client })
    }

    /// The current target of this name.
    pub(crate) fn target(&mut self, name: &str) -> Result<Option<Target>, TrustError> {
        let mut search = self.client.search(name, now());
        while let Some(request) = search.next()? {
            search.receive(answer(self.repository, &request.file))?;
        }
        search.finish()
    }

    /// Loads a component with the artefact that is signed of it.
    pub(crate) fn load(&mut self, component: &[u8]) -> Result<Plugin, LoadError> {
        let target = self.target(&target_of(component)).unwrap();
        let signed = target.map(|target| {
            let sha256 = target.sha256().expect("a target of Farrier has it");
            let bytes = self.repository.target(&sha256).expect("the thief brings what he names").to_vec();
            SignedArtefact { bytes, sha256 }
        });
        Runtime::new(PROFILE, Limits::default()).unwrap().load(component, Source::Signed(&Brought(signed)))
    }
}

/// The name of the target that is the artefact of this component.
pub(crate) fn target_of(component: &[u8]) -> String {
    PROFILE.engine().unwrap().target(&Digest::of(component))
}

/// A component, compiled.
pub(crate) fn artefact_of(component: &[u8]) -> Vec<u8> {
    Compiler::InProcess.precompile(PROFILE.engine().unwrap(), component, &Limits::default()).unwrap()
}

fn answer<'a>(repository: &'a Repository, file: &str) -> Answer<'a> {
    repository.bytes(file).map_or(Answer::Missing, Answer::Found)
}

fn now() -> UnixTime {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    UnixTime::try_from(elapsed.as_secs()).unwrap()
}
