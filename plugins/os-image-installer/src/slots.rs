//! The two slots: which one is running, and which one may be written.

use crate::{
    bootloader::u_boot,
    instructions::{Active, Image, Slot, Switch},
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
    pub fn find(host: &dyn Host, image: &'a Image<'_>) -> Result<Self, Error> {
        let [one, other] = image.slots.as_slice() else {
            return Err(Error::Invalid("there have to be two `slots`".into()));
        };
        let running = running(host, image)?;
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

fn running<'a>(host: &dyn Host, image: &'a Image<'_>) -> Result<&'a Slot<'a>, Error> {
    let (value, by_root) = match &image.active {
        Active::Cmdline(key) => {
            let value = value_if_there(host, key)?;
            let value = value.ok_or_else(|| {
                Error::Other(format!("the kernel command line has no `{key}=`, which is to tell the running slot"))
            })?;
            (value, key == "root")
        }
        Active::File(path) => (host.read_text(path)?.trim().to_string(), false),
        Active::UBoot(variable) => (of_u_boot(host, image, variable)?, false),
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

/// The slot that is mounted as `/`; `None` if what is mounted there is none.
fn by_mount<'a>(facts: &dyn Facts, image: &'a Image<'_>) -> Result<Option<&'a Slot<'a>>, Error> {
    let mounts = mounts(facts)?;
    // The last one is on top.
    let root = mounted(&mounts).filter(|(_, folder)| *folder == "/").last();
    Ok(root.and_then(|(device, _)| image.slots.iter().find(|slot| slot.device == device)))
}

/// The mark of the running slot by a variable of U-Boot's. The one that chooses a slot says what will be started: between
/// a switch, also one back, and the restart that is another slot than the one that is running, and not even the version
/// that is running tells which of the two that is.
fn of_u_boot(host: &dyn Host, image: &Image<'_>, variable: &str) -> Result<String, Error> {
    if matches!(&image.switch, Switch::UBootCount { variable: chosen } if chosen == variable) {
        let slot = by_root(host, image)?.map_or_else(|| by_mount(host, image), |slot| Ok(Some(slot)))?;
        return slot.map(|slot| slot.mark().to_owned()).ok_or_else(|| {
            Error::Other(format!(
                "`{variable}` says which slot will be started, not which one is running, and neither `root=` on the kernel \
                 command line nor what is mounted as / is a slot: let `active` name what tells the running slot"
            ))
        });
    }
    u_boot::get(host, variable)?.ok_or_else(|| {
        Error::Other(format!("U-Boot's environment has no `{variable}`, which is to tell the running slot"))
    })
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
    match mounted(&mounts(facts)?).find(|(device, _)| *device == slot.device) {
        None => Ok(()),
        Some((device, folder)) => {
            Err(Error::Other(format!("slot {} ({device}) is mounted at {folder}: unmount it", slot.name)))
        }
    }
}

fn mounts(facts: &dyn Facts) -> Result<String, Error> {
    match facts.read_text(MOUNTS) {
        Err(Error::NotFound(_)) => Ok(String::new()),
        mounts => mounts,
    }
}

/// The devices that are mounted, each with its folder.
fn mounted(mounts: &str) -> impl Iterator<Item = (&str, &str)> {
    mounts.lines().filter_map(|line| {
        let (device, rest) = line.split_once(' ')?;
        Some((device, rest.split(' ').next().unwrap_or_default()))
    })
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
