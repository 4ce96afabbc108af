//! A guest that misbehaves in the way it is told to: what the limits of the agent are tested with.
//!
//! The file `/etc/hostile` says when and how: `evaluate:trap`. Without a phase, a [`Deed`] is done in its usual one.
//! In every other phase, and with the deed `nothing`, the guest is honest: its only scope is [`SCOPE`], and every rule
//! is required.
//!
//! What no SDK lets a guest do is in `wat/`.
#![no_std]

extern crate alloc;

mod attempts;
mod deeds;
mod order;

use alloc::{borrow::ToOwned, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, SharedFacts, rules};
pub use order::{Deed, Order, Phase};

/// The only scope, whatever the client.
pub const SCOPE: &str = "hostile/test/any";

/// A scope that the manifest does not announce.
pub const OTHER_SCOPE: &str = "debian/bookworm/amd64";

/// The guest, with its order.
pub struct Hostile {
    order: Order,
    facts: SharedFacts,
}

farrier_plugin_sdk::export!(Hostile);

impl Applicability for Hostile {
    type Rule<'a> = &'a [u8];

    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error> {
        let count = match Order::read(facts)?.deed_in(Phase::Scopes) {
            Some(Deed::HugeAnswer) => deeds::HUGE_COUNT,
            Some(Deed::OtherScope) => return Ok(vec![SCOPE.to_owned(), OTHER_SCOPE.to_owned()]),
            deed => deeds::commit(deed, facts).map(|()| 1)?,
        };
        Ok(vec![SCOPE.to_owned(); count])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        let order = Order::read(&**facts)?;
        match order.deed_in(Phase::Open) {
            Some(Deed::HugeAnswer) => return Err(Error::Other(deeds::huge_text())),
            deed => deeds::commit(deed, &**facts)?,
        }
        Ok(Self { order, facts: facts.clone() })
    }

    fn evaluate(&self, _: &&[u8]) -> Result<ComplianceState, Error> {
        Ok(ComplianceState::Required)
    }

    fn evaluate_chunk(&self, chunk: &[u8]) -> Result<Vec<ComplianceState>, Error> {
        let honest = rules(chunk).count();
        let count = match self.order.deed_in(Phase::Evaluate) {
            Some(Deed::WrongCount) => honest + 1,
            Some(Deed::HugeAnswer) => deeds::HUGE_BYTES,
            deed => deeds::commit(deed, &*self.facts).map(|()| honest)?,
        };
        Ok(vec![ComplianceState::Required; count])
    }

    fn explain(&self, _: &&[u8]) -> Result<Vec<Finding>, Error> {
        let finding = |detail| Finding { subject: "hostile".to_owned(), state: ComplianceState::Required, detail };
        Ok(match self.order.deed_in(Phase::Explain) {
            Some(Deed::HugeExplanation) => vec![finding(deeds::huge_text())],
            Some(Deed::HugeAnswer) => vec![finding("again".to_owned()); deeds::HUGE_COUNT],
            deed => {
                deeds::commit(deed, &*self.facts)?;
                vec![finding("it was told to be".to_owned())]
            }
        })
    }
}
