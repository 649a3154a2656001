//! What is stored of batches besides their events.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use quilt::{BatchId, Index};

use super::error::JournalError;

/// What is kept of a task besides its outcome, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquareDetail {
    /// The square.
    pub index: Index,
    /// The lap in which the task ran.
    pub lap: u32,
    /// The detail, encoded.
    pub body: Bytes,
}

/// The inputs of batches, and the details of squares. They are written together with events: see [`EventLog`](super::EventLog).
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// The input that a batch was created with.
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError>;

    /// The details of those squares of a range that have any, in the order of the squares.
    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError>;
}
