//! What its owner can do with a batch: cancel, retry, pause and resume it, limit it, remove it. Each of these can be asked for again, and
//! changes nothing then.

use std::sync::Arc;

use quilt::state::{MAX_CONTROLS, MAX_LAPS};
use quilt::{BatchId, CancelCause, Control, Event, OwnerId, Position, PutBack, Quilt, Square, Status, Summary};
use tokio::time::timeout;

use super::error::ControlError;
use super::laps::{conclusion, is_past};
use super::running::Share;
use super::shared::{Engine, to_the_end};
use crate::journal::JournalError;
use crate::live::LiveBatch;
use crate::queue::{CLAIM_TIME, LapId, Lease};

impl Engine {
    /// Stops a batch; what is settled stays. A batch that is over already stays as it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn cancel(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        let batch = self.open_own(id, owner).await?;
        let (lap, is_over) = read(&batch, |quilt| (quilt.lap_number(), quilt.status().is_over()));
        if !is_over {
            let at = self.shared.settings.clock.now();
            let cancelled = Event::Cancelled { lap, at, cause: CancelCause::Asked };
            self.shared.journal.append(id, vec![cancelled], Vec::new()).await?;
            in_time(&batch, |quilt| is_past(quilt, lap)).await?;
        }
        Ok(read(&batch, Quilt::summary))
    }

    /// Pauses or resumes a batch, or sets how many of its tasks may run at the same time. What runs is not interrupted. A batch that is over stays
    /// as it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn control(&self, id: BatchId, owner: OwnerId, control: Control) -> Result<Summary, ControlError> {
        let batch = self.open_own(id, owner).await?;
        loop {
            let (lap, controls, can) = read(&batch, |quilt| {
                let can = !quilt.status().is_over() && quilt.can_control(control);
                (quilt.lap_number(), quilt.controls(), can)
            });
            if !can {
                break;
            }
            let at = self.shared.settings.clock.now();
            // Of two that are written at once one has no effect, and is written anew if it is still wanted.
            let number = controls + 1;
            self.shared.journal.append(id, vec![Event::Controlled { lap, number, at, control }], Vec::new()).await?;
            in_time(&batch, |quilt| quilt.controls() >= number || is_past(quilt, lap)).await?;
        }
        let (summary, is_exhausted) = read(&batch, |quilt| {
            let is_as_asked = match control {
                Control::Pause => quilt.status() == Status::Paused,
                Control::Resume => quilt.status() != Status::Paused,
                Control::SetConcurrency(concurrency) => quilt.concurrency() == concurrency,
            };
            let is_exhausted = quilt.controls() >= MAX_CONTROLS && !quilt.status().is_over();
            (quilt.summary(), is_exhausted && !is_as_asked)
        });
        if is_exhausted { Err(ControlError::TooManyControls { limit: MAX_CONTROLS }) } else { Ok(summary) }
    }

    /// Puts the failed squares back and starts the next lap. A batch that still runs, or has no failed squares, stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn retry_failed(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        self.put_back(id, owner, |_| Ok(PutBack::All)).await
    }

    /// Puts one failed square back and starts the next lap, which is of it alone. A batch that still runs, or whose square has not failed,
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn retry_square(&self, id: BatchId, owner: OwnerId, square: Square) -> Result<Summary, ControlError> {
        self.put_back(id, owner, move |quilt| {
            quilt.position_of(square).map(PutBack::One).ok_or(ControlError::NoSuchSquare)
        })
        .await
    }

    async fn put_back(
        &self,
        id: BatchId,
        owner: OwnerId,
        which: impl FnOnce(&Quilt) -> Result<PutBack, ControlError> + Send + 'static,
    ) -> Result<Summary, ControlError> {
        let engine = self.clone();
        to_the_end(async move { engine.start_lap(id, owner, which).await }).await
    }

    async fn start_lap(
        &self,
        id: BatchId,
        owner: OwnerId,
        which: impl FnOnce(&Quilt) -> Result<PutBack, ControlError>,
    ) -> Result<Summary, ControlError> {
        let one_at_a_time = self.shared.changing.lock().await;
        let batch = self.open_own(id, owner).await?;
        let put_back = read(&batch, which)?;
        let (lap, tasks, can_retry) =
            read(&batch, |quilt| (quilt.lap_number(), quilt.progress().tasks, quilt.can_put_back(put_back)));
        if can_retry {
            let next = LapId { batch: id, lap: lap + 1 };
            let positions = match put_back {
                PutBack::All => Position(0)..Position(tasks),
                PutBack::One(position) => position..Position(position.0 + 1),
            };
            if self.claim_and_keep::<ControlError>(next, Share::new(owner, tasks)).await? {
                let at = self.shared.settings.clock.now();
                let started = Event::LapStarted { lap: next.lap, at, put_back };
                match self.shared.journal.append(id, vec![started], Vec::new()).await {
                    Ok(after) => {
                        let lease = Lease { batch: id, lap: next.lap, positions, after, losses: 0 };
                        self.run_lap(next, lease, Some(Arc::clone(&batch))).await;
                    }
                    Err(error) => {
                        self.give_up(next).await;
                        return Err(error.into());
                    }
                }
            }
            drop(one_at_a_time);
            // It may also be another node that starts it, and is lost over it.
            in_time(&batch, |quilt| quilt.lap_number() > lap).await?;
        } else if lap as usize >= MAX_LAPS {
            return Err(ControlError::TooManyLaps { limit: MAX_LAPS });
        }
        Ok(read(&batch, Quilt::summary))
    }

    /// Removes a batch that is over. Who watches it is told.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn remove(&self, id: BatchId, owner: OwnerId) -> Result<(), ControlError> {
        let engine = self.clone();
        to_the_end(async move { engine.remove_now(id, owner).await }).await
    }

    async fn remove_now(&self, id: BatchId, owner: OwnerId) -> Result<(), ControlError> {
        let _one_at_a_time = self.shared.changing.lock().await;
        let batch = self.open_own(id, owner).await?;
        // Its end may not have been noted yet.
        let (summary, receipts) = conclusion(&batch).ok_or(ControlError::NotOver)?;
        self.shared.journal.conclude(id, summary.lap, summary, receipts).await?;
        if !self.shared.journal.remove(id).await? {
            // A lap is being started elsewhere.
            return Err(ControlError::NotOver);
        }
        tracing::info!(batch = %id, "removed");
        self.shared.batches.forget(id).await;
        self.shared.removed.notify_one();
        Ok(())
    }

    async fn open_own(&self, id: BatchId, owner: OwnerId) -> Result<Arc<LiveBatch>, ControlError> {
        let batch = self.open(id).await?.ok_or(ControlError::NotFound)?;
        if batch.owner() == owner { Ok(batch) } else { Err(ControlError::NotOwner) }
    }
}

/// Waits until what was written is folded.
async fn in_time(batch: &LiveBatch, reached: impl Fn(&Quilt) -> bool) -> Result<(), JournalError> {
    tokio::select! {
        biased;
        folded = timeout(CLAIM_TIME, batch.wait_until(reached)) => {
            folded.map_err(|_| JournalError::Unavailable("what was written does not come back".into()))
        }
        () = batch.removed() => Err(JournalError::Removed),
    }
}

fn read<T>(batch: &LiveBatch, look: impl FnOnce(&Quilt) -> T) -> T {
    look(&batch.folded().quilt)
}
