//! A key and a value in each line: login.defs(5), pwquality.conf(5), the files of /etc/default.
//!
//! - `key=value`, `key = value` or `key value`; an `export` before it is nothing. Keys are compared as they are
//!   written.
//! - A line that begins with `#` is a comment, and so is what follows a `#` behind a blank.
//! - A value in quotes is what is between them. Nothing else is understood of a shell: `$HOME` is `$HOME`.
//! - The last value counts; drop-ins that the rule names (`drop_ins`) come behind the file.

use crate::{
    expected::PLAIN,
    files::{Files, nothing_in},
    ini,
    reading::{Found, Reading},
    rule::Setting,
};
use alloc::borrow::ToOwned;
use farrier_plugin_sdk::Error;

/// What the files say of a setting.
pub fn read(files: &Files, setting: &Setting<'_>) -> Result<Reading, Error> {
    let mut found = None;
    for path in ini::sources(files, setting)? {
        for (number, line) in files.lines(&path)? {
            if let Some((key, value)) = split(&line)
                && key == setting.key
            {
                found = Some(Found::new(value.to_owned(), &path, number));
            }
        }
    }
    Reading::new(setting, found.as_ref(), &nothing_in(files, setting.file())?, PLAIN)
}

/// The key and the value of a line, if it has them.
fn split(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    if line.starts_with('#') {
        return None;
    }
    let (key, rest) = line.split_at(line.find(|c: char| c == '=' || c.is_whitespace())?);
    let rest = rest.trim_start();
    let value = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    Some((key, unquoted(value).unwrap_or_else(|| without_comment(value)))).filter(|_| !key.is_empty())
}

/// What is between the quotes of a value that is in quotes.
fn unquoted(value: &str) -> Option<&str> {
    let quote = value.chars().next().filter(|first| matches!(first, '"' | '\''))?;
    value[1..].split_once(quote).map(|(text, _)| text)
}

fn without_comment(value: &str) -> &str {
    let comment = value.char_indices().find(|(at, c)| *c == '#' && value[..*at].ends_with(char::is_whitespace));
    value[..comment.map_or(value.len(), |(at, _)| at)].trim_end()
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn lines_have_a_key_and_a_value() {
        for (line, expected) in [
            ("PASS_MAX_DAYS\t99999", Some(("PASS_MAX_DAYS", "99999"))),
            ("minlen = 12", Some(("minlen", "12"))),
            ("minlen=12 # twelve", Some(("minlen", "12"))),
            ("A=b#c", Some(("A", "b#c"))),
            ("  export A=\"b # c\" # d", Some(("A", "b # c"))),
            ("A='it is'", Some(("A", "it is"))),
            ("A=\"not closed", Some(("A", "\"not closed"))),
            ("A=", Some(("A", ""))),
            ("A=b=c", Some(("A", "b=c"))),
            ("A= # nothing", Some(("A", "# nothing"))),
            ("enforcing", None),
            ("=b", None),
            ("# A=b", None),
            ("", None),
        ] {
            assert_eq!(split(line), expected, "{line}");
        }
    }
}
