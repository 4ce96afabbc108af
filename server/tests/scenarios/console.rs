//! What people look at: counts, lists, reasons.

use super::plant::{self, NOW, client};
use anyhow::{Context as _, ensure};
use farrier::config::Classification;
use farrier::database::Database;
use farrier::database::views::{
    ClientFilter, ClientGroup, ClientSort, Compliance, Contact, Order, PAGE_ROWS, StateCounts, UpdateFilter, UpdateSort,
};
use farrier_protocol::state_message::{
    Compliance as State, Finding, PluginResult, ScanResult, StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ClientId, ComplianceState, UpdateId};

use ComplianceState::{Installed, NotRequired, Required, Unknown};

scenarios![
    an_empty_site_has_an_overview,
    answers_are_counted_over_all_clients,
    answers_are_counted_for_one_client_exactly,
    a_recount_forgets_what_is_no_longer_so,
    an_update_is_found_by_its_words_and_its_packages,
    what_a_person_searches_is_no_pattern,
    updates_are_filtered_by_state,
    updates_are_sorted_and_paged,
    an_expired_update_counts_nowhere_but_can_be_read,
    an_update_lists_its_clients_with_reasons,
    a_client_lists_its_updates_with_reasons,
    clients_are_grouped_by_how_they_fare,
    clients_are_told_apart_by_their_last_contact,
    required_packages_are_named_once,
];

const DAY: i64 = 86_400;

/// Says what a client would say: these states, each with a finding of its own, and the end of a scan.
async fn report(
    database: &Database,
    client: ClientId,
    states: &[(UpdateId, ComplianceState)],
    error: &str,
) -> anyhow::Result<()> {
    let mut messages = vec![StateMessage::Reset];
    for (update, state) in states {
        messages.push(StateMessage::Compliance(State { update: *update, state: *state }));
        messages.push(StateMessage::Finding(Finding {
            update: *update,
            subject: bounded(&format!("package-{}", update.as_bytes()[0])),
            state: *state,
            detail: bounded("1.0 is older than 1.2-3"),
        }));
    }
    let plugin = PluginResult { name: bounded("dpkg"), version: bounded("0.1.0"), error: bounded(error) };
    messages.push(StateMessage::Scan(Box::new(ScanResult {
        scanned_at: NOW,
        assignment_version: 1,
        evaluated: 3,
        plugins: std::iter::once(plugin).collect(),
    })));
    let stream = u64::from_le_bytes(client.0[..8].try_into()?) ^ states.len() as u64;
    let batch = StateBatch { stream, first_serial: 1, messages: messages.into_iter().collect() };
    let reply = database.commit_batch(client, &batch, NOW).await?;
    ensure!(matches!(reply, StateReply::Acknowledged { .. }), "{reply:?}");
    Ok(())
}

/// Three updates and three clients, of which the third never scanned.
async fn small_site(database: &Database) -> anyhow::Result<([UpdateId; 3], [ClientId; 3])> {
    let updates: [UpdateId; 3] =
        plant::updates(database, &["openssl", "sudo", "zlib"]).await?.try_into().ok().context("three updates")?;
    let clients = [client(database, 1).await?, client(database, 2).await?, client(database, 3).await?];
    report(database, clients[0], &[(updates[0], Required), (updates[1], Installed)], "").await?;
    report(database, clients[1], &[(updates[0], Required), (updates[1], Unknown)], "status has no Version").await?;
    database.summarize().await?;
    Ok((updates, clients))
}

fn counts(required: i64, unknown: i64, installed: i64, not_required: i64) -> StateCounts {
    StateCounts { required, unknown, installed, not_required }
}

fn titles(page: &farrier::database::views::Page<farrier::database::views::UpdateRow>) -> Vec<&str> {
    page.items.iter().map(|update| update.title.as_str()).collect()
}

async fn an_empty_site_has_an_overview(database: Database) -> anyhow::Result<()> {
    let overview = database.overview(NOW).await?;
    ensure!(overview.compliance == Compliance::default());
    ensure!(overview.counted_at.is_none() && overview.urgent.is_empty() && overview.classifications.is_empty());
    ensure!(database.summarize().await?.counted_at().is_some());
    ensure!(database.update_rows(&UpdateFilter::default()).await?.total == 0);
    ensure!(database.client_rows(&ClientFilter::default(), NOW).await?.total == 0);
    Ok(())
}

