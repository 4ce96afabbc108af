//! Hostile installers, each through the real host: whatever they try, nothing happens that is not granted, everything ends
//! in time, and the next installation is unaffected.
//!
//! What `plugins/hostile-installer` can be told to do is a Rust enum, and the expectations below are a match without a
//! wildcard. So a deed without a test breaks the build.

use crate::artefacts::{built, compiled, plugins, with_manifest};
use crate::install_stage::{CONTENTS, Stage, runs_programs};
use farrier_plugin_hostile_installer::{Deed, Phase};
use farrier_runtime::install::{InstallCall, Restart, RestartSubject};
use farrier_runtime::{InstallError, LimitExceeded, Limits, LoadError, Manifest, Profile, Runtime};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Long enough for everything that ends by itself, on any machine.
const PATIENT: Duration = Duration::from_secs(600);
/// For what never ends, and has to begin.
const SHORT: Duration = Duration::from_millis(1_000);
/// For a guest that never comes back.
const SHORT_MILLISECONDS: u64 = 50;

fn limits(deed: Deed) -> Limits {
    let call_milliseconds = match deed {
        Deed::Loop | Deed::NeverGiveUp | Deed::LeaveBehind => SHORT_MILLISECONDS,
        _ => 600_000,
    };
    Limits { call_milliseconds, stop_milliseconds: 1_000, progress_lines: 7, ..Limits::default() }
}

fn max_run(deed: Deed) -> Duration {
    match deed {
        Deed::PauseForever | Deed::NeverGiveUp | Deed::SleepyProgram | Deed::StubbornProgram | Deed::OutputFlood => {
            SHORT
        }
        _ => PATIENT,
    }
}

fn needs_programs(deed: Deed) -> bool {
    matches!(
        deed,
        Deed::RunPrograms
            | Deed::SleepyProgram
            | Deed::TimedProgram
            | Deed::StubbornProgram
            | Deed::LeaveBehind
            | Deed::OutputFlood
    )
}

fn call(phase: Phase) -> InstallCall {
    match phase {
        Phase::Select => InstallCall::Select,
        Phase::Plan => InstallCall::Plan,
        Phase::Install => InstallCall::Install,
        Phase::Finish => InstallCall::Finish,
        Phase::RollBack => InstallCall::RollBack,
    }
}

/// What the host makes of this deed; where there is an answer, its notes.
fn expected(deed: Deed, phase: Phase, limits: &Limits) -> Result<Vec<String>, InstallError> {
    let call = call(phase);
    let limit =
        |limit: usize, unit| InstallError::Limit { call, exceeded: LimitExceeded { limit: limit as u64, unit } };
    let refused = |reason: &str| InstallError::Refused { call, reason: reason.to_owned() };
    let nonsense = |reason: &str| InstallError::Nonsense { call, reason: reason.to_owned() };
    let trapped = |reason: &str| InstallError::Trapped { call, reason: reason.to_owned() };
    Err(match deed {
        Deed::Nothing
        | Deed::ReplaceStatus
        | Deed::AskForRestarts
        | Deed::SelectNothing
        | Deed::TargetEdges
        | Deed::LogFlood
        | Deed::ProgressFlood
        | Deed::RestartFlood => return Ok(Vec::new()),
        Deed::TimedProgram => return Ok(vec!["None, timed out: true".to_owned()]),
        // There is no file of the update any more.
        Deed::RunPrograms if phase == Phase::Finish => {
            let reason = "/bin/cat: plugin `hostile-installer` does not ask for it";
            return Err(InstallError::Denied { call, reason: reason.to_owned() });
        }
        // Nothing but what is granted is in the environment, and each argument arrives as one.
        Deed::RunPrograms => {
            let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            return Ok(vec![
                "Some(0): the firstthe second".to_owned(),
                format!("Some(0): LC_ALL=C.UTF-8 MODE=granted {path}"),
                "Some(0): name a name; with $(blanks)".to_owned(),
            ]);
        }
        Deed::HugeNotes => return Ok(vec!["a note".to_owned(); limits.notes]),
        Deed::EscapePath
        | Deed::MoveTree
        | Deed::OpenSpecial
        | Deed::OpenFlood
        | Deed::RaceForLink
        | Deed::SpecialModes
        | Deed::UngrantedProgram
        | Deed::InjectArguments
        | Deed::InjectVariables
        | Deed::InjectInput => return Ok(vec!["everything was refused".to_owned()]),
        Deed::SelectTooMuch => nonsense("it selected content 4294967295 of 2"),
        Deed::SelectTwice => nonsense("it selected content 0 twice"),
        Deed::Refuse => refused("it was told to refuse"),
        // It has asked for its order before, so the time of the call is up first.
        Deed::Loop if phase == Phase::Select => InstallError::OutOfTime { call, seconds: 0 },
        Deed::Loop | Deed::LeaveBehind => InstallError::TimedOut { call, milliseconds: SHORT_MILLISECONDS },
        Deed::Trap | Deed::TrapHalfWay => trapped("it trapped: unreachable code reached"),
        Deed::Panic => trapped("it panicked at ...: panicking as told"),
        Deed::MemoryBomb => limit(limits.memory_bytes, "bytes of linear memory"),
        Deed::PauseForever => refused("the time of the installation is up (1 s)"),
        Deed::NeverGiveUp => InstallError::OutOfTime { call, seconds: 1 },
        Deed::SleepyProgram | Deed::StubbornProgram => refused("the program was killed"),
        Deed::OutputFlood => refused(&format!("flooded, and killed after {} bytes", limits.output_bytes)),
        Deed::HugePlan | Deed::HugeInput => limit(limits.passed_bytes, "bytes passed to the host at once"),
    })
}

