//! Planning, installing and rolling back.

use crate::{
    archive::{self, Archive},
    check::{self, Checked, Goal},
    database::Database,
    dpkg::{self, Deed, Ended},
    order, output,
    restart::{self, Wanted},
    select::refuse_if_held,
};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Blob, Change, Error, Host, Outcome, RestartSubject, Update};

/// What the installation would change, all of it.
pub fn plan(
    host: &dyn Host,
    update: &Update,
    contents: &[Blob<'_>],
    allow_removals: bool,
) -> Result<Vec<Change>, Error> {
    let database = Database::read(host)?;
    refuse_if_held(&database, update)?;
    let archives = archive::read(host, contents)?;
    let checked = check::check(&database, &archives, Goal::Update, allow_removals)?;
    let mut changes = repairs(&database, &checked);
    // Before what was interrupted is finished, dpkg would speak of that.
    if !database.is_interrupted() {
        ask_dpkg(host, &database, &checked)?;
    }
    changes.extend(checked.changes);
    Ok(changes)
}

/// Installs.
pub fn install(
    host: &dyn Host,
    update: &Update,
    contents: &[Blob<'_>],
    allow_removals: bool,
) -> Result<Outcome, Error> {
    let archives = archive::read(host, contents)?;
    let mut installation = Installation::new(host, &archives, Goal::Update)?;
    if installation.database.has_work() {
        installation.finish_what_was_begun()?;
    }
    loop {
        refuse_if_held(&installation.database, update)?;
        let checked = check::check(&installation.database, &archives, Goal::Update, allow_removals)?;
        ask_dpkg(host, &installation.database, &checked)?;
        if installation.perform(&checked)? {
            return installation.finish();
        }
    }
}

/// Brings back earlier versions.
pub fn roll_back(host: &dyn Host, previous: &[Blob<'_>]) -> Result<Outcome, Error> {
    let archives = archive::read(host, previous)?;
    let mut installation = Installation::new(host, &archives, Goal::Restore)?;
    loop {
        let checked = check::check(&installation.database, &archives, Goal::Restore, false)?;
        if installation.perform(&checked)? {
            return installation.finish();
        }
    }
}

/// What running the installation finishes besides.
fn repairs(database: &Database, checked: &Checked<'_>) -> Vec<Change> {
    let unfinished = database.packages().filter(|installed| installed.status.is_unfinished());
    let other = unfinished
        .filter(|installed| !checked.chosen.iter().any(|archive| archive.package.name == installed.package.name));
    let repair = other.map(|installed| Change {
        subject: database.name_of(&installed.package),
        action: "repair".to_owned(),
        detail: format!("{} is {}", installed.package.version, installed.status.condition.as_str()),
    });
    repair.collect()
}

/// A second opinion: of what is installed first, dpkg itself says whether it would, and what it would remove.
fn ask_dpkg(host: &dyn Host, database: &Database, checked: &Checked<'_>) -> Result<(), Error> {
    let batches = order::batches(database, &checked.chosen);
    let Some(first) = batches.first() else { return Ok(()) };
    let Ended::Exit(exit) = dpkg::run(host, Deed::Simulate, first)? else { return Ok(()) };
    if !exit.is_success() {
        return Err(Error::Other(format!("dpkg would refuse it: {}", output::failure(&exit))));
    }
    let mut unexpected = output::removals(&exit.error_output);
    unexpected.retain(|name| !checked.removed.contains(name));
    if unexpected.is_empty() {
        return Ok(());
    }
    let names = unexpected.join(", ");
    Err(Error::Other(format!("dpkg would remove {names}, which nothing in the update says")))
}

struct Installation<'a> {
    host: &'a dyn Host,
    archives: &'a [Archive<'a>],
    goal: Goal,
    /// As it was last read.
    database: Database,
    /// What had to be installed when this began.
    needed: Vec<&'a Archive<'a>>,
    /// The packages that were not finished then.
    unfinished: Vec<String>,
    wanted_restart: Wanted,
    notes: Vec<String>,
}

impl<'a> Installation<'a> {
    fn new(host: &'a dyn Host, archives: &'a [Archive<'a>], goal: Goal) -> Result<Self, Error> {
        let database = Database::read(host)?;
        let needed = archives.iter().filter(|archive| !is_there(&database, archive, Goal::Restore)).collect();
        let (unfinished, wanted_restart) = (unfinished(&database), Wanted::read(host)?);
        Ok(Self { host, archives, goal, database, needed, unfinished, wanted_restart, notes: Vec::new() })
    }

    /// Finishes what an interrupted run of dpkg, or somebody's failed one, left. If that fails it is no reason to give up:
    /// the new versions may be what repairs it.
    fn finish_what_was_begun(&mut self) -> Result<(), Error> {
        self.host.report("Finishing what an interrupted installation left");
        let exit = dpkg::finish(self.host)?;
        self.notes.extend(output::kept_files(&exit));
        if !exit.is_success() {
            self.notes.push(format!("dpkg could not finish what was begun before: {}", output::failure(&exit)));
        }
        self.database = Database::read(self.host)?;
        Ok(())
    }

    /// Runs dpkg; `false`, if somebody else had its lock meanwhile and everything may look different now.
    fn perform(&mut self, checked: &Checked<'_>) -> Result<bool, Error> {
        let deed = match self.goal {
            Goal::Update => Deed::Install,
            Goal::Restore => Deed::RollBack,
        };
        let mut batches = order::batches(&self.database, &checked.chosen).into_iter().peekable();
        while let Some(batch) = batches.next() {
            let names: Vec<_> = batch.iter().map(|archive| &*archive.package.name).collect();
            self.host.report(&format!("Installing {}", names.join(", ")));
            let Ended::Exit(exit) = dpkg::run(self.host, deed, &batch)? else {
                dpkg::finish(self.host)?;
                self.database = Database::read(self.host)?;
                return Ok(false);
            };
            self.notes.extend(output::kept_files(&exit));
            self.database = Database::read(self.host)?;
            // A package that this batch breaks and a later one mends cannot be configured in between, and dpkg says so.
            let goes_on = batches.peek().is_some() && batch.iter().all(|one| is_there(&self.database, one, self.goal));
            if exit.timed_out {
                return Err(Error::Other(format!("dpkg {}", output::failure(&exit))));
            }
            if !exit.is_success() && !goes_on {
                return self.second_try(checked, &output::failure(&exit)).map(|()| true);
            }
        }
        self.verify(checked).map(|()| true)
    }

    /// After a failure: what could be unpacked may be configured at the second attempt.
    fn second_try(&mut self, checked: &Checked<'_>, failure: &str) -> Result<(), Error> {
        self.host.report("Finishing what could be installed after an error");
        let exit = dpkg::finish(self.host)?;
        self.notes.extend(output::kept_files(&exit));
        self.database = Database::read(self.host)?;
        if self.verify(checked).is_err() {
            return Err(Error::Other(format!("dpkg said: {failure}")));
        }
        self.notes.push(format!("dpkg failed once ({failure}) and succeeded when it was asked again"));
        Ok(())
    }

    /// Whether everything is there, and nothing is left half done that was not so before.
    fn verify(&self, checked: &Checked<'_>) -> Result<(), Error> {
        let missing = checked.chosen.iter().find(|archive| !is_there(&self.database, archive, self.goal));
        if let Some(archive) = missing {
            let package = &archive.package;
            let state = match self.database.find(&package.name, &package.architecture) {
                Some(found) => format!("{} is {}", found.package.version, found.status.condition.as_str()),
                None => "is not installed".to_owned(),
            };
            return Err(Error::Other(format!("dpkg reported success, but {} {state}", package.name)));
        }
        let mut left = unfinished(&self.database);
        left.retain(|name| !self.unfinished.contains(name));
        if left.is_empty() {
            return Ok(());
        }
        Err(Error::Other(format!("dpkg left {} half installed", left.join(", "))))
    }

    fn finish(mut self) -> Result<Outcome, Error> {
        let there = self.needed.iter().filter(|archive| is_there(&self.database, archive, Goal::Restore));
        let installed: Vec<_> = there.map(|archive| &archive.package).collect();
        for archive in
            self.archives.iter().filter(|archive| self.goal == Goal::Update && is_newer(&self.database, archive))
        {
            let name = &archive.package.name;
            let note = format!("{name} stays as it is: something newer than {} is installed", archive.package.version);
            self.notes.push(note);
        }
        let wanted_restart = Wanted::read(self.host)?;
        if let Some(reason) = restart::reason(&self.wanted_restart, &wanted_restart, &installed) {
            self.host.request_restart(RestartSubject::Machine, &reason);
        }
        output::without_repetitions(&mut self.notes);
        Ok(Outcome { notes: self.notes })
    }
}

/// Whether the package of an archive is installed and finished: in its very version or, where an update is the goal, in a
/// newer one.
fn is_there(database: &Database, archive: &Archive<'_>, goal: Goal) -> bool {
    let package = &archive.package;
    let found = database.find(&package.name, &package.architecture).filter(|found| !found.status.is_unfinished());
    found.is_some_and(|found| {
        found.package.version == package.version || (goal == Goal::Update && is_newer(database, archive))
    })
}

/// Whether something newer than the package of an archive is installed.
fn is_newer(database: &Database, archive: &Archive<'_>) -> bool {
    let package = &archive.package;
    database.find(&package.name, &package.architecture).is_some_and(|found| {
        farrier_dpkg_rules::compare(found.package.version.as_bytes(), package.version.as_bytes()).is_gt()
    })
}

fn unfinished(database: &Database) -> Vec<String> {
    let unfinished = database.packages().filter(|installed| installed.status.is_unfinished());
    unfinished.map(|installed| database.name_of(&installed.package)).collect()
}
