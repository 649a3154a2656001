//! The transaction of each write.

use std::time::Duration;

use bytes::Bytes;
use quilt::{BatchId, Event, OwnerId, Receipt, Summary};
use rusqlite::{OptionalExtension, Transaction, params};

use super::clock::Clock;
use super::failure::Failure;
use super::record::{Counts, Record};
use super::{attachments, details, events, writer_mark};
use crate::journal::{Ending, Sequence, SquareDetail};

/// Maximum number of events, details and batches that one purge deletes. A large event covers several thousand squares.
const PURGE_EVENTS: usize = 200;

/// Maximum number of free pages, of 4 KiB each, that one purge returns to the disk.
const PURGE_PAGES: u32 = 1_000;

/// How long the id of a removed batch cannot be reused. Leases and workers reference it for a much shorter time.
const TOMBSTONE_TIME: Duration = Duration::from_secs(3_600);

/// A write.
pub(super) enum Write {
    Create {
        batch: BatchId,
        owner: OwnerId,
        launched: Event,
        input: Option<Bytes>,
    },
    Append {
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        ending: Option<Box<Ending>>,
    },
    Conclude {
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    },
    Remove {
        batch: BatchId,
    },
    Purge,
    /// Writes as little as possible, to check whether the file is writable.
    Probe,
}

/// The result of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The events are stored, up to this sequence.
    Appended(Sequence),
    /// The write succeeded, possibly without effect.
    Done,
    /// There was nothing to do.
    Nothing,
}

pub(super) fn write(transaction: &Transaction<'_>, write: &Write, clock: &Clock) -> Result<Written, Failure> {
    match write {
        Write::Create { batch, owner, launched, input } => {
            create(transaction, *batch, *owner, launched, input.as_deref())
        }
        Write::Append { batch, events, details, ending } => {
            let written = append(transaction, *batch, events, details)?;
            if let Some(Ending { after, summary, receipts }) = ending.as_deref()
                // No other events were appended before these.
                && written == Written::Appended(Sequence(after.0 + events.len() as u64))
            {
                finalize(transaction, *batch, summary.lap, summary, receipts, clock)?;
            }
            Ok(written)
        }
        Write::Conclude { batch, lap, summary, receipts } => {
            finalize(transaction, *batch, *lap, summary, receipts, clock)
        }
        Write::Remove { batch } => remove(transaction, *batch, clock),
        Write::Purge => purge(transaction, clock),
        Write::Probe => Ok(writer_mark::write(transaction, clock).map(|()| Written::Done)?),
    }
}

fn create(
    transaction: &Transaction<'_>,
    batch: BatchId,
    owner: OwnerId,
    launched: &Event,
    input: Option<&[u8]>,
) -> Result<Written, Failure> {
    let Some(record) = Record::create(transaction, batch, owner, input.is_some())? else { return Ok(Written::Nothing) };
    if let Some(input) = input {
        attachments::insert_input(transaction, &record, input)?;
    }
    add_events(transaction, &record, std::slice::from_ref(launched)).map(Written::Appended)
}

fn append(
    transaction: &Transaction<'_>,
    batch: BatchId,
    events: &[Event],
    details: &[SquareDetail],
) -> Result<Written, Failure> {
    let Some(mut record) = Record::find(transaction, batch)? else { return Ok(Written::Nothing) };
    let started = events.iter().filter_map(|event| match event {
        Event::LapStarted { lap, .. } => Some(*lap),
        _ => None,
    });
    if let Some(lap) = started.max().filter(|lap| *lap > record.lap) {
        (record.lap, record.final_summary, record.concluded_at) = (lap, None, None);
        record.save(transaction, record.counts(transaction)?)?;
    }
    details::put(transaction, &record, details)?;
    add_events(transaction, &record, events).map(Written::Appended)
}

/// Appends events, and updates their count.
fn add_events(transaction: &Transaction<'_>, record: &Record, events: &[Event]) -> Result<Sequence, Failure> {
    let mut counts = record.counts(transaction)?;
    for event in events {
        events::insert(transaction, record, counts.events, event)?;
        counts.events = counts.events.saturating_add(1);
    }
    record.save_counts(transaction, counts)?;
    Ok(Sequence(counts.events.into()))
}

