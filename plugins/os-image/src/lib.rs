//! Which version of the operating system image the endpoint runs.
//!
//! A rule names a version of an image, the file in which the running system says its version, and the hardware that the
//! image is for. The update is
//!
//! - not required where the hardware is another, or, of a rule that names no hardware, where there is no version file:
//!   such an endpoint runs no image,
//! - installed where the running system is the rule's version or a newer one,
//! - required otherwise.
//!
//! Only the running system counts: an image that was written and waits for a restart is not installed. A device whose
//! hardware cannot be told is neither: the state is unknown, and nothing is installed.
//!
//! The files are those that devices have already, whatever has updated them so far:
//!
//! | | version | hardware |
//! |---|---|---|
//! | plain | `/etc/image-version` | `/etc/hardware` |
//! | systemd, Yocto | `/etc/os-release`, `IMAGE_VERSION` | |
//! | SWUpdate | `/etc/sw-versions`, the image's name | `/etc/hwrevision`: board, revision |
//! | RAUC | | `/etc/rauc/system.conf`, `compatible` |
//! | Mender | `/etc/mender/artifact_info`, `artifact_name` | `/var/lib/mender/device_type` |
//! | device tree | | `/proc/device-tree/compatible` |
#![no_std]

extern crate alloc;

mod hardware;
mod rule;
mod version;

pub use hardware::Hardware;
pub use rule::Image;
pub use version::{Running, Version};

use alloc::{borrow::ToOwned, format, string::String, vec, vec::Vec};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, Finding, Json, SharedFacts};

/// The catalog of its rules. Which hardware a rule is for is in the rule.
const SCOPE: &str = "os-image/any";

/// One look at an endpoint.
pub struct OsImage(SharedFacts);

impl Applicability for OsImage {
    type Rule<'a> = Json<Image<'a>>;

    fn scopes(_: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec![SCOPE.to_owned()])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(facts.clone()))
    }

    fn evaluate(&self, rule: &Self::Rule<'_>) -> Result<ComplianceState, Error> {
        self.look(rule).map(|finding| finding.state)
    }

    fn explain(&self, rule: &Self::Rule<'_>) -> Result<Vec<Finding>, Error> {
        Ok(vec![self.look(rule)?])
    }
}

impl OsImage {
    /// What decides, and how.
    fn look(&self, rule: &Image<'_>) -> Result<Finding, Error> {
        rule.check()?;
        if !rule.compatible.is_empty() {
            let hardware = Hardware::read(&*self.0, rule.hardware_file.as_deref())?;
            if !hardware.is_one_of(&rule.compatible) {
                let detail = format!("{} {} is for {}", rule.image, rule.version, rule.compatible.join(", "));
                let subject = format!("hardware {hardware}");
                return Ok(Finding { subject, state: ComplianceState::NotRequired, detail });
            }
        }
        let running = Running::read(&*self.0, &rule.version_file, rule.version_key.as_deref())?;
        let (state, detail) = match running {
            Running::Nothing if rule.compatible.is_empty() => {
                let file = &rule.version_file;
                (ComplianceState::NotRequired, format!("{file} is not there: this endpoint runs no image"))
            }
            Running::Nothing => {
                let (file, version) = (&rule.version_file, &rule.version);
                (ComplianceState::Required, format!("{file} is not there; {version} is offered"))
            }
            Running::Version(running) => running.compared_to(&rule.version),
        };
        Ok(Finding { subject: rule.image.as_ref().to_owned(), state, detail })
    }
}

#[cfg(feature = "component")]
farrier_plugin_sdk::export!(OsImage);
