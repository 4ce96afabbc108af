//! State messages: what a client reports to the management point.
//!
//! A client's messages form a *stream*: a random number made with its spool, and serial numbers 1, 2, 3, ... without
//! gaps. The site stores the serial of the last message it committed and answers with it. Whatever is sent twice is
//! skipped by its serial. When the site misses messages (a gap, or a stream it does not know), it answers
//! [`StateReply::Resend`], and the client starts a new stream with [`StateMessage::Reset`] and everything it knows.

use crate::enforcement::EnforcementState;
use crate::{ComplianceState, DeploymentId, UnixTime, UpdateId};
use alloc::boxed::Box;
use serde::{Deserialize, Serialize};

/// Messages in one batch, at most.
pub const MAX_MESSAGES: usize = 128;
/// Bytes of an encoded batch, at most: the limit of the request's body.
pub const MAX_BATCH_BYTES: usize = 64 * 1024;
/// Bytes of [`Finding::subject`], at most; longer ones are cut by [`bounded`].
pub const MAX_SUBJECT_BYTES: usize = 96;
/// Bytes of [`Finding::detail`], at most.
pub const MAX_DETAIL_BYTES: usize = 192;
/// Bytes of the texts of [`Inventory`] and of [`ScanResult`]'s reason, at most.
pub const MAX_TEXT_BYTES: usize = 192;

/// Tags of one client, at most.
pub const MAX_TAGS: usize = 16;
/// Bytes of a tag, at most.
pub const MAX_TAG_BYTES: usize = 32;

/// A short text in a message.
pub type Text = heapless::String<MAX_TEXT_BYTES>;

/// What stands for the rest of a text that was cut.
const CUT: &str = "…";

/// As much of `text` as fits, cut at a character's boundary; a `…` says that it was cut.
#[must_use]
pub fn bounded<const N: usize>(text: &str) -> heapless::String<N> {
    let mark = if text.len() > N && CUT.len() <= N { CUT } else { "" };
    let mut end = text.len().min(N - mark.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut bounded = heapless::String::new();
    // Cannot fail: both together are at most `N`.
    let _ = bounded.push_str(&text[..end]).and_then(|()| bounded.push_str(mark));
    bounded
}

/// Consecutive messages of one stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateBatch {
    /// The stream these messages belong to.
    pub stream: u64,
    /// The serial of the first message; the others follow without gaps.
    pub first_serial: u64,
    /// The messages, in the order of their serials.
    pub messages: heapless::Vec<StateMessage, MAX_MESSAGES>,
}

/// One message of a client.
// The rare, big variants are boxed (the wire is the same): a decoded batch passes through the stack several times,
// and 128 of the biggest would not fit a thread's. Boxing the findings too would cost an allocation for each.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum StateMessage {
    /// The first message of a stream: forget every compliance state of this client.
    Reset,
    /// What the client is; sent when it changed.
    Inventory(Box<Inventory>),
    /// The update has this state now; its earlier findings are void.
    Compliance(Compliance),
    /// A reason for the state of the [`Compliance`] message before it; zero or more follow each.
    Finding(Finding),
    /// A scan ended; the messages before it say what it changed.
    Scan(Box<ScanResult>),
    /// What collections are made by; sent when it changed.
    Facts(Box<Facts>),
    /// How far the client is with an update of a deployment; the earlier word on it is void.
    Enforcement(Box<Enforcement>),
    /// Which plugins the agent can run; sent when it changed.
    Abilities(Box<Abilities>),
    /// How a version of a plugin that does not count would have answered; the earlier word on it, and its differences,
    /// are void.
    Shadow(Box<ShadowResult>),
    /// One difference of the [`StateMessage::Shadow`] before it; zero or more follow each.
    Difference(Box<Difference>),
    /// Which version of a plugin is used because another failed; the earlier word on that plugin is void.
    FallBack(Box<FallBack>),
}

/// The new state of one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compliance {
    /// Which update.
    pub update: UpdateId,
    /// Its state on this client.
    pub state: ComplianceState,
}

/// Why an update has its state: one line per thing on the client that it concerns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Which update.
    pub update: UpdateId,
    /// What on the client, for example the installed package `libssl3`.
    pub subject: heapless::String<MAX_SUBJECT_BYTES>,
    /// What is found there.
    pub state: ComplianceState,
    /// The reason in words: `3.0.15-1 is older than 3.0.17-1~deb12u2`.
    pub detail: heapless::String<MAX_DETAIL_BYTES>,
}

