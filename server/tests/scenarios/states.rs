//! State messages: what is committed, and what the client hears.

use super::plant::{self, NOW, client, number};
use anyhow::{bail, ensure};
use farrier::database::{Database, StateError, StateWriter};
use farrier_protocol::state_message::{
    Compliance, Finding, Inventory, PluginResult, ScanResult, StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};
use sqlx::Row as _;
use std::collections::HashMap;

use ComplianceState::{Installed, NotRequired, Required, Unknown};
use StateMessage::Reset;
use StateReply::Resend;

scenarios![
    a_first_batch_starts_the_stream,
    only_states_other_than_not_required_are_stored,
    messages_sent_twice_change_nothing,
    a_gap_changes_nothing_and_asks_for_everything,
    an_unknown_stream_changes_nothing_and_asks_for_everything,
    a_new_stream_forgets_what_the_old_one_said,
    findings_are_replaced_with_their_state,
    a_finding_of_the_next_batch_belongs_to_the_state_before_it,
    an_inventory_describes_the_client,
    a_scan_replaces_the_plugins_and_is_never_in_the_future,
    states_of_unknown_updates_are_no_error,
    states_of_unknown_updates_are_asked_for_again_once_after_an_import,
    a_batch_of_a_stranger_is_refused,
    texts_with_a_nul_are_no_obstacle,
    a_state_that_is_said_again_keeps_its_time,
    a_batch_of_the_largest_size_is_committed,
    concurrent_batches_of_one_client_are_committed_one_after_the_other,
    concurrent_batches_of_many_clients_are_all_committed,
    a_failing_batch_does_not_harm_its_neighbours,
];

const STREAM: u64 = u64::MAX - 3;

fn batch(stream: u64, first_serial: u64, messages: impl IntoIterator<Item = StateMessage>) -> Box<StateBatch> {
    Box::new(StateBatch { stream, first_serial, messages: messages.into_iter().collect() })
}

fn state(update: UpdateId, state: ComplianceState) -> StateMessage {
    StateMessage::Compliance(Compliance { update, state })
}

fn finding(update: UpdateId, subject: &str, detail: &str) -> StateMessage {
    StateMessage::Finding(Finding { update, subject: bounded(subject), state: Required, detail: bounded(detail) })
}

fn scan(scanned_at: i64, plugins: &[(&str, &str)]) -> StateMessage {
    let plugin = |(name, error): &(&str, &str)| PluginResult {
        name: bounded(name),
        version: bounded("1.0"),
        error: bounded(error),
    };
    let plugins = plugins.iter().map(plugin).collect();
    StateMessage::Scan(Box::new(ScanResult { scanned_at, assignment_version: 4, evaluated: 5, plugins }))
}

fn through(serial: u64) -> StateReply {
    StateReply::Acknowledged { through: serial }
}

/// What is stored of a client's states: source package and state.
async fn states(database: &Database, client: ClientId) -> anyhow::Result<Vec<(String, ComplianceState)>> {
    let rows = sqlx::query(
        "SELECT u.source, s.state FROM compliance_states s JOIN clients c ON c.id = s.client_id \
         JOIN software_updates u ON u.id = s.software_update_id WHERE c.client_id = $1 ORDER BY u.source",
    )
    .bind(client.as_bytes())
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)?.try_into()?))).collect()
}

/// The stored findings of all clients: source package, subject and detail.
async fn findings(database: &Database) -> anyhow::Result<Vec<[String; 3]>> {
    let rows = sqlx::query(
        "SELECT u.source, f.subject, f.detail FROM findings f \
         JOIN software_updates u ON u.id = f.software_update_id ORDER BY u.source, f.subject",
    )
    .fetch_all(database.pool())
    .await?;
    rows.iter().map(|row| Ok([row.try_get(0)?, row.try_get(1)?, row.try_get(2)?])).collect()
}

/// A client with a state, a finding and a scan.
pub async fn report_something(database: &Database) -> anyhow::Result<(ClientId, Vec<UpdateId>)> {
    let updates = plant::updates(database, &["bash", "curl", "dash"]).await?;
    let client = client(database, 1).await?;
    let messages = [
        Reset,
        state(updates[0], Required),
        finding(updates[0], "bash", "1.1 is older than 1.2-3"),
        state(updates[1], Installed),
        scan(NOW, &[("dpkg", "")]),
    ];
    ensure!(database.commit_batch(client, &batch(STREAM, 1, messages), NOW).await? == through(5));
    Ok((client, updates))
}

async fn a_first_batch_starts_the_stream(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    ensure!(states(&database, client).await? == [("bash".to_owned(), Required), ("curl".to_owned(), Installed)]);
    let next = batch(STREAM, 6, [state(updates[2], Unknown)]);
    ensure!(database.commit_batch(client, &next, NOW + 9).await? == through(6));
    ensure!(states(&database, client).await?.len() == 3);
    ensure!(number(&database, "SELECT last_contact_at FROM clients").await? == NOW + 9);
    Ok(())
}

