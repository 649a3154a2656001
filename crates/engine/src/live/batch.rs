//! A batch in memory, and those who look at it.

use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use quilt::wire::Load;
use quilt::{BatchId, BatchSpec, LapLimits, Order, OwnerId, Position, Quilt, Status, Step};
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

/// How long a worker waits for this node to fold what precedes its lease, before it gives the lease back.
const FOLD_PATIENCE: Duration = Duration::from_secs(5);

/// What decides whether tasks may be started.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Gate {
    /// The lap that the batch is in.
    pub(crate) lap: u32,
    pub(crate) status: Status,
    /// How many of its tasks may run at the same time.
    pub(crate) concurrency: Option<u32>,
}

impl Gate {
    pub(super) fn of(quilt: &Quilt) -> Self {
        Self { lap: quilt.lap_number(), status: quilt.status(), concurrency: quilt.limits().concurrency }
    }
}

/// A task that is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) position: Position,
    /// Which try it is, from 1.
    pub(crate) attempt: u8,
}

/// Tells the attempts of a lap that it was cancelled.
pub(super) struct LapCancellation {
    lap: u32,
    token: CancellationToken,
}

impl LapCancellation {
    /// For the lap that a quilt is in.
    pub(super) fn of(quilt: &Quilt) -> Self {
        let mut cancellation = Self { lap: quilt.lap_number(), token: CancellationToken::new() };
        cancellation.follow(quilt);
        cancellation
    }

    /// Takes note of how the quilt stands now.
    fn follow(&mut self, quilt: &Quilt) {
        if quilt.lap_number() != self.lap {
            // Nobody waits for attempts of an earlier lap.
            self.token.cancel();
            *self = Self { lap: quilt.lap_number(), token: CancellationToken::new() };
        }
        if quilt.status() == Status::Cancelled {
            self.token.cancel();
        }
    }
}

/// A batch in memory. It follows its journal until the last holder lets go of it.
pub struct LiveBatch {
    pub(super) id: BatchId,
    pub(super) owner: OwnerId,
    /// The quilt's own, for those who run its tasks, without a lock.
    pub(crate) spec: BatchSpec,
    pub(crate) order: Order,
    pub(super) folded: RwLock<BatchState>,
    /// Wakes whoever waits for the fold to go on.
    pub(super) step: watch::Sender<Step>,
    /// Wakes workers that wait for what precedes their lease. Those who wait are woken in their order.
    pub(super) is_folded: Notify,
    /// Changes with what decides whether tasks may be started.
    pub(super) gate: watch::Sender<Gate>,
    /// Whether tasks may be started, for those who run them, without a lock.
    pub(super) is_running: AtomicBool,
    /// Stops the attempts of the lap.
    pub(super) cancellation: Mutex<LapCancellation>,
    /// Tells viewers that there is nothing to see any more.
    pub(super) removed: CancellationToken,
    pub(crate) estimate: TaskTimeEstimate,
    /// What its tasks do, or why this node cannot run them.
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

    /// What it is made of.
    #[must_use]
    pub fn spec(&self) -> &BatchSpec {
        &self.spec
    }

    /// Who launched it.
    #[must_use]
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The state as far as it is folded. Not to be held across an await: the fold waits for it.
    pub fn folded(&self) -> RwLockReadGuard<'_, BatchState> {
        // A panic in the fold would be a bug; what was folded before it stands.
        self.folded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the fold: changes with every step.
    #[must_use]
    pub fn steps(&self) -> watch::Receiver<Step> {
        self.step.subscribe()
    }

