//! The encoding of a journal's events.

use super::DecodeError;
use super::attempts::{put_runs, read_runs};
use super::bytes::{Reader, put_color, put_optional, put_text, put_varint, unzigzag, zigzag};
use super::lap::{put_cause, put_limits, put_set, read_cause, read_concurrency, read_limits, read_set};
use super::launched::{put_first_launched, put_launched, read_first_launched, read_launched};
use super::reasons::{WrittenReasons, read_reason};
use crate::event::{Control, Event, JournalVersion, Outcome, Settlement};
use crate::grid::MAX_SQUARES;
use crate::id::ShareGroup;
use crate::lap::{CancelCause, LapSet, Positions};
use crate::order::Position;
use crate::state::MAX_LAPS;

/// A launch of journal version 1, without the version.
const LAUNCHED: u8 = 1;
const SETTLED: u8 = 2;
/// A lap of all failed squares, with the limits of the previous lap.
const LAP_STARTED: u8 = 3;
/// A cancellation by the owner.
const CANCELLED: u8 = 4;
/// A cancellation with another cause.
const STOPPED: u8 = 5;
const ATTEMPTED: u8 = 6;
const CONTROLLED: u8 = 7;
/// A lap of one square, with the limits of the previous lap.
const LAP_OF_ONE: u8 = 8;
/// A launch that starts with its version.
const LAUNCHED_VERSION: u8 = 9;
/// A lap of any set of squares, with new limits or those of the previous lap.
const LAP_OF_SET: u8 = 10;
const DRAINING: u8 = 11;
/// A launch with a group of owners, followed by the content of [`LAUNCHED_VERSION`].
const LAUNCHED_IN_GROUP: u8 = 12;

const PAUSE: u8 = 0;
const RESUME: u8 = 1;
const SET_CONCURRENCY: u8 = 2;

/// Encodes an event.
#[must_use]
pub fn encode_event(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    put_event(&mut out, event);
    out
}

/// Decodes an event that [`encode_event`] wrote.
///
/// # Errors
///
/// A [`DecodeError`] for all other bytes.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeError> {
    let mut reader = Reader::new(bytes);
    let event = read_event(&mut reader)?;
    reader.finish()?;
    Ok(event)
}

/// Appends an event after its length, so that events can be concatenated.
pub fn put_framed_event(out: &mut Vec<u8>, event: &Event) {
    let bytes = encode_event(event);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

/// An encoded event, which can be skipped without decoding it.
#[derive(Debug, Clone, Copy)]
pub struct FramedEvent<'a>(&'a [u8]);

impl<'a> FramedEvent<'a> {
    /// Removes the first event from bytes that [`put_framed_event`] wrote. `None` if they are empty.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] if the bytes end within the event.
    pub fn take(bytes: &mut &'a [u8]) -> Result<Option<Self>, DecodeError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        let mut reader = Reader::new(bytes);
        let length = usize::try_from(reader.varint()?).unwrap_or(usize::MAX);
        let event = Self(reader.bytes(length)?);
        *bytes = reader.rest();
        Ok(Some(event))
    }

    /// Whether this is an [`Event::Attempted`].
    #[must_use]
    pub fn is_attempts(self) -> bool {
        self.0.first() == Some(&ATTEMPTED)
    }

    /// Whether this is an [`Event::LapStarted`].
    #[must_use]
    pub fn is_lap_start(self) -> bool {
        matches!(self.0.first(), Some(&(LAP_STARTED | LAP_OF_ONE | LAP_OF_SET)))
    }

    /// Decodes the event.
    ///
    /// # Errors
    ///
    /// A [`DecodeError`] if the bytes are not an event.
    pub fn decode(self) -> Result<Event, DecodeError> {
        decode_event(self.0)
    }
}

