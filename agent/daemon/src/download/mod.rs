//! The files of updates: from the site or from an upstream's mirror, within the client's limits, verified before
//! anybody sees them. What is downloaded when is not decided here.

mod obstacle;
mod pace;
mod quota;
mod store;
mod transfer;

pub(crate) use obstacle::{Bytes, Obstacle};
pub(crate) use store::UpdateStore;

use crate::agent::Agent;
use crate::clock::now;
use crate::site::Site;
use farrier_protocol::Digest;
use farrier_protocol::deployment::ContentSource;
use pace::Pace;
use quota::Quota;
use reqwest::{Client, Proxy, redirect};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use store::Received;
use transfer::{Failure, Problem, Progress, Transfer};

const CONNECT_SECONDS: u64 = 10;
/// Redirections of a mirror that are followed.
const MAX_REDIRECTS: usize = 5;
/// A transfer that nobody looked after for this long is opened anew: its source has given up, too.
const MAX_PAUSE: Duration = Duration::from_secs(20);
/// The slowest a source may be while it is waited for, over [`PATIENCE`].
const MIN_BYTES_PER_SECOND: u64 = 512;
/// What is waited for a piece when the time of a slice is up already.
const MIN_WAIT: Duration = Duration::from_millis(200);
/// How long a source may be too slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file that is wanted.
#[derive(Debug, Clone)]
pub(crate) struct Wanted<'a> {
    /// SHA-256 of it.
    pub(crate) digest: Digest,
    /// Bytes of it.
    pub(crate) length: u64,
    /// Where it is on the upstream's mirror.
    pub(crate) url: Option<String>,
    /// Where it may come from, in the order of preference.
    pub(crate) sources: &'a [ContentSource],
}

/// How far a slice of work came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The file is here.
    Complete,
    /// There is more to come; the time was up.
    More,
    /// It cannot be had now.
    Blocked(Obstacle),
}

/// Downloads, one file at a time, in slices.
#[derive(Debug)]
pub(crate) struct Downloads {
    store: UpdateStore,
    pace: Pace,
    quota: Quota,
    proxy: Option<String>,
    mirrors: Option<Client>,
    current: Option<Current>,
}

/// The file that is being downloaded.
#[derive(Debug)]
struct Current {
    digest: Digest,
    /// The position of the source at work among the wanted file's.
    source: usize,
    transfer: Option<Transfer>,
    looked_after_at: Instant,
    watch: Watch,
    failures: Vec<String>,
    retry_after_seconds: Option<u32>,
}

/// A slice of work on one file.
struct Slice<'a> {
    wanted: &'a Wanted<'a>,
    pinned: &'a BTreeSet<Digest>,
    site: &'a Site,
    until: Instant,
    received: u64,
}

/// Whether a source is too slow.
#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    elapsed: Duration,
    bytes: u64,
}

impl Downloads {
    /// Downloads into the agent's folder of updates.
    pub(crate) fn open(agent: &Agent) -> anyhow::Result<Self> {
        let config = &agent.config.downloads;
        Ok(Self {
            store: UpdateStore::open(&agent.layout.updates(), config.cache_bytes)?,
            pace: Pace::new(config.bytes_per_second),
            quota: Quota::load(&agent.layout.download_quota(), config.bytes_per_day),
            proxy: config.proxy.clone(),
            mirrors: None,
            current: None,
        })
    }

    /// The files that are here.
    pub(crate) fn store(&self) -> &UpdateStore {
        &self.store
    }

    /// Works on a file until it is here or the time is up, and for one piece of it at least. Returns, too, how many
    /// bytes came. What is `pinned` makes no room for it.
    pub(crate) async fn advance(
        &mut self,
        wanted: &Wanted<'_>,
        pinned: &BTreeSet<Digest>,
        site: &Site,
        until: Instant,
    ) -> (Fetched, u64) {
        let mut slice = Slice { wanted, pinned, site, until, received: 0 };
        let fetched = self.work(&mut slice).await.unwrap_or_else(Fetched::Blocked);
        self.quota.save();
        (fetched, slice.received)
    }

    async fn work(&mut self, slice: &mut Slice<'_>) -> Result<Fetched, Obstacle> {
        let Wanted { digest, length, sources, .. } = slice.wanted;
        let current = self.current.take().filter(|current| current.digest == *digest && current.is_fresh());
        if self.store.has(digest, *length) {
            return Ok(Fetched::Complete);
        }
        let mut current = current.unwrap_or_else(|| Current::new(*digest));
        loop {
            let Some(source) = sources.get(current.source).copied() else { return Err(current.obstacle()) };
            match self.attempt(&mut current, source, slice).await {
                Ok(Some(Fetched::More)) => {
                    current.looked_after_at = Instant::now();
                    self.current = Some(current);
                    return Ok(Fetched::More);
                }
                Ok(Some(fetched)) => return Ok(fetched),
                Ok(None) => {}
                Err(Problem::Here(obstacle)) => return Err(obstacle),
                Err(Problem::Source(failure)) => current.turn_from(source, slice.wanted, &failure),
            }
        }
    }

    /// Works with one source; nothing is returned if it is to be asked for the whole file once more.
    async fn attempt(
        &mut self,
        current: &mut Current,
        source: ContentSource,
        slice: &mut Slice<'_>,
    ) -> Result<Option<Fetched>, Problem> {
        let mut transfer = match current.transfer.take() {
            Some(transfer) => transfer,
            None => self.begin(source, slice).await?,
        };
        if !self.pump(&mut transfer, &mut current.watch, slice).await? {
            current.transfer = Some(transfer);
            return Ok(Some(Fetched::More));
        }
        match transfer.finish()? {
            Received::Verified => Ok(Some(Fetched::Complete)),
            // What was here before may have been the damaged part.
            Received::MismatchAfterResuming => Ok(None),
            Received::Mismatch => Err(failure("sent something else than what was signed: it was tampered with")),
        }
    }

