//! A worker: its name, and what it works with.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::activity::Desk;
use crate::clock::Clock;
use crate::colleagues::Colleagues;
use crate::journal::Journal;
use crate::live::LiveBatches;
use crate::queue::Queue;

/// Runs one task at a time.
#[derive(Clone)]
pub(crate) struct Worker {
    /// Its name, which stands in the journal with what it ran, and what it is doing.
    pub(crate) desk: Arc<Desk>,
    /// The other nodes, which have workers as well.
    pub(crate) colleagues: Arc<Colleagues>,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) batches: Arc<LiveBatches>,
    pub(crate) clock: Clock,
    /// Held by those workers that wait for a place with a batch.
    pub(crate) queueing: Arc<Semaphore>,
    /// How many workers wait for an attempt that does not stop.
    pub(crate) stuck: Arc<AtomicU32>,
    /// No more tasks are started.
    pub(crate) stopping: CancellationToken,
    /// Running tasks are given up.
    pub(crate) aborting: CancellationToken,
}
