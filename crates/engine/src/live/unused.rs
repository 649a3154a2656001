//! Batches that stay in memory for a while though nobody holds them. A node that serves no page and coordinates no lap only has leases, one after
//! the other, and would load a batch anew for each.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::BatchId;
use tokio::time::Instant;

use super::LiveBatch;

/// How long an unused batch stays.
const UNUSED_TTL: Duration = Duration::from_secs(10);

/// The batches, with the time of their last use.
#[derive(Default)]
pub(super) struct UnusedBatches {
    batches: Mutex<HashMap<BatchId, (Arc<LiveBatch>, Instant)>>,
}

impl UnusedBatches {
    /// Notes that a batch is used. No lease can come of one that is over.
    pub(super) fn touch(&self, batch: &Arc<LiveBatch>) {
        if batch.is_open() {
            self.batches().insert(batch.id(), (Arc::clone(batch), Instant::now()));
        }
    }

    /// Drops those that were not used for a while, or are over.
    pub(super) fn forget_old(&self) {
        let forgotten: Vec<_> = {
            let mut batches = self.batches();
            batches.extract_if(|_, (batch, used)| used.elapsed() > UNUSED_TTL || !batch.is_open()).collect()
        };
        // Dropping a batch takes time, and is done without the lock.
        drop(forgotten);
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<BatchId, (Arc<LiveBatch>, Instant)>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
