//! The kernel's settings: as they are now below `/proc/sys`, and as systemd-sysctl(8) sets them at the next boot.
//!
//! Both have to be as expected. Where no file sets it, the `default` of the rule says what the kernel does by itself;
//! without one, a value that is right only by chance of the moment is not enough. Below a root that no kernel runs on
//! (an image) only the files count.
//!
//! - Files are the `*.conf` of `/etc/sysctl.d`, `/run/sysctl.d`, `/usr/local/lib/sysctl.d` and `/usr/lib/sysctl.d` in
//!   the order of their names; of two with one name, that in the earlier folder counts. `/etc/sysctl.conf` counts
//!   where `/etc/sysctl.d/99-sysctl.conf` is a link to it, and only there: systemd reads it no other way.
//! - The last value of a key counts. A key without wildcards is stronger than one with, wherever they are. `-key` alone
//!   takes the key out of those that wildcards set; `-key = value` is as without the `-`.
//! - `net.ipv4.ip_forward` is `net/ipv4/ip_forward`; what comes first of the two says which way a name is written.
//! - Blanks between the parts of a value are all the same.

use crate::{
    expected::{PLAIN, Values},
    files::Files,
    ini::SYSTEMD_PLACES,
    reading::{Found, Reading},
    rule::Setting,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{Error, glob};

const PROC: &str = "/proc/sys";

/// A setting that every running kernel has.
const WITNESS: &str = "/proc/sys/kernel/ostype";

const VALUES: Values = Values { same: |found, wanted| spaced(found) == spaced(wanted), ..PLAIN };

/// What the kernel and the files say of a setting.
pub fn read(files: &Files, setting: &Setting<'_>) -> Result<Vec<Reading>, Error> {
    let key = normalized(&setting.key);
    if key.split('/').any(|part| matches!(part, "" | "." | "..")) || key.contains(['*', '?', '[']) {
        return Err(Error::Invalid(format!("`{}` is no name of a setting of the kernel", setting.key)));
    }
    let mut readings = Vec::new();
    if files.exists(WITNESS)? {
        readings.push(live(files, setting, &key)?);
    }
    readings.push(at_boot(files, setting, &key)?);
    Ok(readings)
}

fn live(files: &Files, setting: &Setting<'_>, key: &str) -> Result<Reading, Error> {
    let place = format!("{PROC}/{key}");
    let text = files.text(&place)?;
    let found = text.map(|text| Found { value: spaced(&text), place: place.clone() });
    let nothing = format!("the kernel has no {place}");
    // A default is what the kernel does without files; here it has just been asked.
    let setting = Setting { default: None, ..setting.clone() };
    Reading::new(&setting, found.as_ref(), &nothing, VALUES)
}

fn at_boot(files: &Files, setting: &Setting<'_>, key: &str) -> Result<Reading, Error> {
    let found = configured(files, key)?;
    let reading = Reading::new(setting, found.as_ref(), "no file of sysctl.d sets it", VALUES)?;
    let is_by_chance = found.is_none() && setting.default.is_none() && !reading.is_expected;
    Ok(if is_by_chance { reading.with_remark("it would be lost at the next boot") } else { reading })
}

/// The value that the files set, if they do.
fn configured(files: &Files, key: &str) -> Result<Option<Found>, Error> {
    let folders: Vec<String> = SYSTEMD_PLACES.iter().map(|place| format!("{place}/sysctl.d")).collect();
    // The inner one is none where the files say that nothing is to be set.
    let (mut plain, mut wild): (Option<Option<Found>>, Option<Found>) = (None, None);
    for path in files.drop_ins(&folders)? {
        for (number, line) in files.lines(&path)? {
            let Some((pattern, value)) = assignment(&line) else { continue };
            let found = value.map(|value| Found::new(spaced(value), &path, number));
            if pattern == key {
                plain = Some(found);
            } else if found.is_some() && covers(&pattern, key)? {
                wild = found;
            }
        }
    }
    Ok(plain.unwrap_or(wild))
}

/// The key of a line, written with slashes, and its value; `-key` alone has none.
fn assignment(line: &str) -> Option<(String, Option<&str>)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    match line.split_once('=') {
        Some((key, value)) => {
            let key = key.trim();
            Some((normalized(key.strip_prefix('-').unwrap_or(key).trim_start()), Some(value.trim())))
        }
        None => line.strip_prefix('-').map(|key| (normalized(key.trim_start()), None)),
    }
}

/// Whether a key with wildcards stands for this one, too.
fn covers(pattern: &str, key: &str) -> Result<bool, Error> {
    let Some(wild) = pattern.find(['*', '?', '[', '{', '\\']) else { return Ok(false) };
    if !key.starts_with(&pattern[..wild]) {
        return Ok(false);
    }
    if pattern.contains(['[', '{', '\\']) || pattern.contains("**") {
        return Err(Error::Invalid(format!("sysctl.d sets `{pattern}`, whose wildcards are not understood")));
    }
    Ok(glob::is_match(pattern, key))
}

/// A key written with slashes.
fn normalized(key: &str) -> String {
    match key.find(['.', '/']) {
        Some(first) if key[first..].starts_with('.') => {
            let swap = |c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            };
            key.chars().map(swap).collect()
        }
        _ => key.to_string(),
    }
}

/// A value with one blank between its parts.
fn spaced(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_both_ways() {
        for (key, expected) in [
            ("kernel.sysrq", "kernel/sysrq"),
            ("kernel/sysrq", "kernel/sysrq"),
            ("net.ipv4.conf.eth0/200.rp_filter", "net/ipv4/conf/eth0.200/rp_filter"),
            ("net/ipv4/conf/eth0.200/rp_filter", "net/ipv4/conf/eth0.200/rp_filter"),
            ("plain", "plain"),
        ] {
            assert_eq!(normalized(key), expected);
        }
    }

    #[test]
    fn lines_are_assignments() {
        for (line, expected) in [
            ("kernel.sysrq=0", Some(("kernel/sysrq", Some("0")))),
            (" - kernel.sysrq = 1 ", Some(("kernel/sysrq", Some("1")))),
            ("-kernel.sysrq = 1 ", Some(("kernel/sysrq", Some("1")))),
            ("-net.ipv4.conf.lo.rp_filter", Some(("net/ipv4/conf/lo/rp_filter", None))),
            ("kernel.sysrq", None),
            ("# a=b", None),
            ("; a=b", None),
            ("", None),
        ] {
            let expected = expected.map(|(key, value)| (key.to_string(), value));
            assert_eq!(assignment(line), expected, "{line}");
        }
    }
}
