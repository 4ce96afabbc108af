//! `farrier serve`.

use crate::config::Config;
use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

pub(super) async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be listened for")?;
    let shutdown = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    let name = config.name.clone();
    let ready = move |addresses: crate::serve::Addresses| {
        // Nobody needs to read it: the log says it, too.
        let _ = super::say(format_args!("{name} is running. Console: https://{}/", addresses.console));
    };
    crate::serve::run(config, ready, shutdown).await
}
