//! What a server has to have, and why there is no connection to one.

use std::path::PathBuf;

use thiserror::Error;

use crate::journal::JournalError;

/// The oldest server that will do, as major and minor version: it lets single messages expire.
pub(super) const OLDEST: (u32, u32) = (2, 11);

/// The least storage that an account has to offer, in bytes.
pub(super) const LEAST_STORAGE: i64 = 64 << 20;

/// The smallest limit of a message's size, in bytes, that will do. Larger events go beside the messages.
pub(super) const LEAST_PAYLOAD: usize = 64 << 10;

/// Why there is no connection, or none that will do.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// An address cannot be read.
    #[error("{address:?} is no address of a NATS server: {reason}")]
    Address {
        /// The address.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file with credentials cannot be used.
    #[error("cannot use the NATS credentials {file}: {source}")]
    Credentials {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// No server can be reached.
    #[error("cannot reach NATS at {servers}: {reason}")]
    Unreachable {
        /// The addresses, without passwords.
        servers: String,
        /// What the last try met.
        reason: String,
    },
    /// No server lets us in.
    #[error("cannot connect to NATS at {servers}: {reason}")]
    Connect {
        /// The addresses, without passwords.
        servers: String,
        /// What the last try met.
        reason: String,
    },
    /// The server is too old.
    #[error("the NATS server has version {found}; at least {}.{} is needed", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Its version.
        found: String,
    },
    /// There is no JetStream.
    #[error(
        "the NATS server has no JetStream for this account; start it with --jetstream, or enable it in its configuration"
    )]
    NoJetStream,
    /// Too little can be stored.
    #[error("the NATS account may store {found} bytes; at least {LEAST_STORAGE} are needed")]
    TooLittleStorage {
        /// The account's limit.
        found: i64,
    },
    /// Messages are too small.
    #[error("the NATS server takes messages of {found} bytes; its max_payload has to be {LEAST_PAYLOAD} at least")]
    SmallMessages {
        /// The server's limit.
        found: usize,
    },
    /// A stream or bucket cannot be had as it has to be.
    #[error("cannot set up {what} on the NATS server: {reason}")]
    SetUp {
        /// The stream or bucket.
        what: &'static str,
        /// What the server says.
        reason: String,
    },
    /// A stream is there that cannot be changed to what is needed.
    #[error(
        "the stream {stream} on the NATS server cannot be used: {reason}. Delete it if nothing of it is needed, or choose other names with --nats-prefix"
    )]
    Unsuitable {
        /// The stream that was to be used.
        stream: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server does not permit what has to be done, or a limit is in the way.
    #[error("{reason}")]
    Refused {
        /// What it does not permit, and what to do.
        reason: String,
    },
    /// Another process runs under the name of this node.
    #[error(
        "another node runs under the name {name:?}, and the workers of both could not be told apart: choose another one with --name, or stop that node"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A node of version 0.1.0 is running, which hands out work in another way.
    #[error(
        "nodes of Quilt 0.1.0 are connected to this NATS server: stop all of them, and start this one again. It continues their batches"
    )]
    OldNodes,
    /// The prefix of all names cannot be used.
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
