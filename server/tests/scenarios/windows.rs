//! Maintenance windows: what the members of a collection are told.

use super::plant::{NOW, client};
use anyhow::{Context as _, ensure};
use farrier::collections::{self, ALL_CLIENTS, CollectionDefinition, CollectionId, evaluate};
use farrier::database::{Database, WindowDefinition};
use farrier::windows::{self, HORIZON_DAYS};
use farrier_protocol::assignment::WindowKind;
use std::collections::BTreeSet;

scenarios![
    a_client_is_told_the_windows_of_its_collections,
    a_window_is_changed_disabled_and_removed,
    whatever_changes_windows_changes_the_assignment,
    a_window_that_makes_no_sense_is_refused,
];

fn nightly(name: &str) -> WindowDefinition {
    WindowDefinition {
        name: name.to_owned(),
        kind: WindowKind::Maintenance,
        starts: jiff::civil::datetime(2026, 1, 1, 22, 0, 0, 0),
        recurrence: Some("FREQ=DAILY".to_owned()),
        duration_seconds: 7_200,
        time_zone: Some("Europe/Berlin".to_owned()),
        enabled: true,
    }
}

async fn a_client_is_told_the_windows_of_its_collections(database: Database) -> anyhow::Result<()> {
    let (first, second) = (client(&database, 1).await?, client(&database, 2).await?);
    let chosen = CollectionDefinition {
        name: "Chosen".to_owned(),
        clients: BTreeSet::from([first]),
        ..CollectionDefinition::default()
    };
    let chosen = collections::create(&database, &chosen, NOW).await?;
    windows::add(&database, chosen, &nightly("Nights"), NOW).await?;
    let office = WindowDefinition {
        kind: WindowKind::BusinessHours,
        recurrence: Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR=9".to_owned()),
        time_zone: None,
        ..nightly("Office")
    };
    windows::add(&database, ALL_CLIENTS, &office, NOW).await?;
    evaluate(&database, NOW).await?;
    let told = windows::for_client(&database, first, NOW).await?;
    let count = |kind| told.windows.iter().filter(|window| window.kind == kind).count();
    ensure!(told.limited && told.known_until >= NOW + (HORIZON_DAYS - 1) * 86_400);
    ensure!((35..=37).contains(&count(WindowKind::Maintenance)), "{}", count(WindowKind::Maintenance));
    ensure!((24..=27).contains(&count(WindowKind::BusinessHours)));
    let told = windows::for_client(&database, second, NOW).await?;
    ensure!(!told.limited && told.windows.iter().all(|window| window.kind == WindowKind::BusinessHours));
    Ok(())
}

async fn a_window_is_changed_disabled_and_removed(database: Database) -> anyhow::Result<()> {
    let first = client(&database, 1).await?;
    evaluate(&database, NOW).await?;
    let id = windows::add(&database, ALL_CLIENTS, &nightly(" Nights "), NOW).await?;
    let stored = database.window(id).await?.context("it is there")?;
    ensure!(stored.definition == nightly("Nights") && stored.collection_name == "All clients", "{stored:?}");
    let once = WindowDefinition { recurrence: Some(" ".to_owned()), time_zone: None, ..nightly("Once") };
    windows::change(&database, id, &once, NOW).await?;
    let told = windows::for_client(&database, first, NOW).await?;
    ensure!(told.limited && told.windows.is_empty(), "it was long ago, and limits all the same: {told:?}");
    windows::change(&database, id, &WindowDefinition { enabled: false, ..once }, NOW).await?;
    ensure!(!windows::for_client(&database, first, NOW).await?.limited);
    ensure!(database.windows().await?.len() == 1 && database.collection_windows(ALL_CLIENTS).await?.len() == 1);
    windows::remove(&database, id, NOW).await?;
    ensure!(windows::remove(&database, id, NOW).await.is_err());
    ensure!(windows::change(&database, id, &nightly("Nights"), NOW).await.is_err());
    Ok(())
}

async fn whatever_changes_windows_changes_the_assignment(database: Database) -> anyhow::Result<()> {
    let first = client(&database, 1).await?;
    let chosen = CollectionDefinition { name: "Chosen".to_owned(), ..CollectionDefinition::default() };
    let id = collections::create(&database, &chosen, NOW).await?;
    evaluate(&database, NOW).await?;
    let mut last = database.assignment_version().await?.version;
    let mut grows = async |what: &str, now: i64| {
        let version = database.assignment_version().await?.version;
        ensure!(version > last && version >= now.cast_unsigned(), "{what}: {last} to {version}");
        last = version;
        anyhow::Ok(())
    };
    let window = windows::add(&database, id, &nightly("Nights"), NOW).await?;
    grows("a new window", NOW).await?;
    let with = CollectionDefinition { clients: BTreeSet::from([first]), ..chosen.clone() };
    collections::change(&database, id, &with, NOW).await?;
    evaluate(&database, NOW).await?;
    grows("a new member", NOW).await?;
    windows::change(&database, window, &nightly("Late nights"), NOW).await?;
    grows("a changed window", NOW).await?;
    windows::remove(&database, window, NOW + 60).await?;
    grows("a removed window", NOW + 60).await?;
    windows::add(&database, id, &nightly("Nights"), NOW + 60).await?;
    collections::remove(&database, id, NOW + 60).await?;
    ensure!(database.windows().await?.is_empty(), "windows go with their collection");
    Ok(())
}

async fn a_window_that_makes_no_sense_is_refused(database: Database) -> anyhow::Result<()> {
    for (window, field, words) in [
        (WindowDefinition { name: " ".to_owned(), ..nightly("") }, "name", "has no name"),
        (WindowDefinition { duration_seconds: 59, ..nightly("x") }, "duration_seconds", "lasts 59 seconds"),
        (WindowDefinition { duration_seconds: u32::MAX, ..nightly("x") }, "duration_seconds", "1 minute to 7 days"),
        (WindowDefinition { time_zone: Some("Berlin".to_owned()), ..nightly("x") }, "time_zone", "Europe/Berlin"),
        (WindowDefinition { recurrence: Some("daily".to_owned()), ..nightly("x") }, "recurrence", "cannot be used"),
    ] {
        let error = windows::add(&database, ALL_CLIENTS, &window, NOW).await.err().context("it must be refused")?;
        ensure!(error.field() == Some(field) && error.to_string().contains(words), "{error}");
    }
    let error =
        windows::add(&database, CollectionId(99), &nightly("x"), NOW).await.err().context("no such collection")?;
    ensure!(error.to_string().contains("no collection 99"), "{error}");
    ensure!(database.windows().await?.is_empty());
    Ok(())
}
