//! What dpkg says of the state of a package: the three words of its `Status` field.

use core::fmt;

/// The three words: what is wanted, whether something is wrong, how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether it is to be left as it is.
    pub on_hold: bool,
    /// Whether it is damaged until it is installed again.
    pub needs_reinstallation: bool,
    /// How far its installation has come.
    pub condition: Condition,
}

/// How far the installation of a package has come: the third word of its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing of it is there.
    NotInstalled,
    /// Removed; its configuration files are left.
    ConfigFiles,
    /// Its installation was begun and not finished.
    HalfInstalled,
    /// Unpacked, not configured.
    Unpacked,
    /// Its configuration was begun and not finished.
    HalfConfigured,
    /// It waits for another package to run its triggers.
    TriggersAwaited,
    /// Its triggers are to be run.
    TriggersPending,
    /// All there.
    Installed,
}

/// A field that is no status; it says what is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusError(&'static str);

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for StatusError {}

impl StatusError {
    /// What is wrong, in words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Status {
    /// That of a package dpkg says nothing of.
    pub const NOT_INSTALLED: Self =
        Self { on_hold: false, needs_reinstallation: false, condition: Condition::NotInstalled };

    /// Reads a `Status` field, as tolerant of case as dpkg.
    ///
    /// # Errors
    /// Which of its words is unknown, or that there are not three.
    pub fn parse(value: &[u8]) -> Result<Self, StatusError> {
        let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(want), Some(flag), Some(condition), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(StatusError("the status is not three words"));
        };
        if !is_one_of(want, &["install", "hold", "deinstall", "purge", "unknown"]) {
            return Err(StatusError("the first word of the status is unknown"));
        }
        if !is_one_of(flag, &["ok", "reinstreq", "hold", "hold-reinstreq"]) {
            return Err(StatusError("the second word of the status is unknown"));
        }
        let known = Condition::ALL.into_iter().find(|known| is_one_of(condition, &[known.as_str()]));
        Ok(Self {
            on_hold: want.eq_ignore_ascii_case(b"hold"),
            needs_reinstallation: is_one_of(flag, &["reinstreq", "hold-reinstreq"]),
            condition: known.ok_or(StatusError("the third word of the status is unknown"))?,
        })
    }

    /// Whether apt counts a package in this state as installed, and so offers to upgrade it.
    #[must_use]
    pub fn is_installed(self) -> bool {
        !matches!(self.condition, Condition::NotInstalled | Condition::ConfigFiles)
    }

    /// Whether something of its installation is still to be done, so that it cannot be relied on. Triggers do not count:
    /// they are work for others.
    #[must_use]
    pub fn is_unfinished(self) -> bool {
        let unfinished = [Condition::HalfInstalled, Condition::Unpacked, Condition::HalfConfigured];
        unfinished.contains(&self.condition) || (self.needs_reinstallation && self.is_installed())
    }
}

impl Condition {
    /// The likeliest first.
    const ALL: [Self; 8] = [
        Self::Installed,
        Self::ConfigFiles,
        Self::NotInstalled,
        Self::HalfInstalled,
        Self::Unpacked,
        Self::HalfConfigured,
        Self::TriggersAwaited,
        Self::TriggersPending,
    ];

    /// The word of dpkg.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotInstalled => "not-installed",
            Self::ConfigFiles => "config-files",
            Self::HalfInstalled => "half-installed",
            Self::Unpacked => "unpacked",
            Self::HalfConfigured => "half-configured",
            Self::TriggersAwaited => "triggers-awaited",
            Self::TriggersPending => "triggers-pending",
            Self::Installed => "installed",
        }
    }
}

fn is_one_of(word: &[u8], known: &[&str]) -> bool {
    known.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes()))
}
