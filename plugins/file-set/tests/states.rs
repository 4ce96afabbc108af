//! What a set of files is, and why.

#![allow(clippy::unwrap_used)] // What is missing is a failed test.

use farrier_plugin_file_set::FileSets;
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{self, Installed, NotRequired, Required, Unknown},
    Error, Facts, FakeBlob, FakeRoot, Json, Rule,
};

const NEW: &str = "the new program";

fn digest(content: &str) -> String {
    FakeBlob::new("", content).digest().to_owned()
}

/// A rule of version 1.2 with these keys more.
fn rule(more: &str) -> String {
    let sha256 = digest(NEW);
    format!(
        r#"{{"name":"kiosk","version":"1.2",{more}
            "files":[{{"path":"/opt/kiosk/kiosk","sha256":"{sha256}","mode":"0755"}}]}}"#
    )
}

fn kiosk() -> FakeRoot {
    FakeRoot::new().with_file("/opt/kiosk/kiosk", NEW).with_mode("/opt/kiosk/kiosk", 0o755)
}

fn state(root: FakeRoot, rule: &str) -> Result<ComplianceState, Error> {
    FileSets::open(&root.shared())?.evaluate(&Json::decode(rule.as_bytes())?)
}

/// The findings as `subject: state: detail`.
fn findings(root: FakeRoot, rule: &str) -> Vec<String> {
    let rule = Json::decode(rule.as_bytes()).unwrap();
    let findings = FileSets::open(&root.shared()).unwrap().explain(&rule).unwrap();
    findings.iter().map(|finding| format!("{}: {:?}: {}", finding.subject, finding.state, finding.detail)).collect()
}

#[test]
fn the_content_and_the_mode_decide() {
    let old = "the old program";
    for (root, expected, why) in [
        (kiosk(), Installed, "it is as it should be".to_owned()),
        (
            kiosk().with_file("/opt/kiosk/kiosk", old),
            Required,
            format!("its content is another: SHA-256 {}..., not {}...", &digest(old)[..12], &digest(NEW)[..12]),
        ),
        (kiosk().with_mode("/opt/kiosk/kiosk", 0o644), Required, "its mode is 0644, not 0755".to_owned()),
        (kiosk().with_mode("/opt/kiosk/kiosk", 0o4755), Required, "its mode is 4755, not 0755".to_owned()),
        (FakeRoot::new(), Required, "it is not there".to_owned()),
        (FakeRoot::new().with_link("/opt/kiosk/kiosk", "/nowhere"), Required, "a link that leads nowhere".to_owned()),
        (
            FakeRoot::new().with_link("/opt/kiosk/kiosk", "/opt/k").with_file("/opt/k", NEW),
            Installed,
            "it is as it should be".to_owned(),
        ),
    ] {
        assert_eq!(state(root.clone(), &rule("")), Ok(expected), "{why}");
        let findings = findings(root, &rule(""));
        assert!(findings[0].starts_with(&format!("/opt/kiosk/kiosk: {expected:?}: ")), "{findings:?}");
        assert!(findings[0].contains(&why), "{findings:?} {why}");
    }
}

