//! Versions: of plugins, and of `farrier:policy`.

/// Whether this is a version as Semantic Versioning 2.0.0 has it.
pub(super) fn is_version(text: &str) -> bool {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_numeric = |word: &str| word.chars().all(|c| c.is_ascii_digit());
    let has_no_leading_zero = |word: &str| word.len() == 1 || !word.starts_with('0');
    numbers.split('.').count() == 3
        && numbers.split('.').all(|word| is_word(word) && is_numeric(word) && has_no_leading_zero(word))
        && pre.is_none_or(|pre| {
            pre.split('.').all(|word| is_word(word) && (!is_numeric(word) || has_no_leading_zero(word)))
        })
        && build.is_none_or(|build| build.split('.').all(is_word))
}

/// `1.2.3` as its first two numbers. What is released has no more than numbers.
pub(super) fn major_minor(version: &str) -> Option<(u64, u64)> {
    let mut numbers = version.split('.').map(str::parse::<u64>);
    let (major, minor, _) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        for version in ["0.0.0", "1.2.30", "1.0.0-alpha.1", "1.0.0-0a", "1.0.0--", "1.0.0+001", "1.0.0-rc.1+b.7"] {
            assert!(is_version(version), "{version}");
        }
        for version in [
            "",
            "1",
            "1.0",
            "1.0.0.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0-a..b",
            "1.0.0+",
            "v1.0.0",
            "1.0.x",
            "1.0.0-ä",
        ] {
            assert!(!is_version(version), "{version}");
        }
    }

    #[test]
    fn only_released_versions_are_compared() {
        assert_eq!(major_minor("1.20.3"), Some((1, 20)));
        for version in ["1.0", "1.0.0-rc", "1.0.0.0", "", "99999999999999999999.0.0"] {
            assert_eq!(major_minor(version), None, "{version}");
        }
    }
}
