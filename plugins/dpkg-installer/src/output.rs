//! Reading what dpkg writes, in the language of programs (`LC_ALL=C.UTF-8`).

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::Exit;

/// dpkg's errors that are repeated to people, at most.
const MAX_ERRORS: usize = 3;
/// Bytes of one of them, at most.
const MAX_ERROR_BYTES: usize = 400;

/// Who has dpkg's lock, if that is why a program ended: `process 123`.
pub fn lock_holder(exit: &Exit) -> Option<String> {
    const LOCKED: i32 = 2;
    let line = exit.error_output.lines().find(|line| {
        let of_dpkg = line.starts_with("dpkg: error:") && line.contains("lock");
        of_dpkg && (line.contains("by another process") || line.contains("is locked"))
    })?;
    if exit.status != Some(LOCKED) {
        return None;
    }
    let process = line.split("pid ").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect());
    Some(match process.filter(|process: &String| !process.is_empty()) {
        Some(process) => format!("process {process}"),
        None => "another program".to_owned(),
    })
}

/// Why a program failed, in its own words.
pub fn failure(exit: &Exit) -> String {
    if exit.timed_out {
        return match last_line(&exit.output) {
            Some(line) => format!("was stopped because the time of the installation was up, at: {}", shortened(&line)),
            None => "was stopped because the time of the installation was up".to_owned(),
        };
    }
    let errors = errors(&exit.error_output);
    if !errors.is_empty() {
        return errors.join("; ");
    }
    let said = last_line(&exit.error_output).or_else(|| last_line(&exit.output)).map(|line| shortened(&line));
    match (exit.status, said) {
        (Some(_), Some(said)) => said,
        (Some(status), None) => format!("it ended with status {status}"),
        (None, Some(said)) => format!("a signal ended it, at: {said}"),
        (None, None) => "a signal ended it".to_owned(),
    }
}

/// The packages dpkg would remove to make room for others.
pub fn removals(error_output: &str) -> Vec<String> {
    let removal = |line: &str| {
        let (name, _) = line.strip_prefix("dpkg: yes, will remove ")?.split_once(" in favour of ")?;
        Some(name.split(':').next()?.to_owned())
    };
    error_output.lines().filter_map(removal).collect()
}

/// What was done to configuration files that somebody had changed, a sentence each.
pub fn kept_files(exit: &Exit) -> Vec<String> {
    let mut notes = Vec::new();
    for text in [&exit.output, &exit.error_output] {
        let (mut path, mut deleted) = (None, false);
        for line in text.lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("Configuration file '") {
                (path, deleted) = (rest.split('\'').next(), false);
            } else if line.starts_with("==> Deleted ") {
                deleted = true;
            } else if line.starts_with("==> Keeping old config file") {
                let note = path.take().map(|path| {
                    if deleted {
                        format!("left out {path}, which was deleted locally")
                    } else {
                        format!("kept the locally modified {path}; the package's own is {path}.dpkg-dist")
                    }
                });
                notes.extend(note);
            }
        }
    }
    notes
}

/// What dpkg says went wrong: causes before consequences.
fn errors(error_output: &str) -> Vec<String> {
    let lines: Vec<&str> = error_output.lines().collect();
    let (mut causes, mut consequences) = (Vec::new(), Vec::new());
    for (at, line) in lines.iter().enumerate() {
        let Some(rest) = line.strip_prefix("dpkg: error") else { continue };
        // What is wrong stands indented below.
        let below = lines[at + 1..].iter().take_while(|line| line.starts_with(' ')).map(|line| line.trim());
        let below = below.collect::<Vec<_>>().join(" ");
        match rest.strip_prefix(" processing ").and_then(|rest| rest.split(' ').nth(1)) {
            Some(what) if below.starts_with("dependency problems") => {
                consequences.push(format!("{}: {below}{}", file_name(what), problem_before(&lines[..at])));
            }
            Some(what) if below.contains("pre-dependency problem") || below.contains("would break") => {
                causes.push(format!("{}: {below}{}", file_name(what), problem_before(&lines[..at])));
            }
            Some(what) => causes.push(format!("{}: {below}{}", file_name(what), script_before(&lines[..at]))),
            None => causes.push(rest.trim_start_matches(": ").to_owned()),
        }
    }
    causes.append(&mut consequences);
    without_repetitions(&mut causes);
    causes.iter().take(MAX_ERRORS).map(|error| shortened(error)).collect()
}

/// The same texts, each once.
pub fn without_repetitions(texts: &mut Vec<String>) {
    for text in core::mem::take(texts) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
}

/// What dpkg explained before it gave up: ` (bar depends on foo (>= 9.0); however: Version of foo on system is 3.0.)`
fn problem_before(lines: &[&str]) -> String {
    let lines = lines.iter().rev().skip_while(|line| line.is_empty());
    let mut explained: Vec<&str> = lines.take_while(|line| line.starts_with(' ')).map(|line| line.trim()).collect();
    explained.reverse();
    if explained.is_empty() { String::new() } else { format!(" ({})", explained.join(" ")) }
}

/// What the maintainer script said last, if it said anything.
fn script_before(lines: &[&str]) -> String {
    let last = lines.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty());
    let of_dpkg = |line: &&str| line.starts_with("dpkg") || line.starts_with("==>") || line.starts_with("Errors were");
    last.filter(|line| !of_dpkg(line)).map_or_else(String::new, |line| format!(" (it said: {line})"))
}

fn last_line(text: &str) -> Option<String> {
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(ToString::to_string)
}

/// A path without its folders: those of blobs are nobody's business.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(MAX_ERROR_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    if end == text.len() { text.to_owned() } else { format!("{}...", &text[..end]) }
}
