//! Errors of `quilt serve` and `quilt work`.

use std::net::SocketAddr;
use std::path::PathBuf;

use engine::JournalError;
use engine::embedded::OpenError;
use engine::jetstream::ConnectError;
use thiserror::Error;

use crate::config::ConfigError;
use crate::session::KeyError;

/// Why a node did not start, or stopped.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot start the runtime: {0}")]
    Runtime(std::io::Error),
    #[error("cannot use the data folder {folder}: {source}")]
    Data { folder: PathBuf, source: std::io::Error },
    #[error("another server uses the data folder {folder}; --data takes another one")]
    InUse { folder: PathBuf },
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("cannot listen at {addr}: {source}; --addr takes another address, and port 0 a free one")]
    Bind { addr: SocketAddr, source: std::io::Error },
    #[error("the server ended: {0}")]
    Serve(std::io::Error),
}
