//! `farrier token`: enrolment tokens.

use crate::config::{Config, parse_period};
use crate::database::{TokenFor, TokenTerms, now};
use crate::identity::SiteIdentity;
use crate::keys::{KeyError, SiteKeys};
use crate::repository::roles::ROOT;
use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use clap::Subcommand;
use farrier_protocol::Digest;
use farrier_protocol::enrollment::SECRET_BYTES;
use jiff::SignedDuration;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a new token; it enrols one client, once.
    Create {
        /// How long it may be used.
        #[arg(long, value_name = "PERIOD", default_value = "24h", value_parser = parse_period)]
        valid: SignedDuration,
        /// Enrol the endpoint as this client, which keeps its history: by id or host name. Whoever is this client now is
        /// refused from then on.
        #[arg(long, value_name = "CLIENT", conflicts_with = "same_hardware")]
        client: Option<String>,
        /// Enrol the endpoint as the client with the same hardware, if there is exactly one; else as a new one.
        #[arg(long)]
        same_hardware: bool,
    },
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Create { valid, client, same_hardware } = command;
    ensure!(valid.as_secs() > 0, "--valid 0s: such a token could never be used; write a period like 30m or 24h");
    let database = super::open_database(config).await?;
    let identity = SiteIdentity::of_site(&config.data, &database).await?;
    let whom = match client {
        Some(client) => TokenFor::Client(super::client::find(&database, &client).await?),
        None if same_hardware => TokenFor::SameHardware,
        None => TokenFor::NewClient,
    };
    SiteKeys::open(database.clone(), &config.data)?.ensure(now()).await?;
    let root = database.current_metadata(ROOT).await?.ok_or(KeyError::NoRoot)?;
    let terms = TokenTerms { whom, root: Some(root.version) };
    let secret: [u8; SECRET_BYTES] = rand::random();
    let expires_at = now().checked_add(valid.as_secs()).context("--valid is too long")?;
    database.create_token_for(&terms, &Digest::of(&secret), now(), expires_at).await?;
    let token = identity.token(&config.management_point.address, secret, Digest::of(&root.bytes));
    super::say(BASE64_URL_SAFE_NO_PAD.encode(farrier_protocol::encode(&token)?))
}
