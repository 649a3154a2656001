//! Batches that are being followed: folded from their journal and kept in memory as long as someone holds them.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use quilt::{BatchId, Event, History, OwnerId, Position, Quilt, Step};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::journal::{Damage, Journal, JournalError, Page};
use crate::pace::Pace;
use crate::queue::Lease;
use crate::work::{Registry, Unavailable, Work};

/// How long to wait before a journal that could not be read is followed anew.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// A quilt with its history, as far as it is folded.
pub struct Folded {
    /// The state.
    pub quilt: Quilt,
    /// The changes that led to it.
    pub history: History,
}

impl Folded {
    fn apply(&mut self, events: &[Event]) {
        for event in events {
            let mut changes = Vec::new();
            self.quilt.apply(event, &mut changes);
            self.history.record(&self.quilt, &changes);
        }
    }
}

/// What is left of a lease.
pub(crate) enum Remaining {
    /// Nothing; all squares are settled, or the lap is over.
    Nothing,
    /// This node has not seen the lap start yet.
    Unknown,
    /// This part.
    Some(Lease),
}

/// A batch in memory. It follows its journal until the last holder lets go of it.
pub struct LiveBatch {
    id: BatchId,
    owner: OwnerId,
    folded: RwLock<Folded>,
    /// Wakes whoever waits for the fold to go on.
    step: watch::Sender<Step>,
    /// Tells running tasks to stop.
    pub(crate) cancelled: CancellationToken,
    pub(crate) pace: Pace,
    pub(crate) work: Arc<dyn Work>,
    busy: AtomicU32,
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

    /// How many workers run this batch at the moment.
    #[must_use]
    pub fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Counts a worker as busy with this batch until the guard is dropped.
    pub(crate) fn occupy(&self) -> Occupied<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Occupied(self)
    }

    /// Cuts off the front of a lease that has nothing left to run.
    pub(crate) fn remaining(&self, lease: &Lease) -> Remaining {
        let folded = self.folded();
        let quilt = &folded.quilt;
        if lease.lap > quilt.lap_number() {
            return Remaining::Unknown;
        }
        if lease.lap < quilt.lap_number() || quilt.status() != quilt::Status::Running {
            return Remaining::Nothing;
        }
        match quilt.pending_in(lease.positions.clone()).next() {
            Some(first) => Remaining::Some(Lease { positions: first..lease.positions.end, ..lease.clone() }),
            None => Remaining::Nothing,
        }
    }

    /// The positions of a lease that have no outcome yet.
    pub(crate) fn pending(&self, lease: &Lease) -> Vec<Position> {
        self.folded().quilt.pending_in(lease.positions.clone()).collect()
    }

    fn fold(&self, events: &[Event]) {
        let step = {
            let mut folded = self.folded.write().unwrap_or_else(PoisonError::into_inner);
            folded.apply(events);
            if folded.quilt.status() == quilt::Status::Cancelled {
                self.cancelled.cancel();
            }
            folded.quilt.step()
        };
        self.step.send_if_modified(|known| std::mem::replace(known, step) != step);
    }
}

/// See [`LiveBatch::occupy`].
pub(crate) struct Occupied<'a>(&'a LiveBatch);

impl Drop for Occupied<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holds a batch for somebody who looks at it, and counts as one until it is dropped.
pub struct Viewer {
    batch: Arc<LiveBatch>,
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
        let mut pages = self.journal.follow(id);
        let folded = fold_what_is_there(id, &mut pages).await?;
        let work = self.registry.build(&folded.quilt.spec().work);
        let step = folded.quilt.step();
        let cancelled = CancellationToken::new();
        if folded.quilt.status() == quilt::Status::Cancelled {
            cancelled.cancel();
        }
        let batch = Arc::new(LiveBatch {
            id,
            owner,
            folded: RwLock::new(folded),
            step: watch::Sender::new(step),
            cancelled,
            pace: Pace::default(),
            work: work.unwrap_or_else(|error| Arc::new(Unavailable(error))),
            busy: AtomicU32::new(0),
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

type Pages = BoxStream<'static, Result<Page, JournalError>>;

async fn fold_what_is_there(id: BatchId, pages: &mut Pages) -> Result<Folded, JournalError> {
    let no_launch = || JournalError::Damaged { batch: id, reason: Damage::NoLaunch };
    let mut page = pages.next().await.ok_or(JournalError::Closed)??;
    let mut folded = match page.events.first() {
        Some(Event::Launched(launched)) => {
            let quilt = Quilt::new(launched.clone());
            Folded { history: History::new(&quilt), quilt }
        }
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

/// Folds what comes. After an error the journal is followed from its beginning: what was folded before changes nothing.
async fn follow(batch: Weak<LiveBatch>, mut pages: Pages, journal: Arc<dyn Journal>) {
    loop {
        match pages.next().await {
            Some(Ok(page)) => match batch.upgrade() {
                Some(batch) => batch.fold(&page.events),
                None => return,
            },
            Some(Err(JournalError::Closed)) | None => return,
            Some(Err(error)) => {
                tracing::error!(%error, "a journal cannot be followed; trying again");
                tokio::time::sleep(FOLLOW_AGAIN).await;
                let Some(batch) = batch.upgrade() else { return };
                pages = journal.follow(batch.id);
            }
        }
    }
}