async fn only_states_other_than_not_required_are_stored(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let messages = [state(updates[0], NotRequired), state(updates[2], NotRequired)];
    database.commit_batch(client, &batch(STREAM, 6, messages), NOW).await?;
    ensure!(states(&database, client).await? == [("curl".to_owned(), Installed)]);
    ensure!(findings(&database).await?.is_empty(), "the findings of a state go with it");
    Ok(())
}

async fn messages_sent_twice_change_nothing(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let messages = [state(updates[0], Installed), state(updates[1], Required)];
    ensure!(database.commit_batch(client, &batch(STREAM, 6, messages.clone()), NOW).await? == through(7));
    let overlapping =
        [scan(NOW, &[]), state(updates[0], Required), state(updates[1], Unknown), state(updates[2], Required)];
    ensure!(database.commit_batch(client, &batch(STREAM, 5, overlapping), NOW).await? == through(8));
    let expected = [("bash", Installed), ("curl", Required), ("dash", Required)];
    ensure!(states(&database, client).await? == expected.map(|(source, state)| (source.to_owned(), state)));
    ensure!(database.commit_batch(client, &batch(STREAM, 6, messages), NOW).await? == through(8));
    ensure!(database.commit_batch(client, &batch(STREAM, 1, [Reset]), NOW).await? == through(8));
    ensure!(states(&database, client).await?.len() == 3, "an old reset is a duplicate like any other message");
    Ok(())
}

async fn a_gap_changes_nothing_and_asks_for_everything(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    for first_serial in [0, 7, u64::MAX] {
        let gap = batch(STREAM, first_serial, [state(updates[0], Unknown), state(updates[1], Unknown)]);
        ensure!(database.commit_batch(client, &gap, NOW).await? == Resend, "first serial {first_serial}");
    }
    ensure!(states(&database, client).await? == [("bash".to_owned(), Required), ("curl".to_owned(), Installed)]);
    ensure!(database.commit_batch(client, &batch(STREAM, 6, []), NOW).await? == through(5));
    Ok(())
}

async fn an_unknown_stream_changes_nothing_and_asks_for_everything(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    let client = client(&database, 1).await?;
    for unknown in [batch(7, 1, [state(updates[0], Required)]), batch(7, 2, [Reset]), batch(7, 1, [])] {
        ensure!(database.commit_batch(client, &unknown, NOW).await? == Resend);
    }
    ensure!(states(&database, client).await?.is_empty());
    Ok(())
}

async fn a_new_stream_forgets_what_the_old_one_said(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let other = plant::client(&database, 2).await?;
    database.commit_batch(other, &batch(1, 1, [Reset, state(updates[0], Required)]), NOW).await?;
    let anew = batch(9, 1, [Reset, state(updates[2], Installed)]);
    ensure!(database.commit_batch(client, &anew, NOW).await? == through(2));
    ensure!(states(&database, client).await? == [("dash".to_owned(), Installed)]);
    ensure!(findings(&database).await?.is_empty());
    ensure!(number(&database, "SELECT COUNT(*) FROM clients WHERE scanned_at IS NOT NULL").await? == 0);
    ensure!(states(&database, other).await?.len() == 1, "another client is not concerned");
    ensure!(database.commit_batch(client, &batch(STREAM, 6, [Reset]), NOW).await? == Resend, "the old stream is over");
    Ok(())
}

async fn findings_are_replaced_with_their_state(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let messages =
        [state(updates[0], Required), finding(updates[0], "bash-doc", "new"), finding(updates[0], "bash-doc", "newer")];
    database.commit_batch(client, &batch(STREAM, 6, messages), NOW).await?;
    ensure!(findings(&database).await? == [["bash", "bash-doc", "newer"].map(str::to_owned)]);
    Ok(())
}

async fn a_finding_of_the_next_batch_belongs_to_the_state_before_it(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    database.commit_batch(client, &batch(STREAM, 6, [finding(updates[0], "bash-doc", "more")]), NOW).await?;
    ensure!(findings(&database).await?.len() == 2);
    Ok(())
}

async fn an_inventory_describes_the_client(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    let inventory = Inventory {
        hostname: bounded("renamed"),
        operating_system: bounded("Debian GNU/Linux 12 (bookworm)"),
        machine: bounded("x86_64"),
        agent_version: bounded("0.1.0"),
    };
    let messages = [Reset, StateMessage::Inventory(Box::new(inventory))];
    database.commit_batch(client, &batch(1, 1, messages), NOW).await?;
    let stored: String = sqlx::query_scalar(
        "SELECT hostname || ', ' || operating_system || ', ' || machine || ', ' || agent_version FROM clients",
    )
    .fetch_one(database.pool())
    .await?;
    ensure!(stored == "renamed, Debian GNU/Linux 12 (bookworm), x86_64, 0.1.0", "{stored}");
    Ok(())
}

