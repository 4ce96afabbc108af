//! A text file for a boot script: `slot=B`, and while that is on trial `fallback=A` and `tries=3`. U-Boot reads it with
//! `env import -t`, a shell with `.`. The script counts `tries` down at every start, and at 0 starts the fallback. All
//! of it is replaced at once, so it never says one half of two things.

use super::Bootloader;
use alloc::{borrow::ToOwned, format, string::String};
use farrier_plugin_sdk::{Error, Host};

/// The mode of the file.
const MODE: u32 = 0o644;

/// The file.
pub struct File<'a> {
    /// Its path.
    pub path: &'a str,
    /// Starts before the script falls back.
    pub attempts: u8,
}

impl File<'_> {
    fn read(&self, host: &dyn Host) -> Result<Option<String>, Error> {
        match host.read_text(self.path) {
            Ok(text) => Ok(Some(text)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn replace(&self, host: &dyn Host, text: &str) -> Result<(), Error> {
        if self.read(host)?.as_deref() == Some(text) {
            return Ok(());
        }
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", self.path));
        host.folder(if folder.is_empty() { "/" } else { folder })?.replace(name, text.as_bytes(), MODE)
    }
}

impl Bootloader for File<'_> {
    fn chosen(&self, host: &dyn Host) -> Result<Option<String>, Error> {
        let text = self.read(host)?.unwrap_or_default();
        let of_key = text.lines().find_map(|line| line.trim().strip_prefix("slot="));
        // A file that nobody has switched yet may be the slot and nothing else.
        let plain = Some(text.trim()).filter(|text| !text.is_empty() && !text.contains(['=', '\n']));
        Ok(of_key.or(plain).map(|slot| slot.trim().to_owned()))
    }

    fn trial(&self, host: &dyn Host) -> Result<Option<bool>, Error> {
        let text = self.read(host)?.unwrap_or_default();
        Ok(Some(text.lines().any(|line| line.trim().starts_with("fallback="))))
    }

    fn retreat(&self, host: &dyn Host, _: &str, to: &str) -> Result<(), Error> {
        self.replace(host, &format!("slot={to}\n"))
    }

    fn advance(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error> {
        self.replace(host, &format!("slot={to}\nfallback={from}\ntries={}\n", self.attempts))
    }

    fn mark_good(&self, host: &dyn Host, slot: &str) -> Result<(), Error> {
        self.replace(host, &format!("slot={slot}\n"))
    }

    fn describe(&self) -> String {
        format!("back after {} starts that are not marked as good", self.attempts)
    }
}
