//! What a policy says of how to install an image; `instructions.schema.json` says the same to editors.

use alloc::{borrow::Cow, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, serde::Deserialize};

/// Starts of the new slot before the boot loader falls back, if nothing is said: as RAUC's.
const DEFAULT_ATTEMPTS: u8 = 3;
/// Such starts, at most: one digit is the same in decimal and in hexadecimal, which U-Boot's counters are.
const MAX_ATTEMPTS: u8 = 9;
/// Characters of a slot's name or mark.
const MAX_MARK_BYTES: usize = 32;

/// An image. A key that is not known is an error: it may be `compatible`, misspelt.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Image<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub image: Cow<'a, str>,
    /// The version of the image.
    #[serde(borrow)]
    pub version: Cow<'a, str>,
    /// The file of the running system that says its version.
    #[serde(borrow)]
    pub version_file: Cow<'a, str>,
    /// The key of the version in that file; without one the version is all there is.
    #[serde(borrow, default)]
    pub version_key: Option<Cow<'a, str>>,
    /// The label of the image.
    #[serde(borrow)]
    pub content: Cow<'a, str>,
    /// The hardware it is for; any, if none is named.
    #[serde(borrow, default)]
    pub compatible: Vec<Cow<'a, str>>,
    /// The file that says which hardware this is.
    #[serde(borrow, default)]
    pub hardware_file: Option<Cow<'a, str>>,
    /// The two slots.
    #[serde(borrow)]
    pub slots: Vec<Slot<'a>>,
    /// What tells which slot is running.
    #[serde(borrow)]
    pub active: Active<'a>,
    /// How the boot loader is told.
    #[serde(borrow)]
    pub switch: Switch<'a>,
}

/// A slot.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
pub struct Slot<'a> {
    /// What people call it.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// The block device or the file that is written.
    #[serde(borrow)]
    pub device: Cow<'a, str>,
    /// What the boot loader calls it, if not by its name.
    #[serde(borrow, default)]
    pub mark: Option<Cow<'a, str>>,
    /// What `root=` says when it runs, if not its device.
    #[serde(borrow, default)]
    pub root: Option<Cow<'a, str>>,
}

/// What tells which slot is running.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Active<'a> {
    /// The value of this key on the kernel command line.
    Cmdline(#[serde(borrow)] Cow<'a, str>),
    /// The only line of this file.
    File(#[serde(borrow)] Cow<'a, str>),
    /// The value of this variable of U-Boot's environment.
    UBoot(#[serde(borrow)] Cow<'a, str>),
}

/// How the boot loader is told.
#[derive(Debug, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Switch<'a> {
    /// `BOOT_ORDER` and `BOOT_<mark>_LEFT` of U-Boot's environment.
    UBootOrder {
        /// Starts of the new slot before the boot loader falls back.
        #[serde(default = "default_attempts")]
        attempts: u8,
    },
    /// A variable of U-Boot's environment, with its boot count limit.
    UBootCount {
        /// The variable; its value is the slot's mark.
        #[serde(borrow)]
        variable: Cow<'a, str>,
    },
    /// `ORDER`, `<mark>_OK` and `<mark>_TRY` of GRUB's environment block.
    GrubOrder {
        /// The file of the block.
        #[serde(borrow, default = "default_environment")]
        environment: Cow<'a, str>,
    },
    /// A text file for a boot script.
    File {
        /// The file.
        #[serde(borrow)]
        path: Cow<'a, str>,
        /// Starts of the new slot before the boot script falls back.
        #[serde(default = "default_attempts")]
        attempts: u8,
    },
}

fn default_attempts() -> u8 {
    DEFAULT_ATTEMPTS
}

fn default_environment<'a>() -> Cow<'a, str> {
    Cow::Borrowed("/boot/grub/grubenv")
}

impl Image<'_> {
    /// Whether all of it can be done.
    ///
    /// # Errors
    /// The first thing that cannot.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.problem()
            .map_or(Ok(()), |problem| Err(Error::Invalid(format!("the instructions of {}: {problem}", self.image))))
    }

    fn problem(&self) -> Option<String> {
        if self.version.is_empty() || self.version.trim() != self.version {
            return Some("`version` is empty or has blanks around it".into());
        }
        if self.compatible.iter().any(|name| name.trim().is_empty()) {
            return Some("`compatible` has an empty name".into());
        }
        if self.hardware_file.is_some() && self.compatible.is_empty() {
            return Some("`hardware_file` says nothing without `compatible`".into());
        }
        let [one, other] = self.slots.as_slice() else {
            return Some(format!("there have to be two `slots`, not {}", self.slots.len()));
        };
        if one.name == other.name || one.mark() == other.mark() || one.device == other.device {
            return Some("the two `slots` have the same name, mark or device".into());
        }
        self.slots.iter().find_map(Slot::problem).or_else(|| self.switch.problem())
    }
}

impl Slot<'_> {
    /// What the boot loader calls it.
    #[must_use]
    pub fn mark(&self) -> &str {
        self.mark.as_deref().unwrap_or(&self.name)
    }

    fn problem(&self) -> Option<String> {
        if let Some(bad) = [&*self.name, self.mark()].into_iter().find(|mark| !is_mark(mark)) {
            return Some(format!("{bad:?} is no name of a slot: use letters, digits, `_`, `.` and `-`"));
        }
        (!is_path(&self.device)).then(|| format!("the device {:?} is no absolute path", self.device))
    }
}

impl Switch<'_> {
    fn problem(&self) -> Option<String> {
        let attempts = |attempts: &u8| {
            let is_good = (1..=MAX_ATTEMPTS).contains(attempts);
            (!is_good).then(|| format!("`attempts` has to be 1 to {MAX_ATTEMPTS}, not {attempts}"))
        };
        let path = |path: &str| (!is_path(path)).then(|| format!("{path:?} is no absolute path"));
        match self {
            Self::UBootOrder { attempts: number } => attempts(number),
            Self::UBootCount { variable } => {
                let is_good = is_mark(variable) && (variable.ends_with("_part") || variable.ends_with("_slot"));
                (!is_good).then(|| format!("`variable` has to end in `_part` or `_slot`: {variable:?}"))
            }
            Self::GrubOrder { environment } => path(environment),
            Self::File { path: file, attempts: number } => path(file).or_else(|| attempts(number)),
        }
    }
}

/// Whether this can be a value of a boot loader's variable, and a part of a variable's name, without meaning anything
/// else.
fn is_mark(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    text.len() <= MAX_MARK_BYTES
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.bytes().all(is_inner)
}

fn is_path(text: &str) -> bool {
    let parts = |path: &str| path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    !text.contains(char::is_control) && text.strip_prefix('/').is_some_and(parts)
}
