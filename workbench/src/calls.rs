//! Host calls of a plugin, kept: to be shown, to be written into a recording, to be compared.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use farrier_runtime::{HostCall, Observer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Bytes of files that are kept, at most.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// Bytes of an answer that are shown, at most.
const MAX_SHOWN_BYTES: usize = 120;

/// A call and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Call {
    /// `facts.open-file`: bytes of the file.
    Open {
        /// The path.
        path: String,
        /// Bytes of the file.
        answer: Answer<u64>,
    },
    /// `file.read` and `file.read-at`.
    Read {
        /// The path.
        path: String,
        /// Where the bytes begin.
        offset: u64,
        /// The bytes.
        answer: Answer<Bytes>,
    },
    /// `facts.list-folder`: the names.
    List {
        /// The path.
        path: String,
        /// The names.
        answer: Answer<Vec<String>>,
    },
    /// `facts.stat`.
    Stat {
        /// The path.
        path: String,
        /// What is there.
        answer: Answer<Status>,
    },
    /// `facts.digest`: SHA-256 in hexadecimal.
    Digest {
        /// The path.
        path: String,
        /// The digest.
        answer: Answer<String>,
    },
    /// `facts.os`.
    Os {
        /// Names and values.
        facts: Vec<(String, String)>,
    },
    /// `facts.query`: JSON.
    Query {
        /// The name of the fact.
        name: String,
        /// Its argument.
        argument: String,
        /// The answer.
        answer: Answer<String>,
    },
    /// `log.write`.
    Log {
        /// How much it matters.
        level: String,
        /// The line.
        message: String,
    },
}

/// What the host answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer<T> {
    /// This.
    Ok(T),
    /// An error: its case and its text.
    Error(String),
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// `file`, `folder`, `link` or `other`.
    pub kind: String,
    /// Bytes of a file.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub modified: i64,
}

/// Bytes: in a recording a text where they are one, so that a person can read and change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenBytes", into = "WrittenBytes")]
pub struct Bytes(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenBytes {
    Text(String),
    Base64(String),
}

impl From<Bytes> for WrittenBytes {
    fn from(Bytes(bytes): Bytes) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Base64(BASE64_STANDARD.encode(error.into_bytes())), Self::Text)
    }
}

impl TryFrom<WrittenBytes> for Bytes {
    type Error = base64::DecodeError;

    fn try_from(written: WrittenBytes) -> Result<Self, Self::Error> {
        Ok(Self(match written {
            WrittenBytes::Text(text) => text.into_bytes(),
            WrittenBytes::Base64(digits) => BASE64_STANDARD.decode(digits)?,
        }))
    }
}

impl<T> Answer<T> {
    fn of<U>(result: Result<U, &str>, ok: impl FnOnce(U) -> T) -> Self {
        match result {
            Ok(answer) => Self::Ok(ok(answer)),
            Err(error) => Self::Error(error.to_owned()),
        }
    }

    /// What it is in words.
    fn shown(&self, ok: impl FnOnce(&T) -> String) -> String {
        match self {
            Self::Ok(answer) => ok(answer),
            Self::Error(error) => format!("error: {error}"),
        }
    }
}

impl Call {
    /// The call, if it is one that an applicability plugin can make.
    fn of(call: &HostCall<'_>) -> Option<Self> {
        Some(match *call {
            HostCall::Open { path, result } => {
                Self::Open { path: path.to_owned(), answer: Answer::of(result, |size| size) }
            }
            HostCall::Read { path, offset, bytes } => {
                Self::Read { path: path.to_owned(), offset, answer: Answer::Ok(Bytes(bytes.to_owned())) }
            }
            HostCall::ReadFailed { path, offset, error } => {
                Self::Read { path: path.to_owned(), offset, answer: Answer::Error(error.to_owned()) }
            }
            HostCall::List { path, result } => {
                Self::List { path: path.to_owned(), answer: Answer::of(result, <[String]>::to_vec) }
            }
            HostCall::Stat { path, result } => {
                let status = |status: farrier_runtime::Status| Status {
                    kind: status.kind.to_owned(),
                    size: status.size,
                    mode: status.mode,
                    modified: status.modified,
                };
                Self::Stat { path: path.to_owned(), answer: Answer::of(result, status) }
            }
            HostCall::Digest { path, result } => {
                Self::Digest { path: path.to_owned(), answer: Answer::of(result, str::to_owned) }
            }
            HostCall::Os { facts } => Self::Os { facts: facts.to_vec() },
            HostCall::Query { name, argument, result } => {
                let (name, argument) = (name.to_owned(), argument.to_owned());
                Self::Query { name, argument, answer: Answer::of(result, str::to_owned) }
            }
            HostCall::Log { level, message } => Self::Log { level: level.to_owned(), message: message.to_owned() },
            _ => return None,
        })
    }

