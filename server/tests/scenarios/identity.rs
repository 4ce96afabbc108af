//! Who is let in, with which certificate, and who takes over a client.

use super::plant::{NOW, certificate, client, contact, enrollment, number};
use anyhow::{Context as _, ensure};
use farrier::database::views::{ClientFilter, ClientGroup, ClientIdentity};
use farrier::database::{Admission, Database, Enrollment, IssuedCertificate, KeptOut, TokenFor, TokenTerms};
use farrier_protocol::enrollment::Exclusion;
use farrier_protocol::{ClientId, Digest};

scenarios![
    only_certificates_of_the_client_count,
    a_renewal_keeps_the_old_certificate_until_the_new_one_is_used,
    a_renewal_whose_answer_is_lost_is_asked_for_again,
    a_revoked_client_is_kept_out_with_the_reason_until_it_is_restored,
    a_client_waits_for_approval,
    a_token_for_a_client_takes_it_over,
    a_token_for_a_client_lets_a_revoked_one_in_and_a_waiting_one_wait,
    a_token_from_before_the_revocation_lets_nobody_in,
    a_token_for_the_same_hardware_takes_over_the_only_client_with_it,
    nobody_takes_over_a_client_by_another_token,
    a_token_remembers_its_root,
    clients_that_are_kept_out_count_nowhere,
    clients_that_are_kept_out_are_listed_by_why,
    a_deleted_client_is_forgotten_with_its_tokens,
];

const SECRET: Digest = Digest([7; 32]);
const HARDWARE: Digest = Digest([0xAB; 32]);

fn issued(name: &str) -> IssuedCertificate {
    IssuedCertificate { digest: Digest::of(name.as_bytes()), expires_at: NOW + 1_000 }
}

/// Why a client with this certificate is kept out; none if it is let in.
async fn kept_out(database: &Database, client: ClientId, certificate: &Digest) -> anyhow::Result<Option<KeptOut>> {
    Ok(database.admit_client(client, certificate, NOW).await?.err())
}

async fn exclusion(database: &Database, client: ClientId, certificate: &Digest) -> anyhow::Result<Option<Exclusion>> {
    Ok(kept_out(database, client, certificate).await?.map(|kept_out| kept_out.exclusion))
}

async fn identity(database: &Database, client: ClientId) -> anyhow::Result<ClientIdentity> {
    Ok(database.client_detail(client).await?.context("no client")?.row.identity)
}

async fn only_certificates_of_the_client_count(database: Database) -> anyhow::Result<()> {
    let (first, second) = (client(&database, 1).await?, client(&database, 2).await?);
    ensure!(kept_out(&database, first, &certificate(first).digest).await?.is_none());
    ensure!(exclusion(&database, first, &certificate(second).digest).await? == Some(Exclusion::Superseded));
    let stranger = ClientId([9; 16]);
    ensure!(exclusion(&database, stranger, &certificate(first).digest).await? == Some(Exclusion::Unknown));
    sqlx::query("UPDATE clients SET certificate = NULL").execute(database.pool()).await?;
    let from_before = exclusion(&database, first, &certificate(first).digest).await?;
    ensure!(from_before == Some(Exclusion::Superseded), "it enrolled before certificates were kept");
    Ok(())
}

async fn a_renewal_keeps_the_old_certificate_until_the_new_one_is_used(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    let (old, new) = (certificate(client).digest, issued("new"));
    ensure!(database.renew_certificate(client, &old, &new).await?);
    ensure!(identity(&database, client).await?.certificate_expires_at == Some(new.expires_at));
    for certificate in [old, old, new.digest, new.digest] {
        ensure!(kept_out(&database, client, &certificate).await?.is_none());
    }
    ensure!(exclusion(&database, client, &old).await? == Some(Exclusion::Superseded), "the new one was used");
    ensure!(!database.renew_certificate(client, &old, &issued("newer")).await?);
    ensure!(kept_out(&database, client, &new.digest).await?.is_none());
    Ok(())
}

