//! What was worked out today is not worked out again: a rule that began years ago costs milliseconds, and every client asks
//! every few minutes.

use super::WindowError;
use crate::database::WindowDefinition;
use farrier_protocol::assignment::Window;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// Windows that are remembered, at most.
const MAX_REMEMBERED: usize = 4_096;

/// What is known of windows on one day. A window is its own name here, so that a changed one is another.
#[derive(Debug, Default)]
struct Memory {
    day: i64,
    known: HashMap<WindowDefinition, Arc<[Window]>>,
}

static MEMORY: LazyLock<Mutex<Memory>> = LazyLock::new(Mutex::default);

/// The occurrences of a window that a client is told on a day, worked out at most once.
pub(super) fn of_day(
    day: i64,
    window: &WindowDefinition,
    work_out: impl FnOnce(i64, &WindowDefinition) -> Result<Vec<Window>, WindowError>,
) -> Result<Arc<[Window]>, WindowError> {
    let remembered = |memory: &Memory| (memory.day == day).then(|| memory.known.get(window).cloned()).flatten();
    if let Some(known) = remembered(&MEMORY.lock().unwrap_or_else(PoisonError::into_inner)) {
        return Ok(known);
    }
    // Without the lock: others need not wait, and at worst the same is worked out twice.
    let known: Arc<[Window]> = work_out(day, window)?.into();
    let mut memory = MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.day != day || memory.known.len() >= MAX_REMEMBERED {
        *memory = Memory { day, known: HashMap::new() };
    }
    memory.known.insert(window.clone(), known.clone());
    Ok(known)
}
