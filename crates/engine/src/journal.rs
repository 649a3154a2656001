//! The seam for events: a durable, ordered list of them for each batch.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
pub use quilt::Offset;
use quilt::wire::DecodeError;
use quilt::{BatchId, Event, Index, Launched, OwnerId, Receipt, Summary};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How long to wait before a journal that is not available is asked again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_secs(1);

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

/// How far a batch's journal goes, as those who keep it count: larger the further it goes, and not to be compared with that of another batch.
/// How many events there are is told by an [`Offset`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sequence(pub u64);

/// Whether [`Journal::create`] made a new batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// It did.
    Created,
    /// There is one of that id already; nothing was written.
    Exists,
}

/// Some events in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// How far the journal goes with them.
    pub mark: Sequence,
    /// Whether these were the last ones for now.
    pub caught_up: bool,
}

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

/// A batch in an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchListItem {
    /// The batch.
    pub batch: BatchId,
    /// Where the list goes on behind this batch.
    pub cursor: u64,
    /// Its last state, where [`Journal::finalize`] noted one.
    pub conclusion: Option<Summary>,
}

/// A batch without a conclusion.
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
    /// Whether it has a conclusion, so that there are no other receipts.
    pub is_finalized: bool,
}

/// What is kept of batches that are over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those that were over longer ago are removed; none for their age if there is nothing here.
    pub age: Option<Duration>,
    /// While the journal is larger, in bytes, those that were over first are removed; none for its size if there is nothing here.
    pub bytes: Option<u64>,
}

/// A durable, ordered list of events for each batch.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Starts the journal of a new batch, and keeps its input. When it returns, both are durable.
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError>;

    /// Appends some events in a row, all or none of them, and keeps details of squares. When it returns, they are durable, and the journal goes
    /// as far as the mark. Of two details of a square that of the later lap is kept, and in the same lap the first one.
    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError>;

    /// The input that a batch was created with.
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError>;

    /// The details of those squares of a range that have any, in the order of the squares.
    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError>;

    /// All events of a batch behind an offset, and then those to come. A page may be empty. Ends only with an error;
    /// with [`JournalError::Removed`] where there is no such batch, or none any more.
    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>>;

    /// What is known of a batch without its events; `None` where there is no such batch.
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError>;

    /// An owner's batches, newest first, at most `limit` of them, going on behind the cursor `after`.
    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError>;

    /// The batches without a conclusion.
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

    /// Removes a batch that has a conclusion, and is gone when this returns; what it took is given back by [`Journal::purge`]. `false` where
    /// it has none, or is not there.
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError>;

    /// Up to `limit` batches that retention has no place for, those first that were over first, without the first `skip` of them. How old a batch is
    /// follows from the clock of the storage, at [`Journal::finalize`] and now, and from no clock of a node.
    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError>;

    /// Gives back a part of what removed batches took, small enough to hold up nobody. `true` while there is more.
    async fn purge(&self) -> Result<bool, JournalError>;

    /// Returns an error if new batches cannot be stored at this moment, as far as that is known without a write. Batches may be readable all the same.
    async fn health(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Completes the writes that were accepted and closes the storage, if it belongs to this process: later calls then return
    /// [`JournalError::Closed`]. Storage that other nodes use stays open.
    async fn close(&self) {}
}

/// Asks the journal again and again while it is not available. A refusal is logged and tried again as well: what has been done must not be lost
/// before somebody has corrected the reason.
///
/// # Errors
///
/// Whatever else it answers with.
pub(crate) async fn retry_while_unavailable<T, F>(mut ask: impl FnMut() -> F) -> Result<T, JournalError>
where
    F: Future<Output = Result<T, JournalError>>,
{
    let mut is_logged = false;
    loop {
        match ask().await {
            Err(JournalError::Unavailable(reason)) => {
                tracing::debug!(reason, "the journal is not available; trying again");
            }
            Err(JournalError::Refused(reason)) => {
                if !std::mem::replace(&mut is_logged, true) {
                    tracing::error!(
                        reason,
                        "the journal refuses something that has to be stored; trying again until it does not"
                    );
                }
            }
            answer => return answer,
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}
