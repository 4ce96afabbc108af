//! Which image runs, on which hardware.

#![allow(clippy::unwrap_used)] // What is missing is a failed test.

use farrier_plugin_os_image::OsImage;
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{Installed, NotRequired, Required},
    Error, Facts, FakeRoot, Finding, Json, Rule,
};

fn gateway(version: &str) -> FakeRoot {
    FakeRoot::new().with_file("/etc/image-version", version).with_file("/etc/hardware", "gateway-a\n")
}

fn rule(more: &str) -> String {
    format!(r#"{{"image":"gateway","version":"2026.11"{more}}}"#)
}

const PLAIN: &str = r#","version_file":"/etc/image-version","compatible":["gateway-a","gateway-b"]"#;

fn look(root: FakeRoot, rule: &str) -> Result<Finding, Error> {
    let rule = Json::decode(rule.as_bytes())?;
    let scan = OsImage::open(&root.shared())?;
    let finding = scan.explain(&rule)?.remove(0);
    assert_eq!(scan.evaluate(&rule), Ok(finding.state));
    Ok(finding)
}

#[test]
fn the_running_version_decides() {
    for (version, expected, why) in [
        ("2026.11\n", Installed, "2026.11 is running"),
        ("2026.10.3\n", Required, "2026.10.3 is running, 2026.11 is offered"),
        ("2026.9\n", Required, "2026.9 is running, 2026.11 is offered"),
        ("2027.1\n", Installed, "2027.1 is running, which is newer than 2026.11"),
        ("scarthgap\n", Required, "scarthgap is running, 2026.11 is offered"),
    ] {
        let finding = look(gateway(version), &rule(PLAIN)).unwrap();
        assert_eq!((finding.subject.as_str(), finding.state, finding.detail.as_str()), ("gateway", expected, why));
    }
}

#[test]
fn other_hardware_is_not_concerned() {
    let other = gateway("2026.10").with_file("/etc/hardware", "camera-c\n");
    let finding = look(other, &rule(PLAIN)).unwrap();
    assert_eq!(finding.state, NotRequired);
    assert_eq!(
        (finding.subject.as_str(), finding.detail.as_str()),
        ("hardware camera-c", "gateway 2026.11 is for gateway-a, gateway-b")
    );
}

#[test]
fn hardware_that_cannot_be_told_is_neither_this_nor_another() {
    let unknown = gateway("2026.10").without_file("/etc/hardware");
    let error = look(unknown.clone(), &rule(PLAIN)).unwrap_err();
    assert!(error.message().contains("no /etc/hardware and no /proc/device-tree/compatible"), "{error:?}");
    let tree = unknown.with_file("/proc/device-tree/compatible", "example,gateway\0gateway-b\0");
    assert_eq!(look(tree, &rule(PLAIN)).unwrap().state, Required);
    let empty = gateway("2026.10").with_file("/etc/hardware", "\n");
    assert!(matches!(look(empty, &rule(PLAIN)), Err(Error::Invalid(_))));
    let denied = gateway("2026.10").with_denied("/etc/hardware");
    assert!(matches!(look(denied, &rule(PLAIN)), Err(Error::Denied(_))));
}

#[test]
fn the_files_of_other_updaters_are_understood() {
    let root = FakeRoot::new()
        .with_file("/etc/os-release", "ID=poky\nIMAGE_ID=gateway\nIMAGE_VERSION=\"2026.11\"\n")
        .with_file("/etc/sw-versions", "bootloader 3\ngateway 2026.11\n")
        .with_file("/etc/mender/artifact_info", "artifact_name=2026.11\n")
        .with_file("/etc/hwrevision", "gateway-a revC\n")
        .with_file("/var/lib/mender/device_type", "device_type=gateway-a\n")
        .with_file("/etc/rauc/system.conf", "[system]\ncompatible=gateway-a\nbootloader=uboot\n");
    for (version_file, key) in [
        ("/etc/os-release", "IMAGE_VERSION"),
        ("/etc/sw-versions", "gateway"),
        ("/etc/mender/artifact_info", "artifact_name"),
    ] {
        for hardware in ["/etc/hwrevision", "/var/lib/mender/device_type", "/etc/rauc/system.conf"] {
            for (name, expected) in [("gateway-a", Installed), ("gateway", NotRequired)] {
                let more = format!(
                    r#","version_file":"{version_file}","version_key":"{key}",
                        "compatible":["{name}"],"hardware_file":"{hardware}""#
                );
                assert_eq!(look(root.clone(), &rule(&more)).unwrap().state, expected, "{more}");
            }
        }
    }
    let revision = r#","version_file":"/etc/sw-versions","version_key":"gateway",
        "compatible":["gateway-a revB"],"hardware_file":"/etc/hwrevision""#;
    assert_eq!(look(root, &rule(revision)).unwrap().state, NotRequired);
}

#[test]
fn an_endpoint_without_an_image() {
    let bare = FakeRoot::new().with_file("/etc/hardware", "gateway-a\n");
    let finding = look(bare.clone(), &rule(PLAIN)).unwrap();
    assert_eq!(finding.state, Required, "the hardware is the right one");
    assert_eq!(finding.detail, "/etc/image-version is not there; 2026.11 is offered");
    let finding = look(bare, &rule(r#","version_file":"/etc/image-version""#)).unwrap();
    assert_eq!(finding.state, NotRequired, "it may be anything");
    assert_eq!(finding.detail, "/etc/image-version is not there: this endpoint runs no image");
}

#[test]
fn a_version_that_is_none_and_a_rule_that_is_none_are_errors() {
    for version in ["", "\n", "2026.11\n2026.10\n"] {
        assert!(matches!(look(gateway(version), &rule(PLAIN)), Err(Error::Invalid(_))), "{version:?}");
    }
    let keyed = r#","version_file":"/etc/image-version","version_key":"IMAGE_VERSION""#;
    let error = look(gateway("2026.11"), &rule(keyed)).unwrap_err();
    assert!(error.message().contains("/etc/image-version has no line `IMAGE_VERSION=...`"), "{error:?}");
    for (more, expected) in [
        (r#","version_file":"/etc/image-version","compatible":[""]"#, "an empty name"),
        (r#","version_file":"/etc/image-version","hardware_file":"/etc/hardware""#, "without `compatible`"),
        (r#","version_file":"/etc/image-version","compatable":["gateway-a"]"#, "compatable"),
        ("", "version_file"),
    ] {
        let error = look(gateway("2026.11"), &rule(more)).unwrap_err();
        assert!(error.message().contains(expected), "{more}: {error:?}");
    }
}

#[test]
fn it_has_one_scope() {
    assert_eq!(OsImage::scopes(&FakeRoot::new()), Ok(vec!["os-image/any".to_owned()]));
}