/// What a client is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The host's name.
    pub hostname: Text,
    /// The operating system as its makers write it (`PRETTY_NAME` of os-release(5)).
    pub operating_system: Text,
    /// The machine's architecture as the kernel names it (`x86_64`).
    pub machine: heapless::String<32>,
    /// The version of the agent.
    pub agent_version: heapless::String<32>,
}

/// What collections are made by, beside the [`Inventory`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `ID` of os-release(5): `debian`.
    pub os: heapless::String<64>,
    /// `VERSION_CODENAME` of os-release(5), else its `VERSION_ID`: `bookworm`.
    pub release: heapless::String<64>,
    /// The IANA name of the client's time zone, empty if it is not known: `Europe/Berlin`.
    pub time_zone: heapless::String<48>,
    /// The tags in the client's own configuration, sorted.
    pub tags: heapless::Vec<heapless::String<MAX_TAG_BYTES>, MAX_TAGS>,
}

/// How far a client is with one update of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enforcement {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Which update of it.
    pub update: UpdateId,
    /// How far.
    pub state: EnforcementState,
    /// Since when, by the client's clock.
    pub since: UnixTime,
    /// How many times the installer was started.
    pub installations: u16,
    /// Bytes still to be downloaded, where that is known.
    pub bytes_left: u64,
    /// Until when the client waits, where it waits for a time.
    pub until: Option<UnixTime>,
    /// Why, in words: `outside the maintenance window`, or what the installer said.
    pub reason: Text,
}

/// How a scan ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanResult {
    /// When it ended.
    pub scanned_at: UnixTime,
    /// The version of the assignment it followed.
    pub assignment_version: u64,
    /// How many updates it evaluated; those of which nothing is reported are `NotRequired`.
    pub evaluated: u32,
    /// The plugin, its version and how it fared, one each.
    pub plugins: heapless::Vec<PluginResult, { crate::assignment::MAX_PLUGINS }>,
}

/// How a plugin fared in a scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginResult {
    /// The plugin's name.
    pub name: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// The plugin's version.
    pub version: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// Empty, or what went wrong.
    pub error: Text,
}

/// Which plugins an agent can run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abilities {
    /// The newest version of `farrier:policy` it has; it runs plugins built for this major version up to this minor one.
    pub wit: heapless::String<16>,
    /// The id of its engine profile.
    pub engine: heapless::String<48>,
    /// Bytes of memory it gives one plugin, at most.
    pub plugin_memory_bytes: u64,
    /// Bytes of the largest component it takes.
    pub component_bytes: u64,
}

/// How a shadow fared: a version of a plugin that scanned beside the one that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowResult {
    /// The plugin's name.
    pub plugin: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// The version that counts. Empty, with everything below 0 and empty, when the plugin has no shadow any more.
    pub version: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// The version that does not.
    pub shadow_version: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// When the scan ended.
    pub scanned_at: UnixTime,
    /// How many updates both evaluated.
    pub compared: u32,
    /// On how many they differ. At most [`MAX_DIFFERENCES`] of them are reported.
    pub differing: u32,
    /// Empty, or what went wrong with the shadow.
    pub error: Text,
}

/// Differences that a client reports of one shadow, at most. They are examples, for a person to read: how many there are
/// is counted, and the site keeps those of every client.
pub const MAX_DIFFERENCES: usize = 32;

/// An update on which two versions of a plugin differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The plugin's name.
    pub plugin: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// Which update.
    pub update: UpdateId,
    /// What the version that counts says.
    pub state: ComplianceState,
    /// What the shadow says.
    pub shadow_state: ComplianceState,
    /// Why the version that counts says so.
    pub detail: Text,
    /// Why the shadow says so.
    pub shadow_detail: Text,
}

/// A plugin whose assigned version failed again and again on a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FallBack {
    /// The plugin's name.
    pub plugin: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// Whether it is an installer.
    pub installer: bool,
    /// The version that failed. Empty when the assigned version is used again; then what follows is empty, too.
    pub failed_version: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// The version used in its place; empty if there is none, and the plugin is not run.
    pub version: heapless::String<{ crate::assignment::MAX_NAME_BYTES }>,
    /// Since when.
    pub since: UnixTime,
    /// What the version that failed said last: a trap's message, with the panic's.
    pub reason: Text,
}

/// The management point's answer to a batch, sent after its commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StateReply {
    /// Everything up to this serial is committed.
    Acknowledged {
        /// The serial of the last committed message.
        through: u64,
    },
    /// Messages are missing: start a new stream.
    Resend,
}
