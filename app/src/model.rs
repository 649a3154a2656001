//! What the server hands to pages.

use quilt::{BatchId, Summary, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A batch as a page first sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchView {
    /// The batch.
    pub id: BatchId,
    /// Whether this visitor launched it, and so may control it.
    pub is_own: bool,
    /// How it stands.
    pub summary: Summary,
    /// The server's clock.
    pub now: Timestamp,
}

/// Why what a visitor asked for was not done, in a sentence for the visitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Error)]
pub enum ActionError {
    /// There is no such batch.
    #[error("There is no batch here. It may have been removed, or the link is not complete.")]
    NotFound,
    /// The request was refused for this reason.
    #[error("{0}")]
    Refused(String),
    /// The server did not answer, or not in a way that this page understands.
    #[error("The server could not be asked: {0}")]
    Transport(String),
}
