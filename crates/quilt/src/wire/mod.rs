//! The encoding of events and frames.
//!
//! The journal and the channel to viewers use the same codec. Numbers are LEB128 varints. Settlements are runs along the order, in which a
//! square that follows its predecessor takes only the three bytes of its color.
//!
//! A decoder never trusts a length. It reads at most the bytes that exist, checks all numbers against the limits of the domain, and returns
//! a [`DecodeError`] otherwise.
//!
//! # Layout
//!
//! - `bytes`: varints, texts and a bounds-checked reader
//! - `event`: the events of a journal; `launched`, `lap`, `attempts` and `reasons`: parts of it
//! - `snapshot`: a whole quilt; `summary`: a batch without its squares
//! - `frame`: the messages of the channel

mod attempts;
mod bytes;
mod event;
mod frame;
mod lap;
mod launched;
mod reasons;
mod snapshot;
mod summary;

pub use summary::{decode_summary, encode_summary};
use thiserror::Error;

pub use launched::{MAX_SPEC, spec_bytes};

pub use event::{FramedEvent, decode_event, encode_event, put_framed_event};
pub use frame::{
    Assembler, ClientFrame, Load, MAX_MESSAGE, MAX_NODES, MAX_RUNNING, NodeLoad, Running, ServerFrame, messages,
};

/// Bytes that no encoder of this version wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end too early.
    #[error("the message ends too early")]
    Truncated,
    /// There are bytes after the end of the message.
    #[error("the message goes on behind its end")]
    TrailingBytes,
    /// The version of the journal is unknown.
    #[error("the journal has version {0}, and this program reads versions up to 2")]
    UnknownVersion(u64),
    /// The spec of the launch cannot be decoded. A later version may have written it.
    #[error("the description of the batch has members that this program does not know, or is damaged")]
    UnknownSpec,
    /// The kind of the message is unknown.
    #[error("unknown kind of message: {0}")]
    UnknownKind(u8),
    /// The value of a member is out of range.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}
