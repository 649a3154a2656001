//! Whether the engine can accept batches.

use super::shared::Engine;
use crate::journal::JournalError;

impl Engine {
    /// Returns an error if batches cannot be stored at this moment. Launches fail with the same error.
    ///
    /// # Errors
    ///
    /// If the journal is not available.
    pub async fn health(&self) -> Result<(), JournalError> {
        self.shared.journal.health().await
    }
}
