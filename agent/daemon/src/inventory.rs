//! What this client is: the few lines the site shows of it.

use farrier_protocol::state_message::{Inventory, bounded};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Bytes of a file that is read for the inventory, at most.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The inventory of the endpoint with this root.
pub(crate) fn take(root: &Path) -> Inventory {
    let system = rustix::system::uname();
    let hostname = match root == Path::new("/") {
        true => system.nodename().to_string_lossy().into_owned(),
        false => read(root, "etc/hostname").unwrap_or_default(),
    };
    let os_release = read(root, "etc/os-release").or_else(|| read(root, "usr/lib/os-release")).unwrap_or_default();
    Inventory {
        hostname: bounded(hostname.trim()),
        operating_system: bounded(&pretty_name(&os_release)),
        machine: bounded(&system.machine().to_string_lossy()),
        agent_version: bounded(env!("CARGO_PKG_VERSION")),
    }
}

/// A small file of the endpoint; links lead nowhere but below its root.
fn read(root: &Path, path: &str) -> Option<String> {
    let root = File::open(root).ok()?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: File = openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).ok()?.into();
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `PRETTY_NAME` of os-release(5), without its quotes.
fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    value.unwrap_or("Linux").trim().trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_endpoint_in_a_folder_has_its_own_name_and_system() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("usr/lib")).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/hostname"), "web-1\n").unwrap();
        let os_release = "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n";
        fs::write(root.path().join("usr/lib/os-release"), os_release).unwrap();
        symlink("/usr/lib/os-release", root.path().join("etc/os-release")).unwrap();
        let inventory = take(root.path());
        assert_eq!(inventory.hostname, "web-1");
        assert_eq!(inventory.operating_system, "Debian GNU/Linux 12 (bookworm)");
    }

    #[test]
    fn a_link_out_of_the_root_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        symlink("../../../../../../etc/passwd", root.path().join("etc/hostname")).unwrap();
        assert_eq!(take(root.path()).hostname, "");
    }

    #[test]
    fn this_machine_has_a_name() {
        let inventory = take(Path::new("/"));
        assert!(!inventory.hostname.is_empty() && !inventory.machine.is_empty());
    }
}
