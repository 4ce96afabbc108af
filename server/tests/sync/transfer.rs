//! What is asked of a mirror, and in which forms it may answer.

use super::{Site, Upstream, config};
use anyhow::Result;
use farrier::database::SuitePhase;
use farrier_test_harness::mirror::{ArchiveKey, Behaviour, ByHash, Deb, Form, Mirror, Signing};

#[tokio::test]
async fn an_unchanged_suite_costs_one_request() -> Result<()> {
    for entity_tags in [true, false] {
        let site = Site::new().await?;
        let mut upstream = Upstream::new()?;
        upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
        let server = upstream.mirror.serve(Behaviour { entity_tags, ..Behaviour::default() })?;
        upstream.config.mirror = server.address();
        assert_eq!(site.import(&upstream.config).await?.phase, SuitePhase::Imported);
        assert_eq!(
            server.take_requests(),
            ["/dists/bookworm/InRelease", "/dists/bookworm/main/binary-amd64/Packages.xz"]
        );
        for _ in 0..2 {
            assert_eq!(site.import(&upstream.config).await?.phase, SuitePhase::Unchanged);
            assert_eq!(server.take_requests(), ["/dists/bookworm/InRelease"], "entity tags: {entity_tags}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn indices_are_asked_for_by_their_digest() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.by_hash = ByHash::Only;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    let server = upstream.mirror.serve(Behaviour::default())?;
    let folder = upstream.config.mirror.clone();
    upstream.config.mirror = server.address();
    assert_eq!(site.import(&upstream.config).await?.added, 1);
    let requests = server.take_requests();
    assert!(requests[1].starts_with("/dists/bookworm/main/binary-amd64/by-hash/SHA256/"), "{requests:?}");

    upstream.config.mirror = folder;
    assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_missing_by_its_digest_is_taken_by_its_name() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.by_hash = ByHash::Promised;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn every_form_of_an_index_is_read() -> Result<()> {
    for forms in [vec![Form::Plain], vec![Form::Gzip], vec![Form::Xz], vec![Form::Gzip, Form::Xz]] {
        let mut upstream = Upstream::new()?;
        upstream.suite.forms.clone_from(&forms);
        upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
        assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1, "{forms:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_index_that_is_missing_in_one_form_is_taken_in_another() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.forms = vec![Form::Plain, Form::Gzip, Form::Xz];
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    std::fs::remove_file(upstream.suite.index("amd64", Form::Xz))?;
    assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1);
    Ok(())
}

#[tokio::test]
async fn a_release_with_a_detached_signature_is_read() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.signing = Signing::Detached(upstream.key.clone());
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    let site = Site::new().await?;
    assert_eq!(site.import(&upstream.config).await?.added, 1);
    assert_eq!(site.import(&upstream.config).await?.phase, SuitePhase::Unchanged);
    Ok(())
}

#[tokio::test]
async fn flat_repositories_are_read() -> Result<()> {
    for (published, below, configured) in
        [("flat/", "", "flat/"), ("a/b/", "", "./a/b/"), ("flat/", "/flat", "./"), ("flat/", "/flat/", "/")]
    {
        let mirror = Mirror::new()?;
        let key = ArchiveKey::generate()?;
        mirror.suite(published, &key).add(Deb::new("openssl", "3.0.1-1")).publish()?;
        let mut config = config(&mirror, &key, configured)?;
        config.name = "flat".to_owned();
        config.mirror += below;
        let site = Site::new().await?;
        assert_eq!(site.import(&config).await?.added, 1, "{configured} of {published}");
        assert_eq!(site.updates().await?, ["flat/openssl/3.0.1-1"]);
    }
    Ok(())
}

#[tokio::test]
async fn keyrings_may_be_binary_and_hold_several_keys() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    let other = ArchiveKey::with_subkey()?;
    let armored = [other.armored()?, upstream.key.armored()?].concat();
    let binary = [other.binary()?, upstream.key.binary()?].concat();
    for keyring in [armored.into_bytes(), binary, upstream.key.binary()?] {
        upstream.mirror.keyring("archive.asc", keyring)?;
        assert_eq!(Site::new().await?.import(&upstream.config).await?.added, 1);
    }
    Ok(())
}

#[tokio::test]
async fn a_keyring_that_is_none_is_named() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.publish()?;
    let site = Site::new().await?;
    for content in ["", "no keyring", "\u{1}\u{2}"] {
        upstream.mirror.keyring("archive.asc", content)?;
        let error = site.refusal(&upstream.config).await?;
        assert!(error.contains("archive.asc is no keyring"), "{error}");
    }
    std::fs::remove_file(&upstream.config.keyrings[0])?;
    let error = site.refusal(&upstream.config).await?;
    assert!(error.contains("archive.asc cannot be read"), "{error}");
    Ok(())
}

#[tokio::test]
async fn redirects_are_followed_within_the_web_only() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("openssl", "3.0.1-1")).publish()?;
    let server = upstream.mirror.serve(Behaviour::default())?;
    let redirect = |to: String| Behaviour { redirect: Some(("/here".to_owned(), to)), ..Behaviour::default() };
    upstream.config.mirror = format!("{}/here", server.address());
    let site = Site::new().await?;
    server.behave(redirect(format!("file://{}/dists/bookworm/InRelease", upstream.mirror.folder().display())));
    site.refusal(&upstream.config).await?;
    server.behave(redirect(format!("{}/here", server.address())));
    site.refusal(&upstream.config).await?;

    let second = upstream.mirror.serve(Behaviour::default())?;
    server.behave(redirect(format!("{}/dists/bookworm/InRelease", second.address())));
    let error = site.refusal(&upstream.config).await?;
    assert!(error.contains("Packages"), "the release was redirected, the index cannot be: {error}");
    Ok(())
}

#[tokio::test]
async fn a_mirror_that_is_not_there_is_named() -> Result<()> {
    let mut upstream = Upstream::new()?;
    let site = Site::new().await?;
    for (mirror, words) in [
        ("http://127.0.0.1:9", "InRelease cannot be fetched; is the mirror reachable"),
        ("file:/nowhere", "/dists/bookworm/Release does not exist; check the suite's mirror"),
        ("ftp://mirror.example.org", "is no address"),
    ] {
        upstream.config.mirror = mirror.to_owned();
        let error = site.refusal(&upstream.config).await?;
        assert!(error.contains(words), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_release_does_not_have_is_named() -> Result<()> {
    let mut upstream = Upstream::new()?;
    upstream.suite.publish()?;
    let site = Site::new().await?;
    let mut config = upstream.config.clone();
    config.components = vec!["main".to_owned(), "mian".to_owned()];
    let error = site.refusal(&config).await?;
    assert!(error.contains("the release has no component \"mian\" for amd64, but main"), "{error}");
    config = upstream.config.clone();
    config.architectures = vec!["mips".to_owned()];
    let error = site.refusal(&config).await?;
    assert!(error.contains("serves none of the architectures mips, but amd64"), "{error}");
    Ok(())
}
