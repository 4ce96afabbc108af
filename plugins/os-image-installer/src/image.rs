//! An image, and the slot it is written to.

use crate::instructions::{Image, Slot};
use alloc::{boxed::Box, format};
use farrier_plugin_sdk::{Blob, Error, Host, Target};

/// Bytes that are written in one call. Between two the host can stop the plugin, and tell people how far it is.
const PIECE_BYTES: u64 = 1024 * 1024;

/// Percent of the image between two reports.
const REPORT_PERCENT: u64 = 5;

fn open(host: &dyn Host, slot: &Slot<'_>) -> Result<Box<dyn Target>, Error> {
    let (folder, name) = slot.device.rsplit_once('/').unwrap_or(("", &slot.device));
    host.folder(if folder.is_empty() { "/" } else { folder })?.open(name)
}

/// An error if the slot has no room for it.
pub fn check_fits(host: &dyn Host, slot: &Slot<'_>, blob: &Blob<'_>) -> Result<(), Error> {
    let (room, bytes) = (open(host, slot)?.length()?, blob.length());
    if bytes == 0 {
        return Err(Error::Invalid(format!("the image `{}` is empty", blob.label())));
    }
    if bytes > room {
        return Err(Error::TooLarge(format!(
            "the image has {bytes} bytes, and slot {} ({}) has room for {room}",
            slot.name, slot.device
        )));
    }
    Ok(())
}

/// Whether the slot holds it already.
pub fn is_in(host: &dyn Host, slot: &Slot<'_>, blob: &Blob<'_>) -> Result<bool, Error> {
    host.report(&format!("Comparing slot {} with the image", slot.name));
    Ok(open(host, slot)?.digest(0, blob.length())? == blob.digest())
}

/// Writes it and reads it back.
pub fn write(host: &dyn Host, image: &Image<'_>, slot: &Slot<'_>, blob: &Blob<'_>) -> Result<(), Error> {
    let target = open(host, slot)?;
    let bytes = blob.length();
    let (mut at, mut reported) = (0, None);
    while at < bytes {
        let percent = at.saturating_mul(100) / bytes;
        if reported.is_none_or(|reported| percent >= reported + REPORT_PERCENT) {
            host.report(&format!("Writing {} {} to slot {}: {percent} %", image.image, image.version, slot.name));
            reported = Some(percent);
        }
        let piece = PIECE_BYTES.min(bytes - at);
        target.write_blob(at, blob, at, piece)?;
        at += piece;
    }
    target.sync()?;
    host.report(&format!("Reading slot {} back", slot.name));
    let written = target.digest(0, bytes)?;
    if written != blob.digest() {
        return Err(Error::Other(format!(
            "the image was written to slot {} ({}), but another content is read back: the medium may be failing",
            slot.name, slot.device
        )));
    }
    Ok(())
}
