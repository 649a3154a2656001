//! The storage interface. A backend implements each of its traits.
//!
//! # Layout
//!
//! - `event_log`: the events of batches, in order; `blobs`: other stored data of batches
//! - `sequence`: how far a journal has been read; `ending`: the end of a lap
//! - `catalog`: lists batches and stores their final summaries; `cleanup`: removes batches
//! - `error`: storage errors; `retry`: retries calls until the storage is available

mod blobs;
mod catalog;
mod cleanup;
mod ending;
mod error;
mod event_log;
mod retry;
mod sequence;

use async_trait::async_trait;
pub use quilt::Offset;

pub use self::blobs::{Blobs, SquareDetail};
pub use self::catalog::{BatchListItem, BatchMeta, Catalog, OpenBatch};
pub use self::cleanup::{Cleanup, Retention};
pub use self::ending::Ending;
pub use self::error::{Damage, JournalError, Stored};
pub use self::event_log::{Creation, EventLog, EventPage};
pub(crate) use self::retry::{RETRY_PAUSE, retry_while_unavailable};
pub use self::sequence::Sequence;

/// The complete storage of batches.
#[async_trait]
pub trait Journal: EventLog + Blobs + Catalog + Cleanup {
    /// Returns an error if new batches cannot be stored at this moment. It does not write to find out. Batches may still be readable.
    async fn health(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Completes accepted writes and closes the storage, if this process owns it: later calls then return [`JournalError::Closed`]. Storage
    /// that is shared with other nodes stays open.
    async fn close(&self) {}
}
