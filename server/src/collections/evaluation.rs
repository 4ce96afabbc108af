//! Who is in: works out memberships of clients and collections that changed, or whose time has come.

use super::query::Query;
use super::{CollectionError, CollectionId};
use crate::database::{ClientFacts, Database, EvaluationInput, Membership, StoredCollection, Which, Written};
use farrier_protocol::UnixTime;
use std::collections::{BTreeMap, BTreeSet};

/// What an evaluation did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// How many clients were looked at.
    pub clients: usize,
    /// The collections whose members changed.
    pub changed: BTreeSet<CollectionId>,
    /// When the passing of time may next change something.
    pub next_due_at: Option<UnixTime>,
}

impl Evaluation {
    fn add(&mut self, written: Written) {
        self.clients += written.clients;
        self.changed.extend(written.changed);
    }
}

/// Brings the members of all collections up to date. Where nothing changed it costs three look-ups in indices.
///
/// It goes on in transactions of some thousand clients each; what it had no time for is still marked and done the next
/// time.
///
/// # Errors
/// When the database fails, or a stored query cannot be read.
pub async fn evaluate(database: &Database, now: UnixTime) -> Result<Evaluation, CollectionError> {
    let mut evaluation = Evaluation::default();
    if database.is_anything_unevaluated(now).await? {
        evaluate_all(database, now, &mut evaluation).await?;
        evaluate_some(database, Which::Changed, now, &mut evaluation).await?;
        evaluate_some(database, Which::Due, now, &mut evaluation).await?;
    }
    evaluation.next_due_at = database.next_evaluation_due_at().await?;
    Ok(evaluation)
}

/// Looks at everybody, where definitions changed.
async fn evaluate_all(database: &Database, now: UnixTime, evaluation: &mut Evaluation) -> Result<(), CollectionError> {
    let seen = database.unevaluated_collections().await?;
    let mut after = (!seen.is_empty()).then_some(0);
    while let Some(row) = after {
        let which = Which::All { after: row, seen: &seen };
        let written = database.update_members(which, now, |input| decide(input, Scope::Unevaluated, now)).await?;
        after = written.more_after;
        evaluation.add(written);
    }
    Ok(())
}

async fn evaluate_some(
    database: &Database,
    which: Which<'_>,
    now: UnixTime,
    evaluation: &mut Evaluation,
) -> Result<(), CollectionError> {
    loop {
        let written = database.update_members(which, now, |input| decide(input, Scope::Everything, now)).await?;
        let is_more = written.more_after.is_some();
        evaluation.add(written);
        if !is_more {
            return Ok(());
        }
    }
}

/// Which collections are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Everything,
    /// Those whose definitions changed, and those that depend on them.
    Unevaluated,
}

/// Where the clients of the input are in.
fn decide(input: &EvaluationInput, scope: Scope, now: UnixTime) -> Result<Vec<Membership>, CollectionError> {
    let steps = steps(&input.collections, scope)?;
    Ok(input.clients.iter().map(|client| membership(client, &steps, now)).collect())
}

fn membership(client: &ClientFacts, steps: &[Step<'_>], now: UnixTime) -> Membership {
    let mut membership = client.membership.clone();
    for Step { collection, query } in steps {
        let is_in = |id: &CollectionId| membership.member_of.contains(id);
        let is_member = !collection.excludes.iter().any(is_in)
            && (client.static_in.contains(&collection.id)
                || collection.includes.iter().any(is_in)
                || query.as_ref().is_some_and(|query| query.holds_for(client, now)));
        if is_member {
            membership.member_of.insert(collection.id);
        } else {
            membership.member_of.remove(&collection.id);
        }
        match query.as_ref().and_then(|query| query.next_change(client, now)) {
            Some(at) => membership.due.insert(collection.id, at),
            None => membership.due.remove(&collection.id),
        };
    }
    membership
}

/// A collection with its query, ready to be answered.
#[derive(Debug)]
struct Step<'a> {
    collection: &'a StoredCollection,
    query: Option<Query>,
}

/// The collections in an order in which each comes after those it includes and excludes.
fn steps(collections: &[StoredCollection], scope: Scope) -> Result<Vec<Step<'_>>, CollectionError> {
    let by_id: BTreeMap<CollectionId, &StoredCollection> =
        collections.iter().map(|collection| (collection.id, collection)).collect();
    let mut ordered = Vec::with_capacity(collections.len());
    let mut seen = BTreeSet::new();
    for collection in collections {
        visit(collection, &by_id, &mut seen, &mut ordered);
    }
    let mut affected = BTreeSet::new();
    let mut steps = Vec::with_capacity(ordered.len());
    for collection in ordered {
        let depends_on_affected =
            collection.includes.iter().chain(&collection.excludes).any(|other| affected.contains(other));
        if scope == Scope::Everything || collection.unevaluated || depends_on_affected {
            affected.insert(collection.id);
            steps.push(Step { collection, query: query_of(collection)? });
        }
    }
    Ok(steps)
}

/// Adds a collection after those it depends on. No definition with a cycle is ever stored; one that is there all the
/// same ends here, because nothing is visited twice.
fn visit<'a>(
    collection: &'a StoredCollection,
    by_id: &BTreeMap<CollectionId, &'a StoredCollection>,
    seen: &mut BTreeSet<CollectionId>,
    ordered: &mut Vec<&'a StoredCollection>,
) {
    if !seen.insert(collection.id) {
        return;
    }
    for other in collection.includes.iter().chain(&collection.excludes) {
        if let Some(other) = by_id.get(other) {
            visit(other, by_id, seen, ordered);
        }
    }
    ordered.push(collection);
}

/// The query of a stored collection.
pub(super) fn query_of(collection: &StoredCollection) -> Result<Option<Query>, CollectionError> {
    let stored = |source| CollectionError::Stored { collection: collection.name.clone(), source };
    collection.query.as_deref().map(|query| query.parse().map_err(stored)).transpose()
}
