//! Varints, texts and a bounds-checked reader.

use super::DecodeError;
use crate::color::Color;
use crate::event::Offset;
use crate::state::Step;
use crate::timestamp::Timestamp;

/// The maximum length of a text, in bytes. Specs and reasons are much shorter.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// The maximum of counters: above all steps and times, and far enough below `u64::MAX` that sums cannot overflow.
const MAX_COUNTER: u64 = 1 << 53;

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Encodes `None` as 0, and other values incremented by one.
pub(super) fn put_optional(out: &mut Vec<u8>, value: Option<u64>) {
    put_varint(out, value.map_or(0, |value| value.saturating_add(1)));
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_color(out: &mut Vec<u8>, color: Color) {
    let [_, red, green, blue] = color.rgb().to_be_bytes();
    out.extend_from_slice(&[red, green, blue]);
}

/// Maps small numbers of either sign to small unsigned numbers.
pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

pub(super) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Decodes a message from its start.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes) }
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(DecodeError::OutOfRange("a number"))
    }

    /// Reads a varint of at most `max`. Errors contain `what`.
    pub(super) fn number(&mut self, what: &'static str, max: u32) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).ok().filter(|value| *value <= max).ok_or(DecodeError::OutOfRange(what))
    }

    pub(super) fn timestamp(&mut self) -> Result<Timestamp, DecodeError> {
        self.counter("a time").map(Timestamp)
    }

    /// Reads a number of at most [`MAX_COUNTER`].
    pub(super) fn counter(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        let value = self.varint()?;
        if value <= MAX_COUNTER { Ok(value) } else { Err(DecodeError::OutOfRange(what)) }
    }

    pub(super) fn step(&mut self) -> Result<Step, DecodeError> {
        self.counter("a step").map(Step)
    }

    pub(super) fn offset(&mut self) -> Result<Offset, DecodeError> {
        self.counter("an offset").map(Offset)
    }

    /// Reads a number that [`put_optional`] wrote.
    pub(super) fn optional(&mut self, what: &'static str) -> Result<Option<u64>, DecodeError> {
        Ok(self.counter(what)?.checked_sub(1))
    }

    pub(super) fn color(&mut self) -> Result<Color, DecodeError> {
        let (red, green, blue) = (self.byte()?, self.byte()?, self.byte()?);
        Ok(Color::from_rgb(u32::from_be_bytes([0, red, green, blue])))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        if length > MAX_TEXT {
            return Err(DecodeError::OutOfRange("a text's length"));
        }
        std::str::from_utf8(self.bytes(length)?).map_err(|_| DecodeError::OutOfRange("a text's bytes"))
    }
}
