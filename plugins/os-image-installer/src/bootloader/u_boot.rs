//! U-Boot: its environment, through `fw_printenv` and `fw_setenv` of libubootenv or u-boot-tools.

use super::{Bootloader, order};
use crate::instructions::Slot;
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};
use farrier_plugin_sdk::{Command, Error, Exit, Host};

const PRINT: &str = "fw_printenv";
const SET: &str = "fw_setenv";

/// Where they are: Debian and Yocto have them in the one folder, Buildroot in the other.
const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/sbin"];

/// How long reading or writing the environment may take.
const TIME_LIMIT_MILLISECONDS: u32 = 60_000;

/// What `fw_printenv` says of a variable that is not there. Anything else is an error: an environment that cannot be
/// read is not an empty one.
const NOT_DEFINED: &str = "not defined";

/// A variable's value; `None` if it is not there.
pub fn get(host: &dyn Host, name: &str) -> Result<Option<String>, Error> {
    let exit = run(host, PRINT, &[name])?;
    if !exit.is_success() {
        let is_missing = !exit.timed_out && exit.error_output.contains(NOT_DEFINED);
        return if is_missing { Ok(None) } else { Err(failed(PRINT, name, &exit)) };
    }
    let mut lines = exit.output.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = value.ok_or_else(|| Error::Other(format!("{PRINT} {name} did not say `{name}=`")))?;
    Ok(Some(value.trim().to_owned()))
}

/// Sets a variable, if it has another value.
fn set(host: &dyn Host, name: &str, value: &str) -> Result<(), Error> {
    if get(host, name)?.as_deref() == Some(value) {
        return Ok(());
    }
    let exit = run(host, SET, &[name, value])?;
    if exit.is_success() { Ok(()) } else { Err(failed(SET, name, &exit)) }
}

/// Runs a program of U-Boot's, wherever it is.
fn run(host: &dyn Host, program: &str, arguments: &[&str]) -> Result<Exit, Error> {
    let mut reasons = Vec::new();
    for folder in FOLDERS {
        let path = format!("{folder}/{program}");
        let command = Command::new(&path).time_limit(TIME_LIMIT_MILLISECONDS);
        match host.run(&arguments.iter().fold(command, |command, argument| command.argument(*argument))) {
            // Whoever grants what is on the device grants one of the two.
            Err(Error::NotFound(reason) | Error::Denied(reason)) => reasons.push(reason),
            ended => return ended,
        }
    }
    Err(Error::Other(format!("{program} cannot be run: {}", reasons.join("; "))))
}

fn failed(program: &str, name: &str, exit: &Exit) -> Error {
    let said = exit.error_output.trim();
    let said = if said.is_empty() { exit.output.trim() } else { said };
    let why = match (exit.timed_out, said.is_empty()) {
        (true, _) => "it took too long",
        (false, true) => "it failed without a word",
        (false, false) => said,
    };
    Error::Other(format!("{program} {name}: {why}"))
}

/// `BOOT_ORDER` and `BOOT_<mark>_LEFT`: the order in which the slots are tried, and how often. U-Boot counts down at
/// every start.
pub struct Order<'a> {
    /// Starts before it gives up on a slot.
    pub attempts: u8,
    /// The slots, in the order in which a boot script tries them that was never told otherwise.
    pub slots: &'a [Slot<'a>],
}

const ORDER: &str = "BOOT_ORDER";

impl Order<'_> {
    fn order(&self, host: &dyn Host) -> Result<String, Error> {
        let slots = || order::with_first("", &self.slots.iter().map(Slot::mark).collect::<Vec<_>>());
        Ok(get(host, ORDER)?.unwrap_or_else(slots))
    }

    fn set_left(&self, host: &dyn Host, slot: &str, attempts: u8) -> Result<(), Error> {
        set(host, &format!("BOOT_{slot}_LEFT"), &attempts.to_string())
    }
}

impl Bootloader for Order<'_> {
    fn chosen(&self, host: &dyn Host) -> Result<Option<String>, Error> {
        Ok(order::first(&self.order(host)?).map(ToOwned::to_owned))
    }

    fn trial(&self, _: &dyn Host) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    fn retreat(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error> {
        // What is kept has to be bootable before the other one is not.
        self.set_left(host, to, self.attempts)?;
        let order = order::without(&self.order(host)?, from);
        set(host, ORDER, &order::with_first(&order, &[to]))?;
        self.set_left(host, from, 0)
    }

    fn advance(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error> {
        self.set_left(host, from, self.attempts)?;
        self.set_left(host, to, self.attempts)?;
        set(host, ORDER, &order::with_first(&self.order(host)?, &[to, from]))
    }

    fn mark_good(&self, host: &dyn Host, slot: &str) -> Result<(), Error> {
        self.set_left(host, slot, self.attempts)
    }

    fn describe(&self) -> String {
        format!("back after {} starts that are not marked as good", self.attempts)
    }
}

/// A variable for the slot, with U-Boot's boot count limit: while `upgrade_available` is 1, it counts `bootcount` up at
/// every start, and beyond `bootlimit` runs `altbootcmd`, which the board has defined to go back to the other slot.
pub struct Count<'a> {
    /// The variable.
    pub variable: &'a str,
}

const AVAILABLE: &str = "upgrade_available";
const COUNT: &str = "bootcount";

impl Bootloader for Count<'_> {
    fn chosen(&self, host: &dyn Host) -> Result<Option<String>, Error> {
        get(host, self.variable)
    }

    fn trial(&self, host: &dyn Host) -> Result<Option<bool>, Error> {
        Ok(Some(get(host, AVAILABLE)?.as_deref() == Some("1")))
    }

    fn retreat(&self, host: &dyn Host, _: &str, to: &str) -> Result<(), Error> {
        // As long as it still counts, it has to count from the beginning: `altbootcmd` would go back to what is given
        // up.
        if self.trial(host)? == Some(true) {
            set(host, COUNT, "0")?;
        }
        set(host, self.variable, to)?;
        set(host, AVAILABLE, "0")
    }

    fn advance(&self, host: &dyn Host, _: &str, to: &str) -> Result<(), Error> {
        // The slot comes last: it must never be started without being counted.
        set(host, COUNT, "0")?;
        set(host, AVAILABLE, "1")?;
        set(host, self.variable, to)
    }

    fn mark_good(&self, host: &dyn Host, _: &str) -> Result<(), Error> {
        set(host, AVAILABLE, "0")?;
        set(host, COUNT, "0")
    }

    fn describe(&self) -> String {
        "back by altbootcmd after bootlimit starts that are not marked as good".into()
    }
}
