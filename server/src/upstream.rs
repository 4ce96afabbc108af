//! Where an archive's files come from: a web server or a folder. Nothing that arrives here is trusted.

use farrier_protocol::Digest;
use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, StatusCode, Url, redirect};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const CONNECT_TIMEOUT_SECONDS: u64 = 15;
/// How long a server may stay silent.
const READ_TIMEOUT_SECONDS: u64 = 60;
/// How long one file may take, however busily it trickles.
const TOTAL_TIMEOUT_SECONDS: u64 = 3 * 60 * 60;
const MAX_REDIRECTS: usize = 10;
const FILE_CHUNK_BYTES: usize = 256 * 1024;

/// Why a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The mirror's address is none.
    #[error("mirror {0:?} is no address: write http://host/path, https://host/path or file:/path")]
    Address(String),
    /// Nobody here can speak to servers.
    #[error(
        "https cannot be used here; are the system's certificates installed (on Debian, the package ca-certificates)?"
    )]
    Client(#[source] reqwest::Error),
    /// It is not there.
    #[error("{0} does not exist; check the suite's mirror, suite and components")]
    Missing(String),
    /// The server refuses it.
    #[error("{address}: the server answers {status}")]
    Refused {
        /// Which file.
        address: String,
        /// The answer.
        status: StatusCode,
    },
    /// The transfer broke.
    #[error("{address} cannot be fetched; is the mirror reachable from here?")]
    Transfer {
        /// Which file.
        address: String,
        /// Why.
        source: reqwest::Error,
    },
    /// A file of the mirror, or a temporary one, cannot be read or written.
    #[error("{address} cannot be copied")]
    Copy {
        /// Which file.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It is longer than it may be.
    #[error("{address} is longer than {max_bytes} bytes")]
    TooLong {
        /// Which file.
        address: String,
        /// The limit.
        max_bytes: u64,
    },
    /// It ended early.
    #[error("{address} ends after {bytes} of {expected} bytes; it is tried again later")]
    Truncated {
        /// Which file.
        address: String,
        /// What came.
        bytes: u64,
        /// What the release says.
        expected: u64,
    },
    /// It is not what was signed.
    #[error(
        "{0} is not the file that the signed release names (SHA-256 differs): it was tampered with, or the mirror is \
         in the middle of an update; it is tried again later"
    )]
    Digest(String),
}

/// What a server sent with a file to ask for it conditionally.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// An entity tag.
    Etag(String),
    /// A date.
    LastModified(String),
}

/// A small file, or why there is no need for it.
#[derive(Debug)]
pub enum Reply {
    /// The file.
    Found {
        /// All of it.
        bytes: Vec<u8>,
        /// What the server sent to ask for it conditionally.
        validator: Option<Validator>,
    },
    /// It is what the validator stands for.
    NotModified,
}

/// What the signed release says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its length in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// One archive.
#[derive(Debug)]
pub struct Source {
    base: Url,
    /// None for a folder.
    client: Option<Client>,
}

/// A file that arrives piece by piece.
enum Body {
    Response(reqwest::Response),
    File(tokio::fs::File),
}

impl Source {
    /// The archive at this address.
    ///
    /// # Errors
    /// When the address is none.
    pub fn open(mirror: &str) -> Result<Self, FetchError> {
        let invalid = || FetchError::Address(mirror.to_owned());
        let base: Url = mirror.trim_end_matches('/').parse().map_err(|_| invalid())?;
        if !matches!(base.scheme(), "http" | "https" | "file") || base.cannot_be_a_base() {
            return Err(invalid());
        }
        let client = match base.scheme() {
            "file" => None,
            scheme => Some(client(scheme).map_err(FetchError::Client)?),
        };
        Ok(Self { base, client })
    }

    /// The address of a file, for people: without a password.
    #[must_use]
    pub fn address(&self, path: &str) -> String {
        let mut base = self.base.clone();
        // Only an address without a host cannot have one, and then it has none.
        let _ = base.set_password(None);
        format!("{}/{path}", base.as_str().trim_end_matches('/'))
    }

