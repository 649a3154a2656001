//! The epochs of coordinators without a cluster. They increase from process to process, whatever the system clock says.

use quilt::{BatchId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::checksum::{Checksum, Kind};
use crate::lease_id::first_epoch;
use crate::now;

/// The number of epochs reserved for a process: one for each lap that it starts.
const RESERVED: u64 = 1 << 36;

/// Returns an epoch that is larger than all epochs of earlier processes, and stores it for the next process. `None` if the stored one is
/// damaged.
///
/// # Errors
///
/// If the file cannot be read. If it cannot be written, the epoch is still returned: the process cannot store results either.
pub(super) fn begin(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    let stored: Option<(i64, u32)> = connection
        .query_row("SELECT epoch, checksum FROM epochs", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let last = stored.map(|(epoch, checksum)| (epoch.unsigned_abs(), checksum));
    if last.is_some_and(|(epoch, checksum)| sum(epoch) != checksum) {
        return Ok(None);
    }
    let epoch = following(last.map(|(epoch, _)| epoch), now());
    if let Err(error) = store(connection, epoch) {
        tracing::debug!(%error, "cannot store the epoch of this process");
    }
    Ok(Some(epoch))
}

fn following(last: Option<u64>, time_of_day: Timestamp) -> u64 {
    let after_last = last.map_or(0, |last| last.saturating_add(RESERVED));
    after_last.max(first_epoch(time_of_day))
}

fn store(connection: &Connection, epoch: u64) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute("DELETE FROM epochs", [])?;
    transaction.execute("INSERT INTO epochs (epoch, checksum) VALUES (?1, ?2)", params![epoch as i64, sum(epoch)])?;
    transaction.commit()
}

fn sum(epoch: u64) -> u32 {
    // Epochs belong to no batch.
    Checksum::of(Kind::Epoch, BatchId::from_bytes([0; 16])).number(epoch).bytes(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_increase_also_when_the_clock_is_set_back_or_stands_still() {
        let now = Timestamp(1_790_000_000_000);
        let first = following(None, now);
        assert_eq!(first, now.0 << 16, "larger than those of versions that stored none");
        let later = following(Some(first), now.plus_millis(86_400_000));
        assert_eq!(later, first + RESERVED.max(86_400_000 << 16));
        for time_of_day in [Timestamp(0), Timestamp(now.0 - 1), now] {
            assert!(following(Some(later), time_of_day) >= later + RESERVED);
        }
    }

    #[test]
    fn an_epoch_is_stored_before_it_is_used_and_a_damaged_one_is_told() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch("CREATE TABLE epochs (epoch INTEGER, checksum INTEGER);").expect("valid");
        let [first, second] = [(); 2].map(|()| begin(&connection).expect("readable").expect("intact"));
        assert!(second >= first + RESERVED);
        connection.execute("UPDATE epochs SET epoch = epoch - 1", []).expect("writable");
        assert_eq!(begin(&connection).expect("readable"), None);
    }
}
