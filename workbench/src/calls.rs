//! Host calls of a plugin, kept: to be shown, to be written into a recording, to be compared.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use farrier_runtime::{HostCall, Limits, Observer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Calls that are kept, at most.
pub(crate) const MAX_KEPT_CALLS: usize = 10_000;
/// Bytes of questions and answers that are kept, at most.
pub(crate) const MAX_KEPT_BYTES: usize = 64 << 20;
/// Characters of an answer that are shown, at most.
const MAX_SHOWN_CHARACTERS: usize = 120;

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

    /// Bytes that it takes to keep it, about.
    fn kept_bytes(&self) -> usize {
        fn of<T>(answer: &Answer<T>, ok: impl FnOnce(&T) -> usize) -> usize {
            match answer {
                Answer::Ok(answer) => ok(answer),
                Answer::Error(error) => error.len(),
            }
        }
        let text = String::len;
        let content = match self {
            Self::Open { path, answer } => path.len() + of(answer, |_| 0),
            Self::Read { path, answer, .. } => path.len() + of(answer, |Bytes(bytes)| bytes.len()),
            Self::List { path, answer } => {
                path.len() + of(answer, |names| names.iter().map(|name| size_of::<String>() + name.len()).sum())
            }
            Self::Stat { path, answer } => path.len() + of(answer, |status| status.kind.len()),
            Self::Digest { path, answer } => path.len() + of(answer, text),
            Self::Os { facts } => facts.iter().map(|(name, value)| name.len() + value.len()).sum(),
            Self::Query { name, argument, answer } => name.len() + argument.len() + of(answer, text),
            Self::Log { message, .. } => message.len(),
        };
        size_of::<Self>() + content
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
        shortened(&text, MAX_SHOWN_CHARACTERS)
    }
}

/// The beginning of a text, if it has more characters.
pub(crate) fn shortened(text: &str, max_characters: usize) -> String {
    match text.char_indices().nth(max_characters) {
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

/// Keeps the calls: as many as fit, and as many lines as an agent logs. The rest is counted.
#[derive(Default)]
pub(crate) struct Recorder(Mutex<Kept>);

/// What a plugin asked and said, as far as it was kept.
#[derive(Default)]
pub(crate) struct Kept {
    /// The calls, in their order.
    pub(crate) calls: Vec<Call>,
    /// What was not kept.
    pub(crate) more: More,
    /// Bytes of the calls that are no lines.
    pub(crate) bytes: usize,
    /// How many of the calls are lines.
    pub(crate) lines: u32,
}

/// How much more there was than is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct More {
    /// Calls.
    pub calls: u64,
    /// Lines of the log.
    pub lines: u64,
}

impl Recorder {
    /// The calls until now.
    pub(crate) fn take(&self) -> Kept {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn line(&mut self, level: &str, message: &str, limits: &Limits) {
        if self.lines == limits.log_lines {
            self.more.lines += 1;
            return;
        }
        self.lines += 1;
        let message = message[..message.floor_char_boundary(limits.log_line_bytes)].to_owned();
        self.calls.push(Call::Log { level: level.to_owned(), message });
    }

    fn call(&mut self, call: &HostCall<'_>) {
        // After the first that is left out all are: what is kept has no gap. And a flood costs nothing.
        let is_full = self.more.calls > 0 || self.calls.len() - self.lines as usize == MAX_KEPT_CALLS;
        let Some(call) = (!is_full).then(|| Call::of(call)).flatten() else {
            self.more.calls += u64::from(is_full);
            return;
        };
        self.bytes += call.kept_bytes();
        if self.bytes > MAX_KEPT_BYTES { self.more.calls += 1 } else { self.calls.push(call) }
    }
}

impl Observer for Recorder {
    fn observe(&self, call: &HostCall<'_>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match *call {
            HostCall::Log { level, message } => kept.line(level, message, &Limits::default()),
            _ => kept.call(call),
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
        for bytes in [&bytes[..], &bytes, b"more"] {
            recorder.observe(&HostCall::Read { path: "/a", offset: 0, bytes });
        }
        let kept = recorder.take();
        assert_eq!((kept.calls.len(), kept.more), (1, More { calls: 2, lines: 0 }));
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let recorder = Recorder::default();
        let limits = Limits::default();
        let message = "ä".repeat(limits.log_line_bytes);
        for _ in 0..limits.log_lines + 5 {
            recorder.observe(&HostCall::Log { level: "info", message: &message });
        }
        for _ in 0..MAX_KEPT_CALLS + 3 {
            recorder.observe(&HostCall::Stat { path: "/a", result: Err("not-found: /a") });
        }
        let kept = recorder.take();
        assert_eq!(kept.calls.len(), limits.log_lines as usize + MAX_KEPT_CALLS);
        assert_eq!(kept.more, More { calls: 3, lines: 5 });
        let long = |call: &Call| matches!(call, Call::Log { message, .. } if message.len() > limits.log_line_bytes);
        assert!(!kept.calls.iter().any(long));
    }
}