    /// Reads a small file, unless it is still what `known` stands for.
    ///
    /// # Errors
    /// When it cannot be had or is longer than `max_bytes`.
    pub async fn read(&self, path: &str, max_bytes: u64, known: Option<&Validator>) -> Result<Reply, FetchError> {
        let address = self.address(path);
        let Some(mut body) = self.get(path, &address, known).await? else { return Ok(Reply::NotModified) };
        let validator = body.validator();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.chunk(&address).await? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > max_bytes {
                return Err(FetchError::TooLong { address, max_bytes });
            }
        }
        Ok(Reply::Found { bytes, validator })
    }

    /// Copies a file into one without a name and returns it, rewound, once its length and digest are the expected ones.
    /// `arrived` hears how many bytes each piece has.
    ///
    /// # Errors
    /// When it cannot be had or is another one.
    pub async fn download(&self, path: &str, expected: Expected, arrived: impl Fn(u64)) -> Result<File, FetchError> {
        let address = self.address(path);
        let copy = |source| FetchError::Copy { address: address.clone(), source };
        let mut body = self.get(path, &address, None).await?.ok_or_else(|| FetchError::Missing(address.clone()))?;
        let mut file = tokio::io::BufWriter::with_capacity(
            FILE_CHUNK_BYTES,
            tokio::fs::File::from_std(tempfile::tempfile().map_err(copy)?),
        );
        let mut digest = Sha256::new();
        let mut bytes = 0;
        while let Some(chunk) = body.chunk(&address).await? {
            bytes += chunk.len() as u64;
            if bytes > expected.size {
                return Err(FetchError::TooLong { address, max_bytes: expected.size });
            }
            digest.update(&chunk);
            file.write_all(&chunk).await.map_err(copy)?;
            arrived(chunk.len() as u64);
        }
        if bytes < expected.size {
            return Err(FetchError::Truncated { address, bytes, expected: expected.size });
        }
        if Digest(digest.finalize().into()) != expected.sha256 {
            return Err(FetchError::Digest(address));
        }
        file.flush().await.map_err(copy)?;
        let mut file = file.into_inner().into_std().await;
        io::Seek::rewind(&mut file).map_err(copy)?;
        Ok(file)
    }

    /// The file, or nothing if it is still what `known` stands for.
    async fn get(&self, path: &str, address: &str, known: Option<&Validator>) -> Result<Option<Body>, FetchError> {
        let url = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let url: Url = url.parse().map_err(|_| FetchError::Address(address.to_owned()))?;
        let Some(client) = &self.client else { return open_file(address, &url).await.map(Some) };
        let request = client.get(url);
        let request = match known {
            Some(Validator::Etag(tag)) => request.header(IF_NONE_MATCH, tag),
            Some(Validator::LastModified(date)) => request.header(IF_MODIFIED_SINCE, date),
            None => request,
        };
        let response = request.send().await.map_err(|error| broken(address, error))?;
        match response.status() {
            StatusCode::OK => Ok(Some(Body::Response(response))),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(None),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(FetchError::Missing(address.to_owned())),
            status => Err(FetchError::Refused { address: address.to_owned(), status }),
        }
    }
}

impl Body {
    async fn chunk(&mut self, address: &str) -> Result<Option<Vec<u8>>, FetchError> {
        match self {
            Self::Response(response) => {
                let chunk = response.chunk().await.map_err(|error| broken(address, error))?;
                Ok(chunk.map(Vec::from))
            }
            Self::File(file) => {
                let mut chunk = Vec::with_capacity(FILE_CHUNK_BYTES);
                let copy = |source| FetchError::Copy { address: address.to_owned(), source };
                Ok((file.read_buf(&mut chunk).await.map_err(copy)? > 0).then_some(chunk))
            }
        }
    }

    fn validator(&self) -> Option<Validator> {
        let Self::Response(response) = self else { return None };
        let header =
            |headers: &HeaderMap, name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let headers = response.headers();
        header(headers, ETAG)
            .map(Validator::Etag)
            .or_else(|| header(headers, LAST_MODIFIED).map(Validator::LastModified))
    }
}

/// Without the system's certificates, open connections still work.
fn client(scheme: &str) -> reqwest::Result<Client> {
    // Whoever came first has installed one, and any will do.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        Client::builder()
            .user_agent(concat!("farrier/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(CONNECT_TIMEOUT_SECONDS))
            .read_timeout(Duration::from_secs(READ_TIMEOUT_SECONDS))
            .timeout(Duration::from_secs(TOTAL_TIMEOUT_SECONDS))
            .redirect(redirect::Policy::custom(follow_redirect))
    };
    match builder().build() {
        Err(_) if scheme == "http" => builder().tls_certs_only([]).build(),
        client => client,
    }
}

async fn open_file(address: &str, url: &Url) -> Result<Body, FetchError> {
    let path: PathBuf = url.to_file_path().map_err(|()| FetchError::Address(address.to_owned()))?;
    match tokio::fs::File::open(path).await {
        Ok(file) => Ok(Body::File(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FetchError::Missing(address.to_owned())),
        Err(source) => Err(FetchError::Copy { address: address.to_owned(), source }),
    }
}

/// Anywhere on the web, but never from an encrypted connection to an open one.
fn follow_redirect(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let from = attempt.previous().last().map_or("", Url::scheme);
    match (from, attempt.url().scheme()) {
        _ if attempt.previous().len() > MAX_REDIRECTS => attempt.error("more than 10 redirects"),
        (_, "https") | ("http", "http") => attempt.follow(),
        (from, to) => {
            let problem = format!("redirected from {from}: to {to}:, which is not followed");
            attempt.error(problem)
        }
    }
}

/// The address is said once, by us.
fn broken(address: &str, error: reqwest::Error) -> FetchError {
    FetchError::Transfer { address: address.to_owned(), source: error.without_url() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_no_password() {
        let source = Source::open("http://user:secret@mirror.example.org/debian/").unwrap();
        assert_eq!(source.address("dists/a/InRelease"), "http://user@mirror.example.org/debian/dists/a/InRelease");
        assert_eq!(Source::open("file:/srv/mirror").unwrap().address("x"), "file:///srv/mirror/x");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for mirror in ["", "debian", "ftp://mirror.example.org", "http:", "/srv/mirror"] {
            assert!(matches!(Source::open(mirror), Err(FetchError::Address(_))), "{mirror}");
        }
    }
}
