//! Maintenance windows and business hours: checking what administrators write, and working out when they occur.
//!
//! A window belongs to a collection and concerns its members; several are a union, which their clients compute. What is
//! worked out here is a function of the windows and the day, so that what a client is told changes once a day at most.

mod expand;
mod memory;
mod recurrence;
#[cfg(test)]
mod tests;

pub use expand::{HORIZON_DAYS, Occurrence};
pub use recurrence::RecurrenceError;

use crate::database::{CollectionId, Database, MaintenanceWindow, WindowDefinition};
use farrier_protocol::assignment::Windows;
use farrier_protocol::{ClientId, UnixTime};
use jiff::tz::TimeZone;

/// Seconds that a window lasts, at most: a week.
pub const MAX_SECONDS: u32 = 7 * 24 * 60 * 60;
/// Seconds that a window lasts, at least.
pub const MIN_SECONDS: u32 = 60;

/// Why a window is not taken.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// It needs a name.
    #[error("the window has no name: write one that says what it is, for example Tuesday night")]
    Nameless,
    /// It is too short or too long.
    #[error("the window lasts {0} seconds: write a duration from 1 minute to 7 days (2h, 90m)")]
    Duration(u32),
    /// The time zone is none.
    #[error(
        "{0:?} is no time zone: write an IANA name like Europe/Berlin or UTC, or leave it out for each client's own"
    )]
    TimeZone(String),
    /// The recurrence rule is not taken.
    #[error("the recurrence {rule:?} cannot be used")]
    Recurrence {
        /// What was written.
        rule: String,
        /// Why.
        source: RecurrenceError,
    },
    /// The collection does not exist.
    #[error("there is no collection {0} (any more): look at the list of collections")]
    UnknownCollection(CollectionId),
    /// The window does not exist.
    #[error("there is no window {0} (any more): look at the list of windows")]
    Unknown(i64),
    /// The database failed.
    #[error("the site database cannot be used")]
    Database(#[from] sqlx::Error),
}

impl WindowError {
    /// The setting that is wrong, where it is one: a field of [`WindowDefinition`].
    #[must_use]
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Nameless => Some("name"),
            Self::Duration(_) => Some("duration_seconds"),
            Self::TimeZone(_) => Some("time_zone"),
            Self::Recurrence { .. } => Some("recurrence"),
            Self::UnknownCollection(_) | Self::Unknown(_) | Self::Database(_) => None,
        }
    }
}

/// Adds a window to a collection and returns its id.
///
/// # Errors
/// When the window makes no sense, or the collection does not exist.
pub async fn add(
    database: &Database,
    collection: CollectionId,
    window: &WindowDefinition,
    now: UnixTime,
) -> Result<i64, WindowError> {
    let window = checked(window)?;
    if !database.collection_exists(collection).await? {
        return Err(WindowError::UnknownCollection(collection));
    }
    Ok(database.add_window(collection, &window, now).await?)
}

/// Replaces a window.
///
/// # Errors
/// When it makes no sense, or does not exist.
pub async fn change(database: &Database, id: i64, window: &WindowDefinition, now: UnixTime) -> Result<(), WindowError> {
    let window = checked(window)?;
    if database.change_window(id, &window, now).await? { Ok(()) } else { Err(WindowError::Unknown(id)) }
}

/// Removes a window.
///
/// # Errors
/// When it does not exist.
pub async fn remove(database: &Database, id: i64, now: UnixTime) -> Result<(), WindowError> {
    if database.remove_window(id, now).await? { Ok(()) } else { Err(WindowError::Unknown(id)) }
}

/// When a client may install, as far as the windows of its collections say.
///
/// # Errors
/// When the database fails, or a stored window cannot be followed (any more).
pub async fn for_client(database: &Database, client: ClientId, now: UnixTime) -> Result<Windows, WindowError> {
    expand::windows(&database.client_windows(client).await?, now)
}

/// The next occurrences of a window that have not ended, `most` at most: for people, before and after it is stored.
///
/// # Errors
/// When the window makes no sense.
pub fn next_occurrences(window: &WindowDefinition, now: UnixTime, most: usize) -> Result<Vec<Occurrence>, WindowError> {
    expand::next_occurrences(&checked(window)?, now, most)
}

/// The window as it is stored, if it makes sense.
///
/// # Errors
/// When it makes none; the error names the setting and what to write.
pub fn checked(window: &WindowDefinition) -> Result<WindowDefinition, WindowError> {
    let name = window.name.trim();
    if name.is_empty() {
        return Err(WindowError::Nameless);
    }
    if !(MIN_SECONDS..=MAX_SECONDS).contains(&window.duration_seconds) {
        return Err(WindowError::Duration(window.duration_seconds));
    }
    let text =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    let window = WindowDefinition {
        name: name.to_owned(),
        recurrence: text(&window.recurrence),
        time_zone: text(&window.time_zone),
        ..window.clone()
    };
    expand::Rule::of(&window)?;
    Ok(window)
}

fn time_zone(name: &str) -> Result<TimeZone, WindowError> {
    TimeZone::get(name).map_err(|_| WindowError::TimeZone(name.to_owned()))
}

/// Whether a client with these windows may install only within maintenance windows.
fn is_limited(windows: &[MaintenanceWindow]) -> bool {
    windows.iter().any(|window| window.definition.kind == farrier_protocol::assignment::WindowKind::Maintenance)
}
