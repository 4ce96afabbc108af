//! Collections: definitions, and members that follow what changes.

use super::plant::{NOW, client, contact, number};
use anyhow::{Context as _, bail, ensure};
use farrier::collections::{
    self, ALL_CLIENTS, CollectionDefinition, CollectionError, CollectionId, DefinitionError, evaluate,
};
use farrier::database::Database;
use farrier_protocol::ClientId;
use std::collections::BTreeSet;
use std::time::Instant;

scenarios![
    every_client_is_in_all_clients_from_the_first_evaluation,
    a_query_follows_facts_and_tags,
    what_did_not_change_is_not_looked_at,
    includes_and_excludes_follow_each_other,
    static_members_come_and_go_alone,
    the_passing_of_time_takes_and_a_contact_gives_back,
    a_definition_that_changes_while_everybody_is_looked_at_is_not_forgotten,
    a_cycle_is_refused_with_its_names,
    what_does_not_fit_is_refused_and_changes_nothing,
    what_is_used_cannot_be_removed,
    a_preview_is_what_comes_of_it,
    a_removed_client_leaves_nothing_behind,
    pages_show_collections_and_members,
    a_fleet_is_evaluated_by_what_changed,
];

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn by_query(name: &str, query: &str) -> CollectionDefinition {
    CollectionDefinition { name: name.to_owned(), query: Some(query.to_owned()), ..CollectionDefinition::default() }
}

async fn made(database: &Database, definition: &CollectionDefinition) -> anyhow::Result<CollectionId> {
    Ok(collections::create(database, definition, NOW).await?)
}

/// Writes facts as an applied state message does.
async fn set(database: &Database, number: u8, facts: &'static str) -> anyhow::Result<()> {
    let sql = format!("UPDATE clients SET {facts}, unevaluated = 1 WHERE client_id = $1");
    sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ClientId([number; 16]).0.to_vec()).execute(database.pool()).await?;
    Ok(())
}

async fn tag(database: &Database, number: u8, tag: &str) -> anyhow::Result<()> {
    sqlx::query("INSERT INTO client_tags (client_id, tag) SELECT id, $1 FROM clients WHERE client_id = $2")
        .bind(tag)
        .bind(ClientId([number; 16]).0.to_vec())
        .execute(database.pool())
        .await?;
    set(database, number, "machine = machine").await
}

/// The members of a collection by the numbers of the clients.
async fn members(database: &Database, id: CollectionId) -> anyhow::Result<Vec<u8>> {
    let page = database.collection_members(id, "", 1).await?;
    let mut numbers: Vec<u8> = page.items.iter().map(|member| member.id.0[0]).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

async fn every_client_is_in_all_clients_from_the_first_evaluation(database: Database) -> anyhow::Result<()> {
    client(&database, 1).await?;
    ensure!(members(&database, ALL_CLIENTS).await?.is_empty());
    let evaluation = evaluate(&database, NOW).await?;
    ensure!(members(&database, ALL_CLIENTS).await? == [1]);
    ensure!(evaluation.changed == BTreeSet::from([ALL_CLIENTS]) && evaluation.next_due_at.is_none());
    client(&database, 2).await?;
    ensure!(evaluate(&database, NOW).await?.clients == 1, "only the new one is looked at");
    ensure!(members(&database, ALL_CLIENTS).await? == [1, 2]);
    ensure!(evaluate(&database, NOW).await? == collections::Evaluation::default());
    Ok(())
}

async fn a_query_follows_facts_and_tags(database: Database) -> anyhow::Result<()> {
    for number in 1..=3 {
        client(&database, number).await?;
    }
    let web = made(&database, &by_query("Web", "release = bookworm and tag = web")).await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, web).await?.is_empty());
    set(&database, 1, "release = 'bookworm'").await?;
    set(&database, 2, "release = 'bookworm'").await?;
    tag(&database, 1, "web").await?;
    tag(&database, 3, "web").await?;
    let evaluation = evaluate(&database, NOW).await?;
    ensure!(members(&database, web).await? == [1]);
    ensure!(evaluation.clients == 3 && evaluation.changed == BTreeSet::from([web]));
    set(&database, 1, "release = 'trixie'").await?;
    set(&database, 3, "release = 'bookworm'").await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, web).await? == [3]);
    Ok(())
}

