//! Errors and exit statuses of the command-line tools.

use std::path::PathBuf;

use quilt::{Quilt, Status};
use thiserror::Error;

use crate::serve_error::ServeError;

/// Why a tool failed.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    /// The server refused the request.
    #[error("{0}")]
    Refused(String),
    /// The options are invalid.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be used.
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// Another process uses the folder.
    #[error("another quilt uses the folder {0}; --folder takes another one")]
    InUse(PathBuf),
    /// The server is unreachable, or its response is invalid.
    #[error("the server at {url} cannot be asked: {reason}")]
    Unreachable { url: String, reason: String },
    /// The stored output of some commands is truncated.
    #[error("some commands wrote more than is kept of it, 60 KiB each; let them write into files")]
    Truncated,
    /// The local server failed.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Standard output or the terminal is closed.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// How a tool ended. Determines the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Success.
    Done,
    /// Some tasks failed, or the batch was cancelled, or there was another error.
    Failed,
    /// Invalid options, or a refused request.
    Usage,
    /// Interrupted by a signal. The results so far are stored.
    Interrupted,
}

impl Ended {
    /// The result for a finished or cancelled batch.
    pub(crate) fn of(quilt: &Quilt) -> Self {
        let all_done = quilt.status() == Status::Finished && quilt.progress().failed == 0;
        if all_done { Self::Done } else { Self::Failed }
    }

    /// The exit status of the process.
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
        }
    }
}

impl ToolError {
    /// The result for this error.
    pub(crate) fn ended(&self) -> Ended {
        match self {
            Self::Refused(_) | Self::Usage(_) => Ended::Usage,
            _ => Ended::Failed,
        }
    }
}
