//! sshd_config(5).

use crate::support::{SSHD, reason, root, sshd, state, unknown};
use farrier_plugin_sdk::ComplianceState::{Installed, Required};
use serde_json::{Value, json};

#[test]
fn the_first_value_counts() {
    for (text, expected, why) in [
        ("PermitRootLogin no\nPermitRootLogin yes\n", Installed, "line 1 of /etc/ssh/sshd_config has `no`"),
        (
            "# PermitRootLogin no\n\npermitrootlogin=yes\nPermitRootLogin no\n",
            Required,
            "line 3 of /etc/ssh/sshd_config has `yes`; expected is `no`",
        ),
        ("PERMITROOTLOGIN NO # never\n", Installed, "line 1 of /etc/ssh/sshd_config has `NO`"),
        ("\tPermitRootLogin\t=\t\"no\"\n", Installed, "line 1 of /etc/ssh/sshd_config has `no`"),
        ("", Required, "/etc/ssh/sshd_config does not set it for everybody; expected is `no`"),
    ] {
        let (root, setting) = (root(&[(SSHD, text)]), sshd("PermitRootLogin", json!("no")));
        assert_eq!(state(&root, &setting), expected, "{text}");
        assert_eq!(reason(&root, &setting), format!("PermitRootLogin: {why}"), "{text}");
    }
}

#[test]
fn a_default_holds_where_nothing_is_set() {
    let with_default = |default: Value| {
        let mut setting = sshd("X11Forwarding", json!("no"));
        setting["default"] = default;
        setting
    };
    let silent = root(&[(SSHD, "Port 22\n")]);
    assert_eq!(state(&silent, &with_default(json!("no"))), Installed);
    assert_eq!(
        reason(&silent, &with_default(json!("yes"))),
        "X11Forwarding: /etc/ssh/sshd_config does not set it for everybody, and the default is `yes`; expected is `no`"
    );
    let absent = root(&[("/etc/hostname", "")]);
    assert_eq!(state(&absent, &with_default(json!("no"))), Installed);
    assert_eq!(
        reason(&absent, &sshd("X11Forwarding", json!("no"))),
        "X11Forwarding: /etc/ssh/sshd_config is not there; expected is `no`"
    );
}

#[test]
fn a_match_ends_what_holds_for_everybody() {
    let conditional = "Match User git\n  PermitRootLogin no\n";
    let setting = sshd("PermitRootLogin", json!("no"));
    for (text, expected, why) in [
        (
            conditional.to_owned(),
            Required,
            "does not set it for everybody; expected is `no`; for some connections line 2",
        ),
        (format!("{conditional}Match all\nPermitRootLogin no\n"), Installed, "line 4 of /etc/ssh/sshd_config has `no`"),
        (format!("PermitRootLogin no\n{conditional}"), Installed, "line 1 of /etc/ssh/sshd_config has `no`"),
        (
            "PermitRootLogin no\nMatch Address 192.0.2.0/24\nPermitRootLogin yes\n".to_owned(),
            Installed,
            "has `no`; for some connections line 3 of /etc/ssh/sshd_config, below a Match, has `yes`",
        ),
    ] {
        let root = root(&[(SSHD, &text)]);
        assert_eq!(state(&root, &setting), expected, "{text}");
        let reason = reason(&root, &setting);
        assert!(reason.contains(why), "{reason}");
    }
    let both = root(&[(SSHD, "PermitRootLogin no\nMatch all\nPermitRootLogin yes\n")]);
    assert!(unknown(&both, &setting).contains("below `Match all`, has `yes`: have it in one place"));
}

#[test]
fn includes_are_read_in_their_place() {
    let files = |main: &str| {
        root(&[
            (SSHD, main),
            ("/etc/ssh/sshd_config.d/50-cloud.conf", "PermitRootLogin yes\n"),
            ("/etc/ssh/sshd_config.d/10-baseline.conf", "PermitRootLogin no\nMatch User git\n"),
            ("/etc/ssh/sshd_config.d/.hidden.conf", "PermitRootLogin maybe\n"),
            ("/etc/ssh/sshd_config.d/05-other.txt", "PermitRootLogin perhaps\n"),
            ("/etc/ssh/other_config", "PermitRootLogin without-password\n"),
        ])
    };
    let setting = sshd("PermitRootLogin", json!("no"));
    let include = "Include /etc/ssh/sshd_config.d/*.conf\n";
    for (main, expected, place) in [
        (include.to_owned(), Installed, "line 1 of /etc/ssh/sshd_config.d/10-baseline.conf has `no`"),
        (format!("{include}PermitRootLogin yes\n"), Installed, "line 1 of /etc/ssh/sshd_config.d/10-baseline.conf"),
        (format!("PermitRootLogin yes\n{include}"), Required, "line 1 of /etc/ssh/sshd_config has `yes`"),
        ("Include sshd_config.d/5?-*.conf\n".to_owned(), Required, "sshd_config.d/50-cloud.conf has `yes`"),
        (
            "Include absent absent/*.conf other_config\n".to_owned(),
            Required,
            "/etc/ssh/other_config has `without-password`",
        ),
        (
            format!("Match User git\n{include}Match all\nPermitRootLogin no\n"),
            Installed,
            "line 4 of /etc/ssh/sshd_config",
        ),
    ] {
        let root = files(&main);
        assert_eq!(state(&root, &setting), expected, "{main}");
        let reason = reason(&root, &setting);
        assert!(reason.contains(place), "{reason}");
    }
    // A Match in an included file ends with that file: what follows holds for everybody.
    let other = sshd("X11Forwarding", json!("no"));
    assert_eq!(state(&files(&format!("{include}X11Forwarding no\n")), &other), Installed);
}

