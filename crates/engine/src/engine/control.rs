//! Operations of owners on their batches: cancel, retry, pause, resume, set limits, remove. All of them are idempotent.

use std::ops::Range;
use std::sync::Arc;

use api::LapRequest;
use quilt::state::{MAX_CONTROLS, MAX_LAPS};
use quilt::{
    BatchId, CancelCause, Control, Event, Halt, LapSet, Limits, OwnerId, Position, Positions, Quilt, Square, Status,
    Summary,
};
use tokio::time::timeout;

use super::error::ControlError;
use super::laps::{Start, is_past};
use super::running::Share;
use super::shared::{Engine, to_the_end};
use crate::dispatch::{LEASE_TTL, LapId};
use crate::journal::JournalError;
use crate::live::LiveBatch;

impl Engine {
    /// Cancels a batch, either at once or after its running tasks have ended. Settled tasks keep their outcomes. A finished batch does not
    /// change.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn cancel(&self, id: BatchId, owner: OwnerId, halt: Halt) -> Result<Summary, ControlError> {
        let batch = self.open_own(id, owner).await?;
        let (lap, status) = read(&batch, |quilt| (quilt.lap_number(), quilt.status()));
        let at = self.shared.settings.clock.now();
        let event = match halt {
            Halt::Now if !status.is_over() => Event::Cancelled { lap, at, cause: CancelCause::Asked },
            Halt::Soon if !status.is_over() && status != Status::Draining => {
                Event::Draining { lap, at, cause: CancelCause::Asked }
            }
            Halt::Now | Halt::Soon => return Ok(read(&batch, Quilt::summary)),
        };
        self.shared.journal.append(id, vec![event], Vec::new()).await?;
        in_time(&batch, |quilt| is_past(quilt, lap) || (halt == Halt::Soon && quilt.status() == Status::Draining))
            .await?;
        Ok(read(&batch, Quilt::summary))
    }

    /// Pauses or resumes a batch, or sets its concurrency limit. Running tasks are not interrupted. A finished batch does not change.
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
            // If two controls are written concurrently, one of them has no effect. It is written again if it is still needed.
            let number = controls + 1;
            self.shared.journal.append(id, vec![Event::Controlled { lap, number, at, control }], Vec::new()).await?;
            in_time(&batch, |quilt| quilt.controls() >= number || is_past(quilt, lap)).await?;
        }
        let (summary, is_exhausted) = read(&batch, |quilt| {
            let is_as_asked = match control {
                Control::Pause => quilt.status() == Status::Paused,
                Control::Resume => quilt.status() != Status::Paused,
                Control::SetConcurrency(concurrency) => quilt.limits().concurrency == concurrency,
            };
            let is_exhausted = quilt.controls() >= MAX_CONTROLS && !quilt.status().is_over();
            (quilt.summary(), is_exhausted && !is_as_asked)
        });
        if is_exhausted { Err(ControlError::TooManyControls { limit: MAX_CONTROLS }) } else { Ok(summary) }
    }

    /// Starts a lap of squares that failed or were not run: the squares that the request names, or `default`. If the batch is still
    /// running, or has no such squares, it does not change.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn start_lap(
        &self,
        id: BatchId,
        owner: OwnerId,
        default: LapSet,
        request: LapRequest,
        limits: Limits,
    ) -> Result<Summary, ControlError> {
        let engine = self.clone();
        to_the_end(async move { engine.start_lap_now(id, owner, default, &request, &limits).await }).await
    }

    /// Runs failed squares again, within the limits of the lap before; see [`Engine::start_lap`].
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn retry_failed(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        self.start_lap(id, owner, LapSet::Failed, LapRequest::default(), Limits::default()).await
    }

    /// Runs one square again that failed or was not run, within the limits of the lap before; see [`Engine::start_lap`].
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn retry_square(
        &self,
        id: BatchId,
        owner: OwnerId,
        Square { row, column }: Square,
    ) -> Result<Summary, ControlError> {
        let square = api::Square { row: row.into(), column: column.into() };
        let request = LapRequest { squares: Some(vec![square]), ..LapRequest::default() };
        self.start_lap(id, owner, LapSet::Failed, request, Limits::default()).await
    }

    /// Runs the squares that were not run when the batch was stopped, within the limits of the lap before; see [`Engine::start_lap`].
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn continue_stopped(&self, id: BatchId, owner: OwnerId) -> Result<Summary, ControlError> {
        self.start_lap(id, owner, LapSet::NotRun, LapRequest::default(), Limits::default()).await
    }

    async fn start_lap_now(
        &self,
        id: BatchId,
        owner: OwnerId,
        default: LapSet,
        request: &LapRequest,
        limits: &Limits,
    ) -> Result<Summary, ControlError> {
        let one_at_a_time = self.shared.changing.lock(id).await;
        let batch = self.open_own(id, owner).await?;
        let set = read(&batch, |quilt| requested_set(quilt, request))?.unwrap_or(default);
        let limits = batch.limits().changed(request, limits)?;
        let (lap, tasks, can_start, is_over) = read(&batch, |quilt| {
            (quilt.lap_number(), quilt.progress().tasks, quilt.can_start_lap(&set), quilt.status().is_over())
        });
        if can_start {
            let next = LapId { batch: id, lap: lap + 1 };
            let positions = positions_of(&set, tasks);
            let share = Share::new(owner, tasks);
            if let Some(epoch) = self.count_and_coordinate::<ControlError>(next, share).await? {
                let at = self.shared.settings.clock.now();
                let started = Event::LapStarted { lap: next.lap, at, set, limits: Some(limits) };
                match self.shared.journal.append(id, vec![started], Vec::new()).await {
                    Ok(_) => {
                        let batch = Some(Arc::clone(&batch));
                        let start = Start { epoch, positions: Some(positions), batch, is_adopted: false };
                        self.coordinate(next, start);
                    }
                    Err(error) => {
                        self.give_up(next).await;
                        return Err(error.into());
                    }
                }
            }
            drop(one_at_a_time);
            // If another node starts the lap and is lost, this times out.
            in_time(&batch, |quilt| quilt.lap_number() > lap).await?;
        } else if is_over && lap as usize >= MAX_LAPS {
            return Err(ControlError::TooManyLaps { limit: MAX_LAPS });
        }
        Ok(read(&batch, Quilt::summary))
    }

    /// Removes a finished batch. Its viewers are notified.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub async fn remove(&self, id: BatchId, owner: OwnerId) -> Result<(), ControlError> {
        let engine = self.clone();
        to_the_end(async move { engine.remove_now(id, owner).await }).await
    }

    async fn remove_now(&self, id: BatchId, owner: OwnerId) -> Result<(), ControlError> {
        let _one_at_a_time = self.shared.changing.lock(id).await;
        let batch = self.open_own(id, owner).await?;
        // The final summary may not have been stored yet.
        let (summary, receipts) = batch.final_summary().ok_or(ControlError::NotOver)?;
        self.shared.journal.finalize(id, summary.lap, summary, receipts).await?;
        if !self.shared.journal.remove(id).await? {
            // Another node is starting a lap.
            return Err(ControlError::NotOver);
        }
        tracing::info!(batch = %id, "removed");
        self.shared.batches.forget(id).await;
        self.shared.removed.notify_one();
        Ok(())
    }

    async fn open_own(&self, id: BatchId, owner: OwnerId) -> Result<Arc<LiveBatch>, ControlError> {
        // Checked first: opening the batches of others would cost memory and time.
        if self.shared.batches.owner(id).await?.ok_or(ControlError::NotFound)? != owner {
            return Err(ControlError::NotOwner);
        }
        self.open(id).await?.ok_or(ControlError::NotFound)
    }
}

