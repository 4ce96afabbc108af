//! Enrolment tokens.

use super::plant::{NOW, enrollment, number};
use anyhow::ensure;
use farrier::database::Database;
use farrier_protocol::{ClientId, Digest};

scenarios![
    a_token_enrols_one_client,
    an_expired_token_enrols_nobody,
    an_unknown_token_enrols_nobody,
    of_two_clients_with_one_token_one_is_enrolled,
    a_failed_enrolment_leaves_the_token_usable,
];

const FIRST: ClientId = ClientId([1; 16]);
const SECOND: ClientId = ClientId([2; 16]);

async fn a_token_enrols_one_client(database: Database) -> anyhow::Result<()> {
    let secret = Digest::of(b"secret");
    database.create_token(&secret, NOW, NOW + 60).await?;
    ensure!(database.enroll_client(&secret, &enrollment(FIRST, "first"), NOW + 59).await?.is_some());
    ensure!(database.enroll_client(&secret, &enrollment(SECOND, "second"), NOW + 59).await?.is_none());
    ensure!(number(&database, "SELECT COUNT(*) FROM clients").await? == 1);
    let used =
        "SELECT COUNT(*) FROM enrollment_tokens t JOIN clients c ON c.id = t.client_id WHERE t.used_at IS NOT NULL";
    ensure!(number(&database, used).await? == 1);
    Ok(())
}

async fn an_expired_token_enrols_nobody(database: Database) -> anyhow::Result<()> {
    let secret = Digest::of(b"secret");
    database.create_token(&secret, NOW, NOW + 60).await?;
    ensure!(database.enroll_client(&secret, &enrollment(FIRST, "first"), NOW + 60).await?.is_none());
    ensure!(number(&database, "SELECT COUNT(*) FROM clients").await? == 0);
    Ok(())
}

async fn an_unknown_token_enrols_nobody(database: Database) -> anyhow::Result<()> {
    database.create_token(&Digest::of(b"secret"), NOW, NOW + 60).await?;
    ensure!(database.enroll_client(&Digest::of(b"guess"), &enrollment(FIRST, "first"), NOW).await?.is_none());
    Ok(())
}

async fn of_two_clients_with_one_token_one_is_enrolled(database: Database) -> anyhow::Result<()> {
    for round in 0..20_u8 {
        let secret = Digest::of(&[round]);
        database.create_token(&secret, NOW, NOW + 60).await?;
        let attempts = [1, 2, 3, 4].map(|number| {
            let database = database.clone();
            let client = ClientId([round * 4 + number; 16]);
            tokio::spawn(async move { database.enroll_client(&secret, &enrollment(client, "host"), NOW).await })
        });
        let mut enrolled = 0;
        for attempt in attempts {
            enrolled += u32::from(attempt.await??.is_some());
        }
        ensure!(enrolled == 1, "{enrolled} clients were enrolled with one token");
    }
    ensure!(number(&database, "SELECT COUNT(*) FROM clients").await? == 20);
    Ok(())
}

async fn a_failed_enrolment_leaves_the_token_usable(database: Database) -> anyhow::Result<()> {
    for secret in [b"1", b"2"] {
        database.create_token(&Digest::of(secret), NOW, NOW + 60).await?;
    }
    ensure!(database.enroll_client(&Digest::of(b"1"), &enrollment(FIRST, "first"), NOW).await?.is_some());
    ensure!(
        database.enroll_client(&Digest::of(b"2"), &enrollment(FIRST, "first again"), NOW).await.is_err(),
        "the id is taken"
    );
    ensure!(database.enroll_client(&Digest::of(b"2"), &enrollment(SECOND, "second"), NOW).await?.is_some());
    Ok(())
}
