//! What a guest answered, judged: within limits, and about what it was asked.

use super::types::{Change, Selection, Update};
use super::world::wire;
use crate::limits::Limits;
use crate::text::printable;
use std::collections::BTreeSet;

/// A selection of what there is, each once.
pub(super) fn selection(selection: wire::Selection, update: &Update) -> Result<Selection, String> {
    let positions = |chosen: Vec<u32>, offered: usize, what: &str| {
        let mut known = BTreeSet::new();
        let position = |position: u32| match usize::try_from(position) {
            Ok(position) if position < offered && known.insert(position) => Ok(position),
            Ok(position) if position < offered => Err(format!("it selected {what} {position} twice")),
            _ => Err(format!("it selected {what} {position} of {offered}")),
        };
        chosen.into_iter().map(position).collect::<Result<Vec<_>, _>>()
    };
    Ok(Selection {
        contents: positions(selection.contents, update.contents.len(), "content")?,
        previous: positions(selection.previous, update.previous.len(), "previous content")?,
    })
}

/// All changes, or none: a plan that was cut would hide something.
pub(super) fn changes(changes: Vec<wire::Change>, limits: &Limits) -> Result<Vec<Change>, String> {
    let bytes = changes.iter().map(|change| change.subject.len() + change.action.len() + change.detail.len());
    let bytes = bytes.sum::<usize>();
    if changes.len() > limits.changes || bytes > limits.change_bytes {
        return Err(format!("it planned {} changes of {bytes} bytes", changes.len()));
    }
    let text = |text: String| printable(&text, limits.sentence_bytes);
    let change = |change: wire::Change| Change {
        subject: text(change.subject),
        action: text(change.action),
        detail: text(change.detail),
    };
    Ok(changes.into_iter().map(change).collect())
}

#[cfg(test)]
mod tests {
    use super::super::types::Entry;
    use super::*;

    fn select(contents: &[u32], previous: &[u32]) -> Result<Selection, String> {
        let entry = Entry { label: "a".to_owned(), digest: farrier_protocol::Digest([0; 32]), length: 1 };
        let update = Update {
            name: "u".to_owned(),
            instructions: Vec::new(),
            contents: vec![entry.clone(); 3],
            previous: vec![entry],
        };
        selection(wire::Selection { contents: contents.to_vec(), previous: previous.to_vec() }, &update)
    }

    #[test]
    fn a_selection_is_of_what_there_is() {
        assert_eq!(select(&[2, 0], &[0]), Ok(Selection { contents: vec![2, 0], previous: vec![0] }));
        assert_eq!(select(&[], &[]), Ok(Selection::default()));
        assert_eq!(select(&[3], &[]).unwrap_err(), "it selected content 3 of 3");
        assert_eq!(select(&[1, 1], &[]).unwrap_err(), "it selected content 1 twice");
        assert_eq!(select(&[0], &[u32::MAX]).unwrap_err(), "it selected previous content 4294967295 of 1");
    }

    #[test]
    fn a_plan_is_whole_or_none() {
        let change = |detail: &str| wire::Change {
            subject: "libssl3".to_owned(),
            action: "upgrade".to_owned(),
            detail: detail.to_owned(),
        };
        let limits = Limits { changes: 2, change_bytes: 50, ..Limits::default() };
        assert_eq!(changes(vec![change("a\nb"); 2], &limits).unwrap()[0].detail, "a b");
        assert!(changes(vec![change(""); 3], &limits).is_err());
        assert!(changes(vec![change(&"x".repeat(50))], &limits).is_err());
    }
}
