//! What a backend has to offer so that several nodes run the same batches.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::dispatch::{LapId, NodeId};
use crate::journal::JournalError;

/// What connects a node with the others.
#[derive(Clone)]
pub struct Cluster {
    /// Decides which node coordinates which lap.
    pub coordination: Arc<dyn Coordination>,
    /// Carries messages between nodes.
    pub messages: Arc<dyn Messages>,
}

/// Of all nodes that try to hold a lap, one does, until it gives it up or is silent for [`LEASE_TTL`](crate::dispatch::LEASE_TTL).
#[async_trait]
pub trait Coordination: Send + Sync + 'static {
    /// Makes this node the coordinator of a lap, or renews that it is. Returns the epoch, which is larger for a later coordinator of the lap and
    /// differs between laps; `None` if another node coordinates it.
    async fn acquire_or_renew(&self, lap: LapId) -> Result<Option<u64>, JournalError>;

    /// Those of some laps that no other node coordinates.
    async fn uncoordinated(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError>;

    /// This node does not coordinate the lap any more.
    async fn abandon(&self, lap: LapId);
}

/// Messages between nodes. They are not stored, and may be lost.
#[async_trait]
pub trait Messages: Send + Sync + 'static {
    /// Identifies this process.
    fn id(&self) -> NodeId;

    /// The most bytes in a message.
    fn max_bytes(&self) -> usize;

    /// Sends a message to all nodes, this one included.
    async fn broadcast(&self, message: Bytes);

    /// The messages that were sent to all nodes. Subscribes again by itself, and ends with the process.
    fn broadcasts(&self) -> BoxStream<'static, Bytes>;

    /// Sends a request to one node, and returns its reply.
    ///
    /// # Errors
    ///
    /// Where there is no reply within a few seconds.
    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, JournalError>;

    /// The requests that were sent to this node.
    fn requests(&self) -> BoxStream<'static, Incoming>;
}

/// A request from another node.
pub struct Incoming {
    /// The request.
    pub request: Bytes,
    /// Sends the reply.
    pub reply: Box<dyn FnOnce(Bytes) + Send>,
}
