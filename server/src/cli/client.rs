//! `farrier client`: who the clients are, and who is let in.

use crate::config::Config;
use crate::database::views::{ClientDetail, ClientGroup, ClientIdentity, ClientRow};
use crate::database::{Admission, Cloned, Database, now};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use farrier_protocol::{ClientId, UnixTime};
use jiff::Timestamp;

/// Bytes of the reason of a revocation, at most: it is told to the client.
const MAX_REASON_BYTES: usize = 300;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the clients.
    List(List),
    /// Show a client.
    Show {
        /// Its id or host name.
        client: String,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Let a client in that waits for approval (management_point.approve_clients = "manual").
    Approve {
        /// Its id or host name.
        client: String,
    },
    /// Keep a client out from its next contact on. It goes on with the policy that it has.
    Revoke {
        /// Its id or host name.
        client: String,
        /// Why: the client is told, too.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Let a revoked client in again, with the certificate that it has.
    Restore {
        /// Its id or host name.
        client: String,
    },
    /// Forget that several devices seemed to use a client's identity, until that is noticed again.
    Dismiss {
        /// Its id or host name.
        client: String,
    },
    /// Forget a client and everything that it reported. If it is still there, it has to enrol again.
    Delete {
        /// Its id or host name.
        client: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those that wait for approval.
    #[arg(long, conflicts_with_all = ["revoked", "in_doubt"])]
    waiting: bool,
    /// Only those that are revoked.
    #[arg(long, conflicts_with = "in_doubt")]
    revoked: bool,
    /// Only those that may be other devices than they were, or several.
    #[arg(long)]
    in_doubt: bool,
    /// Print one JSON array.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let database = super::open_database(config).await?;
    match command {
        Command::List(options) => list(&database, &options).await,
        Command::Show { client, json } => show(&database, find(&database, &client).await?, json).await,
        Command::Approve { client } => approve(&database, find(&database, &client).await?).await,
        Command::Revoke { client, reason } => revoke(&database, find(&database, &client).await?, reason.trim()).await,
        Command::Restore { client } => restore(&database, find(&database, &client).await?).await,
        Command::Dismiss { client } => dismiss(&database, find(&database, &client).await?).await,
        Command::Delete { client } => delete(&database, find(&database, &client).await?).await,
    }
}

/// The client with this id, else the one with this host name.
pub(super) async fn find(database: &Database, client: &str) -> anyhow::Result<ClientId> {
    if let Ok(id) = client.parse::<ClientId>() {
        ensure!(database.client_exists(id).await?, "there is no client {id}: `farrier client list` shows them");
        return Ok(id);
    }
    match database.clients_named(client).await?.as_slice() {
        [id] => Ok(*id),
        [] => bail!(
            "there is no client with the host name {client:?}: write another one, or a client's id \
             (`farrier client list` shows them)"
        ),
        several => {
            let ids = several.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            bail!("several clients have the host name {client:?}: write the id of one of them ({ids})")
        }
    }
}

async fn approve(database: &Database, client: ClientId) -> anyhow::Result<()> {
    ensure!(database.approve_client(client, now()).await?, "client {client} does not wait for approval");
    super::say(format_args!("Client {client} is let in at its next contact."))
}

async fn revoke(database: &Database, client: ClientId, reason: &str) -> anyhow::Result<()> {
    ensure!(!reason.is_empty(), "--reason is empty: say why, for the client and for whoever looks at it later");
    ensure!(reason.len() <= MAX_REASON_BYTES, "--reason has {} bytes: write {MAX_REASON_BYTES} or fewer", reason.len());
    ensure!(database.revoke_client(client, reason, now()).await?, "client {client} is revoked already");
    super::say(format_args!(
        "Client {client} is kept out from now on. `farrier client restore {client}` lets it in again."
    ))
}

async fn restore(database: &Database, client: ClientId) -> anyhow::Result<()> {
    ensure!(database.restore_client(client, now()).await?, "client {client} is not revoked");
    super::say(format_args!("Client {client} is let in again."))
}

async fn dismiss(database: &Database, client: ClientId) -> anyhow::Result<()> {
    let dismissed = database.dismiss_clone(client).await?;
    ensure!(dismissed, "nothing says that several devices use the identity of client {client}");
    super::say(format_args!("Client {client} is taken to be one device, until something says otherwise again."))
}

async fn delete(database: &Database, client: ClientId) -> anyhow::Result<()> {
    ensure!(database.delete_client(client).await?, "client {client} is gone already");
    super::say(format_args!("Client {client} is forgotten."))
}

async fn list(database: &Database, options: &List) -> anyhow::Result<()> {
    let group = match options {
        List { waiting: true, .. } => Some(ClientGroup::WaitsForApproval),
        List { revoked: true, .. } => Some(ClientGroup::Revoked),
        List { in_doubt: true, .. } => Some(ClientGroup::InDoubt),
        _ => None,
    };
    let rows = database.all_client_rows(group).await?;
    if options.json {
        return super::say(serde_json::to_string(&rows)?);
    }
    super::say(format_args!("{:<32}  {:<24} {:<20} STATE", "ID", "HOST NAME", "LAST CONTACT"))?;
    rows.iter().try_for_each(|ClientRow { id, hostname, last_contact_at, identity, .. }| {
        let state = state(identity).join(", ");
        super::say(format_args!("{id}  {hostname:<24} {:<20} {state}", moment(*last_contact_at)))
    })
}

/// Whether a client is let in, and what is wrong with its identity, in a few words.
fn state(identity: &ClientIdentity) -> Vec<&'static str> {
    let mut words = vec![match identity.admission {
        Admission::Admitted => "admitted",
        Admission::WaitsForApproval => "waits for approval",
        Admission::Revoked => "revoked",
    }];
    if identity.is_in_doubt() && identity.cloned.is_some() {
        words.push("several devices");
    }
    if identity.is_in_doubt() && identity.same_hardware > 0 {
        words.push("same hardware as another client");
    }
    if identity.certificate_expires_at.is_none() {
        words.push("has to enrol again");
    }
    words
}

async fn show(database: &Database, client: ClientId, json: bool) -> anyhow::Result<()> {
    let detail = database.client_detail(client).await?.context("the client is gone")?;
    if json {
        return super::say(serde_json::to_string(&detail)?);
    }
    lines(&detail).iter().try_for_each(|(name, value)| super::say(format_args!("{name:<14} {value}")))?;
    remedies(&detail).iter().try_for_each(|remedy| super::say(format_args!("\n{remedy}")))
}

fn lines(client: &ClientDetail) -> Vec<(&'static str, String)> {
    let ClientDetail { row, enrolled_at, hardware, .. } = client;
    let identity = &row.identity;
    let since = identity.admission_at.map(|at| format!(" since {}", moment(at))).unwrap_or_default();
    let reason = Some(identity.admission_reason.as_str()).filter(|reason| !reason.is_empty());
    let scanned_at = row.scanned_at.map_or("never".to_owned(), moment);
    let mut lines = vec![
        ("Client", row.id.to_string()),
        ("Host name", row.hostname.clone()),
        ("State", state(&ClientIdentity { cloned: None, same_hardware: 0, ..identity.clone() }).join(", ") + &since),
    ];
    lines.extend(reason.map(|reason| ("Reason", reason.to_owned())));
    lines.extend([
        ("Enrolled", moment(*enrolled_at)),
        (
            "Certificate",
            identity.certificate_expires_at.map_or("none".to_owned(), |at| "until ".to_owned() + &moment(at)),
        ),
        ("Last contact", moment(row.last_contact_at)),
        ("Last scan", scanned_at),
        ("System", format!("{} {}", row.operating_system, row.machine).trim().to_owned()),
        ("Hardware", hardware.clone().unwrap_or_else(|| "not told".to_owned())),
    ]);
    lines
}

/// What is wrong with a client's identity, and what to do about it.
fn remedies(client: &ClientDetail) -> Vec<String> {
    let id = client.row.id;
    let mut remedies = Vec::new();
    if let Some(Cloned { evidence, since, seen_at }) = client.row.identity.cloned {
        remedies.push(format!(
            "Several devices use this identity: {} (first noticed {}, last {}).\n\
             Enrol each of them anew, `farrier-agent enroll --force TOKEN`: one with the token of `farrier token create \
             --client {id}`, which keeps the history, the others with tokens of `farrier token create`. A device that \
             cannot be reached is kept out by the first of these.\n\
             If it is one device after all: `farrier client dismiss {id}`.",
            evidence.in_words(),
            moment(since),
            moment(seen_at)
        ));
    }
    if !client.same_hardware_clients.is_empty() {
        let others = client.same_hardware_clients.iter().map(|other| format!("{} ({})", other.id, other.hostname));
        remedies.push(format!(
            "The same hardware: {}.\nIf it was enrolled anew as another client, delete the one that is not in use: \
             `farrier client delete ID`. Next time keep its history: `farrier token create --client ID` or \
             `--same-hardware`.",
            others.collect::<Vec<_>>().join(", ")
        ));
    }
    remedies
}

/// A time, for people.
fn moment(time: UnixTime) -> String {
    let timestamp = Timestamp::from_second(time);
    timestamp.map_or_else(|_| time.to_string(), |timestamp| timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
