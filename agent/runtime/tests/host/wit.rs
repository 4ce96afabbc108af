//! What was released stays as it was, and what is to come fits it.

use farrier_protocol::Digest;
use farrier_runtime::{WIT_VERSION, World};
use std::path::{Path, PathBuf};
use wit_parser::{Resolve, SourceMap, WorldId};

/// The released versions, and the SHA-256 of all their files: for each, in the order of names, its name, a line break, its
/// bytes. A version is added here once, and never changed.
const RELEASED: [(&str, &str); 1] = [("1.0.0", "109fd84666033393feb48293c49ec621d0a69d3a396901fe8ba91d88fd99e8db")];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")
}

/// The files of a folder: names and texts.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "wit"));
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap())
    };
    let mut files: Vec<_> = files.map(read).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    files
}

#[test]
fn what_was_released_never_changes() {
    let mut found: Vec<_> = std::fs::read_dir(folder().join("released"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    found.sort();
    assert_eq!(found, RELEASED.map(|(version, _)| version), "every released version has its digest here");
    for (version, digest) in RELEASED {
        let files = files(&folder().join("released").join(version));
        let bytes: String = files.iter().map(|(name, text)| format!("{name}\n{text}")).collect();
        assert_eq!(
            Digest::of(bytes.as_bytes()).to_string(),
            digest,
            "wit/released/{version} was changed: bring it back"
        );
        assert!(files.iter().all(|(_, text)| text.contains(&format!("package farrier:policy@{version};"))));
    }
}

#[test]
fn the_version_of_the_host_is_that_of_its_interfaces() {
    for (name, text) in files(&folder()) {
        assert!(text.contains(&format!("package farrier:policy@{WIT_VERSION};")), "{name} is not of {WIT_VERSION}");
    }
    assert!(RELEASED.iter().any(|(version, _)| *version == WIT_VERSION), "{WIT_VERSION} is not released yet");
}

/// A world of these files, as a package of this version.
fn world(resolve: &mut Resolve, files: &[(String, String)], version: &str, world: World) -> WorldId {
    let mut sources = SourceMap::new();
    for (name, text) in files {
        let (_, rest) = text.split_once("package farrier:policy@").unwrap();
        let (own, _) = rest.split_once(';').unwrap();
        sources.push_str(name, text.replace(&format!("farrier:policy@{own};"), &format!("farrier:policy@{version};")));
    }
    let group = sources.parse().map_err(|(_, error)| error).unwrap();
    let package = resolve.push_group(group).unwrap();
    resolve.select_world(&[package], Some(world.as_str())).unwrap()
}

/// Whether plugins that were built against `old` run where `new` is.
fn fits(old: &[(String, String)], new: &[(String, String)]) -> Result<(), String> {
    for kind in World::ALL {
        let mut resolve = Resolve::default();
        // The check leaves versions aside, and two packages of one version cannot be told apart.
        let (old, new) = (world(&mut resolve, old, "0.0.1", kind), world(&mut resolve, new, "0.0.2", kind));
        wit_component::semver_check(resolve, old, new).map_err(|error| format!("{kind}: {error:#}"))?;
    }
    Ok(())
}

#[test]
fn every_plugin_built_against_a_released_version_runs_on_this_host() {
    let major = |version: &str| version.split('.').next().unwrap().to_owned();
    let now = files(&folder());
    for (version, _) in RELEASED.into_iter().filter(|(version, _)| major(version) == major(WIT_VERSION)) {
        let released = files(&folder().join("released").join(version));
        assert_eq!(fits(&released, &now), Ok(()), "wit/ breaks plugins built against {version}");
    }
}

/// The check would notice.
#[test]
fn a_change_that_breaks_plugins_is_found() {
    let now = files(&folder());
    let changed = |file: &str, from: &str, to: &str| {
        let mut files = now.clone();
        let (_, text) = files.iter_mut().find(|(name, _)| name == file).unwrap();
        assert!(text.contains(from), "{file}: {from}");
        *text = text.replacen(from, to, 1);
        files
    };
    // What a minor version may do.
    let more = "    log-more: func();\n}\n";
    let mut grown = changed("log.wit", "write: func(level: level, message: string);\n}\n", "");
    let (_, text) = grown.iter_mut().find(|(name, _)| name == "log.wit").unwrap();
    text.push_str(&format!("write: func(level: level, message: string);\n{more}"));
    assert_eq!(fits(&now, &grown), Ok(()));
    // What it may not.
    for (what, new) in [
        (
            "a field is added",
            changed("facts.wit", "        modified: s64,", "        modified: s64,\n        owner: u32,"),
        ),
        ("a case is added", changed("types.wit", "        unknown,", "        unknown,\n        postponed,")),
        ("a type is another one", changed("facts.wit", "        mode: u32,", "        mode: u16,")),
        ("a function is gone", changed("facts.wit", "    os: func() -> list<fact>;", "")),
        (
            "a parameter is added",
            changed("process.wit", "pause: func(milliseconds: u32)", "pause: func(milliseconds: u32, why: string)"),
        ),
        (
            "plugins have to export more",
            changed("installer.wit", "finish: func(", "verify: func();\n    finish: func("),
        ),
    ] {
        assert!(fits(&now, &new).is_err(), "{what}");
    }
}
