use super::*;
use std::path::Path;
use std::time::Duration;
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

fn patient() -> Instant {
    Instant::now() + Duration::from_secs(600)
}

/// Why nothing was read.
fn refused(content: &Content, offset: u64) -> ContentError {
    match content.read(offset, 10, patient()) {
        Err(CopyError::Content(error)) => error,
        answer => panic!("{answer:?}"),
    }
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
        assert_eq!(content.read(offset as u64, most, patient()).unwrap(), expected, "{offset} {most}");
    }
    for offset in [bytes.len() as u64, u64::MAX] {
        assert_eq!(content.read(offset, 10, patient()).unwrap(), b"");
    }
    assert_eq!(contents(&[blob(&folder, "empty", b"")])[0].read(0, 10, patient()).unwrap(), b"");
}

#[test]
fn when_the_time_is_up_what_is_large_is_neither_hashed_nor_copied() {
    let (folder, bytes, over) = (tempfile::tempdir().unwrap(), large(), Instant::now());
    let [large, small] = &*contents(&[blob(&folder, "large", &bytes), blob(&folder, "small", b"bytes")]) else {
        panic!("two contents");
    };
    let is_over = |answer: Result<(), CopyError>| matches!(answer, Err(CopyError::Target(error)) if error.kind() == io::ErrorKind::TimedOut);
    assert!(is_over(large.read(0, 1, over).map(drop)));
    assert!(is_over(large.pass_on_part(0, 1, over, |_| panic!("it is not hashed yet"))));
    let mut copy = tempfile::tempfile().unwrap();
    assert!(is_over(large.copy_to(&mut copy, over)));
    assert!(copy.metadata().unwrap().len() <= BLOCK_BYTES as u64);
    // What fits into one block is done all the same, and what was hashed is known.
    assert_eq!(small.read(0, 10, over).unwrap(), b"bytes");
    assert!(small.copy_to(&mut tempfile::tempfile().unwrap(), over).is_ok());
    assert_eq!(large.read(0, 10, patient()).unwrap(), &bytes[..10]);
    assert_eq!(large.read(0, 10, over).unwrap(), &bytes[..10]);
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
    assert_eq!(refused(content, 0), ContentError::altered("a.deb"));
    // Altered after it: the altered block cannot be read.
    std::fs::write(&file.path, &bytes).unwrap();
    assert_eq!(content.read(0, 10, patient()).unwrap(), &bytes[..10]);
    std::fs::write(&file.path, &altered).unwrap();
    assert_eq!(content.read(0, 10, patient()).unwrap(), &bytes[..10]);
    assert_eq!(refused(content, 2 * BLOCK_BYTES as u64 + 5), ContentError::altered("a.deb"));
    assert!(content.copy_to(&mut tempfile::tempfile().unwrap(), patient()).is_err());
    // Cut off behind the host's back.
    std::fs::write(&file.path, b"short").unwrap();
    assert!(content.read(BLOCK_BYTES as u64, 10, patient()).is_err());
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
