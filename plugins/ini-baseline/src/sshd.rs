//! The settings of sshd, as sshd reads them: sshd_config(5).
//!
//! - Keywords are the same in upper and lower case, and so are values such as `yes`. `Keyword value` or
//!   `Keyword=value`; `#` begins a comment; quotes hold a value with blanks together.
//! - The first value counts. Of keywords that may be there several times (`Port`, `AllowUsers`) all do, with a blank
//!   between them.
//! - `Include` is read in its place. Its wildcards may be in the last part of the path; a file that is not there is
//!   none.
//! - A `Match` ends what holds for everybody, to the end of its file or to `Match all`. What it sets for some
//!   connections is remarked, and decides nothing.
//! - Numbers may be times: `2m` is 120.

use crate::{
    expected::Values,
    files::{Files, nothing_in},
    reading::{Found, Reading},
    rule::Setting,
};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{Error, glob};

/// Files that include each other, at most; as many as sshd takes.
const MAX_DEPTH: usize = 16;

/// Where an include without a leading `/` is.
const FOLDER: &str = "/etc/ssh";

/// Keywords that may be there several times, and each time adds to the value.
const GROWING: [&str; 10] = [
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
    "subsystem",
];

/// Older names of keywords.
const ALIASES: [(&str, &str); 6] = [
    ("challengeresponseauthentication", "kbdinteractiveauthentication"),
    ("skeyauthentication", "kbdinteractiveauthentication"),
    ("pubkeyacceptedkeytypes", "pubkeyacceptedalgorithms"),
    ("hostbasedacceptedkeytypes", "hostbasedacceptedalgorithms"),
    ("dsaauthentication", "pubkeyauthentication"),
    ("keepalive", "tcpkeepalive"),
];

/// Values that are the same in upper and lower case.
const CASELESS: [&str; 20] = [
    "yes",
    "no",
    "any",
    "all",
    "none",
    "local",
    "remote",
    "delayed",
    "sandbox",
    "clientspecified",
    "without-password",
    "prohibit-password",
    "forced-commands-only",
    "quiet",
    "fatal",
    "error",
    "info",
    "verbose",
    "debug",
    "auth",
];

/// Two words for the same value.
const SYNONYMS: [&str; 2] = ["without-password", "prohibit-password"];

const VALUES: Values = Values { same, number: seconds };

/// What the files say of a setting.
pub fn read(files: &Files, setting: &Setting<'_>) -> Result<Reading, Error> {
    let key = canonical(&setting.key);
    let mut search = Search { files, key: &key, global: Vec::new(), everybody: Vec::new(), some: Vec::new() };
    search.file(setting.file(), Holds::Globally, 0)?;
    let found = search.answer()?;
    let mut nothing = nothing_in(files, setting.file())?;
    nothing.push_str(if nothing.ends_with("does not set it") { " for everybody" } else { "" });
    let reading = Reading::new(setting, found.as_ref(), &nothing, VALUES)?;
    let value = found.map(|found| found.value);
    let other = search.some.iter().find(|other| Some(&other.value) != value.as_ref());
    Ok(match other {
        Some(Found { value, place }) => {
            reading.with_remark(&format!("for some connections {place}, below a Match, has `{value}`"))
        }
        None => reading,
    })
}

/// For whom a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// For everybody: it is before any Match.
    Globally,
    /// For everybody: it is below `Match all`.
    ForAll,
    /// For some connections.
    ForSome,
    /// For some connections, and so does every Match in an included file.
    Within,
}

/// A walk through the files, for one keyword.
struct Search<'a> {
    files: &'a Files,
    key: &'a str,
    global: Vec<Found>,
    everybody: Vec<Found>,
    some: Vec<Found>,
}

impl Search<'_> {
    /// Walks through a file. A Match in it ends with it.
    fn file(&mut self, path: &str, mut holds: Holds, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(Error::Invalid(format!("{path}: more than {MAX_DEPTH} files that include one another")));
        }
        for (number, line) in self.files.lines(path)? {
            let (keyword, rest) = keyword(&line);
            let keyword = canonical(keyword);
            if keyword != self.key && keyword != "match" && keyword != "include" {
                continue;
            }
            let words = words(rest).ok_or_else(|| invalid(path, number, "a quote is not closed"))?;
            if words.is_empty() {
                return Err(invalid(path, number, &format!("`{keyword}` has no value")));
            }
            match keyword.as_str() {
                "match" => holds = holds.below(&words),
                "include" => {
                    let within = if holds == Holds::ForSome { Holds::Within } else { holds };
                    for pattern in &words {
                        self.include(pattern, within, depth).map_err(|error| at(path, number, &error))?;
                    }
                }
                _ => {
                    let found = Found::new(words.join(" "), path, number);
                    match holds {
                        Holds::Globally => self.global.push(found),
                        Holds::ForAll => self.everybody.push(found),
                        Holds::ForSome | Holds::Within => self.some.push(found),
                    }
                }
            }
        }
        Ok(())
    }

    fn include(&mut self, pattern: &str, holds: Holds, depth: usize) -> Result<(), Error> {
        let pattern = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{FOLDER}/{pattern}") };
        let (folder, last) = pattern.rsplit_once('/').unwrap_or_default();
        if folder.contains(['*', '?']) || pattern.contains(['[', '{', '\\', '%', '~']) || last.contains("**") {
            return Err(Error::Invalid(format!(
                "`Include {pattern}` is not understood: wildcards are `*` and `?` in its last part"
            )));
        }
        if !last.contains(['*', '?']) {
            return self.file(&pattern, holds, depth + 1);
        }
        let names = self.files.names(folder)?;
        names
            .iter()
            .filter(|name| glob::is_match(last, name))
            .try_for_each(|name| self.file(&format!("{folder}/{name}"), holds, depth + 1))
    }

    /// What holds for everybody.
    fn answer(&self) -> Result<Option<Found>, Error> {
        let of = |found: &[Found]| {
            let (first, more) = found.split_first()?;
            let mut first = first.clone();
            for more in more.iter().filter(|_| GROWING.contains(&self.key)) {
                first.value = [first.value.as_str(), &more.value].join(" ");
            }
            Some(first)
        };
        match (of(&self.global), of(&self.everybody)) {
            // For some keywords the first counts, for others `Match all` is stronger.
            (Some(global), Some(all)) if !same(&global.value, &all.value) => Err(Error::Invalid(format!(
                "{} has `{}`, and {}, below `Match all`, has `{}`: have it in one place",
                global.place, global.value, all.place, all.value
            ))),
            (Some(found), _) | (None, Some(found)) => Ok(Some(found)),
            (None, None) => Ok(None),
        }
    }
}

