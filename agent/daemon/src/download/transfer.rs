//! One file from one source. It goes on where an earlier transfer stopped, and takes nothing but the missing bytes.

use super::obstacle::Obstacle;
use super::store::{Incoming, Received};
use reqwest::header::{CONTENT_RANGE, RANGE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use std::time::Duration;
use tokio::time::timeout;

/// What a source may take to begin its answer.
const ANSWER: Duration = Duration::from_secs(30);
/// What a whole transfer may take; how slow it may be is watched while it runs.
const WHOLE: Duration = Duration::from_secs(7 * 86_400);

/// A transfer that has begun.
#[derive(Debug)]
pub(super) struct Transfer {
    response: Option<Response>,
    incoming: Incoming,
}

/// Why a source does not give the file; another one may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// In words.
    pub(super) reason: String,
    /// In how many seconds it wants to be asked again.
    pub(super) retry_after_seconds: Option<u32>,
}

/// Why a transfer ends early.
#[derive(Debug)]
pub(super) enum Problem {
    /// It is the source's fault.
    Source(Failure),
    /// No source would help.
    Here(Obstacle),
}

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// So many bytes.
    Bytes(u64),
    /// Nothing, and the time is up.
    TimeUp,
}

impl Transfer {
    /// Asks for what is missing.
    ///
    /// The validator of an earlier answer (`If-Range`) would add nothing: the policy signs the digest and the length,
    /// so only the range and the length of the answer are compared here, and the whole file before it is used.
    pub(super) async fn open(request: RequestBuilder, mut incoming: Incoming) -> Result<Self, Problem> {
        let (received, length) = (incoming.received(), incoming.length());
        if received == length {
            return Ok(Self { response: None, incoming });
        }
        let mut request = request.timeout(WHOLE);
        if received > 0 {
            request = request.header(RANGE, format!("bytes={received}-"));
        }
        let response = match timeout(ANSWER, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(failure(format!("cannot be reached ({})", chain(&error.without_url())))),
            Err(_) => return Err(failure(format!("does not answer within {} s", ANSWER.as_secs()))),
        };
        match response.status() {
            // The whole file: this source knows no ranges.
            StatusCode::OK => incoming.restart()?,
            StatusCode::PARTIAL_CONTENT if continues(&response, received, length) => {}
            StatusCode::PARTIAL_CONTENT => return Err(failure("sends another part than it was asked for".to_owned())),
            StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err(failure("has a shorter file than the one that was signed".to_owned()));
            }
            status => return Err(refusal(status, &response)),
        }
        let missing = length - incoming.received();
        match response.content_length() {
            Some(bytes) if bytes != missing => {
                Err(failure(format!("has a file of another length: it sends {bytes} bytes instead of {missing}")))
            }
            _ => Ok(Self { response: Some(response), incoming }),
        }
    }

    /// Whether every byte is here.
    pub(super) fn is_whole(&self) -> bool {
        self.incoming.received() == self.incoming.length()
    }

    /// Takes what comes next, if it comes in time.
    pub(super) async fn next(&mut self, within: Duration) -> Result<Progress, Problem> {
        let Some(response) = &mut self.response else { return Ok(Progress::Bytes(0)) };
        let bytes = match timeout(within, response.chunk()).await {
            Err(_) => return Ok(Progress::TimeUp),
            Ok(Err(error)) => return Err(failure(format!("stopped sending ({})", chain(&error.without_url())))),
            Ok(Ok(None)) => return Err(failure("stopped sending before the end".to_owned())),
            Ok(Ok(Some(bytes))) => bytes,
        };
        let count = bytes.len() as u64;
        if count > self.incoming.length() - self.incoming.received() {
            return Err(failure("sends more than was signed".to_owned()));
        }
        self.incoming.write(&bytes)?;
        Ok(Progress::Bytes(count))
    }

    /// Verifies the whole.
    pub(super) fn finish(self) -> Result<Received, Obstacle> {
        self.incoming.finish()
    }
}

impl From<Obstacle> for Problem {
    fn from(obstacle: Obstacle) -> Self {
        Self::Here(obstacle)
    }
}

fn failure(reason: String) -> Problem {
    Problem::Source(Failure { reason, retry_after_seconds: None })
}

fn refusal(status: StatusCode, response: &Response) -> Problem {
    let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after_seconds = header.and_then(|value| value.trim().parse().ok());
    let reason = match status {
        StatusCode::SERVICE_UNAVAILABLE => "does not have it yet".to_owned(),
        StatusCode::NOT_FOUND => "does not have it".to_owned(),
        status => format!("answers {status}"),
    };
    Problem::Source(Failure { reason, retry_after_seconds })
}

/// Whether an answer is exactly the bytes from `received` to the end of a file of this length.
fn continues(response: &Response, received: u64, length: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range == Some(format!("bytes {received}-{}/{length}", length - 1).as_str())
}

/// An error with its causes; the outermost of reqwest's say little.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut words: Vec<_> = causes.map(ToString::to_string).collect();
    words.dedup();
    words.join(": ")
}
