//! Which files of an update a client needs.

use crate::database::{Database, Installed, Need};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use core::cmp::Ordering;
use farrier_dpkg_rules::{Label, compare};
use farrier_plugin_sdk::{Entry, Error, Facts, Selection, Update};

/// The update's packages of which an older one is installed, those that may come with them, and what they replace.
pub fn select(facts: &dyn Facts, update: &Update) -> Result<Selection, Error> {
    let database = Database::read(facts)?;
    refuse_if_held(&database, update)?;
    let contents = labels(&update.contents)?;
    let previous = labels(&update.previous)?;
    let mut selection = Selection { contents: Vec::new(), previous: Vec::new() };
    let mut needed = Vec::new();
    for (position, label) in (0..).zip(&contents) {
        if let (Need::Needed, Some(installed)) = database.need(label) {
            selection.contents.push(position);
            needed.push(label.package);
            selection.previous.extend(previous_of(&database, installed, label, &previous));
        }
    }
    if !needed.is_empty() {
        let successors = Successors::of(&database, &needed);
        let absent = |label: &Label<'_>| database.need(label).0 == Need::Absent && is_for(&database, label);
        let more = (0..).zip(&contents).filter(|(_, label)| absent(label) && successors.include(label.package));
        selection.contents.extend(more.map(|(position, _)| position));
    }
    Ok(selection)
}

/// An error that names the packages the update needs to change and an administrator put on hold.
pub fn refuse_if_held(database: &Database, update: &Update) -> Result<(), Error> {
    let mut names = Vec::new();
    for label in labels(&update.contents)? {
        if let (Need::Needed, Some(installed)) = database.need(&label)
            && installed.status.on_hold
        {
            let name = database.name_of(&installed.package);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    Err(Error::Other(format!(
        "{} {} on hold on this client; `apt-mark unhold {}` releases it",
        names.join(", "),
        if names.len() == 1 { "is" } else { "are" },
        names.join(" ")
    )))
}

fn labels(entries: &[Entry]) -> Result<Vec<Label<'_>>, Error> {
    let label = |entry| Label::parse(entry).map_err(|error| Error::Invalid(format!("the update's content {error}")));
    entries.iter().map(|entry| label(&entry.label)).collect()
}

/// The position of the package that brings back what is installed; if that is the update's own version already, left half
/// done, the newest of the older ones.
fn previous_of(database: &Database, installed: &Installed, new: &Label<'_>, previous: &[Label<'_>]) -> Option<u32> {
    let order = |label: &Label<'_>, version: &str| compare(label.version.as_bytes(), version.as_bytes());
    let is_same = |label: &Label<'_>| {
        let found = database.find(label.package, label.architecture);
        found.is_some_and(|found| core::ptr::eq(found, installed))
    };
    let of_it = (0..).zip(previous).filter(|(_, label)| is_same(label));
    let older = of_it.filter(|(_, label)| order(label, &new.version) == Ordering::Less);
    let unfinished = installed.status.is_unfinished();
    let usable = older.filter(|(_, label)| unfinished || order(label, &installed.package.version) == Ordering::Equal);
    usable.max_by(|(_, a), (_, b)| order(a, &b.version)).map(|(position, _)| position)
}

/// Whether the package's architecture is one that this client has packages of.
fn is_for(database: &Database, label: &Label<'_>) -> bool {
    let of_it = |installed: &Installed| installed.package.architecture == label.architecture;
    ["all", database.native()].contains(&label.architecture) || database.packages().any(of_it)
}

/// Packages that carry a version in their names, as kernels do: a new one is a package of another name, and only what it
/// says of itself, which nobody knows before it is downloaded, tells whether it is needed. So what looks like the successor
/// of a needed or installed package is selected, too; it is installed only if something depends on it.
struct Successors {
    /// Names whose successors are wanted, as [`stem`]s.
    stems: Vec<String>,
    /// Names of packages that depend on whatever the latest one is: `linux-image-amd64`.
    unversioned: Vec<String>,
}

impl Successors {
    fn of(database: &Database, needed: &[&str]) -> Self {
        let stems = database.packages().filter_map(|installed| stem(&installed.package.name)).collect();
        Self { stems, unversioned: needed.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn include(&self, name: &str) -> bool {
        stem(name).is_some_and(|stem| self.stems.contains(&stem) || self.unversioned.contains(&stem.replace("-#", "")))
    }
}

/// The name with `#` for its numbers, `linux-image-#-amd64`; `None` if it has none.
fn stem(name: &str) -> Option<String> {
    let mut stem = String::new();
    for word in name.split('-') {
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            if !stem.ends_with("-#") {
                stem.push_str("-#");
            }
        } else {
            stem.push('-');
            stem.push_str(word);
        }
    }
    stem.contains('#').then(|| stem.split_off(1))
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn a_stem_is_what_stays_from_kernel_to_kernel() {
        for (name, expected) in [
            ("linux-image-6.1.0-37-amd64", Some("linux-image-#-amd64")),
            ("linux-image-6.12.43+deb13-amd64", Some("linux-image-#-amd64")),
            ("linux-headers-6.1.0-37-common", Some("linux-headers-#-common")),
            ("linux-image-6.1.0-37-cloud-amd64", Some("linux-image-#-cloud-amd64")),
            ("linux-kbuild-6.1", Some("linux-kbuild-#")),
            ("linux-image-amd64", None),
            ("libssl3", None),
        ] {
            assert_eq!(stem(name).as_deref(), expected, "{name}");
        }
    }
}