async fn answers_are_counted_over_all_clients(database: Database) -> anyhow::Result<()> {
    let (updates, _) = small_site(&database).await?;
    let overview = database.overview(NOW).await?;
    let expected = Compliance { updates: 3, clients: 2, states: counts(2, 1, 1, 2) };
    ensure!(overview.compliance == expected, "{:?}", overview.compliance);
    ensure!(database.compliance(None).await? == expected);

    let [security] = overview.classifications.as_slice() else { anyhow::bail!("{:?}", overview.classifications) };
    ensure!(security.classification == Classification::SecurityUpdates && security.states == expected.states);
    ensure!(security.updates == 3 && security.required_updates == 1);

    let figures = overview.clients;
    ensure!((figures.total, figures.scanned, figures.required, figures.failed) == (3, 2, 2, 1), "{figures:?}");
    let [failure] = overview.scan_failures.as_slice() else { anyhow::bail!("{:?}", overview.scan_failures) };
    ensure!(failure.hostname == "host-2" && failure.error == "status has no Version");

    let [urgent] = overview.urgent.as_slice() else { anyhow::bail!("{:?}", overview.urgent) };
    ensure!(urgent.id == updates[0] && urgent.clients == 2);
    ensure!(urgent.reason.as_ref().is_some_and(|reason| reason.detail == "1.0 is older than 1.2-3"));
    Ok(())
}

async fn answers_are_counted_for_one_client_exactly(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    let first = database.compliance(Some(clients[0])).await?;
    ensure!(first == Compliance { updates: 3, clients: 1, states: counts(1, 0, 1, 1) }, "{first:?}");
    let never_scanned = database.compliance(Some(clients[2])).await?;
    ensure!(never_scanned == Compliance { updates: 3, clients: 0, states: counts(0, 0, 0, 0) }, "{never_scanned:?}");

    // Without a recount.
    report(&database, clients[0], &[(updates[2], Installed)], "").await?;
    ensure!(database.compliance(Some(clients[0])).await?.states == counts(0, 0, 1, 2));
    let urgent = database.urgent_updates_of(clients[1], 5).await?;
    ensure!(urgent.len() == 1 && urgent[0].id == updates[0] && urgent[0].clients == 1);
    Ok(())
}

async fn a_recount_forgets_what_is_no_longer_so(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    report(&database, clients[0], &[], "").await?;
    report(&database, clients[1], &[(updates[2], Unknown)], "").await?;
    ensure!(database.compliance(None).await?.states == counts(2, 1, 1, 2), "not before the recount");
    database.summarize().await?;
    ensure!(database.compliance(None).await?.states == counts(0, 1, 0, 5));
    let figures = database.overview(NOW).await?.clients;
    ensure!((figures.required, figures.unknown, figures.compliant, figures.failed) == (0, 1, 1, 0), "{figures:?}");
    Ok(())
}

async fn search(database: &Database, words: &str) -> anyhow::Result<Vec<String>> {
    let filter = UpdateFilter {
        search: words.to_owned(),
        sort: UpdateSort::Title,
        order: Order::Ascending,
        ..UpdateFilter::default()
    };
    let page = database.update_rows(&filter).await?;
    ensure!(page.total == page.items.len() as i64);
    Ok(page.items.into_iter().map(|update| update.title).collect())
}

async fn an_update_is_found_by_its_words_and_its_packages(database: Database) -> anyhow::Result<()> {
    small_site(&database).await?;
    ensure!(search(&database, "OpenSSL").await? == ["openssl 1.2-3"]);
    ensure!(search(&database, "line ZLIB").await? == ["zlib 1.2-3"], "both words, one of the summary");
    ensure!(search(&database, "1.2-3").await?.len() == 3);
    ensure!(search(&database, "nothing").await?.is_empty());
    // The planted package has the name of its source, so let it have another one.
    sqlx::query("UPDATE packages SET name = 'LibSSL3' WHERE name = 'openssl'").execute(database.pool()).await?;
    sqlx::query("UPDATE packages SET name = LOWER(name)").execute(database.pool()).await?;
    ensure!(search(&database, "libssl").await? == ["openssl 1.2-3"]);
    Ok(())
}

async fn what_a_person_searches_is_no_pattern(database: Database) -> anyhow::Result<()> {
    small_site(&database).await?;
    for words in ["%", "_", "!", "s%l", "' OR 1=1 --", "\\", "\u{0}"] {
        ensure!(search(&database, words).await?.is_empty(), "{words:?}");
    }
    Ok(())
}

