//! A version of a plugin that answers wrongly: from its push to the step back.

use farrier_tests::{Agent, Site, copy_of, fail, programs, sample, succeed};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The wrong version's number.
const WRONG: &str = "9.9.9";
/// What makes it wrong: it looks elsewhere for dpkg's status. Everything is as long as what it replaces, so nothing moves.
const CHANGES: [(&str, &str); 2] = [
    ("/var/lib/dpkg/status", "/var/lib/dpkg/statuz"),
    (concat!("\"version\":\"", env!("CARGO_PKG_VERSION"), "\""), "\"version\":\"9.9.9\""),
];

#[test]
fn a_version_that_flips_verdicts_is_caught_before_it_counts() {
    let site = Site::start(programs!(), &sample().join("suites.toml")).unwrap();
    site.synchronize().unwrap();
    let root = copy_of(&sample().join("root")).unwrap();
    let status = fs::read_to_string(root.path().join("var/lib/dpkg/status")).unwrap();
    let without_bash = status.replace("Package: bash\n", "Package: bash-of-mine\n");
    assert_ne!(without_bash, status);
    fs::write(root.path().join("var/lib/dpkg/statuz"), without_bash).unwrap();
    let agent = Agent::enroll(programs!(), &site, root.path()).unwrap();
    agent.scan().unwrap();
    let right = site.status().unwrap();
    assert!(requires_bash(&right), "{right}");

    // Nobody takes it from a stranger, nor gives it more than the right one has without being asked.
    plugin(&site, &["key", "tester"]);
    fs::write(site.folder().join("dpkg.wasm"), wrong_version()).unwrap();
    plugin(&site, &["sign", "dpkg.wasm", "--key", "tester.key"]);
    let stranger = fail(&mut command(&site, &["push", "dpkg.wasm"])).unwrap();
    assert!(stranger.contains("publisher"), "{stranger}");
    let key: toml::Table = fs::read_to_string(site.folder().join("tester.key")).unwrap().parse().unwrap();
    plugin(&site, &["publisher", "add", "tester", key["public"].as_str().unwrap()]);
    plugin(&site, &["push", "dpkg.wasm"]);
    let unapproved = fail(&mut command(&site, &["shadow", "dpkg", WRONG])).unwrap();
    assert!(unapproved.contains("/var/lib/dpkg/statuz"), "{unapproved}");
    plugin(&site, &["approve", "dpkg", "--version", WRONG, "--all"]);
    let untried = fail(&mut command(&site, &["promote", "dpkg", WRONG])).unwrap();
    assert!(untried.contains("--untried"), "{untried}");

    // As a shadow it is reported, and nothing of it counts.
    plugin(&site, &["shadow", "dpkg", WRONG]);
    let found = scanned_until(&site, &agent, |detail| detail["shadow_summary"]["differing"] != json!(0));
    assert_eq!(site.status().unwrap()["required_packages"], right["required_packages"]);
    let said = plugin(&site, &["status", "dpkg"]);
    assert!(said.contains("bash"), "{said}\n{found}");
    let refused = fail(&mut command(&site, &["promote", "dpkg", WRONG])).unwrap();
    assert!(refused.contains("--accept-differences"), "{refused}");

    // Whoever insists gets it, and gets the right one back.
    plugin(&site, &["promote", "dpkg", WRONG, "--accept-differences"]);
    scanned_until(&site, &agent, |_| !requires_bash(&site.status().unwrap()));
    plugin(&site, &["rollback", "dpkg"]);
    scanned_until(&site, &agent, |_| requires_bash(&site.status().unwrap()));
    assert_eq!(site.status().unwrap()["updates"], right["updates"]);
}

/// The plugin of Debian packages as somebody breaks it.
fn wrong_version() -> Vec<u8> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/dist/dpkg.wasm");
    let mut component = fs::read(built).unwrap();
    for (from, to) in CHANGES {
        assert_eq!(from.len(), to.len());
        let is_there = |place: &usize| component[*place..].starts_with(from.as_bytes());
        let places: Vec<_> = (0..component.len()).filter(is_there).collect();
        assert!(!places.is_empty(), "{from} is not in the component");
        places.iter().for_each(|place| component[*place..][..to.len()].copy_from_slice(to.as_bytes()));
    }
    component
}

/// Scans until the site knows this of the plugin: what an administrator decides reaches the next publication at once, and
/// a scan may come before.
fn scanned_until(site: &Site, agent: &Agent, is_known: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..50 {
        agent.scan().unwrap();
        let detail: Value = serde_json::from_str(&plugin(site, &["status", "dpkg", "--json"])).unwrap();
        if is_known(&detail) {
            return detail;
        }
    }
    panic!("the site never knew it: {}", plugin(site, &["status", "dpkg", "--json"]));
}

fn command(site: &Site, arguments: &[&str]) -> std::process::Command {
    let mut command = site.command(&["plugin"]);
    command.args(arguments).current_dir(site.folder());
    command
}

fn plugin(site: &Site, arguments: &[&str]) -> String {
    succeed(&mut command(site, arguments)).unwrap()
}

fn requires_bash(status: &Value) -> bool {
    status["required_packages"].as_array().unwrap().contains(&json!("bash"))
}