    /// What was asked, without the answer; `None`, if nothing was.
    #[must_use]
    pub fn question(&self) -> Option<String> {
        Some(match self {
            Self::Open { path, .. } => format!("open {path}"),
            Self::Read { path, offset, .. } => format!("read {path} from {offset}"),
            Self::List { path, .. } => format!("list {path}"),
            Self::Stat { path, .. } => format!("stat {path}"),
            Self::Digest { path, .. } => format!("digest {path}"),
            Self::Os { .. } => "os".to_owned(),
            Self::Query { name, argument, .. } => format!("query {name} {argument}"),
            Self::Log { .. } => return None,
        })
    }

    /// The answer in words.
    #[must_use]
    pub fn answer(&self) -> String {
        let text = match self {
            Self::Open { answer, .. } => answer.shown(|size| format!("{size} bytes")),
            Self::Read { answer, .. } => answer.shown(|Bytes(bytes)| format!("{} bytes", bytes.len())),
            Self::List { answer, .. } => answer.shown(|names| format!("{} names: {}", names.len(), names.join(" "))),
            Self::Stat { answer, .. } => answer.shown(|Status { kind, size, mode, .. }| match kind.as_str() {
                "file" => format!("file of {size} bytes, mode {mode:04o}"),
                kind => format!("{kind}, mode {mode:04o}"),
            }),
            Self::Digest { answer, .. } | Self::Query { answer, .. } => answer.shown(String::clone),
            Self::Os { facts } => Vec::from_iter(facts.iter().map(|(name, value)| format!("{name}={value}"))).join(" "),
            Self::Log { level, message } => format!("{level}: {message}"),
        };
        shortened(&text)
    }
}

/// The beginning of a text, if it is long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN_BYTES) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// One thing of the endpoint that was looked at, however often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fact {
    /// What was asked: `open /etc/os-release`.
    pub asked: String,
    /// The answer, in words.
    pub answer: String,
    /// Bytes that were read of it, if it is a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<44}  {}", self.asked, self.answer)?;
        self.read_bytes.map_or(Ok(()), |bytes| write!(f, ", {bytes} read"))
    }
}

/// Every fact that was read, in the order of first being asked for; reads of a file are added up.
#[must_use]
pub fn facts(calls: &[Call]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for call in calls {
        if let Call::Read { path, answer: Answer::Ok(Bytes(bytes)), .. } = call {
            let opened = format!("open {path}");
            if let Some(fact) = facts.iter_mut().find(|fact| fact.asked == opened) {
                *fact.read_bytes.get_or_insert(0) += bytes.len() as u64;
                continue;
            }
        }
        let Some(asked) = call.question() else { continue };
        let fact = Fact { asked, answer: call.answer(), read_bytes: None };
        if !facts.iter().any(|known| known.asked == fact.asked && known.answer == fact.answer) {
            facts.push(fact);
        }
    }
    facts
}

/// Keeps every call.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Recorded>);

#[derive(Default)]
struct Recorded {
    calls: Vec<Call>,
    bytes: usize,
    is_cut_off: bool,
}

impl Recorder {
    /// The calls until now, and whether there were more than can be kept.
    pub(crate) fn take(&self) -> (Vec<Call>, bool) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = std::mem::take(&mut *recorded);
        (taken.calls, taken.is_cut_off)
    }
}

impl Observer for Recorder {
    fn observe(&self, call: &HostCall<'_>) {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let HostCall::Read { bytes, .. } = call {
            recorded.bytes += bytes.len();
        }
        if recorded.bytes > MAX_KEPT_BYTES {
            recorded.is_cut_off = true;
        } else {
            recorded.calls.extend(Call::of(call));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> Vec<Call> {
        let path = || "/a".to_owned();
        vec![
            Call::Open { path: path(), answer: Answer::Ok(4) },
            Call::Read { path: path(), offset: 0, answer: Answer::Ok(Bytes(b"ab".to_vec())) },
            Call::Read { path: path(), offset: 2, answer: Answer::Ok(Bytes(vec![0xff, 0])) },
            Call::Stat { path: "/b".to_owned(), answer: Answer::Error("not-found: /b".to_owned()) },
            Call::Stat { path: "/b".to_owned(), answer: Answer::Error("not-found: /b".to_owned()) },
            Call::Log { level: "info".to_owned(), message: "hm".to_owned() },
        ]
    }

    #[test]
    fn facts_are_told_once() {
        let facts: Vec<_> = facts(&calls())
            .iter()
            .map(|fact| fact.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(facts, ["open /a 4 bytes, 4 read", "stat /b error: not-found: /b"]);
    }

    #[test]
    fn a_recording_of_calls_is_read_as_it_was_written() {
        let text = serde_json::to_string(&calls()).unwrap();
        assert!(text.contains(r#""answer":{"ok":{"text":"ab"}}"#) && text.contains(r#"{"base64":"/wA="}"#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Call>>(&text).unwrap(), calls());
        assert!(serde_json::from_str::<Call>(r#"{"call":"open","path":"/a","answer":{"ok":1},"x":1}"#).is_err());
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let recorder = Recorder::default();
        let bytes = vec![0; MAX_KEPT_BYTES / 2 + 1];
        for _ in 0..2 {
            recorder.observe(&HostCall::Read { path: "/a", offset: 0, bytes: &bytes });
        }
        let (calls, is_cut_off) = recorder.take();
        assert_eq!((calls.len(), is_cut_off), (1, true));
    }
}
