//! The messages between a server and a page.

use super::DecodeError;
use super::bytes::{Reader, put_optional, put_text, put_varint};
use super::event::{put_event, read_event};
use super::snapshot::{put_quilt, read_quilt};
use crate::event::{Event, Offset};
use crate::grid::MAX_SQUARES;
use crate::order::Position;
use crate::state::{MAX_CONTROLS, MAX_LAPS, Quilt, Step};
use crate::timestamp::Timestamp;

const HELLO: u8 = 1;
const ACK: u8 = 2;
const FOLLOW: u8 = 3;

/// Kind 1 was a snapshot without sets of laps. Older pages would misinterpret the current one.
const SNAPSHOT: u8 = 6;
const DELTA: u8 = 2;
/// Kind 3 was a status that listed all workers.
const STATUS: u8 = 7;
const ATTEMPTS: u8 = 4;
const PART: u8 = 5;

/// The maximum size of a message, in bytes. Larger frames are split into parts, so that a server with many viewers buffers little for each.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// The maximum size of a frame that a page assembles, in bytes. A snapshot of a million squares of alternating states takes 5 MiB, without
/// its up to 65,536 reasons.
const MAX_FRAME: usize = 16 << 20;

/// The maximum number of nodes in a status.
pub const MAX_NODES: u32 = 1 << 12;

/// The maximum number of running attempts in a status, so that its size is bounded.
pub const MAX_RUNNING: u32 = 64;

/// A frame from the page to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame. `None` if the page has no state.
    Hello {
        /// The step of the page's quilt.
        from: Option<Step>,
    },
    /// The page has applied all changes up to this step.
    Ack {
        /// The step of the page's quilt.
        step: Step,
    },
    /// The page requests attempts from now on.
    Follow {
        /// The number of the journal's events that the page has read.
        after: Offset,
    },
}

/// The state of the nodes and the running tasks of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The clock of the server, from which a page computes running times.
    pub now: Timestamp,
    /// The number of workers of all nodes, for any batch, that are blocked by an attempt that did not end at its time limit.
    pub unresponsive: u32,
    /// The nodes, at most [`MAX_NODES`].
    pub nodes: Vec<NodeLoad>,
    /// The running attempts of the batch that started first, at most [`MAX_RUNNING`].
    pub longest: Vec<Running>,
}

/// A node of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLoad {
    /// The unique name of the node. The names of its workers start with it.
    pub name: Box<str>,
    /// The machine on which it runs.
    pub host: Box<str>,
    /// The version of the program.
    pub version: Box<str>,
    /// The number of tasks of the batch's class that it can run at the same time; 0 for nodes without workers.
    pub slots: u32,
    /// The number of tasks of the batch that it runs.
    pub running: u32,
}

impl Load {
    /// The number of running tasks of the batch.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.running))
    }

    /// The number of tasks of the batch's class that can run at the same time.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.slots))
    }

    /// Whether [`Load::longest`] contains all running attempts.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.longest.len() as u32 >= self.running()
    }
}

/// A running attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The name of its worker, as in the recorded attempts.
    pub worker: Box<str>,
    /// The position of the task.
    pub position: Position,
    /// The number of the attempt, from 1.
    pub attempt: u8,
    /// The start of the attempt.
    pub started_at: Timestamp,
}

/// A frame from the server to the page.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerFrame {
    /// The current quilt, which replaces the state of the page.
    Snapshot(Box<Quilt>),
    /// The changes after a step.
    Delta {
        /// The step before the events.
        from: Step,
        /// The events, in order.
        events: Vec<Event>,
    },
    /// Sent at least every few seconds, so that a page detects a dead connection.
    Status(Load),
    /// The attempts in a range of the journal's events, for a page that follows them.
    Attempts {
        /// The number of events before the range. If the page has read fewer, it has to read the missing ones from the journal.
        after: Offset,
        /// The number of events up to the end of the range.
        upto: Offset,
        /// Each is an [`Event::Attempted`] or an [`Event::LapStarted`].
        events: Vec<Event>,
    },
}

impl ClientFrame {
    /// Encodes the frame.
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
            Self::Follow { after } => {
                out.push(FOLLOW);
                put_varint(&mut out, after.0);
            }
        }
        out
    }

    /// Decodes a frame that [`ClientFrame::encode`] wrote.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] for all other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.byte()? {
            HELLO => Self::Hello { from: reader.optional("a step")?.map(Step) },
            ACK => Self::Ack { step: reader.step()? },
            FOLLOW => Self::Follow { after: reader.offset()? },
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        reader.finish()?;
        Ok(frame)
    }
}

