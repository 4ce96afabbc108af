//! Suites, imports and the record of synchronizations.

use super::plant::suites;
use anyhow::{Context as _, Result, ensure};
use farrier::config::Classification;
use farrier::database::views::UpdateDetail;
use farrier::database::{
    Database, Engine, Follow, ImportCounts, ImportedPackage, ImportedUpdate, Requester, SuiteImport, SuitePhase,
    SuiteSync,
};
use farrier_protocol::{Digest, UpdateId};

scenarios![
    an_import_writes_what_differs,
    an_import_of_many_updates_is_whole,
    text_of_every_kind_is_stored,
    the_newest_version_supersedes_the_others,
    a_suite_that_is_not_followed_supersedes_no_other,
    suites_that_are_gone_expire_their_updates,
    one_request_is_taken_once,
    a_synchronization_is_recorded,
    an_interrupted_synchronization_is_requested_again,
    a_synchronization_of_another_process_is_left_to_it,
    a_long_import_is_not_called_abandoned,
    a_request_nobody_hears_is_noticed,
];

fn update(source: &str, version: &str, size: i64) -> ImportedUpdate {
    let package = ImportedPackage {
        name: source.into(),
        architecture: "amd64".into(),
        version: version.into(),
        file: "pool/a.deb".into(),
        size,
        sha256: Digest::of(b"a"),
    };
    ImportedUpdate {
        source: source.to_owned(),
        version: version.to_owned(),
        summary: format!("about {source}"),
        classification: Classification::SecurityUpdates,
        priority: 1,
        content: Digest::of(format!("{source} {version} {size}").as_bytes()),
        packages: vec![package],
    }
}

async fn import(database: &Database, suite: i64, follow: Follow, updates: Vec<ImportedUpdate>) -> Result<ImportCounts> {
    let import = SuiteImport {
        validator: Some("validator".to_owned()),
        imported: Digest::of(b"imported"),
        released_at: 1_700_000_000,
        follow,
        updates,
    };
    Ok(database.import_suite(suite, &import).await?)
}

fn counts(added: i64, changed: i64, expired: i64) -> ImportCounts {
    ImportCounts { added, changed, expired }
}

/// `source version size` of every package, of an update that must be stored.
async fn packages(database: &Database, name: &str) -> Result<Vec<String>> {
    let detail = detail(database, name).await?;
    Ok(detail.packages.iter().map(|package| format!("{} {} {}", package.name, package.version, package.size)).collect())
}

async fn detail(database: &Database, name: &str) -> Result<UpdateDetail> {
    database.update_detail(UpdateId::of_name(name)).await?.with_context(|| format!("{name} is not stored"))
}

async fn an_import_writes_what_differs(database: Database) -> Result<()> {
    let suite = suites(&database, &["bookworm"]).await?[0];
    let first = vec![update("a", "1", 1), update("b", "1", 1), update("c", "1", 1)];
    ensure!(import(&database, suite, Follow::Always, first.clone()).await? == counts(3, 0, 0));
    ensure!(import(&database, suite, Follow::Always, first).await? == counts(0, 0, 0));
    let second = vec![update("a", "1", 1), update("b", "1", 2), update("d", "1", 1)];
    ensure!(import(&database, suite, Follow::Always, second).await? == counts(1, 1, 1));
    ensure!(packages(&database, "bookworm/b/1").await? == ["b 1 2"]);
    ensure!(detail(&database, "bookworm/c/1").await?.expired_at.is_some());
    ensure!(detail(&database, "bookworm/d/1").await?.expired_at.is_none());

    ensure!(import(&database, suite, Follow::Always, vec![update("c", "1", 7)]).await? == counts(1, 0, 3));
    ensure!(detail(&database, "bookworm/c/1").await?.expired_at.is_none());
    ensure!(packages(&database, "bookworm/c/1").await? == ["c 1 7"]);
    let stored = database.suites().await?.remove(0);
    ensure!(stored.validator.as_deref() == Some("validator") && stored.imported == Some(Digest::of(b"imported")));
    ensure!(stored.released_at == Some(1_700_000_000) && stored.changed_at.is_some());
    Ok(())
}

async fn an_import_of_many_updates_is_whole(database: Database) -> Result<()> {
    const UPDATES: i64 = 4_321;
    let suite = suites(&database, &["bookworm"]).await?[0];
    let all = |size| (0..UPDATES).map(|number| update(&format!("p{number}"), "1", size)).collect::<Vec<_>>();
    ensure!(import(&database, suite, Follow::Always, all(1)).await? == counts(UPDATES, 0, 0));
    ensure!(import(&database, suite, Follow::Always, all(2)).await? == counts(0, UPDATES, 0));
    ensure!(packages(&database, "bookworm/p4320/1").await? == ["p4320 1 2"]);
    ensure!(import(&database, suite, Follow::Always, Vec::new()).await? == counts(0, 0, UPDATES));
    Ok(())
}

