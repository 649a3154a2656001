//! Journal and cluster on NATS JetStream, for several processes on several machines.
//!
//! # Layout
//!
//! - [`JetStream`]: the checked connection; [`Options`]: how to connect; [`ConnectError`]: why connecting failed
//! - `link`: the state of the connection and missing permissions; `monitor`: checks the streams and restores them
//! - `stores`: the streams and buckets; `set_up`: creates them; `names`: their names
//! - [`JetStreamJournal`]: events, one subject of a stream per batch; `follow`: reads them; `feed`: the consumer that all followers of a
//!   node share; `cleanup`: removes batches; `bodies`: encoded events, in messages or in parts; `objects`: bodies of version 0.1.0; `details`: details of squares
//! - `index`: metadata of batches in key-value buckets; `read`, `batch_get`: read subjects, or many keys of a bucket
//! - [`JetStreamCluster`]: coordination of laps, and messages between nodes; `node_name`: unique names of nodes
//! - `calls`: maps errors and retries calls; `upgrade`: deletes data of version 0.1.0

mod batch_get;
mod bodies;
mod calls;
mod cleanup;
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

    /// The connection of this process to other nodes, without a registered name. Each call creates another node.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Self::as_cluster(JetStreamCluster::new(self.stores.clone()))
    }

    /// The same with a registered name, which no other process can use at the same time. Taking over the name of an ended process takes a
    /// second.
    ///
    /// # Errors
    ///
    /// [`ConnectError::NameTaken`] if another process uses the name, after [`LEASE_TTL`](crate::dispatch::LEASE_TTL) and some seconds.
    pub async fn join(&self, name: &str) -> Result<Cluster, ConnectError> {
        let mut node = JetStreamCluster::new(self.stores.clone());
        let held = Box::pin(NodeName::hold(&self.stores, name, node.id()));
        node.hold_name(self.stores.link.guard(held).await?);
        Ok(Self::as_cluster(node))
    }

    fn as_cluster(node: JetStreamCluster) -> Cluster {
        let node = Arc::new(node);
        Cluster { coordination: Arc::clone(&node) as _, messages: node }
    }

    /// A value that all nodes share. The first call for a name stores `fresh`.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
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
