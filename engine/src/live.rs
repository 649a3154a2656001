//! Batches that are being followed: folded from their journal and kept in memory as long as someone holds them.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use quilt::{BatchId, BatchSpec, Event, History, Ledger, Order, OwnerId, Position, Quilt, Receipt, Status, Step};
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::journal::{Damage, Journal, JournalError, Offset, PAUSE, Page};
use crate::pace::Pace;
use crate::queue::Lease;
use crate::work::{Registry, Unavailable, Work};

/// How long a lease waits for this node to fold what it follows.
const FOLD_PAUSE: Duration = Duration::from_millis(20);

/// How long a lease waits where its batch is paused.
const RESUME_PAUSE: Duration = Duration::from_millis(100);

/// How long a lease waits where as many workers run its batch as may, unless it is the one for which a place becomes free.
pub(crate) const PLACE_PAUSE: Duration = Duration::from_millis(25);

/// A quilt with what else is folded from the same events, as far as it is folded.
pub struct Folded {
    /// The state.
    pub quilt: Quilt,
    /// The changes that led to it.
    pub history: History,
    /// What is known of its tries, and the receipts.
    pub ledger: Ledger,
    /// How many events were folded.
    pub offset: Offset,
}

impl Folded {
    fn new(quilt: Quilt, receipts: Vec<Receipt>) -> Self {
        Self { history: History::new(&quilt), quilt, ledger: Ledger::with_noted(receipts), offset: Offset::default() }
    }

    fn apply(&mut self, events: &[Event]) {
        let mut changes = Vec::new();
        for event in events {
            changes.clear();
            self.quilt.apply(event, &mut changes);
            self.history.record(&self.quilt, &changes);
            self.ledger.apply(&self.quilt, event, &changes);
        }
        self.offset.0 += events.len() as u64;
    }
}

/// What is to be done with a lease.
pub(crate) enum Turn<'a> {
    /// There is nothing left to run; all squares are settled, or the lap is over.
    Over,
    /// It cannot be run yet, and may be looked at again after this time.
    Later(Duration),
    /// As many workers run the batch as may.
    Full,
    /// This part of it can be run, while the guard is held.
    Now(Lease, Occupied<'a>),
}

/// A task that is to be run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) position: Position,
    /// Which try it is, from 1.
    pub(crate) attempt: u8,
}

/// A batch in memory. It follows its journal until the last holder lets go of it.
pub struct LiveBatch {
    id: BatchId,
    owner: OwnerId,
    /// The quilt's own, for those who run its tasks, without a lock.
    pub(crate) spec: BatchSpec,
    pub(crate) order: Order,
    folded: RwLock<Folded>,
    /// Wakes whoever waits for the fold to go on.
    step: watch::Sender<Step>,
    /// Whether tasks may be started: the batch is neither paused nor over.
    is_running: AtomicBool,
    /// Tells running tasks to stop.
    pub(crate) cancelled: CancellationToken,
    /// Tells viewers that there is nothing to see any more.
    removed: CancellationToken,
    pub(crate) pace: Pace,
    pub(crate) work: Work,
    /// How many workers are of use where tasks compute.
    processors: u32,
    busy: AtomicU32,
    /// How many tasks are waited for.
    waiting: AtomicU32,
    /// Told when a worker leaves.
    left: Notify,
    /// Held by the worker that waits for a place.
    queueing: tokio::sync::Mutex<()>,
    viewers: AtomicUsize,
    follower: OnceLock<AbortOnDropHandle<()>>,
}

impl LiveBatch {
    /// The batch's id.
    #[must_use]
    pub fn id(&self) -> BatchId {
        self.id
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
        self.busy.load(Ordering::Relaxed)
    }

    /// Whether anybody looks at the batch.
    pub(crate) fn is_watched(&self) -> bool {
        self.viewers.load(Ordering::Relaxed) > 0
    }

