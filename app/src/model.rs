//! What server functions hand to pages.

use leptos::server_fn::codec::JsonEncoding;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
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
    /// Whether the squares came with the page; otherwise the channel's first frame brings them.
    pub has_squares: bool,
}

/// This visitor's batches, the newest ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchList {
    /// The batches, newest first.
    pub batches: Vec<(BatchId, Summary)>,
    /// The server's clock.
    pub now: Timestamp,
}

/// Why a server function did not do what it was asked, in a sentence for the visitor.
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

impl FromServerFnError for ActionError {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        // On the server, these are faults of what was sent.
        #[cfg(feature = "ssr")]
        if let ServerFnErrorErr::Args(reason)
        | ServerFnErrorErr::Deserialization(reason)
        | ServerFnErrorErr::MissingArg(reason) = error
        {
            return crate::server::refuse(axum::http::StatusCode::BAD_REQUEST, reason);
        }
        Self::Transport(error.to_string())
    }
}
