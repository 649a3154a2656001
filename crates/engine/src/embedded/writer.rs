//! The one thread that writes. Whatever waits when it comes round goes into one commit, so that the cost of reaching the disk
//! is shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use quilt::{BatchId, Event, OwnerId, Receipt, Summary};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::record::{Counts, Record};
use super::trouble::Failure;
use super::{attachments, details, events};
use crate::journal::{JournalError, Mark, SquareDetail};
use crate::now;

/// The most writes that go into one commit.
const MAX_GROUP: usize = 512;

/// How many writes may wait before those who write have to.
pub(super) const MAX_WAITING: usize = 1024;

/// The most events, or batches, that one purge deletes. A large one holds some thousand squares.
const PURGE_EVENTS: usize = 200;

/// The most free pages, of 4 KiB, that one purge gives back to the disk.
const PURGE_PAGES: u32 = 1_000;

/// How long the id of a removed batch is nobody else's. No lease and no worker holds one for nearly as long.
const TOMBSTONE_TIME: Duration = Duration::from_secs(3_600);

/// One thing to write.
pub(super) enum Write {
    Create { batch: BatchId, owner: OwnerId, launched: Event, input: Option<Bytes> },
    Append { batch: BatchId, events: Vec<Event>, details: Vec<SquareDetail> },
    Conclude { batch: BatchId, lap: u32, summary: Summary, receipts: Vec<Receipt> },
    Remove { batch: BatchId },
    Purge,
}

/// What a write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The events are there, and the journal goes as far as this.
    Appended(Mark),
    /// It was done, as far as it had an effect.
    Done,
    /// There was nothing to do.
    Nothing,
}

/// A write, and where to say that it is durable.
pub(super) struct Command {
    pub(super) write: Write,
    pub(super) written: oneshot::Sender<Result<Written, JournalError>>,
}

/// Wakes those who follow a batch.
#[derive(Default)]
pub(super) struct Followers {
    batches: Mutex<HashMap<BatchId, watch::Sender<()>>>,
}

impl Followers {
    /// Changes whenever something was appended to the batch.
    pub(super) fn subscribe(&self, batch: BatchId) -> watch::Receiver<()> {
        let mut batches = self.lock();
        batches.retain(|_, sender| sender.receiver_count() > 0);
        batches.entry(batch).or_default().subscribe()
    }

