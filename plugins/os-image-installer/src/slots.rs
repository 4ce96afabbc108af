//! The two slots: which one is running, and which one may be written.

use crate::{
    bootloader::{Bootloader, u_boot},
    instructions::{Active, Image, Slot, Switch},
    is_running,
};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
};
use farrier_plugin_sdk::{Error, Facts, Host};

const CMDLINE: &str = "/proc/cmdline";
const MOUNTS: &str = "/proc/mounts";

/// How `root=` may name a device that has links in a folder.
const ROOT_KINDS: [(&str, &str); 4] = [
    ("PARTUUID=", "/dev/disk/by-partuuid/"),
    ("PARTLABEL=", "/dev/disk/by-partlabel/"),
    ("UUID=", "/dev/disk/by-uuid/"),
    ("LABEL=", "/dev/disk/by-label/"),
];

/// The slots of an endpoint.
pub struct Slots<'a> {
    running: &'a Slot<'a>,
    other: &'a Slot<'a>,
}

impl<'a> Slots<'a> {
    /// Finds out which slot is running. An error if that is not certain.
    pub fn find(host: &dyn Host, image: &'a Image<'_>, bootloader: &dyn Bootloader) -> Result<Self, Error> {
        let [one, other] = image.slots.as_slice() else {
            return Err(Error::Invalid("there have to be two `slots`".into()));
        };
        let running = running(host, image, bootloader)?;
        if let Some(slot) = by_root(host, image)?
            && slot.name != running.name
        {
            return Err(Error::Other(format!(
                "slot {} is said to be running, but `root=` on the kernel command line is slot {}: nothing is changed",
                running.name, slot.name
            )));
        }
        let other = if running.name == one.name { other } else { one };
        Ok(Self { running, other })
    }

    /// The one that is running. It is never written.
    pub fn running(&self) -> &'a Slot<'a> {
        self.running
    }

    /// The one that is not.
    pub fn other(&self) -> &'a Slot<'a> {
        self.other
    }
}

fn running<'a>(host: &dyn Host, image: &'a Image<'_>, bootloader: &dyn Bootloader) -> Result<&'a Slot<'a>, Error> {
    let (value, by_root) = match &image.active {
        Active::Cmdline(key) => {
            let value = value_if_there(host, key)?;
            let value = value.ok_or_else(|| {
                Error::Other(format!("the kernel command line has no `{key}=`, which is to tell the running slot"))
            })?;
            (value, key == "root")
        }
        Active::File(path) => (host.read_text(path)?.trim().to_string(), false),
        Active::UBoot(variable) => (of_u_boot(host, image, bootloader, variable)?, false),
    };
    let is_it = |slot: &&Slot<'_>| if by_root { slot.is_root(&value) } else { slot.mark() == value };
    image.slots.iter().find(is_it).ok_or_else(|| {
        let names: alloc::vec::Vec<&str> = image.slots.iter().map(|slot| &*slot.name).collect();
        Error::Other(format!("the running slot is {value:?}, which is none of {}", names.join(" and ")))
    })
}

/// The slot that `root=` on the kernel command line names; `None` if it names none.
fn by_root<'a>(facts: &dyn Facts, image: &'a Image<'_>) -> Result<Option<&'a Slot<'a>>, Error> {
    let root = value_if_there(facts, "root")?;
    Ok(root.and_then(|root| image.slots.iter().find(|slot| slot.is_root(&root))))
}

/// The mark of the running slot by a variable of U-Boot's. If that is the one by which a slot is chosen, it says what
/// will be started; during a trial the slot that is running may be the other one.
fn of_u_boot(host: &dyn Host, image: &Image<'_>, bootloader: &dyn Bootloader, variable: &str) -> Result<String, Error> {
    let value = u_boot::get(host, variable)?;
    let value = value.ok_or_else(|| {
        Error::Other(format!("U-Boot's environment has no `{variable}`, which is to tell the running slot"))
    })?;
    let chooses = matches!(&image.switch, Switch::UBootCount { variable: chosen } if chosen == variable);
    if chooses && bootloader.trial(host)? == Some(true) && !is_running(host, image)? {
        if let Some(slot) = by_root(host, image)? {
            return Ok(slot.mark().to_owned());
        }
        return Err(Error::Other(format!(
            "slot {value} is on trial, and `{variable}` does not tell whether it is running: restart the machine, or tell \
             the running slot by the kernel command line"
        )));
    }
    Ok(value)
}

impl Slot<'_> {
    /// Whether `root=` with this value is this slot.
    fn is_root(&self, value: &str) -> bool {
        if self.root.as_deref().unwrap_or(&self.device) == value || self.device == value {
            return true;
        }
        let mut kinds = ROOT_KINDS.iter();
        kinds.any(|(kind, folder)| {
            let names = value.strip_prefix(kind).zip(self.device.strip_prefix(folder));
            names.is_some_and(|(one, other)| one == other)
        })
    }
}

/// The value of a key on the kernel command line. The last one counts, as for the kernel.
fn value_if_there(facts: &dyn Facts, key: &str) -> Result<Option<String>, Error> {
    let text = match facts.read_text(CMDLINE) {
        Ok(text) => text,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(value(&text, key).map(ToOwned::to_owned))
}

fn value<'a>(cmdline: &'a str, key: &str) -> Option<&'a str> {
    // What follows `--` is for init.
    let words = cmdline.split_ascii_whitespace().take_while(|word| *word != "--");
    let values = words.filter_map(|word| word.trim_matches('"').strip_prefix(key)?.strip_prefix('='));
    values.last().map(|value| value.trim_matches('"'))
}

/// An error if a slot is in use.
pub fn check_not_mounted(facts: &dyn Facts, slot: &Slot<'_>) -> Result<(), Error> {
    let mounts = match facts.read_text(MOUNTS) {
        Ok(mounts) => mounts,
        Err(Error::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut words = mounts.lines().map(|line| line.split(' '));
    let folder = words.find_map(|mut words| (words.next() == Some(&*slot.device)).then(|| words.next()));
    match folder {
        None => Ok(()),
        Some(folder) => Err(Error::Other(format!(
            "slot {} ({}) is mounted at {}: unmount it",
            slot.name,
            slot.device,
            folder.unwrap_or("some folder")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::value;

    #[test]
    fn the_last_value_of_a_key_counts() {
        let cmdline = "console=ttyS0 root=/dev/a \"root=/dev/b\" rauc.slot=A quiet xroot=/dev/c -- root=/dev/d\n";
        for (key, expected) in [
            ("root", Some("/dev/b")),
            ("rauc.slot", Some("A")),
            ("quiet", None),
            ("rauc", None),
            ("", None),
            ("xroot", Some("/dev/c")),
        ] {
            assert_eq!(value(cmdline, key), expected, "{key}");
        }
        assert_eq!(value("a=\"b\"", "a"), Some("b"));
    }
}
