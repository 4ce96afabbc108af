//! The sample policy says what this plugin understands.

use crate::support::{SMALL, endpoint, open};
use farrier_plugin_sdk::{Applicability, ComplianceState, Json, Rule as _};

#[test]
fn the_rule_of_the_sample_is_understood() {
    let policy: toml::Table =
        toml::from_str(include_str!("../../../../policy-samples/rpm-minimum/policy.toml")).unwrap();
    let rule = policy["applicability"]["rule"].clone();
    let rule = serde_json::to_vec(&rule).unwrap();
    let scan = open(endpoint(SMALL)).unwrap();
    assert_eq!(scan.evaluate(&Json::decode(&rule).unwrap()), Ok(ComplianceState::Required));
}