async fn updates_are_filtered_by_state(database: Database) -> anyhow::Result<()> {
    small_site(&database).await?;
    for (state, expected) in
        [(Required, "openssl 1.2-3"), (Unknown, "sudo 1.2-3"), (Installed, "sudo 1.2-3"), (NotRequired, "zlib 1.2-3")]
    {
        let page = database.update_rows(&UpdateFilter { state: Some(state), ..UpdateFilter::default() }).await?;
        ensure!(titles(&page) == [expected], "{state}: {:?}", titles(&page));
    }
    let suite = |name: &str| UpdateFilter { suite: Some(name.to_owned()), ..UpdateFilter::default() };
    ensure!(database.update_rows(&suite("bookworm-security")).await?.total == 3);
    ensure!(database.update_rows(&suite("bookworm")).await?.total == 0);
    let ordinary = UpdateFilter { classification: Some(Classification::Updates), ..UpdateFilter::default() };
    ensure!(database.update_rows(&ordinary).await?.total == 0);
    Ok(())
}

async fn updates_are_sorted_and_paged(database: Database) -> anyhow::Result<()> {
    let names: Vec<String> = (0..PAGE_ROWS + 7).map(|index| format!("package-{index:03}")).collect();
    let updates = plant::updates(&database, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let client = client(&database, 1).await?;
    report(&database, client, &[(updates[30], Required)], "").await?;
    database.summarize().await?;

    let first = database.update_rows(&UpdateFilter::default()).await?;
    ensure!(first.items[0].title == "package-030 1.2-3", "the required one first");
    ensure!((first.total, first.pages, first.items.len() as i64) == (PAGE_ROWS + 7, 2, PAGE_ROWS));
    ensure!(first.items[0].percent_compliant == Some(0.0) && first.items[1].percent_compliant == Some(100.0));

    for (order, on_first, on_second) in [
        (Order::Ascending, "package-000 1.2-3", "package-050 1.2-3"),
        (Order::Descending, "package-056 1.2-3", "package-006 1.2-3"),
    ] {
        let filter = UpdateFilter { sort: UpdateSort::Title, order, ..UpdateFilter::default() };
        ensure!(titles(&database.update_rows(&filter).await?)[0] == on_first);
        let second = database.update_rows(&UpdateFilter { page: 2, ..filter.clone() }).await?;
        ensure!(titles(&second)[0] == on_second && second.items.len() == 7 && second.total == PAGE_ROWS + 7);
        let beyond = database.update_rows(&UpdateFilter { page: 9, ..filter }).await?;
        ensure!(beyond.items.is_empty() && beyond.total == PAGE_ROWS + 7 && beyond.pages == 2);
    }
    for sort in [UpdateSort::Classification, UpdateSort::Suite, UpdateSort::FirstSeen, UpdateSort::Compliant] {
        let page =
            database.update_rows(&UpdateFilter { sort, order: Order::Ascending, ..UpdateFilter::default() }).await?;
        ensure!(page.total == PAGE_ROWS + 7, "{sort:?}");
    }
    Ok(())
}

async fn an_expired_update_counts_nowhere_but_can_be_read(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    plant::updates(&database, &["sudo", "zlib"]).await?;
    database.summarize().await?;
    let compliance = database.compliance(None).await?;
    ensure!(compliance == Compliance { updates: 2, clients: 2, states: counts(0, 1, 1, 2) }, "{compliance:?}");
    ensure!(database.compliance(Some(clients[0])).await?.states == counts(0, 0, 1, 1));
    let figures = database.overview(NOW).await?.clients;
    ensure!((figures.required, figures.unknown, figures.compliant) == (0, 1, 1), "{figures:?}");
    ensure!(database.urgent_updates(5).await?.is_empty() && database.required_packages(None).await?.is_empty());
    ensure!(search(&database, "openssl").await?.is_empty());
    let detail = database.update_detail(updates[0]).await?.context("an expired update can be read")?;
    ensure!(detail.expired_at.is_some() && detail.row.clients.required == 2);
    Ok(())
}

async fn an_update_lists_its_clients_with_reasons(database: Database) -> anyhow::Result<()> {
    let (updates, _) = small_site(&database).await?;
    let detail = database.update_detail(updates[1]).await?.context("a planted update")?;
    ensure!(detail.name == "bookworm-security/sudo/1.2-3" && detail.row.clients == counts(0, 1, 1, 0));
    ensure!(detail.packages.len() == 1 && detail.superseded_by.is_none() && detail.supersedes.is_empty());
    let unknown = database.update_clients(updates[1], Unknown, 1).await?;
    ensure!(unknown.total == 1 && unknown.items[0].hostname == "host-2" && unknown.items[0].findings.len() == 1);
    let not_required = database.update_clients(updates[2], NotRequired, 1).await?;
    let names: Vec<&str> = not_required.items.iter().map(|client| client.hostname.as_str()).collect();
    ensure!(names == ["host-1", "host-2"], "the one that never scanned has not answered: {names:?}");
    ensure!(database.update_detail(UpdateId([0; 16])).await?.is_none());
    Ok(())
}

async fn a_client_lists_its_updates_with_reasons(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    let detail = database.client_detail(clients[1]).await?.context("an enrolled client")?;
    ensure!(detail.row.updates == counts(1, 1, 0, 1) && detail.row.scanned_at == Some(NOW));
    ensure!(detail.plugins.len() == 1 && detail.plugins[0].error == "status has no Version");
    let required = database.client_updates(clients[1], Required, 1).await?;
    ensure!(required.total == 1 && required.items[0].id == updates[0]);
    ensure!(required.items[0].findings[0].detail == "1.0 is older than 1.2-3");
    let not_required = database.client_updates(clients[1], NotRequired, 1).await?;
    ensure!(not_required.total == 1 && not_required.items[0].id == updates[2]);
    ensure!(database.client_detail(ClientId([0; 16])).await?.is_none());
    Ok(())
}

async fn clients_are_grouped_by_how_they_fare(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    report(&database, clients[0], &[(updates[0], Installed)], "").await?;
    database.summarize().await?;
    for (group, expected) in [
        (ClientGroup::Required, vec!["host-2"]),
        (ClientGroup::Unknown, vec![]),
        (ClientGroup::Compliant, vec!["host-1"]),
        (ClientGroup::Failed, vec!["host-2"]),
        (ClientGroup::NeverScanned, vec!["host-3"]),
    ] {
        let page = database.client_rows(&ClientFilter { group: Some(group), ..ClientFilter::default() }, NOW).await?;
        let names: Vec<&str> = page.items.iter().map(|client| client.hostname.as_str()).collect();
        ensure!(names == expected && page.total == expected.len() as i64, "{group:?}: {names:?}");
    }
    for sort in
        [ClientSort::Hostname, ClientSort::LastContact, ClientSort::LastScan, ClientSort::Required, ClientSort::Unknown]
    {
        let filter = ClientFilter { sort, search: "HOST".to_owned(), ..ClientFilter::default() };
        ensure!(database.client_rows(&filter, NOW).await?.total == 3, "{sort:?}");
    }
    Ok(())
}

async fn clients_are_told_apart_by_their_last_contact(database: Database) -> anyhow::Result<()> {
    small_site(&database).await?;
    for (age, contact) in [
        (0, Contact::Day),
        (DAY, Contact::Day),
        (DAY + 1, Contact::Week),
        (8 * DAY, Contact::Month),
        (31 * DAY, Contact::Older),
    ] {
        let now = NOW + age;
        for each in [Contact::Day, Contact::Week, Contact::Month, Contact::Older] {
            let filter = ClientFilter { contact: Some(each), ..ClientFilter::default() };
            let expected = if each == contact { 3 } else { 0 };
            ensure!(database.client_rows(&filter, now).await?.total == expected, "{age} s: {each:?}");
        }
        let counts = database.overview(now).await?.clients.contact;
        let of = |each| if each == contact { 3 } else { 0 };
        let expected = (of(Contact::Day), of(Contact::Week), of(Contact::Month), of(Contact::Older));
        ensure!((counts.day, counts.week, counts.month, counts.older) == expected, "{age} s: {counts:?}");
    }
    Ok(())
}

async fn required_packages_are_named_once(database: Database) -> anyhow::Result<()> {
    let (updates, clients) = small_site(&database).await?;
    let package = format!("package-{}", updates[0].as_bytes()[0]);
    ensure!(database.required_packages(None).await? == [package.as_str()]);
    ensure!(database.required_packages(Some(clients[0])).await? == [package.as_str()]);
    ensure!(database.required_packages(Some(clients[2])).await?.is_empty());
    Ok(())
}
