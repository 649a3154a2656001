//! Checksums of stored values.
//!
//! A checksum covers a value and its place: its kind, its batch and its number. So a value in the wrong place does not match.

use quilt::BatchId;

use crate::journal::SquareDetail;

/// The kind of a stored value. The numbers are stored, and must not change.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The row of a batch in SQLite.
    Batch = 1,
    /// One event in SQLite.
    Event = 2,
    /// The detail of a square.
    Detail = 3,
    /// The set of squares that have a detail, in SQLite.
    DetailSet = 4,
    /// The input of a batch.
    Input = 5,
    /// The receipt of a lap.
    Receipt = 6,
    /// The events of one append in a message.
    Message = 7,
    /// The clock of an SQLite file.
    Clock = 8,
    /// The epoch of a process in an SQLite file.
    Epoch = 9,
}

/// An incomplete CRC32C checksum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checksum(u32);

impl Checksum {
    pub(crate) fn of(kind: Kind, batch: BatchId) -> Self {
        let mut place = [0; 17];
        let (first, rest) = place.split_at_mut(1);
        first.fill(kind as u8);
        rest.copy_from_slice(batch.as_bytes());
        Self(crc32c::crc32c(&place))
    }

    /// Adds a number of fixed length.
    pub(crate) fn number(self, number: u64) -> Self {
        Self(crc32c::crc32c_append(self.0, &number.to_be_bytes()))
    }

    /// Adds an optional number. A missing number differs from every number.
    pub(crate) fn optional(self, number: Option<u64>) -> Self {
        self.number(u64::from(number.is_some())).number(number.unwrap_or_default())
    }

    /// Adds bytes of any length.
    pub(crate) fn field(self, bytes: &[u8]) -> Self {
        Self(crc32c::crc32c_append(self.number(bytes.len() as u64).0, bytes))
    }

    /// Adds bytes of any length, and returns the checksum.
    pub(crate) fn bytes(self, bytes: &[u8]) -> u32 {
        self.field(bytes).0
    }
}

/// The checksum of a detail.
pub(crate) fn of_detail(batch: BatchId, detail: &SquareDetail) -> u32 {
    let SquareDetail { index, lap, body } = detail;
    Checksum::of(Kind::Detail, batch).number(index.0.into()).number((*lap).into()).bytes(body)
}

/// The checksum of an input.
pub(crate) fn of_input(batch: BatchId, input: &[u8]) -> u32 {
    Checksum::of(Kind::Input, batch).bytes(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_another_one_for_each_kind_batch_number_and_body() {
        let batch = |byte| BatchId::from_bytes([byte; 16]);
        let all = [
            Checksum::of(Kind::Event, batch(1)).number(1).bytes(b"body"),
            Checksum::of(Kind::Detail, batch(1)).number(1).bytes(b"body"),
            Checksum::of(Kind::Event, batch(2)).number(1).bytes(b"body"),
            Checksum::of(Kind::Event, batch(1)).number(2).bytes(b"body"),
            Checksum::of(Kind::Event, batch(1)).optional(Some(1)).bytes(b"body"),
            Checksum::of(Kind::Event, batch(1)).optional(None).bytes(b"body"),
            Checksum::of(Kind::Event, batch(1)).number(1).bytes(b"bodz"),
        ];
        assert!(all.iter().enumerate().all(|(number, one)| !all[..number].contains(one)), "{all:x?}");
    }

    #[test]
    fn stored_checksums_keep_their_value() {
        let event = Checksum::of(Kind::Event, BatchId::from_bytes([1; 16])).number(1).bytes(b"body");
        assert_eq!(event, EVENT);
    }

    const EVENT: u32 = 3_574_740_286;
}
