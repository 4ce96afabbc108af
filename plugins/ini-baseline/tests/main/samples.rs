//! The sample policy says what this plugin understands, and what it installs is what it asks for.

use crate::support::{SSHD, evaluate, root};
use farrier_plugin_sdk::ComplianceState::{Installed, NotRequired, Required};

#[test]
fn the_drop_in_of_the_sample_is_as_its_rule_expects() {
    let policy: toml::Table =
        toml::from_str(include_str!("../../../../policy-samples/sshd-baseline/policy.toml")).unwrap();
    let rule = serde_json::to_vec(&policy["applicability"]["rule"]).unwrap();
    let drop_in = include_str!("../../../../policy-samples/sshd-baseline/content/10-baseline.conf");
    let debian = root(&[(SSHD, "Include /etc/ssh/sshd_config.d/*.conf\nX11Forwarding yes\n"), ("/usr/sbin/sshd", "")]);
    assert_eq!(evaluate(debian.clone(), &rule), Ok(Required));
    let installed = debian.clone().with_file("/etc/ssh/sshd_config.d/10-baseline.conf", drop_in);
    assert_eq!(evaluate(installed, &rule), Ok(Installed));
    assert_eq!(evaluate(debian.without_file("/usr/sbin/sshd"), &rule), Ok(NotRequired));
}
