//! Sends requests to other nodes.

use super::interface::Messages;
use super::messages::{Reply, Request};
use crate::dispatch::NodeId;

/// Sends a request to another node. Returns its reply, or `None` if there is none or it cannot be read.
pub(crate) async fn ask(messages: &dyn Messages, to: NodeId, request: &Request) -> Option<Reply> {
    let request = serde_json::to_vec(request).ok()?;
    match messages.request(to, request.into()).await {
        Ok(reply) => serde_json::from_slice(&reply).ok(),
        Err(error) => {
            tracing::debug!(node = %to, %error, "a request to another node has no reply");
            None
        }
    }
}