async fn what_did_not_change_is_not_looked_at(database: Database) -> anyhow::Result<()> {
    for number in 1..=4 {
        client(&database, number).await?;
    }
    let old = made(&database, &by_query("Old", "release = bullseye")).await?;
    evaluate(&database, NOW).await?;
    // Behind the back of everybody: nobody says that it changed.
    sqlx::query("UPDATE clients SET release = 'bullseye'").execute(database.pool()).await?;
    set(&database, 2, "release = 'bullseye'").await?;
    let evaluation = evaluate(&database, NOW + DAY).await?;
    ensure!(evaluation.clients == 1 && members(&database, old).await? == [2]);
    // A new name alone is no reason to look, a new query is one to look at everybody.
    collections::change(&database, old, &by_query("Older", "release = bullseye"), NOW).await?;
    ensure!(evaluate(&database, NOW).await?.clients == 0);
    collections::change(&database, old, &by_query("Older", "release = bullseye and all"), NOW).await?;
    ensure!(evaluate(&database, NOW).await?.clients == 4 && members(&database, old).await? == [1, 2, 3, 4]);
    Ok(())
}

async fn includes_and_excludes_follow_each_other(database: Database) -> anyhow::Result<()> {
    for number in 1..=4 {
        client(&database, number).await?;
    }
    let left = made(&database, &by_query("Left", "hostname in (host-1, host-2)")).await?;
    let right = made(&database, &by_query("Right", "hostname in (host-2, host-3)")).await?;
    let both = CollectionDefinition {
        name: "Left without right".to_owned(),
        includes: BTreeSet::from([left]),
        excludes: BTreeSet::from([right]),
        // An excluded one stays out, whatever else says that it is in.
        clients: BTreeSet::from([ClientId([3; 16]), ClientId([4; 16])]),
        ..CollectionDefinition::default()
    };
    let both = made(&database, &both).await?;
    let over = CollectionDefinition {
        name: "Over".to_owned(),
        includes: BTreeSet::from([both]),
        ..CollectionDefinition::default()
    };
    let over = made(&database, &over).await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, both).await? == [1, 4] && members(&database, over).await? == [1, 4]);
    // What depends on a changed definition follows at once.
    collections::change(&database, right, &by_query("Right", "hostname = host-4"), NOW).await?;
    let evaluation = evaluate(&database, NOW).await?;
    ensure!(members(&database, both).await? == [1, 2, 3] && members(&database, over).await? == [1, 2, 3]);
    ensure!(evaluation.changed == BTreeSet::from([right, both, over]));
    // And so it does when a client changes.
    set(&database, 1, "hostname = 'host-4'").await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, right).await? == [1, 4] && members(&database, over).await? == [2, 3]);
    Ok(())
}

async fn static_members_come_and_go_alone(database: Database) -> anyhow::Result<()> {
    for number in 1..=5 {
        client(&database, number).await?;
    }
    evaluate(&database, NOW).await?;
    let mut definition = CollectionDefinition {
        name: "Chosen".to_owned(),
        clients: BTreeSet::from([ClientId([1; 16]), ClientId([2; 16])]),
        ..CollectionDefinition::default()
    };
    let id = made(&database, &definition).await?;
    ensure!(evaluate(&database, NOW).await?.clients == 2, "only the static members are looked at");
    ensure!(members(&database, id).await? == [1, 2]);
    definition.clients = BTreeSet::from([ClientId([2; 16]), ClientId([3; 16])]);
    collections::change(&database, id, &definition, NOW).await?;
    ensure!(evaluate(&database, NOW).await?.clients == 2, "one comes and one goes");
    ensure!(members(&database, id).await? == [2, 3]);
    ensure!(database.collection_definition(id).await?.context("it is there")? == definition);
    Ok(())
}

