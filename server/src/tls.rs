//! Serves a router over TLS and tells its handlers who the peer is.

use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

/// Connections of one listener, at most; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8_192;
const HANDSHAKE_SECONDS: u64 = 10;
const HEADER_SECONDS: u64 = 10;
/// How long requests under way may take once the site is told to stop.
const GRACE_SECONDS: u64 = 5;
/// What a failing `accept` (out of file descriptors, mostly) waits before it tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The verified certificate of the peer of a connection, in the extensions of its requests.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// Answers connections with `router` until `shutdown` resolves, then lets requests under way end.
pub async fn serve(listener: TcpListener, tls: ServerConfig, router: Router, shutdown: impl Future<Output = ()>) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = &mut shutdown => break,
        };
        let (stream, slot) = accepted;
        let (acceptor, router, watcher) = (acceptor.clone(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            if let Err(error) = serve_connection(stream, acceptor, router, watcher).await {
                tracing::debug!(error = format!("{error:#}"), "Connection ended with an error");
            }
            drop(slot);
        });
    }
    drop(listener);
    let _ = timeout(Duration::from_secs(GRACE_SECONDS), graceful.shutdown()).await;
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, tokio::sync::OwnedSemaphorePermit) {
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { std::future::pending().await };
        match listener.accept().await {
            Ok((stream, _)) => return (stream, slot),
            Err(error) => {
                tracing::warn!(%error, "Connection not accepted");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

async fn serve_connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    router: Router,
    watcher: hyper_util::server::graceful::Watcher,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = timeout(Duration::from_secs(HANDSHAKE_SECONDS), acceptor.accept(stream)).await??;
    let certificates = stream.get_ref().1.peer_certificates();
    let peer = PeerCertificate(certificates.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned()));
    let service = tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADER_SECONDS));
    let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).into_owned();
    watcher.watch(connection).await.map_err(|error| anyhow::anyhow!(error))
}
