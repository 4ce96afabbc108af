//! The world of applicability plugins.

use crate::{
    Applicability, ComplianceState, Error, Finding, Rule, SharedFacts,
    bindings::exports::farrier::policy::compliance::{self, GuestScan, Scan},
    facts::HostFacts,
};
use alloc::{string::String, vec::Vec};
use core::marker::PhantomData;

/// The component of a plugin.
pub struct Guest<P>(PhantomData<P>);

/// A scan of it.
pub struct OpenScan<P>(P);

impl<P: Applicability> compliance::Guest for Guest<P> {
    type Scan = OpenScan<P>;

    fn scopes() -> Result<Vec<String>, Error> {
        P::scopes(&HostFacts)
    }
}

impl<P: Applicability> GuestScan for OpenScan<P> {
    fn open() -> Result<Scan, Error> {
        Ok(Scan::new(Self(P::open(&SharedFacts::new(HostFacts))?)))
    }

    fn evaluate(&self, rules: Vec<u8>) -> Result<Vec<ComplianceState>, Error> {
        self.0.evaluate_chunk(&rules)
    }

    fn explain(&self, rule: Vec<u8>) -> Result<Vec<Finding>, Error> {
        self.0.explain(&P::Rule::decode(&rule)?)
    }
}
