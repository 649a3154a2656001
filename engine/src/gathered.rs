//! What came of tasks, on its way to the journal.

use std::time::Duration;

use quilt::{AttemptRun, Event, Settlement, Timestamp};
use tokio::time::{Instant, sleep_until};

/// How long outcomes are gathered before they are written: about a frame on a screen.
const GATHER_TIME: Duration = Duration::from_millis(16);

/// Tries and outcomes that are written together.
#[derive(Default)]
pub(crate) struct Gathered {
    runs: Vec<AttemptRun>,
    settlements: Vec<Settlement>,
    due: Option<Instant>,
}

impl Gathered {
    /// Takes up a try that ended at a moment.
    pub(crate) fn attempted(&mut self, run: AttemptRun, ended: Instant) {
        self.due.get_or_insert(ended + GATHER_TIME);
        let other = match self.runs.last_mut() {
            Some(last) => last.join(run),
            None => Some(run),
        };
        self.runs.extend(other);
    }

    /// Takes up an outcome. The try that led to it comes before.
    pub(crate) fn settled(&mut self, settlement: Settlement) {
        self.settlements.push(settlement);
    }

    /// Waits until what was gathered has to be written.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// The events that tell what was gathered, and a fresh start.
    pub(crate) fn take(&mut self, lap: u32, worker: &str, at: Timestamp) -> Vec<Event> {
        let Self { runs, settlements, .. } = std::mem::take(self);
        let attempted = (!runs.is_empty()).then(|| Event::Attempted { lap, worker: worker.into(), runs });
        let settled = (!settlements.is_empty()).then_some(Event::Settled { lap, at, settlements });
        attempted.into_iter().chain(settled).collect()
    }
}
