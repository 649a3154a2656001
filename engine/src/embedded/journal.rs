//! The journal in one SQLite file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use quilt::wire::decode_event;
use quilt::{BatchId, Event, Launched, OwnerId, Summary};
use rusqlite::{Connection, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot, watch};

use super::schema::{self, OpenError};
use super::writer::{self, Command, Followers, Write};
use crate::journal::{Creation, Journal, JournalError, Listed, Page};

/// The most events that are read at once.
const PAGE: usize = 256;

/// The most connections that are kept for reading.
const MAX_IDLE_READERS: usize = 4;

/// A [`Journal`] in one file. Cloning gives another handle to it.
#[derive(Clone)]
pub struct SqliteJournal {
    commands: mpsc::Sender<Command>,
    followers: Arc<Followers>,
    readers: Readers,
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
        std::thread::spawn(move || writer::run(connection, receiver, &for_writer));
        Ok(Self { commands, followers, readers: Readers { path: path.into(), idle: Arc::default() } })
    }

    async fn write(&self, write: Write) -> Result<Creation, JournalError> {
        let (written, answer) = oneshot::channel();
        self.commands.send(Command { write, written }).await.map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    async fn create(&self, batch: BatchId, owner: OwnerId, launched: Launched) -> Result<Creation, JournalError> {
        self.write(Write::Create { batch, owner, launched: Event::Launched(launched) }).await
    }

    async fn append(&self, batch: BatchId, event: Event) -> Result<(), JournalError> {
        self.write(Write::Append { batch, event }).await.map(drop)
    }

    fn follow(&self, batch: BatchId) -> BoxStream<'static, Result<Page, JournalError>> {
        let reading = Reading {
            appended: self.followers.subscribe(batch),
            readers: self.readers.clone(),
            batch,
            next: 0,
            caught_up: false,
        };
        Box::pin(stream::try_unfold(reading, |mut reading| async move {
            let page = reading.next_page().await?;
            Ok(Some((page, reading)))
        }))
    }

    async fn owner(&self, batch: BatchId) -> Result<Option<OwnerId>, JournalError> {
        self.readers
            .read(move |connection| {
                connection
                    .prepare_cached("SELECT owner FROM batches WHERE id = ?1")?
                    .query_row(params![batch.as_bytes()], |row| row.get(0).map(OwnerId::from_bytes))
                    .optional()
            })
            .await
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

    async fn unfinished(&self) -> Result<Vec<BatchId>, JournalError> {
        self.readers
            .read(|connection| {
                connection
                    .prepare_cached("SELECT id FROM batches WHERE conclusion IS NULL ORDER BY key")?
                    .query_map([], |row| row.get(0).map(BatchId::from_bytes))?
                    .collect()
            })
            .await
    }

    async fn conclude(&self, batch: BatchId, summary: Summary) -> Result<(), JournalError> {
        self.write(Write::Conclude { batch, summary }).await.map(drop)
    }
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
        let bodies = self.readers.read(move |connection| read_bodies(connection, batch, next)).await?;
        self.next += bodies.len() as i64;
        self.caught_up = bodies.len() < PAGE;
        let events = bodies
            .iter()
            .map(|body| decode_event(body))
            .collect::<Result<_, _>>()
            .map_err(|error| JournalError::Damaged { batch, reason: error.into() })?;
        Ok(Page { events, caught_up: self.caught_up })
    }
}

fn read_bodies(connection: &Connection, batch: BatchId, next: i64) -> rusqlite::Result<Vec<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT body FROM events WHERE batch = (SELECT key FROM batches WHERE id = ?1) AND number >= ?2
             ORDER BY number LIMIT ?3",
        )?
        .query_map(params![batch.as_bytes(), next, PAGE as i64], |row| row.get(0))?
        .collect()
}

/// Connections for reading, each used by one reader at a time, off the async threads.
#[derive(Clone)]
struct Readers {
    path: PathBuf,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Readers {
    async fn read<T, F>(&self, query: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let readers = self.clone();
        let run = move || {
            let idle = readers.idle().pop();
            let connection = idle.map_or_else(|| schema::open_reader(&readers.path), Ok)?;
            let answer = query(&connection);
            let mut idle = readers.idle();
            if idle.len() < MAX_IDLE_READERS {
                idle.push(connection);
            }
            answer
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(answer) => answer.map_err(|error: rusqlite::Error| JournalError::Unavailable(error.to_string())),
            Err(_) => Err(JournalError::Closed),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