impl ServerFrame {
    /// Encodes the frame.
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
                put_load(&mut out, load);
                out
            }
            Self::Attempts { after, upto, events } => {
                let mut out = vec![ATTEMPTS];
                put_varint(&mut out, after.0);
                put_varint(&mut out, upto.0.saturating_sub(after.0));
                put_varint(&mut out, events.len() as u64);
                for event in events {
                    put_event(&mut out, event);
                }
                out
            }
        }
    }

    /// Encodes a [`ServerFrame::Snapshot`] without copying the quilt.
    #[must_use]
    pub fn encode_snapshot(quilt: &Quilt) -> Vec<u8> {
        let mut out = vec![SNAPSHOT];
        put_quilt(&mut out, quilt);
        out
    }

    /// Decodes a frame that [`ServerFrame::encode`] wrote.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] for all other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let frame = match reader.byte()? {
            SNAPSHOT => Self::Snapshot(Box::new(read_quilt(&mut reader)?)),
            DELTA => {
                let from = reader.step()?;
                // An upper bound. A lap has at most a start, a drain and an end, with settlements before each. A control also has
                // settlements before it.
                let most = 6 * MAX_LAPS as u32 + 4 * MAX_CONTROLS;
                let count = reader.number("a number of events", most)?;
                let events = (0..count).map(|_| read_event(&mut reader)).collect::<Result<_, _>>()?;
                Self::Delta { from, events }
            }
            STATUS => Self::Status(read_load(&mut reader)?),
            ATTEMPTS => {
                let after = reader.offset()?;
                let count = reader.number("a number of events", u32::MAX)?;
                let upto = Offset(after.0 + u64::from(count));
                let events = reader.number("a number of events", count)?;
                let events = (0..events).map(|_| read_event(&mut reader)).collect::<Result<_, _>>()?;
                Self::Attempts { after, upto, events }
            }
            kind => return Err(DecodeError::UnknownKind(kind)),
        };
        reader.finish()?;
        Ok(frame)
    }
}

fn put_load(out: &mut Vec<u8>, load: &Load) {
    put_varint(out, load.now.0);
    put_varint(out, u64::from(load.unresponsive));
    put_varint(out, load.nodes.len() as u64);
    for NodeLoad { name, host, version, slots, running } in &load.nodes {
        [name, host, version].into_iter().for_each(|text| put_text(out, text));
        [slots, running].into_iter().for_each(|count| put_varint(out, u64::from(*count)));
    }
    put_varint(out, load.longest.len() as u64);
    for Running { worker, position, attempt, started_at } in &load.longest {
        put_text(out, worker);
        put_varint(out, position.0.into());
        out.push(*attempt);
        put_varint(out, started_at.0);
    }
}

fn read_load(reader: &mut Reader<'_>) -> Result<Load, DecodeError> {
    let now = reader.timestamp()?;
    let unresponsive = reader.number("a number of workers", u32::MAX)?;
    let count = reader.number("a number of nodes", MAX_NODES)?;
    let nodes = (0..count).map(|_| read_node(reader)).collect::<Result<_, _>>()?;
    let count = reader.number("a number of attempts", MAX_RUNNING)?;
    let longest = (0..count).map(|_| read_running(reader)).collect::<Result<_, _>>()?;
    Ok(Load { now, unresponsive, nodes, longest })
}

fn read_node(reader: &mut Reader<'_>) -> Result<NodeLoad, DecodeError> {
    Ok(NodeLoad {
        name: reader.text()?.into(),
        host: reader.text()?.into(),
        version: reader.text()?.into(),
        slots: reader.number("a number of slots", u32::MAX)?,
        running: reader.number("a number of tasks", u32::MAX)?,
    })
}

fn read_running(reader: &mut Reader<'_>) -> Result<Running, DecodeError> {
    Ok(Running {
        worker: reader.text()?.into(),
        position: Position(reader.number("a position", MAX_SQUARES - 1)?),
        attempt: reader.byte()?,
        started_at: reader.timestamp()?,
    })
}

/// Splits a frame into messages of at most [`MAX_MESSAGE`] bytes.
pub fn messages(frame: Vec<u8>) -> impl Iterator<Item = Vec<u8>> {
    let is_whole = frame.len() <= MAX_MESSAGE;
    let parts = frame.len().div_ceil(MAX_MESSAGE - 2);
    let part = move |number: usize| {
        let start = number * (MAX_MESSAGE - 2);
        let rest = frame.get(start..).unwrap_or_default();
        let taken = rest.get(..MAX_MESSAGE - 2).unwrap_or(rest);
        if is_whole { rest.to_vec() } else { [&[PART, u8::from(number + 1 < parts)], taken].concat() }
    };
    (0..if is_whole { 1 } else { parts }).map(part)
}

/// Assembles frames from messages.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The parts of an incomplete frame.
    parts: Vec<u8>,
}

impl Assembler {
    /// Adds a message. Returns the frame if it is complete.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] if the message or the frame is invalid. Discards the earlier parts.
    pub fn receive(&mut self, message: &[u8]) -> Result<Option<ServerFrame>, DecodeError> {
        let mut frame = std::mem::take(&mut self.parts);
        match message {
            [PART, has_more, part @ ..] => {
                if frame.len() + part.len() > MAX_FRAME {
                    return Err(DecodeError::OutOfRange("a frame's length"));
                }
                frame.extend_from_slice(part);
                if *has_more == 1 {
                    self.parts = frame;
                    return Ok(None);
                }
                ServerFrame::decode(&frame).map(Some)
            }
            whole if frame.is_empty() => ServerFrame::decode(whole).map(Some),
            _ => Err(DecodeError::Truncated),
        }
    }
}
