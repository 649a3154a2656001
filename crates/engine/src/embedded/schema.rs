//! The tables and their versions.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use super::writer_mark;

/// The migrations from each version of the tables to the next. The version of a file is the number of applied migrations, stored in
/// `user_version`.
pub(super) const MIGRATIONS: [&str; 7] = [
    "
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
    ",
    "
    -- `concluded_at` is when the last lap was over, in milliseconds since 1970. A batch that was `removed` has given up its id and its owner; its
    -- events go a part at a time, and at last its row.
    ALTER TABLE batches ADD COLUMN concluded_at INTEGER;
    ALTER TABLE batches ADD COLUMN removed INTEGER NOT NULL DEFAULT 0;
    UPDATE batches SET concluded_at = coalesce(json_extract(conclusion, '$.ended_at'), 0) WHERE conclusion IS NOT NULL;
    CREATE INDEX batches_by_conclusion ON batches (concluded_at) WHERE concluded_at IS NOT NULL AND removed = 0;
    CREATE INDEX batches_removed ON batches (key) WHERE removed = 1;
    -- For a while the id of a removed batch is nobody else's: what was on its way to that batch must not reach another one.
    CREATE TABLE tombstones (id BLOB PRIMARY KEY, removed_at INTEGER NOT NULL) WITHOUT ROWID;
    CREATE INDEX tombstones_by_time ON tombstones (removed_at);
    -- `body` is the receipt of a lap's finish line in JSON, derived from the events.
    CREATE TABLE receipts (
        batch INTEGER NOT NULL REFERENCES batches (key),
        lap INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (batch, lap)
    ) WITHOUT ROWID;
    ",
    "
    -- What came with a launch that is too large for its first event.
    CREATE TABLE inputs (batch INTEGER PRIMARY KEY REFERENCES batches (key), body BLOB NOT NULL);
    -- What is kept of a task besides its outcome; `square` is its place in reading order, `lap` the lap in which it ran.
    CREATE TABLE details (
        batch INTEGER NOT NULL REFERENCES batches (key),
        square INTEGER NOT NULL,
        lap INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (batch, square)
    ) WITHOUT ROWID;
    ",
    "
    -- A `checksum` is a CRC32C over a row and its place. It is NULL where an earlier version wrote the row.
    ALTER TABLE events ADD COLUMN checksum INTEGER;
    ALTER TABLE details ADD COLUMN checksum INTEGER;
    ALTER TABLE inputs ADD COLUMN checksum INTEGER;
    ALTER TABLE receipts ADD COLUMN checksum INTEGER;
    -- What has to be there, so that a missing row is noticed: the number of `events`, of which the first `unchecked` ones have no checksum, and
    -- of `receipts`, and whether there is an input. All are NULL as long as the row is as an earlier version wrote it.
    ALTER TABLE batches ADD COLUMN events INTEGER;
    ALTER TABLE batches ADD COLUMN unchecked INTEGER;
    ALTER TABLE batches ADD COLUMN receipts INTEGER;
    ALTER TABLE batches ADD COLUMN has_input INTEGER;
    ALTER TABLE batches ADD COLUMN checksum INTEGER;
    -- Which squares have a detail: a bit for each of 256 squares, in the order of the squares. `part` counts the rows from 0.
    CREATE TABLE detail_sets (
        batch INTEGER NOT NULL REFERENCES batches (key),
        part INTEGER NOT NULL,
        squares BLOB NOT NULL,
        checksum INTEGER NOT NULL,
        PRIMARY KEY (batch, part)
    ) WITHOUT ROWID;
    ",
    "
    -- Has a row from the first write of a process until it closes the file: without `quilt.db-wal`, the file is an incomplete copy then. `since` is
    -- in milliseconds since 1970.
    CREATE TABLE running (since INTEGER NOT NULL);
    ",
    "
    -- The time by which batches get old, `concluded_at` and `removed_at` among them, and the time of day at which it was stored. One row.
    CREATE TABLE clock (time INTEGER NOT NULL, time_of_day INTEGER NOT NULL, checksum INTEGER NOT NULL);
    ",
    "
    -- The first epoch of the process that opened the file last. One row.
    CREATE TABLE epochs (epoch INTEGER NOT NULL, checksum INTEGER NOT NULL);
    ",
];

/// The version that this program writes.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// The capacity of each connection's statement cache. It exceeds the number of statements.
const STATEMENTS: usize = 64;

/// Why a journal file cannot be used.
#[derive(Debug, Error)]
pub enum OpenError {
    /// SQLite failed, for example because the file is not a database, or is not writable.
    #[error("cannot open the journal {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The error of SQLite.
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
    /// The file was copied from a running process without its WAL.
    #[error(
        "the journal {path} was copied from a running server without `quilt.db-wal`: copy `quilt.db` together with `quilt.db-wal`, or stop the server first"
    )]
    IncompleteCopy {
        /// The file.
        path: PathBuf,
    },
    /// The structure of the file is damaged.
    #[error("the journal {path} is damaged: {reason}. Restore a copy of it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
}

