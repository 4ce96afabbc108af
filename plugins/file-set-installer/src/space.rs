//! Whether the new files fit beside the old ones.

use crate::item::Item;
use alloc::{collections::BTreeMap, format};
use farrier_plugin_sdk::{Error, Facts, Json, Rule, serde::Deserialize};

/// What the host says of the file system of a path.
#[derive(Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde")]
struct Space {
    free_bytes: u64,
}

/// An error if the new files of a folder are more than its file system has room for. Where nobody knows, writing will
/// tell: everything is written before anything is replaced.
pub fn check(facts: &dyn Facts, needed: &[&Item<'_>]) -> Result<(), Error> {
    let mut folders = BTreeMap::<&str, u64>::new();
    for item in needed {
        let bytes = folders.entry(item.place.folder()).or_default();
        *bytes = bytes.saturating_add(item.length());
    }
    for (folder, bytes) in folders {
        let Some(free) = free(facts, folder) else { continue };
        if bytes > free {
            return Err(Error::TooLarge(format!(
                "the new files in {folder} need {bytes} bytes beside the old ones, and {free} are free: make room there"
            )));
        }
    }
    Ok(())
}

/// The bytes that are free where a folder is, or will be.
fn free(facts: &dyn Facts, folder: &str) -> Option<u64> {
    let mut folder = folder;
    loop {
        match facts.query("disk-space", folder) {
            Ok(answer) => return Json::<Space>::decode(answer.as_bytes()).ok().map(|space| space.free_bytes),
            Err(Error::NotFound(_)) if folder != "/" => {
                let (parent, _) = folder.rsplit_once('/')?;
                folder = if parent.is_empty() { "/" } else { parent };
            }
            Err(_) => return None,
        }
    }
}