async fn the_passing_of_time_takes_and_a_contact_gives_back(database: Database) -> anyhow::Result<()> {
    let here = client(&database, 1).await?;
    let away = client(&database, 2).await?;
    let active = made(&database, &by_query("Active", "last_contact within 2d")).await?;
    let lost = made(&database, &by_query("Lost", "last_contact older than 30d")).await?;
    let evaluation = evaluate(&database, NOW).await?;
    ensure!(members(&database, active).await? == [1, 2]);
    ensure!(evaluation.next_due_at == Some(NOW + 2 * DAY + 1), "{evaluation:?}");
    // Simulated days: one client asks every hour, and the other is away.
    let mut looked_at = 0;
    for hour in 1..=31 * 24 {
        contact(&database, here, NOW + hour * HOUR).await?;
        looked_at += evaluate(&database, NOW + hour * HOUR).await?.clients;
    }
    ensure!(members(&database, active).await? == [1] && members(&database, lost).await? == [2]);
    // Not once an hour, but when the time of each has come: about every two days, and twice for the one who is away.
    ensure!(looked_at < 20, "{looked_at} evaluations in a month of two clients");
    let now = NOW + 31 * DAY;
    contact(&database, away, now).await?;
    ensure!(evaluate(&database, now).await?.clients == 1);
    ensure!(members(&database, active).await? == [1, 2] && members(&database, lost).await?.is_empty());
    Ok(())
}

async fn a_definition_that_changes_while_everybody_is_looked_at_is_not_forgotten(
    database: Database,
) -> anyhow::Result<()> {
    client(&database, 1).await?;
    let id = made(&database, &by_query("One", "hostname = host-1")).await?;
    let seen = database.unevaluated_collections().await?;
    // An administrator comes between the reading and the last transaction, within the same second.
    collections::change(&database, id, &by_query("One", "hostname = host-2"), NOW).await?;
    let which = farrier::database::Which::All { after: 0, seen: &seen };
    let keep = |input: &farrier::database::EvaluationInput| {
        Ok::<_, sqlx::Error>(input.clients.iter().map(|client| client.membership.clone()).collect())
    };
    database.update_members(which, NOW, keep).await?;
    ensure!(database.unevaluated_collections().await?.iter().any(|(unevaluated, _)| *unevaluated == id));
    set(&database, 1, "hostname = 'host-2'").await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, id).await? == [1] && database.unevaluated_collections().await?.is_empty());
    Ok(())
}

async fn a_cycle_is_refused_with_its_names(database: Database) -> anyhow::Result<()> {
    let first = made(&database, &by_query("First", "all")).await?;
    let related = |name: &str, includes: &[CollectionId], excludes: &[CollectionId]| CollectionDefinition {
        name: name.to_owned(),
        includes: includes.iter().copied().collect(),
        excludes: excludes.iter().copied().collect(),
        ..CollectionDefinition::default()
    };
    let second = made(&database, &related("Second", &[first], &[])).await?;
    let third = made(&database, &related("Third", &[ALL_CLIENTS], &[second])).await?;
    let refused = collections::change(&database, first, &related("First", &[third], &[]), NOW).await;
    let Err(CollectionError::Definition(DefinitionError::Cycle(names))) = refused else { bail!("{refused:?}") };
    ensure!(names == ["First", "Third", "Second", "First"], "{names:?}");
    let refused = collections::change(&database, first, &related("First", &[first], &[]), NOW).await;
    let words = refused.err().context("a collection in itself")?.to_string();
    ensure!(words == "First would depend on itself (First -> First): leave one of these out", "{words}");
    ensure!(database.collection_definition(first).await?.context("it is there")?.query.is_some(), "nothing changed");
    Ok(())
}

async fn what_does_not_fit_is_refused_and_changes_nothing(database: Database) -> anyhow::Result<()> {
    let id = made(&database, &by_query("Web", "tag = web")).await?;
    for (definition, field, words) in [
        (by_query("Web", "all"), Some("name"), "there is a collection named \"Web\" already"),
        (by_query("  ", "all"), Some("name"), "has no name"),
        (by_query("Other", "tag web"), Some("query"), "character 5: tag is text"),
        (
            CollectionDefinition { clients: BTreeSet::from([ClientId([9; 16])]), ..by_query("Other", "all") },
            Some("clients"),
            "is not known to this site",
        ),
        (
            CollectionDefinition { includes: BTreeSet::from([CollectionId(99)]), ..by_query("Other", "all") },
            None,
            "there is no collection 99",
        ),
    ] {
        let error = collections::create(&database, &definition, NOW).await.err().context("it must be refused")?;
        ensure!(error.field() == field, "{error}");
        let shown = format!("{:#}", anyhow::Error::new(error));
        ensure!(shown.contains(words), "{shown}");
    }
    ensure!(collections::change(&database, ALL_CLIENTS, &by_query("All", "tag = x"), NOW).await.is_err());
    ensure!(collections::change(&database, CollectionId(99), &by_query("X", "all"), NOW).await.is_err());
    // Its own name is no other's.
    collections::change(&database, id, &by_query(" Web ", " all "), NOW).await?;
    let stored = database.collection_definition(id).await?.context("it is there")?;
    ensure!(stored == by_query("Web", "all"), "{stored:?}");
    ensure!(number(&database, "SELECT COUNT(*) FROM collections").await? == 2);
    Ok(())
}

