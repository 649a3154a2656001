//! The interface that a backend implements so that several nodes can run the same batches.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::dispatch::{LapId, NodeId};
use crate::journal::JournalError;

/// The connection of a node to the other nodes.
#[derive(Clone)]
pub struct Cluster {
    /// Decides which node coordinates which lap.
    pub coordination: Arc<dyn Coordination>,
    /// Carries messages between nodes.
    pub messages: Arc<dyn Messages>,
}

/// Elects a coordinator for each lap. A node remains the coordinator until it abandons the lap, or does not renew for
/// [`LEASE_TTL`](crate::dispatch::LEASE_TTL).
#[async_trait]
pub trait Coordination: Send + Sync + 'static {
    /// Makes this node the coordinator of a lap, or renews its coordination. Returns the epoch, which is larger for a later coordinator of
    /// the lap and differs between laps; `None` if another node coordinates it.
    async fn acquire_or_renew(&self, lap: LapId) -> Result<Option<u64>, JournalError>;

    /// The laps that no other node coordinates.
    async fn uncoordinated(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError>;

    /// Gives up the coordination of a lap.
    async fn abandon(&self, lap: LapId);
}

/// Messages between nodes. They are not stored, and may be lost.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Identifies this process.
    fn id(&self) -> NodeId;

    /// Maximum size of a message in bytes.
    fn max_bytes(&self) -> usize;

    /// Sends a message to all nodes, this one included.
    async fn broadcast(&self, message: Bytes);

    /// Subscribes to the messages that are sent to all nodes. The stream reconnects by itself, and ends with the process.
    fn broadcasts(&self) -> BoxStream<'static, Bytes>;

    /// Sends a request to one node, and returns its reply.
    ///
    /// # Errors
    ///
    /// If there is no reply within a few seconds.
    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, JournalError>;

    /// Subscribes to the requests that are sent to this node.
    fn requests(&self) -> BoxStream<'static, Incoming>;
}

/// A request from another node.
pub struct Incoming {
    /// The request.
    pub request: Bytes,
    /// Sends the reply.
    pub reply: Box<dyn FnOnce(Bytes) + Send>,
}
