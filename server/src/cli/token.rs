//! `farrier token`: enrolment tokens.

use crate::config::{Config, parse_period};
use crate::database::now;
use crate::identity::SiteIdentity;
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
    },
}

pub(super) async fn run(config: &Config, command: Command) -> anyhow::Result<()> {
    let Command::Create { valid } = command;
    ensure!(valid.as_secs() > 0, "--valid 0s: such a token could never be used; write a period like 30m or 24h");
    let database = super::open_database(config).await?;
    let identity = SiteIdentity::of_site(&config.data, &database).await?;
    let secret: [u8; SECRET_BYTES] = rand::random();
    let expires_at = now().checked_add(valid.as_secs()).context("--valid is too long")?;
    database.create_token(&Digest::of(&secret), now(), expires_at).await?;
    let token = identity.token(&config.management_point.address, secret)?;
    super::say(BASE64_URL_SAFE_NO_PAD.encode(farrier_protocol::encode(&token)?))
}
