//! Versions of agents.

use semver::Version;

/// A version, of which minor and patch may be left out.
pub(super) fn parse(text: &str) -> Option<Version> {
    let numbers = text.split(['-', '+']).next().unwrap_or(text);
    let rest = &text[numbers.len()..];
    let missing = 2_usize.checked_sub(numbers.matches('.').count())?;
    Version::parse(&format!("{numbers}{}{rest}", ".0".repeat(missing))).ok()
}
