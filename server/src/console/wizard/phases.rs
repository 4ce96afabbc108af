//! Adding and removing phases in the wizard's form.

use super::super::form::Form;
use super::super::problem::Problem;
use super::settings::{phase_count, write_phases};
use crate::deployment::settings::{Members, PhaseSettings};
use crate::deployment::share::Share;
use farrier_protocol::deployment::MAX_PHASES;

/// The shares of a careful roll-out, in hundredths of a percent, by their phases' names.
const CAREFUL: [(&str, u16); 2] = [("Pilot", 500), ("Early", 2_500)];
/// How long each of its phases is watched.
const CAREFUL_SOAK_SECONDS: u32 = 24 * 60 * 60;

/// Does what a button of the step says.
pub(in super::super) fn change(form: &mut Form, button: &str) -> Result<(), Problem> {
    let count = phase_count(form);
    match button.split_once(':').unwrap_or((button, "")) {
        ("add-phase", _) if count < MAX_PHASES => insert(form, count),
        ("add-phase", _) => {}
        ("remove-phase", index) => match index.parse() {
            Ok(index) if index < count && count > 1 => remove(form, index, count),
            _ => {}
        },
        ("preset", "all") => replace(form, &[PhaseSettings::everybody()]),
        ("preset", "careful") => replace(form, &careful()),
        _ => return Err(Problem::bad_form(format!("The wizard has no button {button:?}."))),
    }
    Ok(())
}

fn careful() -> Vec<PhaseSettings> {
    let phase = |(name, buckets): &(&str, u16)| PhaseSettings {
        soak_seconds: CAREFUL_SOAK_SECONDS,
        ..PhaseSettings::of(name, Members::Percent(Share::of_buckets(*buckets).unwrap_or(Share::ALL)))
    };
    CAREFUL.iter().map(phase).chain([PhaseSettings::everybody()]).collect()
}

fn replace(form: &mut Form, phases: &[PhaseSettings]) {
    (0..phase_count(form)).for_each(|index| drop_phase(form, index));
    write_phases(phases, form);
}

/// A new phase before the last one, which takes everybody who is left.
fn insert(form: &mut Form, count: usize) {
    copy(form, count - 1, count);
    let name = format!("Phase {count}");
    let mut new = Form::default();
    write_phases(&[PhaseSettings::of(&name, Members::Percent(Share::ALL))], &mut new);
    new.set("phase.0.percent", "");
    for (field, value) in new.pairs(|field| field.starts_with("phase.0.")) {
        form.set(renamed(field, count - 1), value);
    }
    form.set("phases", count + 1);
}

fn remove(form: &mut Form, index: usize, count: usize) {
    (index + 1..count).for_each(|from| copy(form, from, from - 1));
    drop_phase(form, count - 1);
    form.set("phases", count - 1);
}

fn copy(form: &mut Form, from: usize, to: usize) {
    drop_phase(form, to);
    let fields = owned(form, from);
    fields.into_iter().for_each(|(field, value)| form.set(renamed(&field, to), value));
}

fn drop_phase(form: &mut Form, index: usize) {
    owned(form, index).into_iter().for_each(|(field, _)| form.remove(&field));
}

fn owned(form: &Form, index: usize) -> Vec<(String, String)> {
    let prefix = format!("phase.{index}.");
    let pairs = form.pairs(|field| field.starts_with(&prefix));
    pairs.into_iter().map(|(field, value)| (field.to_owned(), value.to_owned())).collect()
}

/// `phase.3.name` as a field of another phase.
fn renamed(field: &str, index: usize) -> String {
    let name = field.splitn(3, '.').last().unwrap_or_default();
    format!("phase.{index}.{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::settings::DeploymentSettings;

    fn names(form: &Form) -> Vec<&str> {
        (0..phase_count(form)).map(|index| form.get(format!("phase.{index}.name"))).collect()
    }

    fn form() -> Form {
        let mut form = Form::default();
        super::super::settings::write(&DeploymentSettings::default(), &mut form);
        form
    }

    #[test]
    fn a_new_phase_comes_before_everybody_else() {
        let mut form = form();
        form.set("phase.0.soak_seconds", "what was typed");
        change(&mut form, "add-phase").unwrap();
        assert_eq!(names(&form), ["Phase 1", "Everybody"]);
        assert_eq!(form.get("phase.1.soak_seconds"), "what was typed");
        assert_eq!((form.get("phase.0.percent"), form.get("phase.1.percent")), ("", "100"));
    }

    #[test]
    fn a_removed_phase_takes_nothing_of_the_others_with_it() {
        let mut form = form();
        change(&mut form, "preset:careful").unwrap();
        assert_eq!(names(&form), ["Pilot", "Early", "Everybody"]);
        form.set("phase.1.manual", "1");
        change(&mut form, "remove-phase:0").unwrap();
        assert_eq!(names(&form), ["Early", "Everybody"]);
        assert!(form.is_set("phase.0.manual") && !form.is_set("phase.1.manual"));
        assert!(form.pairs(|field| field.starts_with("phase.2.")).is_empty());
    }

    #[test]
    fn there_is_always_a_phase_and_never_too_many() {
        let mut form = form();
        for button in ["remove-phase:0", "remove-phase:7", "remove-phase:x", "remove-phase:"] {
            change(&mut form, button).unwrap();
            assert_eq!(names(&form), ["Everybody"]);
        }
        (0..2 * MAX_PHASES).for_each(|_| change(&mut form, "add-phase").unwrap());
        assert_eq!(phase_count(&form), MAX_PHASES);
        assert!(change(&mut form, "explode").is_err());
    }

    #[test]
    fn presets_can_be_deployed() {
        for preset in ["preset:all", "preset:careful"] {
            let mut form = form();
            change(&mut form, preset).unwrap();
            assert!(super::super::settings::read(&mut form).is_some(), "{form:?}");
        }
    }
}
