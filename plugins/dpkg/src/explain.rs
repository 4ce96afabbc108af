//! What people read.

use crate::{
    installed::{Installed, Package},
    state_of,
    status::Condition,
};
use alloc::{format, string::String, vec::Vec};
use farrier_dpkg_rules::{Binary, Rule};
use farrier_plugin_sdk::{ComplianceState, Finding};

/// Packages that are named where none is installed, at most.
const NAMED_PACKAGES: usize = 3;

/// Why the binary of an update has its state beside the installed package.
pub fn finding(installed: &Installed, binary: &Binary<'_>, package: &Package) -> Finding {
    let state = state_of(binary, package);
    let have = text(&package.version);
    let mut detail = match state {
        ComplianceState::Required => format!("{have} is older than {}", text(binary.version)),
        ComplianceState::NotRequired => {
            format!("{have} is installed; {} is offered only to those who have chosen its suite", text(binary.version))
        }
        ComplianceState::Installed | ComplianceState::Unknown => format!("{have} is installed"),
    };
    if package.architecture != installed.native() {
        detail = format!("{detail} ({})", installed.architecture_name(package.architecture));
    }
    if package.condition != Condition::Installed {
        detail = format!("{detail} ({})", package.condition.as_str());
    }
    if package.on_hold {
        detail.push_str(" (on hold)");
    }
    Finding { subject: text(&package.name), state, detail }
}

/// Why an update of which no package is installed is not required.
pub fn nothing_installed(rule: &Rule<'_>) -> Finding {
    let mut names = rule.binaries().flatten().map(|binary| text(binary.name));
    let mut subject = names.by_ref().take(NAMED_PACKAGES).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => {}
        more => subject = format!("{subject} and {more} more"),
    }
    let detail = String::from("none of its packages is installed");
    Finding { subject, state: ComplianceState::NotRequired, detail }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
