//! Deletes batches.

use std::time::Duration;

use async_trait::async_trait;
use quilt::BatchId;

use super::error::JournalError;

/// Limits for the retention of finished batches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Batches that finished longer ago than this are removed. `None` disables the limit.
    pub age: Option<Duration>,
    /// While the journal is larger than this, in bytes, batches are removed, those that finished first going first. `None` disables the
    /// limit.
    pub bytes: Option<u64>,
}

/// Removes batches and purges their data.
#[async_trait]
pub trait Cleanup: Send + Sync + 'static {
    /// Removes a batch that has a final summary. The batch is gone when this returns; [`Cleanup::purge`] frees its space. Returns `false`
    /// if the batch does not exist or has no final summary.
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError>;

    /// Up to `limit` batches that exceed the retention limits, ordered by the time at which they finished, without the first `skip` of
    /// them. Ages follow from the clock of the storage, at [`Catalog::finalize`](super::Catalog::finalize) and now. The clocks of nodes have no effect.
    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError>;

    /// Frees part of the space of removed batches, small enough not to block other writers. Returns `true` while there is more.
    async fn purge(&self) -> Result<bool, JournalError>;
}
