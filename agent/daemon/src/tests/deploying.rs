//! What becomes of a deployment: success is what a scan proves, and everything else has a reason.

use super::deployment::{DEPLOYMENT, Deployed, entry, update};
use super::{BASH, OPENSSL, STATUS, ZLIB, words};
use crate::clock::now;
use crate::enforce::Next;
use farrier_protocol::assignment::{Standing, Window, WindowKind, Windows};
use farrier_protocol::deployment::{ContentSource, Moment, Purpose, RestartBehaviour};
use farrier_protocol::enforcement::EnforcementState::{
    Cancelled, Downloaded, Downloading, Failed, Installing, PendingRestart, RolledBack, Succeeded, Superseded,
    Verifying, Waiting, WaitingForContent, WaitingForWindow,
};
use farrier_protocol::{ComplianceState, Digest};
use farrier_spool::Recording;
use std::fs;
use std::time::Duration;

#[test]
fn a_required_update_is_downloaded_installed_and_proved() {
    let deployed = Deployed::new();
    deployed.round();
    assert_eq!(deployed.history(), [Waiting, Downloading, Downloaded, Installing, Verifying, Succeeded]);
    assert!(deployed.status().contains("3.0.17-1"));
    assert_eq!(deployed.world.reported(OPENSSL), Some(ComplianceState::Installed));
    let last = deployed.last();
    assert_eq!((last.deployment, last.installations, last.bytes_left), (DEPLOYMENT, 1, 0));
    assert_eq!(deployed.site().shared().client.facts.as_ref().unwrap().release, "bookworm");

    assert_eq!(deployed.round(), Next::WhenChanged, "what is done is done");
    assert_eq!(deployed.last().installations, 1);
}

#[test]
fn the_site_hears_of_an_installation_before_it_begins() {
    let deployed = Deployed::with(|it| it.world.write("etc/hostile", "trap"));
    deployed.round();
    let requests = deployed.site().take_requests();
    assert!(requests.iter().filter(|request| request.ends_with("/v1/state-messages")).count() >= 2, "{requests:?}");
    assert!(deployed.history().contains(&Installing));
}

#[test]
fn what_is_installed_by_hand_is_never_installed_again() {
    let deployed = Deployed::new();
    deployed.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    deployed.round();
    assert_eq!(deployed.history(), [Waiting, Succeeded]);
    assert_eq!(deployed.last().installations, 0);
    assert!(deployed.mirror.shared().requests.is_empty(), "nor downloaded");
}

#[test]
fn what_does_not_concern_the_client_succeeds_without_anything_done() {
    let deployed = Deployed::with(|it| it.updates.updates = vec![update(BASH, &[("bash", b"bash", "bash")])]);
    deployed.round();
    assert_eq!((deployed.last_of(BASH).state, &*deployed.last_of(BASH).reason), (Succeeded, "not required"));
}

#[test]
fn an_installer_that_says_it_worked_proves_nothing() {
    let deployed = Deployed::with(|it| it.world.write("etc/hostile", "nothing"));
    deployed.round();
    assert_eq!(deployed.history(), [Waiting, Downloading, Downloaded, Installing, Verifying, Failed]);
    assert!(deployed.last().reason.contains("does not find the update installed"), "{}", deployed.last().reason);
}

#[test]
fn a_failed_installation_has_its_attempts_and_an_administrator_gives_more() {
    let deployed = Deployed::with(|it| it.world.write("etc/hostile", "trap"));
    deployed.round();
    assert_eq!(deployed.last().state, Failed);
    assert_eq!(deployed.last().installations, 1);
    deployed.world.write("etc/hostile", "replace-status");
    assert_eq!(deployed.round(), Next::WhenChanged, "nothing more is tried by itself");
    deployed.site().assign(DEPLOYMENT, |assigned| assigned.retries = 1);
    deployed.site().publish();
    deployed.round();
    assert_eq!((deployed.last().state, deployed.last().installations), (Succeeded, 2));
}

#[test]
fn between_two_attempts_there_is_a_rest() {
    let deployed = Deployed::with(|it| {
        it.policy.attempts = 3;
        it.world.write("etc/hostile", "trap");
    });
    let next = deployed.round();
    assert!(matches!(next, Next::At(at) if at > now()), "{next:?}");
    assert_eq!((deployed.last().state, deployed.last().installations), (Waiting, 1));
    assert!(deployed.last().reason.contains("attempt 1 of 3"), "{}", deployed.last().reason);
}

