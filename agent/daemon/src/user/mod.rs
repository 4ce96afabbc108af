//! What users of the endpoint see of its deployments, and what they may want: to install now, or later.

mod at_work;
mod install;
mod list;

pub(crate) use at_work::{Posted, Shown, session_or_answers};
pub(crate) use install::{Which, install};
pub(crate) use list::list;

use crate::clock::now;
use crate::enforce::Board;
use crate::explain::Query;
use crate::session::Session;
use anyhow::{Context as _, anyhow, bail};
use farrier_agent_core::enforcement::{JobKey, Refusal};
use jiff::{Span, SpanRelativeTo, Unit};

/// The deployments as they stand now.
fn board(session: &mut Session<'_>) -> anyhow::Result<Board> {
    Board::open(session, now())?.context("nothing is deployed to this client, as far as it has heard of its site")
}

/// The jobs of the updates that `text` names: by full name, by source or by id.
fn find(board: &Board, text: &str) -> anyhow::Result<Vec<JobKey>> {
    let query = Query::parse(text.trim());
    let named = board.items().filter(|(item, _)| query.matches(item.offer.update, &item.offer.name));
    let named: Vec<_> = named.map(|(item, _)| item.key).collect();
    match named.is_empty() {
        true => bail!("no update called {text:?} is deployed to this client: `farrier-agent updates` lists what is"),
        false => Ok(named),
    }
}

/// Puts updates off. Returns what to tell the user.
pub(crate) fn defer(session: &mut Session<'_>, text: &str, seconds: u32) -> anyhow::Result<String> {
    let mut board = board(session)?;
    let (mut lines, mut refusals) = (String::new(), Vec::new());
    for key in find(&board, text)? {
        let Some((name, terms)) = board.item(key).map(|(item, _)| (item.offer.name.clone(), item.terms)) else {
            continue;
        };
        match board.alter(key, |job| Ok(job.defer(&terms, seconds, now()))) {
            Some(Ok(until)) => lines.push_str(&format!("{name} is deferred until {}.\n", board.wall.show(until))),
            Some(Err(refusal)) => refusals.push(format!("{name}: {}", words(&board, &refusal))),
            None => {}
        }
    }
    board.commit(&session.spool, true)?;
    match lines.is_empty() {
        true => Err(anyhow!("{}", refusals.join("; "))),
        false => Ok(lines),
    }
}

/// A refusal with its times.
fn words(board: &Board, refusal: &Refusal) -> String {
    match refusal {
        Refusal::Held { until: Some(until), .. } => format!("{refusal} (expected at {})", board.wall.show(*until)),
        Refusal::Due { since } => format!("{refusal} (since {})", board.wall.show(*since)),
        Refusal::TooLong { latest } => format!("{refusal}, {}", board.wall.show(*latest)),
        Refusal::Held { until: None, .. }
        | Refusal::AtWork(_)
        | Refusal::Done
        | Refusal::NotDeployed
        | Refusal::Optional => refusal.to_string(),
    }
}

/// A duration as users write it: `4h`, `90 minutes`, `1d 12h`.
pub(crate) fn parse_duration(text: &str) -> Result<u32, String> {
    let span: Span = text.parse().map_err(|_| format!("{text:?} is no duration: write 4h, 90m or 2d"))?;
    let seconds = span.total((Unit::Second, SpanRelativeTo::days_are_24_hours()));
    let seconds = seconds.map_err(|_| format!("{text:?} has no certain length: write days, hours or minutes"))?;
    if !(1.0..=f64::from(u32::MAX)).contains(&seconds) {
        return Err(format!("{text:?} is not a time to wait: write 4h, 90m or 2d"));
    }
    // Cut off, within the bounds above.
    Ok(seconds as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_users_write_them() {
        for (text, seconds) in [("4h", 14_400), ("90m", 5_400), ("1d 12h", 129_600), ("90 minutes", 5_400), ("2w", 0)] {
            match seconds {
                0 => assert!(parse_duration(text).is_ok_and(|it| it == 1_209_600) || parse_duration(text).is_err()),
                _ => assert_eq!(parse_duration(text), Ok(seconds), "{text}"),
            }
        }
        for text in ["", "4", "soon", "-4h", "0s", "1 month", "99999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
