//! The squares and limits of a lap, and the cause of its stop.

use super::DecodeError;
use super::bytes::{Reader, put_optional, put_text, put_varint};
use crate::grid::MAX_SQUARES;
use crate::lap::{CancelCause, LapLimits, LapSet, Positions};
use crate::spec::MAX_CONCURRENCY;

const FAILED: u8 = 0;
const REASON: u8 = 1;
const NOT_RUN: u8 = 2;
const POSITIONS: u8 = 3;

pub(super) fn put_set(out: &mut Vec<u8>, set: &LapSet) {
    match set {
        LapSet::Failed => out.push(FAILED),
        LapSet::Reason(reason) => {
            out.push(REASON);
            put_text(out, reason);
        }
        LapSet::NotRun => out.push(NOT_RUN),
        LapSet::Positions(positions) => {
            out.push(POSITIONS);
            put_positions(out, positions);
        }
    }
}

pub(super) fn read_set(reader: &mut Reader<'_>) -> Result<LapSet, DecodeError> {
    match reader.byte()? {
        FAILED => Ok(LapSet::Failed),
        REASON => Ok(LapSet::Reason(reader.text()?.into())),
        NOT_RUN => Ok(LapSet::NotRun),
        POSITIONS => read_positions(reader).map(LapSet::Positions),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

/// Encodes each range as its distance from the previous one and its length.
fn put_positions(out: &mut Vec<u8>, positions: &Positions) {
    put_varint(out, positions.ranges().len() as u64);
    let mut end = 0;
    for range in positions.ranges() {
        put_varint(out, u64::from(range.start - end));
        put_varint(out, u64::from(range.end - range.start));
        end = range.end;
    }
}

fn read_positions(reader: &mut Reader<'_>) -> Result<Positions, DecodeError> {
    let count = reader.number("a number of ranges", MAX_SQUARES)? as usize;
    // A range takes at least two bytes.
    let mut ranges = Vec::with_capacity(count.min(reader.remaining() / 2));
    let mut end = 0;
    for _ in 0..count {
        let start = end + reader.number("a position", MAX_SQUARES - end)?;
        end = start + reader.number("a range's length", MAX_SQUARES - start)?;
        ranges.push(start..end);
    }
    Ok(Positions::from_ranges(ranges))
}

pub(super) fn put_limits(out: &mut Vec<u8>, limits: Option<&LapLimits>) {
    out.push(u8::from(limits.is_some()));
    if let Some(LapLimits { attempts, timeout_ms, concurrency, deadline_ms }) = limits {
        out.push(*attempts);
        put_varint(out, u64::from(*timeout_ms));
        put_optional(out, concurrency.map(u64::from));
        put_optional(out, deadline_ms.map(u64::from));
    }
}

pub(super) fn read_limits(reader: &mut Reader<'_>) -> Result<Option<LapLimits>, DecodeError> {
    match reader.byte()? {
        0 => Ok(None),
        1 => {
            let attempts = reader.byte()?;
            let timeout_ms = reader.number("a time limit", u32::MAX)?;
            if attempts == 0 || timeout_ms == 0 {
                return Err(DecodeError::OutOfRange("a limit"));
            }
            let concurrency = read_concurrency(reader)?;
            let deadline = reader.optional("a deadline")?;
            let deadline_ms =
                deadline.map(|ms| u32::try_from(ms).map_err(|_| DecodeError::OutOfRange("a deadline"))).transpose()?;
            Ok(Some(LapLimits { attempts, timeout_ms, concurrency, deadline_ms }))
        }
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}

pub(super) fn read_concurrency(reader: &mut Reader<'_>) -> Result<Option<u32>, DecodeError> {
    let concurrency = reader.optional("a concurrency")?;
    let in_range = |value| u32::try_from(value).ok().filter(|value| (1..=MAX_CONCURRENCY).contains(value));
    concurrency.map(|value| in_range(value).ok_or(DecodeError::OutOfRange("a concurrency"))).transpose()
}

pub(super) fn put_cause(out: &mut Vec<u8>, cause: CancelCause) {
    out.push(match cause {
        CancelCause::Asked => 0,
        CancelCause::Deadline => 1,
        CancelCause::Failures => 2,
    });
}

pub(super) fn read_cause(reader: &mut Reader<'_>) -> Result<CancelCause, DecodeError> {
    match reader.byte()? {
        0 => Ok(CancelCause::Asked),
        1 => Ok(CancelCause::Deadline),
        2 => Ok(CancelCause::Failures),
        kind => Err(DecodeError::UnknownKind(kind)),
    }
}
