//! Serializes changes of a batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use quilt::BatchId;
use tokio::sync::OwnedMutexGuard;

/// A lock for each batch whose next lap is being started, or that is being removed. A second request for the same batch waits, and then
/// finds the change done. Other batches are not blocked.
#[derive(Default)]
pub(super) struct BatchLocks(Mutex<HashMap<BatchId, Weak<tokio::sync::Mutex<()>>>>);

impl BatchLocks {
    pub(super) async fn lock(&self, batch: BatchId) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.retain(|_, lock| lock.strong_count() > 0);
            let known = locks.get(&batch).and_then(Weak::upgrade);
            known.unwrap_or_else(|| {
                let lock = Arc::default();
                locks.insert(batch, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_batch_waits_for_itself_and_for_no_other() {
        let locks = BatchLocks::default();
        let [one, other] = [1, 2].map(|number| BatchId::from_bytes([number; 16]));
        let held = locks.lock(one).now_or_never().expect("nobody has it");
        assert!(locks.lock(one).now_or_never().is_none());
        assert!(locks.lock(other).now_or_never().is_some());
        drop(held);
        assert!(locks.lock(one).now_or_never().is_some());
    }
}
