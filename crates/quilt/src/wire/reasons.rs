//! Reasons of failures, each of which is written once.

use super::DecodeError;
use super::bytes::{Reader, put_text, put_varint};
use crate::grid::MAX_SQUARES;

/// A reason is written once: 0 and the text the first time, its number from 1 afterwards.
pub(super) fn put_reason<'a>(out: &mut Vec<u8>, known: &mut Vec<&'a str>, reason: &'a str) {
    if let Some(place) = known.iter().position(|known| *known == reason) {
        put_varint(out, place as u64 + 1);
    } else {
        put_varint(out, 0);
        put_text(out, reason);
        known.push(reason);
    }
}

pub(super) fn read_reason<'a>(reader: &mut Reader<'a>, known: &mut Vec<&'a str>) -> Result<&'a str, DecodeError> {
    match reader.number("a reason", MAX_SQUARES)?.checked_sub(1) {
        Some(place) => known.get(place as usize).copied().ok_or(DecodeError::OutOfRange("a reason")),
        None => {
            let reason = reader.text()?;
            known.push(reason);
            Ok(reason)
        }
    }
}
