//! Why a tool did not do what it was asked.

use std::path::PathBuf;

use quilt::{Quilt, Status};
use thiserror::Error;

use crate::serve_error::ServeError;

/// Why a tool did not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum ToolError {
    /// The server, or the engine here, has refused.
    #[error("{0}")]
    Refused(String),
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be used.
    #[error("cannot use {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// The folder is another process's.
    #[error("another quilt uses the folder {0}; --folder takes another one")]
    InUse(PathBuf),
    /// The server does not answer as it should.
    #[error("the server at {url} cannot be asked: {reason}")]
    Unreachable { url: String, reason: String },
    /// A command has written more than is kept.
    #[error("some commands wrote more than is kept of it, 60 KiB each; let them write into files")]
    Truncated,
    /// The engine does not start here.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// Standard output was closed, or the terminal is gone.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All is done.
    Done,
    /// Some of it has failed, or was stopped.
    Failed,
    /// Wrong use.
    Usage,
    /// Interrupted; what was done is kept.
    Interrupted,
}

impl Ended {
    /// How a batch has ended that is over.
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
    /// How a tool has ended with this.
    pub(crate) fn ended(&self) -> Ended {
        match self {
            Self::Refused(_) | Self::Usage(_) => Ended::Usage,
            _ => Ended::Failed,
        }
    }
}
