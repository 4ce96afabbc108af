//! What an author of an applicability plugin implements.

use crate::{ComplianceState, Error, Facts, Finding, Rule, SharedFacts, log};
use alloc::{format, string::String, vec::Vec};

/// Which software updates does this client need?
///
/// The value is one scan: it holds what [`open`](Self::open) learned of the client.
pub trait Applicability: Sized + 'static {
    /// What a rule is to this plugin: `&'a [u8]`, `&'a str`, `Json<T>`, `Postcard<T>`, or a type of your own.
    type Rule<'a>: Rule<'a>;

    /// The catalogs that concern this client: `debian/bookworm/amd64`. None, where the plugin has no business. Each has
    /// to match a pattern of the manifest's `scopes`.
    ///
    /// # Errors
    /// What is missing or cannot be understood; the scan ends here.
    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error>;

    /// Reads the facts it needs, once, and keeps what the rules will ask for. Where only a rule tells what to read,
    /// keep a clone of the facts.
    ///
    /// # Errors
    /// What is missing or cannot be understood; every update of the scan is then `Unknown`.
    fn open(facts: &SharedFacts) -> Result<Self, Error>;

    /// The state of the update of one rule. A scan may do this 66,000 times: allocate nothing.
    ///
    /// # Errors
    /// Why it cannot be told; the update is then `Unknown`.
    fn evaluate(&self, rule: &Self::Rule<'_>) -> Result<ComplianceState, Error>;

    /// Why the update of one rule has its state, for people.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn explain(&self, rule: &Self::Rule<'_>) -> Result<Vec<Finding>, Error>;

    /// The states of a chunk of rules, in their order. Override it only for speed.
    ///
    /// # Errors
    /// If the chunk is cut off in the middle of a rule.
    fn evaluate_chunk(&self, rules: &[u8]) -> Result<Vec<ComplianceState>, Error> {
        self::rules(rules).map(|rule| Ok(evaluate_or_unknown(self, rule?))).collect()
    }
}

/// The rules of a chunk; each stands behind its length as a little-endian `u16`.
pub fn rules(mut chunk: &[u8]) -> impl Iterator<Item = Result<&[u8], Error>> {
    let chunk_bytes = chunk.len();
    core::iter::from_fn(move || {
        if chunk.is_empty() {
            return None;
        }
        let split = chunk
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_le_bytes(*length))));
        if split.is_none() {
            let offset = chunk_bytes - chunk.len();
            chunk = &[];
            return Some(Err(Error::Invalid(format!("the chunk is cut off in the rule at byte {offset}"))));
        }
        let rule;
        (rule, chunk) = split?;
        Some(Ok(rule))
    })
}

fn evaluate_or_unknown<P: Applicability>(plugin: &P, rule: &[u8]) -> ComplianceState {
    P::Rule::decode(rule).and_then(|rule| plugin.evaluate(&rule)).unwrap_or_else(|error| {
        log::warning(&["A rule cannot be evaluated: ", error.message()].concat());
        ComplianceState::Unknown
    })
}

/// Makes the type, an [`Applicability`], the plugin of this crate. Does nothing where the crate is built for tests.
#[macro_export]
macro_rules! export {
    ($plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        #[allow(unsafe_code)]
        const _: () = {
            type Guest = $crate::Guest<$plugin>;
    $crate::bindings::export_component!(Guest with_types_in $crate::bindings);
        };
    };
}
