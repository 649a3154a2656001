//! Buffers attempts and outcomes before they are written to the journal.

use std::time::Duration;

use bytes::Bytes;
use quilt::{AttemptRun, Event, Index, Settlement, Timestamp};
use tokio::time::{Instant, sleep_until};

use crate::journal::SquareDetail;

/// How long outcomes are buffered before they are written: about one screen refresh.
pub(super) const FLUSH_INTERVAL: Duration = Duration::from_millis(16);

/// Maximum size of buffered details in bytes, not counting the last one.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// Attempts and outcomes that are written together.
#[derive(Default)]
pub(crate) struct WriteBuffer {
    runs: Vec<AttemptRun>,
    settlements: Vec<Settlement>,
    details: Vec<(Index, Bytes)>,
    bytes: usize,
    due: Option<Instant>,
}

impl WriteBuffer {
    /// Adds an attempt, and when it ended.
    pub(crate) fn attempted(&mut self, run: AttemptRun, ended: Instant) {
        self.due.get_or_insert(ended + FLUSH_INTERVAL);
        let other = match self.runs.last_mut() {
            Some(last) => last.join(run),
            None => Some(run),
        };
        self.runs.extend(other);
    }

    /// Adds an outcome. The attempt that led to it must be added first.
    pub(crate) fn settled(&mut self, settlement: Settlement) {
        self.settlements.push(settlement);
    }

    /// Adds the detail of a task whose outcome has been added.
    pub(crate) fn detailed(&mut self, index: Index, detail: Bytes) {
        self.bytes += detail.len();
        self.details.push((index, detail));
    }

    /// Waits until the buffer must be written.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.bytes >= MAX_BYTES || self.due.is_some_and(|due| due <= now)
    }

    /// Empties the buffer. Returns its events and details.
    pub(crate) fn take(&mut self, lap: u32, worker: &str, at: Timestamp) -> (Vec<Event>, Vec<SquareDetail>) {
        let Self { runs, settlements, details, .. } = std::mem::take(self);
        let attempted = (!runs.is_empty()).then(|| Event::Attempted { lap, worker: worker.into(), runs });
        let settled = (!settlements.is_empty()).then_some(Event::Settled { lap, at, settlements });
        let details = details.into_iter().map(|(index, body)| SquareDetail { index, lap, body });
        (attempted.into_iter().chain(settled).collect(), details.collect())
    }
}
