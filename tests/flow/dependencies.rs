//! The dependency rules of ARCHITECTURE.md.

use std::collections::BTreeMap;
use std::process::Command;

/// What each of our crates may depend on among ours, tests aside.
fn allowed(package: &str) -> Option<&'static [&'static str]> {
    Some(match package {
        "farrier-protocol" | "farrier-dpkg-rules" | "farrier-plugin-sdk" | "farrier-test-harness" => &[],
        "farrier-demo" | "farrier-plugins-build" => &[],
        "farrier-trust" | "farrier-agent-core" | "farrier-spool" | "farrier-runtime" => &["farrier-protocol"],
        "farrier-agent" => {
            &["farrier-protocol", "farrier-trust", "farrier-agent-core", "farrier-spool", "farrier-runtime"]
        }
        "farrier" => {
            &["farrier-protocol", "farrier-trust", "farrier-runtime", "farrier-dpkg-rules", "farrier-workbench"]
        }
        "farrier-workbench" => &["farrier-protocol", "farrier-runtime", "farrier-plugins-build"],
        "farrier-plugin-dpkg" | "farrier-plugin-dpkg-installer" => &["farrier-plugin-sdk", "farrier-dpkg-rules"],
        "farrier-plugin-os-image-installer" => &["farrier-plugin-sdk", "farrier-plugin-os-image"],
        name if name.starts_with("farrier-plugin-") || name.starts_with("farrier-sample-") => &["farrier-plugin-sdk"],
        "farrier-tests" => &["farrier", "farrier-agent", "farrier-protocol", "farrier-test-harness", "farrier-trust"],
        _ => return None,
    })
}

#[test]
fn dependencies_point_one_way() {
    for (package, dependencies) in our_dependencies() {
        let Some(allowed) = allowed(&package) else { panic!("{package} is new: say here what it may depend on") };
        for dependency in dependencies {
            assert!(allowed.contains(&dependency.as_str()), "{package} must not depend on {dependency}");
        }
    }
}

fn our_dependencies() -> BTreeMap<String, Vec<String>> {
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let dependencies = |package: &serde_json::Value| {
        let normal =
            package["dependencies"].as_array().unwrap().iter().filter(|dependency| dependency["kind"].is_null());
        normal.map(|dependency| text(&dependency["name"])).filter(|name| name.starts_with("farrier")).collect()
    };
    packages.iter().map(|package| (text(&package["name"]), dependencies(package))).collect()
}
