//! The engine, and the state that its clones share.

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
use crate::results::ResultCache;
use crate::work::Registry;
use crate::worker::{WorkerContext, WorkerPool};

/// Runs batches. Cheap to clone; all clones share one engine.
#[derive(Clone)]
pub struct Engine {
    pub(super) shared: Arc<Shared>,
}

/// The state that all clones of an engine share.
pub(super) struct Shared {
    pub(super) journal: Arc<dyn Journal>,
    /// The other nodes, if the engine is part of a cluster.
    pub(super) cluster: Option<OtherNodes>,
    /// The next epoch of an engine without a cluster.
    pub(super) epochs: AtomicU64,
    pub(super) scheduler: Arc<Scheduler>,
    pub(super) pool: Arc<WorkerPool>,
    /// The state that workers share.
    pub(super) context: Arc<WorkerContext>,
    pub(super) registry: Registry,
    pub(super) batches: Arc<LiveBatches>,
    pub(super) results: ResultCache,
    pub(super) settings: Settings,
    pub(super) running: Mutex<Running>,
    pub(super) changing: BatchLocks,
    /// Notified when a batch was removed.
    pub(super) removed: Notify,
    pub(super) peers: Arc<Peers>,
    /// Cancelled when all workers have ended. The node then coordinates no more laps, and other nodes may adopt them.
    pub(super) handing_over: CancellationToken,
    /// Cancelled when messages are no longer exchanged.
    pub(super) ended: CancellationToken,
    /// Tasks that supervise laps.
    pub(super) laps: TaskTracker,
    /// Tasks that clean up, charge owners, and exchange messages.
    pub(super) background_tasks: TaskTracker,
}

/// The connection to the other nodes of a cluster.
pub(super) struct OtherNodes {
    pub(super) cluster: Cluster,
    pub(super) remote: Arc<Remote>,
    pub(super) live: Arc<LiveClock>,
    pub(super) load: PeerLoad,
}

impl Engine {
    /// The kinds of work that this node can run.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    /// The batch in its current state. It is updated while the caller holds it. `None` if there is no such batch.
    ///
    /// # Errors
    ///
    /// If its journal cannot be read.
    pub async fn open(&self, id: BatchId) -> Result<Option<Arc<LiveBatch>>, JournalError> {
        self.shared.batches.open(id).await
    }

    pub(super) fn running(&self) -> MutexGuard<'_, Running> {
        self.shared.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a future to completion even if the caller is dropped: a lap that is in the journal must be supervised as well.
pub(super) async fn to_the_end<T, E>(work: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<JournalError> + Send + 'static,
{
    // It is aborted only when the process ends.
    tokio::spawn(work).await.unwrap_or_else(|_| Err(JournalError::Closed.into()))
}
