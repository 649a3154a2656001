//! Lists batches and stores their final summaries.

use async_trait::async_trait;
use quilt::{BatchId, OwnerId, Receipt, Summary};

use super::error::JournalError;

/// A batch in an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchListItem {
    /// The batch.
    pub batch: BatchId,
    /// The cursor to continue the list after this batch.
    pub cursor: u64,
    /// The final summary, if [`Catalog::finalize`] has stored one.
    pub final_summary: Option<Summary>,
}

/// A batch without a final summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBatch {
    /// The batch.
    pub batch: BatchId,
    /// The session that launched it.
    pub owner: OwnerId,
    /// The last lap that started.
    pub lap: u32,
    /// The number of its squares; 0 if its launch cannot be read.
    pub squares: u32,
}

/// The metadata of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMeta {
    /// The session that launched it.
    pub owner: OwnerId,
    /// The stored receipts, in the order of their laps.
    pub receipts: Vec<Receipt>,
    /// Whether it has a final summary. If so, `receipts` is complete.
    pub is_finalized: bool,
}

/// Access to batches without reading their events.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// The metadata of a batch; `None` if there is no such batch.
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError>;

    /// Up to `limit` batches of an owner, newest first, after the cursor `after`.
    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError>;

    /// The batches without a final summary.
    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError>;

    /// Stores the final summary of a batch, so that listing it or checking for unfinished laps does not require reading its journal; and
    /// the receipts of its laps. The summary has no effect if a lap after `lap` has started.
    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError>;
}
