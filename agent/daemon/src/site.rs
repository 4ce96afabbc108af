//! The site over HTTPS: every request bounded in time, every answer in bytes.

use crate::content::Incoming;
use anyhow::Context as _;
use farrier_protocol::enrollment::{
    EXCLUSION_HEADER, EnrollmentReply, EnrollmentRequest, Exclusion, MAX_ENROLLMENT_BYTES, MAX_ENROLLMENT_REPLY_BYTES,
    RenewalReply, RenewalRequest,
};
use farrier_protocol::poll::{MAX_POLL_REPLY_BYTES, PollRequest};
use farrier_protocol::state_message::StateReply;
use farrier_protocol::{Digest, paths};
use reqwest::header::CONTENT_ENCODING;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use rustls::ClientConfig;
use std::time::Duration;

const CONNECT_SECONDS: u64 = 10;
/// What an answer may stand still.
const IDLE_SECONDS: u64 = 30;
/// What a small exchange may take.
const EXCHANGE_SECONDS: u64 = 60;
/// The slowest a download may be, after the first minute.
const MIN_BYTES_PER_SECOND: u64 = 2 * 1024;
/// Bytes of a refusal that are shown.
const MAX_REFUSAL_BYTES: usize = 1024;
/// Bytes of the reply to state messages.
const MAX_REPLY_BYTES: usize = 64;

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SiteError {
    /// Nobody answers, or nobody who can be trusted: the client is offline.
    #[error("the site {address} cannot be reached")]
    Unreachable {
        /// Its address.
        address: String,
        /// Why.
        source: reqwest::Error,
    },
    /// The site says no.
    #[error("the site answers {status}: {reason}")]
    Refused {
        /// The HTTP status.
        status: StatusCode,
        /// Why it keeps this client out, if it does.
        exclusion: Option<Exclusion>,
        /// Its words.
        reason: String,
    },
    /// The answer is not one.
    #[error("the site's answer to {path} is {problem}")]
    Nonsense {
        /// What was asked for.
        path: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// A connection to the site, made with the first request and kept alive.
#[derive(Debug)]
pub(crate) struct Site {
    client: Client,
    address: String,
}

impl Site {
    /// The site at this address.
    pub(crate) fn new(address: &str, tls: ClientConfig) -> anyhow::Result<Self> {
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .no_proxy()
            .redirect(redirect::Policy::none())
            // What is signed is what was sent: nothing is ever decompressed before it is verified.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS))
            .read_timeout(Duration::from_secs(IDLE_SECONDS))
            .timeout(Duration::from_secs(EXCHANGE_SECONDS))
            .user_agent(concat!("farrier-agent/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("the network cannot be used")?;
        Ok(Self { client, address: address.trim_end_matches('/').to_owned() })
    }

    /// Asks to become a client.
    pub(crate) async fn enroll(&self, request: &EnrollmentRequest) -> anyhow::Result<EnrollmentReply> {
        let body = farrier_protocol::encode(request)?;
        let bytes = self.post(paths::ENROLL, body, MAX_ENROLLMENT_REPLY_BYTES).await?;
        farrier_protocol::decode(&bytes).map_err(|_| nonsense(paths::ENROLL, "not of this protocol version").into())
    }

    /// Asks for a new certificate.
    pub(crate) async fn renew(&self, request: &RenewalRequest) -> anyhow::Result<RenewalReply> {
        let body = farrier_protocol::encode(request)?;
        let bytes = self.post(paths::RENEW, body, MAX_ENROLLMENT_BYTES).await?;
        farrier_protocol::decode(&bytes).map_err(|_| nonsense(paths::RENEW, "not of this protocol version").into())
    }

    /// Asks how things stand. The reply is encoded as it came.
    pub(crate) async fn poll(&self, request: &PollRequest) -> anyhow::Result<Vec<u8>> {
        let body = farrier_protocol::encode(request)?;
        Ok(self.post(paths::POLL, body, MAX_POLL_REPLY_BYTES).await?)
    }

    /// A file of signed metadata; nothing if the site has none of this name. Of one that is longer than it may be there is
    /// one byte too many: whoever verifies it says what that means.
    pub(crate) async fn metadata(&self, file: &str, max_bytes: u64) -> Result<Option<Vec<u8>>, SiteError> {
        let request = self.client.get(format!("{}{}/{file}", self.address, paths::METADATA));
        let mut response = match self.send(request.timeout(time_for(max_bytes))).await {
            Err(SiteError::Refused { status: StatusCode::NOT_FOUND, .. }) => return Ok(None),
            response => response?,
        };
        let enough = usize::try_from(max_bytes.saturating_add(1)).unwrap_or(usize::MAX);
        let mut file = Vec::new();
        while file.len() < enough
            && let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(error))?
        {
            file.extend_from_slice(&bytes[..bytes.len().min(enough - file.len())]);
        }
        Ok(Some(file))
    }

    /// Sends an encoded batch of state messages.
    pub(crate) async fn report(&self, batch: Vec<u8>) -> Result<StateReply, SiteError> {
        let bytes = self.post(paths::STATE_MESSAGES, batch, MAX_REPLY_BYTES).await?;
        farrier_protocol::decode(&bytes).map_err(|_| nonsense(paths::STATE_MESSAGES, "not of this protocol version"))
    }

    /// Downloads the content of this digest and length.
    pub(crate) async fn download(&self, digest: &Digest, length: u64, mut into: Incoming) -> anyhow::Result<()> {
        let url = format!("{}{}/{digest}", self.address, paths::TARGETS);
        let mut response = self.send(self.client.get(url).timeout(time_for(length))).await?;
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            into.write(&bytes)?;
        }
        into.finish()
    }

    /// A request for the content of an update. Whoever sends it bounds its time and verifies what comes.
    pub(crate) fn content(&self, digest: &Digest) -> RequestBuilder {
        self.client.get(format!("{}{}/{digest}", self.address, paths::CONTENT))
    }

    async fn post(&self, path: &'static str, body: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, SiteError> {
        let response = self.send(self.client.post(format!("{}{path}", self.address)).body(body)).await?;
        self.body(path, response, max_bytes).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, SiteError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if let Some(encoding) = response.headers().get(CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            let reason = format!("its answer is encoded as {encoding:?}, which nobody asked for");
            return Err(SiteError::Refused { status, exclusion: None, reason });
        }
        if status.is_redirection() {
            let reason = "it sends this client elsewhere, and no redirect is followed".to_owned();
            return Err(SiteError::Refused { status, exclusion: None, reason });
        }
        if status.is_success() {
            return Ok(response);
        }
        let word = response.headers().get(EXCLUSION_HEADER).and_then(|word| word.to_str().ok());
        let exclusion = word.and_then(Exclusion::from_word);
        let mut reason = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await
            && reason.len() < MAX_REFUSAL_BYTES
        {
            reason.extend_from_slice(&bytes);
        }
        reason.truncate(MAX_REFUSAL_BYTES);
        Err(SiteError::Refused { status, exclusion, reason: plain(&reason) })
    }

    async fn body(&self, path: &'static str, mut response: Response, max_bytes: usize) -> Result<Vec<u8>, SiteError> {
        let mut body = Vec::new();
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            if body.len() + bytes.len() > max_bytes {
                return Err(nonsense(path, &format!("longer than {max_bytes} bytes")));
            }
            body.extend_from_slice(&bytes);
        }
        Ok(body)
    }

    fn unreachable(&self, source: reqwest::Error) -> SiteError {
        SiteError::Unreachable { address: self.address.clone(), source: source.without_url() }
    }
}

/// What a download of so many bytes may take.
fn time_for(bytes: u64) -> Duration {
    Duration::from_secs(EXCHANGE_SECONDS + bytes / MIN_BYTES_PER_SECOND)
}

/// Whether an error is that the client is offline.
pub(crate) fn is_unreachable(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(SiteError::Unreachable { .. }))
}

/// Why the site keeps this client out, if that is what the error says.
pub(crate) fn exclusion(error: &anyhow::Error) -> Option<Exclusion> {
    match error.downcast_ref() {
        Some(SiteError::Refused { exclusion, .. }) => *exclusion,
        _ => None,
    }
}

fn nonsense(path: &'static str, problem: &str) -> SiteError {
    SiteError::Nonsense { path, problem: problem.to_owned() }
}

/// A refusal's words, harmless to a terminal.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
