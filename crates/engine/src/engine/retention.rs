//! Removes what is not kept any longer, and gives back what it took, a little at a time.

use std::time::Duration;

use quilt::BatchId;
use tokio::time::timeout;

use super::shared::Engine;
use crate::journal::JournalError;

/// How often expired batches are looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(30);

/// How many batches are looked at together.
const EXPIRED_AT_ONCE: u32 = 64;

/// The pause between two parts of a clean-up, in which others can write.
const PURGE_PAUSE: Duration = Duration::from_millis(10);

impl Engine {
    /// Cleans up until the engine ends: at the start, every now and then, and when somebody has removed a batch.
    pub(super) async fn clean_up(&self) {
        loop {
            if let Err(error) = self.clean_up_once().await {
                tracing::warn!(%error, "cannot clean up; trying again later");
            }
            // Both a time-out and a call are a reason to go on.
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
                    // Whether there is still too much can be told when this one is gone.
                    self.purge().await?;
                    break;
                }
                watched += 1;
            }
        }
    }

    /// Removes a batch, unless somebody watches it.
    async fn expire(&self, id: BatchId) -> Result<bool, JournalError> {
        // Not while a next lap is started.
        let _one_at_a_time = self.shared.changing.lock(id).await;
        let is_removed = !self.shared.batches.is_watched(id).await && self.shared.journal.remove(id).await?;
        if is_removed {
            tracing::info!(batch = %id, "removed, because it is not kept any longer");
            // Who has come to it since we looked is told.
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
