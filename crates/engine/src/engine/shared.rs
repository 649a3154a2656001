//! The engine itself: what all of its clones share.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quilt::BatchId;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::batch_locks::BatchLocks;
use super::running::Running;
use super::settings::Settings;
use crate::cluster::{Cluster, LiveClock, PeerLoad, Peers, Remote};
use crate::dispatch::Scheduler;
use crate::journal::{Journal, JournalError};
use crate::live::{LiveBatch, LiveBatches};
use crate::work::Registry;
use crate::worker::{WorkerContext, WorkerPool};

/// Runs batches. Cheap to clone; all clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    pub(super) shared: Arc<Shared>,
}

/// What all clones of an engine share.
pub(super) struct Shared {
    pub(super) journal: Arc<dyn Journal>,
    /// The other nodes, if there can be any.
    pub(super) cluster: Option<OtherNodes>,
    /// The next epoch of an engine that is alone.
    pub(super) epochs: AtomicU64,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) pool: Arc<WorkerPool>,
    /// What the workers work with.
    pub(super) context: Arc<WorkerContext>,
    pub(super) registry: Registry,
    pub(super) batches: Arc<LiveBatches>,
    pub(super) settings: Settings,
    pub(super) running: Mutex<Running>,
    pub(super) changing: BatchLocks,
    /// Notified when a batch was removed.
    pub(super) removed: Notify,
    pub(super) peers: Arc<Peers>,
    /// All workers have ended: nothing is coordinated any more, and other nodes may.
    pub(super) handing_over: CancellationToken,
    /// No messages are exchanged any more.
    pub(super) ended: CancellationToken,
    /// Those that supervise laps.
    pub(super) laps: TaskTracker,
    /// Those that clean up, keep accounts, and exchange messages.
    pub(super) background_tasks: TaskTracker,
}

/// What an engine shares a cluster with the other nodes by.
pub(super) struct OtherNodes {
    pub(super) cluster: Cluster,
    pub(super) remote: Arc<Remote>,
    pub(super) live: Arc<LiveClock>,
    pub(super) load: PeerLoad,
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

/// Runs something to its end even if whoever asked for it goes away in the middle: a lap that is in the journal has to be
/// supervised as well.
pub(super) async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JournalError> + Send + 'static,
{
    // It ends early only with the process.
    tokio::spawn(work).await.unwrap_or_else(|_| Err(JournalError::Closed.into()))
}
