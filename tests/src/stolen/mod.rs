//! The stolen server: who took it poses as the site to its clients, with the certificate authority that they trust, and
//! signs with the keys that were on it.
//!
//! He stands between: what he does not want to answer himself, the real site answers.

mod http;
mod poll;
mod repository;
mod upstream;

pub use http::{Body, Reply, Request};
pub use poll::{resigned, signed};
pub use repository::Repository;
pub use upstream::Upstream;

use crate::{Agent, Programs, Site, succeed};
use anyhow::{Context as _, bail};
use farrier::identity::SiteIdentity;
use farrier::keys::{KeyRole, Keys};
use farrier_trust::SigningKey;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::io::{BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// What the thief answers, given the request and a way to the real site.
type Answer = dyn Fn(&Request, &Upstream) -> anyhow::Result<Reply> + Send + Sync;

/// A stolen server, with the site behind it. It is honest until it [`answers`](Self::answers).
pub struct StolenServer {
    site: Site,
    shared: Arc<Shared>,
    port: u16,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    upstream: Upstream,
    tls: Arc<ServerConfig>,
    answer: Mutex<Option<Arc<Answer>>>,
    requests: Mutex<Vec<String>>,
    failures: Mutex<Vec<anyhow::Error>>,
    sent_bytes: AtomicU64,
    stopped: AtomicBool,
}

impl StolenServer {
    /// A site that synchronizes the suites in this file, and that clients know by the thief's address only.
    ///
    /// # Errors
    /// When the site does not start.
    pub fn start(programs: Programs, suites: &Path) -> anyhow::Result<Self> {
        // First the port, which is part of the site's configuration; then its keys, without which nobody can pose as it.
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let site = Site::start_behind(programs, suites, port)?;
        let shared = Arc::new(Shared {
            upstream: Upstream::new(&site)?,
            tls: Arc::new(tls(&site)?),
            answer: Mutex::default(),
            requests: Mutex::default(),
            failures: Mutex::default(),
            sent_bytes: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serving.accept(&listener));
        Ok(Self { site, shared, port, thread: Some(thread) })
    }

    /// The site that was stolen from.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The site, to be stopped or started.
    pub fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    /// The thief's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An agent that is enrolled through the stolen server. The thief does not have its key, but the way to the site must
    /// look like the client's: so that way uses it.
    ///
    /// # Errors
    /// When enrolment fails.
    pub fn enroll(&self, programs: Programs, root: &Path) -> anyhow::Result<Agent> {
        let agent = Agent::new(programs, root)?;
        succeed(&mut agent.command(&["enroll", &self.site.token()?]))?;
        self.shared.upstream.add_client(&agent.data());
        Ok(agent)
    }

    /// From now on the thief answers like this.
    pub fn answers(&self, answer: impl Fn(&Request, &Upstream) -> anyhow::Result<Reply> + Send + Sync + 'static) {
        *locked(&self.shared.answer) = Some(Arc::new(answer));
    }

    /// The clients are shown this repository, and statements about it that the thief signs with the stolen assignment key.
    /// He may change statement and assignment before.
    ///
    /// # Errors
    /// When the site does not have the key any more.
    pub fn shows(
        &self,
        repository: Repository,
        change: impl Fn(&mut poll::Statement, &mut poll::Assignment) + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let keys = self.keys(KeyRole::Assignment)?;
        self.answers(move |request, site| match request.is_poll() {
            true => site.poll_anew(request)?.map_body(|reply| {
                resigned(reply, &keys, |statement, assignment| {
                    statement.timestamp = repository.timestamp_digest()?;
                    statement.root = repository.version("root")?;
                    change(statement, assignment);
                    Ok(())
                })
            }),
            false => repository.answer(&request.path).map_or_else(|| site.answer(request), Ok),
        });
        Ok(())
    }

    /// The attack is over.
    ///
    /// # Errors
    /// When the thief could not make it: then nothing was shown.
    pub fn is_honest(&self) -> anyhow::Result<()> {
        *locked(&self.shared.answer) = None;
        match locked(&self.shared.failures).pop() {
            Some(failure) => Err(failure.context("the thief failed")),
            None => Ok(()),
        }
    }

    /// The keys of a role that are on the site: what whoever takes the server has.
    ///
    /// # Errors
    /// When there are none.
    pub fn keys(&self, role: KeyRole) -> anyhow::Result<Vec<SigningKey>> {
        let keys = Keys::open(&self.site.data())?.signers(role)?;
        if keys.is_empty() {
            bail!("no key of {role:?} is on the site");
        }
        Ok(keys)
    }

    /// The repository as the site publishes it now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn repository(&self) -> anyhow::Result<Repository> {
        Repository::of(&self.shared.upstream)
    }

    /// The way to the site.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.shared.upstream
    }

    /// The paths that were asked for since the last call.
    pub fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.shared.requests))
    }

    /// How many bytes of endless bodies clients took.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.shared.sent_bytes.load(Ordering::Relaxed)
    }
}

impl Drop for StolenServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let shared = Arc::clone(self);
            // A client that hangs up is its own affair, and its thread ends with it.
            std::thread::spawn(move || stream.context("no connection").and_then(|stream| shared.serve(stream)));
        }
    }

    fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut connection = ServerConnection::new(Arc::clone(&self.tls))?;
        let mut stream = stream;
        connection.complete_io(&mut stream)?;
        let peer = connection.peer_certificates().and_then(|chain| chain.first());
        let peer = peer.map(|certificate| certificate.to_vec());
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        while let Some(request) = Request::read(&mut stream, peer.clone())? {
            locked(&self.requests).push(request.path.clone());
            let reply = self.reply(&request)?;
            if !reply.write(stream.get_mut(), &self.sent_bytes)? {
                break;
            }
        }
        stream.get_mut().conn.send_close_notify();
        Ok(stream.get_mut().flush()?)
    }

    fn reply(&self, request: &Request) -> anyhow::Result<Reply> {
        let answer = locked(&self.answer).clone();
        let Some(answer) = answer else { return self.upstream.answer(request) };
        answer(request, &self.upstream).map_err(|failure| {
            let said = format!("{failure:#}");
            locked(&self.failures).push(failure);
            anyhow::anyhow!(said)
        })
    }
}

/// TLS of the site, by whoever has its authority.
fn tls(site: &Site) -> anyhow::Result<ServerConfig> {
    let identity = SiteIdentity::load_or_create(&site.data())?;
    let (chain, key) = identity.site_certificate("localhost")?;
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from(identity.authority_certificate().to_vec()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(authorities.into(), Arc::clone(&provider));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.allow_unauthenticated().build()?)
        .with_single_cert(chain, key)?;
    Ok(config)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