    async fn begin(&mut self, source: ContentSource, slice: &Slice<'_>) -> Result<Transfer, Problem> {
        let Wanted { digest, length, url, .. } = slice.wanted;
        self.quota.left(now()).map_err(|until| Obstacle::QuotaUsed { until })?;
        let request = match source {
            ContentSource::DistributionPoint => slice.site.content(digest),
            ContentSource::Upstream => {
                let url = url.as_ref().ok_or_else(|| failure("has no address in the policy"))?;
                self.mirrors(url).map_err(|reason| failure(&reason))?.get(url)
            }
        };
        let mut pinned = slice.pinned.clone();
        pinned.insert(*digest);
        self.store.make_room(self.store.missing_bytes(digest, *length), &pinned)?;
        Transfer::open(request, self.store.receive(digest, *length).await?).await
    }

    /// Moves bytes until the file is whole (true) or the time is up.
    async fn pump(
        &mut self,
        transfer: &mut Transfer,
        watch: &mut Watch,
        slice: &mut Slice<'_>,
    ) -> Result<bool, Problem> {
        loop {
            if transfer.is_whole() {
                return Ok(true);
            }
            self.quota.left(now()).map_err(|until| Obstacle::QuotaUsed { until })?;
            if let Some(ready_at) = self.pace.ready_at(Instant::now()) {
                tokio::time::sleep_until(ready_at.min(slice.until).into()).await;
                if ready_at > slice.until {
                    return Ok(false);
                }
            }
            let began_at = Instant::now();
            // One piece at least, so that slices of any length get on.
            let within = slice.until.saturating_duration_since(began_at).max(MIN_WAIT);
            let progress = transfer.next(within).await?;
            // Only what the source makes wait for counts, not what the pace does.
            if watch.is_too_slow(progress, began_at.elapsed()) {
                return Err(failure("is too slow"));
            }
            let Progress::Bytes(bytes) = progress else { return Ok(false) };
            slice.received += bytes;
            self.pace.spend(bytes, Instant::now());
            self.quota.spend(bytes);
            if Instant::now() >= slice.until && !transfer.is_whole() {
                return Ok(false);
            }
        }
    }

    /// The client of mirrors: made with the first request, because it reads the system's certificate authorities.
    fn mirrors(&mut self, url: &str) -> Result<&Client, String> {
        if self.mirrors.is_none() {
            self.mirrors = Some(mirror_client(self.proxy.as_deref(), url)?);
        }
        self.mirrors.as_ref().ok_or_else(|| "cannot be asked".to_owned())
    }
}

impl Current {
    fn new(digest: Digest) -> Self {
        Self {
            digest,
            source: 0,
            transfer: None,
            looked_after_at: Instant::now(),
            watch: Watch::default(),
            failures: Vec::new(),
            retry_after_seconds: None,
        }
    }

    fn is_fresh(&self) -> bool {
        self.looked_after_at.elapsed() < MAX_PAUSE
    }

    /// This source does not give the file: the next one is asked.
    fn turn_from(&mut self, source: ContentSource, wanted: &Wanted<'_>, failure: &Failure) {
        let name = match (source, &wanted.url) {
            (ContentSource::DistributionPoint, _) => "the site".to_owned(),
            (ContentSource::Upstream, Some(url)) => url.clone(),
            (ContentSource::Upstream, None) => "the upstream".to_owned(),
        };
        let reason = &failure.reason;
        tracing::info!(content.digest = %self.digest, source = name, reason, "A source gives no content");
        self.failures.push(format!("{name} {}", failure.reason));
        let (known, new) = (self.retry_after_seconds, failure.retry_after_seconds);
        self.retry_after_seconds = known.into_iter().chain(new).min();
        self.source += 1;
        self.watch = Watch::default();
    }

    fn obstacle(self) -> Obstacle {
        let reason = match self.failures.is_empty() {
            true => "the policy names no source for its content".to_owned(),
            false => self.failures.join("; "),
        };
        Obstacle::NoSource { reason, retry_after_seconds: self.retry_after_seconds }
    }
}

impl Watch {
    fn is_too_slow(&mut self, progress: Progress, elapsed: Duration) -> bool {
        self.elapsed += elapsed;
        if let Progress::Bytes(bytes) = progress {
            self.bytes += bytes;
        }
        if self.elapsed < PATIENCE {
            return false;
        }
        let needed = MIN_BYTES_PER_SECOND * self.elapsed.as_secs();
        let too_slow = self.bytes < needed;
        *self = Self::default();
        too_slow
    }
}

fn failure(reason: &str) -> Problem {
    Problem::Source(Failure { reason: reason.to_owned(), retry_after_seconds: None })
}

/// A client that trusts the system's certificate authorities. An endpoint without any still reaches plain HTTP: what is
/// downloaded is verified by its digest either way.
fn mirror_client(proxy: Option<&str>, url: &str) -> Result<Client, String> {
    let proxy = proxy.map(Proxy::all).transpose().map_err(|error| format!("downloads.proxy in agent.toml: {error}"))?;
    // Fails where it was done before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        let builder = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::limited(MAX_REDIRECTS))
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .user_agent(concat!("farrier-agent/", env!("CARGO_PKG_VERSION")));
        match proxy.clone() {
            Some(proxy) => builder.proxy(proxy),
            None => builder,
        }
    };
    let client = match builder().build() {
        Err(_) if url.starts_with("http:") => builder().tls_certs_only([]).build(),
        client => client,
    };
    client.map_err(|error| format!("cannot be asked ({error})"))
}
