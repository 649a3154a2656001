//! The removal of batches.

use std::time::Duration;

use async_trait::async_trait;
use quilt::BatchId;

use super::error::JournalError;

/// What is kept of batches that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those that were over longer ago are removed; none for their age if there is nothing here.
    pub age: Option<Duration>,
    /// While the journal is larger, in bytes, those that were over first are removed; none for its size if there is nothing here.
    pub bytes: Option<u64>,
}

/// Removes batches, and frees what they took.
#[async_trait]
pub trait Cleanup: Send + Sync + 'static {
    /// Removes a batch that has a final summary, and is gone when this returns; what it took is given back by [`Journal::purge`]. `false` where
    /// it has none, or is not there.
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError>;

    /// Up to `limit` batches that retention has no place for, those first that were over first, without the first `skip` of them. How old a batch is
    /// follows from the clock of the storage, at [`Journal::finalize`] and now, and from no clock of a node.
    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError>;

    /// Gives back a part of what removed batches took, small enough to hold up nobody. `true` while there is more.
    async fn purge(&self) -> Result<bool, JournalError>;
}
