//! The seam for events: a durable, ordered list of them for each batch.

use async_trait::async_trait;
use futures::stream::BoxStream;
use quilt::wire::DecodeError;
use quilt::{BatchId, Event, Launched, OwnerId, Summary};
use thiserror::Error;

/// Why the journal did not do what it was asked.
#[derive(Debug, Clone, Error)]
pub enum JournalError {
    /// The storage refused, for example because the disk is full. Nothing was written; trying again later may help.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// What is stored is not what this version writes.
    #[error("the journal of batch {batch} is damaged: {reason}")]
    Damaged {
        /// The batch whose journal it is.
        batch: BatchId,
        /// What is wrong.
        reason: Damage,
    },
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
    /// The first event is missing, or is no launch.
    #[error("it does not start with a launch")]
    NoLaunch,
}

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
pub struct Page {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Whether these were the last ones for now.
    pub caught_up: bool,
}

/// A batch in an owner's list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The batch.
    pub batch: BatchId,
    /// Where the list goes on behind this batch.
    pub cursor: u64,
    /// Its last state, where [`Journal::conclude`] noted one.
    pub conclusion: Option<Summary>,
}

/// A durable, ordered list of events for each batch.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// Starts the journal of a new batch. When it returns, the launch is durable.
    async fn create(&self, batch: BatchId, owner: OwnerId, launched: Launched) -> Result<Creation, JournalError>;

    /// Appends an event. When it returns, the event is durable. Unknown batches take no events, without an error:
    /// they were removed.
    async fn append(&self, batch: BatchId, event: Event) -> Result<(), JournalError>;

    /// All events of a batch from the first one on, and then those to come. Ends only with an error.
    fn follow(&self, batch: BatchId) -> BoxStream<'static, Result<Page, JournalError>>;

    /// Who launched a batch; `None` where there is no such batch.
    async fn owner(&self, batch: BatchId) -> Result<Option<OwnerId>, JournalError>;

    /// An owner's batches, newest first, at most `limit` of them, going on behind the cursor `after`.
    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<Listed>, JournalError>;

    /// The batches without a conclusion.
    async fn unfinished(&self) -> Result<Vec<BatchId>, JournalError>;

    /// Notes a batch's last state, so that nobody has to fold its journal to list it, or to learn that there is nothing
    /// to resume. Has no effect if a later lap has started.
    async fn conclude(&self, batch: BatchId, summary: Summary) -> Result<(), JournalError>;
}
