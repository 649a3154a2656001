//! The workers that run a batch: how many do, and how many may.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

/// How long a lease waits where as many workers run its batch as may, unless it is the one for which a place becomes free.
pub(crate) const PLACE_PAUSE: Duration = Duration::from_millis(25);

/// The places of one batch.
pub(crate) struct Places {
    /// How many there are at most where tasks compute.
    computing: u32,
    busy: AtomicU32,
    /// Told when a worker leaves.
    left: Notify,
    /// Held by the worker that waits for a place.
    queueing: Mutex<()>,
}

impl Places {
    pub(super) fn new(computing: u32) -> Self {
        Self { computing, busy: AtomicU32::new(0), left: Notify::new(), queueing: Mutex::default() }
    }

    /// How many are taken.
    pub(super) fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// Waits until none is taken.
    pub(crate) async fn wait_until_empty(&self) {
        loop {
            let left = self.left.notified();
            if self.busy() == 0 {
                return;
            }
            // A worker that waits for a place may have been told instead.
            let _ = timeout(PLACE_PAUSE, left).await;
        }
    }

    /// Takes a place until the guard is dropped; none where as many are taken as the batch may have, or as are of use to it.
    pub(super) fn take(&self, concurrency: Option<u32>, computes: bool) -> Option<Place<'_>> {
        let of_use = computes.then_some(self.computing);
        let limit = concurrency.into_iter().chain(of_use).min().unwrap_or(u32::MAX);
        let one_more = |busy| (busy < limit).then_some(busy + 1);
        self.busy.try_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Place(self))
    }

    /// Waits a moment for a worker to leave, and says whether one did. `false` at once where another one waits for that already.
    pub(crate) async fn wait_for_one(&self) -> bool {
        let Ok(_only_one) = self.queueing.try_lock() else { return false };
        timeout(PLACE_PAUSE, self.left.notified()).await.is_ok()
    }
}

/// A worker's place with a batch.
pub(crate) struct Place<'a>(&'a Places);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.left.notify_one();
    }
}
