//! The site over HTTPS: every request bounded in time, every answer in bytes.

use crate::content::Incoming;
use anyhow::Context as _;
use farrier_protocol::assignment::MAX_ASSIGNMENT_BYTES;
use farrier_protocol::enrollment::{EnrollmentReply, EnrollmentRequest, MAX_ENROLLMENT_BYTES};
use farrier_protocol::state_message::StateReply;
use farrier_protocol::{Digest, paths};
use farrier_trust::MAX_INDEX_BYTES;
use reqwest::header::{ETAG, HeaderValue, IF_NONE_MATCH};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use rustls::ClientConfig;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const CONNECT_SECONDS: u64 = 10;
/// What an answer may stand still.
const IDLE_SECONDS: u64 = 30;
/// What a small exchange may take.
const EXCHANGE_SECONDS: u64 = 60;
/// The slowest a download may be, after the first minute.
const MIN_BYTES_PER_SECOND: u64 = 2 * 1024;
/// Bytes of a validator that is kept; a longer one is not.
const MAX_TAG_BYTES: usize = 256;
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

/// A document with the validator that asks whether it changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Document {
    /// The validator; empty if there is none.
    pub(crate) tag: String,
    /// The document.
    pub(crate) bytes: Vec<u8>,
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
        let bytes = self.post(paths::ENROLL, body, MAX_ENROLLMENT_BYTES).await?;
        farrier_protocol::decode(&bytes).map_err(|_| nonsense(paths::ENROLL, "not of this protocol version").into())
    }

    /// The assignment, if it is not the one with this validator.
    pub(crate) async fn assignment(&self, known: Option<&str>) -> Result<Option<Document>, SiteError> {
        self.document(paths::ASSIGNMENT, known, MAX_ASSIGNMENT_BYTES).await
    }

    /// The signed repository index, if it is not the one with this validator.
    pub(crate) async fn index(&self, known: Option<&str>) -> Result<Option<Document>, SiteError> {
        self.document(paths::INDEX, known, MAX_INDEX_BYTES).await
    }

    /// Sends an encoded batch of state messages.
    pub(crate) async fn report(&self, batch: Vec<u8>) -> Result<StateReply, SiteError> {
        let bytes = self.post(paths::STATE_MESSAGES, batch, MAX_REPLY_BYTES).await?;
        farrier_protocol::decode(&bytes).map_err(|_| nonsense(paths::STATE_MESSAGES, "not of this protocol version"))
    }

    /// Downloads the content of this digest and length.
    pub(crate) async fn download(&self, digest: &Digest, length: u64, mut into: Incoming) -> anyhow::Result<()> {
        let seconds = EXCHANGE_SECONDS + length / MIN_BYTES_PER_SECOND;
        let url = format!("{}{}/{digest}", self.address, paths::TARGETS);
        let mut response = self.send(self.client.get(url).timeout(Duration::from_secs(seconds))).await?;
        while let Some(bytes) = response.chunk().await.map_err(|error| self.unreachable(error))? {
            into.write(&bytes)?;
        }
        into.finish()
    }

    /// A request for the content of an update. Whoever sends it bounds its time and verifies what comes.
    pub(crate) fn content(&self, digest: &Digest) -> RequestBuilder {
        self.client.get(format!("{}{}/{digest}", self.address, paths::CONTENT))
    }

    async fn document(
        &self,
        path: &'static str,
        known: Option<&str>,
        max_bytes: usize,
    ) -> Result<Option<Document>, SiteError> {
        let mut request = self.client.get(format!("{}{path}", self.address));
        if let Some(tag) = known.and_then(|tag| HeaderValue::from_str(tag).ok()) {
            request = request.header(IF_NONE_MATCH, tag);
        }
        let response = self.send(request).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        let tag = if tag.len() <= MAX_TAG_BYTES { tag.to_owned() } else { String::new() };
        let bytes = self.body(path, response, max_bytes).await?;
        Ok(Some(Document { tag, bytes }))
    }

    async fn post(&self, path: &'static str, body: Vec<u8>, max_bytes: usize) -> Result<Vec<u8>, SiteError> {
        let response = self.send(self.client.post(format!("{}{path}", self.address)).body(body)).await?;
        self.body(path, response, max_bytes).await
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, SiteError> {
        let mut response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        let mut reason = Vec::new();
        while let Ok(Some(bytes)) = response.chunk().await
            && reason.len() < MAX_REFUSAL_BYTES
        {
            reason.extend_from_slice(&bytes);
        }
        reason.truncate(MAX_REFUSAL_BYTES);
        Err(SiteError::Refused { status, reason: plain(&reason) })
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

fn nonsense(path: &'static str, problem: &str) -> SiteError {
    SiteError::Nonsense { path, problem: problem.to_owned() }
}

/// A refusal's words, harmless to a terminal.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
