//! The geometry of the charts. Templates draw it as SVG, where a number is an attribute: a strict content security policy
//! knows no inline style.

use super::filters::{grouped, percentage, state_class, state_label};
use crate::database::views::StateCounts;
use farrier_protocol::ComplianceState;

/// The order of states in charts and tables: what asks for action first.
pub(super) const STATES: [ComplianceState; 4] =
    [ComplianceState::Required, ComplianceState::Unknown, ComplianceState::Installed, ComplianceState::NotRequired];
/// The states of updates that concern a client at all.
const APPLICABLE: &[ComplianceState] =
    &[ComplianceState::Required, ComplianceState::Unknown, ComplianceState::Installed];

/// The least share that is drawn, in percent: one required update of thousands is the news.
const LEAST_SHARE: f64 = 3.0;

/// One part of a bar or a ring, in percent of the whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Segment {
    pub(super) class: &'static str,
    pub(super) start: f64,
    pub(super) length: f64,
}

impl Segment {
    /// Where a ring's dash begins, as `stroke-dashoffset` counts: backwards.
    pub(super) fn offset(&self) -> f64 {
        -self.start
    }
}

/// A bar or a ring, with the same in words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chart {
    pub(super) segments: Vec<Segment>,
    pub(super) words: String,
}

/// How often each state occurs.
pub(super) fn states(counts: &StateCounts) -> Chart {
    chart_of(counts, &STATES)
}

/// How often each state occurs where the update concerns the client.
pub(super) fn applicable(counts: &StateCounts) -> Chart {
    chart_of(counts, APPLICABLE)
}

/// How much of what concerns clients is installed, in percent.
// For people: the rounding of counts above 2^53 is not seen.
#[allow(clippy::cast_precision_loss)]
pub(super) fn installed_share(counts: &StateCounts) -> Option<f64> {
    let applicable = counts.required + counts.unknown + counts.installed;
    (applicable > 0).then(|| counts.installed as f64 * 100.0 / applicable as f64)
}

/// Shares with the class they are drawn in and the label they are read by; what is there is seen, however small.
pub(super) fn chart(shares: &[(&'static str, &'static str, i64)]) -> Chart {
    drawn(shares, LEAST_SHARE)
}

/// The same in exact proportion.
pub(super) fn exact(shares: &[(&'static str, &'static str, i64)]) -> Chart {
    drawn(shares, 0.0)
}

#[allow(clippy::cast_precision_loss)]
fn drawn(shares: &[(&'static str, &'static str, i64)], least: f64) -> Chart {
    let total: i64 = shares.iter().map(|(_, _, count)| count).sum();
    let share = |count: i64| count as f64 * 100.0 / total.max(1) as f64;
    let drawn: Vec<f64> =
        shares.iter().map(|(_, _, count)| if *count > 0 { share(*count).max(least) } else { 0.0 }).collect();
    let scale = 100.0 / drawn.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut start = 0.0;
    let mut segments = Vec::new();
    for ((class, _, _), length) in shares.iter().zip(drawn).filter(|(_, length)| *length > 0.0) {
        let length = length * scale;
        segments.push(Segment { class, start, length });
        start += length;
    }
    let words = shares
        .iter()
        .filter(|(_, _, count)| *count > 0)
        .map(|(_, label, count)| format!("{label} {} ({})", grouped(*count), percentage(share(*count))))
        .collect::<Vec<_>>()
        .join(", ");
    Chart { segments, words }
}

fn chart_of(counts: &StateCounts, states: &[ComplianceState]) -> Chart {
    let shares: Vec<_> =
        states.iter().map(|state| (state_class(*state), state_label(*state), counts.of(*state))).collect();
    chart(&shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_required_update_is_seen_among_thousands() {
        let chart = states(&StateCounts { required: 1, installed: 99_999, ..StateCounts::default() });
        assert!(chart.segments[0].length > 1.0);
        assert!((chart.segments.iter().map(|segment| segment.length).sum::<f64>() - 100.0).abs() < 1e-9);
        assert_eq!(chart.words, "Required 1 (<0.1 %), Installed 99,999 (99.9 %)");
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert_eq!(states(&StateCounts::default()), Chart { segments: Vec::new(), words: String::new() });
    }
}
