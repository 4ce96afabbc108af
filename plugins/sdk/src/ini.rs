//! Configuration files in sections, in the styles of git, systemd and sshd, and plain ones.

use crate::key_value;
use alloc::{borrow::Cow, string::String};

/// Who reads the file; they differ in small ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `[section]`, `key = value`. A line that begins with `#` or `;` is a comment. Quotes are part of the value.
    Plain,
    /// git-config(1): the same, with comments behind values, quotes and escapes; a key alone is `true`. A subsection
    /// stands behind a dot, `remote.origin` for `[remote "origin"]`. A value may go on in the next line behind a `\`.
    Git,
    /// systemd.syntax(7): as [`Plain`](Self::Plain), but a value may go on in the next line behind a `\`, which becomes
    /// a blank.
    Systemd,
    /// sshd_config(5) and ssh_config(5): `Key value` or `Key=value`, the value perhaps in double quotes. A section is
    /// what follows a `Match` or `Host` line, and has that line as its name, `Match User git`.
    Sshd,
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<'a> {
    /// The section, as it is written; empty before the first one.
    pub section: Cow<'a, str>,
    /// The key, as it is written. Who compares has to know whether case matters: only systemd's does.
    pub key: &'a str,
    /// The value.
    pub value: Cow<'a, str>,
    /// The line's number, from 1; of a value that goes on, the first.
    pub line: usize,
}

/// The settings of a text, in their order. Lines that are none are passed over.
///
/// ```
/// use farrier_plugin_sdk::ini::{Style, settings};
///
/// let text = "[Service]\nRestart=always\n# a comment\nUser=kiosk\n";
/// let user = settings(text, Style::Systemd).find(|setting| setting.section == "Service" && setting.key == "User");
/// assert_eq!(user.unwrap().value, "kiosk");
/// ```
#[must_use]
pub fn settings(text: &str, style: Style) -> Settings<'_> {
    Settings { style, section: Cow::Borrowed(""), lines: text.lines(), line: 0 }
}

/// The value that counts of a key in a section: sshd's first, of all others the last. Case of keys, and of sections but
/// for a subsection of git, matters only to systemd.
#[must_use]
pub fn get<'a>(text: &'a str, style: Style, section: &str, key: &str) -> Option<Cow<'a, str>> {
    let is_same = |a: &str, b: &str| if style == Style::Systemd { a == b } else { a.eq_ignore_ascii_case(b) };
    let is_section = |found: &str| match (style, found.split_once('.'), section.split_once('.')) {
        (Style::Git, Some((a, sub_a)), Some((b, sub_b))) => a.eq_ignore_ascii_case(b) && sub_a == sub_b,
        _ => is_same(found, section),
    };
    let mut matching =
        settings(text, style).filter(|setting| is_section(&setting.section) && is_same(setting.key, key));
    let counts = if style == Style::Sshd { matching.next() } else { matching.last() };
    counts.map(|setting| setting.value)
}

/// The settings of a text; see [`settings`].
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    style: Style,
    section: Cow<'a, str>,
    lines: core::str::Lines<'a>,
    line: usize,
}

impl<'a> Iterator for Settings<'a> {
    type Item = Setting<'a>;

    fn next(&mut self) -> Option<Setting<'a>> {
        loop {
            self.line += 1;
            let (line, content) = (self.line, self.lines.next()?.trim_ascii());
            if content.is_empty() || content.starts_with(['#', ';']) {
                continue;
            }
            let mut content = content;
            if self.style != Style::Sshd
                && let Some(header) = content.strip_prefix('[')
            {
                let Some((name, rest)) = header.split_once(']') else { continue };
                self.section = self.section_name(name.trim_ascii());
                content = rest.trim_ascii_start();
                // git lets a setting follow on the same line.
                if self.style != Style::Git || content.is_empty() || content.starts_with(['#', ';']) {
                    continue;
                }
            }
            let setting = match self.style {
                Style::Sshd => self.sshd(content),
                Style::Plain => content.split_once('=').map(|(key, value)| (key, Cow::Borrowed(value.trim_ascii()))),
                Style::Systemd => {
                    content.split_once('=').map(|(key, value)| (key, self.systemd_value(value.trim_ascii())))
                }
                Style::Git => Some(self.git(content)),
            };
            if let Some((key, value)) = setting {
                return Some(Setting { section: self.section.clone(), key: key.trim_ascii(), value, line });
            }
        }
    }
}

