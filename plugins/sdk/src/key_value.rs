//! Lines that give a key a value: `key = value` (sysctl.conf, login.defs and many more) and `Key value`.

/// A key and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The key, as it is written.
    pub key: &'a str,
    /// The value, without blanks around it; empty if there is none.
    pub value: &'a str,
    /// The line's number, from 1.
    pub line: usize,
}

/// The keys and values of a text, in their order. A key ends at the first blank or `=`. Lines that are empty or begin
/// with `#` or `;` have none.
///
/// ```
/// use farrier_plugin_sdk::key_value::pairs;
///
/// let text = "# a comment\nnet.ipv4.ip_forward = 0\nUMASK\t\t022\n";
/// let found: Vec<_> = pairs(text).map(|pair| (pair.key, pair.value)).collect();
/// assert_eq!(found, [("net.ipv4.ip_forward", "0"), ("UMASK", "022")]);
/// ```
pub fn pairs(text: &str) -> impl Iterator<Item = Pair<'_>> {
    (1..).zip(text.lines()).filter_map(|(line, content)| {
        let (key, value) = split(content)?;
        Some(Pair { key, value, line })
    })
}

/// The value of the last line with this key; most readers let it win.
#[must_use]
pub fn last<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    pairs(text).filter(|pair| pair.key == key).last().map(|pair| pair.value)
}

/// A line's key and value, unless it is a comment or empty.
pub(crate) fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    let end = line.bytes().position(|byte| byte == b'=' || byte.is_ascii_whitespace()).unwrap_or(line.len());
    let (key, rest) = line.split_at_checked(end)?;
    let rest = rest.trim_ascii_start();
    Some((key, rest.strip_prefix('=').unwrap_or(rest).trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_at_a_blank_or_an_equals_sign() {
        for (line, expected) in [
            ("a=b", Some(("a", "b"))),
            ("  a  =  b c  ", Some(("a", "b c"))),
            ("a b=c", Some(("a", "b=c"))),
            ("a\tb", Some(("a", "b"))),
            ("a = = b", Some(("a", "= b"))),
            ("a", Some(("a", ""))),
            ("a =", Some(("a", ""))),
            ("=b", Some(("", "b"))),
            ("a=b # no comment", Some(("a", "b # no comment"))),
            ("\u{e4}=\u{f6}", Some(("\u{e4}", "\u{f6}"))),
            ("a=b\r", Some(("a", "b"))),
            ("", None),
            (" \t", None),
            (" # a=b", None),
            ("; a=b", None),
        ] {
            assert_eq!(split(line), expected, "{line:?}");
        }
    }

    #[test]
    fn lines_are_counted_and_the_last_wins() {
        let text = "# first\na=1\n\nb=2\na=3";
        assert_eq!(pairs(text).map(|pair| pair.line).collect::<alloc::vec::Vec<_>>(), [2, 4, 5]);
        assert_eq!(last(text, "a"), Some("3"));
        assert_eq!(last(text, "c"), None);
    }
}
