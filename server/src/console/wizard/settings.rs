//! The settings of a deployment as fields of a form, and back.

use super::super::form::Form;
use super::super::parameters::Words;
use super::super::problem::sentence;
use super::super::spans;
use crate::deployment::schedule::{Clock, When};
use crate::deployment::settings::{
    ContentSource, DeploymentSettings, MAX_ATTEMPTS, MAX_PERIOD_SECONDS, MAX_RUN_SECONDS, Members, PhaseSettings,
    Purpose, RestartBehaviour,
};
use crate::deployment::share::Share;
use farrier_protocol::deployment::MAX_PHASES;
use jiff::civil::DateTime;

/// How browsers write a `datetime-local`.
const MINUTES: &str = "%Y-%m-%dT%H:%M";
/// The countdown that the form begins with.
const DEFAULT_COUNTDOWN_SECONDS: u32 = 900;

pub(in super::super) const PURPOSES: Words<Purpose> =
    &[("required", Purpose::Required), ("available", Purpose::Available)];
pub(in super::super) const CLOCKS: Words<Clock> = &[("client", Clock::Client), ("utc", Clock::Utc)];

/// The ways to say when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum WhenKind {
    Never,
    After,
    At,
}
const WHEN_KINDS: Words<WhenKind> = &[("none", WhenKind::Never), ("after", WhenKind::After), ("at", WhenKind::At)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum RestartKind {
    Ask,
    Suppress,
    Force,
}
pub(in super::super) const RESTARTS: Words<RestartKind> =
    &[("ask", RestartKind::Ask), ("suppress", RestartKind::Suppress), ("force", RestartKind::Force)];

pub(in super::super) const SOURCES: Words<&[ContentSource]> = &[
    ("site_upstream", &[ContentSource::DistributionPoint, ContentSource::Upstream]),
    ("site", &[ContentSource::DistributionPoint]),
    ("upstream_site", &[ContentSource::Upstream, ContentSource::DistributionPoint]),
    ("upstream", &[ContentSource::Upstream]),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MembersKind {
    Percent,
    Collection,
}
const MEMBERS_KINDS: Words<MembersKind> = &[("percent", MembersKind::Percent), ("collection", MembersKind::Collection)];

/// Writes settings into the fields of a form.
pub(in super::super) fn write(settings: &DeploymentSettings, form: &mut Form) {
    form.set("purpose", if settings.purpose == Purpose::Required { "required" } else { "available" });
    write_when(Some(settings.available), "available", form);
    write_when(settings.deadline, "deadline", form);
    form.set("random_delay_seconds", spans::words(settings.random_delay_seconds.into()));
    form.set("grace_seconds", spans::words(settings.grace_seconds.into()));
    form.set("max_run_seconds", spans::words(settings.max_run_seconds.into()));
    form.set("notification", &settings.notification);
    form.set("attempts", settings.attempts);
    let (restart, countdown) = match settings.restart {
        RestartBehaviour::Suppress => ("suppress", DEFAULT_COUNTDOWN_SECONDS),
        RestartBehaviour::Ask => ("ask", DEFAULT_COUNTDOWN_SECONDS),
        RestartBehaviour::Force { countdown_seconds } => ("force", countdown_seconds),
    };
    form.set("restart", restart);
    form.set("countdown", spans::words(countdown.into()));
    let sources = SOURCES.iter().find(|(_, sources)| **sources == settings.sources[..]);
    form.set("sources", sources.map_or("", |(word, _)| word));
    for (name, checked) in [
        ("download_ahead", settings.download_ahead),
        ("install_any_time", settings.install_any_time),
        ("restart_any_time", settings.restart_any_time),
        ("allow_removals", settings.allow_removals),
        ("roll_back", settings.roll_back),
    ] {
        form.set_box(name, checked);
    }
    write_phases(&settings.phases, form);
}

/// Writes the phases in place of those the form has.
pub(super) fn write_phases(phases: &[PhaseSettings], form: &mut Form) {
    form.set("phases", phases.len());
    for (index, phase) in phases.iter().enumerate() {
        write_phase(index, phase, form);
    }
}

fn write_phase(index: usize, phase: &PhaseSettings, form: &mut Form) {
    let field = |name: &str| format!("phase.{index}.{name}");
    form.set(field("name"), &phase.name);
    let (kind, percent, collection) = match phase.members {
        Members::Percent(share) => ("percent", share.percent().to_string(), String::new()),
        Members::Collection(collection) => ("collection", String::new(), collection.to_string()),
    };
    form.set(field("kind"), kind);
    form.set(field("percent"), percent);
    form.set(field("collection"), collection);
    form.set(field("success_percent"), phase.success_percent);
    form.set(field("failure_percent"), phase.failure_percent);
    form.set(field("soak_seconds"), spans::words(phase.soak_seconds.into()));
    form.set_box(field("manual"), phase.manual);
    form.set(field("deadline_after_seconds"), spans::field(phase.deadline_after_seconds));
}

fn write_when(when: Option<When>, name: &str, form: &mut Form) {
    let (kind, after, at) = match when {
        None => ("none", String::new(), String::new()),
        Some(When::After { seconds }) => ("after", spans::words(seconds.into()), String::new()),
        Some(When::At { time, clock }) => {
            form.set("clock", if clock == Clock::Utc { "utc" } else { "client" });
            ("at", String::new(), time.strftime(MINUTES).to_string())
        }
    };
    form.set(format!("{name}.kind"), kind);
    form.set(format!("{name}.after"), after);
    form.set(format!("{name}.at"), at);
    if !form.is_set("clock") {
        form.set("clock", "client");
    }
}

/// Reads the settings; none if anything in them is wrong, and then each mistake is noted at its field.
pub(in super::super) fn read(form: &mut Form) -> Option<DeploymentSettings> {
    let purpose = form.word("purpose", PURPOSES);
    let available = read_when("available", form);
    // What an optional deployment's deadline would have been is kept, and not looked at.
    let deadline = if purpose == Some(Purpose::Available) { Some(None) } else { read_when("deadline", form) };
    let random_delay_seconds = form.seconds("random_delay_seconds", MAX_PERIOD_SECONDS).unwrap_or(0);
    let grace_seconds = form.seconds("grace_seconds", MAX_PERIOD_SECONDS).unwrap_or(0);
    let max_run_seconds = form.seconds("max_run_seconds", MAX_RUN_SECONDS).unwrap_or(0);
    let restart = read_restart(form);
    let sources = form.word("sources", SOURCES);
    let attempts = form.number("attempts", 1, i64::from(MAX_ATTEMPTS)).and_then(|number| u8::try_from(number).ok());
    let phases = read_phases(form);
    let settings = DeploymentSettings {
        purpose: purpose?,
        available: available?.unwrap_or(When::After { seconds: 0 }),
        deadline: deadline?,
        random_delay_seconds,
        grace_seconds,
        download_ahead: form.is_set("download_ahead"),
        max_run_seconds,
        restart: restart?,
        install_any_time: form.is_set("install_any_time"),
        restart_any_time: form.is_set("restart_any_time"),
        notification: form.get("notification").to_owned(),
        sources: sources?.to_vec(),
        allow_removals: form.is_set("allow_removals"),
        roll_back: form.is_set("roll_back"),
        attempts: attempts?,
        phases: phases?,
    };
    for problem in settings.problems() {
        form.wrong(field_of(&problem.field), sentence(&problem.message));
    }
    form.is_right().then_some(settings)
}

/// The form's field for a setting: `phases[1].members` is `phase.1.members`.
pub(in super::super) fn field_of(setting: &str) -> String {
    setting.replace("phases[", "phase.").replace(']', "")
}

/// A time, or that there is to be none; nothing if it is wrong.
fn read_when(name: &str, form: &mut Form) -> Option<Option<When>> {
    match form.word(&format!("{name}.kind"), WHEN_KINDS) {
        None => {
            form.wrong(name, "Choose one of these.");
            None
        }
        Some(WhenKind::Never) => Some(None),
        Some(WhenKind::After) => {
            let seconds = spans::parse(form.get(format!("{name}.after")), MAX_PERIOD_SECONDS);
            let seconds = form.check(name, seconds)?;
            Some(Some(When::After { seconds: seconds.unwrap_or(0) }))
        }
        Some(WhenKind::At) => {
            let clock = form.word("clock", CLOCKS);
            let time = form.get(format!("{name}.at")).parse::<DateTime>();
            let time = form.check(name, time.map_err(|_| "Write a date and a time, for example 2026-11-24T22:00."))?;
            Some(Some(When::At { time, clock: clock? }))
        }
    }
}

fn read_restart(form: &mut Form) -> Option<RestartBehaviour> {
    Some(match form.word("restart", RESTARTS)? {
        RestartKind::Ask => RestartBehaviour::Ask,
        RestartKind::Suppress => RestartBehaviour::Suppress,
        RestartKind::Force => RestartBehaviour::Force {
            countdown_seconds: form.seconds("countdown", MAX_PERIOD_SECONDS).unwrap_or(DEFAULT_COUNTDOWN_SECONDS),
        },
    })
}

/// How many phases the form has.
pub(in super::super) fn phase_count(form: &Form) -> usize {
    form.get("phases").parse().unwrap_or(1).clamp(1, MAX_PHASES)
}

fn read_phases(form: &mut Form) -> Option<Vec<PhaseSettings>> {
    // Every phase is read, so that every mistake is shown at once.
    let phases: Vec<_> = (0..phase_count(form)).map(|index| read_phase(index, form)).collect();
    phases.into_iter().collect()
}

fn read_phase(index: usize, form: &mut Form) -> Option<PhaseSettings> {
    let field = |name: &str| format!("phase.{index}.{name}");
    let members = read_members(index, form);
    let percent = |form: &mut Form, name: &str, least| {
        form.number(&field(name), least, 100).and_then(|number| u8::try_from(number).ok())
    };
    let success_percent = percent(form, "success_percent", 1);
    let failure_percent = percent(form, "failure_percent", 0);
    Some(PhaseSettings {
        name: form.get(field("name")).to_owned(),
        members: members?,
        success_percent: success_percent?,
        soak_seconds: form.seconds(&field("soak_seconds"), MAX_PERIOD_SECONDS).unwrap_or(0),
        manual: form.is_set(field("manual")),
        failure_percent: failure_percent?,
        deadline_after_seconds: form.seconds(&field("deadline_after_seconds"), MAX_PERIOD_SECONDS),
    })
}

fn read_members(index: usize, form: &mut Form) -> Option<Members> {
    let wrong = format!("phase.{index}.members");
    match form.word(&format!("phase.{index}.kind"), MEMBERS_KINDS) {
        None => {
            form.wrong(wrong, "Choose a percentage or a collection.");
            None
        }
        Some(MembersKind::Percent) => {
            let share = form.get(format!("phase.{index}.percent")).parse::<Share>();
            form.check(wrong, share.map_err(|error| sentence(&error.to_string()))).map(Members::Percent)
        }
        Some(MembersKind::Collection) => {
            let collection = form.get(format!("phase.{index}.collection")).parse();
            form.check(wrong, collection.map_err(|_| "Choose a collection.")).map(Members::Collection)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::database::CollectionId;

    fn settings() -> DeploymentSettings {
        DeploymentSettings {
            deadline: Some(When::At { time: "2027-01-05T22:30:00".parse().unwrap(), clock: Clock::Utc }),
            restart: RestartBehaviour::Force { countdown_seconds: 5_400 },
            notification: "Bitte speichern.\nDanke.".to_owned(),
            sources: vec![ContentSource::Upstream],
            roll_back: true,
            phases: vec![
                PhaseSettings { manual: true, ..PhaseSettings::of("Pilot", Members::Collection(CollectionId(7))) },
                PhaseSettings {
                    soak_seconds: 129_600,
                    deadline_after_seconds: Some(86_400),
                    ..PhaseSettings::of("Early", Members::Percent("12.5".parse().unwrap()))
                },
                PhaseSettings::everybody(),
            ],
            ..DeploymentSettings::default()
        }
    }

    #[test]
    fn settings_survive_a_form() {
        for settings in [settings(), DeploymentSettings::default()] {
            let mut form = Form::default();
            write(&settings, &mut form);
            assert_eq!(read(&mut form), Some(settings), "{:?}", form.errors().collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_mistake_is_shown_at_its_field() {
        let mut form = Form::default();
        write(&settings(), &mut form);
        for (field, value) in [
            ("deadline.at", "tomorrow"),
            ("grace_seconds", "a while"),
            ("attempts", "0"),
            ("phase.1.percent", "150"),
            ("phase.0.collection", ""),
            ("phase.2.success_percent", ""),
        ] {
            form.set(field, value);
        }
        assert_eq!(read(&mut form), None);
        let wrong: Vec<_> = form.errors().map(|(field, _)| field).collect();
        let expected =
            ["attempts", "deadline", "grace_seconds", "phase.0.members", "phase.1.members", "phase.2.success_percent"];
        assert_eq!(wrong, expected);
        assert_eq!(form.get("deadline.at"), "tomorrow", "what was typed stays");
    }

    #[test]
    fn what_settings_refuse_is_shown_at_its_field_too() {
        let mut form = Form::default();
        write(&settings(), &mut form);
        form.set("phase.1.name", "");
        form.set("max_run_seconds", "");
        assert_eq!(read(&mut form), None);
        assert!(form.error("phase.1.name").is_some() && form.error("max_run_seconds").is_some(), "{form:?}");
    }
}
