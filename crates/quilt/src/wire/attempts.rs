//! The encoding of attempts.

use super::DecodeError;
use super::bytes::{Reader, put_varint, unzigzag, zigzag};
use super::reasons::{WrittenReasons, read_reason};
use crate::event::AttemptRun;
use crate::grid::MAX_SQUARES;
use crate::order::Position;
use crate::timestamp::Timestamp;

/// Encodes each run with the distances of its first position and its start from the expected ones. The two bits below the distance of the
/// position are set for a first attempt and for a failure.
pub(super) fn put_runs(out: &mut Vec<u8>, runs: &[AttemptRun]) {
    put_varint(out, runs.len() as u64);
    let mut expected = 0_u32;
    let mut before = 0_u64;
    let mut reasons = WrittenReasons::default();
    for run in runs {
        let distance = zigzag(i64::from(run.first.0) - i64::from(expected));
        let is_first = run.number == 1;
        put_varint(out, distance << 2 | u64::from(is_first) << 1 | u64::from(run.error.is_some()));
        put_varint(out, u64::from(run.count));
        if !is_first {
            out.push(run.number);
        }
        put_varint(out, zigzag(run.started_at.0.wrapping_sub(before).cast_signed()));
        put_varint(out, u64::from(run.took_ms));
        if let Some(error) = &run.error {
            reasons.put(out, error);
        }
        expected = run.positions().end;
        before = run.started_at.0;
    }
}

pub(super) fn read_runs(reader: &mut Reader<'_>) -> Result<Vec<AttemptRun>, DecodeError> {
    let count = reader.number("a number of attempts", MAX_SQUARES)? as usize;
    // A run takes at least four bytes.
    let mut runs = Vec::with_capacity(count.min(reader.remaining() / 4));
    let mut expected = 0_u32;
    let mut before = 0_u64;
    let mut reasons: Vec<&str> = Vec::new();
    while runs.len() < count {
        let token = reader.varint()?;
        let first = i64::from(expected)
            .checked_add(unzigzag(token >> 2))
            .and_then(|position| u32::try_from(position).ok())
            .filter(|position| *position < MAX_SQUARES)
            .ok_or(DecodeError::OutOfRange("a position"))?;
        let length = reader.number("a run's length", MAX_SQUARES - first)?;
        let number = if token >> 1 & 1 == 1 { 1 } else { reader.byte()? };
        before = before.wrapping_add(unzigzag(reader.varint()?).cast_unsigned());
        let took_ms = reader.number("a duration", u32::MAX)?;
        let error = if token & 1 == 1 { Some(read_reason(reader, &mut reasons)?.into()) } else { None };
        let started_at = Timestamp(before);
        runs.push(AttemptRun { first: Position(first), count: length, number, started_at, took_ms, error });
        expected = first + length;
    }
    Ok(runs)
}
