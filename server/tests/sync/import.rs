//! What an import makes of a suite, and what the next one makes of the change.

use super::{Site, Upstream, config};
use anyhow::Result;
use farrier::database::{SuitePhase, SuiteSync};
use farrier_test_harness::mirror::{Behaviour, Deb, unix_now};

fn counts(result: &SuiteSync) -> [i64; 3] {
    [result.added, result.changed, result.expired]
}

#[tokio::test]
async fn binaries_of_one_source_version_are_one_update() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream
        .suite
        .add(Deb::new("libssl3", "3.0.1-1").with("Source", "openssl"))
        .add(Deb::new("openssl", "3.0.1-1"))
        .add(Deb::new("libssl1.1", "1.1-1+b1").with("Source", "openssl (1.1-1)"))
        .add(Deb::new("ssl-doc", "3.0.1-1").with("Source", "openssl").with("Architecture", "all"))
        .publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [2, 0, 0]);
    assert_eq!(site.updates().await?, ["bookworm/openssl/1.1-1", "bookworm/openssl/3.0.1-1"]);
    let packages = site.packages("bookworm/openssl/3.0.1-1").await?;
    assert_eq!(packages, ["libssl3 amd64 3.0.1-1", "openssl amd64 3.0.1-1", "ssl-doc all 3.0.1-1"]);
    assert_eq!(site.packages("bookworm/openssl/1.1-1").await?, ["libssl1.1 amd64 1.1-1+b1"]);
    Ok(())
}

#[tokio::test]
async fn only_the_change_is_imported() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    for number in 0..50 {
        upstream.suite.add(Deb::new(&format!("package{number}"), "1-1"));
    }
    upstream.suite.publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [50, 0, 0]);

    upstream.suite.publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [0, 0, 0]);

    upstream.suite.remove("package7").remove("package8").remove("package9");
    upstream.suite.add(Deb::new("package7", "1-2")).add(Deb::new("package8", "1-1").with("Size", "7")).publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [1, 1, 2]);
    let stored = site.stored().await?;
    let of = |name: &str| stored.iter().find(|update| update.name == name).unwrap();
    assert_eq!(of("bookworm/package7/1-1").superseded_by.as_deref(), Some("bookworm/package7/1-2"));
    assert!(of("bookworm/package7/1-1").expired && of("bookworm/package9/1-1").expired);
    assert!(!of("bookworm/package8/1-1").expired);
    assert_eq!(stored.iter().filter(|update| update.expired).count(), 2);
    Ok(())
}

#[tokio::test]
async fn what_vanishes_expires_and_what_returns_lives_again() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).add(Deb::new("b", "1")).publish()?;
    site.import(&upstream.config).await?;
    upstream.suite.remove("a").publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [0, 0, 1]);
    assert_eq!(site.updates().await?, ["bookworm/b/1"]);

    upstream.suite.add(Deb::new("a", "1").with("Size", "5")).publish()?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [1, 0, 0]);
    assert_eq!(site.updates().await?, ["bookworm/a/1", "bookworm/b/1"]);
    assert_eq!(site.packages("bookworm/a/1").await?, ["a amd64 1"]);
    Ok(())
}

