//! The interface to what is stored of batches. A backend implements each of its parts.
//!
//! # Layout
//!
//! - `event_log`: the events of batches, in order; `blobs`: what is stored besides them
//! - `catalog`: which batches there are, and how they ended; `cleanup`: their removal
//! - `error`: what can go wrong; `retry`: calls that are made again until the storage is back

mod blobs;
mod catalog;
mod cleanup;
mod error;
mod event_log;
mod retry;

use async_trait::async_trait;
pub use quilt::Offset;

pub use self::blobs::{Blobs, SquareDetail};
pub use self::catalog::{BatchListItem, BatchMeta, Catalog, OpenBatch};
pub use self::cleanup::{Cleanup, Retention};
pub use self::error::{Damage, JournalError, Stored};
pub use self::event_log::{Creation, EventLog, EventPage, Sequence};
pub(crate) use self::retry::{RETRY_PAUSE, retry_while_unavailable};

/// Everything that is stored of batches.
#[async_trait]
pub trait Journal: EventLog + Blobs + Catalog + Cleanup {
    /// Returns an error if new batches cannot be stored at this moment, as far as that is known without a write. Batches may be readable all the same.
    async fn health(&self) -> Result<(), JournalError> {
        Ok(())
    }

    /// Completes the writes that were accepted and closes the storage, if it belongs to this process: later calls then return
    /// [`JournalError::Closed`]. Storage that other nodes use stays open.
    async fn close(&self) {}
}
