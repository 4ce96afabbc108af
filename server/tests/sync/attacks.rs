//! What an archive, or somebody on the way to it, may try. Each is refused in words, and changes nothing.

use super::{Site, Upstream};
use anyhow::Result;
use farrier_test_harness::mirror::{
    ArchiveKey, Behaviour, ByHash, Deb, Form, HashAlgorithm, Signing, rfc_date, sign_inline, unix_now,
};

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// An archive that was imported once, and its site.
async fn imported() -> Result<(Site, Upstream)> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    site.import(&upstream.config).await?;
    // Whatever is attacked next is something new.
    upstream.suite.add(Deb::new("zlib", "1.2-1")).publish()?;
    Ok((site, upstream))
}

/// What the site says of a first release that is signed by this key.
async fn refusal_of(key: ArchiveKey) -> Result<String> {
    let site = Site::new().await?;
    let mut upstream = Upstream::signed_by(key)?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    site.refusal(&upstream.config).await
}

#[track_caller]
fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{word:?} is missing in: {error}");
    }
}

#[tokio::test]
async fn a_tampered_index_is_refused() -> Result<()> {
    let (site, upstream) = imported().await?;
    let index = upstream.suite.index("amd64", Form::Xz);
    upstream.suite.tamper(&index, |mut bytes| {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    })?;
    says(&site.refusal(&upstream.config).await?, &["main/binary-amd64/Packages.xz", "SHA-256 differs"]);
    Ok(())
}

#[tokio::test]
async fn a_longer_index_is_refused_before_it_is_hashed() -> Result<()> {
    let (site, upstream) = imported().await?;
    let index = upstream.suite.index("amd64", Form::Xz);
    upstream.suite.tamper(&index, |bytes| [bytes, vec![0; 1]].concat())?;
    says(&site.refusal(&upstream.config).await?, &["Packages.xz is longer than"]);
    Ok(())
}

#[tokio::test]
async fn a_shorter_index_is_refused() -> Result<()> {
    let (site, upstream) = imported().await?;
    upstream.suite.tamper(&upstream.suite.index("amd64", Form::Xz), |bytes| bytes[..10].to_vec())?;
    says(&site.refusal(&upstream.config).await?, &["Packages.xz ends after 10 of"]);
    Ok(())
}

#[tokio::test]
async fn a_download_that_breaks_off_is_refused() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    let server = upstream.mirror.serve(Behaviour { cut: Some("Packages".to_owned()), ..Behaviour::default() })?;
    upstream.config.mirror = server.address();
    says(&site.refusal(&upstream.config).await?, &["Packages.xz cannot be fetched"]);
    Ok(())
}

