//! A batch in memory, and those who look at it.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use quilt::wire::ServerFrame;
use quilt::{BatchId, BatchSpec, LapLimits, Order, OwnerId, Position, Quilt, Status, Step};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::folded::Folded;
use super::frames::{Frames, Messages, Next};
use super::places::{Place, Places};
use crate::colleagues::Colleagues;
use crate::journal::{Mark, Page};
use crate::pace::Pace;
use crate::panics::PanicLog;
use crate::queue::Lease;
use crate::work::Work;

/// How long a worker waits for this node to fold what its lease follows, and how long the lease waits after that.
pub(crate) const FOLD_PAUSE: Duration = Duration::from_millis(100);

/// How long a lease waits where its batch is paused.
pub(crate) const RESUME_PAUSE: Duration = Duration::from_millis(250);

/// What is to be done with a lease.
pub(crate) enum Turn<'a> {
    /// There is nothing left to run; all squares are settled, or the lap is over or drains.
    Over,
    /// This node has not folded yet what the lease follows.
    Behind,
    /// The batch is paused.
    Paused,
    /// As many workers run the batch as may.
    Full,
    /// This part of it can be run, while the guard is held.
    Now(Lease, Place<'a>),
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
    pub(super) folded: RwLock<Folded>,
    /// Wakes whoever waits for the fold to go on.
    pub(super) step: watch::Sender<Step>,
    /// Wakes whoever waits for events of any kind to be folded.
    pub(super) mark: watch::Sender<Mark>,
    /// Whether tasks may be started: the batch is neither paused nor over.
    pub(super) is_running: AtomicBool,
    /// Stops the attempts of the lap.
    pub(super) cancellation: Mutex<LapCancellation>,
    /// Tells viewers that there is nothing to see any more.
    pub(super) removed: CancellationToken,
    pub(crate) pace: Pace,
    pub(crate) work: Work,
    pub(crate) panics: Arc<PanicLog>,
    pub(crate) places: Places,
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
    pub fn folded(&self) -> RwLockReadGuard<'_, Folded> {
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

    /// How many workers run this batch at the moment.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.places.busy()
    }

    /// What a viewer has not seen, who has seen everything up to a step: as a delta or, where that would be larger, as a snapshot.
    pub fn next_frame(&self, seen: Option<Step>) -> Next {
        let mut frames = self.frames.lock();
        // Only now, so that nobody who waits for the frames holds up the fold.
        let folded = self.folded();
        frames.next(&folded, seen)
    }

    /// A status frame: the one that `make` makes, or one that was made a moment ago.
    pub fn status_frame(&self, make: impl FnOnce() -> ServerFrame) -> Messages {
        self.frames.lock().status(make)
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

    /// Whether a lease can be run now, and which part of it: its front may have nothing left to run.
    pub(crate) fn turn(&self, lease: &Lease, colleagues: &Colleagues) -> Turn<'_> {
        let folded = self.folded();
        let quilt = &folded.quilt;
        let is_past = lease.lap < quilt.lap_number() || (lease.lap == quilt.lap_number() && quilt.status().is_over());
        if is_past || quilt.status() == Status::Draining {
            return Turn::Over;
        }
        if folded.mark < lease.after || quilt.lap_number() < lease.lap {
            return Turn::Behind;
        }
        // Whatever may stand on a queue that others can write to.
        let positions = lease.positions.start..lease.positions.end.min(Position(quilt.progress().tasks));
        let Some(first) = quilt.pending_in(positions.clone()).next() else { return Turn::Over };
        if quilt.status() == Status::Paused {
            return Turn::Paused;
        }
        let concurrency = quilt.limits().concurrency.map(|limit| colleagues.part_of(limit, self.id));
        match self.places.take(concurrency, self.computes()) {
            Some(place) => Turn::Now(Lease { positions: first..positions.end, ..lease.clone() }, place),
            None => Turn::Full,
        }
    }

    /// Whether its tasks keep processors busy. Those that do leave the other workers to batches whose tasks wait.
    fn computes(&self) -> bool {
        match self.work {
            Work::Blocking(_) => true,
            Work::Async(_) => self.pace.computes(),
        }
    }

    /// How much of a lease to run at once. Tasks that wait are shared out among all workers, so that the last ones are not left to one of them.
    pub(crate) fn stride(&self, lease: &Lease, workers: u32) -> u32 {
        let share = if self.computes() { lease.len() } else { lease.len().div_ceil(workers.max(1)) };
        self.pace.stride().min(share)
    }

    /// The tasks of a lease that have no outcome yet.
    pub(crate) fn pending(&self, lease: &Lease) -> Vec<Pending> {
        let folded = self.folded();
        let attempts = folded.quilt.limits().attempts;
        let next = |position| folded.stats.failed_attempts(position).saturating_add(1).min(attempts);
        let pending = folded.quilt.pending_in(lease.positions.clone());
        pending.map(|position| Pending { position, attempt: next(position) }).collect()
    }

    /// Waits a moment for the fold to come to a mark, and says whether it did.
    pub(crate) async fn wait_for_fold(&self, mark: Mark) -> bool {
        let mut marks = self.mark.subscribe();
        let reached = marks.wait_for(|reached| *reached >= mark);
        timeout(FOLD_PAUSE, reached).await.is_ok()
    }

    pub(super) fn fold(&self, page: &Page) {
        let step = {
            let mut folded = self.folded.write().unwrap_or_else(PoisonError::into_inner);
            folded.apply(page);
            let status = folded.quilt.status();
            self.is_running.store(status == Status::Running, Ordering::Relaxed);
            self.cancellation.lock().unwrap_or_else(PoisonError::into_inner).follow(&folded.quilt);
            folded.quilt.step()
        };
        self.mark.send_replace(page.mark);
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
