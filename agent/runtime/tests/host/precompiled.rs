//! Artefacts that a site made: what a host without a compiler runs, and what it does not.

use crate::artefacts::{built, compiled};
use crate::stage::{RULES, wat};
use farrier_protocol::{ComplianceState, Digest};
use farrier_runtime::{
    ArtefactError, Artefacts, Compiler, Endpoint, EngineId, Grants, Limits, LoadError, Plugin, Profile, Runtime,
    SignedArtefact, Source,
};
use std::collections::{BTreeMap, BTreeSet};

/// The distance between positions at which a byte is flipped: a prime, so that it meets every offset of a word.
const FLIPPED_EVERY: usize = 97;

/// What a site has signed, and what arrived of it.
#[derive(Default)]
struct Site {
    signed: BTreeMap<(EngineId, Digest), SignedArtefact>,
}

impl Site {
    /// A site that signed the artefacts of this component for all engines.
    fn of(component: &[u8]) -> Self {
        let digest = Digest::of(component);
        let signed = |engine| ((engine, digest), signed(artefact(component, engine)));
        Self { signed: EngineId::ALL.into_iter().map(signed).collect() }
    }

    /// A site where this is what arrives as the artefact of the component, whatever was signed.
    fn bringing(component: &[u8], engine: EngineId, bytes: Vec<u8>) -> Self {
        let mut site = Self::of(component);
        site.signed.get_mut(&(engine, Digest::of(component))).unwrap().bytes = bytes;
        site
    }

    /// A site where this is what was signed as the artefact of the component.
    fn signing(component: &[u8], engine: EngineId, bytes: Vec<u8>) -> Self {
        Self { signed: [((engine, Digest::of(component)), signed(bytes))].into() }
    }
}

impl Artefacts for Site {
    fn artefact(&self, engine: EngineId, component: &Digest, _: usize) -> Result<SignedArtefact, ArtefactError> {
        self.signed.get(&(engine, *component)).cloned().ok_or(ArtefactError::Missing { engine })
    }
}

fn signed(bytes: Vec<u8>) -> SignedArtefact {
    SignedArtefact { sha256: Digest::of(&bytes), bytes }
}

fn artefact(component: &[u8], engine: EngineId) -> Vec<u8> {
    Compiler::InProcess.precompile(engine, component, &Limits::default()).unwrap()
}

/// A component with its artefact for the engine of this profile.
fn hostile(profile: Profile) -> (Vec<u8>, EngineId, Vec<u8>) {
    let (component, engine) = (built("hostile"), profile.engine().unwrap());
    let bytes = artefact(&component, engine);
    (component, engine, bytes)
}

fn load(profile: Profile, component: &[u8], site: &Site) -> Result<Plugin, LoadError> {
    Runtime::new(profile, Limits::default()).unwrap().load(component, Source::Signed(site))
}

