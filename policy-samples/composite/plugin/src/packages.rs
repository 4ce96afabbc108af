//! The installed Debian packages.

use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};
use farrier_plugin_sdk::{Error, Facts};

const STATUS: &str = "/var/lib/dpkg/status";

/// Names and versions of the packages that dpkg has installed.
pub(crate) struct Packages(BTreeMap<String, String>);

impl Packages {
    /// Reads dpkg's status; where there is none, no package is installed.
    pub fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let mut packages = BTreeMap::new();
        let mut lines = match facts.lines(STATUS) {
            Err(Error::NotFound(_)) => return Ok(Self(packages)),
            lines => lines?,
        };
        let (mut name, mut installed, mut version) = (String::new(), false, String::new());
        loop {
            let line = lines.next()?.map(String::from_utf8_lossy);
            match line.as_deref().map(|line| line.split_once(": ")) {
                Some(Some(("Package", value))) => name = value.to_owned(),
                // `install ok installed`: the last word is what it is, not what it should be.
                Some(Some(("Status", value))) => installed = value.ends_with(" installed"),
                Some(Some(("Version", value))) => version = value.to_owned(),
                // An empty line or the end of the file ends a package.
                Some(None) if line.as_deref() != Some("") => {}
                Some(None) | None => {
                    if installed {
                        packages.insert(core::mem::take(&mut name), core::mem::take(&mut version));
                    }
                    installed = false;
                    if line.is_none() {
                        return Ok(Self(packages));
                    }
                }
                Some(Some(_)) => {}
            }
        }
    }

    /// The version of an installed package.
    pub fn version(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}