/// Where the guest panicked is its source's business, and the rest of a remedy is tested with the grants.
fn without_place(error: InstallError) -> InstallError {
    match error {
        InstallError::Denied { call, reason } => {
            let reason = reason.split(": add").next().unwrap_or_default().to_owned();
            InstallError::Denied { call, reason }
        }
        InstallError::Trapped { call, reason }
            if reason.starts_with("it panicked at plugins/hostile-installer/src/") =>
        {
            let message = reason.rsplit(": ").next().unwrap_or_default();
            InstallError::Trapped { call, reason: format!("it panicked at ...: {message}") }
        }
        error => error,
    }
}

#[test]
fn every_deed_in_every_phase_ends_with_its_reason() {
    let runs_programs = runs_programs();
    for profile in Profile::ALL {
        for deed in Deed::ALL.into_iter().filter(|deed| runs_programs || !needs_programs(*deed)) {
            // What the clock ends takes its time; that it does so for interpreted guests, too, is shown once.
            let phases = if profile == Profile::Native { deed.phases() } else { &deed.phases()[..1] };
            for phase in phases {
                let limits = limits(deed);
                let stage = Stage::new(profile, &limits, &format!("{}:{}", phase.as_str(), deed.as_str()));
                plant_links(&stage, "../../etc".as_ref());
                let answer = stage.call(&mut stage.open(max_run(deed)), *phase);
                if let Err(error) = &answer {
                    let is_its_own = !matches!(error, InstallError::Refused { .. } | InstallError::Denied { .. });
                    assert_eq!(error.is_trap(), is_its_own, "{error}");
                }
                let answer = answer.map_err(without_place);
                assert_eq!(answer, expected(deed, *phase, &limits), "{profile:?} {deed:?} {phase:?}");
                stage.assert_harmless();
                stage.assert_next_installation_is_unaffected();
            }
        }
    }
}

