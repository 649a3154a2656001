//! Maps SQLite errors to journal errors.

use quilt::BatchId;
use rusqlite::ErrorCode;

use crate::journal::{Damage, JournalError, Stored};

/// Why a read or a write of the file failed.
pub(super) enum Failure {
    /// SQLite returned an error.
    Sqlite(rusqlite::Error),
    /// The file is not the one that was opened.
    Moved(String),
    /// Stored data is damaged.
    Damaged { batch: BatchId, reason: Damage },
}

impl Failure {
    pub(super) fn checksum(batch: BatchId, stored: Stored) -> Self {
        Self::Damaged { batch, reason: Damage::Checksum(stored) }
    }

    pub(super) fn missing(batch: BatchId, stored: Stored) -> Self {
        Self::Damaged { batch, reason: Damage::Missing(stored) }
    }

    /// Whether other writes would fail as well.
    pub(super) fn concerns_all(&self) -> bool {
        match self {
            Self::Sqlite(error) => concerns_all(error),
            Self::Moved(_) => true,
            Self::Damaged { .. } => false,
        }
    }
}

/// Whether an SQLite error is independent of the data to be written.
pub(super) fn concerns_all(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked | DiskFull | SystemIoFailure))
}

/// The reason why SQLite rejects writes, for the log and for clients.
pub(super) fn refusal(error: &rusqlite::Error) -> String {
    match journal_error(error) {
        JournalError::Unavailable(reason) => reason,
        other => other.to_string(),
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Failure> for JournalError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => journal_error(&error),
            Failure::Moved(reason) => Self::Unavailable(reason),
            Failure::Damaged { batch, reason } => Self::Damaged { batch, reason },
        }
    }
}

/// Maps an SQLite error to a journal error.
fn journal_error(error: &rusqlite::Error) -> JournalError {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => JournalError::Corrupt(error.to_string()),
        Some(ErrorCode::DiskFull) => JournalError::Unavailable("the disk is full".into()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            JournalError::Unavailable("another program has locked the file".into())
        }
        _ => match error {
            // This program writes only values of the declared types.
            FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..) => {
                JournalError::Corrupt(error.to_string())
            }
            _ => JournalError::Unavailable(error.to_string()),
        },
    }
}
