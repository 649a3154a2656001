//! Stops draining laps, and laps that have reached their deadlines.

use std::time::Duration;

use quilt::{CancelCause, Event, Quilt, Status};
use tokio::time::sleep;

use super::laps::is_past;
use super::shared::Engine;
use crate::dispatch::{LapId, Validity};
use crate::journal::{JournalError, retry_while_unavailable};
use crate::live::LiveBatch;

impl Engine {
    /// Cancels a draining lap once none of its leases is held.
    pub(super) async fn stop_when_drained(
        &self,
        batch: &LiveBatch,
        lap: LapId,
        validity: &Validity,
    ) -> Result<(), JournalError> {
        let is_draining = |quilt: &Quilt| quilt.lap_number() == lap.lap && quilt.status() == Status::Draining;
        batch.wait_until(is_draining).await;
        if !self.shared.scheduler.drained(lap).await || !validity.holds() {
            // A later coordinator stops the lap, or this node once it has adopted the lap again.
            return std::future::pending().await;
        }
        let cause = batch.folded().quilt.summary().cancelled_because.unwrap_or(CancelCause::Asked);
        self.stop_lap(batch, lap, cause).await
    }

    /// Cancels a lap at its deadline, and returns when it has ended. Never returns if there is no deadline.
    pub(super) async fn stop_at_deadline(
        &self,
        batch: &LiveBatch,
        LapId { batch: id, lap }: LapId,
    ) -> Result<(), JournalError> {
        let Some(deadline_ms) = batch.limits().deadline_ms else { return std::future::pending().await };
        let start = |quilt: &Quilt| match lap {
            1 => quilt.spec().earliest_start(quilt.lap().started_at),
            _ => quilt.lap().started_at,
        };
        let deadline = start(&batch.folded().quilt).plus_millis(deadline_ms.into());
        let clock = self.shared.settings.clock;
        // Checked again after each sleep, because the system clock can be set.
        loop {
            let left = deadline.millis_since(clock.now());
            if left == 0 {
                break;
            }
            sleep(Duration::from_millis(left)).await;
        }
        self.stop_lap(batch, LapId { batch: id, lap }, CancelCause::Deadline).await
    }

    /// Writes the cancellation of a lap, and waits until it is applied.
    async fn stop_lap(
        &self,
        batch: &LiveBatch,
        LapId { batch: id, lap }: LapId,
        cause: CancelCause,
    ) -> Result<(), JournalError> {
        retry_while_unavailable(|| {
            let cancelled = Event::Cancelled { lap, at: self.shared.settings.clock.now(), cause };
            self.shared.journal.append(id, vec![cancelled], Vec::new())
        })
        .await?;
        batch.wait_until(|quilt| is_past(quilt, lap)).await;
        Ok(())
    }
}
