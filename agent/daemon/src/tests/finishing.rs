//! Instructions that reach an installer, and what it has left to do once a scan proved what it did.

use super::deployment::{Deployed, entry};
use super::fake_site::dist;
use super::{OPENSSL, STATUS, World};
use farrier_protocol::UpdateId;
use farrier_protocol::deployment::MAX_INSTRUCTION_BYTES;
use farrier_protocol::enforcement::EnforcementState::{PendingRestart, Succeeded, Verifying};
use farrier_runtime::Manifest;
use std::fs;

/// An installation that takes effect with the next boot, which has been: the next scan proves it.
fn installed(order_to_finish: &str) -> Deployed {
    let mut deployed = Deployed::with(|it| {
        it.world.write("etc/hostile", "ask-for-restarts");
        it.world.write("boot", "first");
    });
    deployed.world.agent.config.restart.boot_id = Some(deployed.world.agent.config.root.join("boot"));
    deployed.round();
    assert_eq!(deployed.last().state, PendingRestart, "{}", deployed.last().reason);
    deployed.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    deployed.world.write("etc/hostile", order_to_finish);
    deployed.round();
    assert_eq!(deployed.last().state, PendingRestart, "nothing is finished before the restart");
    deployed.world.write("boot", "second");
    deployed
}

/// What was said last after another scan and what the engine makes of it.
fn after_another_scan(deployed: &Deployed) -> String {
    let mut engine = deployed.engine();
    engine.scan(&mut deployed.world.agent.session().unwrap()).unwrap();
    deployed.turn(&mut engine);
    assert_eq!(deployed.last().state, Succeeded);
    deployed.last().reason.to_string()
}

#[test]
fn an_installer_finishes_once_after_the_scan_that_proves_it() {
    // Its deed leaves a note.
    let deployed = installed("finish:inject-input");
    deployed.round();
    assert!(deployed.history().ends_with(&[PendingRestart, Verifying, Succeeded]), "{:?}", deployed.history());
    let reason = deployed.last().reason;
    assert!(reason.starts_with("installed; ") && reason.ends_with("everything was refused"), "{reason}");
    let words = deployed.site().shared().client.enforcements.len();
    deployed.world.write("etc/hostile", "finish:refuse");
    assert_eq!(after_another_scan(&deployed), *reason, "it is not asked again");
    assert_eq!(deployed.site().shared().client.enforcements.len(), words);
}

#[test]
fn one_that_cannot_finish_is_asked_three_times_and_the_update_stays_installed() {
    let deployed = installed("finish:panic");
    deployed.round();
    let reason = |try_number| format!("installed, but finishing it failed (try {try_number} of 3): ");
    assert_eq!(deployed.last().state, Succeeded);
    assert!(deployed.last().reason.starts_with(&reason(1)), "{}", deployed.last().reason);
    assert!(deployed.last().reason.contains("panicking as told"), "{}", deployed.last().reason);
    assert!(after_another_scan(&deployed).starts_with(&reason(2)));
    assert!(after_another_scan(&deployed).starts_with(&reason(3)));
    deployed.world.write("etc/hostile", "finish:inject-input");
    assert!(after_another_scan(&deployed).starts_with(&reason(3)), "and not once more");
    let told = deployed.site().shared().client.fall_backs.get("hostile-installer").cloned().unwrap();
    assert!(told.installer && told.reason.contains("panicking as told"), "{told:?}");
}

#[test]
fn one_that_finishes_in_the_end_leaves_no_trouble() {
    let deployed = installed("finish:refuse");
    deployed.round();
    assert!(deployed.last().reason.contains("try 1 of 3"), "{}", deployed.last().reason);
    deployed.world.write("etc/hostile", "finish:inject-input");
    let reason = after_another_scan(&deployed);
    assert!(reason.starts_with("installed; ") && reason.ends_with("everything was refused"), "{reason}");
}

#[test]
fn one_that_wants_the_machine_restarted_when_it_finishes_says_so_and_nothing_waits_for_that() {
    let deployed = installed("finish:ask-for-restarts");
    deployed.round();
    let last = deployed.last();
    assert_eq!(last.state, Succeeded);
    assert!(last.reason.contains("the machine is to be restarted"), "{}", last.reason);
}

#[test]
fn what_was_installed_by_hand_is_not_finished() {
    let deployed = Deployed::with(|it| {
        it.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
        it.world.write("etc/hostile", "finish:panic");
    });
    deployed.round();
    assert_eq!((deployed.last().state, deployed.last().reason.as_str()), (Succeeded, "installed"));
}

