//! Events and frames as bytes.
//!
//! One codec serves the journal and the channel. Numbers are LEB128 varints; settlements are runs along the order,
//! where a square that follows its predecessor costs its three bytes of color and nothing else.
//!
//! A decoder never trusts a length: it reads what is there, checks every number against what the domain allows,
//! and answers with a [`DecodeError`].
//!
//! # Layout
//!
//! - `bytes`: varints, texts and the reader that cannot run past the end
//! - `event`: what a journal stores; `launched`, `lap` and `attempts`: parts of it
//! - `snapshot`: a whole quilt; `summary`: how it stands, without its squares
//! - `frame`: what the channel carries

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

/// Bytes that no encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before what they announced.
    #[error("the message ends too early")]
    Truncated,
    /// There are bytes behind the end of the message.
    #[error("the message goes on behind its end")]
    TrailingBytes,
    /// A journal of a version that is not known here.
    #[error("the journal has version {0}, and this program reads versions up to 2")]
    UnknownVersion(u64),
    /// A launch whose description is not as this version writes it: it may be one of a later version.
    #[error("the description of the batch has members that this program does not know, or is damaged")]
    UnknownSpec,
    /// The first byte names no kind of message of this version.
    #[error("unknown kind of message: {0}")]
    UnknownKind(u8),
    /// A member has a value that the domain does not allow.
    #[error("{0} is out of range")]
    OutOfRange(&'static str),
}
