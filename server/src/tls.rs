//! Serves a router over TLS and tells its handlers who the peer is. Whatever a peer does or leaves, it holds its
//! connection for a bounded time.

mod patience;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use patience::Patient;
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::Service as _;

/// Connections of one listener, at most; further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 8_192;
const HANDSHAKE_SECONDS: u64 = 10;
/// How long a peer may say nothing, or not finish the head of a request.
const HEADER_SECONDS: u64 = 10;
/// How long a peer may leave answers untaken.
const WRITE_SECONDS: u64 = 60;
/// How long requests under way may take once the site is told to stop.
const GRACE_SECONDS: u64 = 5;
/// The one protocol: what a connection speaks is not to be found out from its first bytes, which may never come.
const HTTP_1: &[u8] = b"http/1.1";
/// What a failing `accept` (out of file descriptors, mostly) waits before it tries again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The verified certificate of the peer of a connection, in the extensions of its requests.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Option<CertificateDer<'static>>);

/// Answers connections with `router` until `shutdown` resolves, then lets requests under way end.
pub async fn serve(listener: TcpListener, mut tls: ServerConfig, router: Router, shutdown: impl Future<Output = ()>) {
    tls.alpn_protocols = vec![HTTP_1.to_vec()];
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
    watcher: Watcher,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let stream = Patient::new(stream, Duration::from_secs(WRITE_SECONDS));
    let stream = timeout(Duration::from_secs(HANDSHAKE_SECONDS), acceptor.accept(stream)).await??;
    let certificates = stream.get_ref().1.peer_certificates();
    let peer = PeerCertificate(certificates.and_then(|chain| chain.first()).map(|leaf| leaf.clone().into_owned()));
    answer(stream, peer, router, watcher, Duration::from_secs(HEADER_SECONDS)).await?;
    Ok(())
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: PeerCertificate,
    router: Router,
    watcher: Watcher,
    header_limit: Duration,
) -> hyper::Result<()> {
    let service = tower::service_fn(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().call(request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(header_limit);
    watcher.watch(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const SOON: Duration = Duration::from_millis(1);

    /// What a peer hears that says this and then keeps its connection open.
    async fn heard(said: &str) -> String {
        let (site, mut peer) = tokio::io::duplex(1024);
        let router = Router::new().route("/", axum::routing::get(|| async { "here" }));
        let running = GracefulShutdown::new();
        tokio::spawn(answer(site, PeerCertificate(None), router, running.watcher(), SOON));
        peer.write_all(said.as_bytes()).await.unwrap();
        let mut heard = String::new();
        peer.read_to_string(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_finish_its_request_is_hung_up_on() {
        for said in ["", "P", "PRI * HTTP/2", "GET / HT", "GET / HTTP/1.1\r\nhost: si"] {
            let heard = heard(said).await;
            assert!(!heard.contains("here"), "{said:?} is answered with {heard:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_keeps_its_connection_after_an_answer_is_hung_up_on() {
        let heard = heard("GET / HTTP/1.1\r\nhost: site\r\n\r\n").await;
        assert!(heard.contains("\r\n\r\nhere"), "{heard:?}");
    }
}
