//! Stored data of batches other than their events.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use quilt::{BatchId, Index};

use super::error::JournalError;

/// The stored detail of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SquareDetail {
    /// The square.
    pub index: Index,
    /// The lap in which the task ran.
    pub lap: u32,
    /// The encoded detail.
    pub body: Bytes,
}

/// The inputs of batches and the details of squares. They are written together with events; see [`EventLog`](super::EventLog).
#[async_trait]
pub trait Blobs: Send + Sync + 'static {
    /// The input that a batch was launched with.
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError>;

    /// The size of that input in bytes, found without reading the input.
    async fn input_size(&self, batch: BatchId) -> Result<Option<u64>, JournalError>;

    /// The details in a range of squares, in the order of the squares. Squares without a detail are skipped.
    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError>;
}
