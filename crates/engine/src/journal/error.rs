//! Errors of the storage.

use quilt::wire::DecodeError;
use quilt::{BatchId, Index};
use thiserror::Error;

/// Why a call to the journal failed.
#[derive(Debug, Clone, Error)]
pub enum JournalError {
    /// The storage failed, for example because the disk is full, or timed out. The call may be retried, and is idempotent if the first one
    /// took effect after all.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// The storage refused for a reason that persists: a limit, a permission, no space. Retries fail until an operator corrects it.
    #[error("the journal refuses this: {0}")]
    Refused(String),
    /// The stored data is not in the format of this version.
    #[error("the journal of batch {batch} is damaged: {reason}")]
    Damaged {
        /// The batch of this journal.
        batch: BatchId,
        /// The defect.
        reason: Damage,
    },
    /// The storage itself cannot be read.
    #[error("the journal's file is damaged: {0}")]
    Corrupt(String),
    /// The batch does not exist, or has been removed.
    #[error("there is no such batch")]
    Removed,
    /// The journal was closed because the process is ending.
    #[error("the journal is closed")]
    Closed,
}

/// A defect of a stored journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// An event cannot be read.
    #[error("{0}")]
    Event(#[from] DecodeError),
    /// The receipt does not match the results.
    #[error("its results are not those of its last receipt")]
    Receipt,
    /// The first event is missing, or is not a launch.
    #[error("it does not start with a launch")]
    NoLaunch,
    /// A value was changed after it was written.
    #[error("{0} does not match its checksum")]
    Checksum(Stored),
    /// A stored value is missing.
    #[error("{0} is missing")]
    Missing(Stored),
}

/// A stored value of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Stored {
    /// Its row in the table of batches.
    #[error("its row in the table of batches")]
    Record,
    /// An event, counted from 0.
    #[error("event {0}")]
    Event(u64),
    /// A message of a stream, which contains events, by its sequence number.
    #[error("message {0}")]
    Message(u64),
    /// The detail of a square.
    #[error("the detail of square {}", .0.0)]
    Detail(Index),
    /// The set of squares with a detail, at a square.
    #[error("the set of details at square {}", .0.0)]
    DetailSet(Index),
    /// The input.
    #[error("its input")]
    Input,
}
