//! What the guest is told to do, and when.

use alloc::{format, string::String};
use farrier_plugin_sdk::{Error, Facts};

const PATH: &str = "/etc/hostile";

/// A call of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// `select`
    Select,
    /// `plan`
    Plan,
    /// `install`
    Install,
    /// `finish`
    Finish,
    /// `roll-back`
    RollBack,
}

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Be honest.
    Nothing,
    /// Put every content, one after the other, in the place of dpkg's status file: what an honest `dpkg` comes to.
    ReplaceStatus,
    /// Be honest, and ask for the restart of a service and of the machine.
    AskForRestarts,
    /// Be honest, run granted programs, and note what they wrote.
    RunPrograms,
    /// Select no content.
    SelectNothing,
    /// Select what is not there.
    SelectTooMuch,
    /// Select everything twice.
    SelectTwice,
    /// Plan 20,000 changes.
    HugePlan,
    /// Leave a thousand notes.
    HugeNotes,
    /// Refuse, in words.
    Refuse,
    /// Never return.
    Loop,
    /// Execute `unreachable`.
    Trap,
    /// Install the first content, then execute `unreachable`.
    TrapHalfWay,
    /// Panic, with a message.
    Panic,
    /// Take memory until there is none.
    MemoryBomb,
    /// Log 100,000 lines, then be honest.
    LogFlood,
    /// Report 100,000 lines of progress, then be honest.
    ProgressFlood,
    /// Ask for 100,000 restarts, then be honest.
    RestartFlood,
    /// Wait until the host says that the time is up.
    PauseForever,
    /// Wait, whatever the host says.
    NeverGiveUp,
    /// Run a program that sleeps for ten minutes.
    SleepyProgram,
    /// Run a program that sleeps for ten minutes, with a time limit, then be honest.
    TimedProgram,
    /// Run a program that does not end when it is asked to.
    StubbornProgram,
    /// Run a program that leaves another one running, then never return.
    LeaveBehind,
    /// Run a program that writes without end.
    OutputFlood,
    /// Pass 8 MiB of input.
    HugeInput,
    /// Try to change files outside the grants, by every call that takes a path.
    EscapePath,
    /// Try to move folders whose content is not granted.
    MoveTree,
    /// Try to open for writing what is no file of its own.
    OpenSpecial,
    /// Write and read at offsets that no file has, then be honest.
    TargetEdges,
    /// Open folders and files without end.
    OpenFlood,
    /// Write below a name that somebody else makes a folder and a link by turns.
    RaceForLink,
    /// Try to make files that run as somebody else.
    SpecialModes,
    /// Try to run programs that are not granted.
    UngrantedProgram,
    /// Try to pass arguments that are not granted.
    InjectArguments,
    /// Try to pass variables that are not granted.
    InjectVariables,
    /// Try to pass input that is not granted.
    InjectInput,
}

/// An order: a deed, and the phase to do it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    phase: Phase,
    deed: Deed,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 5] = [Self::Select, Self::Plan, Self::Install, Self::Finish, Self::RollBack];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Select => "select",
            Self::Plan => "plan",
            Self::Install => "install",
            Self::Finish => "finish",
            Self::RollBack => "roll-back",
        }
    }
}