/// The links that the guest tries to go through, and what it tries to open.
fn plant_links(stage: &Stage, target: &Path) {
    let special = stage.path("/opt/hostile/special");
    std::fs::create_dir_all(special.join("folder")).unwrap();
    std::fs::hard_link(stage.path("/etc/passwd"), special.join("hard")).unwrap();
    symlink("/etc/passwd", special.join("symlink")).unwrap();
    let node = |name: &str, kind, device| {
        rustix::fs::mknodat(rustix::fs::CWD, special.join(name), kind, rustix::fs::Mode::RWXU, device)
    };
    node("pipe", rustix::fs::FileType::Fifo, 0).unwrap();
    // Only root makes devices, and not even it everywhere; without one there is nothing to open.
    let _ = node("device", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    std::fs::create_dir(stage.path("/opt/hostile/deep")).unwrap();
    symlink(target, stage.path("/opt/hostile/link")).unwrap();
    symlink("/etc", stage.path("/opt/hostile/deep/link")).unwrap();
}

#[test]
fn an_honest_installer_gets_what_it_was_granted() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "ask-for-restarts");
    let mut installation = stage.open(PATIENT);
    let selection = stage.select(&mut installation).unwrap();
    assert_eq!((selection.contents, selection.previous), (vec![0, 1], vec![0, 1]));
    let plan = stage.plan(&mut installation).unwrap();
    assert_eq!(plan.iter().map(|change| change.subject.as_str()).collect::<Vec<_>>(), CONTENTS.map(|(label, _)| label));
    assert!(!stage.path("/opt/hostile").join(CONTENTS[0].0).exists(), "a plan changes nothing");
    let outcome = stage.install(&mut installation).unwrap();
    let restart = |subject, reason: &str| Restart { subject, reason: reason.to_owned() };
    let service = restart(RestartSubject::Service("hostile.service".to_owned()), "its files are new");
    let machine = restart(RestartSubject::Machine, "it was told to");
    let other = restart(RestartSubject::Other("the shift".to_owned()), "it begins anew");
    assert_eq!(outcome.restarts, [service, machine, other]);
    for (label, bytes) in CONTENTS {
        let path = stage.path("/opt/hostile").join(label);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), bytes);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    }
    assert_eq!(*stage.lines.lock().unwrap(), CONTENTS.map(|(label, _)| format!("Putting {label}")));
}

#[test]
fn an_installation_may_be_moved_to_a_thread_of_its_own() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let (mut installation, update) = (stage.open(PATIENT), stage.update());
    let selected = std::thread::spawn(move || installation.select(&update)).join().unwrap();
    assert_eq!(selected.unwrap().contents, [0, 1]);
}

#[test]
fn a_trap_half_way_leaves_half_and_says_so() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "trap-half-way");
    assert!(matches!(stage.install(&mut stage.open(PATIENT)), Err(InstallError::Trapped { .. })));
    assert_eq!(stage.text(&format!("/opt/hostile/{}", CONTENTS[0].0)), CONTENTS[0].1);
    assert!(!stage.path("/opt/hostile").join(CONTENTS[1].0).exists());
}

#[test]
fn a_planted_link_leads_nowhere() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "escape-path");
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("file"), "precious").unwrap();
    plant_links(&stage, outside.path());
    assert_eq!(stage.install(&mut stage.open(PATIENT)).unwrap().notes, ["everything was refused"]);
    assert_eq!(std::fs::read_to_string(outside.path().join("file")).unwrap(), "precious");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    stage.assert_harmless();
}