async fn a_renewal_whose_answer_is_lost_is_asked_for_again(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    let (old, lost, new) = (certificate(client).digest, issued("lost"), issued("new"));
    ensure!(database.renew_certificate(client, &old, &lost).await?);
    ensure!(kept_out(&database, client, &old).await?.is_none());
    ensure!(database.renew_certificate(client, &old, &new).await?);
    ensure!(exclusion(&database, client, &lost.digest).await? == Some(Exclusion::Superseded), "nobody has it");
    ensure!(kept_out(&database, client, &old).await?.is_none());
    ensure!(kept_out(&database, client, &new.digest).await?.is_none());
    Ok(())
}

async fn a_revoked_client_is_kept_out_with_the_reason_until_it_is_restored(database: Database) -> anyhow::Result<()> {
    let (client, other) = (client(&database, 1).await?, client(&database, 2).await?);
    let certificate = certificate(client).digest;
    ensure!(database.revoke_client(client, "stolen\0", NOW + 5).await?);
    ensure!(!database.revoke_client(client, "again", NOW + 6).await?);
    let said = kept_out(&database, client, &certificate).await?.context("it is let in")?;
    ensure!(said.exclusion == Exclusion::Revoked && said.reason == "stolen\u{FFFD}", "{said:?}");
    let shown = identity(&database, client).await?;
    ensure!((shown.admission, shown.admission_at) == (Admission::Revoked, Some(NOW + 5)), "{shown:?}");
    ensure!(!database.renew_certificate(client, &certificate, &issued("new")).await?);
    ensure!(contact(&database, other, NOW).await.is_ok());

    ensure!(!database.approve_client(client, NOW).await?, "approving does not undo a revocation");
    ensure!(database.restore_client(client, NOW + 7).await? && !database.restore_client(client, NOW).await?);
    ensure!(kept_out(&database, client, &certificate).await?.is_none());
    ensure!(identity(&database, client).await?.admission_reason.is_empty());
    ensure!(!database.revoke_client(ClientId([9; 16]), "unknown", NOW).await?);
    Ok(())
}

async fn a_client_waits_for_approval(database: Database) -> anyhow::Result<()> {
    let client = ClientId([1; 16]);
    database.create_token(&SECRET, NOW, NOW + 60).await?;
    let waiting = Enrollment { waits_for_approval: true, ..enrollment(client, "new") };
    ensure!(database.enroll_client(&SECRET, &waiting, NOW).await? == Some(Admission::WaitsForApproval));
    let certificate = certificate(client).digest;
    ensure!(exclusion(&database, client, &certificate).await? == Some(Exclusion::WaitsForApproval));
    ensure!(database.renew_certificate(client, &certificate, &issued("new")).await?, "however long that takes");
    ensure!(!database.restore_client(client, NOW).await?, "it is not revoked");
    ensure!(database.approve_client(client, NOW + 9).await? && !database.approve_client(client, NOW).await?);
    ensure!(kept_out(&database, client, &certificate).await?.is_none());
    Ok(())
}

/// Enrols as this client again, by a token with these terms.
async fn take_over(
    database: &Database,
    client: ClientId,
    whom: TokenFor,
    enrollment: Enrollment<'_>,
) -> anyhow::Result<Option<Admission>> {
    database.create_token_for(&TokenTerms { whom, root: None }, &SECRET, NOW, NOW + 60).await?;
    let enrollment = Enrollment { client, takes_over: true, certificate: issued("new"), ..enrollment };
    Ok(database.enroll_client(&SECRET, &enrollment, NOW + 30).await?)
}

async fn a_token_for_a_client_takes_it_over(database: Database) -> anyhow::Result<()> {
    let (client, _) = super::states::report_something(&database).await?;
    let reported = number(&database, "SELECT COUNT(*) FROM compliance_states").await?;
    ensure!(reported > 0);
    let whom = TokenFor::Client(client);
    let admission = take_over(&database, client, whom, enrollment(client, "new-name")).await?;
    ensure!(admission == Some(Admission::Admitted));
    ensure!(database.usable_token(&SECRET, NOW).await?.is_none(), "it is used");
    ensure!(exclusion(&database, client, &certificate(client).digest).await? == Some(Exclusion::Superseded));
    ensure!(kept_out(&database, client, &issued("new").digest).await?.is_none());
    ensure!(number(&database, "SELECT COUNT(*) FROM clients").await? == 1);
    ensure!(number(&database, "SELECT COUNT(*) FROM compliance_states").await? == reported, "its history stays");
    ensure!(database.clients_named("new-name").await? == [client]);
    Ok(())
}

