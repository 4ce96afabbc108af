//! Installs the files of an application or a configuration, and brings the previous ones back.
//!
//! # What a power cut leaves
//!
//! Every file has siblings in its own folder while it changes:
//!
//! | sibling | what it is |
//! |---|---|
//! | `kiosk.farrier-new` | what will be put in its place |
//! | `kiosk.farrier-digest` | the SHA-256 of that, written behind it |
//! | `kiosk.farrier-previous` | what was in its place before |
//! | `kiosk.farrier-absent` | the mark that nothing was |
//!
//! An installation first writes all new files beside the old ones, reads them back, and only then exchanges them one by
//! one, each at once: whoever opens a file sees the old or the new one, never none, never half. A full disk is found
//! out before anything has changed. The version file is the last one, so what says the new version has all of it.
//!
//! An exchange leaves the old file under the name of the new one for a moment. After a power cut just then, the digest
//! tells: where the file in place is what the digest says, and the sibling is not, the sibling is the old file.
//! Whatever else there may be under that name has never been in use and is removed. So every call begins with putting
//! in order what an earlier one left, and then does its own work: a second `install` completes the first, a `roll_back`
//! undoes as much of it as was done.
//!
//! # Why siblings, not a folder
//!
//! What is kept is exchanged and renamed, never copied: the old file comes back with its owner, attributes and time,
//! and no flash is worn. That needs the same file system, which only the same folder surely is. It needs no grant
//! beyond the folder that a policy names, and no list of what belongs to what, which could be lost or be of another
//! version. A suffix keeps a configuration file from being loaded twice: what reads a folder reads `*.conf`.
//!
//! # What is kept, and for how long
//!
//! What is kept is the last set that a scan has found installed: [`finish`](Installer::finish) removes it, nothing else
//! does, and an installation never replaces it. If one version is installed over another that was never proven, a
//! roll-back brings back the one before both.
//!
//! Folders that were made stay. No file is touched but those that the instructions name, and their siblings.
#![no_std]

extern crate alloc;

mod instructions;
mod item;
mod place;
mod space;

pub use instructions::{FileSet, InstalledFile};

