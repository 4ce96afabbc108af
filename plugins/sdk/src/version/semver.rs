//! The order of semantic versions (semver.org, 2.0.0, section 11).

use super::compare_numbers;
use core::cmp::Ordering;

/// Compares two semantic versions. What stands behind a `+` does not matter; a `v` in front is passed over; a missing
/// minor or patch version is 0.
///
/// ```
/// use farrier_plugin_sdk::version::semver;
///
/// assert!(semver::compare("1.2.10", "1.2.9").is_gt());
/// assert!(semver::compare("2.0.0-rc.1", "2.0.0").is_lt());
/// ```
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let ((a, before_a), (b, before_b)) = (parts(a.as_bytes()), parts(b.as_bytes()));
    let before = || match (before_a, before_b) {
        (Some(a), Some(b)) => compare_identifiers(a, b, &[]),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    compare_identifiers(a, b, b"0").then_with(before)
}

/// The release, and what it is a pre-release of.
fn parts(version: &[u8]) -> (&[u8], Option<&[u8]>) {
    let version = version.strip_prefix(b"v").unwrap_or(version);
    let version = version.split(|byte| *byte == b'+').next().unwrap_or(version);
    match version.iter().position(|byte| *byte == b'-') {
        Some(hyphen) => (&version[..hyphen], Some(&version[hyphen + 1..])),
        None => (version, None),
    }
}

/// Identifier by identifier: numbers as numbers and before words. One that is missing is `missing`, which is the least
/// if it is empty.
fn compare_identifiers(a: &[u8], b: &[u8], missing: &[u8]) -> Ordering {
    let (mut a, mut b) = (a.split(|byte| *byte == b'.'), b.split(|byte| *byte == b'.'));
    loop {
        let (one, other) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => (one.unwrap_or(missing), other.unwrap_or(missing)),
        };
        let order = match (number(one), number(other)) {
            (Some(one), Some(other)) => compare_numbers(one, other),
            (Some(_), None) if other.is_empty() => Ordering::Greater,
            (None, Some(_)) if one.is_empty() => Ordering::Less,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => one.cmp(other),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// The digits of a number, without leading zeros.
fn number(identifier: &[u8]) -> Option<&[u8]> {
    let is_number = !identifier.is_empty() && identifier.iter().all(u8::is_ascii_digit);
    is_number.then(|| super::split_number(identifier).0)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::assert_ascending, compare};

    #[test]
    fn versions_ascend_as_the_specification_says() {
        let versions = [
            "0.9.9",
            "1.0.0-1",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0-rc.1",
            "1.0.0-rc.1.0",
            "1.0.0",
            "1.0.1",
            "1.2.0",
            "1.10.0",
            "2.0.0-x-y",
            "2.0.0",
            "99999999999999999999.0.0",
        ];
        assert_ascending(&versions, compare);
        for (a, b) in [("1.0.0+5", "1.0.0+7"), ("v1.2.3", "1.2.3"), ("1", "1.0.0"), ("1.0.0-a+x-y", "1.0.0-a")] {
            assert!(compare(a, b).is_eq(), "{a} {b}");
        }
    }
}
