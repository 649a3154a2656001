//! The event log of each batch.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use quilt::{BatchId, Event, Launched, Offset, OwnerId};

use super::blobs::SquareDetail;
use super::ending::Ending;
use super::error::JournalError;
use super::sequence::Sequence;

/// Whether [`EventLog::create`] made a new batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Creation {
    /// The batch was created.
    Created,
    /// The id exists already. Nothing was written.
    Exists,
}

/// Consecutive events.
#[derive(Debug, Clone, PartialEq)]
pub struct EventPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// The sequence of the journal after these events.
    pub sequence: Sequence,
    /// Whether the journal has no further events at this moment.
    pub caught_up: bool,
}

/// A durable, ordered event log for each batch.
#[async_trait]
pub trait EventLog: Send + Sync + 'static {
    /// Creates the journal of a batch and stores its input. Both are durable when this returns.
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError>;

    /// Appends consecutive events atomically, and stores details of squares. They are durable when this returns. Returns the sequence after
    /// them. If a square has several details, the one of the latest lap remains, and within a lap the first one.
    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError>;

    /// Appends the last events of a lap. A backend with transactions stores its final summary together with them, as
    /// [`Catalog::finalize`](super::Catalog::finalize) does; that is called later in any case.
    async fn append_ending(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        _ending: Ending,
    ) -> Result<Sequence, JournalError> {
        self.append(batch, events, details).await
    }

    /// Streams all events of a batch after an offset, and then new ones. A page may be empty. The stream ends only with an error:
    /// [`JournalError::Removed`] if the batch does not exist, or was removed.
    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>>;
}
