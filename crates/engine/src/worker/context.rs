//! What a worker works with.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio_util::sync::CancellationToken;

use super::source::WorkSource;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::live::LiveBatches;
use crate::slots::BySlotClass;

/// What all workers of a node work with.
pub(crate) struct WorkerContext {
    pub(crate) sources: BySlotClass<Arc<WorkSource>>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) batches: Arc<LiveBatches>,
    pub(crate) clock: Clock,
    /// How many workers wait for an attempt that does not stop.
    pub(crate) unresponsive: AtomicU32,
    /// No more tasks are started.
    pub(crate) stopping: CancellationToken,
    /// Running tasks are cancelled.
    pub(crate) aborting: CancellationToken,
}
