//! What the channel between a server and a page carries.

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

/// 1 was a snapshot without sets of laps, which pages of before would misread.
const SNAPSHOT: u8 = 6;
const DELTA: u8 = 2;
/// 3 was a status that named every worker.
const STATUS: u8 = 7;
const ATTEMPTS: u8 = 4;
const PART: u8 = 5;

/// The largest message that carries a frame, in bytes; a larger frame comes in parts. So a server that writes to many viewers holds
/// little for each.
pub const MAX_MESSAGE: usize = 8 * 1024;

/// The largest frame that a page puts together from its parts, in bytes: more than the snapshot of a million squares of alternating states,
/// which takes 5 MiB, with 65,536 reasons.
const MAX_FRAME: usize = 16 << 20;

/// The most nodes that a status names.
pub const MAX_NODES: u32 = 1 << 12;

/// The most running attempts that a status names, so that its size does not depend on how many there are.
pub const MAX_RUNNING: u32 = 64;

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
    /// The page wants to be told of attempts from now on.
    Follow {
        /// How many events of the journal it has read.
        after: Offset,
    },
}

/// The nodes, and what runs of a batch, beside the quilt itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The server's clock, so that a page can tell how long a batch has run.
    pub now: Timestamp,
    /// How many workers of all nodes, whatever they run, wait for an attempt that does not end though its time is over.
    pub unresponsive: u32,
    /// The nodes, at most [`MAX_NODES`].
    pub nodes: Vec<NodeLoad>,
    /// The attempts at tasks of the batch that have run for longest, longest first: at most [`MAX_RUNNING`].
    pub longest: Vec<Running>,
}

/// A process that takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLoad {
    /// Its name, with which the names of its workers begin. No two nodes have the same one.
    pub name: Box<str>,
    /// The machine that it runs on.
    pub host: Box<str>,
    /// The version of the program.
    pub version: Box<str>,
    /// How many tasks such as those of the batch it runs at the same time; 0 for one that only serves.
    pub slots: u32,
    /// How many tasks of the batch it runs.
    pub running: u32,
}

impl Load {
    /// How many tasks of the batch run.
    #[must_use]
    pub fn running(&self) -> u32 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.running))
    }

    /// How many tasks such as those of the batch can run at the same time.
    #[must_use]
    pub fn slots(&self) -> u32 {
        self.nodes.iter().fold(0, |sum, node| sum.saturating_add(node.slots))
    }

    /// Whether [`Load::longest`] has everything that runs.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.longest.len() as u32 >= self.running()
    }
}

/// An attempt that is running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// The name of its worker, as in the recorded attempts.
    pub worker: Box<str>,
    /// The task's position in the order.
    pub position: Position,
    /// The number of the attempt, from 1.
    pub attempt: u8,
    /// When it was started.
    pub started_at: Timestamp,
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
    /// The attempts among some of the journal's events, for a page that follows them.
    Attempts {
        /// Of the events after this one. Where that is not how far the page is, some are missing, and stand in the journal.
        after: Offset,
        /// Up to this one.
        upto: Offset,
        /// Each is an [`Event::Attempted`] or an [`Event::LapStarted`].
        events: Vec<Event>,
    },
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
            Self::Follow { after } => {
                out.push(FOLLOW);
                put_varint(&mut out, after.0);
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
            FOLLOW => Self::Follow { after: reader.offset()? },
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
                // Per lap at most its start, that it drains, its end, and settlements before each; a control, and the settlements before it.
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

/// A frame as the messages that carry it: one, or parts of at most [`MAX_MESSAGE`] bytes.
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

/// Puts frames together from the messages that carry them.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The parts of a frame that has not come to its end.
    parts: Vec<u8>,
}

impl Assembler {
    /// Takes a message, and returns the frame that is complete with it, if one is.
    ///
    /// # Errors
    ///
    /// Whatever is no frame is a [`DecodeError`]; what came before it is forgotten.
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