async fn text_of_every_kind_is_stored(database: Database) -> Result<()> {
    let suite = suites(&database, &["bookworm"]).await?[0];
    let mut odd = update("a", "1:2.0~rc1+dfsg-1", 1);
    odd.summary = "déjà vu ' \" \\ % ünïcödé 🐴".to_owned();
    import(&database, suite, Follow::Always, vec![odd.clone()]).await?;
    let detail = detail(&database, "bookworm/a/1:2.0~rc1+dfsg-1").await?;
    ensure!(detail.row.summary == odd.summary, "{}", detail.row.summary);
    Ok(())
}

async fn newest(database: &Database, name: &str) -> Result<Option<String>> {
    Ok(detail(database, name).await?.superseded_by.map(|newest| format!("{} {}", newest.suite, newest.title)))
}

async fn the_newest_version_supersedes_the_others(database: Database) -> Result<()> {
    let ids = suites(&database, &["bookworm", "bookworm-security"]).await?;
    import(&database, ids[0], Follow::Always, vec![update("a", "1.10-1", 1), update("b", "1", 1)]).await?;
    let security = vec![update("a", "1.9-1", 1), update("a", "1.10-1+deb12u1", 1), update("b", "1", 1)];
    import(&database, ids[1], Follow::Always, security).await?;
    let newest_a = Some("bookworm-security a 1.10-1+deb12u1".to_owned());
    ensure!(newest(&database, "bookworm/a/1.10-1").await? == newest_a);
    ensure!(newest(&database, "bookworm-security/a/1.9-1").await? == newest_a);
    ensure!(newest(&database, "bookworm-security/a/1.10-1+deb12u1").await?.is_none());
    ensure!(newest(&database, "bookworm/b/1").await?.is_none(), "equal versions do not supersede each other");

    // What expired supersedes nothing, and is itself superseded by what is newer.
    import(&database, ids[1], Follow::Always, Vec::new()).await?;
    ensure!(newest(&database, "bookworm/a/1.10-1").await?.is_none());
    ensure!(newest(&database, "bookworm-security/a/1.9-1").await?.as_deref() == Some("bookworm a 1.10-1"));
    Ok(())
}

async fn a_suite_that_is_not_followed_supersedes_no_other(database: Database) -> Result<()> {
    let ids = suites(&database, &["main", "backports", "experimental"]).await?;
    import(&database, ids[0], Follow::Always, vec![update("a", "1", 1), update("b", "9", 1)]).await?;
    import(&database, ids[1], Follow::WhereInstalled, vec![update("a", "2", 1), update("b", "2", 1)]).await?;
    import(&database, ids[2], Follow::Never, vec![update("a", "3", 1), update("b", "1", 1)]).await?;
    ensure!(newest(&database, "main/a/1").await?.is_none());
    ensure!(newest(&database, "backports/a/2").await?.is_none());
    ensure!(newest(&database, "backports/b/2").await?.as_deref() == Some("main b 9"));
    ensure!(newest(&database, "experimental/b/1").await?.as_deref() == Some("main b 9"));

    // What becomes ordinary supersedes.
    import(&database, ids[1], Follow::Always, vec![update("a", "2", 1)]).await?;
    ensure!(newest(&database, "main/a/1").await?.as_deref() == Some("backports a 2"));
    Ok(())
}

async fn suites_that_are_gone_expire_their_updates(database: Database) -> Result<()> {
    let ids = suites(&database, &["bookworm", "bookworm-security"]).await?;
    import(&database, ids[0], Follow::Always, vec![update("a", "1", 1)]).await?;
    import(&database, ids[1], Follow::Always, vec![update("a", "2", 1)]).await?;
    ensure!(newest(&database, "bookworm/a/1").await?.is_some());
    ensure!(suites(&database, &["bookworm"]).await? == ids[..1]);
    ensure!(detail(&database, "bookworm-security/a/2").await?.expired_at.is_some());
    ensure!(newest(&database, "bookworm/a/1").await?.is_none());
    ensure!(database.suites().await?.len() == 1);

    ensure!(suites(&database, &["bookworm", "bookworm-security"]).await? == ids, "a suite comes back as itself");
    ensure!(import(&database, ids[1], Follow::Always, vec![update("a", "2", 1)]).await? == counts(1, 0, 0));
    ensure!(newest(&database, "bookworm/a/1").await?.is_some());
    Ok(())
}