async fn what_is_used_cannot_be_removed(database: Database) -> anyhow::Result<()> {
    let web = made(&database, &by_query("Web", "tag = web")).await?;
    let over = CollectionDefinition { includes: BTreeSet::from([web]), ..by_query("Over", "tag = db") };
    let over = made(&database, &over).await?;
    let error = collections::remove(&database, web, NOW).await.err().context("it is used")?.to_string();
    ensure!(error.starts_with("Web cannot be removed, because the collection Over uses it"), "{error}");
    ensure!(collections::remove(&database, ALL_CLIENTS, NOW).await.is_err());
    collections::remove(&database, over, NOW).await?;
    collections::remove(&database, web, NOW).await?;
    ensure!(collections::remove(&database, web, NOW).await.is_err());
    ensure!(number(&database, "SELECT COUNT(*) FROM collection_relations").await? == 0);
    Ok(())
}

async fn a_preview_is_what_comes_of_it(database: Database) -> anyhow::Result<()> {
    for number in 1..=6 {
        client(&database, number).await?;
    }
    let odd = made(&database, &by_query("Odd", "hostname in (host-1, host-3, host-5)")).await?;
    evaluate(&database, NOW).await?;
    let definition = CollectionDefinition {
        excludes: BTreeSet::from([odd]),
        clients: BTreeSet::from([ClientId([1; 16]), ClientId([6; 16])]),
        ..by_query("", "hostname like host-? and not hostname in (host-4, host-6)")
    };
    let preview = collections::preview(&database, &definition, NOW).await?;
    let shown: Vec<u8> = preview.shown.iter().map(|client| client.id.0[0]).collect();
    ensure!(shown == [2, 6] && preview.members == 2 && preview.clients == 6, "{preview:?}");
    let id = made(&database, &CollectionDefinition { name: "Even".to_owned(), ..definition }).await?;
    evaluate(&database, NOW).await?;
    ensure!(members(&database, id).await? == [2, 6]);
    ensure!(collections::preview(&database, &by_query("", "tag ="), NOW).await.is_err());
    Ok(())
}

async fn a_removed_client_leaves_nothing_behind(database: Database) -> anyhow::Result<()> {
    client(&database, 1).await?;
    let definition = CollectionDefinition {
        clients: BTreeSet::from([ClientId([1; 16])]),
        ..by_query("Active", "last_contact within 1d")
    };
    made(&database, &definition).await?;
    tag(&database, 1, "web").await?;
    evaluate(&database, NOW).await?;
    sqlx::query("DELETE FROM clients").execute(database.pool()).await?;
    for table in ["collection_members", "collection_due", "collection_clients", "client_tags"] {
        let sql = format!("SELECT COUNT(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(database.pool()).await?;
        ensure!(rows == 0, "{table}");
    }
    evaluate(&database, NOW + 10 * DAY).await?;
    Ok(())
}

async fn pages_show_collections_and_members(database: Database) -> anyhow::Result<()> {
    for number in 1..=3 {
        client(&database, number).await?;
    }
    let zoo = made(&database, &by_query("zoo", "all")).await?;
    let ark = CollectionDefinition {
        includes: BTreeSet::from([zoo]),
        clients: BTreeSet::from([ClientId([2; 16])]),
        ..by_query("Ark", "hostname = host-1")
    };
    let ark = made(&database, &ark).await?;
    evaluate(&database, NOW).await?;
    let rows = database.collection_rows().await?;
    let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.members, row.static_clients)).collect();
    ensure!(names == [("All clients", 3, 0), ("Ark", 3, 1), ("zoo", 3, 0)], "{names:?}");
    let detail = database.collection_detail(zoo).await?.context("it is there")?;
    ensure!(detail.used_by.len() == 1 && detail.used_by[0].id == ark && detail.row.evaluated);
    let found = database.collection_members(ark, "HOST-2", 1).await?;
    ensure!(found.total == 1 && found.items[0].is_static && found.items[0].since == NOW, "{found:?}");
    let of_client = database.client_collections(ClientId([2; 16])).await?;
    let of_client: Vec<_> = of_client.iter().map(|link| link.name.as_str()).collect();
    ensure!(of_client == ["All clients", "Ark", "zoo"], "{of_client:?}");
    ensure!(database.collection_detail(CollectionId(99)).await?.is_none());
    Ok(())
}

