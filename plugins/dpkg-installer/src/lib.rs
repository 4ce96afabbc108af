//! Installation of Debian packages: with dpkg, exactly the versions that were given, without a question to anybody.
//!
//! A plugin of the world `installer`. It reads dpkg's database, finds out what an installation would do to the other
//! packages before it does anything, and runs dpkg. It writes no file itself, and it never says that an update is
//! installed: a scan does.
#![no_std]

extern crate alloc;

mod archive;
mod check;
mod control;
mod database;
mod dpkg;
mod install;
mod names;
mod order;
mod output;
mod relation;
mod restart;
mod select;
mod world;

use alloc::vec::Vec;
use farrier_plugin_sdk::{Blob, Change, Error, Facts, Host, Installer, Options, Outcome, Selection, Update};

/// The installer of Debian packages.
pub struct DpkgInstaller;

farrier_plugin_sdk::export_installer!(DpkgInstaller);

impl Installer for DpkgInstaller {
    /// What to install is in the packages.
    type Instructions<'a> = ();

    fn select(facts: &dyn Facts, update: &Update, (): &()) -> Result<Selection, Error> {
        select::select(facts, update)
    }

    fn plan(
        host: &dyn Host,
        update: &Update,
        (): &(),
        contents: &[Blob<'_>],
        options: &Options,
    ) -> Result<Vec<Change>, Error> {
        install::plan(host, update, contents, options.allow_removals)
    }

    fn install(
        host: &dyn Host,
        update: &Update,
        (): &(),
        contents: &[Blob<'_>],
        options: &Options,
    ) -> Result<Outcome, Error> {
        install::install(host, update, contents, options.allow_removals)
    }

    fn roll_back(host: &dyn Host, _: &Update, (): &(), previous: &[Blob<'_>]) -> Result<Outcome, Error> {
        install::roll_back(host, previous)
    }
}