    /// Whether tasks may be started.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Relaxed)
    }

    /// Counts a worker as busy with this batch until the guard is dropped; none where there are `limit` already.
    fn occupy(&self, limit: Option<u32>) -> Option<Occupied<'_>> {
        let limit = limit.unwrap_or(u32::MAX);
        let one_more = |busy| (busy < limit).then_some(busy + 1);
        self.busy.try_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Occupied(self))
    }

    /// Whether a lease can be run now, and which part of it: its front may have nothing left to run.
    pub(crate) fn turn(&self, lease: &Lease) -> Turn<'_> {
        let folded = self.folded();
        let quilt = &folded.quilt;
        let is_past = lease.lap < quilt.lap_number() || (lease.lap == quilt.lap_number() && quilt.status().is_over());
        if is_past {
            return Turn::Over;
        }
        if folded.offset < lease.after {
            return Turn::Later(FOLD_PAUSE);
        }
        let Some(first) = quilt.pending_in(lease.positions.clone()).next() else { return Turn::Over };
        if quilt.status() == Status::Paused {
            return Turn::Later(RESUME_PAUSE);
        }
        let of_use = self.computes().then_some(self.processors);
        let limit = quilt.concurrency().into_iter().chain(of_use).min();
        match self.occupy(limit) {
            Some(occupied) => Turn::Now(Lease { positions: first..lease.positions.end, ..lease.clone() }, occupied),
            None => Turn::Full,
        }
    }

    /// Whether its tasks keep processors busy. Those that do leave the other workers to batches whose tasks wait.
    fn computes(&self) -> bool {
        match self.work {
            Work::Blocking(_) => true,
            // One that is waited for at this moment is proof of the contrary.
            Work::Async(_) => self.pace.computes() && self.waiting.load(Ordering::Relaxed) == 0,
        }
    }

    /// Counts a task as one that is waited for until the guard is dropped.
    pub(crate) fn wait(&self) -> Counted<'_> {
        Counted::one_more(&self.waiting)
    }

    /// How much of a lease to run at once. Tasks that wait are shared out among all workers, so that the last ones are not left to one of them.
    pub(crate) fn stride(&self, lease: &Lease, workers: u32) -> u32 {
        let length = lease.positions.end.0 - lease.positions.start.0;
        let share = if self.computes() { length } else { length.div_ceil(workers) };
        self.pace.stride().min(share)
    }

    /// Waits a moment for a worker to leave, and says whether one did. `false` at once where another one waits for that already.
    pub(crate) async fn wait_for_place(&self) -> bool {
        let Ok(_only_one) = self.queueing.try_lock() else { return false };
        timeout(PLACE_PAUSE, self.left.notified()).await.is_ok()
    }

    /// The tasks of a lease that have no outcome yet.
    pub(crate) fn pending(&self, lease: &Lease) -> Vec<Pending> {
        let folded = self.folded();
        let tries = |position| folded.ledger.failed_tries(position).saturating_add(1).min(self.spec.attempts);
        let pending = folded.quilt.pending_in(lease.positions.clone());
        pending.map(|position| Pending { position, attempt: tries(position) }).collect()
    }

    fn fold(&self, events: &[Event]) {
        let step = {
            let mut folded = self.folded.write().unwrap_or_else(PoisonError::into_inner);
            folded.apply(events);
            let status = folded.quilt.status();
            self.is_running.store(status == Status::Running, Ordering::Relaxed);
            if status == Status::Cancelled {
                self.cancelled.cancel();
            }
            folded.quilt.step()
        };
        self.step.send_if_modified(|known| std::mem::replace(known, step) != step);
    }
}

/// A worker's place with a batch.
pub(crate) struct Occupied<'a>(&'a LiveBatch);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.left.notify_one();
    }
}

/// Counts until it is dropped.
pub(crate) struct Counted<'a>(&'a AtomicU32);

