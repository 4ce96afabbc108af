//! Writes an operating system image into the slot that is not running, verifies it, and switches.
//!
//! # The line
//!
//! 1. *Refuse* what cannot go well: other hardware, an image larger than the slot, a slot that is running or mounted,
//!    and a device of which it is not certain which slot is running.
//! 2. *Retreat*: the boot loader is told to start the running slot and nothing else, before the first byte is written.
//!    From here on a power cut starts what runs now.
//! 3. *Write* the image in pieces, bring it to the medium, and read it back: its digest has to be the one that was
//!    signed.
//! 4. *Advance*: the boot loader is told to try the new slot, so often, and to fall back to the running one.
//! 5. *Restart*, which the agent does in its window.
//! 6. *Finish*, when a scan of the restarted system says it is the new version: the new slot is marked as good. Nobody
//!    does that if the system does not start, or starts and does not scan: the boot loader's counter runs out, and it
//!    falls back by itself.
//!
//! The retreat also ends the trial of the running slot, if it is on one that nobody finished: it has started, and its
//! agent has fetched the next image, so it is what to fall back to from now on.
//!
//! A roll-back retreats: from the new slot to the old one, with a restart, if the new one is running; and otherwise by
//! making sure that it will not be started.
//!
//! # The boot loaders
//!
//! | `switch` | known from | on trial |
//! |---|---|---|
//! | `u-boot-order` | RAUC's boot script, U-Boot's RAUC bootmeth | `BOOT_B_LEFT=3`, `BOOT_ORDER=B A` |
//! | `u-boot-count` | U-Boot's boot count limit, SWUpdate | `bootcount=0`, `upgrade_available=1`, `boot_part=3` |
//! | `grub-order` | RAUC's grub.cfg | `ORDER=B A`, `B_OK=1`, `B_TRY=0` |
//! | `file` | a boot script of your own | `slot=B`, `fallback=A`, `tries=3` |
//!
//! | `switch` | marked as good | never started |
//! |---|---|---|
//! | `u-boot-order` | `BOOT_B_LEFT=3` | `BOOT_ORDER=A`, `BOOT_B_LEFT=0` |
//! | `u-boot-count` | `upgrade_available=0`, `bootcount=0` | `boot_part=2`, `upgrade_available=0` |
//! | `grub-order` | `B_OK=1`, `B_TRY=0` | `ORDER=A B`, `B_OK=0`, `B_TRY=0` |
//! | `file` | `slot=B` | `slot=A` |
//!
//! U-Boot's variables are set one by one, in an order in which a power cut between any two of them starts a slot that
//! is whole. `fw_setenv` could set several at once from a script on its standard input, but who may run that may set
//! any variable: a grant of it would be no limit. For the same reason Mender's pair of variables, which have to change
//! together, is not supported. Each single variable changes at once only if U-Boot has a redundant environment
//! (`CONFIG_SYS_REDUNDAND_ENVIRONMENT`): without one no updater is safe. GRUB's environment block is a file of 1024
//! bytes; it is replaced at once here, where `grub-editenv` empties and writes it.
//!
//! The two that count *every* start (`u-boot-order`, `grub-order`) need a service of the system that marks the running
//! slot as good at each start, as `rauc-mark-good.service` does; the other two count during a trial only, and need
//! nothing.
//!
//! # Which slot is running
//!
//! `rauc.slot=` or `root=` of the kernel command line cannot be wrong and is what to use. A file has to say what was
//! started. A variable of U-Boot that a boot script sets to what it started is as good; the one that chooses the slot
//! says what will be started next, which is another one until the restart: in its place `root=` tells, or what is
//! mounted as `/`, and where neither does, nothing is done. Whatever is used, a `root=` that names the other slot is a
//! contradiction, and nothing is written.
//!
//! Raw flash (MTD, UBI) is not supported, and neither are compressed images: what is signed is what is written.
#![no_std]

extern crate alloc;

mod bootloader;
mod image;
mod instructions;
mod slots;

pub use instructions::{Active, Image, Slot, Switch};