use alloc::{format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{
    Blob, Change, Error, Facts, Host, Installer, Json, Options, Outcome, RestartSubject, Selection, Update,
};
use item::{Item, items};

/// The installer of sets of files.
pub struct FileSetInstaller;

impl Installer for FileSetInstaller {
    type Instructions<'a> = Json<FileSet<'a>>;

    /// What is not in place already.
    fn select(facts: &dyn Facts, update: &Update, set: &Self::Instructions<'_>) -> Result<Selection, Error> {
        let items = items(set, update)?;
        let mut needed = Vec::new();
        let mut version_is_current = true;
        for item in &items {
            match (item.is_current(facts)?, item.position()) {
                (false, Some(position)) if !needed.contains(&position) => needed.push(position),
                (false, None) => version_is_current = false,
                _ => {}
            }
        }
        if needed.is_empty() && !version_is_current {
            // An empty selection would say that there is nothing to do.
            needed = items.iter().filter_map(Item::position).collect();
        }
        needed.sort_unstable();
        needed.dedup();
        Ok(Selection { contents: needed, previous: Vec::new() })
    }

    fn plan(
        host: &dyn Host,
        update: &Update,
        set: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Vec<Change>, Error> {
        let items = items(set, update)?;
        let needed = needed(host, &items, contents)?;
        space::check(host, &needed)?;
        let mut changes = needed.iter().map(|item| item.change(host)).collect::<Result<Vec<_>, _>>()?;
        if let Some(service) = &set.restart_service {
            let detail = format!("after {} {} is in place", set.name, set.version);
            changes.push(Change { subject: format!("service {service}"), action: "restart".into(), detail });
        }
        Ok(changes)
    }

    fn install(
        host: &dyn Host,
        update: &Update,
        set: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Outcome, Error> {
        let items = items(set, update)?;
        let notes = settle(host, &items)?;
        let needed = needed(host, &items, contents)?;
        if let Err(error) = stage(host, &needed, contents) {
            // Nothing has changed yet, and nothing is left lying around. What went wrong first is what matters.
            for item in &needed {
                let _ = item.place.settle(host);
            }
            return Err(error);
        }
        host.report(&format!("Switching to {} {}", set.name, set.version));
        for item in &needed {
            item.put(host, set.keep_previous)?;
        }
        if let Some(service) = &set.restart_service {
            let reason = format!("{} {} was installed", set.name, set.version);
            host.request_restart(RestartSubject::Service(service.as_ref().into()), &reason);
        }
        Ok(Outcome { notes })
    }

    fn finish(host: &dyn Host, update: &Update, set: &Self::Instructions<'_>) -> Result<Outcome, Error> {
        let items = items(set, update)?;
        for item in &items {
            if !item.holds_what_it_should(host)? {
                return Err(Error::Other(format!(
                    "{} is not that of {} {}; what was there before is still kept",
                    item.place.path(),
                    set.name,
                    set.version
                )));
            }
        }
        for item in &items {
            item.place.settle(host)?;
            item.place.forget(host)?;
        }
        Ok(Outcome::default())
    }

    fn roll_back(
        host: &dyn Host,
        update: &Update,
        set: &Self::Instructions<'_>,
        _: &[Blob<'_>],
    ) -> Result<Outcome, Error> {
        let items = items(set, update)?;
        settle(host, &items)?;
        let mut restored = 0_usize;
        // The version file first: until everything is back, nothing says the new version.
        for item in items.iter().rev() {
            restored += usize::from(item.place.restore(host)?);
        }
        if restored == 0 {
            return untouched(host, &items, set);
        }
        if let Some(service) = &set.restart_service {
            let reason = format!("what was there before {} {} was brought back", set.name, set.version);
            host.request_restart(RestartSubject::Service(service.as_ref().into()), &reason);
        }
        Ok(Outcome { notes: vec![format!("brought back {restored} of {} files as they were before", items.len())] })
    }
}

/// The items that are not as they should be. An error if one of them is in the way, or its content is not there.
fn needed<'a>(host: &dyn Host, items: &'a [Item<'a>], contents: &[Blob<'_>]) -> Result<Vec<&'a Item<'a>>, Error> {
    let mut needed = Vec::new();
    for item in items {
        item.place.check(host)?;
        if !item.is_current(host)? {
            item.find(contents)?;
            needed.push(item);
        }
    }
    Ok(needed)
}

/// Puts in order what was interrupted, and says so.
fn settle(host: &dyn Host, items: &[Item<'_>]) -> Result<Vec<String>, Error> {
    let mut found = 0_usize;
    for item in items {
        found += usize::from(item.place.settle(host)?);
    }
    if found == 0 {
        return Ok(Vec::new());
    }
    Ok(vec![format!("an interrupted installation had left something beside {found} of {} files", items.len())])
}

fn stage(host: &dyn Host, needed: &[&Item<'_>], contents: &[Blob<'_>]) -> Result<(), Error> {
    for item in needed {
        if item.holds_what_it_should(host)? {
            // Only its mode is another.
            continue;
        }
        host.report(&format!("Writing {}", item.place.path()));
        item.stage(host, contents)?;
    }
    Ok(())
}

/// What a roll-back says that found nothing to bring back.
fn untouched(host: &dyn Host, items: &[Item<'_>], set: &FileSet<'_>) -> Result<Outcome, Error> {
    for item in items {
        if !item.holds_what_it_should(host)? {
            return Ok(Outcome { notes: vec!["nothing had been replaced".into()] });
        }
    }
    let why = if set.keep_previous { "it has been removed since" } else { "`keep_previous` is false" };
    let (name, version) = (&set.name, &set.version);
    Err(Error::Other(format!(
        "what was there before {name} {version} was not kept ({why}): deploy the version to go back to"
    )))
}

farrier_plugin_sdk::export_installer!(FileSetInstaller);
