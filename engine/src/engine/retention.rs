//! Removes what is not kept any longer, and gives back what it took, a little at a time.

use std::time::Duration;

use tokio::time::timeout;

use super::Engine;
use crate::journal::JournalError;

/// How often it is looked for batches that are not kept any longer.
const LOOK: Duration = Duration::from_secs(30);

/// How many batches are looked at together. More than can be watched at the same time in practice, so that those do not hide others.
const BATCHES: u32 = 256;

/// The pause between two parts of a clean-up, in which everybody else can write.
const BREATH: Duration = Duration::from_millis(10);

impl Engine {
    /// Cleans up until the engine ends: at the start, every now and then, and when somebody has removed a batch.
    pub(super) async fn clean_up(&self) {
        loop {
            if let Err(error) = self.clean_up_once().await {
                tracing::warn!(%error, "cannot clean up; trying again later");
            }
            // Both a time-out and a call are a reason to go on.
            let _ = timeout(LOOK, self.shared.removed.notified()).await;
        }
    }

    async fn clean_up_once(&self) -> Result<(), JournalError> {
        let settings = self.shared.settings;
        self.purge().await?;
        loop {
            let now = settings.clock.now();
            let expired = self.shared.journal.expired(settings.retention, now, BATCHES).await?;
            let mut has_removed = false;
            for id in expired {
                // Not while a next lap is started.
                let _one_at_a_time = self.shared.changing.lock().await;
                if !self.shared.batches.is_watched(id).await && self.shared.journal.remove(id).await? {
                    tracing::info!(batch = %id, "removed, because it is not kept any longer");
                    has_removed = true;
                    // Whether there is still too much can be told when this one is gone.
                    break;
                }
            }
            if !has_removed {
                return Ok(());
            }
            self.purge().await?;
        }
    }

    async fn purge(&self) -> Result<(), JournalError> {
        while self.shared.journal.purge().await? {
            tokio::time::sleep(BREATH).await;
        }
        Ok(())
    }
}