use alloc::{format, string::String, vec, vec::Vec};
use bootloader::Bootloader;
use farrier_plugin_os_image::{Hardware, Running};
use farrier_plugin_sdk::{
    Blob, Change, Entry, Error, Facts, Host, Installer, Json, Options, Outcome, RestartSubject, Selection, Update,
};
use slots::Slots;

/// The installer of operating system images.
pub struct OsImageInstaller;

impl Installer for OsImageInstaller {
    type Instructions<'a> = Json<Image<'a>>;

    /// The image, unless it is running already. An image for other hardware is refused before it is downloaded.
    fn select(facts: &dyn Facts, update: &Update, image: &Self::Instructions<'_>) -> Result<Selection, Error> {
        image.check()?;
        let (position, _) = entry(image, update)?;
        check_hardware(facts, image)?;
        let contents = if is_running(facts, image)? { Vec::new() } else { vec![position] };
        Ok(Selection { contents, previous: Vec::new() })
    }

    fn plan(
        host: &dyn Host,
        update: &Update,
        image: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Vec<Change>, Error> {
        let Some(work) = Work::prepare(host, update, image, contents)? else { return Ok(Vec::new()) };
        let (from, to) = (work.slots.running(), work.slots.other());
        let change = |action: &str, subject: String, detail: String| Change { subject, action: action.into(), detail };
        let written = format!("{} {}, {} bytes to {}", image.image, image.version, work.blob.length(), to.device);
        let switched = format!("from slot {} to slot {}, {}", from.name, to.name, work.bootloader.describe());
        Ok(vec![
            change("write", format!("slot {}", to.name), written),
            change("switch", "boot loader".into(), switched),
            change("restart", "machine".into(), format!("into slot {}", to.name)),
        ])
    }

    fn install(
        host: &dyn Host,
        update: &Update,
        image: &Self::Instructions<'_>,
        contents: &[Blob<'_>],
        _: &Options,
    ) -> Result<Outcome, Error> {
        let Some(work) = Work::prepare(host, update, image, contents)? else {
            return Ok(Outcome { notes: vec![format!("{} {} is running already", image.image, image.version)] });
        };
        let (from, to) = (work.slots.running(), work.slots.other());
        let was_chosen = work.bootloader.chosen(host)?.as_deref() == Some(to.mark());
        work.bootloader.retreat(host, to.mark(), from.mark())?;
        let mut notes = Vec::new();
        // An earlier installation may have come this far: before a restart that did not happen, or one that fell back.
        if was_chosen && image::is_in(host, to, work.blob)? {
            notes.push(format!("slot {} held the image already", to.name));
        } else {
            image::write(host, image, to, work.blob)?;
        }
        host.report(&format!("Switching to slot {}", to.name));
        work.bootloader.advance(host, from.mark(), to.mark())?;
        if work.bootloader.chosen(host)?.as_deref() != Some(to.mark()) {
            return Err(Error::Other(format!(
                "the boot loader was told to start slot {}, and does not say so",
                to.name
            )));
        }
        let reason = format!("{} {} was written to slot {}", image.image, image.version, to.name);
        host.request_restart(RestartSubject::Machine, &reason);
        Ok(Outcome { notes })
    }

    fn finish(host: &dyn Host, _: &Update, image: &Self::Instructions<'_>) -> Result<Outcome, Error> {
        image.check()?;
        if !is_running(host, image)? {
            return Err(Error::Other(format!(
                "{} {} is not what is running: its slot is not marked as good, and the boot loader will fall back",
                image.image, image.version
            )));
        }
        let bootloader = bootloader::of(image);
        let slots = Slots::find(host, image)?;
        let running = slots.running();
        match bootloader.chosen(host)? {
            Some(chosen) if chosen == running.mark() => {}
            chosen => {
                return Err(Error::Other(format!(
                    "slot {} is running, but the boot loader is to start {}: it is not marked as good",
                    running.name,
                    chosen.as_deref().unwrap_or("no slot that it names")
                )));
            }
        }
        bootloader.mark_good(host, running.mark())?;
        Ok(Outcome { notes: vec![format!("slot {} is marked as good", running.name)] })
    }

    fn roll_back(
        host: &dyn Host,
        _: &Update,
        image: &Self::Instructions<'_>,
        _: &[Blob<'_>],
    ) -> Result<Outcome, Error> {
        image.check()?;
        let bootloader = bootloader::of(image);
        let slots = Slots::find(host, image)?;
        let (running, other) = (slots.running(), slots.other());
        if is_running(host, image)? {
            let is_chosen = bootloader.chosen(host)?.as_deref() == Some(running.mark());
            if is_chosen && bootloader.trial(host)? == Some(false) {
                return Err(Error::Other(format!(
                    "slot {} was marked as good: deploy the version to go back to",
                    running.name
                )));
            }
            bootloader.retreat(host, running.mark(), other.mark())?;
            let reason = format!("slot {} is given up, slot {} is started again", running.name, other.name);
            host.request_restart(RestartSubject::Machine, &reason);
            return Ok(Outcome { notes: vec![reason] });
        }
        let may_start =
            bootloader.chosen(host)?.as_deref() == Some(other.mark()) || bootloader.trial(host)? == Some(true);
        let note = if may_start {
            bootloader.retreat(host, other.mark(), running.mark())?;
            format!("slot {} is running, and slot {} will not be started", running.name, other.name)
        } else {
            format!("slot {} is running, and stays what is started", running.name)
        };
        Ok(Outcome { notes: vec![note] })
    }
}

/// An installation that may begin.
struct Work<'a> {
    bootloader: alloc::boxed::Box<dyn Bootloader + 'a>,
    slots: Slots<'a>,
    blob: &'a Blob<'a>,
}

impl<'a> Work<'a> {
    /// Makes sure of everything that can be known before something changes. `None` if the image is running already.
    fn prepare(
        host: &dyn Host,
        update: &Update,
        image: &'a Image<'_>,
        contents: &'a [Blob<'a>],
    ) -> Result<Option<Self>, Error> {
        image.check()?;
        let (_, entry) = entry(image, update)?;
        check_hardware(host, image)?;
        if is_running(host, image)? {
            return Ok(None);
        }
        let blob = contents.iter().find(|blob| blob.label() == entry.label);
        let blob = blob.ok_or_else(|| Error::Other(format!("`{}` was not downloaded: try again", entry.label)))?;
        let bootloader = bootloader::of(image);
        let slots = Slots::find(host, image)?;
        slots::check_not_mounted(host, slots.other())?;
        image::check_fits(host, slots.other(), blob)?;
        Ok(Some(Self { bootloader, slots, blob }))
    }
}

/// The image among the contents of the update, with its position.
fn entry<'a>(image: &Image<'_>, update: &'a Update) -> Result<(u32, &'a Entry), Error> {
    let mut entries = (0..).zip(&update.contents);
    entries.find(|(_, entry)| entry.label == image.content).ok_or_else(|| {
        Error::Invalid(format!("the update has no content `{}`, which its instructions name", image.content))
    })
}

/// An error if the image is for other hardware.
fn check_hardware(facts: &dyn Facts, image: &Image<'_>) -> Result<(), Error> {
    if image.compatible.is_empty() {
        return Ok(());
    }
    let hardware = Hardware::read(facts, image.hardware_file.as_deref())?;
    if hardware.is_one_of(&image.compatible) {
        return Ok(());
    }
    let (name, version) = (&image.image, &image.version);
    Err(Error::Other(format!("this is {hardware}, and {name} {version} is for {}", image.compatible.join(", "))))
}

/// Whether the image is what is running.
fn is_running(facts: &dyn Facts, image: &Image<'_>) -> Result<bool, Error> {
    let running = Running::read(facts, &image.version_file, image.version_key.as_deref())?;
    Ok(matches!(running, Running::Version(version) if version.as_str() == image.version))
}

farrier_plugin_sdk::export_installer!(OsImageInstaller);
