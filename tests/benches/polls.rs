//! What a site answers in a second: unchanged polls on connections that are kept, on resumed ones, and on ones with a full
//! handshake; all with the client's certificate.
//!
//! `cargo bench -p farrier-tests --bench polls` prints a table; `-- --seconds N` changes how long each is measured. Site and
//! clients are on the same machine, so the site's own processor time, beside, says more than the answers.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use anyhow::{Context as _, ensure};
use farrier_protocol::poll::{PollReply, PollRequest};
use farrier_protocol::{Digest, paths};
use farrier_tests::identity::Identity;
use farrier_tests::{Agent, Site, programs, sample};
use reqwest::{Client, StatusCode};
use rustls::client::Resumption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Connections at the same time.
const CONNECTIONS: usize = 32;
const DEFAULT_SECONDS: u64 = 10;
/// Of what proc(5) counts in.
const TICKS_PER_SECOND: u64 = 100;

/// How a connection comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Kept,
    Resumed,
    FullHandshake,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --all-targets` runs benchmarks without this flag: that it builds is enough then.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = seconds.map_or(Ok(DEFAULT_SECONDS), |at| arguments[at + 1].parse())?;
    let site = Site::start(programs!(), &sample().join("suites.toml"))?;
    site.synchronize()?;
    let agent = Agent::enroll(programs!(), &site, &sample().join("root"))?;
    agent.scan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{:<16} {:>10} {:>22}", "connection", "polls/s", "site's CPU, us a poll");
    for connection in [Connection::Kept, Connection::Resumed, Connection::FullHandshake] {
        let before = processor_time(&site)?;
        let (polls, elapsed) = runtime.block_on(measure(&site, &agent, connection, Duration::from_secs(seconds)))?;
        let spent = processor_time(&site)? - before;
        let (rate, each) = (polls as f64 / elapsed.as_secs_f64(), spent.as_secs_f64() * 1e6 / polls as f64);
        println!("{:<16} {rate:>10.0} {each:>22.0}", format!("{connection:?}"));
    }
    Ok(())
}

/// What the site's process has computed so far, by proc(5).
fn processor_time(site: &Site) -> anyhow::Result<Duration> {
    let process = site.process_id().context("the site does not run")?;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The fields after the name, which may hold anything: the third is the first of them.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| -> anyhow::Result<u64> { Ok(fields.get(field - 3).context("no such field")?.parse()?) };
    Ok(Duration::from_millis((ticks(14)? + ticks(15)?) * 1000 / TICKS_PER_SECOND))
}

async fn measure(
    site: &Site,
    agent: &Agent,
    connection: Connection,
    time: Duration,
) -> anyhow::Result<(u64, Duration)> {
    let identity = Identity::of(&agent.data())?;
    let url = format!("https://localhost:{}{}", site.port(), paths::POLL);
    let (polls, is_over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut workers = tokio::task::JoinSet::new();
    let started = Instant::now();
    for _ in 0..CONNECTIONS {
        let client = client(&identity, connection)?;
        let (url, polls, is_over) = (url.clone(), polls.clone(), is_over.clone());
        workers.spawn(async move {
            let mut known = None;
            while !is_over.load(Ordering::Relaxed) {
                known = Some(poll(&client, &url, known).await?);
                polls.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(time).await;
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok((polls.load(Ordering::Relaxed), started.elapsed()))
}

/// Polls, and says what the client follows then.
async fn poll(client: &Client, url: &str, known: Option<Digest>) -> anyhow::Result<Digest> {
    let platform = "x86_64-linux".try_into().unwrap_or_default();
    let request = PollRequest { nonce: [1; 16], known, platform, engine: None, boot: None, hardware: None };
    let response = client.post(url).body(farrier_protocol::encode(&request)?).send().await?;
    ensure!(response.status() == StatusCode::OK, "the site answers with {}", response.status());
    let bytes = response.bytes().await?;
    let reply: PollReply<'_> = farrier_protocol::decode(&bytes).context("no answer to a poll")?;
    reply.assignment.map(Digest::of).or(known).context("no assignment")
}

fn client(identity: &Identity, connection: Connection) -> anyhow::Result<Client> {
    let mut tls = identity.tls()?;
    if connection != Connection::Resumed {
        tls.resumption = Resumption::disabled();
    }
    let kept = if connection == Connection::Kept { 1 } else { 0 };
    Ok(Client::builder().tls_backend_preconfigured(tls).pool_max_idle_per_host(kept).no_proxy().build()?)
}
