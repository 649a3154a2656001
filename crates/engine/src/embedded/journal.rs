//! The journal in one SQLite file.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use quilt::wire::decode_event;
use quilt::{BatchId, Event, Index, Launched, OwnerId, Receipt, Summary, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::schema::{self, OpenError};
use super::trouble::trouble;
use super::writer::{self, Command, Followers, Write, Written};
use crate::journal::{
    Creation, Found, Journal, JournalError, Listed, Mark, Offset, Page, Retention, SquareDetail, Unfinished,
};

/// The most events that are read at once.
const PAGE: usize = 256;

/// The most bytes of events that are read at once, but for the last event among them.
const PAGE_BYTES: usize = 64 << 10;

/// The most reads at the same time, each with a connection and a thread; others wait for their turn.
const MAX_READERS: usize = 8;

/// A [`Journal`] in one file. Cloning gives another handle to it.
#[derive(Clone)]
pub struct SqliteJournal {
    /// `None` once the journal is closed. The writer ends with the last sender.
    commands: Arc<Mutex<Option<mpsc::Sender<Command>>>>,
    followers: Arc<Followers>,
    readers: Readers,
    /// Dropped by the writer when the file is closed.
    writer_ended: watch::Receiver<()>,
}

impl SqliteJournal {
    /// Opens the file, and makes it where there is none.
    ///
    /// # Errors
    ///
    /// [`OpenError`] where the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = schema::open_writer(path)?;
        let followers = Arc::new(Followers::default());
        let (commands, receiver) = mpsc::channel(writer::MAX_WAITING);
        let for_writer = Arc::clone(&followers);
        let (until_ended, writer_ended) = watch::channel(());
        std::thread::spawn(move || {
            writer::run(connection, receiver, &for_writer);
            drop(until_ended);
        });
        let commands = Arc::new(Mutex::new(Some(commands)));
        Ok(Self { commands, followers, readers: Readers::new(path), writer_ended })
    }

    fn commands(&self) -> std::sync::MutexGuard<'_, Option<mpsc::Sender<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(&self, write: Write) -> Result<Written, JournalError> {
        let (written, answer) = oneshot::channel();
        let commands = self.commands().clone().ok_or(JournalError::Closed)?;
        commands.send(Command { write, written }).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

#[async_trait]
impl Journal for SqliteJournal {
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
    ) -> Result<Mark, JournalError> {
        match self.write(Write::Append { batch, events, details }).await? {
            Written::Appended(mark) => Ok(mark),
            Written::Nothing | Written::Done => Err(JournalError::Removed),
        }
    }

    async fn input(&self, batch: BatchId) -> Result<Option<Bytes>, JournalError> {
        self.readers
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT body FROM inputs WHERE batch = (SELECT key FROM batches WHERE id = ?1)")?
                    .query_row([batch.as_bytes()], |row| row.get::<_, Vec<u8>>(0).map(Bytes::from))
                    .optional()
            })
            .await
    }

    async fn details(&self, batch: BatchId, squares: Range<u32>) -> Result<Vec<SquareDetail>, JournalError> {
        self.readers
            .read(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT square, lap, body FROM details
                         WHERE batch = (SELECT key FROM batches WHERE id = ?1) AND square >= ?2 AND square < ?3
                         ORDER BY square",
                    )?
                    .query_map(params![batch.as_bytes(), squares.start, squares.end], detail)?
                    .collect()
            })
            .await
    }

    fn follow(&self, batch: BatchId, after: Offset) -> BoxStream<'static, Result<Page, JournalError>> {
        let reading = Reading {
            appended: self.followers.subscribe(batch),
            readers: self.readers.clone(),
            batch,
            next: i64::try_from(after.0).unwrap_or(i64::MAX),
            caught_up: false,
        };
        Box::pin(stream::try_unfold(reading, |mut reading| async move {
            let page = reading.next_page().await?;
            Ok(Some((page, reading)))
        }))
    }

    async fn find(&self, batch: BatchId) -> Result<Option<Found>, JournalError> {
        self.readers.read(move |connection| read_found(connection, batch)).await
    }

    async fn list(&self, owner: OwnerId, after: Option<u64>, limit: u32) -> Result<Vec<Listed>, JournalError> {
        let below = after.and_then(|cursor| i64::try_from(cursor).ok()).unwrap_or(i64::MAX);
        self.readers
            .read(move |connection| {
                connection
                    .prepare_cached(
                        "SELECT key, id, conclusion FROM batches WHERE owner = ?1 AND key < ?2 ORDER BY key DESC LIMIT ?3",
                    )?
                    .query_map(params![owner.as_bytes(), below, limit], listed)?
                    .collect()
            })
            .await
    }

    async fn unfinished(&self) -> Result<Vec<Unfinished>, JournalError> {
        self.readers
            .read(|connection| {
                connection
                    .prepare_cached(
                        "SELECT id, owner, lap, body FROM batches LEFT JOIN events ON batch = key AND number = 0
                         WHERE conclusion IS NULL ORDER BY key",
                    )?
                    .query_map([], unfinished)?
                    .collect()
            })
            .await
    }

    async fn conclude(
        &self,
        batch: BatchId,
        lap: u32,
        summary: Summary,
        receipts: Vec<Receipt>,
    ) -> Result<(), JournalError> {
        self.write(Write::Conclude { batch, lap, summary, receipts }).await.map(drop)
    }

    async fn remove(&self, batch: BatchId) -> Result<bool, JournalError> {
        self.write(Write::Remove { batch }).await.map(|written| written == Written::Done)
    }

    async fn expired(
        &self,
        retention: Retention,
        now: Timestamp,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<BatchId>, JournalError> {
        self.readers.read(move |connection| read_expired(connection, retention, now, skip, limit)).await
    }

    async fn purge(&self) -> Result<bool, JournalError> {
        self.write(Write::Purge).await.map(|written| written == Written::Done)
    }

    async fn close(&self) {
        // The last connection that is closed deletes the files beside the database, and it has to be the writer's: readers cannot write.
        self.readers.close().await;
        drop(self.commands().take());
        // Only its end is awaited: it never changes.
        let _ = self.writer_ended.clone().changed().await;
    }
}

