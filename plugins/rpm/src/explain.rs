//! What people read.

use crate::{
    NOARCH,
    installed::{Installed, Package},
    rule::{Rule, Wanted},
    state_of,
};
use alloc::{borrow::ToOwned, format, string::ToString, vec::Vec};
use farrier_plugin_sdk::{ComplianceState, Finding};

/// Packages that are named where none is installed, at most.
const NAMED_PACKAGES: usize = 3;

/// Why an offered package has its state beside the installed one, and so many older ones beside that.
pub fn finding(installed: &Installed, wanted: &Wanted<'_>, package: &Package, beside: usize) -> Finding {
    let state = state_of(wanted, package);
    let (have, offered) = (&package.evr, &wanted.evr);
    let mut detail = match state {
        ComplianceState::Required => format!("{have} is older than {offered}"),
        ComplianceState::Installed | ComplianceState::NotRequired | ComplianceState::Unknown => {
            format!("{have} is installed")
        }
    };
    if beside > 0 {
        detail.push_str(&format!(", the newest of {} versions", beside + 1));
    }
    if Some(&*package.architecture) != installed.native() && &*package.architecture != NOARCH {
        detail.push_str(&format!(" ({})", package.architecture));
    }
    Finding { subject: package.name.to_string(), state, detail }
}

/// Why an update of which no package is installed is not required.
pub fn nothing_installed(rule: &Rule<'_>) -> Finding {
    let named: Vec<&str> = rule.packages.iter().map(|wanted| &*wanted.name).take(NAMED_PACKAGES).collect();
    let mut subject = named.join(", ");
    match rule.packages.len() - named.len() {
        0 => {}
        more => subject = format!("{subject} and {more} more"),
    }
    let detail = "none of its packages is installed".to_owned();
    Finding { subject, state: ComplianceState::NotRequired, detail }
}