#[test]
fn the_version_file_decides_before_the_files_do() {
    let with_version = |version: &str| kiosk().with_file("/opt/kiosk/VERSION", version);
    let rule = rule(r#""version_file":"/opt/kiosk/VERSION","#);
    for (root, expected, why) in [
        (with_version("1.2\n"), Installed, "1.2 is installed"),
        (with_version("1.1\n"), Required, "1.1 is installed, 1.2 is offered"),
        (with_version("1.10\n"), Installed, "1.10 is installed, which is newer than 1.2"),
        (with_version("winter"), Required, "winter is installed, 1.2 is offered"),
        (with_version("\n"), Required, "it is empty; 1.2 is offered"),
        (with_version("1.2\u{7}\n"), Required, "1.2\\u{7} is installed, 1.2 is offered"),
        (kiosk(), Required, "it is not there; kiosk 1.2 is offered"),
    ] {
        assert_eq!(state(root.clone(), &rule), Ok(expected), "{why}");
        assert_eq!(findings(root, &rule)[0], format!("/opt/kiosk/VERSION: {expected:?}: {why}"));
    }
    let damaged = with_version("1.2").with_file("/opt/kiosk/kiosk", "damaged");
    assert_eq!(state(damaged, &rule), Ok(Required), "the version alone proves nothing");
    let newer = with_version("1.3").with_file("/opt/kiosk/kiosk", "that of 1.3");
    assert_eq!(state(newer.clone(), &rule), Ok(Installed), "the files of a newer version are others");
    assert_eq!(findings(newer, &rule).len(), 1);
}

#[test]
fn what_it_does_not_concern_does_not_need_it() {
    let rule = rule(r#""applies_if":"/opt/kiosk","#);
    assert_eq!(state(FakeRoot::new(), &rule), Ok(NotRequired));
    let expected = format!("/opt/kiosk: {NotRequired:?}: it is not there, so kiosk does not concern this client");
    assert_eq!(findings(FakeRoot::new(), &rule), [expected]);
    assert_eq!(state(FakeRoot::new().with_folder("/opt/kiosk"), &rule), Ok(Required));
    assert_eq!(state(kiosk(), &rule), Ok(Installed));
}

#[test]
fn what_may_not_be_read_is_neither_installed_nor_not_required() {
    let more = r#""version_file":"/opt/kiosk/VERSION","applies_if":"/opt/kiosk","#;
    let root = kiosk().with_file("/opt/kiosk/VERSION", "1.2\n");
    assert_eq!(state(root.clone(), &rule(more)), Ok(Installed));
    for path in ["/opt/kiosk", "/opt/kiosk/VERSION", "/opt/kiosk/kiosk"] {
        let denied = state(root.clone().with_denied(path), &rule(more));
        assert_eq!(denied, Err(Error::Denied(path.to_owned())));
    }
    let findings = findings(root.with_denied("/opt/kiosk/kiosk"), &rule(more));
    assert_eq!(findings[1], format!("/opt/kiosk/kiosk: {Unknown:?}: /opt/kiosk/kiosk"));
    let folder = FakeRoot::new().with_folder("/opt/kiosk/kiosk");
    assert!(matches!(state(folder, &rule("")), Err(Error::Invalid(_))));
    let bytes = kiosk().with_file("/opt/kiosk/VERSION", [0xff]);
    assert!(matches!(state(bytes, &rule(more)), Err(Error::Invalid(_))));
}

#[test]
fn a_rule_that_says_nothing_clear_is_an_error() {
    let sha256 = digest(NEW);
    for (rule, expected) in [
        (r#"{"name":"k","version":"1","files":[]}"#.to_owned(), "has no `files`"),
        (format!(r#"{{"name":"k","version":" ","files":[{{"path":"/a","sha256":"{sha256}"}}]}}"#), "empty `version`"),
        (r#"{"name":"k","version":"1","files":[{"path":"/a","sha256":"abc"}]}"#.to_owned(), "64 hexadecimal digits"),
        (
            format!(r#"{{"name":"k","version":"1","files":[{{"path":"/a","sha256":"{}"}}]}}"#, "g".repeat(64)),
            "64 hexadecimal digits",
        ),
        (
            format!(r#"{{"name":"k","version":"1","files":[{{"path":"/a","sha256":"{sha256}","mode":"755x"}}]}}"#),
            "no permission bits in octal",
        ),
        (
            format!(r#"{{"name":"k","version":"1","files":[{{"path":"/a","sha256":"{sha256}","mode":"+75"}}]}}"#),
            "no permission bits in octal",
        ),
        (
            format!(r#"{{"name":"k","version":"1","aplies_if":"/b","files":[{{"path":"/a","sha256":"{sha256}"}}]}}"#),
            "aplies_if",
        ),
        (String::new(), "what the policy says"),
    ] {
        let error = state(kiosk(), &rule).unwrap_err();
        assert!(error.message().contains(expected), "{rule}: {error:?}");
    }
}

#[test]
fn escapes_and_capital_digits_are_understood() {
    let rule = format!(
        r#"{{"name":"k\u0069osk","version":"1","files":[{{"path":"\/opt\/kiosk\/kiosk","sha256":"{}"}}]}}"#,
        digest(NEW).to_uppercase()
    );
    assert_eq!(state(kiosk(), &rule), Ok(Installed));
}

#[test]
fn it_has_one_scope() {
    assert_eq!(FileSets::scopes(&FakeRoot::new()), Ok(vec!["file-set/any".to_owned()]));
}
