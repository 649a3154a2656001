//! A worker: its name, and what it works with.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio_util::sync::CancellationToken;

use super::source::WorkSource;
use super::status::WorkerStatus;
use crate::clock::Clock;
use crate::journal::Journal;
use crate::live::LiveBatches;

/// Runs one task at a time.
#[derive(Clone)]
pub(crate) struct Worker {
    /// Its name, which is in the journal with what it ran, and what it is running.
    pub(crate) status: Arc<WorkerStatus>,
    pub(crate) source: Arc<WorkSource>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) batches: Arc<LiveBatches>,
    pub(crate) clock: Clock,
    /// How many workers wait for an attempt that does not stop.
    pub(crate) unresponsive: Arc<AtomicU32>,
    /// No more tasks are started.
    pub(crate) stopping: CancellationToken,
    /// Running tasks are cancelled.
    pub(crate) aborting: CancellationToken,
}
