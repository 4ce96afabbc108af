//! What of the site's keys asks for an administrator: every page says it.

use super::State;
use crate::database::now;
use crate::keys::{Notice, SiteKeys};
use axum::extract::{Request, State as Shared};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old what pages say of it may be.
const YOUNG: Duration = Duration::from_secs(5);

/// What was read last, and when.
#[derive(Debug, Clone)]
pub(super) struct Notices {
    site: SiteKeys,
    known: Arc<Mutex<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    read_at: Option<Instant>,
    notices: Vec<Notice>,
}

impl Notices {
    pub(super) fn new(site: SiteKeys) -> Self {
        Self { site, known: Arc::default() }
    }

    pub(super) fn known(&self) -> Vec<Notice> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).notices.clone()
    }

    /// Whether it is time to read again; who is told so does.
    fn is_due(&self) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = known.read_at.is_none_or(|read_at| read_at.elapsed() > YOUNG);
        if is_due {
            known.read_at = Some(Instant::now());
        }
        is_due
    }

    async fn read(&self) {
        match self.site.standing(now()).await {
            Ok(standing) => self.known.lock().unwrap_or_else(PoisonError::into_inner).notices = standing.notices,
            Err(error) => {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::new(error)),
                    "The site's keys cannot be looked at"
                );
            }
        }
    }
}

/// Before a page is made.
pub(super) async fn refresh(Shared(state): Shared<State>, request: Request, next: Next) -> Response {
    if state.notices.is_due() {
        state.notices.read().await;
    }
    next.run(request).await
}
