//! What tells this device from any other: by it the site notices that a disk was copied after the enrolment, and knows a
//! device again that lost its disk. Only of this machine, not of a folder that is serviced as an endpoint.

use crate::config::Config;
use farrier_protocol::Digest;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Where Linux says which boot this is (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// What hardware says of itself: the UUID of a board (SMBIOS, section 7.2.1), readable by root only, or the serial number
/// in a device tree.
const SOURCES: [&str; 2] = ["sys/class/dmi/id/product_uuid", "proc/device-tree/serial-number"];
/// What containers are told by: they see the hardware of their host, which has several of them.
const CONTAINER_MARKS: [&str; 3] = [".dockerenv", "run/.containerenv", "run/systemd/container"];
/// What boards say whose maker did not set anything, without punctuation.
const PLACEHOLDERS: [&str; 5] = [
    "03000200040005000006000700080009",
    "00020003000400050006000700080009",
    "123456781234567890abcddeefaabbcc",
    "12345678123456781234567812345678",
    "0123456789abcdef",
];
/// Different characters in what names one device, at least: zeros, Fs and their like name many.
const MIN_DIFFERENT: usize = 4;
/// Bytes of a file that are looked at.
const MAX_FILE_BYTES: u64 = 256;
/// Goes in front of what is hashed: the digest is of no use to whoever collects other ones.
const CONTEXT: &[u8] = b"farrier hardware 1\0";

/// What tells this device from any other, as far as it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Device {
    /// Which boot this is.
    pub(crate) boot: Option<[u8; 16]>,
    /// SHA-256 of what the hardware says of itself.
    pub(crate) hardware: Option<Digest>,
}

impl Device {
    /// The device of this endpoint. Read anew for every poll: a virtual machine may be copied while it runs.
    pub(crate) fn of(config: &Config) -> Self {
        let is_this_machine = config.root == Path::new("/");
        let boot_id = config.restart.boot_id.as_deref().or(is_this_machine.then_some(Path::new(BOOT_ID)));
        let hardware = if is_this_machine { hardware(&config.root) } else { None };
        Self { boot: boot_id.and_then(boot), hardware }
    }
}

/// Which boot this is, by the file that names it.
fn boot(file: &Path) -> Option<[u8; 16]> {
    let digest = Digest::of(read(file)?.as_bytes());
    digest.as_bytes().first_chunk().copied()
}

/// The first source that says something that only one device says.
fn hardware(root: &Path) -> Option<Digest> {
    if CONTAINER_MARKS.iter().any(|mark| root.join(mark).exists()) {
        return None;
    }
    let said = SOURCES.iter().filter_map(|source| read(&root.join(source)));
    let name = said.map(|said| plain(&said)).find(|name| names_one_device(name))?;
    Some(Digest::of(&[CONTEXT, name.as_bytes()].concat()))
}

/// Letters and digits only: one kernel writes them in another case than the next.
fn plain(said: &str) -> String {
    said.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect()
}

fn names_one_device(name: &str) -> bool {
    let mut letters: Vec<char> = name.chars().collect();
    letters.sort_unstable();
    letters.dedup();
    let is_number = name.chars().filter(char::is_ascii_digit).count() >= MIN_DIFFERENT;
    letters.len() >= MIN_DIFFERENT && is_number && !PLACEHOLDERS.contains(&name)
}

/// The trimmed text of a small file, if there is any.
fn read(file: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(file).ok()?.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const UUID: &str = "4C4C4544-0035-4B10-8051-C7C04F4D3232\n";

    /// What a machine with these files is.
    fn hardware_of(files: &[(&str, &str)]) -> Option<Digest> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        hardware(root.path())
    }

    #[test]
    fn a_board_or_a_device_tree_names_the_hardware() {
        let [board, tree] = SOURCES;
        let by_board = hardware_of(&[(board, UUID)]);
        assert!(by_board.is_some());
        assert_eq!(by_board, hardware_of(&[(board, &UUID.to_lowercase()), (tree, "10000000a1b2c3d4\0")]));
        let by_tree = hardware_of(&[(tree, "10000000a1b2c3d4\0")]);
        assert!(by_tree.is_some() && by_tree != by_board);
        assert_eq!(by_tree, hardware_of(&[(board, "Not Settable"), (tree, "10000000a1b2c3d4")]));
        assert_eq!(hardware_of(&[]), None);
    }

    #[test]
    fn what_many_devices_say_names_none() {
        for said in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "00020003-0004-0005-0006-000700080009",
            "12345678-1234-5678-90ab-cddeefaabbcc",
            "fefefefe-fefe-fefe-fefe-fefefefefefe",
            "To be filled by O.E.M.",
            "Default string",
            "Not Specified",
            "0123456789ABCDEF",
            "0000000000000000\0",
            "\n",
        ] {
            for source in SOURCES {
                assert_eq!(hardware_of(&[(source, said)]), None, "{said:?}");
            }
        }
    }

    #[test]
    fn a_container_is_not_its_host() {
        for mark in CONTAINER_MARKS {
            assert_eq!(hardware_of(&[(SOURCES[0], UUID), (mark, "")]), None, "{mark}");
        }
    }

    #[test]
    fn a_folder_is_no_device_but_may_be_told_its_boot() {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config { root: root.path().to_owned(), ..Config::default() };
        assert_eq!(Device::of(&config), Device { boot: None, hardware: None });
        config.restart.boot_id = Some(root.path().join("boot"));
        assert_eq!(Device::of(&config).boot, None);
        fs::write(root.path().join("boot"), "first\n").unwrap();
        let first = Device::of(&config).boot;
        fs::write(root.path().join("boot"), "second\n").unwrap();
        assert!(first.is_some() && first != Device::of(&config).boot);
    }

    #[test]
    fn this_machine_knows_its_boot() {
        let boot = Device::of(&Config::default()).boot;
        assert!(boot.is_some());
        assert_eq!(boot, Device::of(&Config::default()).boot);
    }
}
