//! `farrier keys`, as the operator guide has it typed: a site, and machines that are not the site.

// Clippy knows only test functions as tests.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PASSPHRASE: &str = "correct horse battery";

/// A folder with a file that holds a passphrase, in which `farrier` is run.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { folder }
    }

    /// With a configuration.
    fn with_site() -> Self {
        let machine = Self::new();
        machine.run(&["init"]);
        machine
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    fn output(&self, arguments: &[&str]) -> Output {
        // There may be a terminal here, which nobody is to be asked on.
        let mut command = Command::new("setsid");
        command.arg("--wait").arg(env!("CARGO_BIN_EXE_farrier")).args(arguments).current_dir(self.folder.path());
        command.output().unwrap()
    }

    /// What a command prints that succeeds.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Why a command fails.
    fn fail(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        String::from_utf8(output.stderr).unwrap()
    }

    fn show(&self) -> Value {
        serde_json::from_str(&self.run(&["keys", "show", "--json"])).unwrap()
    }

    /// Carries a file to another machine.
    fn carry(&self, file: &str, to: &Self) {
        std::fs::copy(self.path(file), to.path(file)).unwrap();
    }
}

/// The ids of a role's keys, and whether they are on the site.
fn keys(shown: &Value, role: &str) -> Vec<(String, bool)> {
    let roles = shown["roles"].as_array().unwrap();
    let role = roles.iter().find(|other| other["role"] == role).unwrap();
    let key = |key: &Value| (key["id"].as_str().unwrap().to_owned(), key["on_site"].as_bool().unwrap());
    role["keys"].as_array().unwrap().iter().map(key).collect()
}

#[test]
fn a_site_begins_with_keys_that_were_never_on_it() {
    let (site, alice, bob) = (Machine::with_site(), Machine::new(), Machine::new());
    for (machine, role, file) in [
        (&alice, "root", "root-alice.pem"),
        (&bob, "root", "root-bob.pem"),
        (&bob, "root", "root-carol.pem"),
        (&alice, "targets", "targets.pem"),
        (&alice, "plugins", "plugins.pem"),
        (&alice, "native", "native.pem"),
    ] {
        machine.run(&["keys", "new", role, "--out", file, "--passphrase-file", "passphrase"]);
        machine.carry(&format!("{file}.pub"), &site);
    }
    let again = alice.fail(&["keys", "new", "root", "--out", "root-alice.pem", "--passphrase-file", "passphrase"]);
    assert!(again.contains("never overwritten"), "{again}");
    let nothing = site.fail(&["keys", "show"]);
    assert!(nothing.contains("no keys yet"), "{nothing}");
    site.run(&[
        "keys",
        "init",
        "--offline-keys",
        "root-alice.pem.pub",
        "root-bob.pem.pub",
        "root-carol.pem.pub",
        "targets.pem.pub",
        "plugins.pem.pub",
        "native.pem.pub",
        "--threshold",
        "root=2",
    ]);
    let waits = site.fail(&["token", "create"]);
    assert!(waits.contains("first root waits"), "{waits}");
    site.run(&["keys", "request", "--out", "request.json"]);
    site.carry("request.json", &alice);
    site.carry("request.json", &bob);
    let asked = bob.fail(&["keys", "sign", "request.json", "--key", "root-bob.pem", "--passphrase-file", "passphrase"]);
    assert!(asked.contains("--yes"), "nobody signs unasked: {asked}");
    let shown = alice.run(&[
        "keys",
        "sign",
        "request.json",
        "--key",
        "root-alice.pem",
        "--key",
        "targets.pem",
        "--out",
        "alice.json",
        "--passphrase-file",
        "passphrase",
        "--yes",
    ]);
    assert!(
        shown.contains("root is signed by 2 of 3 keys") && shown.contains("plugins may name plugins/*/*"),
        "{shown}"
    );
    let sign = ["keys", "sign", "request.json", "--key", "root-bob.pem", "--yes", "--passphrase-file", "passphrase"];
    let written = bob.run(&sign);
    let file = written.split("farrier keys apply ").nth(1).unwrap().split('`').next().unwrap().to_owned();
    assert!(file.starts_with("request.") && file.ends_with(".signatures.json"), "{file}");
    alice.carry("alice.json", &site);
    bob.carry(&file, &site);
    let applied = site.run(&["keys", "apply", "alice.json", &file]);
    assert!(applied.contains("root version 1 is in force") && applied.contains("targets version 1 is in force"));
    let again = site.fail(&["keys", "apply", "alice.json"]);
    assert!(again.contains("in force already"), "{again}");

    let shown = site.show();
    assert_eq!(keys(&shown, "root").len(), 3);
    for role in ["root", "targets", "plugins", "native"] {
        assert!(keys(&shown, role).iter().all(|(_, on_site)| !on_site), "{role}");
    }
    assert_eq!(shown["notices"], Value::Array(Vec::new()));
    assert!(!site.run(&["token", "create"]).trim().is_empty());
    let status: Value = serde_json::from_str(&site.run(&["status", "--json"])).unwrap();
    assert_eq!(status["trust"]["notices"], Value::Array(Vec::new()));
    assert_eq!(status["trust"]["metadata"][0]["role"], "root");
}

