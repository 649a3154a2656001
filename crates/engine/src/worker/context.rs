//! A worker, and the state that workers share.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio_util::sync::CancellationToken;

use super::source::WorkSource;
use super::status::WorkerStatus;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::live::LiveBatches;
use crate::slots::BySlotClass;

/// The state that all workers of a node share.
pub(crate) struct WorkerContext {
    pub(crate) sources: BySlotClass<Arc<WorkSource>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) batches: Arc<LiveBatches>,
    pub(crate) clock: Clock,
    /// The number of workers that are blocked by an unresponsive attempt.
    pub(crate) unresponsive: AtomicU32,
    /// Cancelled when no more tasks may start.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when running tasks must stop.
    pub(crate) aborting: CancellationToken,
}

impl WorkerContext {
    /// Completes when running tasks must stop: those of a batch, or all.
    pub(super) async fn interrupted(&self, cancelled: &CancellationToken) {
        tokio::select! {
            biased;
            () = cancelled.cancelled() => {}
            () = self.aborting.cancelled() => {}
        }
    }
}

/// Runs one task at a time.
pub(crate) struct Worker {
    pub(super) context: Arc<WorkerContext>,
    /// Its name, which the journal records with its attempts, and its running task.
    pub(super) status: Arc<WorkerStatus>,
}