/// Clients of a fleet that is large enough to need several transactions. `FARRIER_FLEET` takes another number, to
/// measure.
const FLEET: i64 = 5_000;

async fn a_fleet_is_evaluated_by_what_changed(database: Database) -> anyhow::Result<()> {
    let fleet = std::env::var("FARRIER_FLEET").ok().and_then(|fleet| fleet.parse().ok()).unwrap_or(FLEET);
    plant_fleet(&database, fleet).await?;
    for number in 0..20 {
        let query = match number % 4 {
            0 => format!("tag = t{number} and release = bookworm"),
            1 => format!("hostname like \"*{number}\" or architecture = arm64"),
            2 => format!("last_contact within {}d", number + 1),
            _ => format!("not (os = debian) or agent_version >= 0.{number}"),
        };
        made(&database, &by_query(&format!("Collection {number}"), &query)).await?;
    }
    let timed = async |what: &str, now: i64| {
        let start = Instant::now();
        let evaluation = evaluate(&database, now).await?;
        eprintln!("{what}: {} looks at clients in {:?}", evaluation.clients, start.elapsed());
        anyhow::Ok(evaluation)
    };
    timed("everybody, 21 collections", NOW).await?;
    ensure!(timed("nothing", NOW).await?.clients == 0);
    let tagged = i64::from(u8::MAX);
    sqlx::query("UPDATE clients SET release = 'trixie', unevaluated = 1 WHERE id <= $1")
        .bind(tagged)
        .execute(database.pool())
        .await?;
    ensure!(timed("some", NOW).await?.clients <= 255);
    made(&database, &by_query("Another", "tag = t4 or tag = t8")).await?;
    let evaluation = timed("one definition", NOW).await?;
    ensure!(i64::try_from(evaluation.clients)? == fleet && evaluation.changed.len() == 1);
    let expected =
        number(&database, "SELECT COUNT(DISTINCT client_id) FROM client_tags WHERE tag IN ('t4', 't8')").await?;
    let another = database.collection_named("Another").await?.context("it is there")?;
    ensure!(database.collection_members(another, "", 1).await?.total == expected && expected > 0);
    let evaluation = timed("a week of silence", NOW + 7 * DAY + 1).await?;
    ensure!(i64::try_from(evaluation.clients)? == fleet, "all are due");
    ensure!(timed("and then", NOW + 7 * DAY + 1).await?.clients == 0, "nobody is due twice");
    Ok(())
}

async fn plant_fleet(database: &Database, fleet: i64) -> anyhow::Result<()> {
    let rows: Vec<i64> = (1..=fleet).collect();
    let mut transaction = database.pool().begin().await?;
    for rows in rows.chunks(500) {
        let client = |row: &i64| {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&row.to_be_bytes());
            (*row, ClientId(id))
        };
        let clients: Vec<_> = rows.iter().map(client).collect();
        for (row, id) in clients {
            sqlx::query(
                "INSERT INTO clients (client_id, hostname, os, release, machine, agent_version, enrolled_at, \
                 last_contact_at) VALUES ($1, $2, 'debian', 'bookworm', 'x86_64', '0.4.2', $3, $3)",
            )
            .bind(id.0.to_vec())
            .bind(format!("host-{row}"))
            .bind(NOW)
            .execute(&mut *transaction)
            .await?;
        }
    }
    sqlx::raw_sql("INSERT INTO client_tags (client_id, tag) SELECT id, 't4' FROM clients WHERE id % 10 = 4")
        .execute(&mut *transaction)
        .await?;
    sqlx::raw_sql("INSERT INTO client_tags (client_id, tag) SELECT id, 't8' FROM clients WHERE id % 10 = 8")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}
