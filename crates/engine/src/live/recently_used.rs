//! Batches that are kept in memory for a while though nobody holds them, because they are likely to be asked for again: where no page is served
//! and no lap is kept, there are only the leases that come one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quilt::BatchId;
use tokio::time::Instant;

use super::LiveBatch;

/// How long a batch is kept.
const WHILE: Duration = Duration::from_secs(10);

/// Those batches, with when each was asked for.
#[derive(Default)]
pub(super) struct RecentlyUsed {
    batches: Mutex<HashMap<BatchId, (Arc<LiveBatch>, Instant)>>,
}

impl RecentlyUsed {
    /// Takes note that a batch is used. One that is over is nothing that leases are to come of.
    pub(super) fn touch(&self, batch: &Arc<LiveBatch>) {
        if batch.is_open() {
            self.batches().insert(batch.id(), (Arc::clone(batch), Instant::now()));
        }
    }

    /// Lets go of those that were not used for a while, or are over.
    pub(super) fn forget_old(&self) {
        let forgotten: Vec<_> = {
            let mut batches = self.batches();
            batches.extract_if(|_, (batch, used)| used.elapsed() > WHILE || !batch.is_open()).collect()
        };
        // The last one who holds a batch has much to clear away, and does it without the lock.
        drop(forgotten);
    }

    fn batches(&self) -> MutexGuard<'_, HashMap<BatchId, (Arc<LiveBatch>, Instant)>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
