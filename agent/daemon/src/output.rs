//! What a scan prints.

use crate::assess::Assessment;
use crate::explain::Explanation;
use farrier_agent_core::Verdict;
use farrier_protocol::{ComplianceState, UpdateId};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Required updates that a person is shown; programs get all.
const MAX_SHOWN: usize = 20;
/// Findings of one update that a person is shown.
const MAX_SHOWN_FINDINGS: usize = 3;

/// Whether the site knows of a scan, and if not, why.
pub(crate) type Reported = Result<(), String>;

/// How many updates have each state.
struct Counts([u32; 4]);

impl Counts {
    fn of(assessment: &Assessment) -> Self {
        let tally = &assessment.outcome.tally;
        let mut counts = [0; 4];
        for (_, verdict) in tally.verdicts.iter() {
            counts[verdict.state as usize] += 1;
        }
        let found: u32 = counts.iter().sum();
        counts[ComplianceState::NotRequired as usize] = tally.evaluated.saturating_sub(found);
        counts[ComplianceState::Unknown as usize] += assessment.blind;
        Self(counts)
    }

    fn get(&self, state: ComplianceState) -> u32 {
        self.0[state as usize]
    }
}

/// A scan for programs: one JSON object.
pub(crate) fn scan_json(assessment: &Assessment, reported: &Reported) -> Value {
    let counts = Counts::of(assessment);
    let outcome = &assessment.outcome;
    let states = ComplianceState::ALL.map(|state| (state.as_str().to_owned(), counts.get(state).into()));
    let plugins = outcome.plugins.iter().map(|plugin| {
        let error = Some(plugin.error.as_str()).filter(|error| !error.is_empty());
        json!({ "name": plugin.name, "version": plugin.version, "error": error })
    });
    let updates = outcome.tally.verdicts.iter().map(|(update, verdict)| {
        let findings = verdict.findings.iter().map(
            |finding| json!({ "subject": finding.subject, "state": finding.state.as_str(), "detail": finding.detail }),
        );
        json!({
            "id": update.to_string(),
            "name": name(assessment, *update),
            "state": verdict.state.as_str(),
            "findings": findings.collect::<Vec<_>>(),
        })
    });
    json!({
        "counts": Value::Object(states.into_iter().collect()),
        "plugins": plugins.collect::<Vec<_>>(),
        "updates": updates.collect::<Vec<_>>(),
        "reported": reported.is_ok(),
        "reason": reported.as_ref().err(),
    })
}

/// A scan for people: a short table.
pub(crate) fn scan_text(assessment: &Assessment, reported: &Reported) -> String {
    let counts = Counts::of(assessment);
    let outcome = &assessment.outcome;
    let mut text = String::new();
    let _ = writeln!(text, "{} software updates evaluated\n", grouped(outcome.tally.evaluated));
    for state in ComplianceState::ALL.into_iter().rev() {
        let _ = writeln!(text, "  {:<12} {:>9}", state.as_str(), grouped(counts.get(state)));
    }
    required(&mut text, assessment);
    for plugin in outcome.plugins.iter().filter(|plugin| !plugin.error.is_empty()) {
        let _ = writeln!(text, "\nPlugin {} {}: {}", plugin.name, plugin.version, plugin.error);
    }
    let _ = match reported {
        Ok(()) => writeln!(text, "\nReported to the site."),
        Err(reason) => writeln!(text, "\nNot reported yet, and kept until it is: {reason}"),
    };
    text
}

/// Explanations for people.
pub(crate) fn explanations_text(explanations: &[Explanation]) -> String {
    let mut text = String::new();
    for Explanation { name, state, findings } in explanations {
        let _ = writeln!(text, "{name}: {state}");
        let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
        for finding in findings {
            let _ = writeln!(text, "  {:<width$}  {:<11}  {}", finding.subject, finding.state, finding.detail);
        }
    }
    text
}

fn required(text: &mut String, assessment: &Assessment) {
    let is_required = |(_, verdict): &(&UpdateId, &Verdict)| verdict.state == ComplianceState::Required;
    let mut required: Vec<_> = assessment
        .outcome
        .tally
        .verdicts
        .iter()
        .filter(is_required)
        .map(|(update, verdict)| (name(assessment, *update), verdict))
        .collect();
    if required.is_empty() {
        return;
    }
    required.sort_by(|a, b| a.0.cmp(&b.0));
    text.push_str("\nRequired:\n");
    for (name, verdict) in required.iter().take(MAX_SHOWN) {
        let _ = writeln!(text, "  {name}");
        for finding in verdict.findings.iter().take(MAX_SHOWN_FINDINGS) {
            let _ = writeln!(text, "    {}: {}", finding.subject, finding.detail);
        }
        match verdict.findings.len().saturating_sub(MAX_SHOWN_FINDINGS) {
            0 => {}
            more => drop(writeln!(text, "    and {more} more")),
        }
    }
    match required.len().saturating_sub(MAX_SHOWN) {
        0 => {}
        more => drop(writeln!(text, "  and {more} more: `farrier-agent scan --json` lists all")),
    }
}

fn name(assessment: &Assessment, update: UpdateId) -> String {
    let names = assessment.outcome.tally.names.as_ref();
    names.and_then(|names| names.get(&update)).map_or_else(|| update.to_string(), |name| name.to_string())
}

/// `66494` as `66,494`.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (66_494, "66,494"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }
}
