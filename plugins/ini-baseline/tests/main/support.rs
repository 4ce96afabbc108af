//! Endpoints with settings.

use farrier_plugin_ini_baseline::{IniBaseline, Rule};
use farrier_plugin_sdk::{
    Applicability, ComplianceState, Error, Facts, FakeRoot, Finding, Json, Rule as _, SharedFacts,
};
use serde_json::{Value, json};

pub const SSHD: &str = "/etc/ssh/sshd_config";

/// An endpoint with these files.
pub fn root(files: &[(&str, &str)]) -> FakeRoot {
    files.iter().fold(FakeRoot::new(), |root, (path, content)| root.with_file(path, *content))
}

/// A rule of these settings.
pub fn rule(settings: &[Value]) -> Vec<u8> {
    serde_json::to_vec(&json!({ "name": "test", "settings": settings })).unwrap()
}

/// What sshd is expected to have.
pub fn sshd(key: &str, expected: Value) -> Value {
    json!({ "file": SSHD, "format": "sshd", "key": key, "expected": expected })
}

pub fn evaluate(facts: impl Facts + 'static, rule: &[u8]) -> Result<ComplianceState, Error> {
    let rule = Json::<Rule<'_>>::decode(rule)?;
    IniBaseline::open(&SharedFacts::new(facts))?.evaluate(&rule)
}

/// The state of one setting.
pub fn state(root: &FakeRoot, setting: &Value) -> ComplianceState {
    evaluate(root.clone(), &rule(std::slice::from_ref(setting))).unwrap()
}

/// Why, as `subject: detail`.
pub fn explain(root: &FakeRoot, rule: &[u8]) -> Vec<String> {
    let rule = Json::<Rule<'_>>::decode(rule).unwrap();
    let findings = IniBaseline::open(&root.clone().shared()).unwrap().explain(&rule).unwrap();
    findings.iter().map(|Finding { subject, detail, .. }| format!("{subject}: {detail}")).collect()
}

/// Why, of one setting with one finding.
pub fn reason(root: &FakeRoot, setting: &Value) -> String {
    let [reason] = explain(root, &rule(std::slice::from_ref(setting))).try_into().unwrap();
    reason
}

/// Why the state of one setting is not known.
pub fn unknown(root: &FakeRoot, setting: &Value) -> String {
    let message = evaluate(root.clone(), &rule(std::slice::from_ref(setting))).unwrap_err().message().to_owned();
    let reason = reason(root, setting);
    assert!(reason.ends_with(&message), "{reason}");
    message
}
