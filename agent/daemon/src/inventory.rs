//! What this client is: the few lines the site shows of it, the facts that collections are made by, and which plugins it
//! can run.

use crate::config::Config;
use crate::local_time::WallClock;
use farrier_protocol::state_message::{Abilities, Facts, Inventory, MAX_TAGS, bounded};
use farrier_runtime::WIT_VERSION;
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
    let os_release = os_release(root);
    let pretty_name = value(&os_release, "PRETTY_NAME").filter(|name| !name.is_empty());
    Inventory {
        hostname: bounded(hostname.trim()),
        operating_system: bounded(pretty_name.unwrap_or("Linux")),
        machine: bounded(&system.machine().to_string_lossy()),
        agent_version: bounded(env!("CARGO_PKG_VERSION")),
    }
}

/// The facts of the endpoint with this configuration.
pub(crate) fn facts(config: &Config) -> Facts {
    let os_release = os_release(&config.root);
    let release = value(&os_release, "VERSION_CODENAME").filter(|codename| !codename.is_empty());
    let mut tags = config.tags.clone();
    tags.sort_unstable();
    tags.dedup();
    Facts {
        os: bounded(value(&os_release, "ID").unwrap_or("linux")),
        release: bounded(release.or_else(|| value(&os_release, "VERSION_ID")).unwrap_or_default()),
        time_zone: bounded(WallClock::system().zone_name()),
        // The configuration has no more than fit.
        tags: tags.iter().map(|tag| bounded(tag)).take(MAX_TAGS).collect(),
    }
}

/// Which plugins an agent with this configuration can run.
pub(crate) fn abilities(config: &Config) -> Abilities {
    let limits = config.limits.limits();
    Abilities {
        wit: bounded(WIT_VERSION),
        engine: bounded(&config.plugins.profile().id()),
        plugin_memory_bytes: limits.memory_bytes as u64,
        component_bytes: limits.component_bytes as u64,
    }
}

fn os_release(root: &Path) -> String {
    read(root, "etc/os-release").or_else(|| read(root, "usr/lib/os-release")).unwrap_or_default()
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

/// A value of os-release(5), without its quotes.
fn value<'a>(os_release: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = os_release.lines();
    let value = lines.find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix('='))?;
    Some(value.trim().trim_matches(['"', '\'']))
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
    fn facts_are_the_systems_and_the_configurations() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let write = |text: &str| fs::write(root.path().join("etc/os-release"), text).unwrap();
        let tags = ["web", "canary", "web"].map(str::to_owned).into();
        let config = Config { root: root.path().to_owned(), tags, ..Config::default() };
        write("PRETTY_NAME=\"Debian\"\nVERSION_CODENAME=bookworm\nVERSION_ID=\"12\"\nID=debian\n");
        let facts_of_debian = facts(&config);
        assert_eq!((&*facts_of_debian.os, &*facts_of_debian.release), ("debian", "bookworm"));
        assert_eq!(facts_of_debian.tags, ["canary", "web"]);
        write("ID='alpine'\nVERSION_ID=3.20\n");
        assert_eq!((&*facts(&config).os, &*facts(&config).release), ("alpine", "3.20"));
        write("");
        assert_eq!((&*facts(&config).os, &*facts(&config).release), ("linux", ""));
    }

    #[test]
    fn abilities_are_the_agents_within_its_configuration() {
        let mut config = Config::default();
        let by_default = abilities(&config);
        assert_eq!(by_default.engine, *farrier_runtime::Profile::fastest().id(), "nothing of it is cut off");
        assert_eq!(by_default.wit, *WIT_VERSION);
        (config.limits.memory_bytes, config.limits.component_bytes) = (Some(1 << 20), Some(5 << 20));
        let limited = abilities(&config);
        assert_eq!((limited.plugin_memory_bytes, limited.component_bytes), (1 << 20, 5 << 20));
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
