//! Runs the site: opens the database, starts the roles and keeps them apart.

use crate::config::Config;
use crate::console::Console;
use crate::content::{self, ContentStore};
use crate::database::{Database, StateWriter, now};
use crate::identity::{self, SiteIdentity};
use crate::keys::SiteKeys;
use crate::management_point::{self, ManagementPoint, Statements};
use crate::publish::{self, Publisher};
use crate::repository::RepositoryFolder;
use crate::signals::Signals;
use crate::{deployment, distribution_point, sync, tls};
use anyhow::Context as _;
use farrier_runtime::Compiler;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where a running site listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Management point and distribution point.
    pub management_point: SocketAddr,
    /// The console.
    pub console: SocketAddr,
}

/// Runs the site until `shutdown` resolves. `ready` is told where it listens, once it does.
///
/// # Errors
/// When it cannot start, or when a role ends, which none does by itself.
pub async fn run(
    config: Config,
    ready: impl FnOnce(Addresses),
    shutdown: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    identity::make_folder(&config.data)?;
    let repository = RepositoryFolder::open(&config.data).context("the repository folder cannot be made")?;
    let content = ContentStore::open(&config.content, &config.data)?;
    let database = Database::open(&config.database_url()).await?;
    let identity = Arc::new(SiteIdentity::of_site(&config.data, &database).await?);
    let site_keys = SiteKeys::open(database.clone(), &config.data)?;
    site_keys.ensure(now()).await?;
    let signals = Signals::default();

    let listener = bind(config.management_point.listen, "management_point.listen").await?;
    let console_listener = bind(config.console.listen, "console.listen").await?;
    let addresses = Addresses { management_point: listener.local_addr()?, console: console_listener.local_addr()? };
    let certificate = identity.site_certificate(host_of(&config.management_point.address))?;

    let (stop, stopped) = watch::channel(());
    let mut roles = JoinSet::new();
    let mut listeners = JoinSet::new();
    roles.spawn(named("sync", sync::run(database.clone(), config.software_update_point.clone(), signals.clone())));
    let publisher = Publisher {
        database: database.clone(),
        repository: repository.clone(),
        keys: site_keys.keys.clone(),
        compiler: Compiler::this_program(),
    };
    roles.spawn(named("publish", publish::run(publisher, signals.clone())));
    roles.spawn(named("deployment", deployment::role::run(database.clone(), signals.clone())));
    let suites = config.software_update_point.suites.clone();
    roles.spawn(named("content", content::run(database.clone(), content.clone(), suites)));
    let clients = management_point::router(ManagementPoint {
        database: database.clone(),
        states: StateWriter::with_signals(database.clone(), signals.clone()),
        identity: identity.clone(),
        statements: Statements::new(database.clone(), site_keys.keys.clone()),
        signals: signals.clone(),
        config: Arc::new(config.management_point.clone()),
    })
    .merge(distribution_point::router(database.clone(), repository, content));
    let clients_tls = tls_config(&certificate, Some(identity.authority_certificate()))?;
    listeners.spawn(named("management point", listen(listener, clients_tls, clients, stopped.clone())));
    let period = config.software_update_point.synchronize_every;
    let console = Console {
        database: database.clone(),
        keys: site_keys.keys.clone(),
        site_name: config.name.clone(),
        signals,
        synchronize_every: (!period.is_zero()).then_some(period),
        stopping: stopped.clone(),
    };
    listeners
        .spawn(named("console", listen(console_listener, tls_config(&certificate, None)?, console.router(), stopped)));

    tracing::info!(management_point = %addresses.management_point, console = %addresses.console, "Site is running");
    ready(addresses);
    let ended = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = roles.join_next() => ended.context("a role panicked").flatten(),
        Some(ended) = listeners.join_next() => ended.context("a listener panicked").flatten(),
    };
    tracing::info!("Site is stopping");
    // The listeners let requests under way end; everything else is transactional and simply dropped.
    drop(stop);
    while listeners.join_next().await.is_some() {}
    roles.shutdown().await;
    database.close().await;
    ended
}

async fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened on: free the port or write another one at {setting} in site.toml")
    })
}

async fn listen(
    listener: TcpListener,
    tls: ServerConfig,
    router: axum::Router,
    mut stopped: watch::Receiver<()>,
) -> anyhow::Result<()> {
    tls::serve(listener, tls, router, async move { while stopped.changed().await.is_ok() {} }).await;
    Ok(())
}

async fn named(role: &'static str, run: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    run.await.with_context(|| format!("the {role} role ended"))
}

/// The host of `https://host:port/`.
fn host_of(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split('/').next().unwrap_or(rest);
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    }
}

/// TLS with the site's certificate; with `authority`, a client may show a certificate, which is then verified.
fn tls_config(
    (chain, key): &(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
    authority: Option<&CertificateDer<'static>>,
) -> anyhow::Result<ServerConfig> {
    let builder = ServerConfig::builder();
    let builder = match authority {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone())?;
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_single_cert(chain.clone(), key.clone_key())?)
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn the_host_of_an_address_is_what_a_certificate_names() {
        for (address, host) in [
            ("https://updates.example.org:8443", "updates.example.org"),
            ("https://updates.example.org/", "updates.example.org"),
            ("https://[2001:db8::1]:8443/", "[2001:db8::1]"),
            ("https://[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host_of(address), host);
        }
    }
}
