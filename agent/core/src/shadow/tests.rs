use super::*;
use ComplianceState::{Installed, NotRequired, Required, Unknown};
use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};
use alloc::{format, vec};

const PAIR: Pair<'static> = Pair { plugin: "dpkg", version: "1", shadow_version: "2" };

fn update(number: u16) -> UpdateId {
    let [high, low] = number.to_be_bytes();
    UpdateId([high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn states(states: &[(u16, ComplianceState)]) -> States {
    states.iter().map(|(number, state)| (update(*number), *state)).collect()
}

fn compare(counting: &[(u16, ComplianceState)], several: bool, shadow: &[(u16, ComplianceState)]) -> (u32, Vec<u16>) {
    let mut comparison = Comparison::new(states(counting), false, several);
    shadow.iter().for_each(|(number, state)| comparison.answer(update(*number), *state));
    numbers(&comparison.end())
}

fn numbers(compared: &Compared) -> (u32, Vec<u16>) {
    (
        compared.updates,
        compared.differing.iter().map(|it| u16::from_be_bytes([it.update.0[0], it.update.0[1]])).collect(),
    )
}

#[test]
fn every_pair_of_states_that_is_not_one_state_differs() {
    for counting in ComplianceState::ALL {
        for shadow in ComplianceState::ALL {
            let known: &[_] = if counting == NotRequired { &[] } else { &[(1, counting)] };
            let differing = if counting == shadow { vec![] } else { vec![1] };
            assert_eq!(compare(known, false, &[(1, shadow)]), (1, differing), "{counting} {shadow}");
        }
    }
}

#[test]
fn of_several_rules_the_greatest_state_is_compared() {
    let counting = [(1, Required), (2, Installed)];
    for shadow in [
        [(1, Installed), (1, Required), (2, Installed), (2, NotRequired)],
        [(2, NotRequired), (1, Required), (2, Installed), (1, NotRequired)],
    ] {
        assert_eq!(compare(&counting, true, &shadow), (2, vec![]));
    }
    assert_eq!(compare(&counting, true, &[(1, Installed), (1, Installed), (2, Required)]), (2, vec![1, 2]));
}

#[test]
fn what_one_of_them_could_not_answer_is_no_difference() {
    let counting = states(&[(1, Required), (2, Installed), (3, Unknown)]);
    for several in [false, true] {
        let mut comparison = Comparison::new(counting.clone(), true, several);
        for (number, state) in [(1, Installed), (3, Required), (4, Required)] {
            comparison.answer(update(number), state);
        }
        comparison.no_answer([update(2), update(5)].into_iter());
        // The third is Unknown because the version that counts failed on it.
        assert_eq!(numbers(&comparison.end()), (2, vec![1, 4]));
    }
    let mut comparison = Comparison::new(counting, false, true);
    comparison.answer(update(3), Required);
    comparison.answer(update(2), Required);
    comparison.no_answer([update(2)].into_iter());
    assert_eq!(numbers(&comparison.end()), (1, vec![3]), "an Unknown that the plugin means is an answer");
}

fn finding(subject: &str, detail: &str) -> Finding {
    Finding { subject: subject.into(), state: Required, detail: detail.into() }
}

fn reasons(states: &[(u16, ComplianceState)]) -> Explanations {
    let explained = |state: ComplianceState| Explained::new(state, &[finding("libssl3", state.as_str())]);
    let mut reasons = Explanations::default();
    states.iter().for_each(|(number, state)| reasons.answer(update(*number), explained(*state)));
    reasons
}

/// Each of these is Required and NotRequired.
fn compared(updates: u32, differing: impl IntoIterator<Item = u16>) -> Compared {
    let suspect = |number| Suspect { update: update(number), state: Required, shadow_state: NotRequired };
    Compared { updates, differing: differing.into_iter().map(suspect).collect() }
}

fn differences(report: &ShadowReport) -> Vec<String> {
    let differences = report.differences().iter();
    differences
        .map(|it| format!("{} {} {} / {} {}", it.update.0[1], it.state, it.detail, it.shadow_state, it.shadow_detail))
        .collect()
}

#[test]
fn a_report_holds_what_both_reasons_confirm() {
    let counting = reasons(&[(1, Required), (2, Installed)]);
    let shadow = reasons(&[(1, Installed), (2, Installed)]);
    let report = ShadowReport::new(PAIR, &compared(9, [1, 2]), &counting, &shadow, "", 7);
    // On the second they agree now.
    assert_eq!(differences(&report), ["1 Required libssl3: Required / Installed libssl3: Installed"]);
    let ShadowResult { compared, differing, scanned_at, .. } = report.result();
    assert_eq!((*compared, *differing, *scanned_at), (9, 1, 7));
    let messages: Vec<_> = report.messages().collect();
    assert!(matches!(&messages[..], [StateMessage::Shadow(_), StateMessage::Difference(_)]), "{messages:?}");
}

#[test]
fn a_difference_that_one_of_them_gives_no_reason_for_stands() {
    let mut counting = reasons(&[(1, Required), (2, NotRequired), (3, Required)]);
    let mut shadow = reasons(&[(1, NotRequired), (3, NotRequired)]);
    shadow.no_answer(update(1), "it trapped");
    shadow.no_answer(update(1), "it was given up");
    counting.no_answer(update(4), "it trapped");
    let report = ShadowReport::new(PAIR, &compared(9, [1, 2, 3, 4]), &counting, &shadow, "", 7);
    let no_answer = "asked for its reasons, it gave no answer";
    assert_eq!(
        differences(&report),
        [
            format!("1 Required libssl3: Required / NotRequired {no_answer}: it trapped"),
            // The answer of only one refutes nothing.
            format!("2 Required libssl3: NotRequired / NotRequired {no_answer}"),
            "3 Required libssl3: Required / NotRequired libssl3: NotRequired".to_owned(),
            format!("4 Required {no_answer}: it trapped / NotRequired {no_answer}"),
        ]
    );
    assert_eq!(report.result().differing, 4);
}

#[test]
fn more_differences_than_are_reported_are_counted() {
    let most = u16::try_from(MAX_ASKED_ABOUT).unwrap();
    let all: Vec<_> = (0..most + 50).map(|number| (number, Required)).collect();
    let none: Vec<_> = (0..most + 50).map(|number| (number, NotRequired)).collect();
    let compared = compared(1_000, 0..most + 50);
    assert_eq!(compared.asked_about().count(), MAX_ASKED_ABOUT);
    let report = ShadowReport::new(PAIR, &compared, &reasons(&all), &reasons(&none), "", 7);
    assert_eq!((report.differences().len(), report.result().differing), (MAX_DIFFERENCES, u32::from(most) + 50));
    let report = ShadowReport::new(PAIR, &compared, &reasons(&all), &reasons(&all), "", 7);
    assert_eq!((report.differences().len(), report.result().differing), (0, 50), "also those are refuted");
}

#[test]
fn only_what_is_new_is_reported() {
    let report = |counting: &[_], shadow: &[_], count, error, at| {
        ShadowReport::new(PAIR, &compared(count, [1]), &reasons(counting), &reasons(shadow), error, at)
    };
    let told = report(&[(1, Required)], &[(1, Installed)], 9, "", 7);
    assert!(told.is_news(None), "the first word");
    assert!(!report(&[(1, Required)], &[(1, Installed)], 9, "", 8).is_news(Some(&told)), "later, the same");
    let mut reworded = report(&[(1, Required)], &[(1, Installed)], 9, "", 7);
    reworded.differences[0].shadow_detail = bounded("at 12:00");
    assert!(!reworded.is_news(Some(&told)));
    for (news, what) in [
        (report(&[(1, Required)], &[(1, Unknown)], 9, "", 7), "another state"),
        (report(&[(1, Required)], &[(1, Required)], 9, "", 7), "no difference any more"),
        (report(&[(1, Required)], &[(1, Installed)], 8, "", 7), "fewer compared"),
        (report(&[(1, Required)], &[(1, Installed)], 9, "trapped", 7), "a failure"),
        (ShadowReport::gone("dpkg"), "no shadow any more"),
    ] {
        assert!(news.is_news(Some(&told)), "{what}");
    }
    let other = Pair { shadow_version: "3", ..PAIR };
    let other =
        ShadowReport::new(other, &compared(9, [1]), &reasons(&[(1, Required)]), &reasons(&[(1, Installed)]), "", 7);
    assert!(other.is_news(Some(&told)), "another version");
}

#[test]
fn a_shadow_that_is_gone_leaves_nothing() {
    let gone = ShadowReport::gone("dpkg");
    let ShadowResult { plugin, version, shadow_version, scanned_at, compared, differing, error } = gone.result();
    assert_eq!((plugin.as_str(), version.as_str(), shadow_version.as_str(), error.as_str()), ("dpkg", "", "", ""));
    assert_eq!((*scanned_at, *compared, *differing), (0, 0, 0));
}

#[test]
fn reasons_of_several_rules_are_joined_within_their_bound() {
    let explained = |state, detail: &str| Explained::new(state, &[finding("a", detail)]);
    let mut merged = explained(Required, "1");
    merged.merge(explained(Required, "1"));
    merged.merge(explained(Required, "2"));
    merged.merge(explained(Installed, "3"));
    assert_eq!(merged, Explained { state: Required, detail: bounded("a: 1; a: 2") });
    merged.merge(explained(Unknown, "4"));
    assert_eq!(merged, Explained { state: Unknown, detail: bounded("a: 4") });
    let long: String = "ü".repeat(MAX_TEXT_BYTES);
    for findings in 1..4 {
        let findings = vec![finding("a", &long); findings];
        let detail = Explained::new(Required, &findings).detail.to_string();
        assert!(detail.len() > MAX_TEXT_BYTES - 4 && detail.starts_with("a: ü"), "{detail}");
    }
    assert_eq!(Explained::new(Required, &[finding("a", "1"), finding("b", "2")]).detail, "a: 1; b: 2");
}

#[test]
fn a_report_survives_and_what_cannot_be_understood_is_none() {
    let counting = reasons(&[(1, Required)]);
    let report = ShadowReport::new(PAIR, &compared(9, [1]), &counting, &reasons(&[(1, Installed)]), "trapped", 7);
    let good = report.encode();
    assert_eq!(ShadowReport::decode(&good), Some(report));
    for end in 0..good.len() {
        assert_eq!(ShadowReport::decode(&good[..end]), None, "the first {end} bytes");
    }
    assert_eq!(ShadowReport::decode(&[&[FORM + 1], &good[1..]].concat()), None);
    assert_eq!(ShadowReport::decode(&[good.as_slice(), &[0]].concat()), None);
}
