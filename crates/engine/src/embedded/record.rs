//! The row of a batch, with a checksum and the counts of the rows that belong to the batch.

use quilt::{BatchId, OwnerId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Failure;
use crate::checksum::{Checksum, Kind};
use crate::journal::Stored;

/// The columns that [`Record::read`] expects, in its order.
macro_rules! columns {
    () => {
        "key, id, owner, lap, conclusion, concluded_at, events, unchecked, receipts, has_input, checksum"
    };
}
pub(super) use columns;

/// A row of the table `batches`.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) key: i64,
    pub(super) id: BatchId,
    pub(super) owner: OwnerId,
    /// The last lap that started.
    pub(super) lap: u32,
    /// The final summary in JSON, if the lap has ended.
    pub(super) final_summary: Option<String>,
    /// When the lap ended, in milliseconds of the file's clock.
    pub(super) concluded_at: Option<i64>,
    /// `None` if an earlier version wrote the row.
    pub(super) counts: Option<Counts>,
    checksum: Option<u32>,
}

/// Counts of the rows in other tables that belong to a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// The number of events.
    pub(super) events: u32,
    /// The number of events without a checksum. They are the first ones.
    pub(super) unchecked: u32,
    /// The number of receipts.
    pub(super) receipts: u32,
    /// Whether it has an input.
    pub(super) has_input: bool,
}

impl Record {
    /// The row of a batch; `None` if there is none.
    pub(super) fn find(connection: &Connection, batch: BatchId) -> Result<Option<Self>, Failure> {
        let found = connection
            .prepare_cached(concat!("SELECT ", columns!(), " FROM batches WHERE id = ?1"))?
            .query_row([batch.as_bytes()], Self::read)
            .optional()?;
        match found {
            // A damaged index may lead to the row of another batch.
            Some(record) if record.id != batch || !record.is_intact() => Err(Failure::checksum(batch, Stored::Record)),
            found => Ok(found),
        }
    }

    /// Reads a row without verifying its checksum.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let counts = match row.get(6)? {
            Some(events) => {
                Some(Counts { events, unchecked: row.get(7)?, receipts: row.get(8)?, has_input: row.get(9)? })
            }
            None => None,
        };
        Ok(Self {
            key: row.get(0)?,
            id: BatchId::from_bytes(row.get(1)?),
            owner: OwnerId::from_bytes(row.get(2)?),
            lap: row.get(3)?,
            final_summary: row.get(4)?,
            concluded_at: row.get(5)?,
            counts,
            checksum: row.get(10)?,
        })
    }

    /// Whether the row matches its checksum. Rows of earlier versions have none.
    pub(super) fn is_intact(&self) -> bool {
        match (self.counts, self.checksum) {
            (Some(counts), Some(checksum)) => self.sum(&counts) == checksum,
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether all rows of the batch have checksums, because no earlier version wrote any of them.
    pub(super) fn is_fully_checked(&self) -> bool {
        self.counts.is_some_and(|counts| counts.unchecked == 0)
    }

    fn sum(&self, counts: &Counts) -> u32 {
        let Counts { events, unchecked, receipts, has_input } = *counts;
        Checksum::of(Kind::Batch, self.id)
            .number(self.key.cast_unsigned())
            .number(self.lap.into())
            .optional(self.concluded_at.map(i64::cast_unsigned))
            .number(events.into())
            .number(unchecked.into())
            .number(receipts.into())
            .number(has_input.into())
            .number(self.final_summary.is_some().into())
            .field(self.owner.as_bytes())
            .bytes(self.final_summary.as_deref().unwrap_or_default().as_bytes())
    }

    /// Inserts the row of a new batch. Returns `None` if the id is in use or has a tombstone.
    pub(super) fn create(
        connection: &Connection,
        id: BatchId,
        owner: OwnerId,
        has_input: bool,
    ) -> rusqlite::Result<Option<Self>> {
        let key = connection
            .prepare_cached("SELECT coalesce(max(key), 0) + 1 FROM batches")?
            .query_row([], |row| row.get(0))?;
        let counts = Counts { events: 0, unchecked: 0, receipts: 0, has_input };
        let record = Self {
            key,
            id,
            owner,
            lap: 1,
            final_summary: None,
            concluded_at: None,
            counts: Some(counts),
            checksum: None,
        };
        let created = connection
            .prepare_cached(
                "INSERT INTO batches (key, id, owner) SELECT ?1, ?2, ?3 WHERE NOT EXISTS (SELECT 1 FROM tombstones WHERE id = ?2)
                 ON CONFLICT (id) DO NOTHING",
            )?
            .execute(params![key, id.as_bytes(), owner.as_bytes()])?;
        Ok((created > 0).then_some(record))
    }

    /// The stored counts, or computed ones if an earlier version wrote the row.
    pub(super) fn counts(&self, connection: &Connection) -> rusqlite::Result<Counts> {
        let Some(counts) = self.counts else { return count(connection, self.key) };
        Ok(counts)
    }

    /// Stores the counts.
    pub(super) fn save_counts(&self, connection: &Connection, counts: Counts) -> rusqlite::Result<()> {
        let Counts { events, unchecked, receipts, has_input } = counts;
        connection
            .prepare_cached(
                "UPDATE batches SET events = ?2, unchecked = ?3, receipts = ?4, has_input = ?5, checksum = ?6 WHERE key = ?1",
            )?
            .execute(params![self.key, events, unchecked, receipts, has_input, self.sum(&counts)])?;
        Ok(())
    }

    /// Stores the lap, the final summary and the counts.
    pub(super) fn save(&self, connection: &Connection, counts: Counts) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE batches SET lap = ?2, conclusion = ?3, concluded_at = ?4 WHERE key = ?1")?
            .execute(params![self.key, self.lap, self.final_summary, self.concluded_at])?;
        self.save_counts(connection, counts)
    }
}

fn count(connection: &Connection, key: i64) -> rusqlite::Result<Counts> {
    let number = |sql| connection.prepare_cached(sql)?.query_row([key], |row| row.get::<_, u32>(0));
    let events = number("SELECT coalesce(max(number) + 1, 0) FROM events WHERE batch = ?1")?;
    Ok(Counts {
        events,
        unchecked: events,
        receipts: number("SELECT count(*) FROM receipts WHERE batch = ?1")?,
        has_input: number("SELECT count(*) FROM inputs WHERE batch = ?1")? > 0,
    })
}
