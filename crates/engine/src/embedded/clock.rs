//! The clock that determines the ages of batches and the expiry of tombstones.
//!
//! While a process has the file open, it follows the monotonic clock of the system. Between two processes it advances by at most one day.
//! So a system clock that is wrong, or is set, does not make batches expire.

use std::time::{Duration, Instant};

use quilt::BatchId;
use rusqlite::{Connection, OptionalExtension, params};

use crate::checksum::{Checksum, Kind};
use crate::now;

/// The maximum advance between two processes. It covers restarts, and folders that are used once a day.
const MAX_GAP: Duration = Duration::from_secs(24 * 3_600);

/// The clock of a file, in milliseconds. It is initialized with the milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    start: u64,
    opened: Instant,
}

impl Clock {
    /// Resumes the clock from the stored time. Returns `None` if the stored time is damaged.
    pub(super) fn resume(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let stored: Option<(i64, i64, u32)> = connection
            .query_row("SELECT time, time_of_day, checksum FROM clock", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        let last = match stored {
            Some((time, time_of_day, checksum)) => {
                let last = (time.unsigned_abs(), time_of_day.unsigned_abs());
                if sum(last) != checksum {
                    return Ok(None);
                }
                Some(last)
            }
            None => last_conclusion(connection)?.map(|time| (time, time)),
        };
        Ok(Some(Self { start: resumed(last, now().0), opened: Instant::now() }))
    }

    /// The current time.
    pub(super) fn now(&self) -> u64 {
        self.start.saturating_add(self.opened.elapsed().as_millis() as u64)
    }

    /// The current time as an SQLite integer.
    pub(super) fn stored(&self) -> i64 {
        i64::try_from(self.now()).unwrap_or(i64::MAX)
    }

    /// Stores the time for the next process.
    pub(super) fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        let (time, time_of_day) = (self.now(), now().0);
        connection.prepare_cached("DELETE FROM clock")?.execute([])?;
        connection
            .prepare_cached("INSERT INTO clock (time, time_of_day, checksum) VALUES (?1, ?2, ?3)")?
            .execute(params![time as i64, time_of_day as i64, sum((time, time_of_day))])?;
        Ok(())
    }
}

/// When the last batch finished, for files of earlier versions, which have no clock.
fn last_conclusion(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let last: Option<i64> = connection.query_row(
        "SELECT max(concluded_at) FROM batches WHERE concluded_at IS NOT NULL AND removed = 0",
        [],
        |row| row.get(0),
    )?;
    Ok(last.map(i64::unsigned_abs))
}

/// The initial time: the stored time plus the time of day elapsed since then, or the time of day if no time is stored.
fn resumed(last: Option<(u64, u64)>, time_of_day: u64) -> u64 {
    match last {
        Some((time, then)) => time.saturating_add(time_of_day.saturating_sub(then).min(MAX_GAP.as_millis() as u64)),
        None => time_of_day,
    }
}

fn sum((time, time_of_day): (u64, u64)) -> u32 {
    // The clock belongs to no batch.
    Checksum::of(Kind::Clock, BatchId::from_bytes([0; 16])).number(time).number(time_of_day).bytes(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3_600_000;
    const NOW: u64 = 20_000 * DAY;

    #[test]
    fn a_time_of_day_that_jumps_between_two_processes_counts_for_a_day_at_most() {
        assert_eq!(resumed(None, NOW), NOW);
        assert_eq!(resumed(Some((NOW, NOW)), NOW + 5_000), NOW + 5_000);
        // The system clock was wrong before, or is wrong now.
        assert_eq!(resumed(Some((NOW - 31 * DAY, NOW - 31 * DAY)), NOW), NOW - 30 * DAY);
        assert_eq!(resumed(Some((NOW, NOW)), NOW - 31 * DAY), NOW);
        // After the system clock was corrected, the time continues from its last value.
        assert_eq!(resumed(Some((NOW - 31 * DAY, NOW)), NOW + 5_000), NOW - 31 * DAY + 5_000);
    }

    #[test]
    fn the_time_is_stored_and_a_damaged_one_is_told() {
        let connection = Connection::open_in_memory().expect("memory");
        let create = "CREATE TABLE clock (time INTEGER, time_of_day INTEGER, checksum INTEGER);";
        connection.execute_batch(create).expect("valid");
        let long_ago = Clock { start: 7, opened: Instant::now() };
        long_ago.save(&connection).expect("writable");
        let resumed = Clock::resume(&connection).expect("readable").expect("intact");
        assert!((7..DAY).contains(&resumed.now()), "{}", resumed.now());
        connection.execute("UPDATE clock SET time = time + 1", []).expect("writable");
        assert!(Clock::resume(&connection).expect("readable").is_none());
    }
}
