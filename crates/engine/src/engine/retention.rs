//! Removes expired batches, and purges their data in small parts.

use std::time::Duration;

use quilt::BatchId;
use tokio::time::timeout;

use super::shared::Engine;
use crate::journal::JournalError;

/// How often expired batches are looked up.
const RETENTION_INTERVAL: Duration = Duration::from_secs(30);

/// The number of expired batches per look-up.
const EXPIRED_AT_ONCE: u32 = 64;

/// The pause between two purges, in which others can write.
const PURGE_PAUSE: Duration = Duration::from_millis(10);

impl Engine {
    /// Cleans up until the engine ends: at the start, periodically, and after a batch was removed.
    pub(super) async fn clean_up(&self) {
        loop {
            if let Err(error) = self.clean_up_once().await {
                tracing::warn!(%error, "cannot clean up; trying again later");
            }
            // Both a timeout and a notification trigger the next clean-up.
            let _ = timeout(RETENTION_INTERVAL, self.shared.removed.notified()).await;
        }
    }

    async fn clean_up_once(&self) -> Result<(), JournalError> {
        let settings = &self.shared.settings;
        self.purge().await?;
        let mut watched = 0;
        loop {
            let expired = self.shared.journal.expired(settings.retention, watched, EXPIRED_AT_ONCE).await?;
            if expired.is_empty() {
                return Ok(());
            }
            for id in expired {
                if self.expire(id).await? {
                    // Look up the next expired batch only after this one has been purged, because the journal may be small enough now.
                    self.purge().await?;
                    break;
                }
                watched += 1;
            }
        }
    }

    /// Removes a batch, unless it has viewers on this node.
    async fn expire(&self, id: BatchId) -> Result<bool, JournalError> {
        // No lap can be started while this lock is held.
        let _one_at_a_time = self.shared.changing.lock(id).await;
        let is_removed = !self.shared.batches.is_watched(id).await && self.shared.journal.remove(id).await?;
        if is_removed {
            tracing::info!(batch = %id, "removed, because it is not kept any longer");
            // Notifies viewers that connected after the check.
            self.shared.batches.forget(id).await;
        }
        Ok(is_removed)
    }

    async fn purge(&self) -> Result<(), JournalError> {
        while self.shared.journal.purge().await? {
            tokio::time::sleep(PURGE_PAUSE).await;
        }
        Ok(())
    }
}