/// How connections open the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Other programs can open the file as well.
    Shared,
    /// Only this process can open the file: the WAL index is in memory. A shared one needs a file of 32 KiB, which does not fit on a full
    /// disk.
    Exclusive,
}

impl Access {
    fn open(self, path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
        let connection = match self {
            Self::Shared => Connection::open_with_flags(path, flags),
            Self::Exclusive => Connection::open_with_flags_and_vfs(path, flags, c"unix-excl"),
        }?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(connection)
    }
}

/// Opens the file for writing, and migrates its tables to this version.
pub(super) fn open_writer(path: &Path) -> Result<(Connection, Access), OpenError> {
    if writer_mark::is_without_log(path) {
        return Err(OpenError::IncompleteCopy { path: path.into() });
    }
    match open_with(path, Access::Shared) {
        Err(OpenError::Sqlite { source, .. }) if cfg!(unix) && path.exists() && concerns_space(&source) => {
            tracing::debug!(error = %source, "opening the journal without a file for the index of its log");
            Ok((open_with(path, Access::Exclusive)?, Access::Exclusive))
        }
        opened => Ok((opened?, Access::Shared)),
    }
}

/// Whether an SQLite error may be caused by a full disk.
fn concerns_space(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DiskFull, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(CannotOpen | DiskFull | SystemIoFailure))
}

fn open_with(path: &Path, access: Access) -> Result<Connection, OpenError> {
    let sqlite = |source| OpenError::Sqlite { path: path.into(), source };
    let mut connection = access.open(path, OpenFlags::default()).map_err(sqlite)?;
    configure(&connection).map_err(sqlite)?;
    let transaction = connection.transaction().map_err(sqlite)?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    let missing = usize::try_from(found).ok().and_then(|found| MIGRATIONS.get(found..));
    let missing = missing.ok_or_else(|| OpenError::Newer { path: path.into(), found })?;
    if !missing.is_empty() {
        for migration in missing {
            transaction.execute_batch(migration).map_err(sqlite)?;
        }
        transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    }
    transaction.commit().map_err(sqlite)?;
    match damage(&connection).map_err(sqlite)? {
        Some(reason) => Err(OpenError::Damaged { path: path.into(), reason }),
        None => Ok(connection),
    }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    let is_new = connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))? == 0;
    if is_new {
        // Lets purges return free pages to the disk in parts. On an existing file this would only cause a write.
        connection.pragma_update(None, "auto_vacuum", "incremental")?;
    }
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A commit returns only after its data is on disk.
    connection.pragma_update(None, "synchronous", "full")?;
    // macOS needs these two for that; other systems ignore them.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

/// Checks the structure of the file, as far as checksums of rows do not cover it: the definitions of the tables, and the table of batches
/// with its indexes. The cost depends only on the number of batches.
fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let fresh = Connection::open_in_memory()?;
    for migration in MIGRATIONS {
        fresh.execute_batch(migration)?;
    }
    let columns = columns(connection)?;
    if let Some([table, column, ..]) = self::columns(&fresh)?.iter().find(|column| !columns.contains(column)) {
        return Ok(Some(format!("the column {column} of the table {table} is not as this program defines it")));
    }
    let report: String = connection.query_row("PRAGMA integrity_check('batches')", [], |row| row.get(0))?;
    Ok((report != "ok").then_some(report))
}

/// All columns of all tables: table, name, type, default.
fn columns(connection: &Connection) -> rusqlite::Result<Vec<[String; 4]>> {
    connection
        .prepare(
            "SELECT tables.name, columns.name, columns.type, coalesce(columns.dflt_value, '')
             FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'",
        )?
        .query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?
        .collect()
}

/// Opens the file for reading, next to the writer. Fails if the file does not exist.
pub(super) fn open_reader(path: &Path, access: Access) -> rusqlite::Result<Connection> {
    let connection = access.open(path, OpenFlags::default() & !OpenFlags::SQLITE_OPEN_CREATE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_first_version_is_brought_up_and_keeps_what_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("quilt.db");
        let first = Connection::open(&path).expect("writable");
        first.execute_batch(MIGRATIONS[0]).expect("valid");
        first.pragma_update(None, "user_version", 1).expect("writable");
        first
            .execute_batch(
                r#"INSERT INTO batches (id, owner, conclusion) VALUES (x'01', x'02', '{"ended_at": 1790000000000}');
                   INSERT INTO batches (id, owner) VALUES (x'03', x'02');"#,
            )
            .expect("valid");
        drop(first);
        let connection = open_writer(&path).expect("an older file").0;
        let concluded = |key: i64| {
            connection
                .query_row("SELECT concluded_at FROM batches WHERE key = ?1", [key], |row| row.get::<_, Option<i64>>(0))
                .expect("a row")
        };
        assert_eq!((concluded(1), concluded(2)), (Some(1_790_000_000_000), None));
        drop(connection);
        open_writer(&path).expect("brought up already");
    }
}
