//! The one thread that writes. Whatever waits when it comes round goes into one commit, so that the cost of reaching the disk
//! is shared.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quilt::BatchId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Clock;
use super::failure::{Failure, concerns_all, refusal};
use super::guard::Guard;
use super::writes::{Write, Written};
use super::{writer_mark, writes};
use crate::journal::JournalError;

/// The most writes that go into one commit.
const MAX_GROUP: usize = 512;

/// How many writes may wait before those who write have to.
pub(super) const MAX_WAITING: usize = 1024;

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

/// The thread that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) followers: Arc<Followers>,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    /// Whether the file has the mark of a process that writes.
    pub(super) is_marked: bool,
}

impl Writer {
    /// Writes until the last sender of commands is gone and all of them are done, and closes the file.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while commands.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
            let result = match self.write_group(&group) {
                // One of them has met something of its own, and is not to take the others with it.
                Err(failure) if group.len() > 1 && !failure.concerns_all() => {
                    for command in group.drain(..) {
                        let result = self.write_group(std::slice::from_ref(&command));
                        answer(std::iter::once(command), result.map_err(JournalError::from), &self.followers);
                    }
                    continue;
                }
                result => result.map_err(JournalError::from),
            };
            answer(group.drain(..), result, &self.followers);
        }
        self.close();
    }

    /// All or nothing of a group. The guard learns whether the file can be written.
    fn write_group(&mut self, group: &[Command]) -> Result<Vec<Written>, Failure> {
        // It often has nothing to delete, and then writes nothing.
        let is_evidence = group.iter().any(|command| !matches!(command.write, Write::Purge));
        let result = self.try_write_group(group, is_evidence);
        match &result {
            Ok(_) if is_evidence => self.guard.note_success(),
            Err(Failure::Sqlite(error)) if concerns_all(error) => self.guard.note_failure(refusal(error)),
            _ => {}
        }
        result
    }

    fn try_write_group(&mut self, group: &[Command], needs_mark: bool) -> Result<Vec<Written>, Failure> {
        self.guard.check_file()?;
        if needs_mark && !self.is_marked {
            self.is_marked = writer_mark::set(&mut self.connection, &self.clock)?;
        }
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let all = group
            .iter()
            .map(|command| writes::write(&transaction, &command.write, &self.clock))
            .collect::<Result<_, _>>()?;
        transaction.commit()?;
        if group.iter().any(|command| matches!(command.write, Write::Probe)) {
            // The log starts from its beginning again: probes take no space.
            writer_mark::checkpoint(&self.connection)?;
        }
        Ok(all)
    }

    /// Moves everything from the log beside the file into the file, so that a copy of the file alone is whole.
    fn close(self) {
        if self.is_marked
            && let Err(error) = self.clock.save(&self.connection)
        {
            tracing::debug!(%error, "the time is not stored");
        }
        // What is moved leaves space in the log: on a full disk, the mark can be removed all the same.
        let moved = writer_mark::checkpoint(&self.connection);
        match moved.and_then(|_| writer_mark::clear(&self.connection)) {
            Ok(()) => truncate_log(&self.connection),
            Err(error) => {
                warn_of_log(error);
                // SQLite would delete the log if it can, and the mark has to stay beside it.
                let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
            }
        }
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!(%error, "the journal could not be closed");
        }
    }
}

fn truncate_log(connection: &Connection) {
    match connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0)) {
        Ok(true) => warn_of_log("another program reads the journal"),
        Ok(false) => {}
        Err(error) => warn_of_log(error),
    }
}

fn warn_of_log(reason: impl std::fmt::Display) {
    tracing::warn!(%reason, "the journal's log is left: copy `quilt.db-wal` together with `quilt.db`");
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