#[test]
fn a_race_between_a_folder_and_a_link_is_never_won() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "race-for-link");
    let outside = tempfile::tempdir().unwrap();
    for name in ["victim", "witness"] {
        std::fs::write(outside.path().join(name), "precious").unwrap();
        std::fs::set_permissions(outside.path().join(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    let race = stage.path("/opt/hostile/race");
    let aside = stage.path("/opt/hostile/aside");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                // Whichever fails: the guest may be faster.
                let _ = std::fs::create_dir(&race);
                let _ = std::fs::rename(&race, &aside);
                let _ = symlink(outside.path(), &race);
                let _ = std::fs::remove_file(&race);
                let _ = std::fs::remove_dir_all(&aside);
            }
        });
        let answer = stage.install(&mut stage.open(PATIENT));
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(answer.unwrap().notes, ["everything was refused"]);
    });
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 2);
    for name in ["victim", "witness"] {
        let path = outside.path().join(name);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn a_flood_of_progress_and_of_restarts_is_cut() {
    let limits = Limits { progress_lines: 7, restart_requests: 3, ..Limits::default() };
    let stage = Stage::new(Profile::Native, &limits, "progress-flood");
    stage.install(&mut stage.open(PATIENT)).unwrap();
    assert_eq!(stage.lines.lock().unwrap().len(), 7);
    stage.order("restart-flood");
    let restarts = stage.install(&mut stage.open(PATIENT)).unwrap().restarts;
    assert_eq!(restarts.len(), 4);
    assert_eq!(restarts[3].subject, RestartSubject::Machine, "that one is never lost");
}

#[test]
fn what_is_not_what_the_policy_names_is_not_installed() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let mut installation = stage.open(PATIENT);
    let install = |installation: &mut farrier_runtime::Installation, blobs: &[_]| {
        installation.install(&stage.update(), blobs, Default::default()).unwrap_err()
    };
    let blobs = stage.blobs();
    // Of the right length, and something else.
    std::fs::write(&blobs[1].path, "THE SECOND").unwrap();
    let error = install(&mut installation, &blobs);
    assert!(matches!(&error, InstallError::Content(error) if error.label == CONTENTS[1].0), "{error}");
    assert!(error.to_string().contains("its SHA-256 differs"), "{error}");
    assert!(!stage.path("/opt/hostile").join(CONTENTS[1].0).exists());
    // Under a name that is a path, or an option.
    for label in ["../passwd", "/etc/passwd", "--force-all", "a b"] {
        let mut blobs = stage.blobs();
        blobs[0].label = label.to_owned();
        let error = install(&mut installation, &blobs);
        assert!(error.to_string().contains("has a label that is no file name"), "{error}");
    }
    stage.assert_harmless();
}

#[test]
fn a_grant_that_one_of_three_withholds_is_withheld() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let plugin = stage.load(&built("hostile-installer")).unwrap();
    let allowed = farrier_runtime::GrantLists { read: vec!["/etc/hostile".to_owned()], ..Default::default() };
    let mut installation = stage.open_granted(&plugin, &allowed, PATIENT);
    assert!(stage.select(&mut installation).is_ok());
    let error = stage.install(&mut installation).unwrap_err();
    assert!(matches!(error, InstallError::Denied { call: InstallCall::Install, .. }), "{error}");
    assert!(error.to_string().contains("add \"/opt/hostile\" to `write` under [plugins] in agent.toml"), "{error}");
    assert_eq!(std::fs::read_dir(stage.path("/opt/hostile")).unwrap().count(), 0);
}

#[test]
fn an_applicability_plugin_is_no_installer_and_no_installer_scans() {
    let stage = Stage::new(Profile::Native, &Limits::default(), "nothing");
    let error = stage.load(&built("hostile")).err().unwrap();
    assert!(matches!(&error, LoadError::OtherWorld(_)), "{error}");
    let runtime = Runtime::new(Profile::Native, Limits::default()).unwrap();
    let load = |component: &[u8]| runtime.load(component, compiled()).err().unwrap();
    let error = load(&built("hostile-installer"));
    assert!(matches!(&error, LoadError::OtherWorld(_)), "{error}");
    // And if its manifest lies: what it imports gives it away.
    let mut manifest = serde_json::to_value(Manifest::read(&built("hostile-installer")).unwrap()).unwrap();
    manifest["world"] = "applicability".into();
    manifest["scopes"] = serde_json::json!(["a/b"]);
    manifest["write"] = serde_json::json!([]);
    manifest["run"] = serde_json::json!([]);
    let error = load(&with_manifest(&built("hostile-installer"), manifest.to_string().as_bytes()));
    assert!(matches!(&error, LoadError::Import { import, .. } if import.contains("/content@")), "{error}");
}

#[test]
fn no_applicability_plugin_of_ours_imports_an_effect() {
    for name in ["dpkg", "hostile"] {
        let component = built(name);
        let text = String::from_utf8_lossy(&component);
        for interface in ["process", "files", "content", "restart", "progress"] {
            assert!(!text.contains(&format!("farrier:policy/{interface}@")), "{name} {interface}");
        }
    }
    assert!(plugins().join("dist").exists());
}
