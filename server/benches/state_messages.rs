//! State messages per second into the site database, beside what the engine takes of the bare rows.
//!
//! `cargo bench -p farrier --bench state_messages` prints a table; `-- --rounds N` changes how often everything is
//! measured (the best round counts: another program's load is not the database's). Every measured message changes its
//! row: an upsert of equal values is nearly free.
//!
//! *Raw* is the same number of rows as multi-row upserts into the same table, in the order of its key, in
//! transactions as large as those of the writer, through one connection of the engine's own driver. *Messages* go
//! through [`StateWriter`] in batches of the largest size, from many clients at once, with everything around them:
//! serial numbers, ids looked up, findings voided, last contact noted. Both engines flush every commit to the disk.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use farrier::config::{Classification, SuiteConfig};
use farrier::database::{
    Database, Engine, Enrollment, Follow, ImportedUpdate, IssuedCertificate, StateWriter, SuiteImport,
};
use farrier_protocol::state_message::{Compliance, MAX_MESSAGES, StateBatch, StateMessage, StateReply, bounded};
use farrier_protocol::{ClientId, ComplianceState, Digest, UpdateId, state_message};
use farrier_test_harness::engines::{Durability, Postgres};
use sqlx::{AssertSqlSafe, Executor as _};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const CLIENTS: usize = 400;
const UPDATES: usize = 4 * MAX_MESSAGES;
const ROWS_PER_TRANSACTION: usize = 256 * MAX_MESSAGES;
const ROWS_PER_RAW_STATEMENT: usize = 8_000;
const DEFAULT_ROUNDS: usize = 5;

