//! The engine itself: what all of its clones share.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quilt::BatchId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::running::Running;
use super::settings::Settings;
use crate::activity::Desk;
use crate::colleagues::Colleagues;
use crate::journal::{Journal, JournalError};
use crate::live::{LiveBatch, LiveBatches};
use crate::queue::Queue;
use crate::work::Registry;

/// Runs batches. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(super) shared: Arc<Shared>,
}

/// What all clones of an engine share.
pub(super) struct Shared {
    pub(super) journal: Arc<dyn Journal>,
    pub(super) queue: Arc<dyn Queue>,
    pub(super) registry: Registry,
    pub(super) batches: Arc<LiveBatches>,
    pub(super) settings: Settings,
    pub(super) running: Mutex<Running>,
    /// Held while a lap is started or a batch is removed: who asks for the same one meanwhile finds it done, or tries in turn.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Told when a batch was removed.
    pub(super) removed: Notify,
    /// How many workers wait for an attempt that does not stop.
    pub(super) stuck: Arc<AtomicU32>,
    pub(super) desks: Box<[Arc<Desk>]>,
    pub(super) colleagues: Arc<Colleagues>,
    pub(super) stopping: CancellationToken,
    pub(super) aborting: CancellationToken,
    pub(super) workers: TaskTracker,
    /// Those who see laps to their ends, and the clean-up.
    pub(super) homecomings: TaskTracker,
}

impl Engine {
    /// The kinds of work that this node knows.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The batch as it stands, and as it goes on while the caller holds it. `None` where there is no such batch.
    ///
    /// # Errors
    ///
    /// Where its journal cannot be read.
    pub async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        self.shared.batches.open(id).await
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Running> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs something to its end even if whoever asked for it goes away in the middle: a lap that is in the journal has to be on the
/// queue as well.
pub(super) async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JournalError> + Send + 'static,
{
    // It ends early only with the process.
    tokio::spawn(work).await.unwrap_or_else(|_| Err(JournalError::Closed.into()))
}