fn detail(row: &Row<'_>) -> rusqlite::Result<SquareDetail> {
    Ok(SquareDetail { index: Index(row.get(0)?), lap: row.get(1)?, body: row.get::<_, Vec<u8>>(2)?.into() })
}

fn read_found(connection: &Connection, batch: BatchId) -> rusqlite::Result<Option<Found>> {
    let found: Option<(i64, OwnerId, bool)> = connection
        .prepare_cached("SELECT key, owner, conclusion IS NOT NULL FROM batches WHERE id = ?1")?
        .query_row(params![batch.as_bytes()], |row| Ok((row.get(0)?, OwnerId::from_bytes(row.get(1)?), row.get(2)?)))
        .optional()?;
    let Some((key, owner, is_concluded)) = found else { return Ok(None) };
    let bodies: Vec<String> = connection
        .prepare_cached("SELECT body FROM receipts WHERE batch = ?1 ORDER BY lap")?
        .query_map(params![key], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    // Where one cannot be read, all are derived anew from the events.
    let receipts: Option<_> = bodies.iter().map(|body| serde_json::from_str(body).ok()).collect();
    Ok(Some(Found { owner, receipts: receipts.unwrap_or_default(), is_concluded }))
}

fn read_expired(
    connection: &Connection,
    retention: Retention,
    now: Timestamp,
    skip: u32,
    limit: u32,
) -> rusqlite::Result<Vec<BatchId>> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map(i64::unsigned_abs);
    let bytes = (pragma("page_count")? - pragma("freelist_count")?) * pragma("page_size")?;
    let is_too_large = retention.bytes.is_some_and(|most| bytes > most);
    let too_old = retention.age.map(|age| now.0.saturating_sub(age.as_millis() as u64) as i64);
    // No time is later than this one, and none is as early as the other.
    let before = if is_too_large { i64::MAX } else { too_old.unwrap_or(i64::MIN) };
    connection
        .prepare_cached(
            "SELECT id FROM batches WHERE concluded_at < ?1 AND removed = 0 ORDER BY concluded_at LIMIT ?2 OFFSET ?3",
        )?
        .query_map(params![before, limit, skip], |row| row.get(0).map(BatchId::from_bytes))?
        .collect()
}

