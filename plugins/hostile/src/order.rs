//! What the guest is told to do, and when.

use alloc::{format, string::String};
use farrier_plugin_sdk::{Error, Facts};

const PATH: &str = "/etc/hostile";

/// A call of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `scopes`
    Scopes,
    /// `open`
    Open,
    /// `evaluate`
    Evaluate,
    /// `explain`
    Explain,
}

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Be honest.
    Nothing,
    /// Never return.
    Loop,
    /// Call itself for ever.
    Recursion,
    /// Take memory until there is none.
    MemoryBomb,
    /// Execute `unreachable`.
    Trap,
    /// Panic, with a message.
    Panic,
    /// Answer one state too many.
    WrongCount,
    /// Explain in one finding of 8 MiB.
    HugeExplanation,
    /// Answer 200,000 scopes or findings, 8 million states; in `open`, an error of 8 MiB.
    HugeAnswer,
    /// Log a million lines, then be honest.
    LogFlood,
    /// Read the same file again and again.
    ReadForever,
    /// Open the same file again and again and never close it.
    ResourceFlood,
    /// Have the same file hashed again and again.
    DigestForever,
    /// Ask for the same fact again and again.
    QueryForever,
    /// Try to learn of what is not granted, by every call that takes a path or a name.
    LookAround,
    /// Read at offsets and in sizes that no file has, then be honest.
    ReadAtEdges,
    /// Pass a path of 8 MiB.
    HugePath,
    /// Name a scope that the manifest does not announce.
    OtherScope,
}

/// An order: a deed, and the phase to do it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    phase: Phase,
    deed: Deed,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 4] = [Self::Scopes, Self::Open, Self::Evaluate, Self::Explain];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scopes => "scopes",
            Self::Open => "open",
            Self::Evaluate => "evaluate",
            Self::Explain => "explain",
        }
    }
}

impl Deed {
    /// All deeds.
    pub const ALL: [Self; 18] = [
        Self::Nothing,
        Self::Loop,
        Self::Recursion,
        Self::MemoryBomb,
        Self::Trap,
        Self::Panic,
        Self::WrongCount,
        Self::HugeExplanation,
        Self::HugeAnswer,
        Self::LogFlood,
        Self::ReadForever,
        Self::ResourceFlood,
        Self::DigestForever,
        Self::QueryForever,
        Self::LookAround,
        Self::ReadAtEdges,
        Self::HugePath,
        Self::OtherScope,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Loop => "loop",
            Self::Recursion => "recursion",
            Self::MemoryBomb => "memory-bomb",
            Self::Trap => "trap",
            Self::Panic => "panic",
            Self::WrongCount => "wrong-count",
            Self::HugeExplanation => "huge-explanation",
            Self::HugeAnswer => "huge-answer",
            Self::LogFlood => "log-flood",
            Self::ReadForever => "read-forever",
            Self::ResourceFlood => "resource-flood",
            Self::DigestForever => "digest-forever",
            Self::QueryForever => "query-forever",
            Self::LookAround => "look-around",
            Self::ReadAtEdges => "read-at-edges",
            Self::HugePath => "huge-path",
            Self::OtherScope => "other-scope",
        }
    }

    /// The phases it can be done in, the usual one first.
    #[must_use]
    pub const fn phases(self) -> &'static [Phase] {
        match self {
            Self::WrongCount => &[Phase::Evaluate],
            Self::HugeExplanation => &[Phase::Explain],
            Self::OtherScope => &[Phase::Scopes],
            // Where it has the facts in hand; what it keeps of them is the same everywhere.
            Self::ReadForever | Self::ResourceFlood | Self::ReadAtEdges => &[Phase::Open, Phase::Scopes],
            _ => &[Phase::Evaluate, Phase::Scopes, Phase::Open, Phase::Explain],
        }
    }
}

impl Order {
    /// Reads the order of the endpoint.
    pub(crate) fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let text = facts.read_text(PATH)?;
        let words = text.trim();
        Self::parse(words).ok_or_else(|| Error::Invalid(format!("{PATH}: `{words}` is no order")))
    }

    /// The order of these words, `deed` or `phase:deed`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (phase, word) = text.split_once(':').map_or((None, text), |(phase, word)| (Some(phase), word));
        let deed = Deed::ALL.into_iter().find(|deed| deed.as_str() == word)?;
        let phase = match phase {
            Some(phase) => deed.phases().iter().find(|known| known.as_str() == phase)?,
            None => deed.phases().first()?,
        };
        Some(Self { phase: *phase, deed })
    }

    /// What is to be done in this phase, if anything.
    pub(crate) fn deed_in(self, phase: Phase) -> Option<Deed> {
        (self.phase == phase).then_some(self.deed)
    }
}

/// The words of an order.
impl From<Order> for String {
    fn from(order: Order) -> Self {
        format!("{}:{}", order.phase.as_str(), order.deed.as_str())
    }
}
