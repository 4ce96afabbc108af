//! Sections with keys, as systemd reads them.
//!
//! - `[Section]`, then `Key=value`; blanks around both are nothing. Names are compared as they are written.
//! - A line that begins with `#` or `;` is a comment. A `\` at the end of a line means that the value goes on in the
//!   next.
//! - The last value counts. An empty one takes back what was set before: then nothing sets it.
//! - A file `/etc/systemd/X.conf` stands in for the same one of `/run`, `/usr/local/lib` and `/usr/lib`. Behind it
//!   come the drop-ins of `X.conf.d` in all four, in the order of their names; of two with one name, that of the
//!   earlier counts.
//! - Other files have the drop-ins that the rule names (`drop_ins`), or none.

use crate::{
    expected::PLAIN,
    files::{Files, nothing_in},
    reading::{Found, Reading},
    rule,
};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{
    Error,
    ini::{Setting, Style, settings},
};

/// Where systemd looks, in the order in which one is in place of the next.
pub const SYSTEMD_PLACES: [&str; 4] = ["/etc", "/run", "/usr/local/lib", "/usr/lib"];

/// What the files say of a setting.
pub fn read(files: &Files, setting: &rule::Setting<'_>) -> Result<Reading, Error> {
    let section = setting.section.as_deref().unwrap_or_default();
    let mut found = None;
    for path in sources(files, setting)? {
        find(files, &path, section, &setting.key, &mut found)?;
    }
    Reading::new(setting, found.as_ref(), &nothing_in(files, setting.file())?, PLAIN)
}

/// The files of a setting, the weakest first.
pub fn sources(files: &Files, setting: &rule::Setting<'_>) -> Result<Vec<String>, Error> {
    let file = setting.file();
    let of_systemd = file.strip_prefix("/etc").filter(|rest| rest.starts_with("/systemd/"));
    let (mains, folders) = match (&setting.drop_ins, of_systemd) {
        (Some(folders), _) => (Vec::from([file.to_owned()]), folders.iter().map(ToString::to_string).collect()),
        (None, None) => (Vec::from([file.to_owned()]), Vec::new()),
        (None, Some(rest)) => {
            let mains: Vec<String> = SYSTEMD_PLACES.iter().map(|place| format!("{place}{rest}")).collect();
            let folders = mains.iter().map(|main| format!("{main}.d")).collect();
            (mains, folders)
        }
    };
    let mut sources = Vec::new();
    for main in mains {
        if sources.is_empty() && files.exists(&main)? {
            sources.push(main);
        }
    }
    sources.extend(files.drop_ins(&folders)?);
    Ok(sources)
}

/// Replaces what was found with what this file says last.
fn find(files: &Files, path: &str, section: &str, key: &str, found: &mut Option<Found>) -> Result<(), Error> {
    let Some(text) = files.text(path)? else { return Ok(()) };
    let matching = settings(&text, Style::Systemd).filter(|setting| setting.section == section && setting.key == key);
    for Setting { value, line, .. } in matching {
        *found = (!value.is_empty()).then(|| Found::new(value.into_owned(), path, line));
    }
    Ok(())
}
