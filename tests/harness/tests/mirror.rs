//! The harness itself: what others rely on when they rely on a mirror.

#![allow(clippy::unwrap_used)] // What is missing is a failed test.

use farrier_test_harness::mirror::{ArchiveKey, Behaviour, Mirror, Server, hex_digest};
use farrier_test_harness::package::Package;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

fn get(server: &Server, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(server.address().trim_start_matches("http://")).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: mirror\r\n{headers}\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
}

#[test]
fn a_package_is_in_the_pool_as_the_index_says() {
    let mirror = Mirror::new().unwrap();
    let mut suite = mirror.suite("sample", &ArchiveKey::generate().unwrap());
    let package = Package::new("foo-data", "1:2.0-1").source("foo (1:2.0)").field("Depends", "bar (>= 1)");
    let built = suite.add_package(&package).unwrap();
    suite.add_package(&Package::new("libbar", "1.0").architecture("arm64")).unwrap();
    suite.publish().unwrap();
    assert_eq!(built.label, "foo-data_1%3a2.0-1_all.deb");

    let [listed] = suite.packages["amd64"].as_slice() else { panic!("{:?}", suite.packages) };
    assert_eq!(listed.get("Filename"), Some("pool/main/f/foo/foo-data_2.0-1_all.deb"));
    assert_eq!(suite.packages["arm64"][0].get("Filename"), Some("pool/main/libb/libbar/libbar_1.0_arm64.deb"));
    let bytes = std::fs::read(mirror.folder().join(listed.get("Filename").unwrap())).unwrap();
    assert_eq!(listed.get("SHA256"), Some(&*hex_digest(&bytes)));
    assert_eq!(listed.get("Size"), Some(&*bytes.len().to_string()));
    let field = Command::new("dpkg-deb").arg("--field").arg(&built.path).args(["Depends", "Source"]).output().unwrap();
    let field = String::from_utf8(field.stdout).unwrap();
    assert!(field.contains("Depends: bar (>= 1)") && field.contains("Source: foo (1:2.0)"), "{field}");
}

#[test]
fn a_package_always_has_the_same_bytes() {
    let build = || {
        let folder = tempfile::tempdir().unwrap();
        Package::new("foo", "1.0").failing().conffile("/etc/foo", "x").build(folder.path()).unwrap().sha256
    };
    assert_eq!(build(), build());
}

#[test]
fn a_mirror_that_resumes_goes_on_where_it_is_asked_to() {
    let mirror = Mirror::new().unwrap();
    mirror.keyring("file", "0123456789").unwrap();
    let server = mirror.serve(Behaviour { ranges: true, entity_tags: true, ..Behaviour::default() }).unwrap();
    let (head, body) = get(&server, "file", "");
    assert!(head.starts_with("HTTP/1.1 200") && body == b"0123456789", "{head}");
    let tag = head.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let (head, body) = get(&server, "file", &format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n"));
    assert!(head.starts_with("HTTP/1.1 206") && head.contains("Content-Range: bytes 4-9/10"), "{head}");
    assert_eq!(body, b"456789");
    let (head, body) = get(&server, "file", "Range: bytes=4-\r\nIf-Range: \"another\"\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && body == b"0123456789", "it is another file: {head}");
    assert!(get(&server, "file", "Range: bytes=10-\r\n").0.starts_with("HTTP/1.1 416"));
    server.behave(Behaviour { ranges: true, cut: Some("file".to_owned()), ..Behaviour::default() });
    assert_eq!(get(&server, "file", "Range: bytes=4-\r\n").1, b"456", "half of what was asked for");
    server.behave(Behaviour::default());
    assert!(get(&server, "file", "Range: bytes=4-\r\n").0.starts_with("HTTP/1.1 200"));
}
