//! The kernel's settings, now and at the next boot.

use crate::support::{explain, root, rule, state, unknown};
use farrier_plugin_sdk::{
    ComplianceState::{Installed, Required},
    FakeRoot,
};
use serde_json::{Value, json};

const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";

fn setting(key: &str, expected: &Value) -> Value {
    json!({ "format": "sysctl", "key": key, "expected": expected })
}

fn forward() -> Value {
    setting("net.ipv4.ip_forward", &json!(0))
}

/// A running kernel with these files beside.
fn running(files: &[(&str, &str)]) -> FakeRoot {
    root(files).with_file("/proc/sys/kernel/ostype", "Linux\n")
}

fn reasons(root: &FakeRoot, setting: &Value) -> Vec<String> {
    explain(root, &rule(std::slice::from_ref(setting)))
}

#[test]
fn the_kernel_and_the_files_have_to_agree_with_the_baseline() {
    let file = "/etc/sysctl.d/50-forward.conf";
    for (live, line, expected, why) in [
        ("0\n", "net.ipv4.ip_forward = 0\n", Installed, ["/proc/sys/net/ipv4/ip_forward has `0`", "has `0`"]),
        ("1\n", "net/ipv4/ip_forward=0\n", Required, ["has `1`; expected is `0`", "has `0`"]),
        (
            "0\n",
            "net.ipv4.ip_forward=1\n",
            Required,
            ["has `0`", "line 1 of /etc/sysctl.d/50-forward.conf has `1`; expected"],
        ),
        (
            "0\n",
            "",
            Required,
            ["has `0`", "no file of sysctl.d sets it; expected is `0`; it would be lost at the next boot"],
        ),
    ] {
        let root = running(&[(FORWARD, live), (file, line)]);
        assert_eq!(state(&root, &forward()), expected, "{live} {line}");
        let reasons = reasons(&root, &forward());
        assert!(reasons.len() == 2 && reasons.iter().zip(why).all(|(reason, why)| reason.contains(why)), "{reasons:?}");
    }
    let mut with_default = forward();
    with_default["default"] = json!(0);
    assert_eq!(state(&running(&[(FORWARD, "0\n")]), &with_default), Installed, "the kernel does so by itself");
    assert_eq!(state(&running(&[(FORWARD, "1\n")]), &with_default), Required, "but not now");
    assert_eq!(state(&running(&[]), &with_default), Required, "a kernel without it is not as expected");
}

#[test]
fn an_image_has_no_kernel() {
    let image = root(&[("/usr/lib/sysctl.d/50-forward.conf", "net.ipv4.ip_forward=0\n")]);
    assert_eq!(state(&image, &forward()), Installed);
    assert_eq!(reasons(&image, &forward()).len(), 1);
}

#[test]
fn the_last_file_by_name_counts_wherever_it_is() {
    let vendor = ("/usr/lib/sysctl.d/60-vendor.conf", "net.ipv4.ip_forward=1\n");
    let local = ("/etc/sysctl.d/50-local.conf", "net.ipv4.ip_forward=0\n");
    assert_eq!(state(&root(&[vendor, local]), &forward()), Required);
    let replaced = ("/etc/sysctl.d/60-vendor.conf", "# nothing\n");
    assert_eq!(state(&root(&[vendor, local, replaced]), &forward()), Installed);
    assert_eq!(state(&root(&[vendor, local]).with_link(replaced.0, "/dev/null"), &forward()), Installed);
    let linked = root(&[local, ("/etc/sysctl.conf", "net.ipv4.ip_forward=1\n")]);
    assert_eq!(state(&linked, &forward()), Installed, "systemd does not read it");
    assert_eq!(state(&linked.with_link("/etc/sysctl.d/99-sysctl.conf", "../sysctl.conf"), &forward()), Required);
}

#[test]
fn a_plain_key_is_stronger_than_wildcards() {
    let key = setting("net.ipv4.conf.eth0.rp_filter", &json!(1));
    let all = "net.ipv4.conf.*.rp_filter = 2\n";
    for (text, expected) in [
        (all.to_owned(), Required),
        (format!("net.ipv4.conf.eth0.rp_filter = 1\n{all}"), Installed),
        (format!("{all}net.ipv4.conf.*.rp_filter = 1\n"), Installed),
        (format!("-net.ipv4.conf.eth0.rp_filter\n{all}"), Required),
        (format!("{all}net.ipv4.conf.lo.rp_filter = 1\n"), Required),
        ("-net.ipv4.conf.eth0.rp_filter = 1\n".to_owned(), Installed),
    ] {
        let root = root(&[("/etc/sysctl.d/50-filter.conf", &text)]);
        assert_eq!(state(&root, &key), expected, "{text}");
    }
    let excluded = root(&[("/etc/sysctl.d/50-filter.conf", &format!("-net.ipv4.conf.eth0.rp_filter\n{all}"))]);
    assert!(reasons(&excluded, &key)[0].contains("no file of sysctl.d sets it"));
    let strange = root(&[("/etc/sysctl.d/50-filter.conf", "net.ipv4.conf.eth[0-9].rp_filter = 1\n")]);
    assert!(unknown(&strange, &key).contains("whose wildcards are not understood"));
    assert_eq!(state(&strange, &setting("kernel.sysrq", &json!({ "absent": true }))), Installed, "it cannot be that");
}

#[test]
fn values_of_several_numbers_are_compared_without_their_blanks() {
    let root = running(&[
        ("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n"),
        ("/etc/sysctl.d/50-tcp.conf", "net.ipv4.tcp_rmem = 4096  131072 6291456\n"),
    ]);
    assert_eq!(state(&root, &setting("net.ipv4.tcp_rmem", &json!("4096 131072 6291456"))), Installed);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for key in ["net/../../etc/passwd", "kernel..sysrq", "/kernel/sysrq", "kernel.*", "a.b.", "../x"] {
        let message = unknown(&FakeRoot::new(), &setting(key, &json!(0)));
        assert_eq!(message, format!("`{key}` is no name of a setting of the kernel"));
    }
}
