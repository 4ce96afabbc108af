use super::*;
use std::path::Path;
use tempfile::TempDir;

/// A downloaded file with these bytes.
pub(crate) fn blob(folder: &TempDir, label: &str, bytes: &[u8]) -> BlobFile {
    let path = folder.path().join(Path::new(label).file_name().unwrap_or_default());
    std::fs::write(&path, bytes).unwrap();
    BlobFile { label: label.to_owned(), path, digest: Digest::of(bytes), length: bytes.len() as u64 }
}

/// The same, open.
pub(crate) fn contents(blobs: &[BlobFile]) -> Vec<Content> {
    Contents::open(blobs).unwrap().contents
}

fn problem(blobs: &[BlobFile]) -> String {
    match Contents::open(blobs) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

/// Bytes of three blocks and a bit, all different.
fn large() -> Vec<u8> {
    (0..3 * BLOCK_BYTES + 100).map(|at| (at / 7 % 251) as u8).collect()
}

#[test]
fn any_part_can_be_read() {
    let (folder, bytes) = (tempfile::tempdir().unwrap(), large());
    let content = &contents(&[blob(&folder, "a.deb", &bytes)])[0];
    let blocks = BLOCK_BYTES;
    for (offset, most) in [(0, 10), (blocks - 1, 2), (blocks, blocks), (10, 3 * blocks), (3 * blocks, 1000)] {
        let expected = &bytes[offset..(offset + most).min(bytes.len())];
        assert_eq!(content.read(offset as u64, most).unwrap(), expected, "{offset} {most}");
    }
    for offset in [bytes.len() as u64, u64::MAX] {
        assert_eq!(content.read(offset, 10).unwrap(), b"");
    }
    assert_eq!(contents(&[blob(&folder, "empty", b"")])[0].read(0, 10).unwrap(), b"");
}

#[test]
fn a_byte_that_was_not_hashed_is_never_passed_on() {
    let (folder, bytes) = (tempfile::tempdir().unwrap(), large());
    let file = blob(&folder, "a.deb", &bytes);
    let mut altered = bytes.clone();
    altered[2 * BLOCK_BYTES] ^= 1;
    // Altered before the first read: nothing can be read of it, wherever.
    let content = &contents(std::slice::from_ref(&file))[0];
    std::fs::write(&file.path, &altered).unwrap();
    assert_eq!(content.read(0, 10), Err(ContentError::altered("a.deb")));
    // Altered after it: the altered block cannot be read.
    std::fs::write(&file.path, &bytes).unwrap();
    assert_eq!(content.read(0, 10).unwrap(), &bytes[..10]);
    std::fs::write(&file.path, &altered).unwrap();
    assert_eq!(content.read(0, 10).unwrap(), &bytes[..10]);
    assert_eq!(content.read(2 * BLOCK_BYTES as u64 + 5, 10), Err(ContentError::altered("a.deb")));
    assert!(content.copy_to(&mut tempfile::tempfile().unwrap()).is_err());
    // Cut off behind the host's back.
    std::fs::write(&file.path, b"short").unwrap();
    assert!(content.read(BLOCK_BYTES as u64, 10).is_err());
}

#[test]
fn what_is_not_as_long_as_the_policy_says_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = BlobFile { length: 4, ..blob(&folder, "a.deb", b"one") };
    assert_eq!(problem(&[file]), "the content `a.deb` has 3 bytes, and the policy says 4");
}

#[test]
fn links_folders_and_what_is_not_there_are_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let file = blob(&folder, "a.deb", b"one");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file.path, &link).unwrap();
    assert!(problem(&[BlobFile { path: link, ..file.clone() }]).contains("cannot be read"));
    assert!(problem(&[BlobFile { path: folder.path().join("none"), ..file.clone() }]).contains("cannot be read"));
    assert!(problem(&[BlobFile { path: folder.path().to_owned(), ..file }]).contains("is no regular file"));
}

#[test]
fn a_label_is_a_plain_file_name_that_no_other_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = blob(&folder, "a.deb", b"one");
    for label in ["", ".", "..", "../a", "a/b", "-rf", ".hidden", "a b", "a\nb", "ä", "a'b", "$a", &"a".repeat(201)] {
        let error = problem(&[BlobFile { label: label.to_owned(), ..file.clone() }]);
        assert!(error.contains("has a label that is no file name"), "{label}: {error}");
    }
    for label in ["libssl3_3.0.17-1~deb12u2_amd64.deb", "g++-12_12.2.0-14+deb12u1_amd64.deb", "bind9_1%3a9.18_all.deb"]
    {
        assert!(Contents::open(&[BlobFile { label: label.to_owned(), ..file.clone() }]).is_ok(), "{label}");
    }
    assert!(problem(&[file.clone(), file]).contains("is there twice"));
}