#[test]
fn keys_leave_a_site_come_back_and_are_replaced() {
    let (site, safe) = (Machine::with_site(), Machine::new());
    site.run(&["keys", "init"]);
    let status = site.run(&["status"]);
    let demonstration = "root, targets, plugins and native keys are still on this site";
    assert!(status.contains(demonstration) && status.contains("farrier keys export --offline --to DIR"), "{status}");
    let to = safe.folder.path().to_str().unwrap();
    std::fs::write(site.path("short"), "too short\n").unwrap();
    let short = site.fail(&["keys", "export", "--offline", "--to", to, "--passphrase-file", "short"]);
    assert!(short.contains("fewer than 12 characters"), "{short}");
    let unasked = site.fail(&["keys", "export", "--offline", "--to", to]);
    assert!(unasked.contains("--passphrase-file"), "{unasked}");
    site.run(&["keys", "export", "--offline", "--to", to, "--passphrase-file", "passphrase"]);
    assert!(!site.run(&["status"]).contains("still on this site"));
    let shown = site.run(&["keys", "show"]);
    assert!(shown.contains("elsewhere") && shown.contains("on the site"), "{shown}");

    // With the keys elsewhere, another one waits for them.
    let root = keys(&site.show(), "root")[0].0.clone();
    let file = format!("root-{}.pem", &root[..16]);
    let rotated = site.run(&["keys", "rotate", "timestamp"]);
    assert!(
        rotated.contains("0 of 1 signatures of the root keys") && rotated.contains("farrier keys request"),
        "{rotated}"
    );
    let text = site.run(&["keys", "request"]);
    std::fs::write(safe.path("request.json"), text).unwrap();
    std::fs::write(safe.path("wrong"), "correct horse batterx\n").unwrap();
    let wrong = safe.fail(&["keys", "sign", "request.json", "--key", &file, "--yes", "--passphrase-file", "wrong"]);
    assert!(wrong.contains("cannot be opened with this passphrase"), "{wrong}");
    let sign = ["keys", "sign", "request.json", "--key", &file, "--yes", "--passphrase-file", "passphrase"];
    let reviewed = safe.run(&[&sign[..], &["--out", "signatures.json"]].concat());
    assert!(reviewed.contains("since version 1") && reviewed.contains("+ timestamp key"), "{reviewed}");
    safe.carry("signatures.json", &site);
    assert!(site.run(&["keys", "apply", "signatures.json"]).contains("root version 2 is in force"));

    // Nothing is written over a key.
    let refused = safe.fail(&[&sign[..], &["--out", &file]].concat());
    assert!(refused.contains("choose another file"), "{refused}");
    assert!(std::fs::read_to_string(safe.path(&file)).unwrap().contains("ENCRYPTED PRIVATE KEY"));

    // With the key back for a moment, nothing waits.
    safe.carry(&file, &site);
    site.run(&["keys", "import", &file, "--passphrase-file", "passphrase"]);
    assert!(site.run(&["keys", "renew", "root"]).contains("root version 3 is in force"));
    let replaced = site.run(&["keys", "rotate", "root"]);
    assert!(
        replaced.contains("root version 4 is in force") && replaced.contains("farrier keys export root"),
        "{replaced}"
    );
    assert!(site.run(&["keys", "show"]).contains("nothing names it any more"));
    let nothing = site.fail(&["keys", "request"]);
    assert!(nothing.contains("nothing waits"), "{nothing}");
    site.run(&["keys", "export", "policy", "snapshot", "--keep", "--to", to, "--passphrase-file", "passphrase"]);
    let unkept = site.fail(&["keys", "export", "assignment", "--to", to, "--passphrase-file", "passphrase"]);
    assert!(unkept.contains("--keep"), "{unkept}");
}

#[test]
fn what_is_not_possible_is_said() {
    let site = Machine::with_site();
    let twice = site.fail(&["keys", "init", "--threshold", "root=2", "--threshold", "root=3"]);
    assert!(twice.contains("says twice"), "{twice}");
    std::fs::remove_dir_all(site.path("data")).unwrap();
    site.run(&["keys", "init"]);
    for (arguments, words) in [
        (&["keys", "init"][..], "has its keys already"),
        (&["keys", "renew", "timestamp"], "by itself"),
        (&["keys", "renew", "plugins"], "has signed nothing yet"),
        (&["keys", "rotate", "root", "--threshold", "2"], "2 of 1 keys cannot sign"),
        (&["keys", "rotate", "root", "--no-new-key"], "--keep-old"),
        (&["keys", "rotate", "root", "--drop", "nothing"], "farrier keys show"),
        (&["keys", "rotate", "roots"], "no role of a key"),
        (&["keys", "discard", "root"], "nothing of root waits"),
        (&["keys", "export", "--offline", "--to", "data", "--passphrase-file", "passphrase"], "own data folder"),
        (&["keys", "import", "passphrase"], "no private Ed25519 key"),
        (&["keys", "apply", "passphrase"], "no signatures of `farrier keys sign`"),
        (&["keys", "sign", "passphrase", "--key", "passphrase"], "no request of `farrier keys request`"),
    ] {
        let error = site.fail(arguments);
        assert!(error.contains(words), "{arguments:?}: {error}");
    }
    // A key that the site needs is lost.
    let timestamp = keys(&site.show(), "timestamp")[0].0.clone();
    let file = site.path("data/keys").join(format!("timestamp-{}.pem", &timestamp[..16]));
    std::fs::remove_file(&file).unwrap();
    let error = site.fail(&["serve"]);
    assert!(error.contains(&file_name(&file)) && error.contains("farrier keys rotate timestamp"), "{error}");
    site.run(&["keys", "rotate", "timestamp"]);
    site.run(&["token", "create"]);
}

fn file_name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}
