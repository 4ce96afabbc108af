//! What an installation would do to everything else, found out before anything is done.
//!
//! dpkg unpacks first and finds out then. So the packages as they would be afterwards are looked at here, and what would
//! no longer fit together is refused in words.

use crate::{
    archive::Archive,
    control::{MultiArch, Package},
    database::{Database, Installed},
    relation::clauses,
    world::World,
};
use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::cmp::Ordering;
use farrier_dpkg_rules::{Condition, compare};
use farrier_plugin_sdk::{Change, Error};

/// Reasons of a refusal that are said, at most.
const MAX_REASONS: usize = 4;

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The packages of the archives, where an older one is installed.
    Update,
    /// The packages of the archives, whatever is installed.
    Restore,
}

/// An installation that fits.
#[derive(Debug)]
pub struct Checked<'a> {
    /// The archives to install.
    pub chosen: Vec<&'a Archive<'a>>,
    /// The names of the packages that go.
    pub removed: Vec<String>,
    /// All of it, for people.
    pub changes: Vec<Change>,
}

/// Chooses the archives that are to be installed: what is needed, and of the others what that depends on.
pub fn check<'a>(
    database: &Database,
    archives: &'a [Archive<'a>],
    goal: Goal,
    allow_removals: bool,
) -> Result<Checked<'a>, Error> {
    let chosen = choose(database, archives, goal);
    let new: Vec<&Package> = chosen.iter().map(|archive| &archive.package).collect();
    let before = world(database, &[], &[]);
    let mut check = Check { database, reasons: Vec::new() };
    let removed = check.removals(&world(database, &new, &[]), &new, allow_removals);
    let after = world(database, &new, &removed);
    check.new_packages(&after, &new);
    check.other_packages(&before, &after, &new);
    if !check.reasons.is_empty() {
        let more = check.reasons.len().saturating_sub(MAX_REASONS);
        check.reasons.truncate(MAX_REASONS);
        let more = if more > 0 { format!("; and {more} more reasons") } else { String::new() };
        return Err(Error::Other(format!("it cannot be installed here: {}{more}", check.reasons.join("; "))));
    }
    let mut changes: Vec<_> = new.iter().map(|package| change(database, package)).collect();
    changes.extend(removed.iter().map(|package| Change {
        subject: database.name_of(package),
        action: "remove".into(),
        detail: package.version.clone(),
    }));
    Ok(Checked { chosen, removed: removed.iter().map(|package| package.name.clone()).collect(), changes })
}

/// The packages that can be relied on once these are installed and those are removed.
pub fn world<'a>(database: &'a Database, new: &[&'a Package], removed: &[&Package]) -> World<'a> {
    let is = |package: &Package, other: &&Package| {
        let of_other = database.find(&other.name, &other.architecture);
        of_other.is_some_and(|found| core::ptr::eq(&raw const found.package, package))
    };
    let usable = database.packages().filter(|installed| installed.status.condition != Condition::HalfInstalled);
    let kept = usable.map(|installed| &installed.package);
    let kept = kept.filter(|package| !new.iter().chain(removed).any(|other| is(package, other)));
    World::new(database.native(), kept.chain(new.iter().copied()).collect())
}

/// What is done to a package.
fn change(database: &Database, package: &Package) -> Change {
    let version = &package.version;
    let (action, detail) = match database.find(&package.name, &package.architecture) {
        None => ("install", version.clone()),
        Some(Installed { package: old, status }) => match compare(old.version.as_bytes(), version.as_bytes()) {
            Ordering::Less => ("upgrade", format!("{} to {version}", old.version)),
            Ordering::Greater => ("downgrade", format!("{} to {version}", old.version)),
            Ordering::Equal => ("repair", format!("{version} is {}", status.condition.as_str())),
        },
    };
    Change { subject: database.name_of(package), action: action.into(), detail }
}

fn choose<'a>(database: &Database, archives: &'a [Archive<'a>], goal: Goal) -> Vec<&'a Archive<'a>> {
    let wanted = |archive: &&Archive<'_>| {
        let package = &archive.package;
        let Some(installed) = database.find(&package.name, &package.architecture) else { return goal == Goal::Restore };
        let order = compare(installed.package.version.as_bytes(), package.version.as_bytes());
        match order {
            Ordering::Less => true,
            Ordering::Equal => installed.status.is_unfinished(),
            Ordering::Greater => goal == Goal::Restore,
        }
    };
    let mut chosen: Vec<_> = archives.iter().filter(wanted).collect();
    while let Some(more) = missing(database, archives, &chosen) {
        chosen.push(more);
    }
    chosen
}

