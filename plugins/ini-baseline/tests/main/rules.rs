//! What a rule says as a whole.

use crate::support::{SSHD, evaluate, explain, root, rule, sshd};
use farrier_plugin_ini_baseline::IniBaseline;
use farrier_plugin_sdk::{
    Applicability,
    ComplianceState::{Installed, NotRequired, Required},
    Error, FakeRoot,
};
use serde_json::{Value, json};

#[test]
fn there_is_one_scope() {
    assert_eq!(IniBaseline::scopes(&FakeRoot::new()), Ok(vec!["ini-baseline/any".to_owned()]));
}

#[test]
fn every_setting_has_to_be_as_expected() {
    let settings = [sshd("PermitRootLogin", json!("no")), sshd("X11Forwarding", json!("no"))];
    for (text, expected) in [
        ("PermitRootLogin no\nX11Forwarding no\n", Installed),
        ("PermitRootLogin no\nX11Forwarding yes\n", Required),
        ("PermitRootLogin no\n", Required),
        ("", Required),
    ] {
        assert_eq!(evaluate(root(&[(SSHD, text)]), &rule(&settings)), Ok(expected), "{text}");
    }
}

#[test]
fn where_it_does_not_apply_nothing_is_required() {
    let rule =
        json!({ "name": "sshd", "applies_if": "/usr/sbin/sshd", "settings": [sshd("X11Forwarding", json!("no"))] });
    let rule = serde_json::to_vec(&rule).unwrap();
    let without = root(&[(SSHD, "X11Forwarding yes\n")]);
    assert_eq!(evaluate(without.clone(), &rule), Ok(NotRequired));
    assert_eq!(explain(&without, &rule), ["/usr/sbin/sshd: is not there, so `sshd` does not apply"]);
    assert_eq!(evaluate(without.clone().with_file("/usr/sbin/sshd", ""), &rule), Ok(Required));
    let denied = without.with_denied("/usr/sbin/*");
    assert!(matches!(evaluate(denied, &rule), Err(Error::Denied(_))), "what may not be seen is not absent");
}

#[test]
fn what_differs_is_required_whatever_is_unknown() {
    let settings = [
        json!({ "file": "/etc/secret.conf", "format": "key-value", "key": "A", "expected": "1" }),
        sshd("X11Forwarding", json!("no")),
    ];
    let files = |text: &str| root(&[(SSHD, text), ("/etc/secret.conf", "A=1\n")]).with_denied("/etc/secret.conf");
    assert_eq!(evaluate(files("X11Forwarding yes\n"), &rule(&settings)), Ok(Required));
    assert!(matches!(evaluate(files("X11Forwarding no\n"), &rule(&settings)), Err(Error::Denied(_))));
    let expected = [
        "A: /etc/secret.conf".to_owned(),
        "X11Forwarding: line 1 of /etc/ssh/sshd_config has `yes`; expected is `no`".to_owned(),
    ];
    assert_eq!(explain(&files("X11Forwarding yes\n"), &rule(&settings)), expected);
}

#[test]
fn a_rule_that_makes_no_sense_is_refused_in_words() {
    let setting = |more: Value| {
        let mut setting = json!({ "file": SSHD, "format": "sshd", "key": "A", "expected": "b" });
        let more = more.as_object().unwrap().clone();
        for (key, value) in more {
            match value {
                Value::Null => setting.as_object_mut().unwrap().remove(&key),
                value => setting.as_object_mut().unwrap().insert(key, value),
            };
        }
        rule(&[setting])
    };
    let many: Vec<_> = (0..129).map(|_| sshd("A", json!("b"))).collect();
    for (rule, expected) in [
        (rule(&[]), "the rule has no setting"),
        (rule(&many), "129 settings, more than 128"),
        (setting(json!({ "key": " " })), "the setting ` ` has no key"),
        (setting(json!({ "file": null })), "has no `file`"),
        (setting(json!({ "format": "sysctl" })), "has no `file`: leave it out"),
        (setting(json!({ "section": "S" })), "has a section, and only `ini` has"),
        (setting(json!({ "drop_ins": ["/etc/x"] })), "has drop-ins"),
        (setting(json!({ "expected": { "one_of": [] } })), "is expected to be one of nothing"),
        (setting(json!({ "expected": true })), "expected a text, a whole number"),
        (setting(json!({ "expected": { "least": 1 } })), "unknown variant `least`"),
        (setting(json!({ "default": false })), "expected a text or a whole number"),
        (setting(json!({ "format": "toml" })), "unknown variant `toml`"),
        (setting(json!({ "keys": "A" })), "unknown field `keys`"),
        (b"{}".to_vec(), "missing field"),
    ] {
        let message = evaluate(root(&[(SSHD, "A b\n")]), &rule).unwrap_err().message().to_owned();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn files_are_bounded() {
    let setting = sshd("A", json!("b"));
    let large = root(&[(SSHD, &"#\n".repeat(600_000))]);
    let message = evaluate(large, &rule(&[setting])).unwrap_err().message().to_owned();
    assert_eq!(message, "/etc/ssh/sshd_config: more than 1048576 bytes for a file of settings");
}

#[test]
fn all_rules_of_a_scan_see_the_same_files() {
    use farrier_plugin_sdk::{Facts, File, Json, Os, Rule as _, SharedFacts, Status};
    use std::cell::Cell;

    /// A file that says something else each time.
    struct Moody(Cell<u32>);

    impl Facts for Moody {
        fn open_file(&self, path: &str) -> Result<Box<dyn File>, Error> {
            self.0.set(self.0.get() + 1);
            root(&[(SSHD, &format!("Port {}\n", self.0.get()))]).open_file(path)
        }

        fn list_folder(&self, path: &str) -> Result<Vec<String>, Error> {
            Err(Error::NotFound(path.to_owned()))
        }

        fn stat(&self, path: &str) -> Result<Status, Error> {
            Err(Error::NotFound(path.to_owned()))
        }

        fn digest(&self, path: &str) -> Result<String, Error> {
            Err(Error::NotFound(path.to_owned()))
        }

        fn os(&self) -> Os {
            Os::default()
        }

        fn query(&self, name: &str, _: &str) -> Result<String, Error> {
            Err(Error::NotFound(name.to_owned()))
        }
    }

    let scan = IniBaseline::open(&SharedFacts::new(Moody(Cell::default()))).unwrap();
    let rule = rule(&[sshd("Port", json!(1))]);
    for _ in 0..3 {
        assert_eq!(scan.evaluate(&Json::decode(&rule).unwrap()), Ok(Installed));
    }
}
