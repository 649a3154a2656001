//! Reasons for failures. Each text is encoded once.

use std::collections::HashMap;

use super::DecodeError;
use super::bytes::{Reader, put_text, put_varint};
use crate::grid::MAX_SQUARES;

/// The reasons that were already encoded, with their numbers from 1.
#[derive(Default)]
pub(super) struct WrittenReasons<'a>(HashMap<&'a str, u64>);

impl<'a> WrittenReasons<'a> {
    /// Encodes 0 and the text the first time, and its number afterwards.
    pub(super) fn put(&mut self, out: &mut Vec<u8>, reason: &'a str) {
        if let Some(number) = self.0.get(reason) {
            put_varint(out, *number);
        } else {
            put_varint(out, 0);
            put_text(out, reason);
            self.0.insert(reason, self.0.len() as u64 + 1);
        }
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