/// An archive that is not chosen, but that a chosen one needs.
fn missing<'a>(database: &Database, archives: &'a [Archive<'a>], chosen: &[&Archive<'a>]) -> Option<&'a Archive<'a>> {
    let new: Vec<&Package> = chosen.iter().map(|archive| &archive.package).collect();
    let after = world(database, &new, &[]);
    let is_absent = |archive: &&Archive<'_>| {
        let Package { name, architecture, .. } = &archive.package;
        database.find(name, architecture).is_none() && !chosen.iter().any(|known| core::ptr::eq(*known, *archive))
    };
    let others: Vec<_> = archives.iter().filter(is_absent).collect();
    if others.is_empty() {
        return None;
    }
    let unmet = new.iter().flat_map(|package| needs(package).map(|clause| (*package, clause)));
    let mut unmet = unmet.filter(|(package, clause)| !after.holds(clause, package));
    unmet.find_map(|(package, clause)| {
        let serves =
            |archive: &&&Archive<'_>| World::new(database.native(), [&archive.package].to_vec()).holds(clause, package);
        others.iter().find(serves).copied()
    })
}

/// The clauses of what a package needs.
pub fn needs(package: &Package) -> impl Iterator<Item = &str> {
    clauses(&package.pre_depends).chain(clauses(&package.depends))
}

struct Check<'a> {
    database: &'a Database,
    /// Why it must not be.
    reasons: Vec<String>,
}

impl Check<'_> {
    /// The installed packages that have to go because a new one conflicts with them and replaces them.
    fn removals<'a>(&mut self, after: &World<'a>, new: &[&'a Package], allowed: bool) -> Vec<&'a Package> {
        let mut removed = Vec::<&Package>::new();
        for package in new.iter().copied() {
            for clause in clauses(&package.conflicts) {
                for other in after.meant(clause, package) {
                    let replaces = clauses(&package.replaces)
                        .any(|clause| after.meant(clause, package).any(|replaced| core::ptr::eq(replaced, other)));
                    let (it, victim) = (self.text(package), self.text(other));
                    if is_one_of(other, new) || !replaces {
                        self.refuse(format!("{it} conflicts with {victim}"));
                    } else if other.essential {
                        self.refuse(format!("it would remove {victim}, which is essential, in favour of {it}"));
                    } else if !allowed {
                        let but = "and the deployment allows no removals";
                        self.refuse(format!("it would remove {victim} in favour of {it}, {but}"));
                    } else if !is_one_of(other, &removed) {
                        removed.push(other);
                    }
                }
            }
        }
        removed
    }

    /// Whether the new packages find what they need, and nothing they break.
    fn new_packages(&mut self, after: &World<'_>, new: &[&Package]) {
        for package in new.iter().copied() {
            let it = self.text(package);
            for clause in needs(package).filter(|clause| !after.holds(clause, package)) {
                let (found, kind) = (self.found(after, clause), after.foreign(package));
                self.refuse(format!("{it} needs {clause}{kind}, but {found}: deploy the update that brings it, too"));
            }
            for clause in clauses(&package.breaks) {
                for other in after.meant(clause, package) {
                    let victim = self.text(other);
                    self.refuse(format!("{it} breaks {victim}: deploy the update of that, too"));
                }
            }
            self.same_version(after, package);
        }
    }

    /// A package that is installed for several architectures has one version.
    fn same_version(&mut self, after: &World<'_>, package: &Package) {
        for other in after.named(&package.name) {
            let several = after.architecture(other) != after.architecture(package);
            if several && package.multi_arch == MultiArch::Same && other.version != package.version {
                let reason = format!(
                    "{} of {} and {} of {} cannot be installed together: deploy it for both architectures",
                    self.text(package),
                    after.architecture(package),
                    self.text(other),
                    after.architecture(other)
                );
                self.refuse(reason);
            }
        }
    }

    /// Whether the other packages still have what they had, and conflict with nothing new.
    fn other_packages(&mut self, before: &World<'_>, after: &World<'_>, new: &[&Package]) {
        for package in after.packages().iter().copied().filter(|package| !is_one_of(package, new)) {
            for clause in needs(package).filter(|clause| !after.holds(clause, package)) {
                // What was broken before is not this update's doing.
                if before.holds(clause, package) {
                    let victim = self.text(package);
                    self.refuse(format!(
                        "it would break {victim}, which needs {clause}: deploy the update of that, too"
                    ));
                }
            }
            for clause in clauses(&package.conflicts).chain(clauses(&package.breaks)) {
                let mut conflicting = after.meant(clause, package).filter(|other| is_one_of(other, new));
                if let Some(other) = conflicting.next().filter(|_| before.meant(clause, package).next().is_none()) {
                    let (it, victim) = (self.text(other), self.text(package));
                    self.refuse(format!("{victim}, which is installed, conflicts with {it}"));
                }
            }
        }
    }

    /// What there is of a clause.
    fn found(&self, world: &World<'_>, clause: &str) -> String {
        let relations = crate::relation::alternatives(clause).flatten();
        let there: Vec<String> = relations
            .flat_map(|relation| world.named(relation.name).map(|package| self.text(package)).collect::<Vec<_>>())
            .collect();
        match there.as_slice() {
            [] => "none is installed".to_string(),
            [one] => format!("{one} is installed"),
            _ => format!("{} are installed", there.join(" and ")),
        }
    }

    fn refuse(&mut self, reason: String) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    fn text(&self, package: &Package) -> String {
        format!("{} {}", self.database.name_of(package), package.version)
    }
}

fn is_one_of(package: &Package, packages: &[&Package]) -> bool {
    packages.iter().any(|one| core::ptr::eq(*one, package))
}
