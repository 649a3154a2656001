//! Which batches there are, and how they ended.

use async_trait::async_trait;
use quilt::{BatchId, OwnerId, Receipt, Summary};

use super::error::JournalError;

/// A batch in an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchListItem {
    /// The batch.
    pub batch: BatchId,
    /// Where the list goes on behind this batch.
    pub cursor: u64,
    /// Its last state, where [`Journal::finalize`] noted one.
    pub final_summary: Option<Summary>,
}

/// A batch without a final summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBatch {
    /// The batch.
    pub batch: BatchId,
    /// Who launched it.
    pub owner: OwnerId,
    /// The last lap that was started.
    pub lap: u32,
    /// How many squares it has; 0 where its launch cannot be read.
    pub squares: u32,
}

/// What is known of a batch without its events.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchMeta {
    /// Who launched it.
    pub owner: OwnerId,
    /// The receipts that were noted, in the order of their laps.
    pub receipts: Vec<Receipt>,
    /// Whether it has a final summary, so that there are no other receipts.
    pub is_finalized: bool,
}

/// Finds batches without reading their events.
#[async_trait]
pub trait Catalog: Send + Sync + 'static {
    /// What is known of a batch without its events; `None` where there is no such batch.
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError>;

    /// An owner's batches, newest first, at most `limit` of them, going on behind the cursor `after`.
    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError>;

    /// The batches without a final summary.
    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError>;

    /// Notes a batch's last state, so that nobody has to fold its journal to list it, or to learn that there is nothing
    /// to resume; and the receipts of its laps. The state has no effect if a lap after `lap` has started.
    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError>;
}