#[tokio::test]
async fn a_refused_release_does_not_hinder_the_next_good_one() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    site.import(&upstream.config).await?;
    upstream.suite.add(Deb::new("b", "1")).publish()?;
    let good = std::fs::read(upstream.suite.in_release())?;
    upstream.suite.tamper(&upstream.suite.in_release(), |bytes| bytes[..bytes.len() / 2].to_vec())?;
    site.refusal(&upstream.config).await?;
    std::fs::write(upstream.suite.in_release(), good)?;
    assert_eq!(counts(&site.import(&upstream.config).await?), [1, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn newer_versions_supersede_older_ones_of_the_same_release() -> Result<()> {
    let site = Site::new().await?;
    let mut main = Upstream::new()?;
    main.suite.add(Deb::new("openssl", "3.0.9-1")).add(Deb::new("same", "1")).add(Deb::new("ahead", "2")).publish()?;
    let mut security = main.mirror.suite("bookworm-security", &main.key);
    security
        .add(Deb::new("openssl", "3.0.17-1~deb12u2"))
        .add(Deb::new("same", "1"))
        .add(Deb::new("ahead", "1~1"))
        .publish()?;
    let mut backports = main.mirror.suite("bookworm-backports", &main.key);
    backports.field("NotAutomatic", "yes").field("ButAutomaticUpgrades", "yes");
    backports.add(Deb::new("openssl", "3.5-1~bpo12+1")).add(Deb::new("ahead", "1")).publish()?;
    let mut other = main.mirror.suite("trixie", &main.key);
    other.add(Deb::new("openssl", "4")).publish()?;

    let mut suites = vec![main.config.clone()];
    for name in ["bookworm-security", "bookworm-backports", "trixie"] {
        suites.push(config(&main.mirror, &main.key, name)?);
    }
    suites[3].release = "trixie".to_owned();
    assert!(site.synchronize(&suites).await?.succeeded());
    let superseded: Vec<_> =
        site.stored().await?.into_iter().filter_map(|u| Some((u.name, u.superseded_by?))).collect();
    let expected = [
        ("bookworm-backports/ahead/1", "bookworm/ahead/2"),
        ("bookworm-security/ahead/1~1", "bookworm/ahead/2"),
        ("bookworm/openssl/3.0.9-1", "bookworm-security/openssl/3.0.17-1~deb12u2"),
    ];
    assert_eq!(superseded, expected.map(|(old, new)| (old.to_owned(), new.to_owned())));

    // When the newer one vanishes, the older one is the newest again.
    security.remove("openssl").publish()?;
    site.synchronize(&suites).await?;
    let stored = site.stored().await?;
    let main_openssl = stored.iter().find(|update| update.name == "bookworm/openssl/3.0.9-1").unwrap();
    assert_eq!(main_openssl.superseded_by, None);
    Ok(())
}

#[tokio::test]
async fn foreign_architectures_are_imported_only_if_configured() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.field("Architectures", "amd64 i386 arm64");
    let all = || Deb::new("tzdata", "1").with("Architecture", "all");
    for architecture in ["amd64", "i386", "arm64"] {
        let native = Deb::new("zlib", "1").with("Architecture", architecture);
        upstream.suite.add_to(architecture, native).add_to(architecture, all());
    }
    upstream.suite.publish()?;
    upstream.config.architectures = vec!["amd64".to_owned(), "i386".to_owned(), "riscv64".to_owned()];
    site.import(&upstream.config).await?;
    assert_eq!(site.packages("bookworm/zlib/1").await?, ["zlib amd64 1", "zlib i386 1"]);
    assert_eq!(site.packages("bookworm/tzdata/1").await?, ["tzdata all 1"]);
    Ok(())
}

#[tokio::test]
async fn packages_for_all_architectures_may_have_an_index_of_their_own() -> Result<()> {
    for (no_support, expected) in
        [(false, vec!["bookworm/tzdata/1", "bookworm/zlib/1"]), (true, vec!["bookworm/zlib/1"])]
    {
        let site = Site::new().await?;
        let mut upstream = Upstream::new()?;
        upstream.suite.field("Architectures", "all amd64").add(Deb::new("zlib", "1"));
        upstream.suite.add_to("all", Deb::new("tzdata", "1").with("Architecture", "all"));
        if no_support {
            upstream.suite.field("No-Support-for-Architecture-all", "Packages");
        }
        upstream.suite.publish()?;
        site.import(&upstream.config).await?;
        assert_eq!(site.updates().await?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_configuration_imports_the_same_release_again() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.field("Architectures", "amd64 i386").add(Deb::new("zlib", "1"));
    upstream.suite.add_to("i386", Deb::new("zlib", "1").with("Architecture", "i386")).publish()?;
    let server = upstream.mirror.serve(Behaviour { entity_tags: true, ..Behaviour::default() })?;
    upstream.config.mirror = server.address();
    site.import(&upstream.config).await?;
    assert_eq!(site.packages("bookworm/zlib/1").await?, ["zlib amd64 1"]);

    upstream.config.architectures.push("i386".to_owned());
    assert_eq!(counts(&site.import(&upstream.config).await?), [0, 1, 0]);
    assert_eq!(site.packages("bookworm/zlib/1").await?, ["zlib amd64 1", "zlib i386 1"]);
    assert_eq!(site.import(&upstream.config).await?.phase, SuitePhase::Unchanged);
    Ok(())
}

#[tokio::test]
async fn an_empty_suite_is_a_suite() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.publish()?;
    assert_eq!(site.import(&upstream.config).await?.phase, SuitePhase::Imported);
    let [suite] = &site.database.suites().await?[..] else { panic!("one suite") };
    assert_eq!(suite.released_at, Some(upstream.suite.date));
    assert!(suite.checked_at.is_some_and(|at| at <= unix_now()) && suite.changed_at.is_none());
    Ok(())
}
