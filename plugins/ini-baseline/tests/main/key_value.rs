//! A key and a value in each line.

use crate::support::{reason, root, state};
use farrier_plugin_sdk::ComplianceState::{Installed, Required};
use serde_json::{Value, json};

fn setting(file: &str, key: &str, expected: &Value) -> Value {
    json!({ "file": file, "format": "key-value", "key": key, "expected": expected })
}

#[test]
fn login_defs_and_pwquality_are_read() {
    let files = root(&[
        (
            "/etc/login.defs",
            "# PASS_MAX_DAYS 1\nPASS_MAX_DAYS\t99999\nPASS_MIN_LEN 5\nPASS_MAX_DAYS 365\nUMASK\t\t027\n",
        ),
        ("/etc/security/pwquality.conf", "minlen = 12 # twelve\nenforcing\n"),
        ("/etc/default/useradd", "SHELL=\"/bin/bash\"\n"),
    ]);
    for (file, key, expected, met) in [
        ("/etc/login.defs", "PASS_MAX_DAYS", json!({ "at_most": 365 }), Installed),
        ("/etc/login.defs", "PASS_MAX_DAYS", json!({ "at_most": 90 }), Required),
        ("/etc/login.defs", "UMASK", json!({ "one_of": ["027", "077"] }), Installed),
        ("/etc/login.defs", "UMASK", json!("22"), Required),
        ("/etc/login.defs", "umask", json!("027"), Required),
        ("/etc/security/pwquality.conf", "minlen", json!({ "at_least": 12 }), Installed),
        ("/etc/security/pwquality.conf", "dictcheck", json!({ "absent": true }), Installed),
        ("/etc/default/useradd", "SHELL", json!("/bin/bash"), Installed),
    ] {
        assert_eq!(state(&files, &setting(file, key, &expected)), met, "{key} {expected}");
    }
    assert_eq!(
        reason(&files, &setting("/etc/login.defs", "PASS_MAX_DAYS", &json!({ "at_most": 90 }))),
        "PASS_MAX_DAYS: line 4 of /etc/login.defs has `365`; expected is at most 90"
    );
}

#[test]
fn drop_ins_that_the_rule_names_come_after_the_file() {
    let files = root(&[
        ("/etc/security/pwquality.conf", "minlen = 12\n"),
        ("/etc/security/pwquality.conf.d/10-weak.conf", "minlen = 6\n"),
    ]);
    let mut minlen = setting("/etc/security/pwquality.conf", "minlen", &json!({ "at_least": 12 }));
    assert_eq!(state(&files, &minlen), Installed);
    minlen["drop_ins"] = json!(["/etc/security/pwquality.conf.d"]);
    assert_eq!(
        reason(&files, &minlen),
        "minlen: line 1 of /etc/security/pwquality.conf.d/10-weak.conf has `6`; expected is at least 12"
    );
}