/// The squares that a lap request names, if it names any.
fn requested_set(quilt: &Quilt, request: &LapRequest) -> Result<Option<LapSet>, ControlError> {
    let LapRequest { reason, squares, not_run, .. } = request;
    Ok(match (reason, squares, not_run) {
        (None, None, false) => None,
        // Uses the batch's own copy of the reason, so that text from a client does not grow the journal.
        (Some(reason), None, false) => Some(match quilt.reason(reason) {
            Some(reason) => LapSet::Reason(reason.into()),
            None => LapSet::Positions(Positions::default()),
        }),
        (None, None, true) => Some(LapSet::NotRun),
        (None, Some(squares), false) => {
            let positions = squares.iter().map(|square| {
                let (row, column) = (u16::try_from(square.row), u16::try_from(square.column));
                let place = row.ok().zip(column.ok()).map(|(row, column)| Square { row, column });
                place.and_then(|place| quilt.position_of(place)).ok_or(ControlError::NoSuchSquare)
            });
            Some(LapSet::Positions(positions.collect::<Result<_, _>>()?))
        }
        _ => return Err(ControlError::SeveralSets),
    })
}

/// The range of the positions of a lap. Other positions in it are not pending, and are skipped.
fn positions_of(set: &LapSet, tasks: u32) -> Range<Position> {
    let all = Position(0)..Position(tasks);
    match set {
        LapSet::Positions(positions) => positions.bounds().unwrap_or(all),
        LapSet::Failed | LapSet::Reason(_) | LapSet::NotRun => all,
    }
}

/// Waits until a written event is applied.
async fn in_time(batch: &LiveBatch, reached: impl Fn(&Quilt) -> bool) -> Result<(), JournalError> {
    tokio::select! {
        biased;
        folded = timeout(LEASE_TTL, batch.wait_until(reached)) => {
            folded.map_err(|_| JournalError::Unavailable("what was written does not come back".into()))
        }
        () = batch.removed() => Err(JournalError::Removed),
    }
}

fn read<T>(batch: &LiveBatch, look: impl FnOnce(&Quilt) -> T) -> T {
    look(&batch.folded().quilt)
}