async fn a_token_for_a_client_lets_a_revoked_one_in_and_a_waiting_one_wait(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    ensure!(database.revoke_client(client, "lost", NOW).await?);
    let admission = take_over(&database, client, TokenFor::Client(client), enrollment(client, "host-1")).await?;
    ensure!(admission == Some(Admission::Admitted), "whoever made the token knew");

    sqlx::query("UPDATE clients SET admission = 1").execute(database.pool()).await?;
    sqlx::query("DELETE FROM enrollment_tokens").execute(database.pool()).await?;
    let admission = take_over(&database, client, TokenFor::Client(client), enrollment(client, "host-1")).await?;
    ensure!(admission == Some(Admission::WaitsForApproval));
    Ok(())
}

async fn a_token_from_before_the_revocation_lets_nobody_in(database: Database) -> anyhow::Result<()> {
    let (client, other) = (client(&database, 1).await?, client(&database, 2).await?);
    for (secret, client) in [(SECRET, client), (HARDWARE, other)] {
        let terms = TokenTerms { whom: TokenFor::Client(client), root: None };
        database.create_token_for(&terms, &secret, NOW, NOW + 60).await?;
    }
    ensure!(database.revoke_client(client, "stolen, with the token", NOW).await?);
    ensure!(database.usable_token(&SECRET, NOW).await?.is_none());
    let of_other = database.usable_token(&HARDWARE, NOW).await?.context("the other's token is void")?;
    ensure!(of_other.whom == TokenFor::Client(other));
    Ok(())
}

async fn a_token_for_the_same_hardware_takes_over_the_only_client_with_it(database: Database) -> anyhow::Result<()> {
    let (first, second) = (client(&database, 1).await?, client(&database, 2).await?);
    ensure!(database.only_client_with(&HARDWARE).await?.is_none());
    database.note_contact_details(first, None, None, Some(HARDWARE), NOW).await?;
    ensure!(database.only_client_with(&HARDWARE).await? == Some(first));
    let with_hardware = Enrollment { hardware: Some(HARDWARE), ..enrollment(first, "wiped") };
    let admission = take_over(&database, first, TokenFor::SameHardware, with_hardware).await?;
    ensure!(admission == Some(Admission::Admitted) && database.clients_named("wiped").await? == [first]);

    database.note_contact_details(second, None, None, Some(HARDWARE), NOW).await?;
    ensure!(database.only_client_with(&HARDWARE).await?.is_none(), "there are two");
    ensure!(identity(&database, first).await?.same_hardware == 1);
    let detail = database.client_detail(second).await?.context("no client")?;
    ensure!(detail.same_hardware_clients[0].id == first && detail.hardware == Some(HARDWARE.to_string()));
    ensure!(database.revoke_client(first, "gone", NOW).await?);
    ensure!(database.only_client_with(&HARDWARE).await? == Some(second), "the other one is revoked");
    ensure!(identity(&database, second).await?.same_hardware == 0);
    Ok(())
}

async fn nobody_takes_over_a_client_by_another_token(database: Database) -> anyhow::Result<()> {
    let (client, other) = (client(&database, 1).await?, client(&database, 2).await?);
    database.note_contact_details(client, None, None, Some(HARDWARE), NOW).await?;
    ensure!(take_over(&database, client, TokenFor::Client(other), enrollment(client, "thief")).await.is_err());
    ensure!(database.usable_token(&SECRET, NOW).await?.is_some(), "nothing happened");

    ensure!(database.revoke_client(client, "stolen", NOW).await?);
    sqlx::query("DELETE FROM enrollment_tokens").execute(database.pool()).await?;
    let with_hardware = Enrollment { hardware: Some(HARDWARE), ..enrollment(client, "thief") };
    ensure!(take_over(&database, client, TokenFor::SameHardware, with_hardware).await.is_err(), "it is revoked");
    ensure!(database.clients_named("thief").await?.is_empty());
    Ok(())
}

