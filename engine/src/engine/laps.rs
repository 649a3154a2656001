//! The laps that run: counted against the limits, put on the queue, and seen to their ends.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use quilt::{BatchId, CancelCause, Event, OwnerId, Position, Quilt, Receipt, Summary};

use super::{Engine, TooManyRunning};
use crate::journal::{JournalError, Offset, until_available};
use crate::live::LiveBatch;
use crate::queue::Lease;

/// A lap that this node has put on the queue and waits for.
pub(super) type RunningLap = (BatchId, u32);

/// What a running lap counts for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    owner: OwnerId,
    squares: u64,
}

/// How many squares a small batch counts for: what it takes beside its squares is worth as many.
const LEAST_SHARE: u64 = 4_096;

impl Share {
    pub(super) fn new(owner: OwnerId, squares: u32) -> Self {
        Self { owner, squares: LEAST_SHARE.max(squares.into()) }
    }
}

/// The laps whose finish lines are yet to be crossed.
pub(super) type Running = HashMap<RunningLap, Share>;

impl Engine {
    /// Counts a lap among the running ones. `false` if it is one of them already.
    pub(super) fn claim(&self, lap: RunningLap, share: Share) -> Result<bool, TooManyRunning> {
        let settings = self.shared.settings;
        let mut running = self.running();
        let of_owner = running.values().filter(|other| other.owner == share.owner).count();
        let squares: u64 = running.values().map(|other| other.squares).sum();
        match running.entry(lap) {
            Entry::Occupied(_) => Ok(false),
            Entry::Vacant(_) if of_owner >= settings.running_per_owner as usize => {
                Err(TooManyRunning::OfOwner { limit: settings.running_per_owner })
            }
            Entry::Vacant(_) if squares + share.squares > settings.running_squares => {
                Err(TooManyRunning::Squares { limit: settings.running_squares })
            }
            Entry::Vacant(vacant) => {
                vacant.insert(share);
                Ok(true)
            }
        }
    }

    pub(super) fn release(&self, lap: RunningLap) {
        self.running().remove(&lap);
    }

    /// Puts a claimed lap on the queue: one lease, however many tasks there are. Workers pass over what is settled. Whoever holds the batch
    /// hands it over, so that it is not read again.
    pub(super) async fn run_lap(
        &self,
        lap: RunningLap,
        positions: Range<Position>,
        after: Offset,
        batch: Option<Arc<LiveBatch>>,
    ) {
        self.shared.queue.push(Lease { batch: lap.0, lap: lap.1, positions, after }, Duration::ZERO).await;
        let engine = self.clone();
        self.shared.homecomings.spawn(async move {
            engine.shared.aborting.run_until_cancelled(engine.see_home(lap, batch)).await;
        });
    }

    /// Keeps a batch in memory while a lap of it runs, stops it when its time is over, and notes in the journal how it ended.
    async fn see_home(&self, lap: RunningLap, batch: Option<Arc<LiveBatch>>) {
        let ended = self.wait_for_end(lap, batch).await;
        self.release(lap);
        let noted = match ended {
            Ok(batch) => self.conclude(&batch).await,
            Err(error) => Err(error),
        };
        if let Err(error) = noted
            && !matches!(error, JournalError::Removed | JournalError::Closed)
        {
            tracing::error!(batch = %lap.0, %error, "a batch is left alone");
        }
    }

    async fn wait_for_end(
        &self,
        lap: RunningLap,
        batch: Option<Arc<LiveBatch>>,
    ) -> Result<Arc<LiveBatch>, JournalError> {
        let batch = match batch {
            Some(batch) => batch,
            None => until_available(|| self.open(lap.0)).await?.ok_or(JournalError::Removed)?,
        };
        // The lap may be in the journal, and not be folded yet.
        batch.wait_until(|quilt| quilt.lap_number() >= lap.1).await;
        tokio::select! {
            biased;
            () = batch.wait_until(|quilt| is_past(quilt, lap.1)) => {}
            stopped = self.stop_at_deadline(&batch, lap) => stopped?,
        }
        Ok(batch)
    }

    /// Cancels a lap when its time is over, and ends when it is. Never ends where it may take as long as it takes.
    async fn stop_at_deadline(&self, batch: &LiveBatch, (id, lap): RunningLap) -> Result<(), JournalError> {
        let Some(deadline_ms) = batch.spec.deadline_ms else { return std::future::pending().await };
        let deadline = batch.folded().quilt.lap().started_at.plus_millis(deadline_ms.into());
        let clock = self.shared.settings.clock;
        // Asked again after each sleep: time of day can be set.
        loop {
            let left = deadline.millis_since(clock.now());
            if left == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
        until_available(|| {
            let cancelled = Event::Cancelled { lap, at: clock.now(), cause: CancelCause::Deadline };
            self.shared.journal.append(id, vec![cancelled])
        })
        .await?;
        batch.wait_until(|quilt| is_past(quilt, lap)).await;
        Ok(())
    }

    /// Notes how a batch ended, and the receipts of its laps.
    async fn conclude(&self, batch: &LiveBatch) -> Result<(), JournalError> {
        let Some((summary, receipts)) = conclusion(batch) else { return Ok(()) };
        let progress = summary.progress;
        tracing::info!(batch = %batch.id(), lap = summary.lap, status = summary.status.as_str(), progress.done, progress.failed, "a lap is over");
        until_available(|| self.shared.journal.conclude(batch.id(), summary.clone(), receipts.clone())).await
    }
}

/// How a batch ended, and the receipts of its laps. One that goes on has no end to note.
pub(super) fn conclusion(batch: &LiveBatch) -> Option<(Summary, Vec<Receipt>)> {
    let folded = batch.folded();
    folded.quilt.status().is_over().then(|| (folded.quilt.summary(), folded.ledger.receipts().to_vec()))
}

/// Whether a lap that has started is over.
pub(super) fn is_past(quilt: &Quilt, lap: u32) -> bool {
    quilt.lap_number() > lap || quilt.status().is_over()
}