const KIOSK: &str = "authored/kiosk/1.2";
const INSTRUCTIONS: &str = r#"{"name":"kiosk","version":"1.2","version_file":"/opt/kiosk/VERSION",
    "files":[{"path":"/opt/kiosk/kiosk","content":"kiosk-1.2.bin","mode":"0755"}],"keep_previous":true}"#;

/// The same endpoint with an application that is deployed as a set of files.
fn kiosk() -> Deployed {
    let mut deployed = Deployed::new();
    let program = b"the new program";
    let ask = |name: &str| Manifest::read(&dist(name)).unwrap();
    let (check, installer) = (ask("file-set"), ask("file-set-installer"));
    let grants = |requests: &[farrier_runtime::Request]| requests.iter().map(|it| it.grant.clone()).collect::<Vec<_>>();
    let own = &mut deployed.world.agent.config.plugins;
    own.read = ["/etc/*", "/var/lib/dpkg/*", "/opt/kiosk/**"].map(str::to_owned).into();
    own.read.extend(grants(&check.read).into_iter().chain(grants(&installer.read)));
    own.write = grants(&installer.write);
    deployed.world.write("opt/kiosk/kiosk", "the old program");
    deployed.world.write("opt/kiosk/VERSION", "1.1\n");
    let site = deployed.site();
    let read = grants(&check.read);
    site.add_plugin("file-set", &read.iter().map(String::as_str).collect::<Vec<_>>());
    site.add_installer("file-set-installer");
    let digest = farrier_protocol::Digest::of(program);
    let rule = format!(
        r#"{{"name":"kiosk","version":"1.2","version_file":"/opt/kiosk/VERSION",
            "files":[{{"path":"/opt/kiosk/kiosk","sha256":"{digest}"}}]}}"#
    );
    site.add_catalog("file-set", "file-set/any", "catalogs/authored/file-set/any", &[(KIOSK, rule.into_bytes())]);
    deployed.mirror.put("pool/kiosk", program);
    let update = &mut deployed.updates.updates[0];
    (update.update, update.name) = (UpdateId::of_name(KIOSK), KIOSK.to_owned());
    update.contents = vec![entry("kiosk-1.2.bin", program, "pool/kiosk")];
    update.instructions = INSTRUCTIONS.as_bytes().to_vec();
    let scope = &mut deployed.policy.scopes[0];
    scope.plugin = "file-set".try_into().unwrap();
    scope.scope = "file-set/any".try_into().unwrap();
    scope.installer = "file-set-installer".try_into().unwrap();
    deployed.publish();
    deployed
}

fn files_of_kiosk(world: &World) -> Vec<String> {
    let entries = fs::read_dir(world.agent.config.root.join("opt/kiosk")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn instructions_reach_the_installer_and_finishing_removes_what_it_kept() {
    let deployed = kiosk();
    deployed.round();
    let last = deployed.last_of(KIOSK);
    assert_eq!(last.state, Succeeded, "{}", last.reason);
    let read = |name: &str| fs::read_to_string(deployed.world.agent.config.root.join("opt/kiosk").join(name)).unwrap();
    assert_eq!(read("kiosk"), "the new program");
    assert_eq!(read("VERSION").trim(), "1.2");
    assert_eq!(files_of_kiosk(&deployed.world), ["VERSION", "kiosk"], "the old set is gone: {}", last.reason);
}

#[test]
fn an_update_that_is_all_instructions_is_installed_and_proved() {
    let mut deployed = Deployed::with(|it| {
        let update = &mut it.updates.updates[0];
        (update.contents, update.instructions) = (Vec::new(), b"restart".to_vec());
        it.world.write("etc/hostile", "ask-for-restarts");
        it.world.write("boot", "first");
    });
    deployed.world.agent.config.restart.boot_id = Some(deployed.world.agent.config.root.join("boot"));
    deployed.round();
    let last = deployed.last();
    assert_eq!((last.state, last.installations), (PendingRestart, 1), "{}", last.reason);
    deployed.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    deployed.world.write("boot", "second");
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded, "{}", deployed.last().reason);
}

#[test]
fn instructions_that_are_too_long_are_refused_with_their_deployment() {
    let mut deployed = Deployed::new();
    deployed.updates.updates[0].instructions = vec![b' '; MAX_INSTRUCTION_BYTES + 1];
    deployed.publish();
    deployed.round();
    assert!(deployed.site().shared().client.enforcements.is_empty(), "it is not followed");
    deployed.updates.updates[0].instructions.pop();
    deployed.publish();
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded, "{OPENSSL}: {}", deployed.last().reason);
}
