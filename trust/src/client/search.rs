//! Searching for a target among the targets roles.

use super::{Answer, Client, ROOT, Request, TARGETS};
use crate::TrustError;
use crate::limits::MAX_DELEGATED_ROLES;
use crate::metadata::Targets;
use crate::target::Target;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use farrier_protocol::UnixTime;

/// A search for a target that is under way: fetch what [`next`](Self::next) says and give it to
/// [`receive`](Self::receive), until nothing is next; then [`finish`](Self::finish) has the answer.
///
/// A role that is missing, expired or badly signed ends the search: nobody after it is asked, because it might have had
/// something to say. Other targets are not touched by that.
#[derive(Debug)]
pub struct Search<'a> {
    client: &'a mut Client,
    now: UnixTime,
    walk: Walk,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody has looked at the top roles yet.
    New,
    /// The walk goes on when `next` is asked.
    Walking,
    /// The walk goes on when this role's metadata, as this delegator wants them, are there.
    Waiting { role: String, delegator: String },
    /// The walk ended with this.
    Ended(Result<Option<Target>, TrustError>),
}

impl<'a> Search<'a> {
    pub(super) fn new(client: &'a mut Client, path: &str, now: UnixTime) -> Self {
        Self { client, now, walk: Walk::new(path), state: State::New }
    }

    /// The file that is needed next; none when the search has ended.
    ///
    /// # Errors
    /// When the search failed, or cannot go on.
    #[expect(clippy::should_implement_trait, reason = "an iterator is not given answers")]
    pub fn next(&mut self) -> Result<Option<Request>, TrustError> {
        let next = match &self.state {
            State::Ended(Ok(_)) => return Ok(None),
            State::Ended(Err(error)) => return Err(error.clone()),
            State::New => self.client.check_top(self.now).and_then(|()| self.advance()),
            State::Walking | State::Waiting { .. } => self.advance(),
        };
        next.inspect_err(|error| self.state = State::Ended(Err(error.clone())))
    }

    /// Takes the answer to the last request.
    ///
    /// # Errors
    /// When it must not be taken; the search has failed then.
    pub fn receive(&mut self, answer: Answer<'_>) -> Result<(), TrustError> {
        let taken = match (&self.state, answer) {
            (State::Ended(Err(error)), _) => Err(error.clone()),
            (State::Waiting { role, .. }, Answer::Missing) => Err(TrustError::MissingMetadata { role: role.clone() }),
            (State::Waiting { role, delegator }, Answer::Found(bytes)) => {
                self.client.accept_targets(role, delegator, bytes, Some(self.now))
            }
            _ => Err(TrustError::OutOfOrder),
        };
        self.state = match &taken {
            Ok(()) => State::Walking,
            Err(error) => State::Ended(Err(error.clone())),
        };
        taken
    }

    /// The target, if any role that may say something about it does.
    ///
    /// # Errors
    /// When the search failed, or has not ended.
    pub fn finish(self) -> Result<Option<Target>, TrustError> {
        match self.state {
            State::Ended(answer) => answer,
            _ => Err(TrustError::OutOfOrder),
        }
    }

    /// The client as far as the search has come.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.client
    }

    fn advance(&mut self) -> Result<Option<Request>, TrustError> {
        loop {
            let answer = match self.walk.step(self.client, Some(self.now))? {
                Step::Needs { role, delegator } => {
                    if self.client.accept_targets_at_hand(&role, &delegator, self.now) {
                        continue;
                    }
                    let request = self.client.targets_request(&role)?;
                    self.state = State::Waiting { role, delegator };
                    return Ok(Some(request));
                }
                Step::Found(target) => Some(target),
                Step::Ended => None,
            };
            self.state = State::Ended(Ok(answer));
            return Ok(None);
        }
    }
}

/// The pre-order walk through the delegations (section 5.6.7).
#[derive(Debug)]
pub(super) struct Walk {
    path: String,
    /// Who is to be asked, the next one last, each with who delegates to it.
    to_visit: Vec<(String, String)>,
    visited: BTreeSet<String>,
}

/// How far a walk comes with what is held.
pub(super) enum Step {
    Needs { role: String, delegator: String },
    Found(Target),
    Ended,
}

impl Walk {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into(), to_visit: Vec::from([(TARGETS.into(), ROOT.into())]), visited: BTreeSet::new() }
    }

    /// Goes on as far as there are metadata that had not expired by this time, where there is one.
    pub(super) fn step(&mut self, client: &Client, now: Option<UnixTime>) -> Result<Step, TrustError> {
        while let Some((role, delegator)) = self.to_visit.last().cloned() {
            if self.visited.contains(&role) {
                self.to_visit.pop();
                continue;
            }
            // The top role is not one that is delegated to.
            if self.visited.len() > MAX_DELEGATED_ROLES as usize {
                return Err(TrustError::TooManyDelegations { path: self.path.clone(), limit: MAX_DELEGATED_ROLES });
            }
            let Some(targets) = client.held(&role, &delegator, now) else {
                return Ok(Step::Needs { role, delegator });
            };
            self.to_visit.pop();
            if let Some(file) = targets.targets.get(&self.path) {
                return Ok(Step::Found(Target::new(&self.path, &role, file, client.root.content.consistent_snapshot)));
            }
            self.push_delegations(&role, targets);
            self.visited.insert(role);
        }
        Ok(Step::Ended)
    }

    /// Puts those whom a role delegates this path to in front. After a terminating delegation nobody else is asked.
    fn push_delegations(&mut self, delegator: &str, targets: &Targets) {
        let Some(delegations) = &targets.delegations else { return };
        let (asked, is_final) = delegations.asked_for(&self.path);
        if is_final {
            self.to_visit.clear();
        }
        self.to_visit.extend(asked.into_iter().rev().map(|role| (role, delegator.into())));
    }
}
