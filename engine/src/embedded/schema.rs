//! The tables and their version.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use thiserror::Error;

/// Stands in the file's header; counts up when the tables change.
const VERSION: i64 = 1;

const TABLES: &str = "
    -- `key` counts the launches. `lap` is the last lap that was started. `conclusion` is a summary in JSON, derived from
    -- the events and written when that lap was over; without one the batch may still have tasks to run.
    CREATE TABLE batches (
        key INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        owner BLOB NOT NULL,
        lap INTEGER NOT NULL DEFAULT 1,
        conclusion TEXT
    );
    CREATE INDEX batches_by_owner ON batches (owner, key);
    CREATE INDEX batches_unfinished ON batches (key) WHERE conclusion IS NULL;
    -- `number` counts a batch's events from 0; `body` is the event in the wire's encoding.
    CREATE TABLE events (
        batch INTEGER NOT NULL REFERENCES batches (key),
        number INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (batch, number)
    ) WITHOUT ROWID;
";

/// Why a journal file cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// SQLite refused, for example because the file is not a database, or not ours to write.
    #[error("cannot open the journal {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// A newer program wrote the file.
    #[error("the journal {path} has version {found}, and this program knows versions up to {VERSION}; use a newer one")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// Opens the file for writing, and makes the tables where there are none.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.into(), source };
    let mut connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(sqlite)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(sqlite)?;
    // What a commit acknowledges is on the disk.
    connection.pragma_update(None, "synchronous", "full").map_err(sqlite)?;
    // On macOS it is only with these two; elsewhere they change nothing.
    connection.pragma_update(None, "fullfsync", true).map_err(sqlite)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true).map_err(sqlite)?;
    let transaction = connection.transaction().map_err(sqlite)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    match found {
        0 => {
            transaction.execute_batch(TABLES).map_err(sqlite)?;
            transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
        }
        VERSION => {}
        found => return Err(OpenError::Newer { path: path.into(), found }),
    }
    transaction.commit().map_err(sqlite)?;
    Ok(connection)
}

/// Opens the file for reading beside the writer.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}
