//! Structured facts of the platform, by name. Another platform may have more of them.

use super::{Answer, Facts, io_error};
use crate::endpoint::Root;
use crate::grants::{is_fact, normalize};
use crate::world::types::Error;
use rustix::fs::OFlags;
use std::io::{self, ErrorKind};

/// The room that is left where a path is.
const DISK_SPACE: &str = "disk-space";
/// What this host has.
const NAMES: [&str; 1] = [DISK_SPACE];
/// Characters that are shown of what is no name.
const MAX_SHOWN_CHARS: usize = 40;

impl Facts {
    /// The answer to a query.
    pub(super) fn answer(&mut self, name: &str, argument: &str) -> Answer<String> {
        if !is_fact(name) {
            let name: String = name.chars().take(MAX_SHOWN_CHARS).collect();
            return Ok(Err(Error::Invalid(format!("`{}` is no name of a fact", name.escape_default()))));
        }
        if let Err(denial) = self.grants.check_fact(name) {
            return Ok(Err(Error::Denied(denial.to_string())));
        }
        if let Some(answer) = self.endpoint.query(name, argument) {
            return Ok(Ok(answer.to_owned()));
        }
        match name {
            DISK_SPACE => self.disk_space(argument),
            _ => Ok(Err(Error::NotFound(format!("the fact `{name}`: this host has {}", NAMES.join(", "))))),
        }
    }

    fn disk_space(&mut self, path: &str) -> Answer<String> {
        let path = match normalize(path) {
            Ok(path) => path,
            Err(problem) => return Ok(Err(Error::Invalid(problem))),
        };
        let name = path.clone();
        let space = self.endpoint.within(self.deadline, move |root| space(root, &name))?;
        let json = |(total, free)| format!("{{\"total_bytes\":{total},\"free_bytes\":{free}}}");
        Ok(space.map(json).map_err(|error| io_error(&path, &error)))
    }
}

/// Bytes in total and bytes that are free, of the file system that a path is in. Of a path that is not there it is the
/// nearest folder above: that is where it would be made, and so nobody learns what is there.
fn space(root: &Root, path: &str) -> io::Result<(u64, u64)> {
    let mut path = path;
    let found = loop {
        match root.open(path, OFlags::PATH) {
            Err(error) if path != "/" && matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                path = path.rsplit_once('/').map(|(above, _)| above).filter(|above| !above.is_empty()).unwrap_or("/");
            }
            found => break found?,
        }
    };
    let status = rustix::fs::fstatvfs(&found)?;
    let block = if status.f_frsize == 0 { status.f_bsize } else { status.f_frsize };
    Ok((status.f_blocks.saturating_mul(block), status.f_bavail.saturating_mul(block)))
}
