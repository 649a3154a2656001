//! Requirements on the server, and errors of connecting.

use std::path::PathBuf;

use thiserror::Error;

use crate::journal::JournalError;

/// The oldest supported server, as major and minor version. It supports per-message TTLs.
pub(super) const OLDEST: (u32, u32) = (2, 11);

/// The minimum storage of the account, in bytes.
pub(super) const LEAST_STORAGE: i64 = 64 << 20;

/// The minimum of the server's `max_payload`, in bytes. Larger bodies are stored in parts.
pub(super) const LEAST_PAYLOAD: usize = 64 << 10;

/// Why connecting failed.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// An address cannot be read.
    #[error("{address:?} is no address of a NATS server: {reason}")]
    Address {
        /// The address.
        address: String,
        /// The reason.
        reason: String,
    },
    /// The file with credentials cannot be used.
    #[error("cannot use the NATS credentials {file}: {source}")]
    Credentials {
        /// The file.
        file: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// No server can be reached.
    #[error("cannot reach NATS at {servers}: {reason}")]
    Unreachable {
        /// The addresses, without passwords.
        servers: String,
        /// The error of the last attempt.
        reason: String,
    },
    /// No server accepts the connection.
    #[error("cannot connect to NATS at {servers}: {reason}")]
    Connect {
        /// The addresses, without passwords.
        servers: String,
        /// The error of the last attempt.
        reason: String,
    },
    /// The server is too old.
    #[error("the NATS server has version {found}; at least {}.{} is needed", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Its version.
        found: String,
    },
    /// JetStream is not enabled.
    #[error(
        "the NATS server has no JetStream for this account; start it with --jetstream, or enable it in its configuration"
    )]
    NoJetStream,
    /// The account has too little storage.
    #[error("the NATS account may store {found} bytes; at least {LEAST_STORAGE} are needed")]
    TooLittleStorage {
        /// The account's limit.
        found: i64,
    },
    /// The server's maximum message size is too small.
    #[error("the NATS server takes messages of {found} bytes; its max_payload has to be {LEAST_PAYLOAD} at least")]
    SmallMessages {
        /// The server's limit.
        found: usize,
    },
    /// A stream or bucket cannot be set up.
    #[error("cannot set up {what} on the NATS server: {reason}")]
    SetUp {
        /// The stream or bucket.
        what: &'static str,
        /// The error of the server.
        reason: String,
    },
    /// An existing stream cannot be changed as needed.
    #[error(
        "the stream {stream} on the NATS server cannot be used: {reason}. Delete it if nothing of it is needed, or choose other names with --nats-prefix"
    )]
    Unsuitable {
        /// The existing stream.
        stream: String,
        /// The reason.
        reason: String,
    },
    /// The server does not grant a permission that is needed, or a limit is exceeded.
    #[error("{reason}")]
    Refused {
        /// The missing permission or the limit, and what to do.
        reason: String,
    },
    /// Another process uses the name of this node.
    #[error(
        "another node runs under the name {name:?}, and the workers of both could not be told apart: choose another one with --name, or stop that node"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A node of version 0.1.0 is running. It distributes work in an incompatible way.
    #[error(
        "nodes of Quilt 0.1.0 are connected to this NATS server: stop all of them, and start this one again. It continues their batches"
    )]
    OldNodes,
    /// The prefix is invalid.
    #[error("the NATS prefix {0:?} is invalid: 1 to 32 letters, digits, `-` and `_` are allowed")]
    Prefix(String),
}

impl From<JournalError> for ConnectError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Refused(reason) => Self::Refused { reason },
            error => Self::SetUp { what: "the streams", reason: error.to_string() },
        }
    }
}
