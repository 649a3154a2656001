//! What can go wrong with what is stored.

use quilt::wire::DecodeError;
use quilt::{BatchId, Index};
use thiserror::Error;

/// Why the journal did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum JournalError {
    /// The storage refused, for example because the disk is full, or did not answer in time. Trying again later may help, and
    /// changes nothing if what was asked has been done after all.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// The storage refused for a reason that does not pass by itself: a limit, a permission, no space. Trying again does not help until
    /// somebody corrects that.
    #[error("the journal refuses this: {0}")]
    Refused(String),
    /// What is stored is not what this version writes.
    #[error("the journal of batch {batch} is damaged: {reason}")]
    Damaged {
        /// The batch whose journal it is.
        batch: BatchId,
        /// What is wrong.
        reason: Damage,
    },
    /// The storage itself cannot be read.
    #[error("the journal's file is damaged: {0}")]
    Corrupt(String),
    /// There is no such batch, or none any more.
    #[error("there is no such batch")]
    Removed,
    /// The journal was closed because the process is ending.
    #[error("the journal is closed")]
    Closed,
}

/// What is wrong with a stored journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Damage {
    /// An event cannot be read.
    #[error("{0}")]
    Event(#[from] DecodeError),
    /// A receipt was written for other results.
    #[error("its results are not those of its last receipt")]
    Receipt,
    /// The first event is missing, or is no launch.
    #[error("it does not start with a launch")]
    NoLaunch,
    /// A value was changed after it was written.
    #[error("{0} does not match its checksum")]
    Checksum(Stored),
    /// A value that was written is not there.
    #[error("{0} is missing")]
    Missing(Stored),
}

/// A value that is stored of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Stored {
    /// Its row in the table of batches.
    #[error("its row in the table of batches")]
    Record,
    /// An event, counted from 0.
    #[error("event {0}")]
    Event(u64),
    /// The events in a message of a stream, by the message's sequence number.
    #[error("message {0}")]
    Message(u64),
    /// The detail of a square.
    #[error("the detail of square {}", .0.0)]
    Detail(Index),
    /// The set of squares that have a detail, as far as it includes a square.
    #[error("the set of details at square {}", .0.0)]
    DetailSet(Index),
    /// The input.
    #[error("its input")]
    Input,
}
