//! Whether the machine has to be restarted before an installation takes effect.

use crate::control::Package;
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Facts};

/// What maintainer scripts leave when they want a restart.
const REQUIRED: &str = "/run/reboot-required";
/// The packages that wanted it, a line each.
const REQUIRED_BY: &str = "/run/reboot-required.pkgs";

/// Packages that nothing but a restart replaces everywhere: every process has the old ones.
const NAMES: [&str; 9] = [
    "amd64-microcode",
    "dbus",
    "dbus-broker",
    "dbus-daemon",
    "intel-microcode",
    "libc6",
    "musl",
    "systemd",
    "systemd-sysv",
];
/// Beginnings of names of kernels.
const KERNELS: [&str; 2] = ["linux-image-", "linux-modules-"];

/// Who wanted a restart at some time.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    anybody: bool,
    by: Vec<String>,
}

impl Wanted {
    /// Reads it.
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let anybody = read_if_there(facts, REQUIRED)?.is_some();
        let by = read_if_there(facts, REQUIRED_BY)?.unwrap_or_default();
        let by = String::from_utf8_lossy(&by);
        let by = by.lines().map(str::trim).filter(|name| !name.is_empty()).map(ToOwned::to_owned).collect();
        Ok(Self { anybody, by })
    }
}

/// Why a restart is needed after these packages were installed, if it is.
pub fn reason(before: &Wanted, after: &Wanted, installed: &[&Package]) -> Option<String> {
    let asked = after.by.iter().filter(|name| !before.by.contains(name)).map(String::as_str);
    let replaced = installed.iter().map(|package| &*package.name).filter(|name| {
        let is_kernel = KERNELS.iter().any(|kernel| name.starts_with(kernel));
        is_kernel || NAMES.contains(name) || after.by.iter().any(|by| by == name)
    });
    let mut names = Vec::new();
    for name in asked.chain(replaced) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    match names.as_slice() {
        [] if after.anybody && !before.anybody => Some("the installation left /run/reboot-required".into()),
        [] => None,
        [one] => Some(format!("{one} was installed")),
        _ => Some(format!("{} were installed", names.join(", "))),
    }
}

fn read_if_there(facts: &dyn Facts, path: &str) -> Result<Option<Vec<u8>>, Error> {
    match facts.read_file(path) {
        Ok(content) => Ok(Some(content)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
