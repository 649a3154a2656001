//! Connections for reading.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::failure::Failure;
use super::guard::Guard;
use super::schema::{self, Access};
use crate::journal::JournalError;

/// Maximum number of concurrent reads. Each uses a connection and a thread; further reads wait.
const MAX_READERS: usize = 8;

/// A pool of read connections. Each is used by one reader at a time, outside the async threads.
#[derive(Clone)]
pub(super) struct Readers {
    path: PathBuf,
    access: Access,
    guard: Arc<Guard>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(path: &Path, access: Access, guard: Arc<Guard>) -> Self {
        let turns = Arc::new(Semaphore::new(MAX_READERS));
        Self { path: path.into(), access, guard, idle: Arc::default(), turns }
    }

    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, JournalError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    {
        let readers = self.clone();
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| JournalError::Closed)?;
        let run = move || {
            // The permit is released after the connection has been returned to the pool.
            let _turn = turn;
            let connection = readers.connection()?;
            // One transaction per query, so that all its reads see the same snapshot.
            let answer =
                connection.unchecked_transaction().map_err(Failure::from).and_then(|_snapshot| query(&connection));
            readers.idle().push(connection);
            answer
        };
        match tokio::task::spawn_blocking(run).await {
            Ok(answer) => answer.map_err(|failure: Failure| failure.into()),
            Err(_) => Err(JournalError::Closed),
        }
    }

    /// Takes an idle connection or opens a new one. The path is checked first, because it may lead to another file by now.
    fn connection(&self) -> Result<Connection, Failure> {
        if let Some(connection) = self.idle().pop() {
            return Ok(connection);
        }
        self.guard.check_file()?;
        Ok(schema::open_reader(&self.path, self.access)?)
    }

    /// Waits for pending reads, rejects new ones, and closes all connections.
    pub(super) async fn close(&self) {
        // It fails only if another call has closed the pool.
        let turns = self.turns.acquire_many(MAX_READERS as u32).await;
        self.turns.close();
        drop(turns);
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
