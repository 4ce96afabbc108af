//! Sections with keys, and their drop-ins.

use crate::support::{reason, root, state, unknown};
use farrier_plugin_sdk::{
    ComplianceState::{Installed, Required},
    FakeRoot,
};
use serde_json::{Value, json};

const JOURNALD: &str = "/etc/systemd/journald.conf";

fn storage(expected: &Value) -> Value {
    json!({ "file": JOURNALD, "format": "ini", "section": "Journal", "key": "Storage", "expected": expected })
}

/// Whether `Storage` of the journal is this on the endpoint, and where that stands.
fn check(root: &FakeRoot, value: &str, place: &str) {
    let setting = storage(&json!(value));
    let reason = reason(root, &setting);
    assert_eq!(state(root, &setting), Installed, "{reason}");
    assert_eq!(reason, format!("[Journal] Storage: {place} has `{value}`"));
    assert_eq!(state(root, &storage(&json!("something else"))), Required);
}

#[test]
fn the_last_value_of_the_section_counts() {
    let text =
        "Storage=none\n[Journal]\n#Storage=auto\nStorage=volatile\n Storage = persistent \n[Other]\nStorage=auto\n";
    check(&root(&[(JOURNALD, text)]), "persistent", &format!("line 5 of {JOURNALD}"));
    let without_section = json!({ "file": JOURNALD, "format": "ini", "key": "Storage", "expected": "none" });
    assert_eq!(state(&root(&[(JOURNALD, text)]), &without_section), Installed);
    let lower =
        json!({ "file": JOURNALD, "format": "ini", "section": "journal", "key": "storage", "expected": "persistent" });
    let reason = reason(&root(&[(JOURNALD, text)]), &lower);
    assert_eq!(reason, format!("[journal] storage: {JOURNALD} does not set it; expected is `persistent`"));
}

#[test]
fn drop_ins_come_after_the_file_in_the_order_of_their_names() {
    let main = (JOURNALD, "[Journal]\nStorage=auto\n");
    let vendor = ("/usr/lib/systemd/journald.conf.d/50-vendor.conf", "[Journal]\nStorage=volatile\n");
    let early = ("/etc/systemd/journald.conf.d/10-early.conf", "[Journal]\nStorage=none\n");
    let runtime = ("/run/systemd/journald.conf.d/60-runtime.conf", "[Journal]\nStorage=persistent\n");
    let other = ("/etc/systemd/journald.conf.d/99-other.txt", "[Journal]\nStorage=wrong\n");
    check(&root(&[main]), "auto", &format!("line 2 of {JOURNALD}"));
    check(&root(&[main, early, vendor, other]), "volatile", &format!("line 2 of {}", vendor.0));
    check(&root(&[main, early, vendor, runtime]), "persistent", &format!("line 2 of {}", runtime.0));

    // One of the same name in /etc is in its place, and a link to /dev/null removes it.
    let replaced = ("/etc/systemd/journald.conf.d/50-vendor.conf", "[Journal]\nStorage=none\n");
    check(&root(&[main, vendor, replaced]), "none", &format!("line 2 of {}", replaced.0));
    let masked = root(&[main, vendor]).with_link(replaced.0, "/dev/null");
    check(&masked, "auto", &format!("line 2 of {JOURNALD}"));
    check(&masked.with_device("/dev/null", ""), "auto", &format!("line 2 of {JOURNALD}"));
}

#[test]
fn the_vendors_file_counts_where_there_is_no_other() {
    let vendor = ("/usr/lib/systemd/journald.conf", "[Journal]\nStorage=volatile\n");
    check(&root(&[vendor]), "volatile", &format!("line 2 of {}", vendor.0));
    let setting = storage(&json!("volatile"));
    let both = root(&[vendor, (JOURNALD, "[Journal]\n")]);
    assert_eq!(state(&both, &setting), Required, "a file in /etc is in its place, not beside it");
}

#[test]
fn an_empty_value_is_none() {
    let files = root(&[
        (JOURNALD, "[Journal]\nStorage=volatile\n"),
        ("/etc/systemd/journald.conf.d/90-back.conf", "[Journal]\nStorage=\n"),
    ]);
    assert_eq!(state(&files, &storage(&json!({ "absent": true }))), Installed);
    let mut with_default = storage(&json!("auto"));
    with_default["default"] = json!("auto");
    assert_eq!(state(&files, &with_default), Installed);
}

#[test]
fn a_rule_may_name_the_drop_ins() {
    let setting = |drop_ins: Value| {
        let file = "/etc/sssd/sssd.conf";
        let mut setting = json!({ "file": file, "format": "ini", "section": "nss", "key": "timeout", "expected": 30 });
        setting["drop_ins"] = drop_ins;
        setting
    };
    let files = root(&[
        ("/etc/sssd/sssd.conf", "[nss]\ntimeout = 10\n"),
        ("/etc/sssd/conf.d/a.conf", "[nss]\ntimeout = 20\n"),
        ("/usr/share/sssd/conf.d/b.conf", "[nss]\ntimeout = 30\n"),
    ]);
    assert_eq!(state(&files, &setting(json!([]))), Required);
    assert_eq!(state(&files, &setting(json!(["/etc/sssd/conf.d"]))), Required);
    assert_eq!(state(&files, &setting(json!(["/etc/sssd/conf.d", "/usr/share/sssd/conf.d"]))), Installed);
}

#[test]
fn what_may_not_be_read_is_unknown() {
    let files = root(&[(JOURNALD, "[Journal]\nStorage=auto\n")]).with_denied("/run/systemd/journald.conf.d");
    assert_eq!(unknown(&files, &storage(&json!("auto"))), "/run/systemd/journald.conf.d");
}
