//! What people read.

use crate::{
    installed::{Installed, Package},
    is_unfinished, state_of,
};
use alloc::{format, string::String, vec::Vec};
use farrier_dpkg_rules::{Binary, Condition, Rule};
use farrier_plugin_sdk::{ComplianceState, Finding};

/// Packages that are named where none is installed, at most.
const NAMED_PACKAGES: usize = 3;

/// Why the binary of an update has its state beside the installed package.
pub fn finding(installed: &Installed, binary: &Binary<'_>, package: &Package) -> Finding {
    let state = state_of(binary, package);
    let (have, offered) = (text(&package.version), text(binary.version));
    let reason = match state {
        ComplianceState::Required if is_unfinished(binary, package) => [&have, " is there, but not finished", ""],
        ComplianceState::Required => [&have, " is older than ", &offered],
        ComplianceState::NotRequired => [&have, " is installed; only who chose its suite is offered ", &offered],
        ComplianceState::Installed | ComplianceState::Unknown => [&have, " is installed", ""],
    };
    let mut detail = reason.concat();
    let remarks = [
        (package.architecture != installed.native(), installed.architecture_name(package.architecture)),
        (package.status.condition != Condition::Installed, package.status.condition.as_str()),
        (package.status.on_hold, "on hold"),
    ];
    for (_, remark) in remarks.iter().filter(|(applies, _)| *applies) {
        detail.extend([" (", remark, ")"]);
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
