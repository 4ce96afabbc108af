//! The plugin beside this machine's sshd: both have to see the same values.

use crate::support::{SSHD, state};
use farrier_plugin_sdk::{ComplianceState::Installed, FakeRoot};
use serde_json::{Value, json};
use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::Command,
};
use tempfile::TempDir;

const PROGRAM: &str = "/usr/sbin/sshd";

/// Files below `/etc/ssh`; `{}` is that folder.
const CONFIGURATIONS: [&[(&str, &str)]; 7] = [
    &[("sshd_config", "PermitRootLogin no\nPermitRootLogin yes\nMaxAuthTries = 3\nLoginGraceTime 1m30s # short\n")],
    &[(
        "sshd_config",
        "permitrootlogin \"forced-commands-only\"\nAllowUsers anna\nAllowUsers ben 'carla d'\nPort 2200\nPort 2201\n",
    )],
    &[
        ("sshd_config", "Include {}/sshd_config.d/*.conf\nPermitRootLogin yes\nMaxAuthTries 5\n"),
        ("sshd_config.d/10-a.conf", "PermitRootLogin no\nMatch User git\nMaxAuthTries 1\n"),
        ("sshd_config.d/20-b.conf", "PermitRootLogin prohibit-password\nLoginGraceTime 2m\n"),
    ],
    &[("sshd_config", "Match User git\nMaxAuthTries 1\nMatch all\nMaxAuthTries 4\nPermitRootLogin no\n")],
    &[
        ("sshd_config", "Match User git\nInclude {}/sshd_config.d/*.conf\nMatch all\nPermitRootLogin no\n"),
        ("sshd_config.d/10-a.conf", "PermitRootLogin yes\nMatch all\nMaxAuthTries 1\n"),
    ],
    &[(
        "sshd_config",
        "Include {}/absent.conf {}/absent.d/*.conf\nMaxAuthTries 2\n\tKbdInteractiveAuthentication=no\n",
    )],
    &[("sshd_config", "PermitRootLogin prohibit-password\nSetEnv A=1 B=2\nSetEnv C=3\n")],
];

/// Keywords that are compared, and what sshd does without them.
const KEYWORDS: [(&str, &str); 7] = [
    ("PermitRootLogin", "without-password"),
    ("MaxAuthTries", "6"),
    ("LoginGraceTime", "120"),
    ("KbdInteractiveAuthentication", "yes"),
    ("AllowUsers", ""),
    ("Port", "22"),
    ("SetEnv", ""),
];

#[test]
fn sshd_and_the_plugin_see_the_same_values() {
    if !Path::new(PROGRAM).exists() {
        let line = b"SKIPPED sshd_and_the_plugin_see_the_same_values: there is no sshd.\n";
        return io::stderr().write_all(line).unwrap();
    }
    for files in CONFIGURATIONS {
        let folder = TempDir::new().unwrap();
        let mut root = FakeRoot::new();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text.replace("{}", &folder.path().display().to_string())).unwrap();
            root = root.with_file(&format!("/etc/ssh/{name}"), text.replace("{}", "/etc/ssh"));
        }
        let effective = effective(folder.path());
        for (keyword, default) in KEYWORDS {
            let values: Vec<&str> = effective
                .iter()
                .filter_map(|line| line.split_once(' '))
                .filter(|(found, _)| found.eq_ignore_ascii_case(keyword))
                .map(|(_, value)| value)
                .collect();
            let is = |expected: Value| {
                let setting =
                    json!({ "file": SSHD, "format": "sshd", "key": keyword, "default": default, "expected": expected });
                state(&root, &setting) == Installed
            };
            let expected = values.join(" ");
            let is_same = match expected.parse::<i64>() {
                Ok(number) => is(json!({ "at_least": number })) && is(json!({ "at_most": number })),
                Err(_) => is(json!(expected)),
            };
            assert!(is_same, "{keyword} is `{expected}` for sshd: {files:?}");
        }
    }
}

/// What sshd makes of a configuration, for a connection that no Match is about.
fn effective(folder: &Path) -> Vec<String> {
    let key = folder.join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status().unwrap();
    assert!(made.success());
    let connection = "user=nobody,host=client.example.org,addr=192.0.2.1,laddr=192.0.2.2,lport=22";
    let mut sshd = Command::new(PROGRAM);
    sshd.args(["-T", "-C", connection, "-h"]).arg(&key).arg("-f").arg(folder.join("sshd_config"));
    let output = sshd.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