    fn wake(&self, batch: BatchId) {
        if let Some(sender) = self.lock().get(&batch) {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, watch::Sender<()>>> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes until the last sender of commands is gone and all of them are done, and closes the file.
pub(super) fn run(mut connection: Connection, mut commands: mpsc::Receiver<Command>, followers: &Arc<Followers>) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    let mut is_available = true;
    while commands.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        let result = match write_group(&mut connection, &group) {
            // One of them has met something of its own, and is not to take the others with it.
            Err(failure) if group.len() > 1 && !failure.concerns_all() => {
                for command in group.drain(..) {
                    let result = write_group(&mut connection, std::slice::from_ref(&command));
                    answer(std::iter::once(command), result.map_err(JournalError::from), followers);
                }
                continue;
            }
            result => result.map_err(JournalError::from),
        };
        // It is tried again every second by everybody who has something to write: the log is told once.
        match &result {
            Ok(_) if !is_available => tracing::info!("the journal is available again"),
            Err(error) if is_available => tracing::error!(%error, "nothing can be written"),
            _ => {}
        }
        is_available = result.is_ok();
        answer(group.drain(..), result, followers);
    }
    close(connection);
}

/// Moves everything from the log beside the file into the file, so that a copy of the file alone is whole.
fn close(connection: Connection) {
    let checkpoint = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    match checkpoint {
        Ok(false) => {}
        Ok(true) => {
            tracing::warn!("another program reads the journal: copy `quilt.db-wal` together with `quilt.db`");
        }
        Err(error) => {
            tracing::warn!(%error, "the journal's log is left: copy `quilt.db-wal` together with `quilt.db`");
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the journal could not be closed");
    }
}

fn answer(group: impl Iterator<Item = Command>, result: Result<Vec<Written>, JournalError>, followers: &Followers) {
    match result {
        Ok(all) => {
            for (command, written) in group.zip(all) {
                if let Write::Append { batch, .. } | Write::Remove { batch } = command.write {
                    followers.wake(batch);
                }
                // Who no longer waits for the answer does not need it.
                let _ = command.written.send(Ok(written));
            }
        }
        Err(error) => {
            for command in group {
                let _ = command.written.send(Err(error.clone()));
            }
        }
    }
}

/// All or nothing of a group.
fn write_group(connection: &mut Connection, group: &[Command]) -> Result<Vec<Written>, Failure> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let all = group.iter().map(|command| write(&transaction, &command.write)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(all)
}

fn write(transaction: &Transaction<'_>, write: &Write) -> Result<Written, Failure> {
    match write {
        Write::Create { batch, owner, launched, input } => {
            create(transaction, *batch, *owner, launched, input.as_deref())
        }
        Write::Append { batch, events, details } => append(transaction, *batch, events, details),
        Write::Conclude { batch, lap, summary, receipts } => conclude(transaction, *batch, *lap, summary, receipts),
        Write::Remove { batch } => remove(transaction, *batch),
        Write::Purge => purge(transaction),
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
        (record.lap, record.conclusion, record.concluded_at) = (lap, None, None);
        record.save(transaction, record.counts(transaction)?)?;
    }
    details::put(transaction, &record, details)?;
    add_events(transaction, &record, events).map(Written::Appended)
}

/// Stores events behind those that are there, and their number.
fn add_events(transaction: &Transaction<'_>, record: &Record, events: &[Event]) -> Result<Mark, Failure> {
    let mut counts = record.counts(transaction)?;
    for event in events {
        events::insert(transaction, record, counts.events, event)?;
        counts.events = counts.events.saturating_add(1);
    }
    record.save_counts(transaction, counts)?;
    Ok(Mark(counts.events.into()))
}

fn conclude(
    transaction: &Transaction<'_>,
    batch: BatchId,
    lap: u32,
    summary: &Summary,
    receipts: &[Receipt],
) -> Result<Written, Failure> {
    let Some(mut record) = Record::find(transaction, batch)? else { return Ok(Written::Nothing) };
    let counts = record.counts(transaction)?;
    let counts = Counts { receipts: attachments::add_receipts(transaction, &record, receipts)?, ..counts };
    if record.lap == lap {
        record.conclusion = Some(attachments::json(summary)?);
        record.concluded_at = Some(summary.ended_at.map_or(0, |at| at.0 as i64));
    }
    record.save(transaction, counts)?;
    Ok(Written::Done)
}

/// Nobody finds it any more from here on.
fn remove(transaction: &Transaction<'_>, batch: BatchId) -> Result<Written, Failure> {
    let found = Record::find(transaction, batch)?.filter(|record| record.conclusion.is_some());
    let Some(record) = found else { return Ok(Written::Nothing) };
    transaction
        .prepare_cached(
            "UPDATE batches SET id = randomblob(16), owner = x'', removed = 1, events = NULL, checksum = NULL WHERE key = ?1",
        )?
        .execute(params![record.key])?;
    transaction
        .prepare_cached("INSERT INTO tombstones (id, removed_at) VALUES (?1, ?2)")?
        .execute(params![batch.as_bytes(), now().0 as i64])?;
    Ok(Written::Done)
}

/// Deletes some events and details of removed batches, and the row of a batch with its last event. Then gives free pages back to the disk.
fn purge(transaction: &Transaction<'_>) -> Result<Written, Failure> {
    let old = now().0.saturating_sub(TOMBSTONE_TIME.as_millis() as u64);
    transaction.prepare_cached("DELETE FROM tombstones WHERE removed_at < ?1")?.execute(params![old as i64])?;
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

/// Deletes up to so many details of a batch, and returns how many there were.
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
        // The owner is looked at in the row itself: a damaged index deletes nothing.
        .prepare_cached("SELECT key FROM batches WHERE removed = 1 AND owner = x'' ORDER BY key LIMIT 1")?
        .query_row([], |row| row.get(0))
        .optional()
}

/// Whether there were pages to give back. A file of the first version keeps its free pages, for later use.
fn give_pages_back(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let pragma = |name| transaction.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let is_incremental = pragma("auto_vacuum")? == 2;
    if !is_incremental || pragma("freelist_count")? == 0 {
        return Ok(false);
    }
    // It frees a page with each step.
    let mut vacuum = transaction.prepare(&format!("PRAGMA incremental_vacuum({PURGE_PAGES})"))?;
    let mut steps = vacuum.query([])?;
    while steps.next()?.is_some() {}
    Ok(true)
}