impl Holds {
    /// For whom lines below this Match hold.
    fn below(self, words: &[String]) -> Self {
        let is_all = matches!(words, [word] if word.eq_ignore_ascii_case("all"));
        match self {
            Self::Within => Self::Within,
            Self::Globally | Self::ForAll | Self::ForSome if is_all => Self::ForAll,
            Self::Globally | Self::ForAll | Self::ForSome => Self::ForSome,
        }
    }
}

/// A keyword in lower case, by its newest name.
fn canonical(keyword: &str) -> String {
    let keyword = keyword.to_ascii_lowercase();
    let alias = ALIASES.iter().find(|(old, _)| *old == keyword);
    alias.map_or(keyword, |(_, new)| (*new).to_string())
}

/// The keyword of a line and what follows it; a comment has none.
fn keyword(line: &str) -> (&str, &str) {
    let line = line.trim();
    let end = line.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    (keyword, rest.strip_prefix('=').unwrap_or(rest))
}

/// The words of a line, up to a comment; none, if a quote is not closed.
fn words(rest: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (mut word, mut quote) = (String::new(), None);
        let mut characters = rest.char_indices().peekable();
        let mut end = rest.len();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            match (c, quote) {
                ('\\', _) if matches!(next, Some('"' | '\'' | '\\')) || (next == Some(' ') && quote.is_none()) => {
                    word.extend(next);
                    characters.next();
                }
                ('"' | '\'', None) => quote = Some(c),
                (c, Some(open)) if c == open => quote = None,
                (' ' | '\t', None) => {
                    end = at;
                    break;
                }
                (c, _) => word.push(c),
            }
        }
        if quote.is_some() {
            return None;
        }
        words.push(word);
        rest = rest[end..].trim_start();
    }
    Some(words)
}

fn same(found: &str, wanted: &str) -> bool {
    let is_in = |words: &[&str], value: &str| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    found == wanted
        || is_in(&CASELESS, wanted) && found.eq_ignore_ascii_case(wanted)
        || is_in(&SYNONYMS, wanted) && is_in(&SYNONYMS, found)
}

/// A number, or a time in seconds: `90`, `1m30s`.
fn seconds(value: &str) -> Option<i64> {
    if let Ok(number) = value.parse() {
        return Some(number);
    }
    let (mut total, mut rest) = (0_i64, value);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: i64 = rest[..digits].parse().ok()?;
        let unit = rest[digits..].chars().next();
        let seconds = match unit.map(|unit| unit.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            Some(_) => return None,
        };
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[digits + unit.map_or(0, char::len_utf8)..];
    }
    Some(total).filter(|_| !value.is_empty())
}

fn invalid(path: &str, line: usize, what: &str) -> Error {
    Error::Invalid(format!("line {line} of {path}: {what}"))
}

/// The same error, with the line that led to it.
fn at(path: &str, line: usize, error: &Error) -> Error {
    let message = format!("line {line} of {path}: {}", error.message());
    match error {
        Error::Denied(_) => Error::Denied(message),
        Error::TooLarge(_) => Error::TooLarge(message),
        _ => Error::Invalid(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_blanks_and_comments() {
        for (line, expected) in [
            ("yes", Some(["yes"].as_slice())),
            ("  a\tb  ", Some(&["a", "b"])),
            ("a # b", Some(&["a"])),
            ("a#b", Some(&["a#b"])),
            ("\"a b\" 'c # d'", Some(&["a b", "c # d"])),
            ("\"a 'b\" c", Some(&["a 'b", "c"])),
            (r#"a\ b "c\"d" \\e \f"#, Some(&["a b", "c\"d", "\\e", "\\f"])),
            ("# a", Some(&[])),
            ("", Some(&[])),
            ("\"\"", Some(&[""])),
            ("\"a", None),
            ("a 'b", None),
        ] {
            let expected: Option<Vec<String>> = expected.map(|words| words.iter().map(ToString::to_string).collect());
            assert_eq!(words(line), expected, "{line}");
        }
        assert_eq!(keyword("  PermitRootLogin = no"), ("PermitRootLogin", " no"));
        assert_eq!(keyword("Port=22"), ("Port", "22"));
        assert_eq!(keyword("# Port 22"), ("#", "Port 22"));
        assert_eq!(keyword(""), ("", ""));
    }

    #[test]
    fn times_are_numbers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("120", Some(120)),
            ("2m", Some(120)),
            ("1h30M", Some(5_400)),
            ("1w1d", Some(691_200)),
            ("1m30", Some(90)),
            ("", None),
            ("m", None),
            ("10:30:100", None),
            ("2y", None),
            ("99999999999999999999w", None),
            ("9999999999999999w", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