impl<'a> Settings<'a> {
    fn section_name(&self, name: &'a str) -> Cow<'a, str> {
        match name.split_once('"') {
            Some((section, sub)) if self.style == Style::Git => {
                let sub = sub.strip_suffix('"').unwrap_or(sub);
                let mut joined = String::from(section.trim_ascii());
                joined.push('.');
                let mut escaped = false;
                for character in sub.chars() {
                    escaped = character == '\\' && !escaped;
                    if !escaped {
                        joined.push(character);
                    }
                }
                Cow::Owned(joined)
            }
            _ => Cow::Borrowed(name),
        }
    }

    fn sshd(&mut self, line: &'a str) -> Option<(&'a str, Cow<'a, str>)> {
        let (key, value) = key_value::split(line)?;
        if key.eq_ignore_ascii_case("Match") || key.eq_ignore_ascii_case("Host") {
            self.section = Cow::Borrowed(line);
            return None;
        }
        // A value in quotes ends with them; a comment may follow any value.
        let value = match value.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            Some((quoted, rest)) if rest.trim_ascii().is_empty() || rest.trim_ascii_start().starts_with('#') => quoted,
            _ => value.find(" #").map_or(value, |comment| &value[..comment]).trim_ascii_end(),
        };
        Some((key, Cow::Borrowed(value)))
    }

    fn systemd_value(&mut self, value: &'a str) -> Cow<'a, str> {
        let Some(begun) = value.strip_suffix('\\') else { return Cow::Borrowed(value) };
        let mut whole = String::from(begun.trim_ascii_end());
        for next in self.lines.by_ref() {
            self.line += 1;
            let next = next.trim_ascii();
            // Comments in between are passed over.
            if next.starts_with(['#', ';']) {
                continue;
            }
            whole.push(' ');
            whole.push_str(next.strip_suffix('\\').unwrap_or(next).trim_ascii_end());
            if !next.ends_with('\\') {
                break;
            }
        }
        Cow::Owned(whole)
    }

    fn git(&mut self, line: &'a str) -> (&'a str, Cow<'a, str>) {
        let end = line.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'-').unwrap_or(line.len());
        let (key, rest) = line.split_at_checked(end).unwrap_or((line, ""));
        match rest.trim_ascii_start().strip_prefix('=') {
            None => (key, Cow::Borrowed("true")),
            Some(value) => {
                let value = value.trim_ascii();
                if value.contains(['"', '\\', '#', ';']) {
                    (key, Cow::Owned(self.git_value(value)))
                } else {
                    (key, Cow::Borrowed(value))
                }
            }
        }
    }

    fn git_value(&mut self, mut rest: &'a str) -> String {
        let (mut value, mut quoted) = (String::new(), false);
        // How much of the value stays whatever blanks follow.
        let mut kept = 0;
        'lines: loop {
            let mut characters = rest.chars();
            while let Some(character) = characters.next() {
                match character {
                    '"' => quoted = !quoted,
                    '#' | ';' if !quoted => break 'lines,
                    '\\' => match characters.next() {
                        Some('n') => value.push('\n'),
                        Some('t') => value.push('\t'),
                        Some(other) => value.push(other),
                        None => {
                            let Some(next) = self.lines.next() else { break 'lines };
                            self.line += 1;
                            rest = next;
                            continue 'lines;
                        }
                    },
                    other => value.push(other),
                }
                if quoted || !character.is_ascii_whitespace() {
                    kept = value.len();
                }
            }
            break;
        }
        value.truncate(kept);
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString, vec::Vec};