#[test]
fn a_failed_update_does_not_block_the_others() {
    let deployed = Deployed::with(|it| {
        let missing = update(ZLIB, &[("zlib", b"zlib", "pool/missing")]);
        it.updates.updates.insert(0, missing);
        it.world.write("var/lib/dpkg/status", &STATUS.replace("1.2.13-1", "1.2.11-1"));
        let after = STATUS.replace("1.2.13-1", "1.2.11-1").replace("3.0.15-1", "3.0.17-1");
        it.mirror.put("pool/openssl/status", after.as_bytes());
        it.updates.updates[1].contents = vec![entry("status", after.as_bytes(), "pool/openssl/status")];
    });
    deployed.round();
    let states = (deployed.last_of(ZLIB).state, deployed.last().state);
    assert_eq!(states, (WaitingForContent, Succeeded), "{}", deployed.last().reason);
    assert!(deployed.last_of(ZLIB).reason.contains("does not have it"), "{}", deployed.last_of(ZLIB).reason);
}

#[test]
fn a_refused_selection_or_plan_changes_nothing() {
    for (order, reason) in [("plan:refuse", ""), ("select-nothing", "finds nothing to install"), ("select:trap", "")] {
        let deployed = Deployed::with(|it| it.world.write("etc/hostile", order));
        deployed.round();
        let last = deployed.last();
        assert_eq!((last.state, last.installations), (Failed, 0), "{order}: {}", last.reason);
        assert!(last.reason.contains(reason) && !last.reason.is_empty(), "{order}: {}", last.reason);
        assert_eq!(deployed.status(), STATUS);
    }
}

#[test]
fn what_this_client_does_not_allow_is_named() {
    let mut deployed = Deployed::new();
    deployed.world.agent.config.plugins.write.clear();
    deployed.round();
    assert_eq!(deployed.last().state, Failed);
    assert!(deployed.last().reason.contains("agent.toml"), "{}", deployed.last().reason);
}

#[test]
fn tampered_content_is_never_installed() {
    let deployed = Deployed::new();
    let good = deployed.mirror.shared().files["pool/openssl/status"].clone();
    let evil = String::from_utf8(good).unwrap().replace("Package: zlib1g", "Package: evil1g");
    deployed.mirror.put("pool/openssl/status", evil.as_bytes());
    deployed.round();
    let last = deployed.last();
    assert_eq!((last.state, last.installations), (WaitingForContent, 0));
    assert!(last.reason.contains("tampered"), "{}", last.reason);
    assert_eq!(deployed.status(), STATUS);
}

#[test]
fn a_file_that_rots_before_it_is_installed_is_downloaded_again() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    assert_eq!(deployed.last().state, Downloaded);
    let digest = deployed.updates.updates[0].contents[0].digest;
    let file = deployed.world.agent.layout.updates().join(digest.to_string());
    let length = fs::metadata(&file).unwrap().len();
    fs::write(&file, vec![b'x'; usize::try_from(length).unwrap()]).unwrap();
    make_due(deployed, |deployed| {
        deployed.round();
        assert_eq!((deployed.last().state, deployed.last().installations), (WaitingForContent, 0));
        assert!(deployed.last().reason.contains("damaged"), "{}", deployed.last().reason);
    });
}

fn make_due(mut deployed: Deployed, then: impl FnOnce(&Deployed)) {
    deployed.policy.deadline = Some(Moment::At(now() - 3_600));
    deployed.publish();
    then(&deployed);
}

#[test]
fn content_comes_from_the_site_where_the_policy_says_so() {
    let deployed = Deployed::with(|it| it.policy.sources.insert(0, ContentSource::DistributionPoint));
    let content = deployed.mirror.shared().files["pool/openssl/status"].clone();
    deployed.site().shared().contents.insert(Digest::of(&content), content);
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded);
    assert!(deployed.mirror.shared().requests.is_empty());
}

#[test]
fn before_its_deadline_an_update_is_only_downloaded() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    let due = match deployed.policy.deadline {
        Some(Moment::At(due)) => due,
        _ => 0,
    };
    assert_eq!(deployed.round(), Next::At(due));
    assert_eq!((deployed.last().state, deployed.last().until), (Downloaded, Some(due)));
    assert_eq!(deployed.round(), Next::At(due), "another process knows what is here");
    assert_eq!(deployed.mirror.shared().requests.len(), 1);
    assert_eq!(deployed.history(), [Waiting, Downloading, Downloaded]);
}

#[test]
fn nothing_is_installed_outside_a_window() {
    let deployed = Deployed::new();
    let window = |start, kind| Window { kind, start: Moment::At(start), seconds: 3_600 };
    let windows =
        |window| Windows { limited: true, known_until: now() + 86_400, windows: [window].into_iter().collect() };
    let opens = now() + 1_800;
    deployed.site().shared().windows = windows(window(opens, WindowKind::Maintenance));
    deployed.site().publish();
    assert_eq!(deployed.round(), Next::At(opens));
    assert_eq!(deployed.last().state, WaitingForWindow);
    deployed.site().shared().windows = windows(window(now() - 60, WindowKind::Maintenance));
    deployed.site().publish();
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded);
}