impl Deed {
    /// All deeds.
    pub const ALL: [Self; 37] = [
        Self::Nothing,
        Self::ReplaceStatus,
        Self::AskForRestarts,
        Self::RunPrograms,
        Self::SelectNothing,
        Self::SelectTooMuch,
        Self::SelectTwice,
        Self::HugePlan,
        Self::HugeNotes,
        Self::Refuse,
        Self::Loop,
        Self::Trap,
        Self::TrapHalfWay,
        Self::Panic,
        Self::MemoryBomb,
        Self::LogFlood,
        Self::ProgressFlood,
        Self::RestartFlood,
        Self::PauseForever,
        Self::NeverGiveUp,
        Self::SleepyProgram,
        Self::TimedProgram,
        Self::StubbornProgram,
        Self::LeaveBehind,
        Self::OutputFlood,
        Self::HugeInput,
        Self::EscapePath,
        Self::MoveTree,
        Self::OpenSpecial,
        Self::TargetEdges,
        Self::OpenFlood,
        Self::RaceForLink,
        Self::SpecialModes,
        Self::UngrantedProgram,
        Self::InjectArguments,
        Self::InjectVariables,
        Self::InjectInput,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::ReplaceStatus => "replace-status",
            Self::AskForRestarts => "ask-for-restarts",
            Self::RunPrograms => "run-programs",
            Self::SelectNothing => "select-nothing",
            Self::SelectTooMuch => "select-too-much",
            Self::SelectTwice => "select-twice",
            Self::HugePlan => "huge-plan",
            Self::HugeNotes => "huge-notes",
            Self::Refuse => "refuse",
            Self::Loop => "loop",
            Self::Trap => "trap",
            Self::TrapHalfWay => "trap-half-way",
            Self::Panic => "panic",
            Self::MemoryBomb => "memory-bomb",
            Self::LogFlood => "log-flood",
            Self::ProgressFlood => "progress-flood",
            Self::RestartFlood => "restart-flood",
            Self::PauseForever => "pause-forever",
            Self::NeverGiveUp => "never-give-up",
            Self::SleepyProgram => "sleepy-program",
            Self::TimedProgram => "timed-program",
            Self::StubbornProgram => "stubborn-program",
            Self::LeaveBehind => "leave-behind",
            Self::OutputFlood => "output-flood",
            Self::HugeInput => "huge-input",
            Self::EscapePath => "escape-path",
            Self::MoveTree => "move-tree",
            Self::OpenSpecial => "open-special",
            Self::TargetEdges => "target-edges",
            Self::OpenFlood => "open-flood",
            Self::RaceForLink => "race-for-link",
            Self::SpecialModes => "special-modes",
            Self::UngrantedProgram => "ungranted-program",
            Self::InjectArguments => "inject-arguments",
            Self::InjectVariables => "inject-variables",
            Self::InjectInput => "inject-input",
        }
    }

    /// The phases it can be done in, the usual one first.
    #[must_use]
    pub const fn phases(self) -> &'static [Phase] {
        match self {
            Self::SelectNothing | Self::SelectTooMuch | Self::SelectTwice => &[Phase::Select],
            Self::HugePlan => &[Phase::Plan],
            Self::Nothing
            | Self::Refuse
            | Self::Loop
            | Self::Trap
            | Self::Panic
            | Self::MemoryBomb
            | Self::LogFlood => &[Phase::Install, Phase::Select, Phase::Plan, Phase::Finish, Phase::RollBack],
            Self::PauseForever
            | Self::NeverGiveUp
            | Self::SleepyProgram
            | Self::StubbornProgram
            | Self::LeaveBehind
            | Self::OutputFlood
            | Self::HugeInput
            | Self::ProgressFlood
            | Self::RestartFlood => &[Phase::Install, Phase::Plan, Phase::Finish, Phase::RollBack],
            Self::ReplaceStatus
            | Self::AskForRestarts
            | Self::RunPrograms
            | Self::HugeNotes
            | Self::TrapHalfWay
            | Self::TimedProgram
            | Self::EscapePath
            | Self::MoveTree
            | Self::OpenSpecial
            | Self::TargetEdges
            | Self::OpenFlood
            | Self::RaceForLink
            | Self::SpecialModes
            | Self::UngrantedProgram
            | Self::InjectArguments
            | Self::InjectVariables
            | Self::InjectInput => &[Phase::Install, Phase::Finish, Phase::RollBack],
        }
    }
}

impl Order {
    /// Reads the order of the endpoint; without one it is to be honest.
    pub(crate) fn read(facts: &dyn Facts) -> Result<Self, Error> {
        let text = match facts.read_text(PATH) {
            Err(Error::NotFound(_)) => String::from(Deed::Nothing.as_str()),
            read => read?,
        };
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
