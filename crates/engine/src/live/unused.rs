//! Keeps recently used batches in memory. A node without viewers that coordinates no lap runs one chunk after another, and would otherwise
//! load the batch again for each of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::BatchId;
use tokio::time::Instant;

use super::LiveBatch;

/// How long an unused batch stays in memory.
const UNUSED_TTL: Duration = Duration::from_secs(10);

/// The batches, with the time of their last use.
#[derive(Default)]
pub(super) struct UnusedBatches {
    batches: Mutex<HashMap<BatchId, (Arc<LiveBatch>, Instant)>>,
}

impl UnusedBatches {
    /// Records that a batch was used. Finished batches are skipped, because they have no more chunks.
    pub(super) fn touch(&self, batch: &Arc<LiveBatch>) {
        if batch.is_open() {
            self.batches().insert(batch.id(), (Arc::clone(batch), Instant::now()));
        }
    }

    /// Drops batches that have expired or finished.
    pub(super) fn forget_old(&self) {
        let forgotten: Vec<_> = {
            let mut batches = self.batches();
            batches.extract_if(|_, (batch, used)| used.elapsed() > UNUSED_TTL || !batch.is_open()).collect()
        };
        // Dropping a batch takes time, so it happens without the lock.
        drop(forgotten);
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<BatchId, (Arc<LiveBatch>, Instant)>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