/// Stores a final summary and receipts. Writes nothing if they are stored already.
fn finalize(
    transaction: &Transaction<'_>,
    batch: BatchId,
    lap: u32,
    summary: &Summary,
    receipts: &[Receipt],
    clock: &Clock,
) -> Result<Written, Failure> {
    let Some(mut record) = Record::find(transaction, batch)? else { return Ok(Written::Nothing) };
    let counts = record.counts(transaction)?;
    let summary = attachments::json(summary)?;
    let is_stored = record.lap != lap || record.final_summary.as_deref() == Some(&*summary);
    if is_stored && counts.receipts as usize >= receipts.len() {
        return Ok(Written::Nothing);
    }
    clock.save(transaction)?;
    let counts = Counts { receipts: attachments::add_receipts(transaction, &record, receipts)?, ..counts };
    if record.lap == lap {
        record.final_summary = Some(summary);
        record.concluded_at = Some(clock.stored());
    }
    record.save(transaction, counts)?;
    Ok(Written::Done)
}

/// Hides a batch: it can no longer be found from here on.
fn remove(transaction: &Transaction<'_>, batch: BatchId, clock: &Clock) -> Result<Written, Failure> {
    let found = Record::find(transaction, batch)?.filter(|record| record.final_summary.is_some());
    let Some(record) = found else { return Ok(Written::Nothing) };
    transaction
        .prepare_cached(
            "UPDATE batches SET id = randomblob(16), owner = x'', removed = 1, events = NULL, checksum = NULL WHERE key = ?1",
        )?
        .execute(params![record.key])?;
    transaction
        .prepare_cached("INSERT INTO tombstones (id, removed_at) VALUES (?1, ?2)")?
        .execute(params![batch.as_bytes(), clock.stored()])?;
    Ok(Written::Done)
}

/// Deletes some events and details of removed batches, and the row of a batch together with its last event. Once none are left, returns
/// free pages to the disk.
fn purge(transaction: &Transaction<'_>, clock: &Clock) -> Result<Written, Failure> {
    let old = clock.stored().saturating_sub(TOMBSTONE_TIME.as_millis() as i64);
    transaction.prepare_cached("DELETE FROM tombstones WHERE removed_at < ?1")?.execute(params![old])?;
    let mut left = PURGE_EVENTS;
    while left > 0 {
        let Some(key) = next_removed(transaction)? else { break };
        let details = delete_details(transaction, key, left)?;
        left -= details;
        if left == 0 {
            break;
        }
        let deleted = transaction
            .prepare_cached(
                "DELETE FROM events WHERE batch = ?1 AND number <
                 (SELECT min(number) FROM events WHERE batch = ?1) + ?2",
            )?
            .execute(params![key, left as i64])?;
        if deleted < left {
            transaction.prepare_cached("DELETE FROM detail_sets WHERE batch = ?1")?.execute(params![key])?;
            transaction.prepare_cached("DELETE FROM inputs WHERE batch = ?1")?.execute(params![key])?;
            transaction.prepare_cached("DELETE FROM receipts WHERE batch = ?1")?.execute(params![key])?;
            transaction.prepare_cached("DELETE FROM batches WHERE key = ?1")?.execute(params![key])?;
        }
        left -= (deleted + 1).min(left);
    }
    let has_more = next_removed(transaction)?.is_some() || give_pages_back(transaction)?;
    Ok(if has_more { Written::Done } else { Written::Nothing })
}

/// Deletes up to `most` details of a batch. Returns how many were deleted.
fn delete_details(transaction: &Transaction<'_>, key: i64, most: usize) -> rusqlite::Result<usize> {
    transaction
        .prepare_cached(
            "DELETE FROM details WHERE batch = ?1 AND square IN
             (SELECT square FROM details WHERE batch = ?1 ORDER BY square LIMIT ?2)",
        )?
        .execute(params![key, most as i64])
}

fn next_removed(transaction: &Transaction<'_>) -> rusqlite::Result<Option<i64>> {
    transaction
        // The condition on the owner is checked in the row itself, so that a damaged index cannot cause a deletion.
        .prepare_cached("SELECT key FROM batches WHERE removed = 1 AND owner = x'' ORDER BY key LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()
}

/// Returns free pages to the disk, if there are any. Files created by the first version keep their free pages for reuse.
fn give_pages_back(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let is_incremental = pragma("auto_vacuum")? == 2;
    if !is_incremental || pragma("freelist_count")? == 0 {
        return Ok(false);
    }
    // Each step frees one page.
    let mut vacuum = transaction.prepare(&format!("PRAGMA incremental_vacuum({PURGE_PAGES})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(true)
}
