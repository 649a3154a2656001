//! The one thread that writes. Whatever waits when it comes round goes into one commit, so that the cost of reaching the disk
//! is shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quilt::wire::encode_event;
use quilt::{BatchId, Event, OwnerId, Summary};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use tokio::sync::{mpsc, oneshot, watch};

use crate::journal::{Creation, JournalError};

/// The most writes that go into one commit.
const MAX_GROUP: usize = 512;

/// How many writes may wait before those who write have to.
pub(super) const MAX_WAITING: usize = 1024;

/// One thing to write.
pub(super) enum Write {
    Create { batch: BatchId, owner: OwnerId, launched: Event },
    Append { batch: BatchId, event: Event },
    Conclude { batch: BatchId, summary: Summary },
}

/// A write, and where to say that it is durable.
pub(super) struct Command {
    pub(super) write: Write,
    pub(super) written: oneshot::Sender<Result<Creation, JournalError>>,
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

/// Writes until the last sender of commands is gone and all of them are done.
pub(super) fn run(mut connection: Connection, mut commands: mpsc::Receiver<Command>, followers: &Arc<Followers>) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while commands.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        let result = write_group(&mut connection, &group);
        if let Err(error) = &result {
            tracing::error!(%error, writes = group.len(), "nothing of a group of writes reached the journal");
        }
        answer(group.drain(..), result, followers);
    }
}

fn answer(group: impl Iterator<Item = Command>, result: rusqlite::Result<Vec<Creation>>, followers: &Followers) {
    match result {
        Ok(creations) => {
            for (command, creation) in group.zip(creations) {
                if let Write::Append { batch, .. } = command.write {
                    followers.wake(batch);
                }
                // Who no longer waits for the answer does not need it.
                let _ = command.written.send(Ok(creation));
            }
        }
        Err(error) => {
            let error = JournalError::Unavailable(error.to_string());
            for command in group {
                let _ = command.written.send(Err(error.clone()));
            }
        }
    }
}

/// All or nothing of a group.
fn write_group(connection: &mut Connection, group: &[Command]) -> rusqlite::Result<Vec<Creation>> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let creations = group.iter().map(|command| write(&transaction, &command.write)).collect::<Result<_, _>>()?;
    transaction.commit()?;
    Ok(creations)
}

fn write(transaction: &Transaction<'_>, write: &Write) -> rusqlite::Result<Creation> {
    match write {
        Write::Create { batch, owner, launched } => {
            let created = transaction
                .prepare_cached("INSERT INTO batches (id, owner) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING")?
                .execute(params![batch.as_bytes(), owner.as_bytes()])?;
            if created == 0 {
                return Ok(Creation::Exists);
            }
            insert_event(transaction, transaction.last_insert_rowid(), launched)?;
            Ok(Creation::Created)
        }
        Write::Append { batch, event } => {
            let key = transaction
                .prepare_cached("SELECT key FROM batches WHERE id = ?1")?
                .query_row(params![batch.as_bytes()], |row| row.get::<_, i64>(0))
                .optional()?;
            if let Some(key) = key {
                insert_event(transaction, key, event)?;
                if let Event::LapStarted { lap, .. } = event {
                    transaction
                        .prepare_cached("UPDATE batches SET lap = ?2, conclusion = NULL WHERE key = ?1 AND lap < ?2")?
                        .execute(params![key, lap])?;
                }
            }
            Ok(Creation::Exists)
        }
        Write::Conclude { batch, summary } => {
            let json = serde_json::to_string(summary)
                .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
            transaction
                .prepare_cached("UPDATE batches SET conclusion = ?3 WHERE id = ?1 AND lap = ?2")?
                .execute(params![batch.as_bytes(), summary.lap, json])?;
            Ok(Creation::Exists)
        }
    }
}

fn insert_event(transaction: &Transaction<'_>, key: i64, event: &Event) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO events (batch, number, body)
             VALUES (?1, (SELECT coalesce(max(number) + 1, 0) FROM events WHERE batch = ?1), ?2)",
        )?
        .execute(params![key, encode_event(event)])?;
    Ok(())
}
