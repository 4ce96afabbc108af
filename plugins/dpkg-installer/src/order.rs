//! In which order archives are installed.
//!
//! dpkg unpacks all it is given, then configures. That is enough unless a package has to be configured before another one
//! can even be unpacked (`Pre-Depends`); then it takes several runs.

use crate::{
    archive::Archive,
    check::{needs, world},
    control::Package,
    database::Database,
    relation::clauses,
    world::World,
};
use alloc::{vec, vec::Vec};

/// The archives, in groups; each group is a run of dpkg.
pub fn batches<'a>(database: &Database, chosen: &[&'a Archive<'a>]) -> Vec<Vec<&'a Archive<'a>>> {
    let all = world_with(database, chosen);
    let (mut rest, mut done, mut batches) = (chosen.to_vec(), Vec::new(), Vec::new());
    while !rest.is_empty() {
        let mut ready = ready(database, &all, &done, &rest);
        if ready.is_empty() {
            // A circle that only dpkg can judge.
            ready.clone_from(&rest);
        }
        rest.retain(|archive| !contains(&ready, archive));
        done.extend_from_slice(&ready);
        batches.push(ready);
    }
    batches
}

/// Those of `rest` that can be unpacked and configured now, where `done` are installed.
fn ready<'a>(
    database: &Database,
    all: &World<'_>,
    done: &[&'a Archive<'a>],
    rest: &[&'a Archive<'a>],
) -> Vec<&'a Archive<'a>> {
    let now = world_with(database, done);
    let holds_now = |package: &Package| clauses(&package.pre_depends).all(|clause| now.holds(clause, package));
    let mut ready: Vec<_> = rest.iter().copied().filter(|archive| holds_now(&archive.package)).collect();
    while ready.len() < rest.len() {
        let then = world_with(database, &[done, &ready].concat());
        // What nothing of all this brings is no reason to wait.
        let holds_then =
            |package: &Package| needs(package).all(|clause| then.holds(clause, package) || !all.holds(clause, package));
        let count = ready.len();
        ready.retain(|archive| holds_then(&archive.package));
        if ready.len() == count {
            break;
        }
    }
    ready
}

fn world_with<'a>(database: &'a Database, archives: &[&'a Archive<'a>]) -> World<'a> {
    let mut packages = vec![];
    packages.extend(archives.iter().map(|archive| &archive.package));
    world(database, &packages, &[])
}

fn contains(archives: &[&Archive<'_>], archive: &Archive<'_>) -> bool {
    archives.iter().any(|one| core::ptr::eq(*one, archive))
}
