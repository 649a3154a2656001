//! The row of a batch, with a checksum over all of it and the counts of what belongs to the batch.

use quilt::{BatchId, OwnerId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Failure;
use crate::checksum::{Checksum, Kind};
use crate::journal::Stored;

/// The columns that [`Record::read`] takes, in its order.
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
    /// The last lap that was started.
    pub(super) lap: u32,
    /// The final summary in JSON, if the lap is over.
    pub(super) final_summary: Option<String>,
    /// When the lap was over, in milliseconds since 1970.
    pub(super) concluded_at: Option<i64>,
    /// `None` where an earlier version wrote the row.
    pub(super) counts: Option<Counts>,
    checksum: Option<u32>,
}

/// What belongs to a batch in other tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// How many events there are.
    pub(super) events: u32,
    /// How many of them, the first ones, have no checksum.
    pub(super) unchecked: u32,
    /// How many receipts there are.
    pub(super) receipts: u32,
    /// Whether there is an input.
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
            // The index may lead to the row of another batch.
            Some(record) if record.id != batch || !record.is_intact() => Err(Failure::checksum(batch, Stored::Record)),
            found => Ok(found),
        }
    }

    /// Reads a row, whether it is intact or not.
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

    /// Whether the row is as it was written. That of an earlier version has no checksum.
    pub(super) fn is_intact(&self) -> bool {
        match (self.counts, self.checksum) {
            (Some(counts), Some(checksum)) => self.sum(&counts) == checksum,
            (None, None) => true,
            _ => false,
        }
    }

    /// Whether all that belongs to the batch has checksums: no earlier version has written any of it.
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

    /// Adds the row of a new batch. `false` if the id is in use, or was until a short time ago.
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

    /// What belongs to the batch: as it is stored, or counted if an earlier version wrote the row.
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
