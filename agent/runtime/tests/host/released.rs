//! Plugins of earlier days: what was built against a released version runs for ever.
//!
//! The components in `tests/released/` are never built again. They were built from `plugins/hostile` and
//! `plugins/hostile-installer` with the SDK of their day, and are told what to do in the same way.

use crate::install_stage::{CONTENTS, Stage as InstallStage};
use crate::stage::{RULE, RULES, Stage};
use farrier_protocol::{ComplianceState, Digest};
use farrier_runtime::{Limits, Manifest, Profile, World};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The components of each version: world, SHA-256. A line is added here once, and never changed.
const RELEASED: [(&str, World, &str); 2] = [
    ("1.0.0", World::Applicability, "0b66f0c9e369dcf773724a349ef96db9e8a1c3e61573616d97e1795697b60204"),
    ("1.0.0", World::Installer, "8ca27431d9419969b85c5181f12226470127a47d8b37a3cff34b0b6992a6a0a4"),
];

fn path(version: &str, world: World) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(version).join(format!("{world}.wasm"))
}

/// The components of this world, as they were released.
fn components(world: World) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    RELEASED.into_iter().filter(move |(_, of, _)| *of == world).map(|(version, of, digest)| {
        let component = std::fs::read(path(version, of)).unwrap();
        assert_eq!(Digest::of(&component).to_string(), digest, "{version} {of} was changed: bring it back");
        assert_eq!(Manifest::read(&component).unwrap().wit, version);
        (version, component)
    })
}

#[test]
fn applicability_plugins_of_every_released_version_scan() {
    for profile in Profile::ALL {
        for (version, component) in components(World::Applicability) {
            let stage = Stage::new(profile, &Limits::default(), "evaluate:look-around");
            let plugin = stage.load(&component).unwrap_or_else(|error| panic!("{version}: {error}"));
            let mut scan = stage.scan_of(&plugin);
            assert_eq!(scan.scopes().unwrap(), [farrier_plugin_hostile::SCOPE]);
            assert_eq!(scan.evaluate(RULES, 2), Ok(vec![ComplianceState::Required; 2]), "{version}");
            assert_eq!(scan.explain(RULE).unwrap()[0].subject, "hostile");
            stage.order("read-at-edges");
            assert_eq!(stage.scan_of(&plugin).evaluate(RULES, 2), Ok(vec![ComplianceState::Required; 2]));
        }
    }
}

#[test]
fn installers_of_every_released_version_install() {
    for profile in Profile::ALL {
        for (version, component) in components(World::Installer) {
            let stage = InstallStage::new(profile, &Limits::default(), "target-edges");
            let plugin = stage.load(&component).unwrap_or_else(|error| panic!("{version}: {error}"));
            let grants = farrier_runtime::GrantLists::from(plugin.manifest());
            let mut installation = stage.open_granted(&plugin, &grants, Duration::from_secs(600));
            assert_eq!(stage.select(&mut installation).unwrap().contents, [0, 1]);
            assert_eq!(stage.plan(&mut installation).unwrap().len(), CONTENTS.len());
            assert!(stage.install(&mut installation).is_ok(), "{version}");
            for (label, bytes) in CONTENTS {
                assert_eq!(stage.text(&format!("/opt/hostile/{label}")), bytes);
            }
            assert!(installation.finish(&stage.update()).is_ok());
            assert!(installation.roll_back(&stage.update(), &stage.blobs()).is_ok());
            stage.order("ask-for-restarts");
            assert_eq!(stage.install(&mut installation).unwrap().restarts.len(), 3);
        }
    }
}

#[test]
fn nothing_that_was_released_is_left_out() {
    let folder = path("1.0.0", World::Applicability);
    let folder = folder.parent().unwrap().parent().unwrap();
    let mut found = Vec::new();
    for version in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        found.extend(std::fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path()));
    }
    found.sort();
    let mut expected = RELEASED.map(|(version, world, _)| path(version, world));
    expected.sort();
    assert_eq!(found, expected);
}
