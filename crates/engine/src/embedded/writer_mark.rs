//! The mark of a process that writes the file. A file with the mark but without a WAL is an incomplete copy.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rusqlite::{Connection, OpenFlags, params};

use super::clock::Clock;
use crate::now;

/// The offset of the write format version in the header of a database, and its value for WAL mode.
const FORMAT: usize = 18;
const LOGGED: u8 = 2;

/// Stores the mark and the time. To be called in a transaction.
pub(super) fn write(connection: &Connection, clock: &Clock) -> rusqlite::Result<()> {
    clock.save(connection)?;
    connection.prepare_cached("DELETE FROM running")?.execute([])?;
    connection.prepare_cached("INSERT INTO running (since) VALUES (?1)")?.execute(params![now().0 as i64])?;
    Ok(())
}

/// Stores the mark in the file itself. Returns `false` if a reader in another program prevents the checkpoint; the caller tries again with
/// the next write.
pub(super) fn set(connection: &mut Connection, clock: &Clock) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    write(&transaction, clock)?;
    transaction.commit()?;
    checkpoint(connection)
}

/// Runs a checkpoint without waiting for readers. Returns `false` if part of the WAL remains.
pub(super) fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(!row.get::<_, bool>(0)? && row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
    })
}

/// Removes the mark.
pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    // Without a mark this writes nothing.
    connection.execute("DELETE FROM running", []).map(drop)
}

/// Whether a file has the mark but no WAL. Also returns `false` if the file cannot be read; opening it reports the error.
pub(super) fn is_without_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    !PathBuf::from(log).exists() && is_logged(path) && has_mark(path).unwrap_or(false)
}

/// Whether the file is in WAL mode. A file that `VACUUM INTO` has created is not, and is complete.
fn is_logged(path: &Path) -> bool {
    let mut header = [0; FORMAT + 1];
    let is_read = File::open(path).and_then(|mut file| file.read_exact(&mut header)).is_ok();
    is_read && header.last() == Some(&LOGGED)
}

/// Reads the file without locks, because an ordinary connection would create a WAL.
fn has_mark(path: &Path) -> rusqlite::Result<bool> {
    let path = std::path::absolute(path).ok().and_then(|path| path.into_os_string().into_string().ok());
    let Some(path) = path else { return Ok(false) };
    let address = format!("file:{}?immutable=1", utf8_percent_encode(&path, NON_ALPHANUMERIC));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address, flags)?;
    connection.query_row("SELECT EXISTS (SELECT 1 FROM running)", [], |row| row.get(0))
}
