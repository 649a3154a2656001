//! Journal and cluster on NATS JetStream, for more than one process on more than one machine.
//!
//! # Layout
//!
//! - [`JetStream`]: the connection, checked, and its [`Options`]; [`ConnectError`]: why there is none
//! - `link`: whether there is a connection, and what it does not permit; `monitor`: checks the streams and makes them again
//! - `stores`: the streams and buckets, and what they hold; `set_up`: makes them; `names`: their names
//! - [`JetStreamJournal`]: events, one subject of a stream for each batch; `follow`: reads them; `feed`: the consumer that all followers of a node share; `bodies`: as bytes, in messages and beside them;
//!   `objects`: as version 0.1.0 stored the latter; `details`: what is stored of squares
//! - `index`: what is known of batches without their events, in key-value buckets; `read`, `batch_get`: read subjects, or many keys of a bucket
//! - [`JetStreamCluster`]: who coordinates which lap, and messages between nodes
//! - `calls`: what errors mean, and how long calls are retried; `upgrade`: what version 0.1.0 has left

mod batch_get;
mod bodies;
mod calls;
mod cluster;
mod connect;
mod details;
mod error;
mod feed;
mod follow;
mod index;
mod journal;
mod link;
mod monitor;
mod names;
mod node_name;
mod objects;
mod read;
mod set_up;
mod stores;
mod upgrade;

use std::sync::Arc;

use bytes::Bytes;

pub use self::cluster::JetStreamCluster;
pub use self::connect::{JetStream, Options};
pub use self::error::ConnectError;
pub use self::journal::JetStreamJournal;
use self::node_name::NodeName;
use crate::cluster::{Cluster, Messages};
use crate::journal::JournalError;

impl JetStream {
    /// The journal.
    #[must_use]
    pub fn journal(&self) -> JetStreamJournal {
        JetStreamJournal::new(self.stores.clone(), Arc::clone(&self.monitor))
    }

    /// What connects this process with other nodes, without a name of its own. Each call makes another node of it.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Self::as_cluster(JetStreamCluster::new(self.stores.clone()))
    }

    /// The same under a name that no other process has. It takes over the name of one that has ended, which takes a second.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NameTaken`] where another process has the name, after [`LEASE_TTL`](crate::dispatch::LEASE_TTL) and some seconds.
    pub async fn join(&self, name: &str) -> Result<Cluster, ConnectError> {
        let mut node = JetStreamCluster::new(self.stores.clone());
        let held = NodeName::hold(&self.stores, name, node.id());
        node.hold_name(self.stores.link.guard(held).await?);
        Ok(Self::as_cluster(node))
    }

    fn as_cluster(node: JetStreamCluster) -> Cluster {
        let node = Arc::new(node);
        Cluster { coordination: Arc::clone(&node) as _, messages: node }
    }

    /// Bytes that all nodes share under a name; the first one to ask decides which.
    ///
    /// # Errors
    ///
    /// Where the server does not answer.
    pub async fn shared(&self, name: &str, fresh: &[u8]) -> Result<Vec<u8>, JournalError> {
        let shared = self.stores.link.guard(calls::retry(|| async {
            match self.stores.settings.create(name, Bytes::copy_from_slice(fresh)).await {
                Ok(_) => Ok(fresh.to_vec()),
                Err(error) => match self.stores.settings.get(name).await {
                    Ok(Some(known)) => Ok(known.to_vec()),
                    _ => Err(calls::failed(error)),
                },
            }
        }));
        let shared = shared.await?;
        self.stores.remember_shared(name, &shared);
        Ok(shared)
    }
}