fn refusal(profile: Profile, component: &[u8], site: &Site) -> ArtefactError {
    match load(profile, component, site) {
        Err(LoadError::Artefact(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was taken"),
    }
}

fn answers(plugin: &Plugin) -> Vec<ComplianceState> {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    std::fs::write(root.path().join("etc/hostile"), "nothing").unwrap();
    let grants = Grants::new(plugin.manifest(), ["/etc/*"], ["/**"]).unwrap();
    plugin.scan(&Endpoint::open(root.path()).unwrap(), grants).evaluate(RULES, 2).unwrap()
}

#[test]
fn what_the_site_compiled_answers_as_what_is_compiled_here() {
    for profile in Profile::ALL {
        let (component, ..) = hostile(profile);
        let here = Runtime::new(profile, Limits::default()).unwrap().load(&component, compiled()).unwrap();
        let site = load(profile, &component, &Site::of(&component)).unwrap();
        assert_eq!(answers(&site), answers(&here), "{profile:?}");
    }
}

#[test]
fn an_installer_of_the_site_is_loaded() {
    let component = built("hostile-installer");
    for profile in Profile::ALL {
        let runtime = Runtime::new(profile, Limits::default()).unwrap();
        let installer = runtime.load_installer(&component, Source::Signed(&Site::of(&component))).unwrap();
        assert_eq!(installer.manifest().name, "hostile-installer");
    }
}

#[test]
fn no_flipped_byte_reaches_the_engine() {
    for profile in Profile::ALL {
        let (component, engine, bytes) = hostile(profile);
        let mut site = Site::of(&component);
        for position in (0..bytes.len()).step_by(FLIPPED_EVERY) {
            let arrived = &mut site.signed.get_mut(&(engine, Digest::of(&component))).unwrap().bytes;
            arrived[position] ^= 0xff;
            let error = refusal(profile, &component, &site);
            assert!(matches!(error, ArtefactError::Altered { .. }), "byte {position}: {error}");
            site.signed.get_mut(&(engine, Digest::of(&component))).unwrap().bytes[position] ^= 0xff;
        }
        assert!(load(profile, &component, &site).is_ok(), "it was put back");
    }
}

#[test]
fn no_part_of_an_artefact_reaches_the_engine() {
    let (component, engine, bytes) = hostile(Profile::Pulley);
    for length in [0, 1, bytes.len() / 2, bytes.len() - 1] {
        let site = Site::bringing(&component, engine, bytes[..length].to_vec());
        let error = refusal(Profile::Pulley, &component, &site);
        assert!(matches!(error, ArtefactError::Altered { .. }), "{length} bytes: {error}");
    }
    let longer = [bytes.as_slice(), b"\0"].concat();
    let error = refusal(Profile::Pulley, &component, &Site::bringing(&component, engine, longer));
    assert!(matches!(error, ArtefactError::Altered { .. }), "{error}");
}

#[test]
fn another_components_artefact_is_refused() {
    let (component, engine, _) = hostile(Profile::Pulley);
    let other = artefact(&built("dpkg"), engine);
    let error = refusal(Profile::Pulley, &component, &Site::bringing(&component, engine, other.clone()));
    assert_eq!(
        error.to_string(),
        format!("the artefact for {engine} is not the one that the site has signed: it was altered, and is not run")
    );
    // Signed for the component that it is of, it is not even looked for.
    let site = Site::of(&built("dpkg"));
    assert!(matches!(refusal(Profile::Pulley, &component, &site), ArtefactError::Missing { .. }));
    // Signed as what it is not, it still has to be of the world that the component says.
    let installer = artefact(&built("hostile-installer"), engine);
    let Err(error) = load(Profile::Pulley, &component, &Site::signing(&component, engine, installer)) else {
        panic!("an installer was taken for an applicability plugin");
    };
    assert!(matches!(error, LoadError::Import { .. }), "{error}");
}

#[test]
fn an_artefact_for_another_engine_is_refused_in_words() {
    for profile in Profile::ALL {
        let (component, engine, _) = hostile(profile);
        for other in EngineId::ALL.into_iter().filter(|other| *other != engine) {
            let site = Site::signing(&component, engine, artefact(&component, other));
            let error = refusal(profile, &component, &site);
            let words = error.to_string();
            assert!(matches!(error, ArtefactError::OtherEngine { .. }), "{other}: {words}");
            assert!(words.contains(&engine.to_string()) && words.contains("publish it again"), "{other}: {words}");
        }
    }
}

#[test]
fn what_the_engine_cannot_read_is_refused_in_words() {
    // Signed, and yet nothing that a compiler wrote: a Wasm component, and nothing at all.
    let (component, engine, _) = hostile(Profile::Pulley);
    for bytes in [component.clone(), Vec::new()] {
        let error = refusal(Profile::Pulley, &component, &Site::signing(&component, engine, bytes));
        assert!(matches!(error, ArtefactError::OtherEngine { .. }), "{error}");
    }
}

#[test]
fn a_missing_artefact_is_named_with_the_remedy() {
    let (component, engine, _) = hostile(Profile::Native);
    let words = refusal(Profile::Native, &component, &Site::default()).to_string();
    assert!(words.contains(&format!("the site has no artefact for {engine}: publish one there")), "{words}");
}

#[test]
fn a_profile_that_no_site_compiles_for_says_so() {
    let component = built("hostile");
    let error = refusal(Profile::Counting, &component, &Site::of(&component)).to_string();
    assert!(error.contains("no site compiles for") && error.contains("`engine = \"pulley\"`"), "{error}");
}

#[test]
fn an_artefact_of_any_size_is_not_read() {
    let (component, engine, bytes) = hostile(Profile::Pulley);
    let limit = bytes.len() - 1;
    let runtime = Runtime::new(Profile::Pulley, Limits { artefact_bytes: limit, ..Limits::default() }).unwrap();
    let Err(error) = runtime.load(&component, Source::Signed(&Site::of(&component))) else { panic!("it was taken") };
    assert_eq!(error.to_string(), format!("the artefact for {engine} has more than {limit} bytes"));
}

#[test]
fn a_component_is_checked_before_its_artefact() {
    // What the site signed is good; what it is said to be compiled of is not a plugin.
    let (_, engine, bytes) = hostile(Profile::Pulley);
    for component in [b"\0asm\x0d\0\x01\0".to_vec(), wat("instance-bomb")] {
        let site = Site::signing(&component, engine, bytes.clone());
        let Err(error) = load(Profile::Pulley, &component, &site) else { panic!("it was taken") };
        assert!(matches!(error, LoadError::Manifest(_) | LoadError::Limit(_)), "{error}");
    }
}

#[test]
fn every_engine_has_an_artefact_of_its_own_which_is_always_the_same() {
    for plugin in ["hostile", "dpkg", "dpkg-installer"] {
        let component = built(plugin);
        let made = || EngineId::ALL.map(|engine| artefact(&component, engine));
        let (first, second) = (made(), made());
        assert!(first == second, "{plugin}: the compiler does not do the same twice");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), EngineId::ALL.len(), "{plugin}");
    }
}