pub(super) fn put_event(out: &mut Vec<u8>, event: &Event) {
    match event {
        Event::Launched(launched) if launched.version == JournalVersion::V1 => {
            out.push(LAUNCHED);
            put_first_launched(out, launched);
        }
        Event::Launched(launched) => {
            match &launched.group {
                None => out.push(LAUNCHED_VERSION),
                Some(group) => {
                    out.push(LAUNCHED_IN_GROUP);
                    out.extend_from_slice(group.as_bytes());
                }
            }
            put_launched(out, launched);
        }
        Event::Settled { lap, at, settlements } => {
            out.push(SETTLED);
            put_varint(out, u64::from(*lap));
            put_varint(out, at.0);
            put_settlements(out, settlements);
        }
        Event::LapStarted { lap, at, set, limits } => {
            // Uses the oldest kind that fits, so that journals of version 1 are encoded unchanged.
            let only = limits.is_none().then(|| set.only()).flatten();
            let is_first_form = limits.is_none() && *set == LapSet::Failed;
            out.push(if is_first_form { LAP_STARTED } else { only.map_or(LAP_OF_SET, |_| LAP_OF_ONE) });
            put_varint(out, u64::from(*lap));
            put_varint(out, at.0);
            match only {
                Some(position) => put_varint(out, u64::from(position.0)),
                None if is_first_form => {}
                None => {
                    put_set(out, set);
                    put_limits(out, limits.as_ref());
                }
            }
        }
        Event::Draining { lap, at, cause } => {
            out.push(DRAINING);
            put_varint(out, u64::from(*lap));
            put_varint(out, at.0);
            put_cause(out, *cause);
        }
        Event::Attempted { lap, worker, runs } => {
            out.push(ATTEMPTED);
            put_varint(out, u64::from(*lap));
            put_text(out, worker);
            put_runs(out, runs);
        }
        Event::Controlled { lap, number, at, control } => {
            out.push(CONTROLLED);
            put_varint(out, u64::from(*lap));
            put_varint(out, u64::from(*number));
            put_varint(out, at.0);
            put_control(out, *control);
        }
        Event::Cancelled { lap, at, cause } => {
            out.push(if *cause == CancelCause::Asked { CANCELLED } else { STOPPED });
            put_varint(out, u64::from(*lap));
            put_varint(out, at.0);
            if *cause != CancelCause::Asked {
                put_cause(out, *cause);
            }
        }
    }
}