fn listed(row: &Row<'_>) -> rusqlite::Result<Listed> {
    let conclusion: Option<String> = row.get(2)?;
    Ok(Listed {
        cursor: row.get::<_, i64>(0)?.unsigned_abs(),
        batch: BatchId::from_bytes(row.get(1)?),
        // A conclusion that cannot be read is one that a later version will write anew.
        conclusion: conclusion.and_then(|json| serde_json::from_str(&json).ok()),
    })
}

fn unfinished(row: &Row<'_>) -> rusqlite::Result<Unfinished> {
    let first: Option<Vec<u8>> = row.get(3)?;
    Ok(Unfinished {
        batch: BatchId::from_bytes(row.get(0)?),
        owner: OwnerId::from_bytes(row.get(1)?),
        lap: row.get(2)?,
        squares: match first.map(|body| decode_event(&body)) {
            Some(Ok(Event::Launched(launched))) => launched.spec.grid.squares(),
            _ => 0,
        },
    })
}

/// Where a follower is.
struct Reading {
    appended: watch::Receiver<()>,
    readers: Readers,
    batch: BatchId,
    /// The number of the next event.
    next: i64,
    /// Whether the last page was the last one for then.
    caught_up: bool,
}

impl Reading {
    async fn next_page(&mut self) -> Result<Page, JournalError> {
        if self.caught_up {
            self.appended.changed().await.map_err(|_| JournalError::Closed)?;
        }
        // What is appended from here on, and may be in this page already, wakes the follower once more.
        self.appended.mark_unchanged();
        let (batch, next) = (self.batch, self.next);
        let read = self.readers.read(move |connection| read_bodies(connection, batch, next)).await?;
        let (bodies, caught_up) = read.ok_or(JournalError::Removed)?;
        self.next += bodies.len() as i64;
        self.caught_up = caught_up;
        let events = bodies
            .iter()
            .map(|body| decode_event(body))
            .collect::<Result<_, _>>()
            .map_err(|error| JournalError::Damaged { batch, reason: error.into() })?;
        // The events are numbered, so how many there are is how far they go.
        Ok(Page { events, mark: Mark(self.next.unsigned_abs()), caught_up })
    }
}

/// Some event bodies from one on, and whether these are all there are; `None` where there is no such batch.
fn read_bodies(connection: &Connection, batch: BatchId, next: i64) -> rusqlite::Result<Option<(Vec<Vec<u8>>, bool)>> {
    let key: Option<i64> = connection
        .prepare_cached("SELECT key FROM batches WHERE id = ?1")?
        .query_row(params![batch.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(key) = key else { return Ok(None) };
    let mut statement =
        connection.prepare_cached("SELECT body FROM events WHERE batch = ?1 AND number >= ?2 ORDER BY number")?;
    let mut rows = statement.query(params![key, next])?;
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        if bodies.len() == PAGE || bytes > PAGE_BYTES {
            return Ok(Some((bodies, false)));
        }
        let body: Vec<u8> = row.get(0)?;
        bytes += body.len();
        bodies.push(body);
    }
    Ok(Some((bodies, true)))
}

/// Connections for reading, each used by one reader at a time, off the async threads.
#[derive(Clone)]
struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    fn new(path: &Path) -> Self {
        Self { path: path.into(), idle: Arc::default(), turns: Arc::new(Semaphore::new(MAX_READERS)) }
    }

    async fn read<T, F>(&self, query: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let readers = self.clone();
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| JournalError::Closed)?;
        let run = move || {
            // Released after the connection is idle again.
            let _turn = turn;
            let idle = readers.idle().pop();
            let connection = idle.map_or_else(|| schema::open_reader(&readers.path), Ok)?;
            let answer = query(&connection);
            readers.idle().push(connection);
            answer
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(answer) => answer.map_err(|error: rusqlite::Error| trouble(&error)),
            Err(_) => Err(JournalError::Closed),
        }
    }

    /// Waits for the reads that were started, refuses others, and closes all connections.
    async fn close(&self) {
        // It fails only if another call has closed it.
        let turns = self.turns.acquire_many(MAX_READERS as u32).await;
        self.turns.close();
        drop(turns);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
