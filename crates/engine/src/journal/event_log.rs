//! The events of batches.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use quilt::{BatchId, Event, Launched, Offset, OwnerId};
use serde::{Deserialize, Serialize};

use super::blobs::SquareDetail;
use super::error::JournalError;

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
    pub sequence: Sequence,
    /// Whether these were the last ones for now.
    pub caught_up: bool,
}

/// A durable, ordered list of events for each batch.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Starts the journal of a new batch, and keeps its input. When it returns, both are durable.
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError>;

    /// Appends some events in a row, all or none of them, and keeps details of squares. When it returns, they are durable, and the journal goes
    /// as far as the returned sequence. Of two details of a square that of the later lap is kept, and in the same lap the first one.
    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError>;

    /// All events of a batch behind an offset, and then those to come. A page may be empty. Ends only with an error;
    /// with [`JournalError::Removed`] where there is no such batch, or none any more.
    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>>;
}
