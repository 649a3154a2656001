//! All batches in memory: each is loaded once, followed, and dropped when it is no longer used.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use futures::StreamExt;
use futures::stream::BoxStream;
use quilt::{BatchId, Event, OwnerId, Quilt, Receipt, Status};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batch::{Gate, LapCancellation, LiveBatch};
use super::batch_state::BatchState;
use super::frames::Frames;
use crate::estimate::TaskTimeEstimate;
use crate::journal::{BatchMeta, Damage, EventPage, Journal, JournalError, Offset, RETRY_PAUSE};
use crate::panics::PanicLog;
use crate::work::{Registry, has_input};

use super::unused::UnusedBatches;

/// Locked while a batch is loaded, so that concurrent requests load it once.
type Slot = Arc<tokio::sync::Mutex<Weak<LiveBatch>>>;

/// All batches in memory.
pub(crate) struct LiveBatches {
    journal: Arc<dyn Journal>,
    registry: Registry,
    slots: Mutex<HashMap<BatchId, Slot>>,
    recent: UnusedBatches,
}

impl LiveBatches {
    pub(crate) fn new(journal: Arc<dyn Journal>, registry: Registry) -> Self {
        Self { journal, registry, slots: Mutex::default(), recent: UnusedBatches::default() }
    }

    /// Returns the batch with all events in the journal at this moment applied, or `None` if the id is unknown.
    pub(crate) async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        let slot = Arc::clone(self.slots().entry(id).or_default());
        let mut held = slot.lock().await;
        if let Some(batch) = held.upgrade().filter(|batch| !batch.removed.is_cancelled()) {
            self.recent.touch(&batch);
            return Ok(Some(batch));
        }
        let loaded = match self.load(id).await {
            Err(JournalError::Removed) => Ok(None),
            loaded => loaded,
        };
        if let Ok(Some(batch)) = &loaded {
            *held = Arc::downgrade(batch);
            self.recent.touch(batch);
        }
        drop(held);
        self.forget_unheld(slot);
        loaded
    }

    /// The owner of a batch, or `None` if the id is unknown. A batch that is not in memory is not loaded.
    pub(crate) async fn owner(&self, id: BatchId) -> Result<Option<OwnerId>, JournalError> {
        let slot = self.slots().get(&id).cloned();
        // Locked while the batch is loaded, which takes longer than asking the journal.
        let live = slot.and_then(|slot| slot.try_lock().ok()?.upgrade());
        if let Some(batch) = live.filter(|batch| !batch.removed.is_cancelled()) {
            return Ok(Some(batch.owner));
        }
        match self.journal.find(id).await {
            Err(JournalError::Removed) => Ok(None),
            found => Ok(found?.map(|found| found.owner)),
        }
    }

    /// Drops batches that have not been opened recently.
    pub(crate) fn forget_unused(&self) {
        self.recent.forget_old();
    }

    /// Drops a batch that was removed, and notifies its viewers.
    pub(crate) async fn forget(&self, id: BatchId) {
        let slot = self.slots().remove(&id);
        if let Some(slot) = slot
            && let Some(batch) = slot.lock().await.upgrade()
        {
            batch.removed.cancel();
        }
    }

    /// Whether a batch has viewers on this node.
    pub(crate) async fn is_watched(&self, id: BatchId) -> bool {
        let slot = self.slots().get(&id).cloned();
        match slot {
            Some(slot) => slot.lock().await.upgrade().is_some_and(|batch| batch.is_watched()),
            None => false,
        }
    }

    /// Removes the slots of batches that are neither in memory nor being loaded. Called after each load, so that there are never many more
    /// slots than batches in memory.
    fn forget_unheld(&self, mine: Slot) {
        drop(mine);
        self.slots().retain(|_, slot| {
            Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|batch| batch.strong_count() > 0)
        });
    }

    async fn load(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        let Some(BatchMeta { owner, receipts, .. }) = self.journal.find(id).await? else { return Ok(None) };
        let mut pages = self.journal.follow(id, Offset::default());
        let folded = fold_what_is_there(id, &mut pages, receipts).await?;
        // A finished batch needs its work as well, because it may be retried.
        let input = match has_input(&folded.quilt.spec().work) {
            true => self.journal.input(id).await?,
            false => None,
        };
        let work = self.registry.build(folded.quilt.spec(), input);
        let step = folded.quilt.step();
        let gate = Gate::of(&folded.quilt);
        let cancellation = Mutex::new(LapCancellation::of(&folded.quilt));
        let batch = Arc::new(LiveBatch {
            id,
            owner,
            spec: folded.quilt.spec().clone(),
            order: folded.quilt.order(),
            folded: RwLock::new(folded),
            step: watch::Sender::new(step),
            is_folded: Notify::new(),
            gate: watch::Sender::new(gate),
            is_running: AtomicBool::new(gate.status == Status::Running),
            cancellation,
            removed: CancellationToken::new(),
            estimate: TaskTimeEstimate::default(),
            work,
            panics: Arc::new(PanicLog::new(id)),
            viewers: AtomicUsize::new(0),
            frames: Frames::default(),
            follower: OnceLock::new(),
        });
        let follower = tokio::spawn(follow(Arc::downgrade(&batch), pages, Arc::clone(&self.journal)));
        // The cell is new, so this call cannot fail.
        let _ = batch.follower.set(AbortOnDropHandle::new(follower));
        Ok(Some(batch))
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<BatchId, Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Pages = BoxStream<'static, Result<EventPage, JournalError>>;

async fn fold_what_is_there(
    id: BatchId,
    pages: &mut Pages,
    receipts: Vec<Receipt>,
) -> Result<BatchState, JournalError> {
    let no_launch = || JournalError::Damaged { batch: id, reason: Damage::NoLaunch };
    let mut page = pages.next().await.ok_or(JournalError::Closed)??;
    let mut folded = match page.events.first() {
        Some(Event::Launched(launched)) => BatchState::new(Quilt::new(launched.clone()), receipts),
        _ => return Err(no_launch()),
    };
    loop {
        folded.apply(&page);
        if page.caught_up {
            let is_whole = folded.stats.matches(&folded.quilt);
            return if is_whole {
                Ok(folded)
            } else {
                Err(JournalError::Damaged { batch: id, reason: Damage::Receipt })
            };
        }
        page = pages.next().await.ok_or(JournalError::Closed)??;
    }
}

/// Applies events as they arrive. After an error it follows the journal again from the last applied event.
async fn follow(batch: Weak<LiveBatch>, mut pages: Pages, journal: Arc<dyn Journal>) {
    loop {
        match pages.next().await {
            Some(Ok(page)) => match batch.upgrade() {
                Some(batch) => batch.fold(&page),
                None => return,
            },
            Some(Err(JournalError::Removed)) => {
                // Any node may have removed it.
                let Some(batch) = batch.upgrade() else { return };
                return batch.removed.cancel();
            }
            Some(Err(JournalError::Closed)) | None => return,
            Some(Err(error)) => {
                tracing::warn!(%error, "a journal cannot be followed; trying again");
                tokio::time::sleep(RETRY_PAUSE).await;
                let Some(batch) = batch.upgrade() else { return };
                let offset = batch.folded().offset;
                pages = journal.follow(batch.id, offset);
            }
        }
    }
}
