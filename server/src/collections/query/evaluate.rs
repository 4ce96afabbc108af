//! The answer of a query for one client.

use super::{Comparison, Condition, Expression, TextFact, TextTest, TimeFact, version};
use crate::architecture::kernel_name;
use crate::database::ClientFacts;
use farrier_protocol::UnixTime;

impl Expression {
    pub(super) fn holds_for(&self, client: &ClientFacts, now: UnixTime) -> bool {
        match self {
            Self::All => true,
            Self::Not(inner) => !inner.holds_for(client, now),
            Self::And(all) => all.iter().all(|one| one.holds_for(client, now)),
            Self::Or(all) => all.iter().any(|one| one.holds_for(client, now)),
            Self::Condition(condition) => condition.holds_for(client, now),
        }
    }
}

impl Condition {
    fn holds_for(&self, client: &ClientFacts, now: UnixTime) -> bool {
        match self {
            Self::Text { fact, test } => fact.is_any(client, |value| test.passes(value)),
            Self::AgentVersion { comparison, version } => {
                // What is not known is neither older nor newer.
                version::parse(&client.agent_version).is_some_and(|own| comparison.holds(&own, version))
            }
            Self::Within { fact, seconds } => now.saturating_sub(fact.of(client)) <= *seconds,
        }
    }
}

impl TextFact {
    fn is_any(self, client: &ClientFacts, test: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Hostname => test(&client.hostname),
            Self::OperatingSystem => test(&client.operating_system),
            Self::Os => test(&client.os),
            Self::Release => test(&client.release),
            Self::Architecture => test(kernel_name(&client.machine)),
            Self::TimeZone => test(&client.time_zone),
            Self::Tag => client.tags.iter().any(|tag| test(tag)),
        }
    }
}

impl TimeFact {
    pub(super) fn of(self, client: &ClientFacts) -> UnixTime {
        match self {
            Self::LastContact => client.last_contact_at,
            Self::Enrolled => client.enrolled_at,
        }
    }
}

impl TextTest {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::IsOneOf(values) => values.iter().any(|one| one.eq_ignore_ascii_case(value)),
            Self::IsLike(pattern) => pattern.matches(value),
        }
    }
}

impl Comparison {
    fn holds(self, own: &semver::Version, other: &semver::Version) -> bool {
        match self {
            Self::Equal => own == other,
            Self::Less => own < other,
            Self::LessOrEqual => own <= other,
            Self::Greater => own > other,
            Self::GreaterOrEqual => own >= other,
        }
    }
}
