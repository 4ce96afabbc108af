//! Attacks at the level of bytes.

use crate::site::{NOW, Site, held};
use farrier_trust::{Answer, Client, Draft, Floors, TrustError};

/// A client right before it gets this file, in a repository with lengths and digests or without.
fn before(site: &Site, file: &str) -> Client {
    let mut client = site.client();
    let mut refresh = client.refresh(NOW);
    while let Some(request) = refresh.next().unwrap() {
        if request.file == file {
            break;
        }
        refresh.receive(site.answer(&request.file)).unwrap();
    }
    client
}

/// What a client says that gets these bytes instead of that file.
fn take(site: &Site, before: &Client, file: &str, bytes: &[u8]) -> Result<Client, TrustError> {
    let mut client = before.clone();
    let mut refresh = client.refresh(NOW);
    while let Some(request) = refresh.next()? {
        let is_it = request.file == file;
        refresh.receive(if is_it { Answer::Found(bytes) } else { site.answer(&request.file) })?;
        if is_it {
            return Ok(client);
        }
    }
    unreachable!("{file} is asked for")
}

const FILES: [&str; 4] = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"];

fn site() -> Site {
    let mut site = Site::new();
    site.publish_root();
    site
}

#[test]
fn every_flipped_bit_of_signed_metadata_is_refused() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        let bytes = &site.files[file];
        let original = Draft::from_bytes("", bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(client) = take(&site, &before, file, &flipped) {
                // Nothing names the bytes of root and timestamp. There, a digit of the signature may be in upper case.
                assert!(matches!(file, "2.root.json" | "timestamp.json"), "{file}, bit {bit}");
                let taken = Draft::from_bytes("", &flipped).unwrap();
                assert_eq!(taken.signed_bytes(), original.signed_bytes(), "{file}, bit {bit}");
                assert_eq!(client.floors(), take(&site, &before, file, bytes).unwrap().floors());
            }
        }
    }
}

#[test]
fn without_digests_a_flipped_bit_changes_nothing_that_is_signed() {
    let mut site = site();
    site.hashed = false;
    site.publish(&["targets"]);
    for file in ["2.snapshot.json", "2.targets.json"] {
        let before = before(&site, file);
        let bytes = &site.files[file];
        let original = Draft::from_bytes("", bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if take(&site, &before, file, &flipped).is_ok() {
                assert_eq!(Draft::from_bytes("", &flipped).unwrap().signed_bytes(), original.signed_bytes());
                assert!(bytes.eq_ignore_ascii_case(&flipped), "{file}, bit {bit}");
            }
        }
    }
}

#[test]
fn what_is_cut_off_is_refused() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        let bytes = &site.files[file];
        for end in 0..bytes.len() {
            assert!(take(&site, &before, file, &bytes[..end]).is_err(), "{end} bytes of {file}");
        }
        assert!(take(&site, &before, file, bytes).is_ok());
    }
}

#[test]
fn what_is_appended_is_refused() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        for more in [&b"{}"[..], b"\0", b"]", b"}", b"null", b"\xff", &site.files[file]] {
            let appended = [&site.files[file], more].concat();
            assert!(take(&site, &before, file, &appended).is_err(), "{file} and {more:?}");
        }
    }
}

#[test]
fn files_do_not_take_each_others_places() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        for other in site.files.keys().filter(|other| *other != file) {
            assert!(take(&site, &before, file, &site.files[other]).is_err(), "{other} for {file}");
        }
    }
}

#[test]
fn signatures_are_not_taken_from_other_metadata() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        for other in FILES.into_iter().filter(|other| *other != file) {
            let mut json: serde_json::Value = serde_json::from_slice(&site.files[file]).unwrap();
            let theirs: serde_json::Value = serde_json::from_slice(&site.files[other]).unwrap();
            json["signatures"] = theirs["signatures"].clone();
            assert!(take(&site, &before, file, json.to_string().as_bytes()).is_err());
        }
    }
}

#[test]
fn a_first_root_with_a_flipped_bit_is_refused_or_says_the_same() {
    let site = site();
    let bytes = &site.files["1.root.json"];
    let original = Draft::from_bytes("", bytes).unwrap().signed_bytes();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if Client::new(&flipped, Floors::default()).is_ok() {
            assert_eq!(Draft::from_bytes("", &flipped).unwrap().signed_bytes(), original, "bit {bit}");
        }
    }
}

#[test]
fn what_was_refused_leaves_no_trace() {
    let site = site();
    for file in FILES {
        let before = before(&site, file);
        let mut client = before.clone();
        let mut refresh = client.refresh(NOW);
        while let Some(request) = refresh.next().unwrap() {
            let answer =
                if request.file == file { Answer::Found(b"{\"signed\":{}}") } else { site.answer(&request.file) };
            if refresh.receive(answer).is_err() {
                break;
            }
        }
        assert_eq!((held(&client), client.floors().timestamp), (held(&before), before.floors().timestamp));
    }
}