async fn one_request_is_taken_once(database: Database) -> Result<()> {
    ensure!(database.take_sync_run(&["a"]).await?.is_none());
    let first = database.request_sync(Requester::Schedule).await?;
    ensure!(database.request_sync(Requester::Administrator).await? == first, "an open request is not doubled");
    let (one, two) = (database.clone(), database.clone());
    let taken = tokio::try_join!(one.take_sync_run(&["a"]), two.take_sync_run(&["a"]))?;
    ensure!([taken.0, taken.1].iter().flatten().collect::<Vec<_>>() == [&first], "{taken:?}");
    let second = database.request_sync(Requester::Administrator).await?;
    ensure!(second > first && database.take_sync_run(&["a"]).await? == Some(second));
    Ok(())
}

async fn a_synchronization_is_recorded(database: Database) -> Result<()> {
    let run = database.request_sync(Requester::Administrator).await?;
    database.take_sync_run(&["b", "a"]).await?;
    let recorded = database.sync_run(run).await?.context("the run")?;
    ensure!(recorded.suites == [SuiteSync::waiting("a"), SuiteSync::waiting("b")]);
    ensure!(recorded.requested_by == Requester::Administrator && recorded.started_at.is_some());

    let failed = SuiteSync {
        phase: SuitePhase::Failed,
        error: Some("why, and what to do".to_owned()),
        done: 1,
        total: 2,
        added: 3,
        changed: 4,
        expired: 5,
        ..SuiteSync::waiting("a")
    };
    database.record_suite_sync(run, &failed).await?;
    ensure!(database.running_sync_run().await?.context("the run")?.suites[0] == failed);
    ensure!(database.last_sync_finished_at().await?.is_none());
    database.finish_sync_run(run).await?;
    let recorded = database.latest_sync_run().await?.context("the run")?;
    ensure!(recorded.finished_at.is_some() && !recorded.succeeded());
    ensure!(database.running_sync_run().await?.is_none());
    ensure!(database.last_sync_finished_at().await? == recorded.finished_at);
    ensure!(database.sync_runs(10).await? == [recorded]);
    Ok(())
}

async fn an_interrupted_synchronization_is_requested_again(database: Database) -> Result<()> {
    let later = farrier::database::now() + 600;
    ensure!(database.requeue_interrupted_sync_runs(later).await? == 0);
    let run = database.request_sync(Requester::Schedule).await?;
    database.take_sync_run(&["a"]).await?;
    ensure!(database.requeue_interrupted_sync_runs(later).await? == 1);
    let recorded = database.sync_run(run).await?.context("the run")?;
    ensure!(recorded.started_at.is_none() && recorded.suites.is_empty());
    ensure!(database.take_sync_run(&["a"]).await? == Some(run));
    database.finish_sync_run(run).await?;
    ensure!(database.requeue_interrupted_sync_runs(later).await? == 0);
    Ok(())
}

async fn a_synchronization_of_another_process_is_left_to_it(database: Database) -> Result<()> {
    let now = farrier::database::now();
    let others = match database.engine() {
        // Nobody else works on an SQLite file.
        Engine::Sqlite => 1,
        Engine::Postgres => 0,
    };
    let run = database.request_sync(Requester::Schedule).await?;
    database.take_sync_run(&["a"]).await?;
    ensure!(database.requeue_interrupted_sync_runs(now).await? == others);
    database.take_sync_run(&["a"]).await?;
    let importing = SuiteSync { phase: SuitePhase::Importing, ..SuiteSync::waiting("a") };
    database.record_suite_sync(run, &importing).await?;
    ensure!(database.requeue_interrupted_sync_runs(now + 900).await? == others, "importing may take long");
    Ok(())
}

async fn a_long_import_is_not_called_abandoned(database: Database) -> Result<()> {
    let now = farrier::database::now();
    let run = database.request_sync(Requester::Administrator).await?;
    database.take_sync_run(&["a"]).await?;
    let importing = SuiteSync { phase: SuitePhase::Importing, ..SuiteSync::waiting("a") };
    database.record_suite_sync(run, &importing).await?;
    ensure!(!database.is_sync_run_abandoned_at(run, now + 900).await?);
    ensure!(database.is_sync_run_abandoned_at(run, now + 3600).await?);
    Ok(())
}

async fn a_request_nobody_hears_is_noticed(database: Database) -> Result<()> {
    let now = farrier::database::now();
    let run = database.request_sync(Requester::Administrator).await?;
    ensure!(!database.is_sync_run_abandoned_at(run, now).await?, "it is too early to say");
    ensure!(database.is_sync_run_abandoned_at(run, now + 60).await?);
    database.take_sync_run(&["a"]).await?;
    ensure!(!database.is_sync_run_abandoned_at(run, now + 60).await?, "somebody is at it");
    ensure!(database.is_sync_run_abandoned_at(run, now + 600).await?, "whoever took it has died");
    database.finish_sync_run(run).await?;
    ensure!(!database.is_sync_run_abandoned_at(run, now + 600).await?, "it is done");
    Ok(())
}
