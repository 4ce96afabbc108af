//! What an endpoint is, as os-release(5) and the kernel say it.

use crate::endpoint::Root;
use std::io::Read;

/// Where os-release(5) is; the first that is there counts.
const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];
/// Bytes of it that are read.
const MAX_BYTES: u64 = 64 << 10;
/// Bytes of a value, at most; a longer one is left out.
const MAX_VALUE_BYTES: usize = 256;
/// The variables that are passed on, and the names they get.
const NAMES: [(&str, &str); 6] = [
    ("ID", "id"),
    ("ID_LIKE", "id-like"),
    ("VERSION_ID", "version-id"),
    ("VERSION_CODENAME", "version-codename"),
    ("VARIANT_ID", "variant-id"),
    ("PRETTY_NAME", "pretty-name"),
];

/// What is known of the endpoint with this root.
pub(super) fn of(root: &Root) -> Vec<(String, String)> {
    let mut facts = FILES.into_iter().find_map(|path| read(root, path)).map(|text| parse(&text)).unwrap_or_default();
    if root.is_this_machines() {
        let machine = rustix::system::uname().machine().to_string_lossy().into_owned();
        facts.push(("machine".to_owned(), machine));
    }
    facts
}

fn read(root: &Root, path: &str) -> Option<String> {
    let (file, _) = root.open_regular(path).ok()?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The variables of os-release(5) that have a name here. The last assignment counts, as in a shell.
fn parse(text: &str) -> Vec<(String, String)> {
    let assigned = |variable: &str| {
        let mut values =
            text.lines().filter_map(|line| line.trim().split_once('=').filter(|(name, _)| *name == variable));
        values.next_back().map(|(_, value)| unquoted(value))
    };
    let facts = NAMES.into_iter().filter_map(|(variable, name)| Some((name.to_owned(), assigned(variable)?)));
    facts.filter(|(_, value)| !value.is_empty() && value.len() <= MAX_VALUE_BYTES).collect()
}

/// A value without its quotes, and without the backslashes that quote a character inside double ones.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let inside = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(literal) = inside('\'') {
        return literal.to_owned();
    }
    let mut characters = inside('"').unwrap_or(value).chars();
    let mut text = String::new();
    while let Some(character) = characters.next() {
        // A backslash at the end quotes nothing, and is left out as it would be in a shell.
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        parse(text)
    }

    #[test]
    fn what_is_known_has_its_name() {
        let text = "# made by hand\nID=debian\n VERSION_ID=\"12\" \nPRETTY_NAME='Debian 12'\nHOME_URL=x\nVARIANT_ID=\n";
        let facts = [("id", "debian"), ("version-id", "12"), ("pretty-name", "Debian 12")];
        assert_eq!(parsed(text), facts.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(parsed("nonsense\n=\n\0"), []);
    }

    #[test]
    fn quotes_are_a_shells_and_the_last_value_counts() {
        for (value, expected) in [
            (r#""a \"b\" \$c \\""#, r#"a "b" $c \"#),
            (r"'a \b'", r"a \b"),
            ("plain", "plain"),
            ("\"open", "\"open"),
            ("\\", ""),
        ] {
            assert_eq!(unquoted(value), expected, "{value}");
        }
        assert_eq!(parsed("ID=one\nID=two\n"), [("id".to_owned(), "two".to_owned())]);
        assert_eq!(parsed(&format!("ID={}\n", "x".repeat(257))), []);
    }
}
