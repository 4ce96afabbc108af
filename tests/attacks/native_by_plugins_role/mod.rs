//! Claim: the plugins' key makes no machine code: what agents without a compiler run is signed by the native role.
//!
//! The thief has the plugins' key and every key on the site. What keeps him out: `native/*/*` is delegated first and
//! terminating, so nobody after that role is asked. (At the level of `farrier-trust` and `farrier-runtime`.)

use crate::lite::{Lite, artefact_of, target_of};
use crate::scene::{Scene, dist, lying_component};
use farrier::keys::KeyRole;

#[test]
fn machine_code_that_the_plugins_key_signed_is_not_run() {
    let scene = Scene::new();
    let component = std::fs::read(dist("dpkg.wasm")).unwrap();
    let repository = attack(&scene, &component, KeyRole::Plugins, "plugins");
    let error = Lite::of(&repository).unwrap().load(&component).err().expect("it is not run").to_string();
    assert!(error.contains("has no artefact for"), "{error}");
}

/// The same by the native role is run: nothing else was wrong with it.
#[test]
fn whoever_has_the_native_key_is_let_in() {
    let scene = Scene::new();
    let component = std::fs::read(dist("dpkg.wasm")).unwrap();
    let repository = attack(&scene, &component, KeyRole::Native, "native");
    Lite::of(&repository).unwrap().load(&component).unwrap();
}

/// The artefact of a lying component, as if it were the artefact of this one.
fn attack(scene: &Scene, component: &[u8], key: KeyRole, role: &str) -> farrier_tests::stolen::Repository {
    let mut repository = scene.repository();
    let described = repository.add_target(&artefact_of(&lying_component()));
    let sign = |signed: &mut serde_json::Value| signed["targets"][target_of(component)] = described;
    repository.sign(role, &scene.keys(key), sign).unwrap();
    repository.publish(&scene.keys(KeyRole::Snapshot), &scene.keys(KeyRole::Timestamp)).unwrap();
    repository
}