async fn a_scan_replaces_the_plugins_and_is_never_in_the_future(database: Database) -> anyhow::Result<()> {
    let (client, _) = report_something(&database).await?;
    let next = scan(NOW + 1_000_000, &[("rpm", "trapped"), ("rpm", "trapped twice"), ("winget", "")]);
    database.commit_batch(client, &batch(STREAM, 6, [next]), NOW + 60).await?;
    let plugins =
        sqlx::query("SELECT name, error FROM client_plugins ORDER BY name").fetch_all(database.pool()).await?;
    let plugins: Vec<(String, String)> =
        plugins.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, sqlx::Error>>()?;
    ensure!(
        plugins == [("rpm", "trapped twice"), ("winget", "")].map(|(name, error)| (name.to_owned(), error.to_owned()))
    );
    ensure!(number(&database, "SELECT scanned_at FROM clients").await? == NOW + 60);
    ensure!(number(&database, "SELECT scan_assignment * 10 + scan_evaluated FROM clients").await? == 45);
    Ok(())
}

async fn states_of_unknown_updates_are_no_error(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let stranger = UpdateId::of_name("sid/unheard-of/1");
    let messages = [state(stranger, Required), finding(stranger, "a", "b"), state(updates[2], Required)];
    ensure!(database.commit_batch(client, &batch(STREAM, 6, messages), NOW).await? == through(8));
    ensure!(states(&database, client).await?.len() == 3);
    Ok(())
}

async fn states_of_unknown_updates_are_asked_for_again_once_after_an_import(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let send = async |stream, first_serial, messages: &[StateMessage]| {
        database.commit_batch(client, &batch(stream, first_serial, messages.iter().cloned()), NOW).await
    };
    let lost = ["fish", "grep"].map(|source| UpdateId::of_name(&plant::update_name(source)));
    let everything = [Reset, state(updates[0], Installed), state(lost[0], Required), state(lost[1], Required)];
    ensure!(send(STREAM, 6, &everything[1..]).await? == through(8));
    ensure!(send(STREAM, 9, &[]).await? == through(8), "nothing was imported since");
    ensure!(states(&database, client).await?[0] == ("bash".to_owned(), Installed), "the rest is stored");

    for (round, sources) in [(1, &["bash", "curl", "fish"][..]), (2, &["bash", "curl", "fish", "grep"])] {
        plant::updates(&database, sources).await?;
        ensure!(send(STREAM + round - 1, if round == 1 { 9 } else { 5 }, &[]).await? == Resend, "round {round}");
        ensure!(send(STREAM + round, 1, &everything).await? == through(4), "round {round}");
        ensure!(send(STREAM + round, 5, &[]).await? == through(4), "it is asked once, in round {round}");
    }
    let expected = [("bash", Installed), ("fish", Required), ("grep", Required)];
    ensure!(states(&database, client).await? == expected.map(|(source, state)| (source.to_owned(), state)));

    plant::updates(&database, &["zsh"]).await?;
    ensure!(send(STREAM + 2, 5, &[]).await? == through(4), "nothing is missing any more");
    Ok(())
}

async fn a_batch_of_a_stranger_is_refused(database: Database) -> anyhow::Result<()> {
    let stranger = ClientId([9; 16]);
    let refused = database.commit_batch(stranger, &batch(1, 1, [Reset]), NOW).await;
    ensure!(matches!(refused, Err(StateError::UnknownClient(id)) if id == stranger));
    Ok(())
}

async fn texts_with_a_nul_are_no_obstacle(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let messages = [
        finding(updates[1], "a\0", "first"),
        finding(updates[1], "a\u{FFFD}", "the same subject now"),
        scan(NOW, &[("dp\0kg", "err\0r"), ("dp\u{FFFD}kg", "")]),
    ];
    ensure!(database.commit_batch(client, &batch(STREAM, 6, messages), NOW).await? == through(8));
    ensure!(findings(&database).await?.len() == 2);
    Ok(())
}

async fn a_state_that_is_said_again_keeps_its_time(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let changed = "SELECT s.changed_at FROM compliance_states s \
                   JOIN software_updates u ON u.id = s.software_update_id WHERE u.source = 'bash'";
    database.commit_batch(client, &batch(STREAM, 6, [state(updates[0], Required)]), NOW + 60).await?;
    ensure!(number(&database, changed).await? == NOW);
    database.commit_batch(client, &batch(STREAM, 7, [state(updates[0], Installed)]), NOW + 90).await?;
    ensure!(number(&database, changed).await? == NOW + 90);
    Ok(())
}