#[test]
fn what_is_not_understood_is_unknown() {
    let setting = sshd("PermitRootLogin", json!("no"));
    for (text, expected) in [
        ("PermitRootLogin\n", "line 1 of /etc/ssh/sshd_config: `permitrootlogin` has no value"),
        ("PermitRootLogin \"no\n", "line 1 of /etc/ssh/sshd_config: a quote is not closed"),
        ("Include /etc/*/sshd.conf\n", "line 1 of /etc/ssh/sshd_config: `Include /etc/*/sshd.conf` is not understood"),
        ("Include /etc/ssh/[ab].conf\n", "is not understood"),
        ("Include /etc/ssh/sshd_config\n", "more than 16 files that include one another"),
        ("\n\nInclude /etc/ssh/secret.conf\n", "line 3 of /etc/ssh/sshd_config: /etc/ssh/secret.conf"),
    ] {
        let root = root(&[(SSHD, text), ("/etc/ssh/secret.conf", "")]).with_denied("/etc/ssh/secret.conf");
        let message = unknown(&root, &setting);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn keywords_that_grow_have_all_their_values() {
    let files = root(&[(SSHD, "Port 22\nAllowUsers anna\nPort 2222\nAllowUsers ben carla\n")]);
    for (key, value, expected) in [
        ("Port", json!(22), Required),
        ("Port", json!("22 2222"), Installed),
        ("AllowUsers", json!("anna ben carla"), Installed),
        ("AllowUsers", json!("Anna ben carla"), Required),
    ] {
        assert_eq!(state(&files, &sshd(key, value.clone())), expected, "{key} {value}");
    }
}

#[test]
fn keywords_that_do_not_grow_have_their_first_value() {
    let files = root(&[(SSHD, "SetEnv A=1 B=2\nSetEnv C=3\nAuthorizedKeysFile .ssh/keys\nAuthorizedKeysFile none\n")]);
    assert_eq!(state(&files, &sshd("SetEnv", json!("A=1 B=2"))), Installed);
    assert_eq!(state(&files, &sshd("AuthorizedKeysFile", json!(".ssh/keys"))), Installed);
}

#[test]
fn two_words_may_be_the_same_value() {
    for (text, expected, met) in [
        ("PermitRootLogin without-password\n", "prohibit-password", Installed),
        ("PermitRootLogin Prohibit-Password\n", "without-password", Installed),
        (
            "PermitRootLogin prohibit-password\nMatch all\nPermitRootLogin without-password\n",
            "prohibit-password",
            Installed,
        ),
        ("PermitRootLogin yes\n", "prohibit-password", Required),
        ("PermitRootLogin prohibit-password\n", "no", Required),
    ] {
        assert_eq!(state(&root(&[(SSHD, text)]), &sshd("PermitRootLogin", json!(expected))), met, "{text} {expected}");
    }
}

#[test]
fn numbers_may_be_times_and_keywords_have_older_names() {
    let text = "LoginGraceTime 1m\nMaxAuthTries 4\nClientAliveInterval 5M\nChallengeResponseAuthentication no\n\
                MaxStartups 10:30:60\n";
    let files = root(&[(SSHD, text)]);
    for (key, expected, met) in [
        ("LoginGraceTime", json!({ "at_most": 60 }), Installed),
        ("LoginGraceTime", json!({ "at_most": 59 }), Required),
        ("MaxAuthTries", json!({ "at_most": 4 }), Installed),
        ("MaxAuthTries", json!(4), Installed),
        ("ClientAliveInterval", json!({ "at_least": 301 }), Required),
        ("KbdInteractiveAuthentication", json!("no"), Installed),
        ("KbdInteractiveAuthentication", json!({ "one_of": ["yes", "No"] }), Installed),
        ("PasswordAuthentication", json!({ "absent": true }), Installed),
        ("MaxAuthTries", json!({ "absent": true }), Required),
        ("MaxAuthTries", json!({ "absent": false }), Installed),
    ] {
        assert_eq!(state(&files, &sshd(key, expected.clone())), met, "{key} {expected}");
    }
    let message = unknown(&files, &sshd("MaxStartups", json!({ "at_most": 10 })));
    assert!(message.contains("line 5 of /etc/ssh/sshd_config: `10:30:60` is no number"), "{message}");
}
