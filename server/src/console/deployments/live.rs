//! `/deployments/{id}/events`: says whenever deployments may look different, as server-sent events. The page then asks for
//! what it shows; whoever hears nothing asks now and then.

use super::super::State;
use super::super::problem::Problem;
use super::detail::{deployment, parse_id};
use axum::extract::{Path, State as Shared};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::watch;

/// The least time between two events: a busy fleet changes more often than a person can read.
const PAUSE: Duration = Duration::from_secs(1);
/// What other site processes do is heard of after this long.
const PERIOD: Duration = Duration::from_secs(15);

struct Listener {
    changes: watch::Receiver<u64>,
    stopping: watch::Receiver<()>,
}

pub(in super::super) async fn events(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    deployment(&state, parse_id(&id)?).await?;
    let listener = Listener {
        changes: state.console.signals.states_changed.subscribe(),
        stopping: state.console.stopping.clone(),
    };
    let events = stream::unfold(listener, |mut listener| async move {
        listener.next().await?;
        Some((Ok(Event::default().event("changed").data("deployment")), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

impl Listener {
    /// Waits for the next change; none when the site stops.
    async fn next(&mut self) -> Option<()> {
        let changed = async {
            tokio::time::sleep(PAUSE).await;
            // A bell that is gone rings no more: the period goes on.
            let _ = tokio::time::timeout(PERIOD, self.changes.changed()).await;
        };
        tokio::select! {
            () = changed => Some(()),
            // It is never written, only dropped.
            _ = self.stopping.changed() => None,
        }
    }
}
