//! Debian's version order (Debian Policy 5.6.12, deb-version(7)), as dpkg computes it.

use super::{compare_numbers, split_number};
use core::cmp::Ordering;

/// Compares two package versions, `[epoch:]upstream[-revision]`, as `dpkg --compare-versions` does.
///
/// ```
/// use farrier_plugin_sdk::version::debian;
///
/// assert!(debian::compare("3.0.15-1~deb12u1", "3.0.17-1~deb12u2").is_lt());
/// assert!(debian::compare("1.0~rc1", "1.0").is_lt());
/// ```
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a.as_bytes()), parts(b.as_bytes()));
    let pairs = a.into_iter().zip(b);
    pairs.fold(Ordering::Equal, |order, (a, b)| order.then_with(|| compare_part(a, b)))
}

/// Epoch, upstream version and revision: the epoch ends at the first colon, the revision begins after the last hyphen.
fn parts(version: &[u8]) -> [&[u8]; 3] {
    let (epoch, rest) = match version.iter().position(|byte| *byte == b':') {
        Some(colon) => (&version[..colon], &version[colon + 1..]),
        None => (&[][..], version),
    };
    match rest.iter().rposition(|byte| *byte == b'-') {
        Some(hyphen) => [epoch, &rest[..hyphen], &rest[hyphen + 1..]],
        None => [epoch, rest, &[]],
    }
}

/// Compares alternately a run of non-digits, byte by byte, and a run of digits, as a number.
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
        let order = compare_numbers(number_a, number_b);
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

fn starts_non_digit(text: &[u8]) -> bool {
    text.first().is_some_and(|byte| !byte.is_ascii_digit())
}

/// What a byte of a non-digit run weighs: `~` before the end of the part, letters before everything else.
fn weight(byte: Option<&u8>) -> i16 {
    match byte {
        None | Some(b'0'..=b'9') => 0,
        Some(b'~') => -1,
        Some(letter) if letter.is_ascii_alphabetic() => i16::from(*letter),
        Some(other) => i16::from(*other) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::assert_ascending, *};

    #[test]
    fn versions_ascend_as_dpkg_says() {
        let versions = [
            "~~",
            "~~a",
            "~",
            "0~",
            "0",
            "1.0~beta1~svn1245",
            "1.0~beta1",
            "1.0-0~1",
            "1.0",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0a",
            "1.0+dfsg",
            "1.0.1",
            "1.9",
            "1.10",
            "99999999999999999999999999",
            "100000000000000000000000000",
            "1:0.1",
        ];
        assert_ascending(&versions, compare);
        assert!(compare("1.0", "0:1.00-0").is_eq());
    }

    #[test]
    fn the_order_is_that_of_the_dpkg_plugins() {
        // What dpkg itself said of many pairs: `A OPERATOR B`.
        let said = include_str!("../../../dpkg-rules/tests/data/dpkg_order.txt");
        let mut pairs = 0;
        for line in said.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let [a, operator, b] = line.split(' ').collect::<alloc::vec::Vec<_>>()[..] else { panic!("{line}") };
            let expected = match operator {
                "<" => Ordering::Less,
                "=" => Ordering::Equal,
                ">" => Ordering::Greater,
                _ => panic!("{line}"),
            };
            assert_eq!(compare(a, b), expected, "{line}");
            pairs += 1;
        }
        assert!(pairs > 1000, "{pairs}");
    }
}
