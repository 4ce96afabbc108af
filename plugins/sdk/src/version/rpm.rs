//! RPM's version order (rpm-version(7)), as rpm computes it.

use super::{compare_numbers, split_number};
use core::cmp::Ordering;

/// Compares two of `[epoch:]version[-release]` as rpm does: first the epochs, a missing one as 0, then the versions,
/// then the releases; one without a release comes before one with any.
///
/// ```
/// use farrier_plugin_sdk::version::rpm;
///
/// assert!(rpm::compare("1.2-3.el9", "0:1.2-4.el9").is_lt());
/// assert!(rpm::compare("2.0~rc1-1", "2.0-1").is_lt());
/// assert!(rpm::compare("1:1.0-1", "2.0-1").is_gt());
/// ```
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Evr::of(a.as_bytes()), Evr::of(b.as_bytes()));
    let releases = || match (a.release, b.release) {
        (Some(a), Some(b)) => compare_part(a, b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    compare_part(a.epoch, b.epoch).then_with(|| compare_part(a.version, b.version)).then_with(releases)
}

/// Compares two versions without epoch and release, or two releases, as rpm's `rpmvercmp` does.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    compare_part(a.as_bytes(), b.as_bytes())
}

/// `[epoch:]version[-release]`: the epoch is digits before a colon, the release begins after the last hyphen.
struct Evr<'a> {
    epoch: &'a [u8],
    version: &'a [u8],
    release: Option<&'a [u8]>,
}

impl<'a> Evr<'a> {
    fn of(text: &'a [u8]) -> Self {
        let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (epoch, rest) = match text.get(digits) {
            Some(b':') if digits > 0 => (&text[..digits], &text[digits + 1..]),
            Some(b':') => (&b"0"[..], &text[1..]),
            _ => (&b"0"[..], text),
        };
        match rest.iter().rposition(|byte| *byte == b'-') {
            Some(hyphen) => Self { epoch, version: &rest[..hyphen], release: Some(&rest[hyphen + 1..]) },
            None => Self { epoch, version: rest, release: None },
        }
    }
}

/// Segment by segment, of digits or of letters; what is neither only separates. `~` comes before the end, `^` after it,
/// but before anything else.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        (a, b) = (skip_separators(a), skip_separators(b));
        match (a.first(), b.first()) {
            (Some(b'~'), Some(b'~')) | (Some(b'^'), Some(b'^')) => {
                (a, b) = (&a[1..], &b[1..]);
                continue;
            }
            (Some(b'~'), _) => return Ordering::Less,
            (_, Some(b'~')) => return Ordering::Greater,
            (Some(b'^'), other) => return if other.is_none() { Ordering::Greater } else { Ordering::Less },
            (other, Some(b'^')) => return if other.is_none() { Ordering::Less } else { Ordering::Greater },
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(one), Some(other)) => match (one.is_ascii_digit(), other.is_ascii_digit()) {
                (true, false) => return Ordering::Greater,
                (false, true) => return Ordering::Less,
                (is_number, _) => {
                    let (segment_a, segment_b);
                    let order = if is_number {
                        (segment_a, a) = split_number(a);
                        (segment_b, b) = split_number(b);
                        compare_numbers(segment_a, segment_b)
                    } else {
                        (segment_a, a) = split_letters(a);
                        (segment_b, b) = split_letters(b);
                        segment_a.cmp(segment_b)
                    };
                    if order.is_ne() {
                        return order;
                    }
                }
            },
        }
    }
}

fn skip_separators(text: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| !byte.is_ascii_alphanumeric() && !b"~^".contains(byte);
    &text[text.iter().take_while(|byte| is_separator(byte)).count()..]
}

fn split_letters(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_alphabetic()).count())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::assert_ascending, *};

    /// From rpm's own tests (tests/rpmvercmp.at): lower, higher.
    const ASCENDING: [(&str, &str); 32] = [
        ("1.0", "2.0"),
        ("2.0", "2.0.1"),
        ("2.0.1", "2.0.1a"),
        ("5.5p1", "5.5p2"),
        ("5.5p1", "5.5p10"),
        ("10xyz", "10.1xyz"),
        ("xyz10", "xyz10.1"),
        ("xyz.4", "8"),
        ("xyz.4", "2"),
        ("5.5p2", "5.6p1"),
        ("5.6p1", "6.5p1"),
        ("6.0", "6.0.rc1"),
        ("10a2", "10b2"),
        ("1.0a", "1.0aa"),
        ("10.0001", "10.0039"),
        ("4.999.9", "5.0"),
        ("20101121", "20101122"),
        ("1.0~rc1", "1.0"),
        ("1.0~rc1", "1.0~rc2"),
        ("1.0~rc1~git123", "1.0~rc1"),
        ("1.0", "1.0^"),
        ("1.0", "1.0^git1"),
        ("1.0^git1", "1.0^git2"),
        ("1.0^git1", "1.01"),
        ("1.0^20160101", "1.0.1"),
        ("1.0^20160101^git1", "1.0^20160102"),
        ("1.0~rc1", "1.0~rc1^git1"),
        ("1.0^git1~pre", "1.0^git1"),
        ("1.0~rc1^git1", "1.0"),
        ("1b.fc17", "1.fc17"),
        ("1.fc17", "1g.fc17"),
        ("", "1"),
    ];

    const EQUAL: [(&str, &str); 10] = [
        ("2.0.1a", "2.0.1a"),
        ("10.0001", "10.1"),
        ("10.01", "10.0001"),
        ("2_0", "2.0"),
        ("a+", "a_"),
        ("+", "_"),
        ("1.0~rc1", "1.0~rc1"),
        ("1.0^git1", "1.0^git1"),
        ("1.00", "1..0"),
        ("", ""),
    ];

    #[test]
    fn versions_compare_as_rpms_own_tests_say() {
        for (lower, higher) in ASCENDING {
            assert_eq!(compare_versions(lower, higher), Ordering::Less, "{lower} {higher}");
            assert_eq!(compare_versions(higher, lower), Ordering::Greater, "{higher} {lower}");
        }
        for (a, b) in EQUAL {
            assert_eq!(compare_versions(a, b), Ordering::Equal, "{a} {b}");
            assert_eq!(compare_versions(b, a), Ordering::Equal, "{b} {a}");
        }
    }

    #[test]
    fn epoch_goes_before_version_and_version_before_release() {
        let versions =
            ["1.0", "1.0-1.el9", "1.0-1.el9_1", "1.0-2.el9", "1.0-10.el9", "1.1-1", "1:0.9-1", "2:0.1", "10:0-0"];
        assert_ascending(&versions, compare);
        assert!(compare("0:1.0-1", "1.0-1").is_eq());
        assert!(compare(":1.0-1", "00:1.0-1").is_eq());
        assert!(compare("1.0-beta-1", "1.0.beta-1").is_eq(), "only the last hyphen begins a release");
    }
}