async fn a_token_remembers_its_root(database: Database) -> anyhow::Result<()> {
    for (secret, terms) in [
        (Digest([1; 32]), TokenTerms { whom: TokenFor::NewClient, root: Some(3) }),
        (Digest([2; 32]), TokenTerms { whom: TokenFor::SameHardware, root: None }),
    ] {
        database.create_token_for(&terms, &secret, NOW, NOW + 60).await?;
        ensure!(database.usable_token(&secret, NOW + 59).await? == Some(terms));
        ensure!(database.usable_token(&secret, NOW + 60).await?.is_none());
    }
    let of_nobody = TokenTerms { whom: TokenFor::Client(ClientId([9; 16])), root: None };
    ensure!(database.create_token_for(&of_nobody, &SECRET, NOW, NOW + 60).await.is_err());
    Ok(())
}

async fn clients_that_are_kept_out_count_nowhere(database: Database) -> anyhow::Result<()> {
    let (client, updates) = super::states::report_something(&database).await?;
    database.summarize().await?;
    let before = database.overview(NOW).await?;
    ensure!(before.clients.total == 1 && before.compliance.states.total() > 0);

    ensure!(database.revoke_client(client, "stolen", NOW).await?);
    database.summarize().await?;
    let after = database.overview(NOW).await?;
    ensure!((after.clients.total, after.clients.scanned, after.clients.revoked) == (0, 0, 1), "{:?}", after.clients);
    ensure!(after.compliance.states.total() == 0 && after.urgent.is_empty() && after.scan_failures.is_empty());
    ensure!(database.required_packages(None).await?.is_empty());
    ensure!(database.update_detail(updates[0]).await?.context("no update")?.row.clients.total() == 0);

    ensure!(database.restore_client(client, NOW).await?);
    database.summarize().await?;
    ensure!(
        database.overview(NOW).await?
            == farrier::database::views::Overview { counted_at: database.summary().await?.counted_at(), ..before }
    );
    Ok(())
}

async fn clients_that_are_kept_out_are_listed_by_why(database: Database) -> anyhow::Result<()> {
    let [_, revoked, _] = [client(&database, 1).await?, client(&database, 2).await?, client(&database, 3).await?];
    ensure!(database.revoke_client(revoked, "stolen", NOW).await?);
    sqlx::query("UPDATE clients SET admission = 1 WHERE hostname = 'host-3'").execute(database.pool()).await?;
    for (group, expected) in [
        (None, vec!["host-1", "host-2", "host-3"]),
        (Some(ClientGroup::NeverScanned), vec!["host-1"]),
        (Some(ClientGroup::Revoked), vec!["host-2"]),
        (Some(ClientGroup::WaitsForApproval), vec!["host-3"]),
        (Some(ClientGroup::InDoubt), vec![]),
    ] {
        let rows = database.all_client_rows(group).await?;
        let names: Vec<_> = rows.iter().map(|row| row.hostname.as_str()).collect();
        ensure!(names == expected, "{group:?}: {names:?}");
        let page = database.client_rows(&ClientFilter { group, ..ClientFilter::default() }, NOW).await?;
        ensure!(page.total == expected.len() as i64, "{group:?}");
    }
    let figures = database.overview(NOW).await?.clients;
    ensure!((figures.total, figures.waiting, figures.revoked, figures.in_doubt) == (1, 1, 1, 0), "{figures:?}");
    Ok(())
}

async fn a_deleted_client_is_forgotten_with_its_tokens(database: Database) -> anyhow::Result<()> {
    let client = client(&database, 1).await?;
    database.note_contact_details(client, Some("lite"), Some([1; 16]), None, NOW).await?;
    let terms = TokenTerms { whom: TokenFor::Client(client), root: None };
    database.create_token_for(&terms, &SECRET, NOW, NOW + 60).await?;
    ensure!(database.client_exists(client).await?);
    ensure!(database.delete_client(client).await? && !database.delete_client(client).await?);
    ensure!(!database.client_exists(client).await?);
    ensure!(database.usable_token(&SECRET, NOW).await?.is_none());
    ensure!(number(&database, "SELECT COUNT(*) FROM client_boots").await? == 0);
    ensure!(exclusion(&database, client, &certificate(client).digest).await? == Some(Exclusion::Unknown));
    Ok(())
}