#[test]
fn a_pause_takes_effect_at_the_next_contact_and_ends_with_it() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    assert_eq!(deployed.last().state, Downloaded);
    deployed.stand(Standing::Paused);
    deployed.round();
    assert_eq!((deployed.last().state, &*deployed.last().reason), (Waiting, "paused by the administrator"));
    deployed.stand(Standing::Open { since: now() });
    make_due(deployed, |deployed| {
        deployed.round();
        assert_eq!(deployed.last().state, Succeeded);
    });
}

#[test]
fn what_is_cancelled_in_the_middle_of_a_download_stops_there() {
    let deployed = Deployed::with(|it| {
        let long = vec![b'\n'; 2_000_000];
        it.mirror.put("pool/openssl/long", &long);
        it.updates.updates[0].contents = vec![entry("status", &long, "pool/openssl/long")];
    });
    let mut engine = deployed.engine();
    for _ in 0..3 {
        assert_eq!(deployed.turn_of(&mut engine, Duration::ZERO), Next::AtOnce, "every slice is short");
    }
    assert_eq!(deployed.last().state, Downloading);
    deployed.stand(Standing::Paused);
    deployed.turn(&mut engine);
    assert_eq!(deployed.last().state, Waiting);
    deployed.stand(Standing::Cancelled);
    deployed.turn(&mut engine);
    assert_eq!((deployed.last().state, deployed.last().installations), (Cancelled, 0));
    assert_eq!(deployed.mirror.shared().requests.len(), 1);
}

#[test]
fn a_phase_that_has_not_opened_is_waited_for() {
    let deployed = Deployed::new();
    let expected_at = now() + 86_400;
    deployed.stand(Standing::Planned { expected_at: Some(expected_at) });
    assert_eq!(deployed.round(), Next::At(expected_at));
    assert_eq!(deployed.last().state, Waiting);
    assert!(deployed.last().reason.contains("phase 1 of 1"), "{}", deployed.last().reason);
    assert!(deployed.mirror.shared().requests.is_empty());
}

#[test]
fn a_cancelled_deployment_ends_even_though_its_policy_is_gone() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    deployed.site().shared().targets.retain(|(name, ..)| !name.starts_with("policies/"));
    deployed.stand(Standing::Cancelled);
    deployed.round();
    assert_eq!(deployed.last().state, Cancelled);
    assert!(deployed.last().reason.contains("cancelled by the administrator"));
}

#[test]
fn a_deployment_that_vanishes_is_cancelled_and_an_update_that_vanishes_superseded() {
    let mut deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    deployed.updates.updates.clear();
    deployed.publish();
    deployed.round();
    assert_eq!(deployed.last().state, Superseded);

    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    deployed.site().shared().deployments.clear();
    deployed.site().publish();
    deployed.round();
    assert_eq!(deployed.last().state, Cancelled);
}

#[test]
fn a_crash_in_the_middle_of_an_installation_is_followed_by_a_scan_not_by_another_installation() {
    for (installed, state, installations) in [(true, Succeeded, 1), (false, Waiting, 1)] {
        let deployed = Deployed::with(|it| it.world.write("etc/hostile", "trap"));
        crash_while_installing(&deployed);
        if installed {
            deployed.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
        }
        deployed.round();
        let last = deployed.last();
        assert_eq!((last.state, last.installations), (state, installations), "{}", last.reason);
    }
}

/// Leaves the journal as a power cut in the middle of the installation does.
fn crash_while_installing(deployed: &Deployed) {
    deployed.round();
    let session = deployed.world.agent.session().unwrap();
    let key = session.spool.jobs().unwrap()[0].0;
    let mut job = farrier_agent_core::enforcement::Job::new(key, 0, now());
    job.download_begun(1, 0, now()).unwrap();
    job.content_ready(now()).unwrap();
    job.installation_begun(None, now()).unwrap();
    let jobs = [(key, Some(job.encode()))];
    session.spool.record(&Recording { jobs: &jobs, ..Recording::default() }, []).unwrap();
}

#[test]
fn a_journal_that_cannot_be_understood_installs_nothing() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    let session = deployed.world.agent.session().unwrap();
    let key = session.spool.jobs().unwrap()[0].0;
    let jobs = [(key, Some(vec![1, 99]))];
    session.spool.record(&Recording { jobs: &jobs, ..Recording::default() }, []).unwrap();
    drop(session);
    make_due(deployed, |deployed| {
        deployed.round();
        assert_eq!((deployed.last().state, deployed.last().installations), (Failed, 0));
        assert!(deployed.last().reason.contains("journal"), "{}", deployed.last().reason);
    });
}

