//! GRUB: its environment block, a file of 1024 bytes with lines `NAME=value` behind a heading, filled up with `#`.

use super::{Bootloader, order};
use alloc::{borrow::ToOwned, format, string::String, vec::Vec};
use farrier_plugin_sdk::{Error, Host};

/// What a block begins with (`GRUB_ENVBLK_SIGNATURE`).
const HEADING: &str = "# GRUB Environment Block\n";
/// What it is filled up with.
const FILLER: char = '#';
/// The mode of a new block.
const MODE: u32 = 0o644;
const ORDER: &str = "ORDER";

/// `ORDER`, `<mark>_OK` and `<mark>_TRY`: a slot is started if it is OK and was not tried; starting it sets TRY.
pub struct Grub<'a> {
    /// The file of the block.
    pub path: &'a str,
}

/// The lines of a block, and how long it is. Values are kept as they are written, with GRUB's backslashes.
struct Block {
    lines: Vec<String>,
    bytes: usize,
}

impl Block {
    fn read(host: &dyn Host, path: &str) -> Result<Self, Error> {
        let text = host.read_text(path)?;
        Self::parse(&text).ok_or_else(|| {
            Error::Invalid(format!(
                "{path} is no environment block of GRUB's: make one with `grub-editenv {path} create`"
            ))
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let lines = text.strip_prefix(HEADING)?.trim_end_matches(FILLER).lines();
        Some(Self { lines: lines.map(ToOwned::to_owned).collect(), bytes: text.len() })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    fn set(&mut self, name: &str, value: &str) {
        let line = format!("{name}={value}");
        let is_it = |line: &&mut String| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
        match self.lines.iter_mut().find(is_it) {
            Some(known) => *known = line,
            None => self.lines.push(line),
        }
    }

    fn set_state(&mut self, slot: &str, is_ok: bool) {
        self.set(&format!("{slot}_OK"), if is_ok { "1" } else { "0" });
        self.set(&format!("{slot}_TRY"), "0");
    }

    /// The bytes of the block, as many as before; `None` if it is full.
    fn text(&self) -> Option<String> {
        let mut text = String::from(HEADING);
        for line in &self.lines {
            text.push_str(line);
            text.push('\n');
        }
        let filler = self.bytes.checked_sub(text.len())?;
        text.extend(core::iter::repeat_n(FILLER, filler));
        Some(text)
    }
}

impl Grub<'_> {
    /// Changes the block, at once.
    fn change(&self, host: &dyn Host, change: impl FnOnce(&mut Block)) -> Result<(), Error> {
        let mut block = Block::read(host, self.path)?;
        let before = block.text();
        change(&mut block);
        let after = block.text().ok_or_else(|| {
            Error::TooLarge(format!("{} has {} bytes, and no room for the variables of slots", self.path, block.bytes))
        })?;
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let mode = host.stat(self.path).map_or(MODE, |status| status.mode & 0o777);
        let (folder, name) = self.path.rsplit_once('/').unwrap_or(("", self.path));
        host.folder(if folder.is_empty() { "/" } else { folder })?.replace(name, after.as_bytes(), mode)
    }
}

impl Bootloader for Grub<'_> {
    fn chosen(&self, host: &dyn Host) -> Result<Option<String>, Error> {
        let block = Block::read(host, self.path)?;
        Ok(block.get(ORDER).and_then(order::first).map(ToOwned::to_owned))
    }

    fn trial(&self, _: &dyn Host) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    fn retreat(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error> {
        self.change(host, |block| {
            let order = order::with_first(block.get(ORDER).unwrap_or_default(), &[to]);
            // It stays in the order, at the end, as RAUC leaves it: what is not OK is not started.
            let rest = order::without(&order, from);
            block.set(ORDER, &format!("{rest} {from}"));
            block.set_state(to, true);
            block.set_state(from, false);
        })
    }

    fn advance(&self, host: &dyn Host, from: &str, to: &str) -> Result<(), Error> {
        self.change(host, |block| {
            let order = order::with_first(block.get(ORDER).unwrap_or_default(), &[to, from]);
            block.set(ORDER, &order);
            block.set_state(from, true);
            block.set_state(to, true);
        })
    }

    fn mark_good(&self, host: &dyn Host, slot: &str) -> Result<(), Error> {
        self.change(host, |block| block.set_state(slot, true))
    }

    fn describe(&self) -> String {
        "back after a start that is not marked as good".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &str) -> String {
        format!("{HEADING}{lines}{}", "#".repeat(1024 - HEADING.len() - lines.len()))
    }

    #[test]
    fn a_block_stays_as_it_is_but_for_what_is_set() {
        let text = block("saved_entry=0\nB_OK=0\nnote=a\\\\b # c\n");
        let mut read = Block::parse(&text).unwrap();
        assert_eq!(read.text().unwrap(), text);
        assert_eq!((read.get("B_OK"), read.get("B"), read.get("A_OK")), (Some("0"), None, None));
        read.set("B_OK", "1");
        read.set("A_OK", "1");
        assert_eq!(read.text().unwrap(), block("saved_entry=0\nB_OK=1\nnote=a\\\\b # c\nA_OK=1\n"));
        read.set("long", &"x".repeat(1000));
        assert_eq!(read.text(), None);
    }

    #[test]
    fn what_is_no_block_is_not_taken_for_an_empty_one() {
        assert!(Block::parse("").is_none());
        assert!(Block::parse("ORDER=A B\n").is_none());
    }
}
