//! The only thread that writes. It combines all waiting writes into one commit, so that they share the cost of syncing to disk.

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

/// Maximum number of writes per commit.
const MAX_GROUP: usize = 512;

/// Maximum number of queued writes. Further callers wait.
pub(super) const MAX_WAITING: usize = 1024;

/// A write, and the channel for its result.
pub(super) struct Command {
    pub(super) write: Write,
    pub(super) written: oneshot::Sender<Result<Written, JournalError>>,
}

/// Wakes the followers of batches.
#[derive(Default)]
pub(super) struct Followers {
    batches: Mutex<HashMap<BatchId, watch::Sender<()>>>,
}

impl Followers {
    /// Subscribes to appends and the removal of a batch.
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

/// The writer thread.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) followers: Arc<Followers>,
    pub(super) guard: Arc<Guard>,
    pub(super) clock: Clock,
    /// Whether this process has set the writer mark.
    pub(super) is_marked: bool,
}

impl Writer {
    /// Executes writes until the last sender is dropped and all commands are done. Then closes the file.
    pub(super) fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut group = Vec::with_capacity(MAX_GROUP);
        while commands.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
            let result = match self.write_group(&group) {
                // One write failed for its own reason. Retrying the writes one by one keeps the others from failing with it.
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

    /// Commits a group atomically, and reports the result to the guard.
    fn write_group(&mut self, group: &[Command]) -> Result<Vec<Written>, Failure> {
        // A purge often deletes nothing, and then writes nothing.
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
            // After the checkpoint the WAL is overwritten from its start, so that probes take no space.
            writer_mark::checkpoint(&self.connection)?;
        }
        Ok(all)
    }

    /// Moves the content of the WAL into the file, so that a copy of the file alone is complete.
    fn close(self) {
        if self.is_marked
            && let Err(error) = self.clock.save(&self.connection)
        {
            tracing::debug!(%error, "the time is not stored");
        }
        // The checkpoint frees space in the WAL, so that the mark can be removed even if the disk is full.
        let moved = writer_mark::checkpoint(&self.connection);
        match moved.and_then(|_| writer_mark::clear(&self.connection)) {
            Ok(()) => truncate_log(&self.connection),
            Err(error) => {
                warn_of_log(error);
                // The mark remains, so the WAL must remain as well. SQLite would delete it on close.
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
                // The caller may have been dropped.
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
