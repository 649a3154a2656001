//! The journal in a single SQLite file.

use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use quilt::{BatchId, Event, Launched, OwnerId, Receipt, Summary};
use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::checks;
use super::clock::Clock;
use super::events::Events;
use super::failure::Failure;
use super::guard::Guard;
use super::readers::Readers;
use super::record::{Record, columns};
use super::schema::{self, Access, OpenError};
use super::writer::{self, Command, Followers, Writer};
use super::writes::{Write, Written};
use super::{attachments, details, epochs, events};
use crate::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Cleanup, Creation, Ending, EventLog, EventPage, Journal, JournalError,
    Offset, OpenBatch, Retention, Sequence, SquareDetail,
};

/// A [`Journal`] in a single file. Clones share the file.
#[derive(Clone)]
pub struct SqliteJournal {
    /// `None` once the journal is closed. The writer ends when the last sender is dropped.
    commands: Arc<Mutex<Option<mpsc::Sender<Command>>>>,
    followers: Arc<Followers>,
    readers: Readers,
    /// The writer drops the other end when the file is closed.
    writer_ended: watch::Receiver<()>,
    guard: Arc<Guard>,
    clock: Clock,
    first_epoch: u64,
}

impl SqliteJournal {
    /// Opens the file, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`OpenError`] if the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (connection, access) = schema::open_writer(path)?;
        let sqlite = |source| OpenError::Sqlite { path: path.into(), source };
        let damaged = |table| OpenError::Damaged {
            path: path.into(),
            reason: format!("the table {table} does not match its checksum"),
        };
        let clock = Clock::resume(&connection).map_err(sqlite)?.ok_or_else(|| damaged("clock"))?;
        let first_epoch = epochs::begin(&connection).map_err(sqlite)?.ok_or_else(|| damaged("epochs"))?;
        let guard = Arc::new(Guard::new(path));
        if access == Access::Exclusive {
            guard.note_failure("the disk is full".into());
        }
        let followers = Arc::new(Followers::default());
        let (commands, receiver) = mpsc::channel(writer::MAX_WAITING);
        let (until_ended, writer_ended) = watch::channel(());
        let writer = Writer {
            connection,
            followers: Arc::clone(&followers),
            guard: Arc::clone(&guard),
            clock,
            is_marked: false,
        };
        std::thread::spawn(move || {
            writer.run(receiver);
            drop(until_ended);
        });
        let commands = Arc::new(Mutex::new(Some(commands)));
        checks::watch(&guard, &commands);
        let readers = Readers::new(path, access, Arc::clone(&guard));
        Ok(Self { commands, followers, readers, writer_ended, guard, clock, first_epoch })
    }

    /// The first epoch of this process; see [`Settings::first_epoch`](crate::Settings::first_epoch).
    #[must_use]
    pub fn first_epoch(&self) -> u64 {
        self.first_epoch
    }

    fn commands(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn append_with(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        ending: Option<Box<Ending>>,
    ) -> Result<Sequence, JournalError> {
        match self.write(Write::Append { batch, events, details, ending }).await? {
            Written::Appended(sequence) => Ok(sequence),
            Written::Nothing | Written::Done => Err(JournalError::Removed),
        }
    }

    async fn write(&self, write: Write) -> Result<Written, JournalError> {
        let (written, answer) = oneshot::channel();
        let commands = self.commands().clone().ok_or(JournalError::Closed)?;
        commands.send(Command { write, written }).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

#[async_trait]
impl EventLog for SqliteJournal {
    async fn create(
        &self,
        batch: BatchId,
        owner: OwnerId,
        launched: Launched,
        input: Option<Bytes>,
    ) -> Result<Creation, JournalError> {
        match self.write(Write::Create { batch, owner, launched: Event::Launched(launched), input }).await? {
            Written::Nothing => Ok(Creation::Exists),
            Written::Appended(_) | Written::Done => Ok(Creation::Created),
        }
    }

    async fn append(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
    ) -> Result<Sequence, JournalError> {
        self.append_with(batch, events, details, None).await
    }

    async fn append_ending(
        &self,
        batch: BatchId,
        events: Vec<Event>,
        details: Vec<SquareDetail>,
        ending: Ending,
    ) -> Result<Sequence, JournalError> {
        self.append_with(batch, events, details, Some(Box::new(ending))).await
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<EventPage, JournalError>> {
        let reading = Reading {
            appended: self.followers.subscribe(batch),
            readers: self.readers.clone(),
            batch,
            next: u32::try_from(after.0).unwrap_or(u32::MAX),
            caught_up: false,
        };
        Box::pin(stream::try_unfold(reading, |mut reading| async move {
            let page = reading.next_page().await?;
            Ok(Some((page, reading)))
        }))
    }
}

#[async_trait]
impl Blobs for SqliteJournal {
    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.readers
            .read(move |connection| match Record::find(connection, batch)? {
                Some(record) => attachments::read_input(connection, &record),
                None => Ok(None),
            })
            .await
    }

    async fn input_size(&self, batch: BatchId) -> Result<Option<u64>, JournalError> {
        self.readers
            .read(move |connection| match Record::find(connection, batch)? {
                Some(record) => Ok(attachments::read_input_size(connection, &record)?),
                None => Ok(None),
            })
            .await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.readers
            .read(move |connection| match Record::find(connection, batch)? {
                Some(record) => details::read(connection, &record, squares),
                None => Ok(Vec::new()),
            })
            .await
    }
}

#[async_trait]
impl Catalog for SqliteJournal {
    async fn find(&self, batch: BatchId) -> Result<Option<BatchMeta>, JournalError> {
        self.readers.read(move |connection| read_found(connection, batch)).await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<BatchListItem>, JournalError> {
        let below = after.and_then(|cursor| i64::try_from(cursor).ok()).unwrap_or(i64::MAX);
        self.readers.read(move |connection| Ok(read_list(connection, owner, below, limit)?)).await
    }

    async fn unfinished(&self) -> Result<Vec<OpenBatch>, JournalError> {
        self.readers.read(|connection| Ok(read_unfinished(connection)?)).await
    }

    async fn finalize(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.write(Write::Conclude { batch, lap, summary, receipts }).await.map(drop)
    }
}

#[async_trait]
impl Cleanup for SqliteJournal {
    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        self.write(Write::Remove { batch }).await.map(|written| written == Written::Done)
    }

    async fn expired(&self, retention: Retention, skip: u32, limit: u32) -> Result<Vec<BatchId>, JournalError> {
        let now = self.clock.stored();
        self.readers.read(move |connection| Ok(read_expired(connection, retention, now, skip, limit)?)).await
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        self.write(Write::Purge).await.map(|written| written == Written::Done)
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn health(&self) -> Result<(), JournalError> {
        self.guard.health()
    }

    async fn close(&self) {
        // SQLite deletes the WAL when the last connection is closed. That connection must be the writer's, because readers cannot write.
        self.readers.close().await;
        drop(self.commands().take());
        // The value never changes; this waits for the sender to be dropped.
        let _ = self.writer_ended.clone().changed().await;
    }
}

fn read_found(connection: &Connection, batch: BatchId) -> Result<Option<BatchMeta>, Failure> {
    let Some(record) = Record::find(connection, batch)? else { return Ok(None) };
    let receipts = attachments::read_receipts(connection, &record)?;
    Ok(Some(BatchMeta { owner: record.owner, receipts, is_finalized: record.final_summary.is_some() }))
}

/// Lists batches of an owner. A damaged row is listed without its final summary, so that the caller opens the batch and gets the error.
fn read_list(connection: &Connection, owner: OwnerId, below: i64, limit: u32) -> rusqlite::Result<Vec<BatchListItem>> {
    let sql = concat!("SELECT ", columns!(), " FROM batches WHERE owner = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3");
    connection
        .prepare_cached(sql)?
        .query_map(params![owner.as_bytes(), below, limit], |row| {
            let record = Record::read(row)?;
            let final_summary = record.final_summary.as_deref().filter(|_| record.is_intact());
            Ok(BatchListItem {
                cursor: record.key.unsigned_abs(),
                batch: record.id,
                // A final summary that cannot be read is treated as missing.
                final_summary: final_summary.and_then(|json| serde_json::from_str(json).ok()),
            })
        })?
        .collect()
}

/// The batches without a final summary. The checksums of their rows are verified when they are opened.
fn read_unfinished(connection: &Connection) -> rusqlite::Result<Vec<OpenBatch>> {
    let sql = concat!("SELECT ", columns!(), " FROM batches WHERE conclusion IS NULL ORDER BY key");
    let records: Vec<Record> =
        connection.prepare_cached(sql)?.query_map([], Record::read)?.collect::<Result<_, _>>()?;
    let unfinished = records.into_iter().map(|record| OpenBatch {
        batch: record.id,
        owner: record.owner,
        lap: record.lap,
        squares: events::first(connection, &record).map_or(0, |launched| launched.spec.grid.squares()),
    });
    Ok(unfinished.collect())
}

fn read_expired(
    connection: &Connection,
    retention: Retention,
    now: i64,
    skip: u32,
    limit: u32,
) -> rusqlite::Result<Vec<BatchId>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let bytes = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    let is_too_large = retention.bytes.is_some_and(|most| bytes > most);
    let too_old = retention.age.map(|age| now.saturating_sub(age.as_millis() as i64));
    // `i64::MAX` selects every finished batch, and `i64::MIN` none.
    let before = if is_too_large { i64::MAX } else { too_old.unwrap_or(i64::MIN) };
    let sql = concat!(
        "SELECT ",
        columns!(),
        " FROM batches WHERE concluded_at < ?1 AND removed = 0 ORDER BY concluded_at LIMIT ?2 OFFSET ?3"
    );
    let records: Vec<Record> = connection
        .prepare_cached(sql)?
        .query_map(params![before, limit, skip], Record::read)?
        .collect::<Result<_, _>>()?;
    // A row that was altered on disk must not cause a deletion.
    Ok(records.into_iter().filter(Record::is_intact).map(|record| record.id).collect())
}

/// The state of a follower.
struct Reading {
    appended: watch::Receiver<()>,
    readers: Readers,
    batch: BatchId,
    /// The number of the next event.
    next: u32,
    /// Whether the previous page was the last one at its time.
    caught_up: bool,
}

impl Reading {
    async fn next_page(&mut self) -> Result<EventPage, JournalError> {
        if self.caught_up {
            self.appended.changed().await.map_err(|_| JournalError::Closed)?;
        }
        // An event that is appended from here on wakes the follower again, even if this page contains it.
        self.appended.mark_unchanged();
        let (batch, next) = (self.batch, self.next);
        let read = self.readers.read(move |connection| match Record::find(connection, batch)? {
            Some(record) => events::read(connection, &record, next).map(Some),
            None => Ok(None),
        });
        let Events { events, caught_up } = read.await?.ok_or(JournalError::Removed)?;
        self.next = self.next.saturating_add(events.len() as u32);
        self.caught_up = caught_up;
        // Events are numbered consecutively, so the sequence is their number.
        Ok(EventPage { events, sequence: Sequence(self.next.into()), caught_up })
    }
}
