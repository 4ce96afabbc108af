//! The orders in which versions follow each other, each as the world it is from computes it. None of them fails: what
//! is no version there has a place in the order, too.

pub mod debian;
pub mod rpm;
pub mod semver;

/// The digits at the start, without leading zeros, and what follows them.
fn split_number(text: &[u8]) -> (&[u8], &[u8]) {
    let zeros = text.iter().take_while(|byte| **byte == b'0').count();
    let text = &text[zeros..];
    text.split_at(text.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

/// Numbers without leading zeros, of any length.
fn compare_numbers(a: &[u8], b: &[u8]) -> core::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
pub(crate) mod tests {
    /// Every pair of an ascending list, in both directions.
    pub fn assert_ascending(versions: &[&str], compare: fn(&str, &str) -> core::cmp::Ordering) {
        for (i, a) in versions.iter().enumerate() {
            for (j, b) in versions.iter().enumerate() {
                assert_eq!(compare(a, b), i.cmp(&j), "{a} {b}");
            }
        }
    }
}