#[tokio::test]
async fn an_index_that_unpacks_to_more_than_was_signed_is_refused() -> Result<()> {
    for form in [Form::Xz, Form::Gzip] {
        let (site, upstream) = imported().await?;
        let (plain, bomb) = (b"Package: a\n", vec![b'\n'; 50_000_000]);
        let packed = form.pack(&bomb)?;
        let name = if form == Form::Xz { "Packages.xz" } else { "Packages.gz" };
        let digests = [("Packages", plain.as_slice()), (name, packed.as_slice())].map(|(name, bytes)| {
            let digest = farrier_test_harness::mirror::hex_digest(bytes);
            format!(" {digest} {} main/binary-amd64/{name}\n", bytes.len())
        });
        upstream.suite.sign(&upstream.suite.release(&digests.concat())?)?;
        std::fs::write(upstream.suite.index("amd64", form), packed)?;
        says(&site.refusal(&upstream.config).await?, &[name, "it unpacks to more bytes than the release says"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_release_that_was_changed_after_signing_is_refused() -> Result<()> {
    let (site, upstream) = imported().await?;
    upstream.suite.tamper(&upstream.suite.in_release(), |bytes| {
        let text = String::from_utf8_lossy(&bytes).replace("Components: main", "Components: evil");
        text.into_bytes()
    })?;
    let error = site.refusal(&upstream.config).await?;
    says(
        &error,
        &["dists/bookworm/InRelease", "archive.asc", &upstream.key.fingerprint(), "it was changed afterwards"],
    );
    Ok(())
}

#[tokio::test]
async fn text_outside_the_signed_block_is_refused() -> Result<()> {
    let evil = "Codename: bookworm\nComponents: main\n";
    for place in ["before", "header", "behind"] {
        let (site, upstream) = imported().await?;
        upstream.suite.tamper(&upstream.suite.in_release(), |bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            match place {
                "before" => format!("{evil}\n{text}"),
                "header" => text.replacen("\n\n", &format!("\n{evil}\n"), 1),
                _ => format!("{text}{evil}"),
            }
            .into_bytes()
        })?;
        says(&site.refusal(&upstream.config).await?, &["InRelease is refused"]);
    }
    Ok(())
}

#[tokio::test]
async fn a_release_without_a_signature_is_refused() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.signing = Signing::Unsigned;
    upstream.suite.publish()?;
    says(&site.refusal(&upstream.config).await?, &["dists/bookworm/Release is refused: it is not signed"]);

    std::fs::write(upstream.suite.in_release(), upstream.suite.release("")?)?;
    says(&site.refusal(&upstream.config).await?, &["InRelease is refused: it is not signed"]);
    Ok(())
}

#[tokio::test]
async fn a_release_signed_by_a_stranger_is_refused_and_names_the_key() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    for detached in [false, true] {
        let stranger = ArchiveKey::generate()?;
        let id = stranger.fingerprint();
        upstream.suite.signing = if detached { Signing::Detached(stranger) } else { Signing::Inline(stranger) };
        upstream.suite.publish()?;
        let error = site.refusal(&upstream.config).await?;
        says(&error, &["is not signed by a key of", "archive.asc", &id, "is in none of the keyrings"]);
    }
    Ok(())
}

#[tokio::test]
async fn one_good_signature_among_others_is_enough() -> Result<()> {
    let (site, upstream) = imported().await?;
    let signed = std::fs::read_to_string(upstream.suite.in_release())?;
    let text = signed.split_once("\n\n").unwrap().1.split_once("\n-----BEGIN PGP SIGNATURE").unwrap().0;
    let strangers = [ArchiveKey::generate()?, ArchiveKey::expired()?];
    let both = sign_inline(text, &[&strangers[0], &upstream.key, &strangers[1]])?;
    std::fs::write(upstream.suite.in_release(), both)?;
    assert_eq!(site.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn keys_that_are_not_valid_are_refused() -> Result<()> {
    says(&refusal_of(ArchiveKey::expired()?).await?, &["expired on "]);
    says(&refusal_of(ArchiveKey::revoked()?).await?, &["was revoked"]);
    says(&refusal_of(ArchiveKey::with_revoked_subkey()?).await?, &["was revoked"]);
    says(&refusal_of(ArchiveKey::with_expired_subkey()?).await?, &["expired on "]);
    Ok(())
}

#[tokio::test]
async fn a_subkey_counts_only_if_both_keys_agree() -> Result<()> {
    let unbound = "has no valid binding to its key";
    says(&refusal_of(ArchiveKey::with_unwilling_subkey()?).await?, &[unbound]);
    says(&refusal_of(ArchiveKey::generate()?.with_foreign_subkey()?).await?, &[unbound]);

    let mut upstream = Upstream::signed_by(ArchiveKey::with_subkey()?)?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn signatures_with_a_weak_hash_are_refused() -> Result<()> {
    says(&refusal_of(ArchiveKey::rsa()?.hashing_with(HashAlgorithm::Sha1)).await?, &["used SHA1"]);
    Ok(())
}

#[tokio::test]
async fn a_signature_from_another_time_is_refused() -> Result<()> {
    let now = u32::try_from(unix_now())?;
    says(&refusal_of(ArchiveKey::generate()?.signing_at(now + 86_400)).await?, &["in the future", "clock"]);
    says(&refusal_of(ArchiveKey::generate()?.signing_at(now - 100 * 86_400)).await?, &["signed before it was made"]);
    Ok(())
}

#[tokio::test]
async fn a_release_that_is_no_longer_valid_is_refused() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.field("Valid-Until", &rfc_date(unix_now() - DAY_SECONDS)).publish()?;
    says(&site.refusal(&upstream.config).await?, &["was valid until", "check_valid_until = false"]);

    upstream.config.check_valid_until = false;
    assert_eq!(site.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn a_mirror_that_goes_back_in_time_is_refused() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.date -= DAY_SECONDS;
    upstream.suite.publish()?;
    says(&site.refusal(&upstream.config).await?, &["the mirror went back in time", "was imported before"]);
    Ok(())
}

#[tokio::test]
async fn another_mirror_may_be_behind() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.date -= DAY_SECONDS;
    upstream.suite.publish()?;
    let server = upstream.mirror.serve(Behaviour::default())?;
    upstream.config.mirror = server.address();
    site.import(&upstream.config).await?;
    Ok(())
}

#[tokio::test]
async fn another_suite_of_the_same_archive_is_refused() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.field("Suite", "oldoldstable").field("Codename", "bullseye").publish()?;
    says(&site.refusal(&upstream.config).await?, &["it is oldoldstable or bullseye, not bookworm"]);

    upstream.suite.field("Suite", "bookworm").publish()?;
    site.import(&upstream.config).await?;
    Ok(())
}

#[tokio::test]
async fn a_stanza_that_cannot_be_read_refuses_the_suite() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.add(Deb::new("evil", "1").with("Version", "1/../2")).publish()?;
    says(&site.refusal(&upstream.config).await?, &["Packages.xz is refused: line 17", "Version: \"1/../2\""]);
    Ok(())
}

#[tokio::test]
async fn a_changed_keyring_verifies_the_same_release_again() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    let server = upstream.mirror.serve(Behaviour { entity_tags: true, ..Behaviour::default() })?;
    upstream.config.mirror = server.address();
    site.import(&upstream.config).await?;
    upstream.mirror.keyring("archive.asc", ArchiveKey::generate()?.armored()?)?;
    says(&site.refusal(&upstream.config).await?, &["is in none of the keyrings"]);
    Ok(())
}

#[tokio::test]
async fn an_index_is_not_taken_from_a_place_that_only_has_its_name() -> Result<()> {
    let (site, mut upstream) = imported().await?;
    upstream.suite.by_hash = ByHash::Only;
    upstream.suite.publish()?;
    std::fs::remove_dir_all(upstream.suite.index("amd64", Form::Xz).with_file_name("by-hash"))?;
    says(&site.refusal(&upstream.config).await?, &["Packages.xz"]);
    Ok(())
}
