//! Debian's version order (Debian Policy 5.6.12, deb-version(7)), as dpkg computes it.

use core::cmp::Ordering;

/// Compares two package versions as `dpkg --compare-versions` does.
///
/// Versions that policy forbids are compared by the same rules, as dpkg and apt do with what they find installed; a
/// missing epoch or revision is `0`.
///
/// ```
/// use core::cmp::Ordering;
/// use farrier_dpkg_rules::compare;
///
/// assert_eq!(compare(b"3.0.15-1~deb12u1", b"3.0.17-1~deb12u2"), Ordering::Less);
/// assert_eq!(compare(b"1:1.0", b"2.0"), Ordering::Greater);
/// assert_eq!(compare(b"1.0~rc1", b"1.0"), Ordering::Less);
/// assert_eq!(compare(b"1.0", b"0:1.0-0"), Ordering::Equal);
/// ```
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    let (a, b) = (Parts::of(a), Parts::of(b));
    compare_part(a.epoch, b.epoch)
        .then_with(|| compare_part(a.upstream, b.upstream))
        .then_with(|| compare_part(a.revision, b.revision))
}

/// `[epoch:]upstream[-revision]`: the epoch ends at the first colon, the revision begins after the last hyphen.
struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a [u8]) -> Self {
        let (epoch, rest) = match version.iter().position(|byte| *byte == b':') {
            Some(colon) => (&version[..colon], &version[colon + 1..]),
            None => (&[][..], version),
        };
        let (upstream, revision) = match rest.iter().rposition(|byte| *byte == b'-') {
            Some(hyphen) => (&rest[..hyphen], &rest[hyphen + 1..]),
            None => (rest, &[][..]),
        };
        Self { epoch, upstream, revision }
    }
}

/// Compares alternately a run of non-digits, byte by byte, and a run of digits, as a number of any length.
///
/// An epoch is a number, so the same rules order it.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        while starts_non_digit(a) || starts_non_digit(b) {
            let order = weight(a.first()).cmp(&weight(b.first()));
            if order.is_ne() {
                return order;
            }
            (a, b) = (&a[1..], &b[1..]);
        }
        let (number_a, number_b);
        (number_a, a) = split_number(a);
        (number_b, b) = split_number(b);
        let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn starts_non_digit(text: &[u8]) -> bool {
    text.first().is_some_and(|byte| !byte.is_ascii_digit())
}

/// What a byte of a non-digit run weighs: `~` before the end of the part, letters before everything else. A digit ends
/// the run as the end of the part does.
fn weight(byte: Option<&u8>) -> i16 {
    match byte {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(letter @ (b'a'..=b'z' | b'A'..=b'Z')) => i16::from(*letter),
        Some(other) => i16::from(*other) + 256,
    }
}

/// The digits at the start, without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    let text = &text[zeros..];
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ascending; every pair is compared in both directions.
    const ASCENDING: [&[u8]; 20] = [
        b"~~",
        b"~~a",
        b"~",
        b"0~",
        b"0",
        b"1.0~beta1~svn1245",
        b"1.0~beta1",
        b"1.0-0~1",
        b"1.0",
        b"1.0-1",
        b"1.0-1+b1",
        b"1.0-1.1",
        b"1.0a",
        b"1.0+dfsg",
        b"1.0.1",
        b"1.9",
        b"1.10",
        b"99999999999999999999999999999999",
        b"100000000000000000000000000000000",
        b"1:0.1",
    ];

    #[test]
    fn the_order_is_total_and_antisymmetric() {
        for (i, a) in ASCENDING.iter().enumerate() {
            for (j, b) in ASCENDING.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{} {}", a.escape_ascii(), b.escape_ascii());
            }
        }
    }

    #[test]
    fn versions_that_differ_only_in_zeros_are_equal() {
        for (a, b) in [("1.0", "1.00"), ("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.0", "01.0-0000"), ("1.0-", "1.0")] {
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), Ordering::Equal, "{a} {b}");
        }
    }

    #[test]
    fn what_policy_forbids_still_has_an_order() {
        let odd: [&[u8]; 10] = [b"", b":", b"-", b"a:1", b"1:", b"1:2:3", b"\xff", b"1 2", b"--1", b"1-\xc3\xa4"];
        for a in odd {
            assert_eq!(compare(a, a), Ordering::Equal);
            for b in odd {
                assert_eq!(compare(a, b), compare(b, a).reverse());
                for c in odd {
                    if compare(a, b).is_le() && compare(b, c).is_le() {
                        assert!(compare(a, c).is_le());
                    }
                }
            }
        }
    }
}
