//! The query language of collections: what holds for a client, by what the site knows of it.
//!
//! ```text
//! release = bookworm and tag in (web, db) and not hostname like "test-*"
//! ```
//!
//! `docs/collections.md` has the grammar. A query is a function of the client's facts and the time; it also says when
//! its answer may next change by itself, so that nobody has to ask again before.

mod age;
mod evaluate;
mod lexer;
mod parser;
mod pattern;
#[cfg(test)]
mod tests;
mod version;

use crate::database::ClientFacts;
use farrier_protocol::UnixTime;
use pattern::Pattern;
use semver::Version;
use std::fmt;
use std::str::FromStr;

/// Bytes of a query, at most.
pub const MAX_QUERY_BYTES: usize = 4096;
/// How deep parentheses and `not` may be nested.
pub const MAX_DEPTH: usize = 32;

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query(Expression);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    All,
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Condition(Condition),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// One of the fact's values passes the test.
    Text { fact: TextFact, test: TextTest },
    /// The agent's version compares like this.
    AgentVersion { comparison: Comparison, version: Version },
    /// This happened no longer ago than so many seconds.
    Within { fact: TimeFact, seconds: i64 },
}

/// A fact that is text, or a set of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextFact {
    Hostname,
    OperatingSystem,
    Os,
    Release,
    Architecture,
    Tag,
    TimeZone,
}

/// A fact that is a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeFact {
    LastContact,
    Enrolled,
}

/// What is asked of a text. The case of ASCII letters makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TextTest {
    IsOneOf(Vec<String>),
    IsLike(Pattern),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Why a query cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("character {}: {message}", .position + 1)]
pub struct QueryError {
    /// The first character that is wrong, counted from 0.
    pub position: usize,
    /// How many characters are wrong, at least 1: one beyond the end is where something is missing.
    pub length: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl QueryError {
    /// The line of the query that is wrong and, below it, carets that point at the place.
    #[must_use]
    pub fn pointing_into(&self, query: &str) -> String {
        let before: String = query.chars().take(self.position).collect();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count();
        let line = query[line_start..].lines().next().unwrap_or_default();
        let length = self.length.min(line.chars().count().saturating_sub(column)).max(1);
        // Tabs stay tabs, so that the carets stand below their characters.
        let indent: String = line.chars().take(column).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        format!("{line}\n{indent}{}", "^".repeat(length))
    }
}

impl FromStr for Query {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, QueryError> {
        parser::parse(text).map(Self)
    }
}

impl Query {
    /// Whether it holds for this client now.
    #[must_use]
    pub fn holds_for(&self, client: &ClientFacts, now: UnixTime) -> bool {
        self.0.holds_for(client, now)
    }

    /// When the answer for this client may change because time passes, if nothing else happens.
    #[must_use]
    pub fn next_change(&self, client: &ClientFacts, now: UnixTime) -> Option<UnixTime> {
        let ends = |fact: TimeFact, seconds: i64| fact.of(client).saturating_add(seconds).saturating_add(1);
        let mut next = None;
        self.0.for_each_age(&mut |fact, seconds| {
            let end = ends(fact, seconds);
            if end > now && next.is_none_or(|next| end < next) {
                next = Some(end);
            }
        });
        next
    }

    /// The shortest age that it asks the last contact for: a client that comes back after longer may have another
    /// answer.
    #[must_use]
    pub fn contact_seconds(&self) -> Option<i64> {
        let mut shortest: Option<i64> = None;
        self.0.for_each_age(&mut |fact, seconds| {
            if fact == TimeFact::LastContact {
                shortest = Some(shortest.map_or(seconds, |shortest| shortest.min(seconds)));
            }
        });
        shortest
    }
}

impl Expression {
    fn for_each_age(&self, see: &mut impl FnMut(TimeFact, i64)) {
        match self {
            Self::All => {}
            Self::Not(inner) => inner.for_each_age(see),
            Self::And(all) | Self::Or(all) => all.iter().for_each(|one| one.for_each_age(see)),
            Self::Condition(Condition::Within { fact, seconds }) => see(*fact, *seconds),
            Self::Condition(Condition::Text { .. } | Condition::AgentVersion { .. }) => {}
        }
    }
}

impl fmt::Display for TextFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(parser::name_of(*self))
    }
}
