//! The files of an update, and what they say they hold.

use crate::{
    control::{Package, Stanza},
    output,
    relation::unreadable,
};
use alloc::{format, vec::Vec};
use farrier_dpkg_rules::Label;
use farrier_plugin_sdk::{Blob, Command, Error, Host};

/// The fields that matter; `plugin.toml` has to name them in this order.
const FIELDS: [&str; 12] = [
    "Package",
    "Version",
    "Architecture",
    "Multi-Arch",
    "Essential",
    "Protected",
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Provides",
    "Replaces",
];

/// A file and the package it holds.
#[derive(Debug)]
pub struct Archive<'a> {
    pub blob: &'a Blob<'a>,
    pub package: Package,
}

/// What the files hold. Each must hold what its label says.
pub fn read<'a>(host: &dyn Host, blobs: &'a [Blob<'a>]) -> Result<Vec<Archive<'a>>, Error> {
    blobs.iter().map(|blob| Ok(Archive { blob, package: package_of(host, blob)? })).collect()
}

fn package_of(host: &dyn Host, blob: &Blob<'_>) -> Result<Package, Error> {
    let text = blob.label();
    let label = Label::parse(&text).map_err(|error| Error::Invalid(format!("the content {error}")))?;
    let command = Command::new("/usr/bin/dpkg-deb").argument("--field").blob(blob).arguments(FIELDS);
    let exit = host.run(&command)?;
    if !exit.is_success() {
        return Err(Error::Invalid(format!("{text} cannot be read: {}", output::failure(&exit))));
    }
    let mut stanza = Stanza::new();
    for line in exit.output.lines().filter(|line| !line.trim().is_empty()) {
        stanza
            .read_line(line.as_bytes())
            .map_err(|reason| Error::Invalid(format!("{text} cannot be read: {reason}")))?;
    }
    let package = stanza.package;
    if (&*package.name, &*package.version, &*package.architecture)
        != (label.package, &label.version, label.architecture)
    {
        return Err(Error::Invalid(format!(
            "{text} holds another package: {} {} ({})",
            package.name, package.version, package.architecture
        )));
    }
    let fields = [&package.pre_depends, &package.depends, &package.conflicts, &package.breaks, &package.replaces];
    if let Some(clause) = fields.into_iter().find_map(|field| unreadable(field)) {
        return Err(Error::Invalid(format!("{text} has a relation that cannot be understood: `{clause}`")));
    }
    Ok(package)
}
