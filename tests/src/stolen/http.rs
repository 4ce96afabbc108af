//! As much HTTP/1.1 as a thief needs.

use anyhow::{Context as _, ensure};
use farrier_protocol::paths;
use std::io::{BufRead, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Bytes that an endless body is written in.
const PORTION_BYTES: usize = 64 * 1024;
/// An endless body ends after all: by then the client has taken too much.
const ENDLESS_BYTES: u64 = 256 * 1024 * 1024;
/// What a trickle waits between two bytes.
const DRIP: Duration = Duration::from_millis(50);

/// What a client asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET`, `POST`.
    pub method: String,
    /// The path, with a query if there is one.
    pub path: String,
    /// `Name: value`, the name in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The client's certificate, X.509 in DER.
    pub certificate: Option<Vec<u8>>,
}

/// What it is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers, but for `Content-Length`.
    pub headers: Vec<(String, String)>,
    /// What follows.
    pub body: Body,
}

/// The ways in which a body is sent.
#[derive(Debug, Clone)]
pub enum Body {
    /// Whole.
    Whole(Vec<u8>),
    /// The connection ends after half of it.
    Cut(Vec<u8>),
    /// The connection ends before anything is said.
    HungUp,
    /// This, and then zeros for as long as anybody takes them.
    Endless(Vec<u8>),
    /// A byte now and then, always just before a patient client gives up.
    Trickle(Vec<u8>),
}

impl Request {
    /// The next request of a connection, if there is one.
    pub(super) fn read(stream: &mut impl BufRead, certificate: Option<Vec<u8>>) -> anyhow::Result<Option<Self>> {
        let Some(first) = line(stream)? else { return Ok(None) };
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = words.next().zip(words.next()).with_context(|| format!("no request: {first:?}"))?;
        let mut headers = Vec::new();
        while let Some(line) = line(stream)?.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').with_context(|| format!("no header: {line:?}"))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length").map_or(Ok(0), |(_, it)| it.parse())?;
        ensure!(length <= MAX_BODY_BYTES, "a body of {length} bytes");
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        Ok(Some(Self { method, path, headers, body, certificate }))
    }

    /// Whether it is a poll.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        self.path == paths::POLL
    }

    /// The file of metadata that is asked for: `timestamp.json`.
    #[must_use]
    pub fn metadata(&self) -> Option<&str> {
        self.path.strip_prefix(paths::METADATA)?.strip_prefix('/')
    }

    /// Whether it asks for a target of the repository.
    #[must_use]
    pub fn is_target(&self) -> bool {
        self.path.starts_with(paths::TARGETS)
    }
}

impl Reply {
    /// This.
    #[must_use]
    pub fn found(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(200, Body::Whole(bytes.into()))
    }

    /// There is nothing.
    #[must_use]
    pub fn missing() -> Self {
        Self::of(404, Body::Whole(b"There is no such file.".to_vec()))
    }

    /// It is over there.
    #[must_use]
    pub fn redirect(to: &str) -> Self {
        Self { headers: vec![("location".to_owned(), to.to_owned())], ..Self::of(307, Body::Whole(Vec::new())) }
    }

    /// A status and what follows.
    #[must_use]
    pub fn of(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    /// With this header as well.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a whole body says.
    ///
    /// # Errors
    /// When the answer is another one.
    pub fn bytes(&self) -> anyhow::Result<&[u8]> {
        match &self.body {
            Body::Whole(bytes) if self.status == 200 => Ok(bytes),
            _ => anyhow::bail!("the answer is no file: {self:?}"),
        }
    }

    /// The same with another body, made of what it says.
    ///
    /// # Errors
    /// When the answer is no file, or of the change.
    pub fn map_body(self, change: impl FnOnce(&[u8]) -> anyhow::Result<Vec<u8>>) -> anyhow::Result<Self> {
        let body = Body::Whole(change(self.bytes()?)?);
        Ok(Self { body, ..self })
    }

    /// Sends it. Returns whether the connection goes on.
    pub(super) fn write(&self, stream: &mut impl Write, sent: &AtomicU64) -> std::io::Result<bool> {
        let Self { status, headers, body } = self;
        let length = match body {
            Body::Whole(bytes) | Body::Cut(bytes) | Body::Trickle(bytes) => bytes.len() as u64,
            Body::Endless(_) => ENDLESS_BYTES,
            Body::HungUp => return Ok(false),
        };
        let mut head = format!("HTTP/1.1 {status} As-The-Thief-Says\r\n");
        headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
        match body {
            // Nobody is told how much is to come.
            Body::Endless(_) => head.push_str("connection: close\r\n\r\n"),
            _ => head.push_str(&format!("content-length: {length}\r\n\r\n")),
        }
        stream.write_all(head.as_bytes())?;
        match body {
            Body::Whole(bytes) => stream.write_all(bytes)?,
            Body::Cut(bytes) => stream.write_all(&bytes[..bytes.len() / 2])?,
            Body::Endless(bytes) => endless(stream, bytes, sent)?,
            Body::Trickle(bytes) => trickle(stream, bytes)?,
            Body::HungUp => {}
        }
        stream.flush()?;
        Ok(matches!(body, Body::Whole(_)))
    }
}

fn endless(stream: &mut impl Write, bytes: &[u8], sent: &AtomicU64) -> std::io::Result<()> {
    stream.write_all(bytes)?;
    let zeros = vec![0; PORTION_BYTES];
    while sent.load(Ordering::Relaxed) < ENDLESS_BYTES {
        stream.write_all(&zeros)?;
        sent.fetch_add(zeros.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn trickle(stream: &mut impl Write, bytes: &[u8]) -> std::io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        stream.flush()?;
        std::thread::sleep(DRIP);
    }
    Ok(())
}

/// A line without its end; none where the connection ended.
fn line(stream: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let length = stream.take(MAX_BODY_BYTES as u64).read_line(&mut line)?;
    Ok((length > 0).then(|| line.trim_end().to_owned()))
}