impl<'a> Counted<'a> {
    fn one_more(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
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

/// Taken while a batch is loaded, so that it is loaded once however many ask for it.
type Slot = Arc<tokio::sync::Mutex<Weak<LiveBatch>>>;

/// All batches that someone holds.
pub(crate) struct LiveBatches {
    journal: Arc<dyn Journal>,
    registry: Registry,
    slots: Mutex<HashMap<BatchId, Slot>>,
}

impl LiveBatches {
    pub(crate) fn new(journal: Arc<dyn Journal>, registry: Registry) -> Self {
        Self { journal, registry, slots: Mutex::default() }
    }

    /// The batch as far as its journal goes at this moment, or `None` where there is none of this id.
    pub(crate) async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        let slot = Arc::clone(self.slots().entry(id).or_default());
        let mut held = slot.lock().await;
        if let Some(batch) = held.upgrade() {
            return Ok(Some(batch));
        }
        let loaded = self.load(id).await;
        if let Ok(Some(batch)) = &loaded {
            *held = Arc::downgrade(batch);
        }
        drop(held);
        self.forget_unheld(slot);
        loaded
    }

    /// Lets go of a batch that was removed; those who hold it are told.
    pub(crate) async fn forget(&self, id: BatchId) {
        let slot = self.slots().remove(&id);
        if let Some(slot) = slot
            && let Some(batch) = slot.lock().await.upgrade()
        {
            batch.removed.cancel();
        }
    }

    /// Whether anybody looks at a batch.
    pub(crate) async fn is_watched(&self, id: BatchId) -> bool {
        let slot = self.slots().get(&id).cloned();
        match slot {
            Some(slot) => slot.lock().await.upgrade().is_some_and(|batch| batch.is_watched()),
            None => false,
        }
    }

    /// Removes the slots of batches that nobody holds or waits for. Done when one is loaded, so that there are never many more
    /// slots than batches in memory.
    fn forget_unheld(&self, mine: Slot) {
        drop(mine);
        self.slots().retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|batch| batch.strong_count() > 0)
        });
    }

    async fn load(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        let Some(owner) = self.journal.owner(id).await? else { return Ok(None) };
        let mut pages = self.journal.follow(id, Offset::default());
        let receipts = self.journal.receipts(id).await?.receipts;
        let folded = fold_what_is_there(id, &mut pages, receipts).await?;
        let work = self.registry.build(&folded.quilt.spec().work);
        let step = folded.quilt.step();
        let status = folded.quilt.status();
        let cancelled = CancellationToken::new();
        if status == Status::Cancelled {
            cancelled.cancel();
        }
        let batch = Arc::new(LiveBatch {
            id,
            owner,
            spec: folded.quilt.spec().clone(),
            order: folded.quilt.order(),
            folded: RwLock::new(folded),
            step: watch::Sender::new(step),
            is_running: AtomicBool::new(status == Status::Running),
            cancelled,
            removed: CancellationToken::new(),
            pace: Pace::default(),
            work: work.unwrap_or_else(|error| Work::waiting(Unavailable(error))),
            processors: processors(),
            busy: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            left: Notify::new(),
            queueing: tokio::sync::Mutex::default(),
            viewers: AtomicUsize::new(0),
            follower: OnceLock::new(),
        });
        let follower = tokio::spawn(follow(Arc::downgrade(&batch), pages, Arc::clone(&self.journal)));
        // The cell is new, so this is its first value.
        let _ = batch.follower.set(AbortOnDropHandle::new(follower));
        Ok(Some(batch))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<BatchId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice as many as there are, because some wait for the journal.
fn processors() -> u32 {
    std::thread::available_parallelism()
        .map_or(2, |count| u32::try_from(count.get()).unwrap_or(u32::MAX))
        .saturating_mul(2)
}

type Pages = BoxStream<'static, Result<Page, JournalError>>;

async fn fold_what_is_there(id: BatchId, pages: &mut Pages, receipts: Vec<Receipt>) -> Result<Folded, JournalError> {
    let no_launch = || JournalError::Damaged { batch: id, reason: Damage::NoLaunch };
    let mut page = pages.next().await.ok_or(JournalError::Closed)??;
    let mut folded = match page.events.first() {
        Some(Event::Launched(launched)) => Folded::new(Quilt::new(launched.clone()), receipts),
        _ => return Err(no_launch()),
    };
    loop {
        folded.apply(&page.events);
        if page.caught_up {
            return Ok(folded);
        }
        page = pages.next().await.ok_or(JournalError::Closed)??;
    }
}

/// Folds what comes. After an error the journal is followed from where it was.
async fn follow(batch: Weak<LiveBatch>, mut pages: Pages, journal: Arc<dyn Journal>) {
    loop {
        match pages.next().await {
            Some(Ok(page)) => match batch.upgrade() {
                Some(batch) => batch.fold(&page.events),
                None => return,
            },
            Some(Err(JournalError::Closed)) | None => return,
            Some(Err(error)) => {
                tracing::warn!(%error, "a journal cannot be followed; trying again");
                tokio::time::sleep(PAUSE).await;
                let Some(batch) = batch.upgrade() else { return };
                let offset = batch.folded().offset;
                pages = journal.follow(batch.id, offset);
            }
        }
    }
}
