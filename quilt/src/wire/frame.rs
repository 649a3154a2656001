//! What the channel between a server and a page carries.

use super::DecodeError;
use super::bytes::{Reader, put_optional, put_varint};
use super::event::{put_event, read_event};
use super::snapshot::{put_quilt, read_quilt};
use crate::event::{Event, Timestamp};
use crate::state::{MAX_CONTROLS, MAX_LAPS, Quilt, Step};

const HELLO: u8 = 1;
const ACK: u8 = 2;

const SNAPSHOT: u8 = 1;
const DELTA: u8 = 2;
const STATUS: u8 = 3;

/// From the page to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame: what the page has seen, or `None` for nothing.
    Hello {
        /// The step of the page's quilt.
        from: Option<Step>,
    },
    /// The page has folded everything up to this step.
    Ack {
        /// The step of the page's quilt.
        step: Step,
    },
}

/// What the workers are doing, beside the quilt itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The server's clock, so that a page can tell how long a batch has run.
    pub now: Timestamp,
    /// The workers there are.
    pub workers: u32,
    /// Those that run this batch just now.
    pub busy: u32,
    /// Those that are lost to attempts, of any batch, which do not stop though their time is over.
    pub stuck: u32,
}

/// From the server to the page.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerFrame {
    /// The quilt as it stands; replaces what the page has.
    Snapshot(Box<Quilt>),
    /// What came after a step.
    Delta {
        /// The step that the events follow.
        from: Step,
        /// To be folded in this order.
        events: Vec<Event>,
    },
    /// Comes at least every few seconds, so that silence means a dead connection.
    Status(Load),
}

impl ClientFrame {
    /// The frame as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(11);
        match self {
            Self::Hello { from } => {
                out.push(HELLO);
                put_optional(&mut out, from.map(|step| step.0));
            }
            Self::Ack { step } => {
                out.push(ACK);
                put_varint(&mut out, step.0);
            }
        }
        out
    }

    /// The frame that [`ClientFrame::encode`] wrote.
    ///
    /// # Errors
    ///
    /// Whatever else the bytes are is a [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.byte()? {
            HELLO => Self::Hello { from: reader.optional("a step")?.map(Step) },
            ACK => Self::Ack { step: reader.step()? },
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        reader.finish()?;
        Ok(frame)
    }
}

impl ServerFrame {
    /// The frame as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Snapshot(quilt) => Self::encode_snapshot(quilt),
            Self::Delta { from, events } => {
                let mut out = vec![DELTA];
                put_varint(&mut out, from.0);
                put_varint(&mut out, events.len() as u64);
                for event in events {
                    put_event(&mut out, event);
                }
                out
            }
            Self::Status(load) => {
                let mut out = vec![STATUS];
                put_varint(&mut out, load.now.0);
                put_varint(&mut out, u64::from(load.workers));
                put_varint(&mut out, u64::from(load.busy));
                put_varint(&mut out, u64::from(load.stuck));
                out
            }
        }
    }

    /// A [`ServerFrame::Snapshot`] as bytes, without a copy of the quilt.
    #[must_use]
    pub fn encode_snapshot(quilt: &Quilt) -> Vec<u8> {
        let mut out = vec![SNAPSHOT];
        put_quilt(&mut out, quilt);
        out
    }

    /// The frame that [`ServerFrame::encode`] wrote.
    ///
    /// # Errors
    ///
    /// Whatever else the bytes are is a [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.byte()? {
            SNAPSHOT => Self::Snapshot(Box::new(read_quilt(&mut reader)?)),
            DELTA => {
                let from = reader.step()?;
                // Per lap at most its start, its settlements and its cancellation; a control, and the settlements before it.
                let most = 3 * MAX_LAPS as u32 + 4 * MAX_CONTROLS;
                let count = reader.number("a number of events", most)?;
                let events = (0..count).map(|_| read_event(&mut reader)).collect::<Result<_, _>>()?;
                Self::Delta { from, events }
            }
            STATUS => Self::Status(Load {
                now: reader.timestamp()?,
                workers: reader.number("a number of workers", u32::MAX)?,
                busy: reader.number("a number of workers", u32::MAX)?,
                stuck: reader.number("a number of workers", u32::MAX)?,
            }),
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        reader.finish()?;
        Ok(frame)
    }
}