#[test]
fn a_plugin_that_cannot_be_asked_neither_ends_nor_begins_anything() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    fs::remove_file(deployed.world.agent.config.root.join("etc/os-release")).unwrap();
    deployed.round();
    assert_eq!(deployed.last().state, Downloaded, "a client that does not know its scope is in none");
}

#[test]
fn a_restart_is_waited_for_and_then_a_scan_proves_it() {
    let mut deployed = Deployed::with(|it| {
        it.world.write("etc/hostile", "ask-for-restarts");
        it.world.write("boot", "first");
    });
    deployed.world.agent.config.restart.boot_id = Some(deployed.world.agent.config.root.join("boot"));
    deployed.round();
    assert_eq!(deployed.last().state, PendingRestart);
    assert_eq!(deployed.round(), Next::WhenChanged);
    deployed.world.write("var/lib/dpkg/status", &STATUS.replace("3.0.15-1", "3.0.17-1"));
    deployed.round();
    assert_eq!(deployed.last().state, PendingRestart, "it is still the same boot");
    deployed.world.write("boot", "second");
    deployed.round();
    assert_eq!(deployed.last().state, Succeeded);
    assert!(deployed.history().ends_with(&[PendingRestart, Verifying, Succeeded]), "{:?}", deployed.history());
}

#[test]
fn an_endpoint_that_does_not_run_is_never_waited_for() {
    let deployed = Deployed::with(|it| it.world.write("etc/hostile", "ask-for-restarts"));
    deployed.round();
    assert!(!deployed.history().contains(&PendingRestart), "{:?}", deployed.history());
}

#[test]
fn a_forced_restart_runs_the_command_once_after_its_countdown() {
    let mut deployed = Deployed::with(|it| {
        it.policy.restart = RestartBehaviour::Force { countdown_seconds: 0 };
        it.world.write("etc/hostile", "ask-for-restarts");
        it.world.write("boot", "first");
    });
    let root = deployed.world.agent.config.root.clone();
    let restart = &mut deployed.world.agent.config.restart;
    restart.boot_id = Some(root.join("boot"));
    restart.command =
        ["/bin/sh", "-c", &format!("echo once >> {}/restarted", root.display())].map(str::to_owned).into();
    deployed.round();
    assert_eq!(fs::read_to_string(root.join("restarted")).unwrap(), "once\n");
    assert_eq!(deployed.last().state, PendingRestart);
    deployed.round();
    assert_eq!(
        fs::read_to_string(root.join("restarted")).unwrap(),
        "once\n",
        "a machine that hesitates is not hurried"
    );
}

#[test]
fn a_failed_installation_is_rolled_back_where_the_content_is_at_hand() {
    let old = STATUS.replace("zlib1g", "zlib1g-old");
    let deployed = Deployed::with(|it| {
        it.policy.roll_back = true;
        it.updates.updates[0].previous = vec![entry("old", old.as_bytes(), "pool/openssl/old")];
        it.mirror.put("pool/openssl/old", old.as_bytes());
        it.world.write("etc/hostile", "roll-back:replace-status");
    });
    deployed.round();
    assert_eq!(deployed.last().state, RolledBack, "{}", deployed.last().reason);
    assert_eq!(deployed.status(), old);
}

#[test]
fn without_the_previous_content_it_is_installed_all_the_same_and_a_failure_stays_one() {
    let deployed = Deployed::with(|it| {
        it.policy.roll_back = true;
        it.updates.updates[0].previous = vec![entry("old", b"old", "pool/gone")];
        it.world.write("etc/hostile", "trap");
    });
    deployed.round();
    assert_eq!(deployed.last().state, Failed);
}

#[test]
fn an_optional_update_is_not_installed_by_itself() {
    let deployed = Deployed::with(|it| it.policy.purpose = Purpose::Available);
    assert_eq!(deployed.round(), Next::WhenChanged);
    assert_eq!(deployed.last().state, Downloaded);
    assert_eq!(deployed.status(), STATUS);
}

#[test]
fn an_offline_client_goes_on_with_what_it_knows_and_reports_later() {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 3_600)));
    deployed.round();
    make_due(deployed, |deployed| {
        deployed.world.poll().unwrap();
        deployed.site().shared().down = true;
        assert!(words(deployed.world.poll()).contains("cannot be reached"));
        deployed.round();
        assert!(deployed.status().contains("3.0.17-1"));
        deployed.site().shared().down = false;
        deployed.round();
        assert_eq!(deployed.history(), [Waiting, Downloading, Downloaded, Installing, Verifying, Succeeded]);
    });
}

#[test]
fn a_site_that_lost_the_stream_hears_of_every_job_again() {
    let deployed = Deployed::new();
    deployed.round();
    deployed.site().shared().client = Default::default();
    deployed.world.scan().unwrap();
    deployed.world.send().unwrap();
    assert_eq!(deployed.last().state, Succeeded);
    assert!(deployed.site().shared().client.facts.is_some());
}
