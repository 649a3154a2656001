//! A batch in memory, and its viewers.

use std::ops::{Deref, Range};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use quilt::wire::Load;
use quilt::{BatchId, BatchSpec, Index, LapLimits, Order, OwnerId, Position, Quilt, Status, Step};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batch_state::BatchState;
use super::frames::{Frames, Messages, Next};
use crate::estimate::TaskTimeEstimate;
use crate::journal::{EventPage, Sequence};
use crate::panics::PanicLog;
use crate::slots::SlotClass;
use crate::work::{InvalidWork, TaskKeys, Work};

/// How long a worker waits for this node to apply the events that precede its chunk. After that it returns the chunk.
const FOLD_PATIENCE: Duration = Duration::from_secs(5);

/// The state that decides whether tasks may start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gate {
    /// The current lap of the batch.
    pub(crate) lap: u32,
    pub(crate) status: Status,
    /// The maximum number of its tasks that run concurrently.
    pub(crate) concurrency: Option<u32>,
}

impl Gate {
    pub(super) fn of(quilt: &Quilt) -> Self {
        Self { lap: quilt.lap_number(), status: quilt.status(), concurrency: quilt.limits().concurrency }
    }
}

/// A task without an outcome.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) position: Position,
    pub(crate) index: Index,
    /// The number of the next attempt, from 1.
    pub(crate) attempt: u8,
}

/// Cancels the attempts of a lap.
pub(super) struct LapCancellation {
    lap: u32,
    token: CancellationToken,
}

impl LapCancellation {
    /// For the current lap of a quilt.
    pub(super) fn of(quilt: &Quilt) -> Self {
        let mut cancellation = Self { lap: quilt.lap_number(), token: CancellationToken::new() };
        cancellation.follow(quilt);
        cancellation
    }

    /// Updates the token to the current state of the quilt.
    fn follow(&mut self, quilt: &Quilt) {
        if quilt.lap_number() != self.lap {
            // Attempts of an earlier lap no longer count.
            self.token.cancel();
            *self = Self { lap: quilt.lap_number(), token: CancellationToken::new() };
        }
        if quilt.status() == Status::Cancelled {
            self.token.cancel();
        }
    }
}

/// A batch in memory. It follows its journal until the last reference is dropped.
pub struct LiveBatch {
    pub(super) id: BatchId,
    pub(super) owner: OwnerId,
    /// A copy of the quilt's specification, readable without a lock.
    pub(crate) spec: BatchSpec,
    pub(crate) order: Order,
    pub(super) folded: RwLock<BatchState>,
    /// Wakes tasks that wait for further events to be applied.
    pub(super) step: watch::Sender<Step>,
    /// Wakes workers that wait for the events that precede their chunk, in the order in which they started to wait.
    pub(super) is_folded: Notify,
    /// Changes whenever the state that decides whether tasks may start changes.
    pub(super) gate: watch::Sender<Gate>,
    /// Whether tasks may start, readable without a lock.
    pub(super) is_running: AtomicBool,
    /// Cancels the attempts of the current lap.
    pub(super) cancellation: Mutex<LapCancellation>,
    /// Cancelled when the batch is removed, so that viewers disconnect.
    pub(super) removed: CancellationToken,
    pub(crate) estimate: TaskTimeEstimate,
    /// The work of its tasks, or the reason why this node cannot run them.
    pub(crate) work: Result<Work, InvalidWork>,
    pub(crate) panics: Arc<PanicLog>,
    pub(super) viewers: AtomicUsize,
    pub(super) frames: Frames,
    pub(super) follower: OnceLock<AbortOnDropHandle<()>>,
}

impl LiveBatch {
    /// The batch's id.
    #[must_use]
    pub fn id(&self) -> BatchId {
        self.id
    }

    /// Its specification.
    #[must_use]
    pub fn spec(&self) -> &BatchSpec {
        &self.spec
    }

    /// The session that launched it.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The state after the events applied so far. Do not hold the guard across an await: it blocks the follower.
    pub fn folded(&self) -> RwLockReadGuard<'_, BatchState> {
        // A panic while events were applied would be a bug. The state from before it remains usable.
        self.folded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to the current step.
    #[must_use]
    pub fn steps(&self) -> watch::Receiver<Step> {
        self.step.subscribe()
    }