    /// Lets one more viewer in, or none where there are `limit` already.
    #[must_use]
    pub fn admit(self: &Arc<Self>, limit: usize) -> Option<Viewer> {
        let admitted = self
            .viewers
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |viewers| (viewers < limit).then_some(viewers + 1));
        admitted.is_ok().then(|| Viewer { batch: Arc::clone(self) })
    }

    /// Waits until the fold has come to a state.
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

    /// What a viewer has not seen, who has seen everything up to a step: as a delta or, where that would be larger, as a snapshot.
    pub fn next_frame(&self, seen: Option<Step>) -> Next {
        let mut frames = self.frames.lock();
        // Only now, so that nobody who waits for the frames holds up the fold.
        let folded = self.folded();
        frames.next(&folded, seen)
    }

    /// The status frame that was made a moment ago, if one was.
    #[must_use]
    pub fn recent_status(&self) -> Option<Messages> {
        self.frames.lock().recent_status()
    }

    /// A status frame, which serves other viewers for a moment as well.
    pub fn status_frame(&self, load: Load) -> Messages {
        self.frames.lock().status(load)
    }

    /// Whether anybody looks at the batch.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Relaxed) > 0
    }

    /// Whether the batch is neither over nor removed.
    pub(crate) fn is_open(&self) -> bool {
        !self.removed.is_cancelled() && !self.folded().quilt.status().is_over()
    }

    /// The limits of the lap that it is in.
    pub(crate) fn limits(&self) -> LapLimits {
        self.folded().quilt.limits()
    }

    /// Cancelled when a lap is, or is over.
    pub(crate) fn cancellation(&self, lap: u32) -> CancellationToken {
        let cancellation = self.cancellation.lock().unwrap_or_else(PoisonError::into_inner);
        if cancellation.lap == lap {
            return cancellation.token.clone();
        }
        let over = CancellationToken::new();
        over.cancel();
        over
    }

    /// Whether tasks may be started.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// What decides whether tasks may be started.
    pub(crate) fn gate(&self) -> Gate {
        *self.gate.borrow()
    }

    /// The same as it changes.
    pub(crate) fn gates(&self) -> watch::Receiver<Gate> {
        self.gate.subscribe()
    }

    /// What its tasks need while they run; `None` where its work is not known here.
    pub(crate) fn slot_class(&self) -> Option<SlotClass> {
        self.work.as_ref().ok().map(Work::slot_class)
    }

    /// What its tasks share that bears only so much.
    pub(crate) fn keys(&self) -> Option<&dyn TaskKeys> {
        self.work.as_ref().ok()?.keys()
    }

    /// Whether its tasks keep processors busy, so that more of them at once than there are processors are of no use.
    pub(crate) fn is_cpu_bound(&self) -> bool {
        match &self.work {
            Ok(Work::Blocking(_)) => true,
            Ok(Work::Async(_)) | Err(_) => self.estimate.is_cpu_bound(),
        }
    }

    /// How many of `left` tasks in a row go into the next chunk. Tasks that wait are shared out among all workers, so that the last ones are
    /// not left to one of them.
    pub(crate) fn chunk_size(&self, left: u32, workers: u32) -> u32 {
        let share = if self.is_cpu_bound() { left } else { left.div_ceil(workers.max(1)) };
        self.estimate.chunk_size().min(share)
    }

    /// The tasks among some positions that have no outcome yet.
    pub(crate) fn pending(&self, positions: Range<Position>) -> Vec<Pending> {
        let folded = self.folded();
        let quilt = &folded.quilt;
        // Whatever another node may have sent.
        let positions = positions.start..positions.end.min(Position(quilt.progress().tasks));
        let attempts = quilt.limits().attempts;
        let next = |position| folded.stats.failed_attempts(position).saturating_add(1).min(attempts);
        quilt.pending_in(positions).map(|position| Pending { position, attempt: next(position) }).collect()
    }

    /// Waits until this node has folded what precedes a lease of a lap, and returns `false` where that takes too long.
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

/// Holds a batch for somebody who looks at it, and counts as one until it is dropped.
pub struct Viewer {
    batch: Arc<LiveBatch>,
}

impl Viewer {
    /// What is watched, without counting as one more viewer.
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
