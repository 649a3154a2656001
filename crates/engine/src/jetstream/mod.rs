//! Both seams on NATS JetStream, for more than one process on more than one machine.
//!
//! # Layout
//!
//! - [`JetStream`]: the connection, checked, and its [`Options`]; [`ConnectError`]: why there is none
//! - `stores`: the streams and buckets, and what they hold
//! - [`JetStreamJournal`]: events, one subject of a stream for each batch; `follow`: reads them; `bodies`: as bytes, in messages and beside them
//! - `index`: what is known of batches without their events, in key-value buckets; `read`: reads a subject, or many keys of a bucket
//! - [`JetStreamQueue`]: leases in a work queue, and the keepers of laps; `nodes`: what nodes tell each other
//! - `trouble`: what errors mean, and how long calls go on trying

mod bodies;
mod connect;
mod details;
mod error;
mod follow;
mod index;
mod journal;
mod nodes;
mod queue;
mod read;
mod stores;
mod trouble;

use bytes::Bytes;

pub use self::connect::{JetStream, Options};
pub use self::error::ConnectError;
pub use self::journal::JetStreamJournal;
pub use self::queue::JetStreamQueue;
use crate::journal::JournalError;

impl JetStream {
    /// The journal's side of it.
    #[must_use]
    pub fn journal(&self) -> JetStreamJournal {
        JetStreamJournal::new(self.stores.clone())
    }

    /// The queue's side of it.
    #[must_use]
    pub fn queue(&self) -> JetStreamQueue {
        JetStreamQueue::new(self.stores.clone())
    }

    /// Bytes that all nodes share under a name; the first one to ask decides which.
    ///
    /// # Errors
    ///
    /// Where the server does not answer.
    pub async fn shared(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError> {
        trouble::keep_trying(|| async {
            match self.stores.settings.create(name, Bytes::copy_from_slice(fresh)).await {
                Ok(_) => Ok(fresh.to_vec()),
                Err(error) => match self.stores.settings.get(name).await {
                    Ok(Some(known)) => Ok(known.to_vec()),
                    _ => Err(trouble::unavailable(error)),
                },
            }
        })
        .await
    }
}