    fn all(text: &str, style: Style) -> Vec<String> {
        let settings = settings(text, style);
        settings.map(|one| format!("{} {}|{}|{}", one.line, one.section, one.key, one.value)).collect()
    }

    #[test]
    fn plain_files_have_sections_and_comments() {
        let text = "key = before\n[one]\n a = \"1\" ; kept\n# comment\n; comment\nnothing\n[two] \nb=\nc = x=y\r\n\
                    [broken\nd=1\n";
        let expected = ["1 |key|before", "3 one|a|\"1\" ; kept", "8 two|b|", "9 two|c|x=y", "11 two|d|1"];
        assert_eq!(all(text, Style::Plain), expected);
    }

    #[test]
    fn systemd_values_go_on() {
        let text = "[Service]\nExecStart=/bin/a \\\n# in between\n  b \\\n  c\nUser=kiosk\nEnvironment=\n";
        let expected = ["2 Service|ExecStart|/bin/a b c", "6 Service|User|kiosk", "7 Service|Environment|"];
        assert_eq!(all(text, Style::Systemd), expected);
        assert_eq!(all("a=b\\", Style::Systemd), ["1 |a|b"]);
    }

    #[test]
    fn git_quotes_and_escapes() {
        let text = "[core]\n\tbare\n\tpager = less -R # why\n[remote \"or\\\"i.gin\"] url = x\n\
                    [alias]\nl = \"log ; # \" --all ; c\nm = a\\\n b\nn = \" x\\t\"\n";
        let expected = [
            "2 core|bare|true",
            "3 core|pager|less -R",
            "4 remote.or\"i.gin|url|x",
            "6 alias|l|log ; #  --all",
            "7 alias|m|a b",
            "9 alias|n| x\t",
        ];
        assert_eq!(all(text, Style::Git), expected);
    }

    #[test]
    fn sshd_sections_are_match_lines() {
        let text = "PermitRootLogin no # comment\nBanner=\"/etc/a b\"\nCiphers a,b\n  Match User git\n \
                    PermitRootLogin yes\nmatch all\nX11Forwarding no\nUsePAM\n";
        let expected = [
            "1 |PermitRootLogin|no",
            "2 |Banner|/etc/a b",
            "3 |Ciphers|a,b",
            "5 Match User git|PermitRootLogin|yes",
            "7 match all|X11Forwarding|no",
            "8 match all|UsePAM|",
        ];
        assert_eq!(all(text, Style::Sshd), expected);
    }

    #[test]
    fn the_value_that_counts_is_the_readers() {
        let value = |text, style, section, key| get(text, style, section, key).map(|value| value.to_string());
        assert_eq!(value("Port 22\nport 23\n", Style::Sshd, "", "PORT").as_deref(), Some("22"));
        assert_eq!(value("[A]\nk=1\n[a]\nK=2\n", Style::Plain, "a", "k").as_deref(), Some("2"));
        assert_eq!(value("[A]\nk=1\n[a]\nK=2\n", Style::Systemd, "A", "k").as_deref(), Some("1"));
        let git = "[Remote \"Origin\"]\nURL = 1\n[remote \"origin\"]\nurl = 2\n";
        assert_eq!(value(git, Style::Git, "remote.Origin", "url").as_deref(), Some("1"));
        assert_eq!(value(git, Style::Git, "remote.none", "url"), None);
    }

    #[test]
    fn no_text_makes_it_fail() {
        let pieces = ["[", "]", "\"", "\\", "=", " ", "\n", "#", "a", "\u{e4}", "Match"];
        for style in [Style::Plain, Style::Git, Style::Systemd, Style::Sshd] {
            for number in 0..pieces.len().pow(4) {
                let digits = (0..4).map(|place| number / pieces.len().pow(place) % pieces.len());
                let text: String = digits.map(|digit| pieces[digit]).collect();
                settings(&text, style).for_each(drop);
            }
        }
    }
}
