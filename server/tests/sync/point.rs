//! The role: requests, the period, several suites, interruptions.

use super::{Site, Upstream, config};
use anyhow::{Context as _, Result};
use farrier::config::SoftwareUpdatePointConfig;
use farrier::database::{Requester, SuitePhase, SyncRun};
use farrier::signals::Signals;
use farrier::sync;
use farrier_test_harness::mirror::Deb;
use jiff::SignedDuration;
use std::time::Duration;

fn phases(run: &SyncRun) -> Vec<(&str, SuitePhase)> {
    run.suites.iter().map(|suite| (suite.suite.as_str(), suite.phase)).collect()
}

#[tokio::test]
async fn a_broken_suite_does_not_stop_the_others() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let mut later = upstream.mirror.suite("trixie", &upstream.key);
    later.add(Deb::new("b", "1")).publish()?;
    std::fs::write(upstream.suite.in_release(), "nonsense")?;
    let suites = [upstream.config.clone(), config(&upstream.mirror, &upstream.key, "trixie")?];
    let run = site.synchronize(&suites).await?;
    assert_eq!(phases(&run), [("bookworm", SuitePhase::Failed), ("trixie", SuitePhase::Imported)]);
    assert!(run.finished_at.is_some() && !run.succeeded());
    assert_eq!(site.updates().await?, ["trixie/b/1"]);
    Ok(())
}

#[tokio::test]
async fn updates_of_a_suite_that_is_no_longer_configured_expire_and_come_back_with_it() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    site.import(&upstream.config).await?;
    site.synchronize(&[]).await?;
    assert_eq!(site.updates().await?, [""; 0]);
    assert_eq!(site.database.suites().await?, []);
    assert_eq!(site.stored().await?.len(), 1);

    assert_eq!(site.import(&upstream.config).await?.added, 1);
    assert_eq!(site.updates().await?, ["bookworm/a/1"]);
    Ok(())
}

#[tokio::test]
async fn an_interrupted_synchronization_starts_over() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let run = site.database.request_sync(Requester::Administrator).await?;
    assert_eq!(site.database.take_sync_run(&["bookworm"]).await?, Some(run));

    let point = site.point(std::slice::from_ref(&upstream.config));
    point.prepare().await?;
    assert!(point.synchronize_once().await?);
    assert!(!point.synchronize_once().await?);
    let run = site.database.sync_run(run).await?.context("it is still there")?;
    assert_eq!(phases(&run), [("bookworm", SuitePhase::Imported)]);
    Ok(())
}

#[tokio::test]
async fn a_changed_configuration_is_synchronized_at_once() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let mut point = site.point(std::slice::from_ref(&upstream.config));
    for (changed, synchronize_every, expected) in [
        ("new suite", SignedDuration::ZERO, true),
        ("nothing", SignedDuration::from_hours(6), false),
        ("architectures", SignedDuration::from_hours(6), true),
        ("architectures again, on a site that waits to be told", SignedDuration::ZERO, false),
    ] {
        point.config.synchronize_every = synchronize_every;
        if changed.starts_with("architectures") {
            point.config.suites[0].architectures.push(format!("i{}86", changed.len()));
        }
        point.prepare().await?;
        assert_eq!(point.synchronize_once().await?, expected, "{changed}");
    }
    Ok(())
}

/// Runs the role until its first synchronization has ended.
async fn run_until_synchronized(site: &Site, config: SoftwareUpdatePointConfig, signals: Signals) -> Result<SyncRun> {
    let role = sync::run(site.database.clone(), config, signals);
    let synchronized = async {
        loop {
            match site.database.latest_sync_run().await? {
                Some(run) if run.finished_at.is_some() => return anyhow::Ok(run),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::select! {
        stopped = role => anyhow::bail!("the role stopped: {stopped:?}"),
        run = synchronized => run,
    }
}

#[tokio::test]
async fn the_period_requests_a_synchronization() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let config = SoftwareUpdatePointConfig {
        synchronize_every: SignedDuration::from_hours(6),
        suites: vec![upstream.config.clone()],
    };
    let run = run_until_synchronized(&site, config.clone(), Signals::default()).await?;
    assert_eq!((run.requested_by, run.succeeded()), (Requester::Schedule, true));

    // It is not due again.
    let point = site.point(&config.suites);
    assert!(!point.synchronize_once().await?);
    Ok(())
}

#[tokio::test]
async fn a_request_of_another_process_is_heard() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let config =
        SoftwareUpdatePointConfig { synchronize_every: SignedDuration::ZERO, suites: vec![upstream.config.clone()] };
    let run = site.database.request_sync(Requester::Administrator).await?;
    let done = run_until_synchronized(&site, config, Signals::default()).await?;
    assert_eq!((done.id, done.requested_by), (run, Requester::Administrator));
    Ok(())
}

#[tokio::test]
async fn the_end_of_a_synchronization_wakes_who_publishes() -> Result<()> {
    let site = Site::new().await?;
    let mut upstream = Upstream::new()?;
    upstream.suite.add(Deb::new("a", "1")).publish()?;
    let point = site.point(std::slice::from_ref(&upstream.config));
    point.prepare().await?;
    site.database.request_sync(Requester::Administrator).await?;
    point.synchronize_once().await?;
    point.signals.content_changed.notified().await;
    Ok(())
}