    /// Adds a viewer. Returns `None` if there are `limit` viewers already.
    #[must_use]
    pub fn admit(self: &Arc<Self>, limit: usize) -> Option<Viewer> {
        let admitted = self
            .viewers
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |viewers| (viewers < limit).then_some(viewers + 1));
        admitted.is_ok().then(|| Viewer { batch: Arc::clone(self) })
    }

    /// Waits until the applied state satisfies a condition.
    pub async fn wait_until(&self, reached: impl Fn(&Quilt) -> bool) {
        let mut steps = self.steps();
        while !reached(&self.folded().quilt) {
            // The sender lives as long as this batch, which this call borrows.
            if steps.changed().await.is_err() {
                return;
            }
        }
    }

    /// Waits until the batch has been removed.
    pub async fn removed(&self) {
        self.removed.cancelled().await;
    }

    /// The next frame for a viewer that has seen everything up to a step: a delta, or a snapshot if that is smaller.
    pub fn next_frame(&self, seen: Option<Step>) -> Next {
        let mut frames = self.frames.lock();
        // Locked after the frames, so that a viewer that waits for the frames does not block the follower.
        let folded = self.folded();
        frames.next(&folded, seen)
    }

    /// The cached status frame, unless it has expired.
    #[must_use]
    pub fn recent_status(&self) -> Option<Messages> {
        self.frames.lock().recent_status()
    }

    /// Encodes a status frame and caches it for other viewers.
    pub fn status_frame(&self, load: Load) -> Messages {
        self.frames.lock().status(load)
    }

    /// Whether the batch has viewers on this node.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Relaxed) > 0
    }

    /// Whether the batch has been removed.
    pub(crate) fn is_removed(&self) -> bool {
        self.removed.is_cancelled()
    }

    /// Whether the batch has neither finished nor been removed.
    pub(crate) fn is_open(&self) -> bool {
        !self.removed.is_cancelled() && !self.folded().quilt.status().is_over()
    }

    /// The limits of the current lap.
    pub(crate) fn limits(&self) -> LapLimits {
        self.folded().quilt.limits()
    }

    /// A token that is cancelled when the lap is cancelled or has ended.
    pub(crate) fn cancellation(&self, lap: u32) -> CancellationToken {
        let cancellation = self.cancellation.lock().unwrap_or_else(PoisonError::into_inner);
        if cancellation.lap == lap {
            return cancellation.token.clone();
        }
        let over = CancellationToken::new();
        over.cancel();
        over
    }

    /// Whether tasks may start.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// The state that decides whether tasks may start.
    pub(crate) fn gate(&self) -> Gate {
        *self.gate.borrow()
    }

    /// Subscribes to changes of the gate.
    pub(crate) fn gates(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    /// The slot class of its tasks. `None` if this node does not know its work.
    pub(crate) fn slot_class(&self) -> Option<SlotClass> {
        self.work.as_ref().ok().map(Work::slot_class)
    }

    /// The concurrency keys of its tasks, if its work has any.
    pub(crate) fn keys(&self) -> Option<&dyn TaskKeys> {
        self.work.as_ref().ok()?.keys()
    }

    /// The key of a task. `None` if it has none, also if its kind of work panics.
    pub(crate) fn key(&self, position: Position) -> Option<Box<str>> {
        let keys = self.keys()?;
        let index = self.order.index(position);
        let key = std::panic::catch_unwind(AssertUnwindSafe(|| keys.key(index)));
        key.unwrap_or_else(|_| {
            tracing::error!(batch = %self.id, index = index.0, "the kind of work has panicked while a task was asked for its key");
            None
        })
        .filter(|key| !key.is_empty())
    }

    /// Whether its tasks are CPU-bound, so that running more of them than there are processors is of no use.
    pub(crate) fn is_cpu_bound(&self) -> bool {
        match &self.work {
            Ok(Work::Blocking(_)) => true,
            Ok(Work::Async(_)) | Err(_) => self.estimate.is_cpu_bound(),
        }
    }

    /// The number of consecutive tasks, out of `left`, for the next chunk. I/O-bound tasks are divided among all workers, so that one
    /// worker does not end up with all of the last ones.
    pub(crate) fn chunk_size(&self, left: u32, workers: u32) -> u32 {
        let share = if self.is_cpu_bound() { left } else { left.div_ceil(workers.max(1)) };
        self.estimate.chunk_size().min(share)
    }

    /// The tasks in a range of positions that have no outcome yet.
    pub(crate) fn pending(&self, positions: Range<Position>) -> Vec<Pending> {
        let folded = self.folded();
        let quilt = &folded.quilt;
        // Another node may have sent any range.
        let positions = positions.start..positions.end.min(Position(quilt.progress().tasks));
        let attempts = quilt.limits().attempts;
        let next = |position| folded.stats.failed_attempts(position).saturating_add(1).min(attempts);
        let pending: Vec<Position> = quilt.pending_in(positions).collect();
        let indices = self.order.indices(&pending);
        pending
            .into_iter()
            .zip(indices)
            .map(|(position, index)| Pending { position, index, attempt: next(position) })
            .collect()
    }

    /// Waits until this node has applied the events that precede a chunk of a lap. Returns `false` after a timeout.
    pub(crate) async fn wait_for_fold(&self, sequence: Sequence, lap: u32) -> bool {
        let reached = async {
            loop {
                let mut is_folded = std::pin::pin!(self.is_folded.notified());
                is_folded.as_mut().enable();
                let (folded, reached) = {
                    let folded = self.folded();
                    (folded.sequence, folded.quilt.lap_number())
                };
                if folded >= sequence && reached >= lap {
                    return;
                }
                is_folded.await;
            }
        };
        timeout(FOLD_PATIENCE, reached).await.is_ok()
    }

    pub(super) fn fold(&self, page: &EventPage) {
        let step = {
            let mut folded = self.folded.write().unwrap_or_else(PoisonError::into_inner);
            folded.apply(page);
            let gate = Gate::of(&folded.quilt);
            self.is_running.store(gate.status == Status::Running, Ordering::Relaxed);
            self.gate.send_if_modified(|known| std::mem::replace(known, gate) != gate);
            self.cancellation.lock().unwrap_or_else(PoisonError::into_inner).follow(&folded.quilt);
            folded.quilt.step()
        };
        self.is_folded.notify_waiters();
        self.step.send_if_modified(|known| std::mem::replace(known, step) != step);
    }
}

/// Keeps a batch in memory for a viewer. Counts as one viewer until it is dropped.
pub struct Viewer {
    batch: Arc<LiveBatch>,
}

impl Viewer {
    /// The batch, without adding a viewer.
    #[must_use]
    pub fn batch(&self) -> Arc<LiveBatch> {
        Arc::clone(&self.batch)
    }
}

impl Deref for Viewer {
    type Target = LiveBatch;

    fn deref(&self) -> &LiveBatch {
        &self.batch
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.batch.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}