/// What a measured message is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    State,
    /// Every second message is a finding of the state before it.
    StateAndFinding,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --all-targets` runs benchmarks without this flag: that it builds is enough then.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let rounds = arguments.iter().position(|argument| argument == "--rounds");
    let rounds = rounds.map_or(DEFAULT_ROUNDS, |at| arguments[at + 1].parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    println!("{CLIENTS} clients, {UPDATES} updates, best of {rounds} rounds, messages or rows per second");
    println!(
        "{:<10} {:>12} {:>12} {:>12} {:>6} {:>18}",
        "engine", "raw insert", "raw upsert", "messages", "ratio", "with findings"
    );
    let folder = tempfile::tempdir().unwrap();
    let sqlite = format!("sqlite://{}", folder.path().join("site.db").display());
    runtime.block_on(measure("SQLite", &sqlite, rounds));
    match Postgres::start(Durability::Full) {
        Ok(server) => runtime.block_on(measure("PostgreSQL", &server.create_database().unwrap(), rounds)),
        Err(error) => println!("PostgreSQL cannot be had: {error:#}"),
    }
}

async fn measure(name: &str, url: &str, rounds: usize) {
    let database = Database::open(url).await.unwrap();
    plant(&database).await;
    let insert = raw(&database, url, 0).await;
    let mut upsert = Duration::MAX;
    for round in 1..=rounds {
        upsert = upsert.min(raw(&database, url, round).await);
    }
    // The last raw round is what the first round of messages changes.
    let mut clients = Clients { writer: StateWriter::new(database.clone()), next_serial: 0 };
    clients.reset().await;
    let mut states = Duration::MAX;
    let mut findings = Duration::MAX;
    for round in 0..=rounds {
        let took = clients.report(Kind::State, round).await;
        // The first round inserts.
        states = if round == 0 { states } else { states.min(took) };
    }
    for round in 0..=rounds {
        let took = clients.report(Kind::StateAndFinding, rounds + 1 + round).await;
        findings = if round == 0 { findings } else { findings.min(took) };
    }
    let per_second = |took: Duration| (CLIENTS * UPDATES) as f64 / took.as_secs_f64();
    println!(
        "{name:<10} {:>12.0} {:>12.0} {:>12.0} {:>6.2} {:>18.0}",
        per_second(insert),
        per_second(upsert),
        per_second(states),
        per_second(states) / per_second(upsert),
        2.0 * per_second(findings)
    );
    database.close().await;
}

async fn plant(database: &Database) {
    let suite = SuiteConfig {
        name: "bookworm".into(),
        distribution: "debian".into(),
        release: "bookworm".into(),
        mirror: "https://mirror.example.org/debian".into(),
        suite: "bookworm".into(),
        components: vec!["main".into()],
        architectures: vec!["amd64".into()],
        keyrings: vec!["/keyring".into()],
        classification: None,
        check_valid_until: true,
    };
    database.configure_suites(&[suite]).await.unwrap();
    let suite = database.suites().await.unwrap().remove(0).id;
    let update = |number: usize| ImportedUpdate {
        source: source(number),
        version: "1".into(),
        summary: String::new(),
        classification: Classification::Updates,
        priority: 0,
        content: Digest::of(source(number).as_bytes()),
        packages: Vec::new(),
    };
    let updates = (0..UPDATES).map(update).collect();
    let import =
        SuiteImport { validator: None, imported: Digest([0; 32]), released_at: 0, follow: Follow::Always, updates };
    database.import_suite(suite, &import).await.unwrap();
    for number in 0..CLIENTS {
        let secret = Digest::of(&number.to_be_bytes());
        database.create_token(&secret, 0, 2).await.unwrap();
        let enrollment = Enrollment {
            client: client(number),
            takes_over: false,
            hostname: "host",
            hardware: None,
            certificate: IssuedCertificate { digest: secret, expires_at: i64::MAX },
            waits_for_approval: false,
        };
        assert!(database.enroll_client(&secret, &enrollment, 1).await.unwrap().is_some());
    }
}

fn source(number: usize) -> String {
    format!("source-{number}")
}

/// Clients' first bytes differ, as random ones do.
fn client(number: usize) -> ClientId {
    let mut id = [0; 16];
    id.copy_from_slice(&Digest::of(&number.to_le_bytes()).0[..16]);
    ClientId(id)
}

fn update(number: usize) -> UpdateId {
    UpdateId::of_name(&format!("bookworm/{}/1", source(number)))
}

/// The state of an update in this round: another one than in the round before.
fn state(number: usize, round: usize) -> ComplianceState {
    [ComplianceState::Installed, ComplianceState::Required, ComplianceState::Unknown][(number + round) % 3]
}

async fn raw(database: &Database, url: &str, round: usize) -> Duration {
    let clients: Vec<i64> = ids(database, "SELECT id FROM clients ORDER BY id").await;
    let updates: Vec<i64> = ids(database, "SELECT id FROM software_updates ORDER BY id").await;
    let row = |client: i64, number: usize| (client, updates[number], state(number, round) as i64, round);
    let rows: Vec<_> = clients.iter().flat_map(|client| (0..UPDATES).map(move |number| row(*client, number))).collect();
    let statements: Vec<Vec<String>> = rows
        .chunks(ROWS_PER_TRANSACTION)
        .map(|transaction| transaction.chunks(ROWS_PER_RAW_STATEMENT).map(upsert).collect())
        .collect();
    match database.engine() {
        Engine::Sqlite => {
            let options: sqlx::sqlite::SqliteConnectOptions = url.parse().unwrap();
            let options = options.foreign_keys(true).synchronous(sqlx::sqlite::SqliteSynchronous::Full);
            run(sqlx::SqlitePool::connect_with(options).await.unwrap(), statements).await
        }
        Engine::Postgres => run(sqlx::PgPool::connect(url).await.unwrap(), statements).await,
    }
}

async fn ids(database: &Database, query: &'static str) -> Vec<i64> {
    sqlx::query_scalar(query).fetch_all(database.pool()).await.unwrap()
}

fn upsert(rows: &[(i64, i64, i64, usize)]) -> String {
    let mut sql = "INSERT INTO compliance_states (client_id, software_update_id, state, changed_at) VALUES ".to_owned();
    for (index, (client, update, state, time)) in rows.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(sql, "{comma}({client},{update},{state},{time})").unwrap();
    }
    sql + " ON CONFLICT (client_id, software_update_id) DO UPDATE \
           SET state = excluded.state, changed_at = excluded.changed_at"
}

async fn run<D: sqlx::Database>(pool: sqlx::Pool<D>, transactions: Vec<Vec<String>>) -> Duration
where
    for<'c> &'c mut D::Connection: sqlx::Executor<'c, Database = D>,
{
    let start = Instant::now();
    for statements in transactions {
        let mut transaction = pool.begin().await.unwrap();
        for statement in statements {
            (&mut *transaction).execute(sqlx::raw_sql(AssertSqlSafe(statement))).await.unwrap();
        }
        transaction.commit().await.unwrap();
    }
    let took = start.elapsed();
    pool.close().await;
    took
}

/// The fleet; all clients are at the same serial number.
struct Clients {
    writer: StateWriter,
    next_serial: u64,
}

impl Clients {
    async fn reset(&mut self) {
        self.send(vec![(0..CLIENTS).map(|_| vec![StateMessage::Reset]).collect()]).await;
    }

    /// Every client reports every update; the measured time begins when the batches are ready.
    async fn report(&mut self, kind: Kind, round: usize) -> Duration {
        let messages = |number: usize| {
            let (update, state) = (update(number), state(number, round));
            let finding = state_message::Finding {
                update,
                subject: bounded(&source(number)),
                state,
                detail: bounded("3.0.15-1 is older than 3.0.17-1~deb12u2"),
            };
            let finding = (kind == Kind::StateAndFinding).then_some(StateMessage::Finding(finding));
            [Some(StateMessage::Compliance(Compliance { update, state })), finding].into_iter().flatten()
        };
        let messages: Vec<StateMessage> = (0..UPDATES).flat_map(messages).collect();
        let of_all = |part: &[StateMessage]| (0..CLIENTS).map(|_| part.to_vec()).collect();
        self.send(messages.chunks(MAX_MESSAGES).map(of_all).collect()).await
    }

    /// `batches[part][client]`: all clients at once, the parts of each one after the other.
    async fn send(&mut self, batches: Vec<Vec<Vec<StateMessage>>>) -> Duration {
        let mut of_client: Vec<Vec<Box<StateBatch>>> = (0..CLIENTS).map(|_| Vec::new()).collect();
        for part in batches {
            let first_serial = self.next_serial + 1;
            self.next_serial += part[0].len() as u64;
            for (number, messages) in part.into_iter().enumerate() {
                let messages = messages.into_iter().collect();
                of_client[number].push(Box::new(StateBatch { stream: 1, first_serial, messages }));
            }
        }
        let start = Instant::now();
        let senders: Vec<_> =
            of_client.into_iter().enumerate().map(|(number, batches)| self.client(number, batches)).collect();
        for sender in senders {
            sender.await.unwrap();
        }
        start.elapsed()
    }

    /// A client that sends its next batch when the one before is acknowledged.
    fn client(&self, number: usize, batches: Vec<Box<StateBatch>>) -> tokio::task::JoinHandle<()> {
        let writer = self.writer.clone();
        tokio::spawn(async move {
            for batch in batches {
                let through = batch.first_serial - 1 + batch.messages.len() as u64;
                let reply = writer.commit(client(number), batch).await.unwrap();
                assert_eq!(reply, StateReply::Acknowledged { through });
            }
        })
    }
}