async fn a_batch_of_the_largest_size_is_committed(database: Database) -> anyhow::Result<()> {
    let sources: Vec<String> = (0..63).map(|number| format!("source-{number}")).collect();
    let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
    let updates = plant::updates(&database, &sources).await?;
    let client = client(&database, 1).await?;
    let long = "x".repeat(1000);
    let messages = updates.iter().flat_map(|update| [state(*update, Required), finding(*update, &long, &long)]);
    let messages = std::iter::once(Reset).chain(messages).chain([scan(NOW, &[("dpkg", &long)])]);
    ensure!(database.commit_batch(client, &batch(1, 1, messages), NOW).await? == through(128));
    ensure!(findings(&database).await?.len() == 63);
    Ok(())
}

async fn concurrent_batches_of_one_client_are_committed_one_after_the_other(database: Database) -> anyhow::Result<()> {
    let (client, updates) = report_something(&database).await?;
    let attempts: Vec<_> = (0..16)
        .map(|number| {
            let (database, update) = (database.clone(), updates[number % 3]);
            tokio::spawn(async move {
                database.commit_batch(client, &batch(STREAM, 6, [state(update, Unknown)]), NOW).await
            })
        })
        .collect();
    for attempt in attempts {
        ensure!(attempt.await?? == through(6), "the first is taken, the others are duplicates");
    }
    let unknown = states(&database, client).await?.iter().filter(|(_, state)| *state == Unknown).count();
    ensure!(unknown == 1, "{unknown} of 16 batches with one serial were applied");
    Ok(())
}

async fn concurrent_batches_of_many_clients_are_all_committed(database: Database) -> anyhow::Result<()> {
    const CLIENTS: u8 = 40;
    let updates = plant::updates(&database, &["bash", "curl", "dash"]).await?;
    for number in 0..CLIENTS {
        client(&database, number).await?;
    }
    let writer = StateWriter::new(database.clone());
    let senders: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (writer, updates, client) = (writer.clone(), updates.clone(), ClientId([number; 16]));
            tokio::spawn(async move {
                let mut serial = 1;
                let mut messages = vec![Reset];
                for round in 0..10 {
                    messages.push(state(updates[round % 3], if round % 2 == 0 { Required } else { Installed }));
                    serial += messages.len() as u64;
                    let sent = batch(1, serial - messages.len() as u64, messages.drain(..));
                    ensure!(writer.commit(client, sent).await? == through(serial - 1));
                }
                Ok(())
            })
        })
        .collect();
    for sender in senders {
        sender.await??;
    }
    for number in 0..CLIENTS {
        let expected = [("bash", Installed), ("curl", Installed), ("dash", Required)];
        let stored = states(&database, ClientId([number; 16])).await?;
        ensure!(
            stored.into_iter().collect::<HashMap<_, _>>()
                == expected.map(|(source, state)| (source.to_owned(), state)).into()
        );
    }
    Ok(())
}

async fn a_failing_batch_does_not_harm_its_neighbours(database: Database) -> anyhow::Result<()> {
    let updates = plant::updates(&database, &["bash"]).await?;
    for number in 0..8 {
        client(&database, number).await?;
    }
    // Nothing a client can say fails; so a client is broken on purpose.
    let engine = format!("{:?}", database.engine());
    let breaking: &[&'static str] = match engine.as_str() {
        "Sqlite" => &["CREATE TRIGGER broken BEFORE INSERT ON compliance_states WHEN NEW.client_id = 4 \
                       BEGIN SELECT RAISE(ABORT, 'broken on purpose'); END"],
        _ => &["ALTER TABLE compliance_states ADD CONSTRAINT broken CHECK (client_id <> 4)"],
    };
    for statement in breaking {
        sqlx::query(*statement).execute(database.pool()).await?;
    }
    let writer = StateWriter::new(database.clone());
    let sent = (0..8_u8).map(|number| {
        let (writer, update) = (writer.clone(), updates[0]);
        let messages = [Reset, state(update, Required)];
        tokio::spawn(async move { (number, writer.commit(ClientId([number; 16]), batch(1, 1, messages)).await) })
    });
    for answer in sent.collect::<Vec<_>>() {
        // The fourth row is that of client 3.
        match answer.await? {
            (3, Err(StateError::Database(_))) => {}
            (3, other) => bail!("client 3 must fail, not {other:?}"),
            (_, answer) => ensure!(answer? == through(2)),
        }
    }
    ensure!(number(&database, "SELECT COUNT(*) FROM compliance_states").await? == 7);
    let again = writer.commit(ClientId([3; 16]), batch(1, 2, [])).await?;
    ensure!(again == Resend, "nothing of the failed batch is committed");
    Ok(())
}