pub(super) fn read_event(reader: &mut Reader<'_>) -> Result<Event, DecodeError> {
    match reader.byte()? {
        LAUNCHED => read_first_launched(reader).map(Event::Launched),
        kind @ (LAUNCHED_VERSION | LAUNCHED_IN_GROUP) => {
            let group = if kind == LAUNCHED_IN_GROUP { reader.bytes(16)? } else { &[] };
            let mut launched = read_launched(reader)?;
            launched.group = group.try_into().ok().map(ShareGroup::from_bytes);
            Ok(Event::Launched(launched))
        }
        SETTLED => Ok(Event::Settled {
            lap: read_lap(reader)?,
            at: reader.timestamp()?,
            settlements: read_settlements(reader)?,
        }),
        LAP_STARTED => {
            Ok(Event::LapStarted { lap: read_lap(reader)?, at: reader.timestamp()?, set: LapSet::Failed, limits: None })
        }
        LAP_OF_ONE => Ok(Event::LapStarted {
            lap: read_lap(reader)?,
            at: reader.timestamp()?,
            set: LapSet::Positions(Positions::one(Position(reader.number("a position", MAX_SQUARES - 1)?))),
            limits: None,
        }),
        LAP_OF_SET => Ok(Event::LapStarted {
            lap: read_lap(reader)?,
            at: reader.timestamp()?,
            set: read_set(reader)?,
            limits: read_limits(reader)?,
        }),
        DRAINING => Ok(Event::Draining { lap: read_lap(reader)?, at: reader.timestamp()?, cause: read_cause(reader)? }),
        CANCELLED => {
            Ok(Event::Cancelled { lap: read_lap(reader)?, at: reader.timestamp()?, cause: CancelCause::Asked })
        }
        STOPPED => Ok(Event::Cancelled { lap: read_lap(reader)?, at: reader.timestamp()?, cause: read_cause(reader)? }),
        ATTEMPTED => {
            Ok(Event::Attempted { lap: read_lap(reader)?, worker: reader.text()?.into(), runs: read_runs(reader)? })
        }
        CONTROLLED => Ok(Event::Controlled {
            lap: read_lap(reader)?,
            number: reader.number("a control's number", u32::MAX)?,
            at: reader.timestamp()?,
            control: read_control(reader)?,
        }),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

fn put_control(out: &mut Vec<u8>, control: Control) {
    match control {
        Control::Pause => out.push(PAUSE),
        Control::Resume => out.push(RESUME),
        Control::SetConcurrency(concurrency) => {
            out.push(SET_CONCURRENCY);
            put_optional(out, concurrency.map(u64::from));
        }
    }
}

fn read_control(reader: &mut Reader<'_>) -> Result<Control, DecodeError> {
    match reader.byte()? {
        PAUSE => Ok(Control::Pause),
        RESUME => Ok(Control::Resume),
        SET_CONCURRENCY => read_concurrency(reader).map(Control::SetConcurrency),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

fn read_lap(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    reader.number("a lap", MAX_LAPS as u32)
}

/// Encodes settlements in order. Each token is a varint: the zigzag distance from the expected position, and below it one bit that is set
/// for a run. A run of length 0 is a failure.
fn put_settlements(out: &mut Vec<u8>, settlements: &[Settlement]) {
    put_varint(out, settlements.len() as u64);
    let mut expected = 0;
    let mut reasons = WrittenReasons::default();
    let mut rest = settlements;
    while let Some((first, others)) = rest.split_first() {
        let distance = zigzag(i64::from(first.position.0) - i64::from(expected));
        let length = match &first.outcome {
            Outcome::Failed(reason) => {
                put_varint(out, distance << 1 | 1);
                put_varint(out, 0);
                reasons.put(out, reason);
                1
            }
            Outcome::Done(color) if !others.first().is_some_and(|next| continues(first, next)) => {
                put_varint(out, distance << 1);
                put_color(out, *color);
                1
            }
            Outcome::Done(_) => {
                let run = rest.chunk_by(continues).next().unwrap_or_default();
                put_varint(out, distance << 1 | 1);
                put_varint(out, run.len() as u64);
                for settlement in run {
                    if let Outcome::Done(color) = settlement.outcome {
                        put_color(out, color);
                    }
                }
                run.len()
            }
        };
        expected = first.position.0.wrapping_add(length as u32);
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// Whether `next` extends a run of done squares that `settlement` is part of.
fn continues(settlement: &Settlement, next: &Settlement) -> bool {
    let follows = settlement.position.0.checked_add(1) == Some(next.position.0);
    follows && matches!((&settlement.outcome, &next.outcome), (Outcome::Done(_), Outcome::Done(_)))
}

fn read_settlements(reader: &mut Reader<'_>) -> Result<Vec<Settlement>, DecodeError> {
    let count = reader.number("a number of squares", MAX_SQUARES)? as usize;
    // A settlement takes at least three bytes.
    let mut settlements = Vec::with_capacity(count.min(reader.remaining() / 3));
    let mut expected = 0_u32;
    let mut reasons: Vec<&str> = Vec::new();
    while settlements.len() < count {
        let token = reader.varint()?;
        let first = i64::from(expected)
            .checked_add(unzigzag(token >> 1))
            .and_then(|position| u32::try_from(position).ok())
            .filter(|position| *position < MAX_SQUARES)
            .ok_or(DecodeError::OutOfRange("a position"))?;
        let is_run = token & 1 == 1;
        let length = if is_run { reader.number("a run's length", MAX_SQUARES - first)? } else { 1 };
        if length == 0 {
            let position = Position(first);
            let outcome = Outcome::Failed(read_reason(reader, &mut reasons)?.into());
            settlements.push(Settlement { position, outcome });
        } else if length as usize > count - settlements.len() {
            return Err(DecodeError::OutOfRange("a run's length"));
        } else {
            for position in (first..first + length).map(Position) {
                let outcome = Outcome::Done(reader.color()?);
                settlements.push(Settlement { position, outcome });
            }
        }
        expected = first + length.max(1);
    }
    Ok(settlements)
}
