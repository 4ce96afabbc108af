//! What users see, and what they may want.

use super::deployment::Deployed;
use super::{OPENSSL, STATUS, script, wait, words};
use crate::clock::now;
use crate::enforce::Board;
use crate::status::status;
use crate::user::{Posted, Which, defer, install, list, session_or_answers};
use farrier_protocol::deployment::{Moment, Purpose};
use farrier_protocol::enforcement::EnforcementState::{Downloaded, Failed, Succeeded};
use std::fs;

fn later() -> Deployed {
    let deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 7_200)));
    deployed.round();
    assert_eq!(deployed.last().state, Downloaded);
    deployed
}

#[test]
fn the_list_names_deadline_and_reason() {
    let deployed = later();
    let listed = list(&mut deployed.world.agent.session().unwrap()).unwrap();
    let text = listed.text();
    for part in
        [OPENSSL, "Secure Sockets Layer toolkit", "required by \"November\", installs by itself at", "Downloaded"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = listed.json();
    assert_eq!((&json[0]["name"], &json[0]["state"]), (&OPENSSL.into(), &"Downloaded".into()));
    assert_eq!((&json[0]["required"], &json[0]["deployment"]), (&true.into(), &"November".into()));
}

#[test]
fn who_asks_while_an_installer_is_at_work_gets_an_answer_at_once() {
    let deployed = later();
    let agent = &deployed.world.agent;
    let mut session = agent.session().unwrap();
    let board = Board::open(&mut session, now()).unwrap().unwrap();
    let posted = Posted::new(&mut session, &board);
    let answers = session_or_answers(agent).unwrap().err().unwrap();
    let text = answers.updates.printed(false);
    assert!(text.starts_with("An installer is at work.") && text.contains(OPENSSL), "{text}");
    assert_eq!(answers.updates.json[0]["state"], "Downloaded");
    assert!(status(agent).unwrap().text.contains("1 Downloaded"));
    drop(posted);
    assert!(!agent.layout.at_work().exists());
    drop(session);
    // A killed agent's answers are not given to anybody.
    fs::write(agent.layout.at_work(), serde_json::to_vec(&answers).unwrap()).unwrap();
    assert!(session_or_answers(agent).unwrap().is_ok());
    assert!(!agent.layout.at_work().exists());
}

#[test]
fn a_user_who_asks_gets_it_before_the_deadline_and_outside_windows() {
    for which in [Which::Named("openssl".into()), Which::Named(OPENSSL.into()), Which::All] {
        let deployed = later();
        deployed.site().shared().windows.limited = true;
        deployed.site().publish();
        let installed = wait(install(&deployed.world.agent, &which)).unwrap();
        assert!(installed.everything && installed.text.contains("Succeeded"), "{}", installed.text);
        assert_eq!(deployed.last().state, Succeeded, "the site knows");
        assert!(deployed.status().contains("3.0.17-1"));
        let text = list(&mut deployed.world.agent.session().unwrap()).unwrap().text();
        assert!(text.contains("Nothing is left to install"), "{text}");
    }
}

#[test]
fn a_user_who_asks_is_told_what_failed() {
    let deployed = later();
    deployed.world.write("etc/hostile", "trap");
    let installed = wait(install(&deployed.world.agent, &Which::All)).unwrap();
    assert!(!installed.everything && installed.text.contains("Failed"), "{}", installed.text);
    assert_eq!(deployed.last().state, Failed);
    deployed.world.write("etc/hostile", "replace-status");
    let installed = wait(install(&deployed.world.agent, &Which::All)).unwrap();
    assert!(installed.everything, "who asks again gets another try: {}", installed.text);
}

#[test]
fn an_optional_update_is_installed_when_somebody_asks() {
    let deployed = Deployed::with(|it| it.policy.purpose = Purpose::Available);
    assert!(wait(install(&deployed.world.agent, &Which::All)).unwrap().everything);
    assert_eq!(deployed.last().state, Succeeded);
}

#[test]
fn what_is_not_deployed_is_not_installed() {
    let deployed = later();
    let error = words(wait(install(&deployed.world.agent, &Which::Named("bash".into()))));
    assert!(error.contains("farrier-agent updates"), "{error}");
    deployed.stand(farrier_protocol::assignment::Standing::Paused);
    let error = words(wait(install(&deployed.world.agent, &Which::All)));
    assert!(error.contains("paused by the administrator"), "{error}");
    assert_eq!(deployed.status(), STATUS);
}

#[test]
fn an_update_can_be_deferred_until_it_is_due_and_no_longer() {
    let deployed = later();
    let defer = |text, seconds| defer(&mut deployed.world.agent.session().unwrap(), text, seconds);
    let told = defer("openssl", 3_600).unwrap();
    assert!(told.contains(OPENSSL) && told.contains("is deferred until"), "{told}");
    let error = words(defer("openssl", 10_000));
    assert!(error.contains("beyond the time when it is due, 20"), "{error}");
    let due = Deployed::with(|it| it.world.write("etc/hostile", "trap"));
    due.world.poll().unwrap();
    let error = words(crate::user::defer(&mut due.world.agent.session().unwrap(), "openssl", 60));
    assert!(error.contains("it is due"), "{error}");
}

#[test]
fn users_are_told_once_of_a_deadline_and_of_what_became_of_it() {
    let mut deployed = Deployed::with(|it| it.policy.deadline = Some(Moment::At(now() + 7_200)));
    let folder = deployed.world.agent.config.data.join("told");
    fs::create_dir_all(&folder).unwrap();
    let hook = folder.join("hook");
    script(&hook, &format!("echo \"$FARRIER_MESSAGE\" >> {}/$1", folder.display()));
    deployed.world.agent.config.user.hook = Some(hook);
    let mut engine = deployed.engine();
    for _ in 0..2 {
        engine.scan(&mut deployed.world.agent.session().unwrap()).ok();
        deployed.turn(&mut engine);
    }
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
    assert_eq!(read("deadline").matches("1 software update will be installed at").count(), 1, "{}", read("deadline"));
    assert!(read("deadline").contains("Save your work."));
    deployed.policy.deadline = Some(Moment::At(now() - 60));
    deployed.publish();
    deployed.turn(&mut engine);
    assert!(read("installed").contains(OPENSSL), "{}", read("installed"));
}

#[test]
fn the_sample_hook_writes_a_login_message_and_takes_it_away() {
    let folder = tempfile::tempdir().unwrap();
    let hook = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policy-samples/hooks/login-message");
    let run = |event: &str| {
        let mut command = std::process::Command::new(hook);
        command.arg(event).env("MOTD_FOLDER", folder.path()).env("FARRIER_MESSAGE", "Updates at 22:00.");
        assert!(command.stdin(std::process::Stdio::null()).status().unwrap().success(), "{event}");
    };
    let count = || fs::read_dir(folder.path()).unwrap().count();
    ["available", "deadline", "failed"].iter().for_each(|event| run(event));
    assert_eq!(fs::read_to_string(folder.path().join("50-farrier-deadline")).unwrap(), "Updates at 22:00.\n");
    assert_eq!(count(), 3);
    run("installed");
    assert_eq!(count(), 0);
    run("something new");
}
